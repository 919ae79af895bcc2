"""Kafka on this machine: one broker, TLS with client certificates on every listener, and its grants.

Three listeners, so that a service's certificate opens only the first: ``client`` trusts the services' authority,
``internal`` and ``controller`` the platform's.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from greenfield.components.kafka import CLIENT_PORT, Settings
from greenfield.components.kafka.configuration import durability, heap_mib
from greenfield.components.kafka.roles import principal_of_platform, principal_rules
from greenfield.components.kafka.topics import topics
from greenfield.errors import UnsupportedError
from greenfield.model.binding import Leaf
from greenfield.model.content import text
from greenfield.model.local import (
    Claim,
    ExchangeProbe,
    File,
    LeafClaim,
    PortClaim,
    Process,
    Reconcile,
    Site,
    Task,
    ToolClaim,
    zone_host,
)
from greenfield.model.plan import Member, Plan, Resource, platform_identity
from greenfield.model.proof import client_tls
from greenfield.programs import zookeeper
from greenfield.programs.jvm import APACHE_KAFKA, JAVA, JavaProgram, console_log, properties
from greenfield.programs.stores import administrator, shown, tls

_PORTS: Mapping[str, int] = {CLIENT_PORT: 9092, "internal": 9093, "controller": 9094}
_CLASSES = str(PurePath(__file__).with_name("classes.txt"))

# Metadata v1 about no topic, with the correlation id "gfld": answered before any grant, and its count of brokers is
# above zero only once this one has been admitted to the cluster. https://kafka.apache.org/protocol
QUESTION = "\0\0\0\x0e\0\x03\0\x01gfld\xff\xff\0\0\0\0"
ANSWER = r"(?s)gfld\x00\x00\x00[\x01-\x09]"

# A broker of one machine: a few threads, and a cleaner's buffer of 4 MiB instead of 128. Three partitions of offsets
# instead of 50 are created in a moment. Nobody waits for members of a group that are not coming.
_SMALL: Mapping[str, str | int | bool] = {
    "num.network.threads": 1,
    "num.io.threads": 2,
    "background.threads": 2,
    "log.cleaner.dedupe.buffer.size": 4 << 20,
    "offsets.topic.num.partitions": 3,
    "transaction.state.log.num.partitions": 3,
    "group.initial.rebalance.delay.ms": 0,
    "socket.request.max.bytes": 16 << 20,
}


# Denials are told. Not told: each attempt of the controller's to reach its own broker before that listens.
_LEVELS = {
    "kafka.authorizer.logger": "INFO",  # whom it refused something
    "org.apache.kafka.common.network.Selector": "INFO",  # and whom it did not let in
    "kafka.controller.RequestSendThread": "ERROR",
}


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """A port for each listener, the brokers' two certificates, the administrator's, and the programs."""
    _one_broker(resource)
    hosts = tuple(dict.fromkeys(zone_host(plan.zones, member.zone) for member in resource.members))
    for member in resource.members:
        for listener in _listeners(_settings(resource)):
            yield PortClaim(f"{member.name}/{listener}", zone_host(plan.zones, member.zone), _PORTS[listener])
    admin, internal = administrator(resource), f"{resource.name}-internal"
    internal_identity = platform_identity(plan.name, internal)
    yield LeafClaim(resource.name, resource.name, resource.identity, hosts=hosts, dns=("localhost",))
    yield LeafClaim(internal, internal, internal_identity, authority="platform", hosts=hosts, dns=("localhost",))
    yield LeafClaim(admin, admin, platform_identity(plan.name, admin))
    yield ToolClaim(JAVA)
    yield ToolClaim(APACHE_KAFKA)


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
    """The broker; before it the archive of its classes, after it its topics and grants."""
    _one_broker(resource)
    broker = JavaProgram.on(site, "kafka", "kafka.Kafka", APACHE_KAFKA)
    classes = f"{resource.name}-classes"
    yield broker.classes(classes, resource.name, _CLASSES)
    for member in resource.members:
        yield _process(resource, member, plan, site, broker)
    yield _shown(resource, site)
    yield from _grants(resource, plan, site)


def _process(resource: Resource, member: Member, plan: Plan, site: Site, program: JavaProgram) -> Process:
    home, data = f"{site.scratch}/{member.name}", _data(resource, member, site)
    configuration, log = f"{home}/server.properties", f"{home}/log4j.properties"
    files = [
        File(path=configuration, content=properties(_configuration(resource, member, plan, site))),
        File(path=log, content=console_log(_LEVELS)),
    ]
    if _settings(resource).coordination == "kraft":
        # What `kafka-storage format` would write, without a second JVM. The broker keeps it as it is.
        files.append(
            File(
                path=f"{data}/meta.properties", content=properties(_format(resource, member, plan)), on_change="nothing"
            )
        )
    # Libraries are unpacked to java.io.tmpdir and stay there when the broker is killed.
    system = {"log4j.configuration": f"file:{log}", "java.io.tmpdir": home}
    return Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=program.argv(heap_mib(_settings(resource).size), system, configuration),
        environment=program.environment,
        cwd=home,
        probe=ExchangeProbe(
            address=site.endpoint(f"{member.name}/{CLIENT_PORT}"),
            send=text(QUESTION),
            expect=ANSWER,
            tls=client_tls(site.leaves[administrator(resource)]),
        ),
        address=site.endpoint(f"{member.name}/{CLIENT_PORT}"),
        files=tuple(files),
        directories=(home, data),
        after=(f"{resource.name}-classes", *(f"resource:{name}" for name in resource.needs)),
        stop_grace_s=20.0,
    )


def _configuration(resource: Resource, member: Member, plan: Plan, site: Site) -> dict[str, str | int | bool]:
    settings = _settings(resource)
    listeners = {name: f"{name.upper()}://{site.endpoint(f'{member.name}/{name}')}" for name in _listeners(settings)}
    advertised = [address for name, address in listeners.items() if name != "controller"]
    administrators = (administrator(resource), f"{resource.name}-internal")
    lines: dict[str, str | int | bool] = {
        "listeners": ",".join(listeners.values()),
        "advertised.listeners": ",".join(advertised),
        "listener.security.protocol.map": ",".join(f"{name.upper()}:SSL" for name in listeners),
        "inter.broker.listener.name": "INTERNAL",
        "log.dirs": _data(resource, member, site),
        "super.users": ";".join(f"User:{principal_of_platform(name)}" for name in administrators),
        "allow.everyone.if.no.acl.found": False,
        **durability(settings),
        "ssl.principal.mapping.rules": principal_rules(plan.name),
        **_SMALL,
    }
    for name in listeners:
        leaf = site.leaves[_leaf(resource, name)]
        lines |= {f"listener.name.{name}.{key}": value for key, value in _tls(leaf).items()}
    if settings.coordination == "kraft":
        return lines | _kraft(resource, member, site)
    return lines | _with_zookeeper(resource, member, plan, site)


def _leaf(resource: Resource, listener: str) -> str:
    return resource.name if listener == CLIENT_PORT else f"{resource.name}-internal"


def _tls(leaf: Leaf) -> dict[str, str]:
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": leaf.pem,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": leaf.ca,
        "ssl.client.auth": "required",
        "ssl.endpoint.identification.algorithm": "https",
        "ssl.protocol": "TLSv1.3",
        "ssl.enabled.protocols": "TLSv1.3",
    }


def _kraft(resource: Resource, member: Member, site: Site) -> dict[str, str | int | bool]:
    voters = [other for other in resource.members if "controller" in other.role]
    return {
        "process.roles": member.role,
        "node.id": member.index,
        "controller.quorum.voters": ",".join(
            f"{other.index}@{site.endpoint(f'{other.name}/controller')}" for other in voters
        ),
        "controller.listener.names": "CONTROLLER",
        # A broker that was killed is not admitted again before its old session ends: 15 s later by the defaults.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    }


def _with_zookeeper(resource: Resource, member: Member, plan: Plan, site: Site) -> dict[str, str | int | bool]:
    leaf = site.leaves[f"{resource.name}-internal"]
    (ensemble,) = resource.needs
    return {
        "broker.id": member.index,
        "zookeeper.connect": zookeeper.connect_string(plan.resource(ensemble), site),
        # A broker that was killed meets its own old node until its session ends, and is started again until then.
        "zookeeper.session.timeout.ms": 6000,
        "zookeeper.set.acl": True,  # only the holder of this very subject may change what the brokers keep there
        "zookeeper.ssl.client.enable": True,
        "zookeeper.clientCnxnSocket": "org.apache.zookeeper.ClientCnxnSocketNetty",
        "zookeeper.ssl.keystore.type": "PEM",
        "zookeeper.ssl.keystore.location": leaf.pem,
        "zookeeper.ssl.truststore.type": "PEM",
        "zookeeper.ssl.truststore.location": leaf.ca,
        "zookeeper.ssl.protocol": "TLSv1.3",
        "zookeeper.ssl.enabled.protocols": "TLSv1.3",
        "zookeeper.ssl.cipher.suites": zookeeper.CIPHERS,
        "authorizer.class.name": "kafka.security.authorizer.AclAuthorizer",
    }


def _format(resource: Resource, member: Member, plan: Plan) -> dict[str, str | int | bool]:
    return {
        "version": 1,
        "cluster.id": _identifier(f"{plan.name}/{resource.name}"),
        "node.id": member.index,
        "directory.id": _identifier(f"{plan.name}/{resource.name}/{member.name}"),
    }


def _identifier(name: str) -> str:
    """A stable id in Kafka's form: 16 bytes in 22 characters of URL-safe base64, the first no ``-``."""
    digest = bytearray(uuid.uuid5(uuid.NAMESPACE_URL, f"greenfield:{name}").bytes)
    digest[0] &= 0x7F
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _shown(resource: Resource, site: Site) -> Task:
    """The broker reads a listener's certificate again only when its setting is set again, be it to the same."""
    leaves = {name: site.leaves[_leaf(resource, name)] for name in _listeners(_settings(resource))}
    wanted = {
        **_administration(resource, site),
        "brokers": [member.index for member in resource.members],
        "keystores": {f"listener.name.{name}.ssl.keystore.location": leaf.pem for name, leaf in leaves.items()},
        "listeners": {
            site.endpoint(f"{member.name}/{name}"): leaf.certificate
            for member in resource.members
            for name, leaf in leaves.items()
        },
    }
    own = (resource.name, f"{resource.name}-internal")
    after = tuple(member.name for member in resource.members)
    return shown(resource, f"{__package__}.tasks:show_leaves", wanted, own, after)


def _administration(resource: Resource, site: Site) -> dict[str, Any]:
    return {
        "servers": ",".join(site.endpoint(f"{member.name}/{CLIENT_PORT}") for member in resource.members),
        "tls": tls(site.leaves[administrator(resource)]),
    }


def _grants(resource: Resource, plan: Plan, site: Site) -> Iterable[Task]:
    settings = _settings(resource)
    members = [member.name for member in resource.members]
    wanted = {
        **_administration(resource, site),
        "copies": min(3, settings.nodes),
        "topics": {
            name: {"partitions": topic.partitions, "config": {key: str(value) for key, value in topic.config.items()}}
            for name, topic in topics(resource, plan).items()
        },
        "grants": [[edge.source, edge.target, edge.access] for edge in sorted(plan.edges_to(resource.name))],
    }
    function = f"{__package__}.tasks:reconcile"
    needed = Reconcile(function=function, input={**wanted, "prune": False})
    settled = Reconcile(function=function, input={**wanted, "topics": {}, "prune": True})
    made = f"{resource.name}-topics"
    yield Task(name=made, resource=resource.name, action=needed, after=tuple(members))
    yield Task(name=f"{resource.name}-revoke", resource=resource.name, action=settled, after=(made,), when="settled")


def _settings(resource: Resource) -> Settings:
    assert isinstance(resource.settings, Settings)
    return resource.settings


def _listeners(settings: Settings) -> tuple[str, ...]:
    shared = (CLIENT_PORT, "internal")
    return (*shared, "controller") if settings.coordination == "kraft" else shared


def _data(resource: Resource, member: Member, site: Site) -> str:
    # Apart, because the one coordination cannot read what the other wrote; so changing back finds the old messages.
    return f"{site.data}/{member.name}/{_settings(resource).coordination}"


def _one_broker(resource: Resource) -> None:
    if len(resource.members) > 1:
        raise UnsupportedError(
            f"{resource.name} asks for {len(resource.members)} brokers, and only one can run on this machine yet.",
            hint=f"in the overlay `environments: local:` write `brokers: {{{resource.name}: {{nodes: 1}}}}`",
        )

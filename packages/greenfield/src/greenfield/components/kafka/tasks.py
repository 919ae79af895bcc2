"""Makes topics and grants so, through Kafka's own administrator protocol. Runs in the task process."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from greenfield.components.kafka.roles import Permission, permissions

if TYPE_CHECKING:
    from confluent_kafka.admin import AclBinding, AclBindingFilter, AdminClient, AlterConfigOpType, TopicMetadata

_REQUEST_S = 30.0
_SHOWN_S = 10.0


class _Topic(TypedDict):
    partitions: int
    config: Mapping[str, str]


def reconcile(input: Mapping[str, Any], secret: Callable[[str], str]) -> str:  # noqa: A002, ARG001
    """Makes topics and grants as ``input`` says; without ``prune`` it only adds.

    ``input``: ``servers`` and ``tls`` (paths of ``ca``, ``certificate``, ``key``) of the administrator; ``topics`` by
    name with ``partitions`` and ``config``, each in ``copies``; ``grants`` as [service, topic, access]. No topic is
    ever deleted: without grants, nobody reaches it.
    """
    from confluent_kafka import KafkaException

    try:
        admin = connect(input["servers"], input["tls"])
        done = [*_reconcile_topics(admin, input), *_reconcile_grants(admin, input)]
    except KafkaException as exc:
        raise RuntimeError(f"Kafka at {input['servers']} refused a change: {exc.args[0].str()}.") from exc
    return "; ".join(done) if done else "everything was as declared"


def show_leaves(input: Mapping[str, Any], secret: Callable[[str], str]) -> str:  # noqa: A002, ARG001
    """Has brokers read the certificates of their listeners again; connections stay.

    ``input``: ``servers`` and ``tls`` as above; ``brokers`` by number; ``keystores``: path by setting; ``listeners``:
    path of the certificate by address. Setting a keystore again reads its file. It does not stay set: a broker in a
    folder that was moved would look at the old place.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AlterConfigOpType

    try:
        admin = connect(input["servers"], input["tls"])
        _alter_keystores(admin, input, AlterConfigOpType.SET)
        for address, certificate in input["listeners"].items():
            _wait_until_shown(address, certificate)
        _alter_keystores(admin, input, AlterConfigOpType.DELETE)
    except KafkaException as exc:
        raise RuntimeError(f"Kafka at {input['servers']} kept old certificates: {exc.args[0].str()}.") from exc
    return "the brokers show their present certificates"


def _alter_keystores(admin: AdminClient, wanted: Mapping[str, Any], operation: AlterConfigOpType) -> None:
    from confluent_kafka.admin import ConfigEntry, ConfigResource, ResourceType

    entries = [ConfigEntry(key, path, incremental_operation=operation) for key, path in wanted["keystores"].items()]
    brokers = [
        ConfigResource(ResourceType.BROKER, str(number), incremental_configs=entries) for number in wanted["brokers"]
    ]
    _await(admin.incremental_alter_configs(brokers, request_timeout=_REQUEST_S))


def _wait_until_shown(address: str, certificate: str) -> None:
    """Returns once a listener shows it: the broker, and a controller in it, learn of settings a moment after."""
    host, port = address.rsplit(":", 1)
    deadline = time.monotonic() + _SHOWN_S
    while ssl.get_server_certificate((host, int(port)), timeout=_SHOWN_S) != Path(certificate).read_text():
        if time.monotonic() > deadline:
            raise RuntimeError(f"Kafka at {address} kept its old certificate for over {_SHOWN_S:.0f} s.")
        time.sleep(0.02)


def connect(servers: str, tls: Mapping[str, str]) -> AdminClient:
    """A client that shows itself by ``certificate`` and ``key`` and trusts ``ca`` (paths)."""
    from confluent_kafka.admin import AdminClient

    return AdminClient(
        {
            "bootstrap.servers": servers,
            "security.protocol": "ssl",
            "ssl.ca.location": tls["ca"],
            "ssl.certificate.location": tls["certificate"],
            "ssl.key.location": tls["key"],
            "log_level": 0,
        }
    )


# --- topics ---------------------------------------------------------------------------------------------------------


def _reconcile_topics(admin: AdminClient, wanted: Mapping[str, Any]) -> Iterable[str]:
    topics: Mapping[str, _Topic] = wanted["topics"]
    present: Mapping[str, TopicMetadata] = admin.list_topics(timeout=_REQUEST_S).topics
    missing = [name for name in topics if name not in present]
    if missing:
        _create(admin, {name: topics[name] for name in missing}, wanted["copies"])
        yield f"created {_listed('topic', missing)}"
    kept = {name: topics[name] for name in topics if name in present}
    grown = [name for name, topic in kept.items() if _grow(admin, name, len(present[name].partitions), topic)]
    if grown:
        yield f"added partitions to {_listed('topic', grown)}"
    changed = _configure(admin, kept)
    if changed:
        yield f"set {', '.join(sorted(set(changed.values())))} of {_listed('topic', changed)}"


def _create(admin: AdminClient, topics: Mapping[str, _Topic], copies: int) -> None:
    from confluent_kafka.admin import NewTopic

    new = [NewTopic(name, topic["partitions"], copies, config=topic["config"]) for name, topic in topics.items()]
    _await(admin.create_topics(new, operation_timeout=_REQUEST_S, request_timeout=_REQUEST_S))


def _grow(admin: AdminClient, name: str, present: int, topic: _Topic) -> bool:
    from confluent_kafka.admin import NewPartitions

    wanted = topic["partitions"]
    if wanted < present:
        raise RuntimeError(
            f"Topic {name} has {present} partitions and Kafka cannot take any away: declare {present} or more, "
            "or give the smaller topic another name."
        )
    if wanted > present:
        _await(admin.create_partitions([NewPartitions(name, wanted)], request_timeout=_REQUEST_S))
    return wanted > present


def _configure(admin: AdminClient, topics: Mapping[str, _Topic]) -> dict[str, str]:
    """Sets what differs; the keys that did, by topic."""
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    if not topics:
        return {}
    asked = [ConfigResource(ResourceType.TOPIC, name) for name in topics]
    described = admin.describe_configs(asked, request_timeout=_REQUEST_S)
    answers = {each.name: answer.result() for each, answer in described.items()}
    changed = {
        name: [(key, value) for key, value in topic["config"].items() if answers[name][key].value != value]
        for name, topic in topics.items()
    }
    updates = [
        ConfigResource(
            ResourceType.TOPIC,
            name,
            incremental_configs=[ConfigEntry(*pair, incremental_operation=AlterConfigOpType.SET) for pair in pairs],
        )
        for name, pairs in changed.items()
        if pairs
    ]
    if updates:
        _await(admin.incremental_alter_configs(updates, request_timeout=_REQUEST_S))
    return {name: ", ".join(key for key, _ in pairs) for name, pairs in changed.items() if pairs}


# --- grants ---------------------------------------------------------------------------------------------------------


def _reconcile_grants(admin: AdminClient, wanted: Mapping[str, Any]) -> Iterable[str]:
    declared = permissions((service, topic, access) for service, topic, access in wanted["grants"])
    present = bindings(admin)
    known = {permission for permission in present.values() if permission is not None}
    missing = declared - known
    if missing:
        _await(admin.create_acls([_binding(permission) for permission in missing], request_timeout=_REQUEST_S))
        yield f"granted {_listed('permission', missing)}"
    surplus = [binding for binding, permission in present.items() if permission not in declared]
    if surplus and wanted["prune"]:
        _await(admin.delete_acls([_filter(binding) for binding in surplus], request_timeout=_REQUEST_S))
        yield f"revoked {_listed('permission', surplus)}"
    if missing or (surplus and wanted["prune"]):
        _wait_until_enforced(admin, declared, wanted["prune"])


def _wait_until_enforced(admin: AdminClient, declared: frozenset[Permission], exactly: bool) -> None:
    """Returns once the broker asks by these grants: with KRaft it learns them a moment after the quorum has.

    Grants are asked with each request, so this ends what open sessions could do, too.
    """
    deadline = time.monotonic() + _REQUEST_S
    while True:
        enforced = set(bindings(admin).values())
        if enforced == declared if exactly else enforced >= declared:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"Kafka took over {_REQUEST_S:.0f} s to take up the changed grants.")
        time.sleep(0.02)


def bindings(admin: AdminClient) -> dict[AclBinding, Permission | None]:
    """Every rule of the broker's; None for one that this tool would not write."""
    from confluent_kafka.admin import (
        AclBindingFilter,
        AclOperation,
        AclPermissionType,
        ResourcePatternType,
        ResourceType,
    )

    everything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    found = admin.describe_acls(everything, request_timeout=_REQUEST_S).result()
    return {binding: _permission(binding) for binding in found}


def _permission(binding: AclBinding) -> Permission | None:
    from confluent_kafka.admin import ResourceType

    kinds: Mapping[object, Literal["topic", "group"]] = {ResourceType.TOPIC: "topic", ResourceType.GROUP: "group"}
    if (kind := kinds.get(binding.restype)) is None:
        return None
    permission = Permission(binding.principal, kind, binding.name, binding.operation.name)
    return permission if _binding(permission) == binding else None


def _binding(permission: Permission) -> AclBinding:
    from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

    return AclBinding(
        ResourceType[permission.resource.upper()],
        permission.name,
        ResourcePatternType.LITERAL,
        permission.principal,
        "*",
        AclOperation[permission.operation],
        AclPermissionType.ALLOW,
    )


def _filter(binding: AclBinding) -> AclBindingFilter:
    from confluent_kafka.admin import AclBindingFilter

    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


# --- both -----------------------------------------------------------------------------------------------------------


def _await(answers: Mapping[Any, Any]) -> None:
    for answer in answers.values():
        answer.result()


def _listed(noun: str, items: Iterable[Any]) -> str:
    listed = list(items)
    names = f" {', '.join(listed)}" if all(isinstance(item, str) for item in listed) else ""
    return f"{len(listed)} {noun}{'s' if len(listed) != 1 else ''}{names}"

"""How a service runs here: for each replica the program and its sidecar, each with two places to alternate between."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

import msgspec

from greenfield.components.service import STOP_S, Settings
from greenfield.components.service.edges import migrated, stores, wiring
from greenfield.components.service.launcher import LAUNCHER
from greenfield.components.service.sidecar import sidecar_process
from greenfield.model.content import Content, Secret, text
from greenfield.model.local import (
    Claim,
    Command,
    DigestClaim,
    File,
    Held,
    HttpProbe,
    LeafClaim,
    ListenProbe,
    PortClaim,
    Probe,
    Process,
    PythonClaim,
    Site,
    Task,
    ToolClaim,
    zone_host,
)
from greenfield.model.plan import Member, Plan, Resource
from greenfield.programs import envoy
from greenfield.programs.consumers import only_consumes
from greenfield.programs.mesh import SLOTS, inbound, sidecar
from greenfield.programs.telemetry import collectors, exporting, metrics_port

LOOPBACK = "127.0.0.1"
_NAME = re.compile(r"\$(\w+|\{\w+\})")


@dataclass(frozen=True)
class Replica:
    """One replica in one slot, with all that its wiring needs to be known."""

    resource: Resource
    plan: Plan
    site: Site
    member: Member
    slot: int

    @property
    def settings(self) -> Settings:
        """What was declared."""
        assert isinstance(self.resource.settings, Settings)
        return self.resource.settings

    @property
    def sockets(self) -> str:
        """The private folder of its Unix sockets."""
        return f"{self.site.sockets}/{self.member.name}-{self.slot}"

    @property
    def scratch(self) -> str:
        """Its folder of generated files."""
        return f"{self.site.scratch}/{self.member.name}-{self.slot}"

    @property
    def listens(self) -> tuple[str, int] | str:
        """Where the program listens: a Unix socket, or ``$PORT``."""
        if self.settings.app is not None:
            return f"{self.sockets}/app.sock"
        return self.site.ports[_port(self.member, self.slot)]

    @property
    def folder(self) -> str:
        """Where it runs."""
        return os.path.normpath(f"{self.plan.root}/{self.settings.path}")

    def environment(self) -> dict[str, Content]:
        """All that the program gets: wiring, its own variables, the caller's PATH, HOME, LANG and TZ."""
        variables: dict[str, Content] = {name: text(value) for name, value in self.site.caller.items()}
        variables |= exporting(self.plan, self.site, self.resource, self.member)
        if self.settings.app is not None:
            python = str(PurePath(self.site.pythons[self.resource.name]).parent)
            variables["PATH"] = text(f"{python}:{self.site.caller.get('PATH', '/usr/bin:/bin')}")
            variables["UDS"] = text(str(self.listens))
        else:
            variables["PORT"] = text(str(self.listens[1]))
        for name, value in wiring(self.resource, self.plan, self.site.bindings).items():
            variables[name] = tuple(self._filled(piece) for piece in value)
        return variables | {name: text(value) for name, value in self.settings.env.items()}

    def leaves(self, environment: Mapping[str, Content]) -> tuple[Held, ...]:
        """Its certificate, where it is told of it: a program reads it when it likes, and often never again."""
        certificate = self.site.leaves[self.resource.name].certificate
        told = any(certificate in content for content in environment.values())
        return (Held(leaf=self.resource.name),) if told else ()

    def _filled(self, piece: str | Secret) -> str | Secret:
        if isinstance(piece, Secret):
            return piece
        here = piece.replace("{member}", self.member.name).replace("{slot}", str(self.slot))
        return re.sub(r"\{port:(out-[a-z0-9-]+)\}", lambda match: str(self._outbound_port(match[1])), here)

    def _outbound_port(self, name: str) -> int:
        return self.site.ports[f"{self.member.name}/{name}/{self.slot}"][1]


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """An identity, ports for sidecars, Envoy; the interpreter of an ``app``, the ports of a ``command``."""
    settings: Settings = resource.settings  # type: ignore[assignment]
    hosts = tuple(sorted({zone_host(plan.zones, member.zone) for member in resource.members}))
    yield LeafClaim(
        name=resource.name,
        common_name=resource.name,
        identity=resource.identity,
        unit="service",
        hosts=hosts,
        dns=("localhost", resource.name),
    )
    yield ToolClaim(envoy.ENVOY)
    if settings.app is not None and resource.members:
        yield PythonClaim(resource.name, settings.python or "", settings.path, ("granian",))
    if settings.migrate is not None:
        yield DigestClaim(os.path.normpath(f"{plan.root}/{settings.path}"))
    callees = [edge.target for edge in plan.edges_from(resource.name) if edge.access == "call"]
    for member in resource.members:
        for slot in SLOTS:
            yield PortClaim(inbound(member.name, slot), zone_host(plan.zones, member.zone))
            if collectors(plan):
                yield PortClaim(metrics_port(sidecar(member.name), slot), zone_host(plan.zones, member.zone))
            if settings.command is not None:
                yield PortClaim(
                    _port(member, slot), LOOPBACK, open="a command listens at a port, and asks nobody who it is"
                )
                for callee in callees:
                    yield PortClaim(f"{member.name}/out-{callee}/{slot}", LOOPBACK, open="a command calls others here")


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
    """For each replica and slot the sidecar and the program; before them the migration."""
    replicas = [Replica(resource, plan, site, member, slot) for member in resource.members for slot in SLOTS]
    needed = tuple(f"resource:{name}" for name in stores(resource, plan))
    databases = tuple(f"resource:{name}" for name in migrated(resource, plan))
    migration = _migration(replicas[0], databases) if replicas else None
    if migration is not None:
        yield migration
    before = (*needed, migration.name) if migration else needed
    for replica in replicas:
        turnover = "stop-first" if only_consumes(resource, plan) else "surge"
        program = _program(replica, before)
        beside = sidecar_process(plan, site, resource, replica.member, replica.slot, replica.listens)
        for process in (beside, program):
            yield _turning(process, replica, turnover)


def _turning(process: Process, replica: Replica, turnover: str) -> Process:
    drain = envoy.DRAIN_S if turnover == "surge" else 0.0
    return msgspec.structs.replace(
        process, unit=replica.member.name, slot=replica.slot, turnover=turnover, drain_s=drain
    )


def _port(member: Member, slot: int) -> str:
    return f"{member.name}/port/{slot}"


def _program(replica: Replica, before: tuple[str, ...]) -> Process:
    environment = replica.environment()
    launcher = f"{replica.scratch}/serve.py"
    settings, listens = replica.settings, replica.listens
    address = f"unix:{listens}" if isinstance(listens, str) else f"{listens[0]}:{listens[1]}"
    argv: tuple[str, ...]
    if settings.app is not None:
        argv = (replica.site.pythons[replica.resource.name], launcher, settings.app, str(listens))
    else:
        argv = tuple(_expanded(word, environment) for word in settings.command or ())
    return Process(
        name=replica.member.name,
        resource=replica.resource.name,
        member=replica.member.name,
        zone=replica.member.zone,
        argv=argv,
        environment=environment,
        cwd=replica.folder,
        probe=_probe(settings, address),
        address=address,
        files=(File(path=launcher, content=text(LAUNCHER)),) if settings.app is not None else (),
        leaves=replica.leaves(environment),
        directories=(replica.scratch, replica.sockets),
        clear=(listens,) if isinstance(listens, str) else (),
        after=(*before, sidecar(replica.member.name)),
        stop_grace_s=float(STOP_S),
    )


def _probe(settings: Settings, address: str) -> Probe:
    path = settings.ready_path
    return ListenProbe(address=address) if path is None else HttpProbe(address=address, path=path)


def _expanded(word: str, environment: Mapping[str, Content]) -> str:
    """``$NAME`` from the environment; what is a secret, or not there, stays as it is written."""

    def value(match: re.Match[str]) -> str:
        content = environment.get(match[1].strip("{}"))
        if content is None or any(isinstance(piece, Secret) for piece in content):
            return match[0]
        return "".join(str(piece) for piece in content)

    return _NAME.sub(value, word)


def _migration(replica: Replica, databases: tuple[str, ...]) -> Task | None:
    settings = replica.settings
    if settings.migrate is None:
        return None
    environment = replica.environment()
    digest = replica.site.digests[replica.folder]
    return Task(
        name=f"{replica.resource.name}-migrate",
        resource=replica.resource.name,
        action=Command(
            argv=tuple(_expanded(word, environment) for word in settings.migrate),
            environment=environment,
            cwd=replica.folder,
        ),
        after=databases,
        timeout_s=600.0,
        files=(File(path=f"{replica.site.scratch}/{replica.resource.name}-migrated", content=text(digest)),),
    )

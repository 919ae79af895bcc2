"""One Kafka platform started by hand from what its components say, so that they can be proved without the engine."""

from __future__ import annotations

import datetime as dt
import importlib
import itertools
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import BaseModel

from greenfield.components import kafka as kafka_component
from greenfield.components.kafka import local as kafka
from greenfield.components.zookeeper import local as zookeeper
from greenfield.model.binding import Leaf
from greenfield.model.component import Context
from greenfield.model.content import plain
from greenfield.model.local import (
    Claim,
    Command,
    ExchangeProbe,
    LeafClaim,
    PortClaim,
    Process,
    Reconcile,
    Site,
    Task,
)
from greenfield.model.plan import Edge, Plan, Resource, service_identity
from greenfield.model.tool import Installation
from greenfield.programs.jvm import APACHE_KAFKA, JAVA
from greenfield.targets.local.pki import VALIDITY, Pki
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.progress import Silent

PLATFORM = "shop"
_LOCAL = {"kafka": kafka, "zookeeper": zookeeper}


class Nothing(BaseModel):
    """The settings of a service that is only a name here."""


def plan(settings: Mapping[str, object], grants: Iterable[tuple[str, str, str]], root: Path) -> Plan:
    """A platform of one ``kafka`` and services that are nothing but names, wired by (service, topic, access)."""
    context = Context(PLATFORM, "local", ("local",), str(root))
    resources = list(kafka_component.plan("kafka", kafka_component.Settings.model_validate(settings), context))
    grants = list(grants)
    for service in dict.fromkeys(["bystander", *(grant[0] for grant in grants)]):
        identity = context.service_identity(service)
        resources.append(Resource(service, "service", context.members(service, 1), Nothing(), identity))
    edges = tuple(Edge(source, topic, access, "kafka") for source, topic, access in grants)
    index = {resource.name: resource for resource in resources}
    order = (tuple(index),)
    return Plan(PLATFORM, "local", ("local",), str(root), tuple(resources), edges, order, index=index)


@dataclass
class Machine:
    """Claims fulfilled, processes by name. It is the ``Bench`` of the proofs, too."""

    plan: Plan
    folder: Path
    tools: Mapping[str, Installation]
    cache: Path
    site: Site = field(init=False)
    leaves: list[LeafClaim] = field(default_factory=list)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    serials: Iterator[int] = field(default_factory=itertools.count)
    issuing: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for name in ("data", "scratch", "sockets", "logs", "secrets"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.pki = Pki(self.folder / "pki", PLATFORM)
        claims = [
            claim for resource in self._resources() for claim in _LOCAL[resource.kind].claims(resource, self.plan)
        ]
        self.site = self._site(claims)

    def adopt(self, plan: Plan) -> None:
        """Another declaration on the same machine: claims are kept."""
        self.plan = plan

    def nodes(self) -> list[Process | Task]:
        """All that the components yield, in plan order."""
        return [
            node
            for resource in self._resources()
            for node in _LOCAL[resource.kind].local(resource, self.plan, self.site)
        ]

    def process(self, name: str) -> Process:
        """The process of that name."""
        return next(node for node in self.nodes() if isinstance(node, Process) and node.name == name)

    def start(self, process: Process, seconds: float = 60.0) -> float:
        """Starts a process and waits until it is ready; seconds it took."""
        self.launch(process)
        began = time.monotonic()
        while not self.ready(process):
            log = Path(self.site.logs, process.name)
            assert self.running[process.name].poll() is None, f"{process.name} ended:\n{log.read_text()[-4000:]}"
            assert time.monotonic() - began < seconds, f"{process.name} is not ready:\n{log.read_text()[-4000:]}"
            time.sleep(0.02)
        return time.monotonic() - began

    def launch(self, process: Process) -> None:
        """Starts a process."""
        for directory in process.directories:
            Path(directory).mkdir(parents=True, exist_ok=True)
        for file in process.files:
            Path(file.path).write_text(plain(file.content))
        with Path(self.site.logs, process.name).open("ab") as log:
            self.running[process.name] = subprocess.Popen(
                process.argv,
                cwd=process.cwd,
                env={name: plain(value) for name, value in process.environment.items()},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ready(self, process: Process) -> bool:
        """Whether its probe passes now."""
        probe = process.probe
        assert isinstance(probe, ExchangeProbe)
        assert probe.tls is not None
        context = ssl.create_default_context(cafile=probe.tls.ca)
        context.load_cert_chain(probe.tls.certificate, probe.tls.key)
        host, port = probe.address.rsplit(":", 1)
        try:
            with (
                socket.create_connection((host, int(port)), 2) as plaintext,
                context.wrap_socket(plaintext, server_hostname=probe.tls.server_name) as connection,
            ):
                connection.sendall(plain(probe.send).encode("latin-1"))
                seen = ""
                while chunk := connection.recv(4096):
                    seen += chunk.decode("latin-1")
                    if re.search(probe.expect, seen):
                        return True
                    connection.settimeout(0.1)  # what did not match is rarely completed
        except OSError:
            pass
        return False

    def run(self, task: Task) -> str:
        """Runs a task; what it says it did."""
        if isinstance(task.action, Reconcile):
            module, function = task.action.function.split(":")
            answer = getattr(importlib.import_module(module), function)(task.action.input, lambda name: name)
            assert isinstance(answer, str)
            return answer
        return self._command(task.action)

    def up(self) -> dict[str, float]:
        """Everything in order; seconds by name."""
        took: dict[str, float] = {}
        waiting = self.nodes()
        while waiting:
            node = next(node for node in waiting if not self._needs(node, waiting))
            began = time.monotonic()
            if isinstance(node, Process):
                self.start(node)
            else:
                self.run(node)
            took[node.name] = time.monotonic() - began
            waiting.remove(node)
        return took

    def settle(self) -> list[str]:
        """Runs every task again that gives or takes away; what each says it did."""
        return [self.run(task) for task in self.reconcilers("needed", "settled")]

    def reconcilers(self, *when: str) -> list[Task]:
        """The tasks of these times that run in the task process."""
        tasks = [node for node in self.nodes() if isinstance(node, Task) and node.when in when]
        return [task for task in tasks if isinstance(task.action, Reconcile)]

    def renew(self) -> None:
        """Issues every leaf anew, as some hours later."""
        self.pki.leaves(self.leaves, dt.datetime.now(dt.UTC) + VALIDITY / 2)

    def down(self) -> None:
        """Stops all, the last started first."""
        for name in reversed(list(self.running)):
            self.stop(name)

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends one process."""
        process = self.running.pop(name)
        if process.poll() is None:
            os.killpg(process.pid, number)
        process.wait(30)

    def rss_mib(self, name: str) -> int:
        """The memory a process occupies."""
        status = Path(f"/proc/{self.running[name].pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found
        return int(found[1]) // 1024

    def log(self, name: str) -> str:
        """All that a process said."""
        return Path(self.site.logs, name).read_text()

    def foreign_leaf(self) -> Leaf:
        """See ``Bench``."""
        foreign = self._issue(Pki(self.folder / "foreign", PLATFORM), "catalog")
        return replace(foreign, ca=self.pki.authorities()["services"])

    def stranger_leaf(self) -> Leaf:
        """See ``Bench``."""
        return self.pretending("stranger")

    def pretending(self, name: str) -> Leaf:
        """A valid leaf of a service of that name."""
        return self._issue(self.pki, name)

    def service_leaf(self, service: str) -> Leaf:
        """See ``Bench``."""
        return self.site.leaves[service]

    def _issue(self, pki: Pki, service: str) -> Leaf:
        with self.issuing:
            return pki.issue(_of_service(service), self.folder / f"leaf-{next(self.serials)}")

    def _resources(self) -> list[Resource]:
        return [resource for resource in self.plan.resources if resource.kind in _LOCAL]

    def _site(self, claims: list[Claim]) -> Site:
        ports = {claim.name: (claim.host, _free_port(claim.host)) for claim in claims if isinstance(claim, PortClaim)}
        self.leaves += [claim for claim in claims if isinstance(claim, LeafClaim)]
        self.leaves += [_of_service(service.name) for service in self.plan.of_kind("service")]
        return Site(
            root=str(self.folder),
            data=str(self.folder / "data"),
            scratch=str(self.folder / "scratch"),
            sockets=str(self.folder / "sockets"),
            logs=str(self.folder / "logs"),
            secrets=str(self.folder / "secrets"),
            cache=str(self.cache),
            ports=ports,
            leaves=self.pki.leaves(self.leaves),
            tools=self.tools,
        )

    def _command(self, action: Command) -> str:
        if action.produces and Path(action.produces).exists():
            return "it was there"
        temporary = f"{action.produces}.{os.getpid()}"
        argv = [argument.replace("{produces}", temporary) for argument in action.argv]
        environment = {name: plain(value) for name, value in action.environment.items()}
        done = subprocess.run(argv, cwd=action.cwd, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        Path(temporary).rename(action.produces)
        return "made"

    def _needs(self, node: Process | Task, waiting: list[Process | Task]) -> bool:
        names = {other.name for other in waiting} | {f"resource:{other.resource}" for other in waiting}
        return any(name in names for name in node.after)


def _of_service(name: str) -> LeafClaim:
    return LeafClaim(name, name, service_identity(PLATFORM, name), unit="service")


def _free_port(host: str) -> int:
    with socket.socket() as listener:
        listener.bind((host, 0))
        port = listener.getsockname()[1]
        assert isinstance(port, int)
        return port


@dataclass(frozen=True)
class Here:
    """``Where`` on that machine, for what a binding of Kafka asks."""

    site: Site

    def address(self, resource: Resource, port: str) -> tuple[str, int]:
        """The first member."""
        return self.addresses(resource, port)[0]

    def addresses(self, resource: Resource, port: str) -> tuple[tuple[str, int], ...]:
        """All members."""
        return tuple(self.site.ports[f"{member.name}/{port}"] for member in resource.members)

    def leaf(self, service: str, resource: Resource) -> Leaf:
        """The service's own."""
        return self.site.leaves[service]


def installed() -> tuple[Mapping[str, Installation], Path]:
    """The programs, and the folder where they keep what is made once for a machine."""
    cache = default_cache(os.environ)
    return Toolchain(cache, Silent()).obtain([JAVA, APACHE_KAFKA]), cache

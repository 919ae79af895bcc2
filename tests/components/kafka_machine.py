"""One Kafka platform started by hand from what its components say, so that they can be proved without the engine."""

from __future__ import annotations

import datetime
import importlib
import ipaddress
import itertools
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
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
    ToolClaim,
)
from greenfield.model.plan import Edge, Plan, Resource, service_identity
from greenfield.model.tool import Installation

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


class Authority:
    """A certificate authority in memory, its leaves in ``folder``."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = _certificate(subject, subject, self.key)
        self.certificate = (
            builder.add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(usage, True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
            .sign(self.key, hashes.SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.bundle = folder / f"{name}-ca.crt"
        self.bundle.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, claim: LeafClaim) -> Leaf:
        """A leaf as the claim says."""
        key = ec.generate_private_key(ec.SECP256R1())
        pairs = [
            (NameOID.ORGANIZATION_NAME, PLATFORM),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, claim.unit),
            (NameOID.COMMON_NAME, claim.common_name),
        ]
        subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(claim.identity)]
        names += [x509.IPAddress(ipaddress.ip_address(host)) for host in claim.hosts]
        names += [x509.DNSName(name) for name in claim.dns]
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH] + ([ExtendedKeyUsageOID.SERVER_AUTH] if claim.hosts else [])
        certificate = (
            _certificate(subject, self.certificate.subject, key)
            .add_extension(x509.SubjectAlternativeName(names), False)
            .add_extension(x509.ExtendedKeyUsage(usages), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
            .sign(self.key, hashes.SHA256())
        )
        return self._write(claim.name, key, certificate)

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> Leaf:
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = certificate.public_bytes(serialization.Encoding.PEM)
        stem = self.folder / f"{self.name}-{name}"
        contents = {".crt": public, ".key": secret, ".pem": secret + public}
        for suffix, content in contents.items():
            stem.with_suffix(suffix).write_bytes(content)
        paths = [str(stem.with_suffix(suffix)) for suffix in contents]
        return Leaf(str(self.bundle), *paths)


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


@dataclass
class Machine:
    """Claims fulfilled, processes by name. It is the ``Bench`` of the proofs, too."""

    plan: Plan
    folder: Path
    tools: Mapping[str, Installation]
    cache: Path
    site: Site = field(init=False)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    serials: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        for name in ("data", "scratch", "sockets", "logs", "secrets"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.authorities = {name: Authority(self.folder / "pki", name) for name in ("services", "platform", "foreign")}
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
        """Runs every task again; what each says it did."""
        return [
            self.run(node) for node in self.nodes() if isinstance(node, Task) and isinstance(node.action, Reconcile)
        ]

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
        return replace(self._issue("foreign", "catalog"), ca=str(self.authorities["services"].bundle))

    def stranger_leaf(self) -> Leaf:
        """See ``Bench``."""
        return self._issue("services", "stranger")

    def service_leaf(self, service: str) -> Leaf:
        """See ``Bench``."""
        return self.site.leaves[service]

    def _issue(self, authority: str, service: str) -> Leaf:
        claim = LeafClaim(f"proof-{next(self.serials)}", service, service_identity(PLATFORM, service), unit="service")
        return self.authorities[authority].issue(claim)

    def _resources(self) -> list[Resource]:
        return [resource for resource in self.plan.resources if resource.kind in _LOCAL]

    def _site(self, claims: Iterable[Claim]) -> Site:
        ports: dict[str, tuple[str, int]] = {}
        leaves = {
            service.name: self.authorities["services"].issue(
                LeafClaim(service.name, service.name, service.identity, unit="service")
            )
            for service in self.plan.of_kind("service")
        }
        for claim in claims:
            if isinstance(claim, PortClaim):
                ports[claim.name] = (claim.host, _free_port(claim.host))
            elif isinstance(claim, LeafClaim):
                leaves[claim.name] = self.authorities[claim.authority].issue(claim)
            else:
                assert isinstance(claim, ToolClaim)
        return Site(
            root=str(self.folder),
            data=str(self.folder / "data"),
            scratch=str(self.folder / "scratch"),
            sockets=str(self.folder / "sockets"),
            logs=str(self.folder / "logs"),
            secrets=str(self.folder / "secrets"),
            cache=str(self.cache),
            ports=ports,
            leaves=leaves,
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

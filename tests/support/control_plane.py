"""A real Kubernetes control plane as plain processes on a loopback address of its own.

etcd and the API server, the controllers; the scheduler and kwok, whose nodes are fake: a pod of theirs is Running and
Ready as soon as it is scheduled, a Job's is Completed, a claim is bound, and nothing ever runs. TLS and mutual
authentication everywhere, RBAC, the default admission plugins: so namespaces' Pod Security labels are obeyed.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from support.cluster_certificates import DAY, Authority, Certificate
from support.kubernetes_tools import (
    APISERVER,
    CONTROLLERS,
    ETCD,
    KUBECTL,
    KUBERNETES,
    KWOK,
    KWOK_STAGES,
    SCHEDULER,
    built,
)
from support.platform import wait_for

Object = dict[str, Any]

ZONES = ("eu-1", "eu-2", "eu-3")
NODES_PER_ZONE = 2
ZONE = "topology.kubernetes.io/zone"
PORT = 6443
START_S = 180.0  # of a machine that has other things to do; a quiet one needs seconds
GUARD = Path(__file__).parent / "guard.py"
APPLY = "application/apply-patch+yaml"
_STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast", "volume/fast")


@dataclass
class Processes:
    """Programs that end with this test run, each with its log in ``folder``."""

    folder: Path
    pids: dict[str, int] = field(default_factory=dict)
    _guard: subprocess.Popen[str] | None = None

    def start(self, name: str, *argv: str) -> None:
        """Starts a program."""
        if self._guard is None:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                start_new_session=True,
            )  # fmt: skip
        assert self._guard.stdin is not None
        assert self._guard.stdout is not None
        self._guard.stdin.write(json.dumps({"argv": argv, "log": str(self.log(name))}) + "\n")
        self._guard.stdin.flush()
        self.pids[name] = int(self._guard.stdout.readline())

    def log(self, name: str) -> Path:
        """What a program says."""
        return self.folder / f"{name}.log"

    def check(self) -> None:
        """Fails with a program's last words where it has ended."""
        for name, pid in self.pids.items():
            if not alive(pid):
                raise AssertionError(f"{name} ended:\n{self.log(name).read_text()[-3000:]}")

    def close(self) -> None:
        """Ends all of them."""
        if self._guard is not None:
            with self._guard as guard:
                assert guard.stdin is not None
                guard.stdin.close()
                guard.wait(30)
        assert not any(alive(pid) for pid in self.pids.values())


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@dataclass
class Cluster:
    """A running control plane. ``kubeconfig`` is its administrator's."""

    folder: Path
    address: str
    authority: Authority
    kubeconfig: Path
    processes: Processes
    client: httpx.Client

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.address}:{PORT}"

    def kubeconfig_of(self, user: str, *groups: str, valid: dt.timedelta = DAY) -> Path:
        """A kubeconfig for a user of these groups; what they may do is for RBAC to say. ``valid`` may be past."""
        leaf = self.authority.leaf(user, groups, valid=valid)
        return self.authority.kubeconfig(self.folder / f"{user}.kubeconfig", self.server, user, leaf)

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """What kubectl prints, given ``text`` on standard input; it must succeed."""
        program = built(KUBECTL)[KUBECTL.name].programs["kubectl"]
        done = subprocess.run(
            [program, *arguments], input=text, capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
        )  # fmt: skip
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}"
        return done.stdout

    def get(self, path: str, **query: str) -> Any:
        """The JSON at a path of the API; httpx' error where it is refused."""
        answer = self.client.get(path, params=query)
        answer.raise_for_status()
        return answer.json()

    def apply(self, path: str, manifest: Mapping[str, Any], manager: str = "tests") -> Object:
        """Applies one object at its path by the server, strictly; fails with the server's words."""
        answer = self.client.patch(
            path,
            params={"fieldManager": manager, "force": "true", "fieldValidation": "Strict"},
            headers={"content-type": APPLY},
            content=json.dumps(manifest),
        )
        assert answer.is_success, answer.text
        applied: Object = answer.json()
        return applied

    def lose_zone(self, zone: str) -> None:
        """A zone's nodes are gone, and their pods, as the garbage collector would find a minute later."""
        for node in self.get("/api/v1/nodes", labelSelector=f"{ZONE}={zone}")["items"]:
            name = node["metadata"]["name"]
            self.client.delete(f"/api/v1/nodes/{name}").raise_for_status()
            for pod in self.get("/api/v1/pods", fieldSelector=f"spec.nodeName={name}")["items"]:
                place = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
                self.client.delete(place, params={"gracePeriodSeconds": "0"})

    def bring_zone(self, zone: str) -> None:
        """A zone's nodes are there, and ready."""
        for number in range(1, NODES_PER_ZONE + 1):
            node = _node(zone, number)
            answer = self.client.post("/api/v1/nodes", json=node)
            assert answer.is_success or answer.status_code == httpx.codes.CONFLICT, answer.text
        wait_for(f"nodes of {zone}", lambda: self._ready_nodes(zone) == NODES_PER_ZONE, START_S)

    def _ready_nodes(self, zone: str) -> int:
        self.processes.check()
        nodes = self.get("/api/v1/nodes", labelSelector=f"{ZONE}={zone}")["items"]
        conditions = [each for node in nodes for each in node["status"].get("conditions", [])]
        return sum((each["type"], each["status"]) == ("Ready", "True") for each in conditions)


def _node(zone: str, number: int) -> Object:
    name = f"{zone}-node-{number}"
    labels = {ZONE: zone, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    room = {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "200Gi"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"allocatable": room, "capacity": room, "nodeInfo": {"kubeletVersion": KUBERNETES}},
    }


@contextmanager
def running(folder: Path, *, nodes: bool = True) -> Iterator[Cluster]:
    """A control plane in a new ``folder``, with nodes in three zones or without scheduler and nodes.

    The asking test is skipped where the programs are not in the cache.
    """
    wanted = (ETCD, APISERVER, CONTROLLERS, KUBECTL, *((SCHEDULER, KWOK, KWOK_STAGES) if nodes else ()))
    tools = built(*wanted)
    folder.mkdir()
    address = _own_address()
    authority = Authority(folder / "pki")
    processes = Processes(folder)
    admin = authority.leaf("admin", ["system:masters"])
    kubeconfig = authority.kubeconfig(folder / "admin.kubeconfig", f"https://{address}:{PORT}", "admin", admin)
    try:
        with _client(address, authority, admin) as client:
            cluster = Cluster(folder, address, authority, kubeconfig, processes, client)
            plane = _Plane(
                cluster, {name: next(iter(tool.programs.values()), tool.root) for name, tool in tools.items()}
            )
            plane.start()
            if nodes:
                plane.start_nodes()
            yield cluster
    finally:
        processes.close()


def _own_address() -> str:
    """A loopback address where nobody listens: every program there may keep its usual port."""
    while True:
        address = f"127.{random.randint(64, 254)}.{random.randint(0, 254)}.{random.randint(1, 254)}"
        try:
            for port in (PORT, 2379, 10257, 10259):
                socket.create_server((address, port)).close()
        except OSError:
            continue
        return address


def _client(address: str, authority: Authority, admin: Certificate) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(authority.bundle))
    context.load_cert_chain(admin.certificate, admin.key)
    return httpx.Client(base_url=f"https://{address}:{PORT}", verify=context, timeout=30)


@dataclass(frozen=True)
class _Plane:
    """Starts the programs of a cluster; ``programs`` are their paths."""

    cluster: Cluster
    programs: Mapping[str, str]

    def start(self) -> None:
        """etcd, the API server, the controllers; returns when a namespace gets its service account."""
        cluster = self.cluster
        served = cluster.authority.leaf("control-plane", addresses=[cluster.address, "127.0.0.1", "10.96.0.1"])
        accounts = cluster.authority.signing_key()
        cluster.processes.start("etcd", self.programs[ETCD.name], *self._etcd(served))
        cluster.processes.start("kube-apiserver", self.programs[APISERVER.name], *self._apiserver(served, accounts))
        wait_for("the API server", lambda: self._says_ready("/readyz"), START_S)
        self._ask(
            CONTROLLERS.name, 10257, "--use-service-account-credentials", "--kube-api-qps=200", "--kube-api-burst=400",
            f"--service-account-private-key-file={accounts[0]}", f"--root-ca-file={cluster.authority.bundle}",
        )  # fmt: skip
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        wait_for("the controllers", lambda: self._says_ready(account), START_S)

    def start_nodes(self) -> None:
        """The scheduler, and kwok with ready nodes in every zone and a default storage class."""
        cluster = self.cluster
        self._ask(SCHEDULER.name, 10259, "--kube-api-qps=200", "--kube-api-burst=400")
        stages, classes = _stages(Path(self.programs[KWOK_STAGES.name]))
        config = cluster.folder / "stages.yaml"
        config.write_text(yaml.safe_dump_all(stages))
        cluster.processes.start(
            KWOK.name, self.programs[KWOK.name], f"--kubeconfig={cluster.kubeconfig}", f"--config={config}",
            "--manage-all-nodes", "--node-ip=10.64.0.1", "--cidr=10.65.0.0/16", "--node-lease-duration-seconds=40",
        )  # fmt: skip
        for each in classes:
            cluster.apply(f"/apis/storage.k8s.io/v1/storageclasses/{each['metadata']['name']}", each)
        for zone in ZONES:
            cluster.bring_zone(zone)

    def _says_ready(self, path: str) -> bool:
        self.cluster.processes.check()
        try:
            return self.cluster.client.get(path).is_success
        except httpx.TransportError:
            return False

    def _ask(self, name: str, port: int, *flags: str) -> None:
        """Starts a program of the control plane that asks the API server under its own name."""
        cluster, user = self.cluster, f"system:{name}"
        leaf = cluster.authority.leaf(user)
        kubeconfig = cluster.authority.kubeconfig(cluster.folder / f"{name}.kubeconfig", cluster.server, user, leaf)
        cluster.processes.start(
            name, self.programs[name], f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--profiling=false",
            f"--bind-address={cluster.address}", f"--secure-port={port}", f"--cert-dir={cluster.folder / name}", *flags,
        )  # fmt: skip

    def _etcd(self, served: Certificate) -> Sequence[str]:
        cluster = self.cluster
        clients, peers = f"https://{cluster.address}:2379", f"https://{cluster.address}:2380"
        return (
            f"--data-dir={cluster.folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn", "--name=default",
            f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}", "--client-cert-auth",
            f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}", "--peer-client-cert-auth",
            f"--initial-cluster=default={peers}", f"--trusted-ca-file={cluster.authority.bundle}",
            f"--cert-file={served.certificate}", f"--key-file={served.key}",
            f"--peer-trusted-ca-file={cluster.authority.bundle}", f"--peer-cert-file={served.certificate}",
            f"--peer-key-file={served.key}",
        )  # fmt: skip

    def _apiserver(self, served: Certificate, accounts: tuple[Path, Path]) -> Sequence[str]:
        cluster = self.cluster
        key, public = accounts
        return (
            f"--etcd-servers=https://{cluster.address}:2379", f"--etcd-cafile={cluster.authority.bundle}",
            f"--etcd-certfile={served.certificate}", f"--etcd-keyfile={served.key}",
            f"--bind-address={cluster.address}", f"--secure-port={PORT}", f"--cert-dir={cluster.folder / 'apiserver'}",
            f"--tls-cert-file={served.certificate}", f"--tls-private-key-file={served.key}",
            f"--client-ca-file={cluster.authority.bundle}", "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-signing-key-file={key}",
            f"--service-account-key-file={public}", "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",  # a loopback address is no endpoint
            "--allow-privileged", "--profiling=false",
        )  # fmt: skip


def _stages(tree: Path) -> tuple[list[Object], list[Object]]:
    """What kwok does to nodes, pods and claims, of whatever storage class; and the storage classes that come along."""
    paths = [path for folder in _STAGES for path in sorted((tree / folder).glob("*.yaml"))]
    text = [path.read_text().replace("self.spec.storageClassName == 'kwok-volume'", "true") for path in paths]
    documents = [each for one in text for each in yaml.safe_load_all(one)]
    stages, classes = ([each for each in documents if each["kind"] == kind] for kind in ("Stage", "StorageClass"))
    return stages, classes

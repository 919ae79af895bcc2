"""What the firewall costs: on, detecting and off, beside plain nginx and a ModSecurity in nginx as anybody sets it up.

All of it runs at once, and every way is loaded for a moment in every round. The two that are not of a platform stand
before the gateway of the one without a firewall, HTTPS in and HTTPS out, with the same rules.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.load import Target, generator
from benchmarks.result import Result
from benchmarks.running import Running, copied
from benchmarks.ways import (
    GATEWAY,
    GENERATOR,
    PLATFORM,
    SERVICE,
    SIDECAR,
    Slice,
    Way,
    allowed,
    cost,
    interleaved,
    ratio,
)
from greenfield.components.waf.local import SERVER, readable
from greenfield.model.tool import Installation
from greenfield.programs.nginx import Entry, block, rendered
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.progress import Silent

ROUNDS, SECONDS = 15, 0.5
PATIENCE_S = 20.0
CALMEST = 0.2  # of the rounds, where processor time is compared: others who are busy here only add to it
FIREWALL, NGINX = "waf-0", "nginx"
MODES = ("off", "{mode: detect}", "on")
ASKED = "/api/answers/7"
POSTED = (
    "/api/answers",
    json.dumps({"number": 7, "words": "It's a gift -- thanks & regards, #4, to Ada O'Neil, 221B Baker Street"}),
)


@dataclass(frozen=True)
class Guarded:
    """A running platform with its firewall in some mode."""

    platform: Running
    mode: str

    @property
    def name(self) -> str:
        """As it is printed."""
        return f"waf {self.mode.removeprefix('{mode: ').removesuffix('}')}"

    def pids(self) -> dict[str, int]:
        """Whoever works on a request; of the firewall the worker, since its master does nothing."""
        pids = {row["name"]: row["pid"] for row in self.platform.status()["processes"]}
        names = [SERVICE, SIDECAR, GATEWAY]
        firewall = {FIREWALL: worker(pids[FIREWALL])} if FIREWALL in pids else {}
        return {**{name: pids[name] for name in names}, **firewall}

    def target(self) -> Target:
        """The way in that people take."""
        host, port = self.platform.gateway()
        return Target(f"127.0.0.1:{port}", ASKED, host, ca=f"{self.platform.paths.pki}/services-ca.crt")


def measure() -> Iterator[Result]:
    """A GET, and a small JSON that is posted: requests a second, and processor time for each by whom."""
    with generator() as load, platforms() as guarded, alone(guarded[0].platform) as besides:
        for name, asked in (("GET", (ASKED, "")), ("POST", POSTED)):
            path, body = asked
            ways = [Way(each.name, each.target(), each.pids()) for each in guarded]
            ways += besides
            ways = [replace(way, target=replace(way.target, path=path, body=body)) for way in ways]
            slices = interleaved(load, ways, ROUNDS, SECONDS)
            for way in ways:
                yield from _told(name, way.name, slices)
            yield from _compared(name, slices)


def _told(name: str, way: str, slices: Mapping[str, list[Slice]]) -> Iterator[Result]:
    found = slices[way]
    yield Result("waf", f"{name}, {way}", statistics.median(each.per_second for each in found), "requests/s")
    cores = os.cpu_count() or 1
    yield Result("waf", f"{name}, {way}, as CPU allows", allowed(found, cores), "requests/s")
    for worker_name in found[0].cost_us:
        if worker_name != GENERATOR:
            yield Result("waf", f"{name}, {way}: CPU of {worker_name}", cost(found, worker_name), "us/request")


def _compared(name: str, slices: Mapping[str, list[Slice]]) -> Iterator[Result]:
    """Ours must not cost more than anybody's."""
    ours = cost(slices["waf on"], FIREWALL, calmest=CALMEST)
    theirs = cost(slices[STOCK], NGINX, calmest=CALMEST)
    yield Result("waf", f"{name}, CPU of ours over stock ModSecurity", ours / theirs, "ratio", 1.1)
    yield Result("waf", f"{name}, throughput, on over off", ratio(slices, "waf on", "waf off"), "ratio")
    yield Result("waf", f"{name}, one core of the firewall", 1e6 / ours, "requests/s")


@contextmanager
def platforms() -> Iterator[tuple[Guarded, ...]]:
    """The same platform once for each mode, without telemetry; all run."""
    with ExitStack() as stack:
        found = tuple(Guarded(stack.enter_context(copied(PLATFORM)), mode) for mode in MODES)
        for number, each in enumerate(found):
            file = each.platform.file
            text = file.read_text().replace("telemetry: {sample: 0.01}", "telemetry: off")
            text = text.replace("name: one", f"name: one-{number}")
            file.write_text(text.replace("host: one.localhost", f"host: one.localhost\n  waf: {each.mode}"))
            each.platform.greenfield("up", "-d")
        yield found


def worker(master: int) -> int:
    """The one worker of an nginx."""
    (pid,) = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return int(pid)


# --- without a platform ---------------------------------------------------------------------------------------------

PLAIN, STOCK = "nginx with TLS", "nginx with TLS and ModSecurity"
_STOCK = """\
SecRuleEngine On
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:200001,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 131072
SecResponseBodyAccess Off
SecTmpDir {folder}
SecDataDir {folder}
SecUnicodeMapFile {unicode} 20127
SecAuditEngine Off
SecDefaultAction "phase:1,log,noauditlog,pass"
SecDefaultAction "phase:2,log,noauditlog,pass"
SecAction "id:900990,phase:1,pass,nolog,setvar:tx.crs_setup_version=4000"
Include {rules}/*.conf
"""


@contextmanager
def alone(platform: Running) -> Iterator[list[Way]]:
    """Two nginx of one process each before the platform's gateway, with the platform's certificate."""
    pids = {row["name"]: row["pid"] for row in platform.status()["processes"]}
    behind = {name: pids[name] for name in (SERVICE, SIDECAR, GATEWAY)}
    with ExitStack() as stack:
        ways = []
        for name in (PLAIN, STOCK):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="greenfield-bench-")))
            port = _free_port()
            running = _started(folder, _configured(folder, platform, port, guarded=name == STOCK))
            stack.callback(running.wait)
            stack.callback(running.terminate)
            target = Target(f"127.0.0.1:{port}", ASKED, "one.localhost", ca=f"{platform.paths.pki}/services-ca.crt")
            ways.append(Way(name, target, {NGINX: running.pid, **behind}))
        yield ways


def _configured(folder: Path, platform: Running, port: int, *, guarded: bool) -> str:
    """The least that does the same: HTTPS in, HTTPS out over connections that are kept."""
    installed, rules = _installed(), readable(str(default_cache(os.environ)))
    tree, (host, gateway) = Path(installed.root), platform.gateway()
    edge = platform.paths.pki / "gateway"
    engine = _STOCK.format(folder=folder, unicode=tree / "etc/nginx/unicode.mapping", rules=rules)
    (folder / "engine.conf").write_text(engine)
    with_engine: list[Entry] = [("modsecurity", "on"), ("modsecurity_rules_file", f"{folder}/engine.conf")]
    folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    entries: list[Entry] = [
        *([("load_module", installed.programs["modsecurity"])] if guarded else []),
        ("daemon", "off"),
        ("master_process", "off"),
        ("pid", f"{folder}/nginx.pid"),
        ("error_log", "stderr", "warn"),
        block(("events",), ("worker_connections", "1024")),
        block(
            ("http",),
            *((f"{each}_temp_path", f"{folder}/{each}") for each in folders),
            ("access_log", "off"),
            ("keepalive_requests", "1000000"),
            block(("upstream", "gateway"), ("server", f"127.0.0.1:{gateway}"), ("keepalive", "64")),
            block(
                ("server",),
                ("listen", f"127.0.0.1:{port}", "ssl"),
                ("ssl_certificate", f"{edge}/tls.crt"),
                ("ssl_certificate_key", f"{edge}/tls.key"),
                *(with_engine if guarded else []),
                block(
                    ("location", "/"),
                    ("proxy_pass", "https://gateway"),
                    ("proxy_ssl_server_name", "on"),
                    ("proxy_ssl_name", host),
                    ("proxy_http_version", "1.1"),
                    ("proxy_set_header", "Connection", ""),
                    ("proxy_set_header", "Host", "$host"),
                ),
            ),
        ),
    ]
    return rendered(entries)


def _started(folder: Path, configuration: str) -> subprocess.Popen[bytes]:
    """One that listens: it makes its file with its pid after that."""
    installed = _installed()
    (folder / "nginx.conf").write_text(configuration)
    line = [installed.programs["nginx"], "-e", "stderr", "-c", f"{folder}/nginx.conf"]
    running = subprocess.Popen(line, env={**os.environ, **installed.environment})
    deadline = time.monotonic() + PATIENCE_S
    while not (folder / "nginx.pid").exists():
        if running.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("an nginx does not start")
        time.sleep(0.02)
    return running


def _installed() -> Installation:
    return Toolchain(default_cache(os.environ), Silent()).obtain([SERVER])[SERVER.name]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])

"""Ways to one service: on its own socket, through its sidecar, through gateway and sidecar; with telemetry and without.

Two platforms run beside each other, the same but for telemetry. Every way is loaded for a moment in every round, so
that whatever else this machine does meets all of them alike.
"""

from __future__ import annotations

import resource
import statistics
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Generator, Target
from benchmarks.running import Running, copied
from greenfield.model.binding import Leaf

PLATFORM = Path(__file__).parent / "platforms" / "one"
PATH = "/api/answers/7"
SERVICE, SIDECAR, GATEWAY = "answers-0", "answers-0-sidecar", "gateway-0"
GENERATOR = "load generator"


@dataclass(frozen=True)
class Way:
    """A way to the service, and the pids of whoever works on it."""

    name: str
    target: Target
    workers: Mapping[str, int]


@dataclass(frozen=True)
class Slice:
    """One moment's load: answers a second, and microseconds of processor time for each answer by worker."""

    per_second: float
    cost_us: Mapping[str, float]


@dataclass(frozen=True)
class Ends:
    """The ends of one running platform."""

    platform: Running
    telemetry: str

    def ways(self) -> Iterator[Way]:
        """From the shortest to the whole."""
        rows = {row["name"]: row for row in self.platform.status()["processes"]}
        pids = {name: row["pid"] for name, row in rows.items()}
        own = Target(rows[SERVICE]["address"], PATH)
        host, port = self.platform.gateway()
        beside = Target(rows[SIDECAR]["address"], PATH, leaf=self.leaf("gateway"))
        whole = Target(f"127.0.0.1:{port}", PATH, host, ca=f"{self.platform.paths.pki}/services-ca.crt")
        named = f"telemetry {self.telemetry}"
        yield Way(f"service alone, {named}", own, _those(pids, SERVICE))
        yield Way(f"sidecar, {named}", beside, _those(pids, SERVICE, SIDECAR))
        yield Way(f"gateway and sidecar, {named}", whole, _those(pids, SERVICE, SIDECAR, GATEWAY))

    def leaf(self, name: str) -> Leaf:
        """A certificate of the platform."""
        folder = f"{self.platform.paths.pki}/{name}"
        return Leaf(f"{folder}/ca.crt", f"{folder}/tls.crt", f"{folder}/tls.key", f"{folder}/tls.pem")


def _those(pids: Mapping[str, int], *names: str) -> dict[str, int]:
    return {name: pids[name] for name in names}


@contextmanager
def both_ends() -> Iterator[tuple[Ends, Ends]]:
    """The platform without telemetry, and with 1 % of its traces kept; both run."""
    with ends("off", "at 1 %") as (off, on):
        yield off, on


TELEMETRY = {"off": "off", "at 1 %": "{sample: 0.01}", "at 1 %, all begun": "{sample: 0.01, begin: 1.0}"}
"""What is declared of it, by the name of the end."""


@contextmanager
def ends(*names: str) -> Iterator[tuple[Ends, ...]]:
    """The same platform once for each name, the same but for its telemetry; all run."""
    with ExitStack() as stack:
        found = tuple(Ends(stack.enter_context(copied(PLATFORM)), name) for name in names)
        for number, end in enumerate(found):
            text = end.platform.file.read_text()
            declared = f"telemetry: {TELEMETRY[end.telemetry]}"
            text = text.replace("telemetry: {sample: 0.01}", declared).replace("name: one", f"name: one-{number}")
            end.platform.file.write_text(text)
        for end in found:
            end.platform.greenfield("up", "-d")
        yield found


def interleaved(generator: Generator, ways: Iterable[Way], rounds: int, seconds: float) -> dict[str, list[Slice]]:
    """A slice of load on each way in each round, after one that is not counted; every other round backwards."""
    ways = list(ways)
    for way in ways:
        generator.run(way.target, seconds)
    found: dict[str, list[Slice]] = {way.name: [] for way in ways}
    for number in range(rounds):
        for way in ways if number % 2 else reversed(ways):
            found[way.name].append(_slice(generator, way, seconds))
    return found


def ratio(slices: Mapping[str, list[Slice]], way: str, over: str) -> float:
    """Throughput of one way over another's: the median of what each round had side by side."""
    pairs = zip(slices[way], slices[over], strict=True)
    return statistics.median(one.per_second / other.per_second for one, other in pairs)


def cost(slices: list[Slice], worker: str, *, calmest: float = 0.5) -> float:
    """Microseconds of processor time that a worker has with each answer: the median of all rounds.

    Others on the machine only ever add to it, by caches that are cold: of a smaller share of the rounds than half, the
    calmest, less of that is left.
    """
    found = sorted(each.cost_us[worker] for each in slices)
    return statistics.median(found) if calmest == 0.5 else found[int(len(found) * calmest)]


def allowed(slices: list[Slice], cores: int, *, calmest: float = 0.5) -> float:
    """Requests a second that the processor time of a way allows on a machine that does nothing else.

    Each worker runs on one core at a time, and all of them on those there are.
    """
    costs = [cost(slices, worker, calmest=calmest) for worker in slices[0].cost_us]
    return 1e6 / max(*costs, sum(costs) / cores)


def _slice(generator: Generator, way: Way, seconds: float) -> Slice:
    before = {name: busy_s(pid) for name, pid in way.workers.items()}
    begun = _children_s()
    met = generator.run(way.target, seconds)
    spent = {name: busy_s(pid) - before[name] for name, pid in way.workers.items()}
    spent[GENERATOR] = _children_s() - begun
    if met.failures or not met.answered:
        raise RuntimeError(f"{way.name}: {dict(met.failures)}")
    return Slice(met.per_second, {name: each / met.answered * 1e6 for name, each in spent.items()})


def busy_s(pid: int) -> float:
    """Processor time of all threads, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime

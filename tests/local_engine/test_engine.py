"""What the engine does with a graph, on real processes."""

from __future__ import annotations

import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from greenfield.errors import PlatformError
from greenfield.model.local import Command, Endpoint, EndpointsFile, File, HttpProbe, Process, Reconcile, Task
from greenfield.targets.local.paths import make_folders
from support.engine import Rig, free_port
from support.platform import kill, wait_for

pytestmark = pytest.mark.e2e


def said(port: int) -> str:
    """What a server answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        return str(answer.read().decode())


def touch(rig: Rig, name: str, **changes: Any) -> Task:
    """A task that leaves a line in a file named as it is."""
    words = {"argv": ("/bin/sh", "-c", f"echo done >> {rig.root}/{name}"), "environment": {}, "cwd": str(rig.root)}
    return Task(**{"name": name, "resource": name, "action": Command(**words), **changes})  # type: ignore[arg-type]


def test_everything_starts_after_what_it_needs(rig: Rig) -> None:
    """The chain that decided is told, and each link came after the one before."""
    first, second = free_port(), free_port()
    done = rig.up(
        rig.server("b", second, after=("made",)), touch(rig, "made", after=("resource:a",)), rig.server("a", first)
    )
    assert done["ok"], done
    assert [step["name"] for step in done["critical_path"]] == ["a", "made", "b"]
    assert done["status"]["state"] == "ready"


def test_a_second_reconcile_changes_nothing(rig: Rig) -> None:
    """Same graph, same pid, no task run again."""
    port = free_port()
    nodes = (rig.server("a", port), touch(rig, "made"))
    rig.up(*nodes)
    before = rig.pid("a")
    assert rig.up(*nodes)["ok"]
    assert rig.pid("a") == before
    assert (rig.root / "made").read_text() == "done\n"


def test_a_task_runs_again_only_when_it_changed(rig: Rig) -> None:
    """What makes something runs once; the rest once for each input."""
    product = rig.root / "product"
    make = Command(argv=("/bin/sh", "-c", "mkdir {produces}"), environment={}, cwd=str(rig.root), produces=str(product))
    rig.up(touch(rig, "made"), Task(name="init", resource="x", action=make))
    assert product.is_dir()
    again = msgspec.structs.replace(make, argv=("/bin/sh", "-c", "exit 1"))
    assert rig.up(touch(rig, "made", timeout_s=59.0), Task(name="init", resource="x", action=again))["ok"]
    assert (rig.root / "made").read_text() == "done\ndone\n"


def test_what_is_taken_away_goes_after_who_had_it(rig: Rig) -> None:
    """A settled task runs when the removed process is gone."""
    port = free_port()
    words = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/')"
    gone = Command(argv=("/bin/sh", "-c", f'! {rig.python} -c "{words}"'), environment={}, cwd="/")
    rig.up(rig.server("a", port))
    done = rig.up(Task(name="revoke", resource="a", action=gone, when="settled"))
    assert done["ok"], done
    assert rig.rows() == {}


def test_one_that_exits_at_once_is_explained(rig: Rig) -> None:
    """Its last words, and a hint; the others run on."""
    port = free_port()
    broken = rig.server("broken", free_port(), argv=("/bin/sh", "-c", "echo no module named shop; exit 3"))
    done = rig.up(rig.server("good", port), broken)
    assert not done["ok"]
    (failure,) = done["failures"]
    assert failure["name"] == "broken"
    assert "exited with code 3" in failure["message"]
    assert failure["log"][-1] == "no module named shop"
    assert "greenfield logs broken" in failure["hint"]
    assert rig.rows()["good"]["ready"]
    assert rig.supervisor.status()["state"] == "degraded"


def test_one_that_never_becomes_ready_is_explained(rig: Rig) -> None:
    """The probe that never passed is named."""
    port = free_port()
    slow = rig.server("slow", port, start_timeout_s=1.0, probe=HttpProbe(address=f"127.0.0.1:{port}", path="/x"))
    slow = msgspec.structs.replace(slow, argv=("/bin/sleep", "60"))
    (failure,) = rig.up(slow)["failures"]
    assert "not ready within 1 s" in failure["message"]
    assert "refused" in failure["message"]


def test_a_program_that_is_not_there_is_explained(rig: Rig) -> None:
    """It cannot be started, and says why."""
    (failure,) = rig.up(rig.server("a", free_port(), argv=("/no/such/program",)))["failures"]
    assert "No such file" in failure["message"]


def test_a_failed_process_is_mended_by_the_next_reconcile(rig: Rig) -> None:
    """And what waited for it starts."""
    port, other = free_port(), free_port()
    rig.up(rig.server("a", port, argv=("/bin/false",)), rig.server("b", other, after=("a",)))
    done = rig.up(rig.server("a", port), rig.server("b", other, after=("a",)))
    assert done["ok"], done
    assert rig.rows()["b"]["ready"]


def test_a_killed_process_comes_back(rig: Rig) -> None:
    """Another pid, one restart more."""
    port = free_port()
    rig.up(rig.server("a", port))
    before = rig.pid("a")
    kill(before)
    wait_for("another process", lambda: ready_again(rig.rows()["a"], before))
    assert rig.rows()["a"]["restarts"] == 1


def ready_again(row: dict[str, Any], before: int) -> dict[str, Any] | None:
    """The row, once it is another process and ready."""
    return row if row["ready"] and row["pid"] != before else None


def test_a_killed_process_leaves_no_child_that_hides_its_environment(rig: Rig) -> None:
    """Such a one would keep the port: nginx's workers write their titles over what they were given."""
    port = free_port()
    plain = rig.server("web", port)
    script = 'env -i "$@" & wait'  # the child listens, the parent is the process
    process = msgspec.structs.replace(plain, argv=("/bin/sh", "-c", script, "sh", *plain.argv))
    rig.up(process)
    killed, child = rig.pid("web"), said(port)
    kill(killed)
    wait_for("another process", lambda: ready_again(rig.rows()["web"], killed))
    assert said(port) != child


def test_only_the_changed_file_asks_for_something(rig: Rig) -> None:
    """Nothing: written. Reload: signalled. Restart: another process."""
    port = free_port()
    trap = (
        f"trap 'echo reloaded >> {rig.root}/seen' HUP; {rig.python} -S -c '{SLEEP}' {port} & while true; do wait; done"
    )

    def process(quiet: str, loud: str, deep: str) -> Process:
        files = (
            File(path=f"{rig.root}/quiet", content=(quiet,), on_change="nothing"),
            File(path=f"{rig.root}/loud", content=(loud,), on_change="reload"),
            File(path=f"{rig.root}/deep", content=(deep,)),
        )
        return rig.server("a", port, argv=("/bin/sh", "-c", trap), files=files, reload_signal="SIGHUP")

    rig.up(process("1", "1", "1"))
    before = rig.pid("a")
    rig.up(process("2", "1", "1"))
    assert (rig.root / "quiet").read_text() == "2"
    assert not (rig.root / "seen").exists()
    rig.up(process("2", "2", "1"))
    wait_for("the reload", (rig.root / "seen").exists)
    assert rig.pid("a") == before
    rig.up(process("2", "2", "2"))
    assert rig.pid("a") != before


SLEEP = """
import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen()
while True: s.accept()[0].close()
"""


def test_a_surge_never_leaves_the_endpoints_empty(rig: Rig) -> None:
    """The other slot is in before the old one is out; the old one ends."""
    ports = (free_port(), free_port())
    listing = rig.root / "endpoints"

    def pair() -> list[Process]:
        return [
            rig.server("a", port, slot=slot, turnover="surge", drain_s=0.2, cwd=str(rig.root))
            for slot, port in enumerate(ports)
        ]

    lines = tuple(Endpoint(process="a", slot=slot, text=str(port)) for slot, port in enumerate(ports))
    reader = rig.server("reader", free_port(), endpoints=(EndpointsFile(path=str(listing), endpoints=lines),))
    rig.up(*pair(), reader)
    wait_for("the first", lambda: listing.read_text() == str(ports[0]))
    rig.supervisor.restart(["a"], rig.events.append)
    assert listing.read_text() == str(ports[1])
    assert said(ports[1])
    assert rig.rows()["a"]["slot"] == 1
    rig.supervisor.restart(["a"], rig.events.append)
    assert listing.read_text() == str(ports[0])


def test_nobody_is_called_before_all_of_its_unit_is_ready(rig: Rig) -> None:
    """A sidecar that is ready is no endpoint while the program behind it has not even begun."""
    listing = rig.root / "endpoints"
    line = Endpoint(process="beside", slot=0, text="beside")
    reader = rig.server("reader", free_port(), endpoints=(EndpointsFile(path=str(listing), endpoints=(line,)),))
    look = Command(argv=("/bin/cp", str(listing), f"{rig.root}/seen"), environment={}, cwd=str(rig.root))
    between = Task(name="look", resource="look", action=look, after=("reader", "beside"))
    beside, program = rig.server("beside", free_port(), unit="pair"), rig.server("program", free_port(), unit="pair")
    done = rig.up(reader, beside, between, msgspec.structs.replace(program, after=("look",)))
    assert done["ok"], done
    assert (rig.root / "seen").read_text() == ""
    assert listing.read_text() == "beside"


def test_who_ignores_the_request_to_end_is_killed(rig: Rig) -> None:
    """After its grace, with all its children."""
    port = free_port()
    stubborn = f"trap '' TERM; {rig.python} -S -c '{SLEEP}' {port}"
    rig.up(rig.server("a", port, argv=("/bin/sh", "-c", stubborn), stop_grace_s=0.5))
    rig.supervisor.stop(rig.events.append)
    assert rig.alive() == []


def test_a_reconciler_runs_in_the_task_process_and_its_failure_is_told(rig: Rig) -> None:
    """A function that exists answers; one that raises is tried again, then explained."""
    good = Task(name="good", resource="x", action=Reconcile(function="os:getenv", input={}))
    bad = Task(name="bad", resource="x", action=Reconcile(function="json:loads", input={}), timeout_s=5.0)
    done = rig.up(good, bad)
    assert {failure["name"] for failure in done["failures"]} >= {"bad"}


def test_garbage_on_the_socket_harms_nothing(rig: Rig) -> None:
    """An answer says what was not understood; the next question is answered."""
    import socket

    rig.up(rig.server("a", free_port()))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(rig.paths.api))
        connection.sendall(b"\xff{]\n")
        assert b"not understood" in connection.makefile("rb").readline()
    assert rig.rows()["a"]["ready"]
    with pytest.raises(PlatformError, match="nope"):
        rig.supervisor.restart(["nope"], rig.events.append)


def test_a_supervisor_that_is_just_ending_is_replaced(rig: Rig) -> None:
    """It takes a connection and breaks it off, as one does whose guardian died a moment ago."""
    import socket

    make_folders(rig.paths)
    with socket.socket(socket.AF_UNIX) as ending:
        ending.bind(str(rig.paths.api))
        ending.listen()

        def end() -> None:
            ending.accept()[0].close()  # whether somebody is there
            ending.accept()[0].close()  # the question itself
            rig.paths.api.unlink()

        with ThreadPoolExecutor() as pool:
            done = pool.submit(end)
            assert rig.up(rig.server("a", free_port()))["ok"]
            done.result(timeout=5)


@pytest.mark.parametrize("victims", [("supervisor",), ("guardian",), ("guardian", "supervisor")])
def test_nothing_outlives_those_that_watch(rig: Rig, victims: tuple[str, ...]) -> None:
    """A shell with a background child, a session of its own and a daemon: all gone within three seconds."""
    port = free_port()
    wild = f"sleep 71 & setsid sleep 72 & (setsid sh -c 'sleep 73 &'); exec {rig.python} -S -c '{SLEEP}' {port}"
    rig.up(rig.server("a", port, argv=("/bin/sh", "-c", wild)))
    assert len(rig.alive()) >= 6
    state = msgspec.json.decode(rig.paths.state.read_bytes())
    for victim in victims:
        kill(state[victim]["pid"])
    wait_for("nothing to be left", lambda: not rig.alive(), 3.0)
    assert rig.up(rig.server("a", port))["ok"]


def test_the_state_is_private_and_tells_processes_for_good(rig: Rig) -> None:
    """0600; pid and start time of each process, as seen from here."""
    rig.up(rig.server("a", free_port()))
    pid = rig.pid("a")
    wait_for("the state", lambda: '"a"' in rig.paths.state.read_text())
    mark = msgspec.json.decode(rig.paths.state.read_bytes())["processes"]["a"]
    assert mark["pid"] == pid
    assert int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]) == mark["born"]
    assert rig.paths.state.stat().st_mode & 0o777 == 0o600

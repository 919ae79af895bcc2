"""Reading the logs of several processes as one: merged by the times their lines tell."""

from __future__ import annotations

import datetime as dt
import heapq
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

_POLL_S: Final = 0.1
_BLOCK: Final = 1 << 16
_WHERE_TIMES_STAND: Final = 200  # characters from the start of a line, JSON's first fields included

# 2026-11-24T04:49:26.123Z, 2026-11-24 04:49:26,123, 2026-11-24 04:49:26.123 UTC; MariaDB: 2026-11-24  4:49:26;
# Redis: 24 Nov 2026 04:49:26.123
_ISO: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ] ?(\d\d?):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\s?(Z|UTC|GMT|[+-]\d\d:?\d\d(?!\d))?"
)
_REDIS: Final = re.compile(r"(\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d)\.(\d{3})")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, order=True)
class Line:
    """One line. ``time`` in seconds of the epoch: its own, or that of the last line before it that told one."""

    time: float
    process: str
    text: str


def names(folder: Path) -> list[str]:
    """The processes and tasks that ever wrote a log here."""
    return sorted(path.stem for path in folder.glob("*.log"))


def chosen(wanted: str, known: Iterable[str]) -> list[str]:
    """The logs that a name stands for: its own, or those of all members of a service or resource."""
    pattern = re.compile(rf"{re.escape(wanted)}(-\d+(-.+)?)?")
    return [name for name in known if name == wanted or pattern.fullmatch(name)]


def last_lines(
    folder: Path, processes: Iterable[str], count: int | None, zone: dt.tzinfo | None = None
) -> Iterator[Line]:
    """The last ``count`` lines of each (None: all, what was rotated away included), merged by time.

    ``zone``: of times that tell none; the caller's own where it is None.
    """
    return heapq.merge(*(_timed(name, _tail(folder, name, count), zone) for name in processes))


def zone_of_programs() -> dt.tzinfo:
    """The machine's own: in it the platform's programs tell the time, because they are not given the caller's TZ."""
    try:
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return dt.UTC


def follow(
    folder: Path, select: Callable[[], Iterable[str]], wait: Callable[[float], object]
) -> Iterator[tuple[str, str]]:
    """Every whole line written from now on, as process and text, until ``wait`` raises.

    ``select`` names the logs anew each time, so that a process that appears later is heard too.
    """
    offsets: dict[str, int] = {name: _size(folder / f"{name}.log") for name in select()}
    while True:
        for name in select():
            path = folder / f"{name}.log"
            begin = offsets.get(name, 0)
            if _size(path) < begin:
                begin = 0  # rotated: it begins anew
            written = _read_from(path, begin)
            whole = written[: written.rfind(b"\n") + 1]
            offsets[name] = begin + len(whole)
            for line in whole.splitlines():
                yield name, line.decode(errors="replace")
        wait(_POLL_S)


def time_of(text: str, zone: dt.tzinfo | None = None) -> float | None:
    """The time that a line tells of itself, in seconds of the epoch; one without a zone is of ``zone``, else local."""
    head = text[:_WHERE_TIMES_STAND]
    try:
        if match := _ISO.search(head):
            *numbers, fraction, told = match.groups()
            micro = int((fraction or "0").ljust(6, "0")[:6])
            return dt.datetime(*(int(n) for n in numbers), micro, tzinfo=_zone(told, zone)).timestamp()  # type: ignore[arg-type,misc]
        if match := _REDIS.search(head):
            day, month, year, hour, minute, second, milli = match.groups()
            moment = (int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second))
            return dt.datetime(*moment, int(milli) * 1000, tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        return None
    return None


def _zone(text: str | None, otherwise: dt.tzinfo | None) -> dt.tzinfo | None:
    if text is None:
        return otherwise
    if text[0] not in "+-":
        return dt.UTC
    digits = text[1:].replace(":", "")
    offset = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return dt.timezone(offset if text[0] == "+" else -offset)


def _timed(process: str, lines: Iterable[str], zone: dt.tzinfo | None) -> Iterator[Line]:
    """Lines with times that never run backwards, as merging needs them."""
    latest = 0.0
    for text in lines:
        latest = max(latest, time_of(text, zone) or 0.0)
        yield Line(latest, process, text)


def _tail(folder: Path, name: str, count: int | None) -> list[str]:
    log, rotated = folder / f"{name}.log", folder / f"{name}.log.1"
    if count is None:
        content = _read_from(rotated, 0) + _read_from(log, 0)
        return content.decode(errors="replace").splitlines()
    content = _last_block(log, count)
    if content.count(b"\n") < count:
        content = _last_block(rotated, count - content.count(b"\n")) + content
    return content.decode(errors="replace").splitlines()[-count:] if count else []


def _last_block(path: Path, count: int) -> bytes:
    """The end of a file that holds at least so many lines, or all of it."""
    size = _size(path)
    wanted = _BLOCK
    while True:
        content = _read_from(path, max(0, size - wanted))
        if content.count(b"\n") > count or wanted >= size:
            return content
        wanted *= 4


def _read_from(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset, os.SEEK_SET)
            return file.read()
    except OSError:
        return b""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

"""Where a tool comes from: PATH, if its whole set is there; the cache; its sources, in order."""

from __future__ import annotations

import functools
import os
import platform
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from greenfield.errors import DefectError, ToolError
from greenfield.model.tool import Debian, GoBuild, GoModule, Installation, Maven, Source, Tool, Wheel
from greenfield.toolchain.cache import CacheError, Entry, Manifest, cache_error, entry_name, folder_size
from greenfield.toolchain.lock import Lock, Record
from greenfield.toolchain.path import on_path
from greenfield.toolchain.progress import Progress
from greenfield.toolchain.sources import Fetchers
from greenfield.toolchain.versions import Versions
from greenfield.toolchain.workshop import Commands, Workshop

WORKERS = 6
Answer = TypeVar("Answer")
Needy = TypeVar("Needy", "Finding", Installation)


@dataclass(frozen=True)
class Finding:
    """Where a tool is, or would come from.

    ``installation`` is None while it must be fetched. ``refusals`` say why what is there is not used: PATH's programs,
    a damaged folder of the cache. ``passed_over``: why programs that are on PATH are not used; empty where none are.
    ``size`` in bytes of a cached tree, else 0; ``contents`` is what that was made of.
    """

    tool: Tool
    installation: Installation | None
    refusals: tuple[str, ...] = ()
    size: int = 0
    contents: Mapping[str, str] = field(default_factory=dict)
    passed_over: str = ""

    @property
    def needs(self) -> tuple[Tool, ...]:
        """What else must be there for it to run."""
        return self.installation.needs if self.installation else _needs(self.tool.sources[0])


class Toolchain:
    """The tools of one user, in ``cache``, which several processes may use at once.

    ``learn``: take whatever is fetched for the truth and tell it in ``learnt``, to write a lock from.
    """

    def __init__(
        self,
        cache: Path,
        progress: Progress,
        *,
        lock: Lock | None = None,
        fetchers: Fetchers | None = None,
        learn: bool = False,
    ) -> None:
        self._cache = cache
        self._progress = progress
        self._lock = Lock.shipped() if lock is None else lock
        self._fetchers = fetchers or Fetchers()
        self._versions = Versions(cache / "versions.json")
        self._record = Record(cache / "recorded-digests")
        self._cancelled = threading.Event()
        self._learnt: dict[str, str] | None = {} if learn else None

    @property
    def learnt(self) -> Lock:
        """The digests and versions of what this toolchain fetched, where it was told to learn."""
        learnt = self._learnt or {}
        majors = {name: value for name, value in learnt.items() if ":" not in name}
        return Lock({key: value for key, value in learnt.items() if key not in majors}, majors)

    def obtain(self, tools: Iterable[Tool]) -> Mapping[str, Installation]:
        """Every tool by name, and those that they need, fetched where they are not there, several at once.

        Raises ToolError that lists, for each tool that cannot be had, every attempt and its reason.
        """
        return self._with_needs(self._obtain, tools)

    def find(self, tools: Iterable[Tool]) -> Mapping[str, Finding]:
        """Where every tool is, by name, and those that they need, without fetching anything."""
        return self._with_needs(self._find, tools)

    def expected(self, tool: Tool) -> Installation:
        """A tool as it will be once its first source has given it; its version is not known yet."""
        source = tool.sources[0]
        unknown = Manifest(version="", source=described(source), contents={}, files={})
        return _installation(tool, source, self._entry(tool, source), unknown)

    def _with_needs(self, ask: Callable[[Tool], Needy], tools: Iterable[Tool]) -> dict[str, Needy]:
        found = self._at_once(ask, tools)
        lacking = [tool for answer in found.values() for tool in answer.needs if tool.name not in found]
        return found | (self._with_needs(ask, lacking) if lacking else {})

    def _at_once(self, ask: Callable[[Tool], Answer], tools: Iterable[Tool]) -> dict[str, Answer]:
        wanted = {tool.name: tool for tool in tools}
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="toolchain") as pool:
            asked = {name: pool.submit(ask, tool) for name, tool in wanted.items()}
            try:
                wait(asked.values())
            except BaseException:
                self._cancelled.set()  # Ctrl-C reaches this thread only; the others end their programs
                raise
        failures = [error for future in asked.values() if (error := future.exception()) is not None]
        if unexpected := [error for error in failures if not isinstance(error, ToolError)]:
            raise unexpected[0]
        if failures:
            raise _together([error for error in failures if isinstance(error, ToolError)])
        return {name: future.result() for name, future in asked.items()}

    def _find(self, tool: Tool) -> Finding:
        path = on_path(tool, self._versions)
        if isinstance(path, Installation):
            return Finding(tool, path)
        refusals = [f"PATH: {path.reason}"] if path.reason else []
        passed_over = path.reason if path.there else ""
        for source in tool.sources:
            entry = self._entry(tool, source)
            kept = entry.load()
            if isinstance(kept, Manifest):
                installation = _installation(tool, source, entry, kept)
                return Finding(tool, installation, tuple(refusals), kept.size, kept.contents, passed_over)
            if kept.reason:
                refusals.append(f"cache: {kept.reason}")
        return Finding(tool, None, tuple(refusals), passed_over=passed_over)

    def _obtain(self, tool: Tool) -> Installation:
        finding = self._find(tool)
        if finding.installation:
            return finding.installation
        attempts = list(finding.refusals)
        for source in tool.sources:
            try:
                return self._from(source, tool)
            except CacheError:
                raise
            except ToolError as exc:
                if self._cancelled.is_set():
                    raise
                self._progress.failed(tool.name, described(source), exc.message)
                attempts.append(f"{described(source)}: {exc.message}")
        tried = "".join(f"\n  - {attempt}" for attempt in attempts)
        raise ToolError(f"{tool.name} cannot be had:{tried}", hint=_remedy(tool))

    def _from(self, source: Source, tool: Tool) -> Installation:
        """The tool by one source, unless somebody else fetched it while we waited for our turn."""
        entry = self._entry(tool, source)
        try:
            with entry.locked(self._cancelled):
                kept = entry.load()
                if not isinstance(kept, Manifest):
                    kept = self._fetch_into(entry, tool, source)
        except OSError as exc:
            raise cache_error(exc, self._cache) or ToolError(f"{exc.strerror} ({exc.filename})") from exc
        return _installation(tool, source, entry, kept)

    def _fetch_into(self, entry: Entry, tool: Tool, source: Source) -> Manifest:
        began = time.monotonic()
        self._progress.started(tool.name, described(source))
        with entry.staging() as folder:
            commands = Commands(self._cancelled, lambda: self._progress.advanced(tool.name, folder_size(folder)))
            workshop = Workshop(folder, self._cache, self._lock, self._record, commands, self._obtain, self._learnt)
            fetched = self._fetchers(source, workshop)
            _make_executable(source, folder / "tree")
            manifest = entry.adopt(folder, fetched.version, described(source), fetched.contents)
        self._progress.finished(tool.name, time.monotonic() - began)
        return manifest

    def _entry(self, tool: Tool, source: Source) -> Entry:
        facts = [repr(source), self._lock.of(source)]
        if isinstance(source, Debian):
            facts.append(_release())
        return Entry(self._cache, entry_name(tool.name, *facts))


def described(source: Source) -> str:
    """A source in a few words, for people."""
    match source:
        case Wheel():
            return f"wheel {source.package} {source.version}"
        case Maven():
            return f"Maven {source.coordinates[0]}"
        case Debian():
            return f"Debian {source.packages[0]}"
        case GoModule():
            return f"Go module {source.module} {source.version}"
        case GoBuild():
            return f"Go build of {source.module} {source.version}"


def default_cache(environment: Mapping[str, str]) -> Path:
    """The cache that all platforms of a user share: ``greenfield`` under XDG_CACHE_HOME, or ``~/.cache``."""
    if base := environment.get("XDG_CACHE_HOME"):
        return Path(base) / "greenfield"
    return Path.home() / ".cache" / "greenfield"


def _installation(tool: Tool, source: Source, entry: Entry, manifest: Manifest) -> Installation:
    programs = {} if isinstance(source, GoModule) else _programs(source)
    libraries = source.libraries if isinstance(source, (Debian, Maven)) else ()
    folders = [str(entry.tree / folder) for folder in libraries if (entry.tree / folder).is_dir()]
    return Installation(
        tool=tool.name,
        version=manifest.version,
        source=manifest.source,
        root=str(entry.tree),
        programs={name: str(entry.tree / path) for name, path in programs.items()},
        environment={"LD_LIBRARY_PATH": os.pathsep.join(folders)} if folders else {},
        needs=_needs(source),
    )


def _needs(source: Source) -> tuple[Tool, ...]:
    return source.needs if isinstance(source, Maven) else ()


def _programs(source: Wheel | Maven | Debian | GoBuild) -> Mapping[str, str]:
    return {source.program: f"bin/{source.program}"} if isinstance(source, GoBuild) else source.programs


def _make_executable(source: Source, tree: Path) -> None:
    """Gives the programs their mode; ToolError where one that the source promises is not in the tree."""
    if isinstance(source, GoModule):
        return
    for name, path in _programs(source).items():
        if not (tree / path).is_file():
            raise ToolError(f"it holds no {path}, where the program {name} should be")
        (tree / path).chmod(0o755)


@functools.cache
def _release() -> str:
    """This system's name and release, since Debian packages suit only that one."""
    try:
        facts = platform.freedesktop_os_release()
    except OSError:
        return "unknown"
    return f"{facts.get('ID')} {facts.get('VERSION_ID')}"


def _together(errors: list[ToolError]) -> ToolError:
    if len(errors) == 1:
        return errors[0]
    messages = dict.fromkeys(error.message for error in errors)
    hints = dict.fromkeys(error.hint for error in errors if error.hint)
    return ToolError("\n".join(messages), hint="; ".join(hints))


def _remedy(tool: Tool) -> str:
    if not tool.version or not tool.programs:
        return "check the network and this machine's registry settings; `greenfield doctor` tells more"
    return f"{wanted_on_path(tool)}, or make one of these sources work; see `greenfield doctor`"


def wanted_on_path(tool: Tool) -> str:
    """What to install so that PATH's programs are used, of a tool that ever uses them."""
    rule = tool.version
    if rule is None:
        raise DefectError(f"{tool.name} is never taken from PATH.")
    bounds = [f"at least {rule.at_least}"] if rule.at_least else []
    bounds += [f"below {rule.below}"] if rule.below else []
    version = f", {rule.program} {' and '.join(bounds)}" if bounds else ""
    programs = ", ".join(tool.programs)
    return f"install {programs} on PATH{version}"

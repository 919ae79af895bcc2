"""Programs: what a component asks for, where it can come from, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Wheel:
    """A Python wheel, unpacked. ``programs`` maps a program's name to its path inside the wheel's tree."""

    package: str
    version: str
    programs: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Maven:
    """Jars with their runtime dependencies, copied flat into ``libs/``. A coordinate is ``group:artifact:version``.

    ``unpack``: the artifacts are archives of programs rather than jars for the class path; their files make the tree,
    dependencies are left out, ``programs`` and ``libraries`` are as in ``Debian``. ``needs``: what runs them, which is
    not needed where the tool comes from elsewhere.
    """

    coordinates: tuple[str, ...]
    unpack: bool = False
    programs: Mapping[str, str] = field(default_factory=dict, hash=False)
    libraries: tuple[str, ...] = ()
    needs: tuple[Tool, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Debian:
    """Debian packages, unpacked without root into one tree. ``programs`` as in ``Wheel``.

    ``libraries``: folders of shared objects inside the tree, for LD_LIBRARY_PATH. ``dependencies``: a regular
    expression; what the packages depend on, near or far, is unpacked too where its whole name matches. Libraries that
    the programs need and this machine lacks are found without it. The first package gives the tool its version.
    ``without``: files and folders of the tree that nobody needs, and that are not kept.
    """

    packages: tuple[str, ...]
    programs: Mapping[str, str] = field(default_factory=dict, hash=False)
    libraries: tuple[str, ...] = ("usr/lib/x86_64-linux-gnu",)
    dependencies: str = ""
    without: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class GoModule:
    """The files of a Go module, ``folder`` of it, copied as they are."""

    module: str
    version: str
    folder: str = "."


@dataclass(frozen=True)
class GoBuild:
    """A program built from the source of a Go module with that module's own sums. Slow: ``minutes`` is a cold build."""

    module: str
    version: str
    package: str
    program: str
    minutes: float = 1.0


Source = Wheel | Maven | Debian | GoModule | GoBuild


@dataclass(frozen=True)
class VersionRule:
    """How a program on PATH is asked for its version: ``argv`` after the program, the first group of ``pattern``.

    ``at_least`` and ``below`` compare dotted numbers; empty means no bound. At least and below.
    """

    program: str
    argv: tuple[str, ...]
    pattern: str
    at_least: str = ""
    below: str = ""


@dataclass(frozen=True)
class Tool:
    """A set of programs that a component needs together.

    ``programs``: the names that must all be found on PATH, at the right version, for PATH to be used; empty, or no
    ``version``: PATH is never used. ``sources`` are tried in order when neither PATH nor the cache has it.
    ``never_from_path``: why PATH is never used, though it may have programs of these names.
    """

    name: str
    sources: tuple[Source, ...]
    programs: tuple[str, ...] = ()
    version: VersionRule | None = None
    never_from_path: str = ""


@dataclass(frozen=True)
class Installation:
    """A tool that is there. ``root`` is its tree (empty for PATH), ``programs`` absolute paths by name.

    ``environment`` is what its programs need (LD_LIBRARY_PATH), ``source`` where it came from, for people. ``needs``
    are the tools that run what came from there.
    """

    tool: str
    version: str
    source: str
    root: str
    programs: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Tool, ...] = ()

    @property
    def on_path(self) -> bool:
        """Whether it is the machine's own."""
        return not self.root

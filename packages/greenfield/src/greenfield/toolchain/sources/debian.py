"""Debian packages, by apt and dpkg-deb as an ordinary user, unpacked into one tree."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from greenfield.errors import ToolError
from greenfield.model.tool import Debian
from greenfield.toolchain.lock import file_digest
from greenfield.toolchain.workshop import Fetched, Workshop

_FILE = re.compile(r"^'[^']*' (\S+) \d+ (SHA256|SHA512|MD5Sum):([0-9a-f]+)$")
_LACKING = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """One package as apt's signed index has it."""

    name: str
    version: str
    file: str
    digest: str

    @property
    def upstream(self) -> str:
        """The version without Debian's epoch and revision: ``7.0.15`` of ``5:7.0.15-1~deb12u10``."""
        return self.version.split(":", 1)[-1].rsplit("-", 1)[0]


def fetch(source: Debian, workshop: Workshop) -> Fetched:
    """The packages of the release that this machine runs, and the libraries that their programs lack here."""
    apt = _Apt(workshop)
    names = list(source.packages)
    if source.dependencies:
        names += [name for name in apt.dependencies(names) if re.fullmatch(source.dependencies, name)]
    packages = apt.find(names)
    _right_major(source, packages[source.packages[0]], workshop)
    apt.unpack(packages.values())
    if lacking := _lacking(source, workshop):
        native = [name for name in apt.dependencies(names) if re.fullmatch("lib.*", name) and name not in packages]
        extra = apt.find(apt.not_installed(native)) if native else {}
        apt.unpack(extra.values())
        packages |= extra
        if lacking := _lacking(source, workshop):
            raise ToolError(f"its programs need libraries that neither this machine nor apt has: {', '.join(lacking)}")
    _leave_out(source, workshop.tree)
    contents = {package.name: f"{package.version} {package.digest}" for package in packages.values()}
    return Fetched(packages[source.packages[0]].upstream, contents)


def _leave_out(source: Debian, tree: Path) -> None:
    for path in source.without:
        if (tree / path).is_dir():
            shutil.rmtree(tree / path)
        else:
            (tree / path).unlink(missing_ok=True)


def _right_major(source: Debian, package: Package, workshop: Workshop) -> None:
    major = package.upstream.split(".", 1)[0]
    if workshop.learnt is not None:
        workshop.learnt[package.name] = major
    elif (wanted := workshop.lock.of(source)) and wanted != major:
        raise ToolError(f"this system's {package.name} is {package.upstream}, but version {wanted} is supported")


def _lacking(source: Debian, workshop: Workshop) -> list[str]:
    """The shared objects that the programs ask for and the loader does not find."""
    if not (ldd := shutil.which("ldd")):
        return []
    programs = [workshop.tree / path for path in source.programs.values()]
    native = [str(path) for path in programs if path.is_file() and _is_elf(path)]
    if not native:
        return []
    path = os.pathsep.join(str(workshop.tree / folder) for folder in source.libraries)
    said = workshop.run(ldd, *native, environment={"LD_LIBRARY_PATH": path})
    return sorted(set(_LACKING.findall(said)))


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


class _Apt:
    """apt under the caller's own sources, with lists of our own where the system has none that can be used."""

    def __init__(self, workshop: Workshop) -> None:
        for program in ("apt-get", "apt-cache", "dpkg-deb"):
            if not shutil.which(program):
                raise ToolError(f"{program} is not on PATH: this is no Debian or Ubuntu system")
        self._workshop = workshop
        self._home = workshop.cache / "apt"
        self._downloads = workshop.room("downloads")
        (self._home / "cache").mkdir(parents=True, exist_ok=True)
        self._options = ["-o", f"Dir::Cache={self._home / 'cache'}", "-o", "APT::Sandbox::User=root"]

    def find(self, names: Iterable[str]) -> dict[str, Package]:
        """Each package, by name; the lists are brought up to date where one is not in them."""
        wanted = sorted(set(names))
        if not wanted:
            return {}
        try:
            return self._find(wanted)
        except ToolError:
            self._update()
            return self._find(wanted)

    def dependencies(self, names: Iterable[str]) -> list[str]:
        """What the packages depend on, near or far; those that exist, without the packages themselves."""
        wanted = sorted(set(names))
        self.find(wanted)
        said = self._workshop.run(
            "apt-cache", *self._options, "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts",
            "--no-breaks", "--no-replaces", "--no-enhances", *wanted,
        )  # fmt: skip
        names_in_order = dict.fromkeys(
            line for line in said.splitlines() if re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", line)
        )
        return [name for name in names_in_order if name not in wanted]

    def not_installed(self, names: Iterable[str]) -> list[str]:
        """Those that this machine does not have already."""
        said = self._workshop.run("dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n")
        present = {line.split()[0] for line in said.splitlines() if line.endswith(" installed")}
        return [name for name in names if name not in present]

    def unpack(self, packages: Iterable[Package]) -> None:
        """Downloads the packages, holds each against the signed index, unpacks them over one another."""
        wanted = list(packages)
        if not wanted:
            return
        versions = [f"{package.name}={package.version}" for package in wanted]
        try:
            self._get("download", *versions)
        except ToolError:  # the archive no longer has what the lists promise
            self._update()
            self._get("download", *versions)
        for package in wanted:
            archive = self._downloads / package.file
            if not archive.is_file() or file_digest(archive) != package.digest:
                raise ToolError(f"refused: {package.file} is not what apt's signed index says (cut short, or changed)")
            self._workshop.record.check(f"deb:{package.name}={package.version}", package.digest)
            self._workshop.run("dpkg-deb", "-x", str(archive), str(self._workshop.tree))
            archive.unlink()
        _turn_inwards(self._workshop.tree)

    def _find(self, wanted: list[str]) -> dict[str, Package]:
        said = self._get("download", "--print-uris", *wanted)
        found = {package.name: package for line in said.splitlines() if (package := parse(line))}
        if missing := [name for name in wanted if name not in found]:
            raise ToolError(f"apt knows no package {', '.join(missing)}")
        return found

    def _get(self, *argv: str) -> str:
        return self._workshop.run("apt-get", *self._options, "--quiet", *argv, cwd=self._downloads)

    def _update(self) -> None:
        """Fetches lists into a folder of our own, which is used from here on."""
        state = self._home / "state"
        (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        self._options += ["-o", f"Dir::State::lists={state / 'lists'}"]
        with (self._home / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._get("update")


def _turn_inwards(tree: Path) -> None:
    """Points absolute links at the tree instead of this machine, where the tree holds what they name."""
    for path in tree.rglob("*"):
        if path.is_symlink() and (target := path.readlink()).is_absolute():
            inside = tree / target.relative_to("/")
            if inside.exists():
                path.unlink()
                path.symlink_to(os.path.relpath(inside, path.parent))


def parse(line: str) -> Package | None:
    """A line of ``apt-get download --print-uris``; None where it is none, or names no SHA-256 digest."""
    if not (match := _FILE.match(line.strip())) or match[2] != "SHA256":
        return None
    name, version, _ = match[1].split("_", 2)
    return Package(name=name, version=unquote(version), file=match[1], digest=f"sha256:{match[3]}")

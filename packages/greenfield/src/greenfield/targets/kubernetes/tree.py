"""Objects as files that people and GitOps tools like: one for each object, grouped by resource, with what to install.

``files`` is pure; ``write`` makes a folder hold exactly them, and touches nothing in it that an earlier render did not
write.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from greenfield.errors import OutputError
from greenfield.model.manifest import Chart
from greenfield.model.plan import Plan
from greenfield.targets.kubernetes.instructions import instructions
from greenfield.targets.kubernetes.object import Object
from greenfield.targets.kubernetes.text import document

INDEX = ".greenfield-render.json"
_NEW = ".greenfield-render.new"
Files = Mapping[str, str]
Known = Mapping[str, list[str]]  # the digests that a file of ours may have: two while a render is under way


def files(plan: Plan, objects: Iterable[Object], charts: Iterable[Chart]) -> Files:
    """The text of every file by its path, the same bytes for the same plan."""
    found: dict[str, str] = {"README.md": instructions(plan, tuple(charts))}
    groups: dict[str, list[str]] = {}
    for each in objects:
        path = f"{each.resource}/{each.kind.lower()}-{each.name}.yaml"
        if path in found:  # two groups of APIs have a kind of that name
            path = f"{each.resource}/{each.kind.lower()}.{each.group}-{each.name}.yaml"
        found[path] = document(each.manifest)
        groups.setdefault(each.resource, []).append(path.partition("/")[2])
    for group, names in groups.items():
        found[f"{group}/kustomization.yaml"] = _kustomization(names)
    found["kustomization.yaml"] = _kustomization(groups)
    return dict(sorted(found.items()))


def _kustomization(resources: Iterable[str]) -> str:
    return document(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": list(resources),
        }
    )


def write(folder: Path, wanted: Files, *, force: bool = False) -> tuple[int, int]:
    """How many files were written, and how many stale ones removed; OutputError, and no change, where it must not.

    Everything is written aside first and then moved into place, so that a full disk or a lost permission leaves the
    folder as it was. ``force`` overwrites files of ours that somebody edited.
    """
    try:
        known = _known(folder)
        _refuse(folder, known, wanted, force=force)
        changed = {path: text for path, text in wanted.items() if not _holds(folder / path, text)}
        stale = [path for path in known if path not in wanted and (folder / path).is_file()]
        new = {path: [_digest(text)] for path, text in wanted.items()}
        if changed or stale:
            _replace(folder, changed, {path: known.get(path, []) + new.get(path, []) for path in {**known, **new}})
        for path in stale:
            (folder / path).unlink()
        _remove_empty(folder, stale)
        _write_index(folder, new)
    except OSError as exc:
        raise OutputError(
            f"{exc.filename or folder} cannot be written: {exc.strerror}.",
            hint="choose another folder with -o, or look at its permissions and at the space left",
        ) from exc
    return len(changed), len(stale)


def _known(folder: Path) -> Known:
    """The digests of each file that an earlier render wrote."""
    index = folder / INDEX
    if not os.path.lexists(index):
        return {}
    try:
        if not index.is_file():
            raise ValueError("it is no regular file")
        known = json.loads(index.read_text(encoding="utf-8"))["files"]
        return {str(path): list(known[path]) for path in known if _inside(path)}
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise OutputError(f"{index} is damaged.", hint="remove the folder, and render again") from exc


def _inside(path: str) -> bool:
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def _refuse(folder: Path, known: Known, wanted: Files, *, force: bool) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder} is no folder.", hint="name a folder with -o")
    if folder.is_dir() and not known and any(each.name != _NEW for each in folder.iterdir()):
        raise OutputError(
            f"{folder} holds files that greenfield did not write.", hint="name a new or an empty folder with -o"
        )
    foreign = [*_led_away(folder, {*known, *wanted}), *_in_the_way(folder, known, wanted)]
    if foreign:
        listed = ", ".join(foreign[:5])
        raise OutputError(f"{folder} holds {listed}, which greenfield did not write.", hint="move it away")
    edited = [] if force else sorted(path for path in known if _edited(folder / path, known[path]))
    if edited:
        raise OutputError(
            f"Somebody edited {', '.join(edited[:5])}{' and others' if len(edited) > 5 else ''} in {folder}.",
            hint="say the change as `patches` in the declaration, or overwrite it with --force",
        )


def _led_away(folder: Path, paths: Iterable[str]) -> list[str]:
    """What stands where a folder of ours would, and is none: through a link, files elsewhere would be changed."""
    parents = {str(parent) for path in paths for parent in PurePosixPath(path).parents} - {"."}
    found = {each for each in parents if os.path.lexists(folder / each) and not (folder / each).is_dir()}
    links = {each for each in (*parents, _NEW, f"{INDEX}.new") if (folder / each).is_symlink()}
    return sorted(found | links)


def _in_the_way(folder: Path, known: Known, wanted: Files) -> list[str]:
    """What stands where a file of ours would."""
    return sorted(
        path for path in wanted if (folder / path).is_dir() or (path not in known and os.path.lexists(folder / path))
    )


def _edited(file: Path, digests: list[str]) -> bool:
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() not in digests


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _holds(file: Path, text: str) -> bool:
    return file.is_file() and file.read_bytes() == text.encode()


def _replace(folder: Path, changed: Files, ours: Known) -> None:
    """Writes what changed aside, then says what is ours, then moves it into place."""
    new, left = folder / _NEW, folder / _NEW if folder.exists() else folder
    shutil.rmtree(new, ignore_errors=True)
    try:
        parents = {str(PurePosixPath(path).parent) for path in changed}
        for parent in parents:
            (new / parent).mkdir(parents=True, exist_ok=True)
        for path, text in changed.items():
            (new / path).write_text(text, encoding="utf-8")
        folder.mkdir(parents=True, exist_ok=True)
        _write_index(folder, ours)
        for parent in parents:
            (folder / parent).mkdir(parents=True, exist_ok=True)
        for path in changed:
            (new / path).replace(folder / path)
        left = new
    finally:  # also when somebody interrupts it
        shutil.rmtree(left, ignore_errors=True)


def _write_index(folder: Path, held: Known) -> None:
    text = json.dumps({"files": dict(sorted(held.items()))}, indent=1) + "\n"
    index, new = folder / INDEX, folder / f"{INDEX}.new"
    if index.is_file() and index.read_text(encoding="utf-8") == text:
        return
    folder.mkdir(parents=True, exist_ok=True)
    new.write_text(text, encoding="utf-8")
    new.replace(index)


def _remove_empty(folder: Path, removed: Iterable[str]) -> None:
    for parent in sorted({(folder / path).parent for path in removed}, reverse=True):
        if parent != folder and parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()

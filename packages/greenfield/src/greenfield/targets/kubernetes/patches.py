"""Patches for Kubernetes: ``Kind/name`` names an object, the path a field of it; a dot in a key is written ``\\.``."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Sequence

from greenfield.model.declaration import Declaration, Patch
from greenfield.targets.kubernetes.object import Object
from greenfield.targets.patching import UnmatchedError, apply_patches, replaced, steps_of


def apply(declaration: Declaration, objects: Iterable[Object]) -> tuple[Object, ...]:
    """The objects with every patch for Kubernetes applied; DeclarationError names each patch that matches nothing."""
    return apply_patches(declaration, "kubernetes", tuple(objects), _applied)


def _applied(patch: Patch, objects: Sequence[Object]) -> Sequence[Object]:
    if all(each.title != patch.target for each in objects):
        titles = sorted({each.title for each in objects})
        near = difflib.get_close_matches(patch.target, titles, n=3, cutoff=0.5)
        raise UnmatchedError(f"there is no object {patch.target}; near it are {', '.join(near) or 'none'}")
    return [_patched(each, patch) if each.title == patch.target else each for each in objects]


def _patched(found: Object, patch: Patch) -> Object:
    return dataclasses.replace(found, manifest=replaced(found.manifest, steps_of(patch.path), patch.value))

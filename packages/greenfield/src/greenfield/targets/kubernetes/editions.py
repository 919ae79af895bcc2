"""Who holds a sealed secret is started anew when it is sealed anew: it carries a digest of what was sealed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from greenfield.model.manifest import EDITION, Manifest
from greenfield.programs.names import digest
from greenfield.targets.kubernetes.object import Object


def with_editions(objects: Iterable[Object]) -> list[Object]:
    """The objects; pods say of which edition their sealed secrets are, and so does what leaves room for it.

    The digest is of what only the cluster can open, and of the texts around it: nothing is learnt from it. A Job stays
    as it is, since none can be changed.
    """
    found = list(objects)
    sealed = [each for each in found if each.kind == "SealedSecret"]
    editions = {(each.namespace, each.name): digest(json.dumps(each.manifest["spec"])) for each in sealed}
    return [_with_edition(each, editions) for each in found]


def _with_edition(found: Object, editions: Mapping[tuple[str, str], str]) -> Object:
    manifest, spec, runs = found.manifest, found.manifest.get("spec", {}), found.group == "apps"
    if not (runs or EDITION in manifest["metadata"].get("annotations", {})):
        return found
    places = {(found.namespace, name) for name in _held(spec)}
    held = [editions[place] for place in sorted(places & editions.keys())]
    if not held:
        return found
    edition = {EDITION: digest(*held)}
    if runs:
        changed = {**manifest, "spec": {**spec, "template": _annotated(spec["template"], edition)}}
    else:
        changed = dict(_annotated(manifest, edition))
    return dataclasses.replace(found, manifest=changed)


def _annotated(manifest: Manifest, annotations: Mapping[str, str]) -> Manifest:
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **annotations}}}


def _held(tree: Any) -> Iterator[str]:
    """The names of every Secret that is spoken of somewhere inside."""
    if isinstance(tree, list | tuple):
        for each in tree:
            yield from _held(each)
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            if key == "secretName":
                yield str(value)
            elif key in _SPEAKS_OF and isinstance(value, Mapping) and "name" in value:
                yield str(value["name"])
            yield from _held(value)


_SPEAKS_OF = frozenset({"secret", "secretRef", "secretKeyRef", "redisSecret"})

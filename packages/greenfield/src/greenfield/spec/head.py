"""What a declaration says of itself: version, name, zones."""

from __future__ import annotations

from typing import Final

from greenfield.spec.complaints import Complaints
from greenfield.spec.names import LABEL_HINT, label
from greenfield.spec.tree import Items, Node, Scalar, Table, plain

API_VERSION: Final = "greenfield/v1"
DEFAULT_ZONES: Final = ("local",)
_MOST_ZONES: Final = 200
_NAMELESS: Final = "unnamed"  # stands in where the name is wrong, so that the rest can be judged
_NAMESPACES: Final = frozenset({"default", "istio-system"})


def check_version(root: Table, complaints: Complaints) -> None:
    """The one version there is."""
    node, hint = root.get("apiVersion"), f"write `apiVersion: {API_VERSION}`"
    if node is None:
        complaints.place(root.position, "missing-key", "the declaration lacks apiVersion", hint)
    elif not isinstance(node, Scalar) or node.value != API_VERSION:
        complaints.place(node.position, "unknown-version", f"apiVersion {plain(node)!r} is not known", hint)


def read_name(root: Table, complaints: Complaints) -> str:
    """The platform's name, which is its namespace, too."""
    node = root.get("name")
    if node is None:
        message = "the declaration lacks a name"
        complaints.place(root.position, "missing-key", message, "add `name:`, lower-case letters, digits and `-`")
        return _NAMELESS
    name = _label(node, "the name", complaints)
    if is_kept(name):
        message = f"{name!r} is a namespace that Kubernetes or its mesh keeps for itself"
        complaints.place(node.position, "reserved-name", message, "choose another name")
    return name or _NAMELESS


def is_kept(name: str) -> bool:
    """Whether a namespace is one that Kubernetes or its mesh keeps for itself."""
    return name in _NAMESPACES or name.startswith("kube-")


def read_zones(root: Table, complaints: Complaints) -> tuple[str, ...]:
    """The zones in their order, each once."""
    node = root.get("zones")
    if node is None:
        return DEFAULT_ZONES
    if not isinstance(node, Items) or not node.items:
        message = "zones must be a list of at least one name"
        complaints.place(node.position, "wrong-type", message, "such as [a, b, c]")
        return DEFAULT_ZONES
    zones: list[str] = []
    for item in node.items[:_MOST_ZONES]:
        zone = _label(item, "a zone", complaints)
        if zone and zone in zones:
            complaints.place(item.position, "name-taken", f"the zone {zone!r} stands twice", "remove one of the two")
        elif zone:
            zones.append(zone)
    if len(node.items) > _MOST_ZONES:
        complaints.place(node.position, "out-of-range", f"there can be at most {_MOST_ZONES} zones")
    return tuple(zones) or DEFAULT_ZONES


def _label(node: Node, what: str, complaints: Complaints) -> str:
    """A label, or nothing and a complaint."""
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, str) and label(value):
        return value
    if isinstance(node, Scalar) and isinstance(value, bool):
        message = f"{what} is a boolean in YAML, and text is wanted"
        complaints.place(node.position, "unquoted-boolean", message, f'quote it: "{node.text}"')
    else:
        complaints.place(node.position, "not-a-dns-label", f"{plain(node)!r} cannot be {what}", LABEL_HINT)
    return ""

"""Which fields are ours, and how they differ: as the API server's own record of them says."""

from __future__ import annotations

from typing import Any

from greenfield.targets.kubernetes.live.difference import ordered
from greenfield.targets.kubernetes.live.fields import Fields, changes, chosen_of, ours, owned, together

OURS = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:template": {
            "f:containers": {'k:{"name":"app"}': {".": {}, "f:name": {}, "f:image": {}, "f:args": {}}},
            "f:finalizers": {'v:"keep"': {}},
        }
    },
}


def entry(fields: Any, manager: str = "greenfield", operation: str = "Apply", **more: Any) -> dict[str, Any]:
    """A line of the record."""
    return {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


def deployment(image: str = "one", **more: Any) -> dict[str, Any]:
    """An object of which others manage parts."""
    containers = [
        {"name": "sidecar", "image": "mesh"},
        {"name": "app", "image": image, "args": ["-v"], "imagePullPolicy": "Always"},
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "catalog",
            "namespace": "shop",
            "labels": {"app": "catalog", "theirs": "x"},
            "managedFields": [
                entry(OURS),
                entry({"f:spec": {"f:replicas": {}}}, manager="autoscaler", operation="Update"),
                entry({"f:status": {}}, subresource="status"),
            ],
        },
        "spec": {"replicas": 7, "template": {"containers": containers, "finalizers": ["theirs", "keep"]}},
        "status": {"replicas": 7},
        **more,
    }


def test_only_what_we_applied_is_ours() -> None:
    """Neither what others wrote, nor defaults, nor the status; what names the object besides."""
    found = deployment()
    assert owned(found) == OURS
    assert ours(found, owned(found)) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "catalog", "namespace": "shop", "labels": {"app": "catalog"}},
        "spec": {
            "template": {"containers": [{"name": "app", "image": "one", "args": ["-v"]}], "finalizers": ["keep"]},
        },
    }


def test_a_difference_is_told_by_its_path() -> None:
    """What others changed is none."""
    before, after = (ours(each, OURS) for each in (deployment(), deployment("two")))
    assert list(changes(before, after)) == [(".spec.template.containers[0].image", "one", "two")]
    theirs = deployment()
    theirs["spec"]["replicas"] = 9
    theirs["metadata"]["labels"]["theirs"] = "y"
    assert list(changes(before, ours(theirs, OURS))) == []


def test_a_field_that_we_no_longer_apply_is_a_difference() -> None:
    """It was ours, and goes."""
    fields = together(OURS, {"f:spec": {"f:paused": {}}})
    before = deployment()
    before["spec"]["paused"] = True
    assert list(changes(ours(before, fields), ours(deployment(), fields))) == [(".spec.paused", True, None)]


def test_a_field_without_parts_is_owned_whole() -> None:
    """Also where another record knows parts of it; one that says only itself is there, and empty."""
    assert together({"f:data": {}}, {"f:data": {"f:a": {}}}) == {"f:data": {}}
    assert chosen_of({"data": {"a": 1, "b": 2}}, {"f:data": {}}) == {"data": {"a": 1, "b": 2}}
    assert chosen_of({"data": {"a": 1}}, {"f:data": {".": {}}}) == {"data": {}}


def test_a_secret_shows_digests() -> None:
    """The same value the same digest; never the value."""
    fields: Fields = {"f:data": {"f:password": {}}}
    one, same, other = (
        ours({"kind": "Secret", "metadata": {"name": "x"}, "data": {"password": value}}, fields)["data"]["password"]
        for value in ("aHVudGVyMg==", "aHVudGVyMg==", "b3RoZXI=")
    )
    assert one == same != other
    assert "aHVudGVy" not in one


def test_keys_have_one_order() -> None:
    """What names the object first."""
    found = ordered({"spec": {"b": [{"z": 1, "name": "x"}], "a": 2}, "metadata": {"name": "n"}, "kind": "K"})
    assert list(found) == ["kind", "metadata", "spec"]
    assert list(found["spec"]) == ["a", "b"]
    assert list(found["spec"]["b"][0]) == ["name", "z"]

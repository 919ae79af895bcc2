"""What holds a sealed secret starts anew when that is sealed anew, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from greenfield.model.manifest import EDITION
from greenfield.targets.kubernetes.objects import objects, unsealed
from greenfield.targets.kubernetes.sealing import Place, Sealed, is_secret, reseal
from support.rendered import CATALOGUE, declared, planned

PLATFORM = """
telemetry: off
services:
  one: {command: [x], image: "example/one:1", migrate: [x], uses: {cache: write}}
  two: {command: [x], image: "example/two:1", uses: {cache: read}}
  three: {command: [x], image: "example/three:1"}
datastores: {cache: {kind: redis, nodes: 3}}
"""


def rendered(platform: str, sealed: Sealed) -> dict[str, Any]:
    """Every object by its title."""
    return {each.title: each.manifest for each in objects(declared(platform), planned(platform), CATALOGUE, sealed)}


def sealed(platform: str, kept: Sealed, **given: str) -> Sealed:
    """What is not sealed yet, and what is given, sealed by a word of the test."""
    secrets = [each.manifest for each in unsealed(planned(platform), CATALOGUE) if is_secret(each.manifest)]

    def encrypt(value: bytes, place: Place) -> str:
        return f"sealed for {place.name}: {value.decode()}"

    return reseal(secrets, kept, {f"cache.{name}": value for name, value in given.items()}, encrypt)


@pytest.fixture
def first() -> Sealed:
    """Everything sealed."""
    return sealed(PLATFORM, Sealed("shop", "strict", "f"), one="a", two="b", default="c")


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The objects that are others, sealed secrets left out."""
    return {title for title in before if before[title] != after[title] and not title.startswith("SealedSecret/")}


def test_a_secret_sealed_anew_starts_its_holders_anew(first: Sealed) -> None:
    """The service that shows it and the servers that know its digest. Not its migration, which ran."""
    second = sealed(PLATFORM, first, one="another")
    before, after = rendered(PLATFORM, first), rendered(PLATFORM, second)
    assert changed(before, after) == {"Deployment/one", "RedisReplication/cache"}
    pods = after["Deployment/one"]["spec"]["template"]["metadata"]["annotations"]
    assert len(pods[EDITION]) == 8
    assert after["RedisReplication/cache"]["metadata"]["annotations"][EDITION]


def test_nothing_changes_where_nothing_was_sealed_anew(first: Sealed) -> None:
    """Sealing again keeps what is sealed."""
    assert rendered(PLATFORM, sealed(PLATFORM, first)) == rendered(PLATFORM, first)


def test_another_access_starts_the_servers_anew(first: Sealed) -> None:
    """Their file of users is another, though every secret in it is the same."""
    more = PLATFORM.replace("cache: read", "cache: write")
    assert "RedisReplication/cache" in changed(rendered(PLATFORM, first), rendered(more, first))


def test_who_holds_none_says_nothing(first: Sealed) -> None:
    """Of an edition."""
    template = rendered(PLATFORM, first)["Deployment/three"]["spec"]["template"]
    assert EDITION not in template["metadata"]["annotations"]

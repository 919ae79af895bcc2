"""What Kubernetes needs and the declaration may leave out is told all at once, where it is missing."""

from __future__ import annotations

import pytest

from greenfield.errors import DeclarationError
from greenfield.plan.compile import compile_plan
from greenfield.targets.kubernetes.objects import objects
from support.rendered import CATALOGUE, declared


def test_every_service_without_an_image_is_named_with_its_place() -> None:
    """Both of them, and not the one that has it."""
    declaration = declared(
        "services:\n"
        "  one: {command: [x]}\n"
        "  two: {command: [x], image: registry.example/two:1}\n"
        "  three: {command: [x]}\n"
    )
    with pytest.raises(DeclarationError) as caught:
        objects(declaration, compile_plan(declaration, CATALOGUE), CATALOGUE)
    assert [(each.line, each.message) for each in caught.value.problems] == [
        (5, "one has no image, and Kubernetes runs nothing else"),
        (7, "three has no image, and Kubernetes runs nothing else"),
    ]

"""What Kubernetes needs and the declaration may leave out is told all at once, where it is missing."""

from __future__ import annotations

import pytest

from greenfield.errors import DeclarationError
from greenfield.plan.compile import compile_plan
from greenfield.targets.kubernetes.live.applyset import PARENT
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


def test_a_service_called_as_what_an_operator_makes_is_named_with_its_place() -> None:
    """Whoever uses the database would reach the service instead."""
    declaration = declared(
        "services:\n"
        "  db-rw: {command: [x], image: registry.example/one:1}\n"
        "  user: {command: [x], image: registry.example/two:1, uses: {db: read}}\n"
        "datastores:\n"
        "  db: {kind: postgres, nodes: 3}\n"
    )
    with pytest.raises(DeclarationError) as caught:
        objects(declaration, compile_plan(declaration, CATALOGUE), CATALOGUE)
    (problem,) = caught.value.problems
    assert (problem.line, problem.message) == (5, "on Kubernetes db-rw is the Service by which db is entered")


@pytest.mark.parametrize(
    ("declared_as", "name"),
    [
        ("{kind: postgres, nodes: 3}", "db-r"),
        ("{kind: mysql, nodes: 3}", "db-secondary"),
        ("{kind: mongodb, nodes: 3}", "db-svc"),
        ("{kind: redis, nodes: 3}", "db-replica"),
        ("{kind: redis, nodes: 3}", "db-sentinel"),
    ],
)
def test_no_service_has_a_name_that_an_operator_gives(declared_as: str, name: str) -> None:
    """Not that of a Service that nobody asks for, either: two would own one object."""
    service = f"services:\n  {name}: {{command: [x], image: registry.example/one:1}}\n"
    declaration = declared(f"{service}datastores:\n  db: {declared_as}\n")
    with pytest.raises(DeclarationError) as caught:
        objects(declaration, compile_plan(declaration, CATALOGUE), CATALOGUE)
    (problem,) = caught.value.problems
    assert (problem.line, problem.code, problem.hint) == (5, "reserved-name", "give it another name")
    assert problem.message.startswith(f"on Kubernetes {name} is the ")


def test_no_service_has_the_name_of_what_strimzi_or_the_collectors_run() -> None:
    """Brokers' own Service, the second tier: all at once."""
    names = ("kafka-kafka-brokers", "collector-tail")
    services = "".join(f"  {name}: {{command: [x], image: registry.example/one:1}}\n" for name in names)
    broker = "brokers:\n  kafka: {kind: kafka, topics: {orders: {}}}\n"
    declaration = declared(f"services:\n{services}{broker}telemetry: {{collectors: 2..5}}\n")
    with pytest.raises(DeclarationError) as caught:
        objects(declaration, compile_plan(declaration, CATALOGUE), CATALOGUE)
    assert [problem.line for problem in caught.value.problems] == [5, 6]


def test_no_service_has_the_name_by_which_a_deploy_remembers_what_it_made() -> None:
    """One that is called as the tool is."""
    declaration = declared("services:\n  greenfield: {command: [x], image: registry.example/one:1}\n")
    found = objects(declaration, compile_plan(declaration, CATALOGUE), CATALOGUE)
    names = {each.name for each in found if each.kind == "ConfigMap"}
    assert "greenfield" in names
    assert PARENT not in names

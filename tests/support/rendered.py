"""A platform as Kubernetes gets it, from the text of its declaration: objects by ``Kind/name``."""

from __future__ import annotations

from typing import Any

from greenfield.cli.catalogue import catalogue
from greenfield.model.declaration import Declaration
from greenfield.model.plan import Plan
from greenfield.plan.compile import compile_plan
from greenfield.spec.reader import Source, read
from greenfield.targets.kubernetes.objects import unsealed

CATALOGUE = catalogue()
HEAD = "apiVersion: greenfield/v1\nname: shop\nzones: [a, b, c]\n"


def declared(text: str) -> Declaration:
    """What is written, below a head that says version, name and three zones."""
    return read(Source(HEAD + text, "greenfield.yaml", "/site", lambda _: True), CATALOGUE, None)


def planned(text: str) -> Plan:
    """The plan of what is written."""
    return compile_plan(declared(text), CATALOGUE)


def rendered(text: str) -> dict[str, Any]:
    """Every object of what is written, secrets as such."""
    return {each.title: dict(each.manifest) for each in unsealed(planned(text), CATALOGUE)}

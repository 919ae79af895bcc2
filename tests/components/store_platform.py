"""Stores on this machine, run by the real supervisor as their components say, for services that are but names."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from contracts.hand_made import Uses, catalogue_of, plan_of
from greenfield.assurance.verify import gather
from greenfield.model.binding import Leaf
from greenfield.model.component import Component
from greenfield.model.content import Content
from greenfield.model.denial import Line
from greenfield.model.local import Graph, LeafClaim, Process, Site, Task
from greenfield.model.plan import Plan, service_identity
from greenfield.model.proof import Proof
from greenfield.targets.local.files import Joiner
from greenfield.targets.local.paths import StatePaths, make_folders
from greenfield.targets.local.pki import Pki
from greenfield.targets.local.reading import time_of
from greenfield.targets.local.site import Host, fulfil
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.progress import Silent
from support.engine import Rig


def lines_of(log: Callable[[str], str]) -> Callable[[str], list[Line]]:
    """A ``Log`` of what a process said."""

    def lines(name: str) -> list[Line]:
        return [Line(time_of(text) or 0.0, text) for text in log(name).splitlines()]

    return lines


Declared = Mapping[str, tuple[str, Mapping[str, Any]]]


class Stores:
    """A platform of stores in ``root``. It is the ``Bench`` of proofs, too."""

    plan: Plan
    site: Site

    def __init__(self, root: Path, *components: Component) -> None:
        make_folders(StatePaths(root))
        self.catalogue = catalogue_of(*components)
        self.rig = Rig(root, sys.executable)
        self._issuing = threading.Lock()  # proofs run side by side

    def up(self, declared: Declared, uses: Uses) -> Mapping[str, Any]:
        """Makes it so; the closing event. Fails where something failed."""
        self.plan = plan_of(self.catalogue, declared, uses, zones=("local",), root=str(self.rig.root))
        tools = Toolchain(default_cache(os.environ), Silent())
        ports = self.site.ports if hasattr(self, "site") else {}
        host = Host(self.rig.paths, default_cache(os.environ), os.environ, tools.obtain, ports, lambda _: True)
        self.site = fulfil(self.plan, self.catalogue, host)
        event = self.rig.supervisor.reconcile(self.graph(), self.rig.events.append)
        assert not event.get("failures"), event
        return event

    def graph(self) -> Graph:
        """All that the components yield."""
        nodes: list[Process | Task] = []
        for resource in self.plan.resources:
            side = self.catalogue[resource.kind].local()
            assert side is not None
            nodes.extend(side.local(resource, self.plan, self.site))
        return self.rig.graph(*nodes)

    def wiring(self, service: str, name: str) -> dict[str, str]:
        """What a service is told about something it uses, secrets included; ``URL`` and the parts."""
        binding = self.site.bindings[service, name]
        return {suffix: self.text(value) for suffix, value in {"URL": binding.url, **binding.parts}.items()}

    def text(self, content: Content) -> str:
        """Content with its secrets."""
        return Joiner(Path(self.site.secrets))(content)

    def proofs(self) -> list[Proof]:
        """All that `verify` would try."""
        return gather(self.plan, self.catalogue, self)

    def log(self, name: str) -> str:
        """All that a process said."""
        return Path(self.site.logs, f"{name}.log").read_text()

    def lines(self, name: str) -> list[Line]:
        """The same as lines with their times."""
        return lines_of(self.log)(name)

    def foreign_leaf(self) -> Leaf:
        """See ``Bench``."""
        folder = self.rig.paths.home / "foreign"
        service = self.plan.of_kind("service")[0].name
        return dataclasses.replace(self._leaf(folder, service), ca=self.site.authorities["services"])

    def stranger_leaf(self) -> Leaf:
        """See ``Bench``."""
        return self._leaf(self.rig.paths.pki, "stranger")

    def service_leaf(self, service: str) -> Leaf:
        """See ``Bench``."""
        return self.site.leaves[service]

    def close(self) -> None:
        """Stops everything; fails where something stays."""
        self.rig.close()

    def _leaf(self, pki: Path, service: str) -> Leaf:
        claim = LeafClaim(service, service, service_identity(self.plan.name, service), unit="service")
        with self._issuing:
            (leaf,) = Pki(pki, self.plan.name).leaves([claim]).values()
        return leaf

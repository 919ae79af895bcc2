"""The reference platform as a cluster gets it: sealed for a given certificate, with secrets that the test knows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from greenfield.cli.catalogue import catalogue
from greenfield.model.content import Content, Secret
from greenfield.model.declaration import Declaration
from greenfield.model.plan import Plan
from greenfield.plan.compile import compile_plan
from greenfield.spec.reader import Source, read
from greenfield.targets.kubernetes.objects import objects, unsealed
from greenfield.targets.kubernetes.sealing import Sealed, encrypting, is_secret, names, reseal
from support.control_plane import Cluster

Object = dict[str, Any]

SHOP = Path(__file__).parents[2] / "examples" / "shop"
CATALOGUE = catalogue()
AT_ONCE = 4


@dataclass(frozen=True)
class Shop:
    """The shop in production. ``certificate`` is what its secrets are sealed for, in PEM."""

    certificate: str

    @cached_property
    def declaration(self) -> Declaration:
        """What is declared."""
        text = (SHOP / "greenfield.yaml").read_text()
        return read(Source(text, "greenfield.yaml", str(SHOP), lambda _: True), CATALOGUE, "prod")

    @cached_property
    def plan(self) -> Plan:
        """The plan of it."""
        return compile_plan(self.declaration, CATALOGUE)

    @cached_property
    def manifests(self) -> list[Object]:
        """Every object in order."""
        _, encrypt = encrypting(self.certificate.encode())
        begun = Sealed(self.plan.name, "strict", "of the test")
        secrets = [each.manifest for each in unsealed(self.plan, CATALOGUE) if is_secret(each.manifest)]
        given = {name: clear(name) for manifest in secrets for name in names(manifest)}
        sealed = reseal(secrets, begun, given, encrypt)
        return [dict(each.manifest) for each in objects(self.declaration, self.plan, CATALOGUE, sealed)]

    def of_kind(self, *kinds: str) -> list[Object]:
        """The objects of those kinds."""
        return [each for each in self.manifests if each["kind"] in kinds]

    def secrets(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Each Secret by name, with the text that each of its keys must have in the cluster."""
        for each in (found.manifest for found in unsealed(self.plan, CATALOGUE)):
            if is_secret(each):
                yield each["metadata"]["name"], {key: joined(value) for key, value in each["stringData"].items()}


def clear(name: str) -> str:
    """A secret that has to be escaped in a URL."""
    return f"{name}/+&ü"


def joined(content: Content | str) -> str:
    """What a content says."""
    pieces = (content,) if isinstance(content, str) else content
    return "".join(formed(piece) if isinstance(piece, Secret) else piece for piece in pieces)


def formed(secret: Secret) -> str:
    """A secret in the form that a content asks for."""
    if secret.form == "sha256":
        return digest(secret.name)
    return quote_plus(clear(secret.name)) if secret.form == "url" else clear(secret.name)


def digest(name: str) -> str:
    """The digest of a secret, as a server is told it."""
    return hashlib.sha256(clear(name).encode()).hexdigest()


@dataclass(frozen=True)
class Applied:
    """Applies objects wherever they belong."""

    cluster: Cluster

    def __call__(self, *manifests: Object) -> None:
        """The first alone, since it may be the namespace of the others."""
        first, *others = manifests
        plurals = {version: self._plurals(version) for version in {each["apiVersion"] for each in manifests}}
        self.cluster.apply(self._path(first, plurals), first, "greenfield")
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="apply") as pool:
            list(pool.map(lambda each: self.cluster.apply(self._path(each, plurals), each, "greenfield"), others))

    def _plurals(self, version: str) -> Mapping[str, str]:
        found = self.cluster.get(f"{'/apis' if '/' in version else '/api'}/{version}")["resources"]
        return {each["kind"]: each["name"] for each in found if "/" not in each["name"]}

    def _path(self, manifest: Object, plurals: Mapping[str, Mapping[str, str]]) -> str:
        version, metadata = manifest["apiVersion"], manifest["metadata"]
        place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
        plural = plurals[version][manifest["kind"]]
        return f"{'/apis' if '/' in version else '/api'}/{version}{place}/{plural}/{metadata['name']}"

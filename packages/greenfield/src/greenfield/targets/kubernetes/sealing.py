"""Sealing: what only the cluster's sealed-secrets controller can open, and files of what was sealed.

A sealed value is bound to a label that follows from its scope, so that it opens in no other place. The form is that of
``kubeseal``: a random AES-256 key, encrypted by RSA-OAEP with SHA-256 for the controller's certificate, before it its
length in two bytes, after it the value by AES-GCM with that key and a nonce of zeros (each key is used once).
https://github.com/bitnami/sealed-secrets/blob/main/docs/developer/crypto.md
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from greenfield.model.content import Content, Secret
from greenfield.model.manifest import Chart, Manifest

Scope = Literal["strict", "namespace", "cluster"]
SCOPES: tuple[Scope, ...] = ("strict", "namespace", "cluster")
_ANNOTATIONS: Mapping[Scope, dict[str, str]] = {
    "strict": {},
    "namespace": {"sealedsecrets.bitnami.com/namespace-wide": "true"},
    "cluster": {"sealedsecrets.bitnami.com/cluster-wide": "true"},
}
_FORMS = {"raw": "", "url": " | urlquery", "sha256": ""}
SEALED_SECRETS = Chart(
    rank=40,
    name="sealed-secrets-controller",
    chart="sealed-secrets",
    version="2.19.3",
    source="https://bitnami.github.io/sealed-secrets",
    namespace="kube-system",
    why="opens sealed secrets; keep a copy of its keys, without which nobody can",
    kinds=("SealedSecret",),
)
GENERATED_BYTES = 24  # of chance in a generated secret: 32 characters that need no escape anywhere


@dataclass(frozen=True)
class Place:
    """Where a sealed value opens: the Secret of that name in that namespace, as far as the scope binds it."""

    name: str
    namespace: str
    scope: Scope = "strict"

    @property
    def label(self) -> bytes:
        """What is bound to the value while it is encrypted."""
        bound = {"strict": f"{self.namespace}/{self.name}", "namespace": self.namespace, "cluster": ""}
        return bound[self.scope].encode()


@dataclass(frozen=True)
class Sealed:
    """What one file holds: sealed values by the Secret that they are in, and their own name.

    ``fingerprint`` is the SHA-256 of the certificate that they are sealed for, ``note`` what to know of it.
    """

    namespace: str
    scope: Scope
    fingerprint: str
    note: str = ""
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, manifest: Manifest) -> Mapping[str, str]:
        """The values of a Secret by name; none where its namespace is another than that in which they open."""
        metadata = manifest["metadata"]
        opens = self.scope == "cluster" or metadata.get("namespace", self.namespace) == self.namespace
        return self.values.get(metadata["name"], {}) if opens else {}

    def only(self, names: Collection[str]) -> Sealed:
        """The same without other names, and without Secrets of which none is left."""
        held = {holder: {n: v for n, v in values.items() if n in names} for holder, values in self.values.items()}
        return dataclasses.replace(self, values={holder: values for holder, values in held.items() if values})


def is_secret(manifest: Manifest) -> bool:
    """Whether a manifest holds contents that must be sealed."""
    held = manifest.get("stringData", {}).values() if manifest["kind"] == "Secret" else ()
    return any(not isinstance(value, str) for value in held)


def wanted(manifest: Manifest) -> tuple[str, ...]:
    """What must be sealed for a manifest of a Secret, each value once, by the name under which it is sealed."""
    return tuple(dict.fromkeys(_sealed_as(secret) for secret in _secrets(manifest)))


def names(manifest: Manifest) -> tuple[str, ...]:
    """The secrets that a manifest of a Secret holds, as such or as a digest, each once."""
    return tuple(dict.fromkeys(secret.name for secret in _secrets(manifest)))


def _secrets(manifest: Manifest) -> Iterator[Secret]:
    contents: Iterable[Content | str] = manifest["stringData"].values()
    pieces = (piece for content in contents if not isinstance(content, str) for piece in content)
    return (piece for piece in pieces if isinstance(piece, Secret))


def _sealed_as(secret: Secret) -> str:
    """A digest is sealed as such: the controller leaves every sealed value in the Secret, beside what it joins."""
    return f"{secret.name}.sha256" if secret.form == "sha256" else secret.name


def _clear(secret: Secret, value: str) -> bytes:
    """What is sealed of a secret."""
    return (hashlib.sha256(value.encode()).hexdigest() if secret.form == "sha256" else value).encode()


def missing(manifests: Iterable[Manifest], sealed: Sealed | None) -> list[tuple[str, str]]:
    """Secret and name of each value that is wanted and not sealed."""
    held = [(manifest, sealed.of(manifest) if sealed else {}) for manifest in manifests if is_secret(manifest)]
    return [(m["metadata"]["name"], name) for m, values in held for name in wanted(m) if name not in values]


def sealed_secret(manifest: Manifest, sealed: Sealed) -> Manifest:
    """The SealedSecret of a Secret: the controller joins each content of values that it alone can open."""
    metadata: Mapping[str, Any] = manifest["metadata"]
    scope = _ANNOTATIONS[sealed.scope]
    annotations = {**metadata.get("annotations", {}), **scope}
    inner = {key: value for key, value in metadata.items() if key == "labels"}
    return {
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "metadata": {**metadata, **({"annotations": annotations} if annotations else {})},
        "spec": {
            "encryptedData": {name: sealed.of(manifest)[name] for name in wanted(manifest)},
            "template": {
                "type": manifest.get("type", "Opaque"),
                "metadata": {**inner, **({"annotations": annotations} if annotations else {})},
                "data": {key: _template(value) for key, value in manifest["stringData"].items()},
            },
        },
    }


def _template(content: Content | str) -> str:
    """A content as the controller's template; braces of its own are said as text."""
    pieces = (content,) if isinstance(content, str) else content
    return "".join(
        f'{{{{ index . "{_sealed_as(piece)}"{_FORMS[piece.form]} }}}}'
        if isinstance(piece, Secret)
        else re.sub(r"\{\{", '{{"{{"}}', piece)
        for piece in pieces
    )


def generate() -> str:
    """A secret that nobody has seen."""
    return secrets.token_urlsafe(GENERATED_BYTES)


def reseal(
    manifests: Iterable[Manifest],
    kept: Sealed,
    given: Mapping[str, str],
    encrypt: Callable[[bytes, Place], str],
) -> Sealed:
    """Every wanted value sealed. What is sealed already stays, unless it is wanted in one more Secret, or given anew.

    A secret that several Secrets hold (a password and its digest) is the same in all of them. Values that nothing wants
    any more are left out.
    """
    places: dict[str, dict[tuple[str, str], Secret]] = {}  # by secret: the Secret that holds it, and as what
    for manifest in manifests:
        for secret in _secrets(manifest) if is_secret(manifest) else ():
            places.setdefault(secret.name, {})[manifest["metadata"]["name"], _sealed_as(secret)] = secret
    values: dict[str, dict[str, str]] = {}
    for name, held in sorted(places.items()):
        known = {place: kept.values.get(place[0], {}).get(place[1], "") for place in held}
        if name in given or not all(known.values()):
            value = given.get(name) or generate()
            opens = {holder: Place(holder, kept.namespace, kept.scope) for holder, _ in held}
            known = {place: encrypt(_clear(secret, value), opens[place[0]]) for place, secret in held.items()}
        for (holder, sealed_as), text in known.items():
            values.setdefault(holder, {})[sealed_as] = text
    ordered = {holder: dict(sorted(held.items())) for holder, held in sorted(values.items())}
    return Sealed(kept.namespace, kept.scope, kept.fingerprint, kept.note, ordered)


def continued(before: Sealed | None, begun: Sealed) -> Sealed:
    """What is sealed already, where certificate, scope and namespace are still the same; else the new beginning."""
    if before is None or dataclasses.replace(before, note="", values={}) != dataclasses.replace(begun, note=""):
        return begun
    return dataclasses.replace(before, note=begun.note or before.note)


def changed(before: Sealed, after: Sealed) -> int:
    """How many values of the latter are not in the former."""
    known = {value for held in before.values.values() for value in held.values()}
    return sum(value not in known for held in after.values.values() for value in held.values())


def encrypting(certificate_pem: bytes) -> tuple[str, Callable[[bytes, Place], str]]:
    """The fingerprint of a certificate, and the function that seals for it. ValueError where it is none, or not RSA."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    certificate = x509.load_pem_x509_certificate(certificate_pem)
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("the certificate's key is not RSA, which sealed-secrets asks for")

    def encrypt(value: bytes, place: Place) -> str:
        session = secrets.token_bytes(32)
        digest = hashes.SHA256()
        wrapped = key.encrypt(session, padding.OAEP(padding.MGF1(digest), digest, place.label))
        body = AESGCM(session).encrypt(bytes(12), value, None)
        return base64.b64encode(len(wrapped).to_bytes(2, "big") + wrapped + body).decode()

    return certificate.fingerprint(hashes.SHA256()).hex(), encrypt

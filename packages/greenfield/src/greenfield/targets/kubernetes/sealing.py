"""Sealing: what only the cluster's sealed-secrets controller can open, and files of what was sealed.

A sealed value is bound to a label that follows from its scope, so that it opens in no other place. The form is that of
``kubeseal``: a random AES-256 key, encrypted by RSA-OAEP with SHA-256 for the controller's certificate, before it its
length in two bytes, after it the value by AES-GCM with that key and a nonce of zeros (each key is used once).
https://github.com/bitnami/sealed-secrets/blob/main/docs/developer/crypto.md
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
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
_FORMS = {"raw": "", "url": " | urlquery", "sha256": " | sha256sum"}
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


def is_secret(manifest: Manifest) -> bool:
    """Whether a manifest holds contents that must be sealed."""
    held = manifest.get("stringData", {}).values() if manifest["kind"] == "Secret" else ()
    return any(not isinstance(value, str) for value in held)


def wanted(manifest: Manifest) -> tuple[str, ...]:
    """The names of the secrets that a manifest of a Secret holds, each once."""
    contents: Iterable[Content | str] = manifest["stringData"].values()
    pieces = [piece for content in contents if not isinstance(content, str) for piece in content]
    return tuple(dict.fromkeys(piece.name for piece in pieces if isinstance(piece, Secret)))


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
        f'{{{{ index . "{piece.name}"{_FORMS[piece.form]} }}}}'
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
    places: dict[str, list[str]] = {}
    for manifest in manifests:
        for name in wanted(manifest) if is_secret(manifest) else ():
            places.setdefault(name, []).append(manifest["metadata"]["name"])
    values: dict[str, dict[str, str]] = {}
    for name, holders in sorted(places.items()):
        known = {holder: kept.values.get(holder, {}).get(name) for holder in holders}
        if name in given or not all(known.values()):
            clear = given.get(name) or generate()
            known = {holder: encrypt(clear.encode(), Place(holder, kept.namespace, kept.scope)) for holder in holders}
        for holder, value in known.items():
            values.setdefault(holder, {})[name] = str(value)
    ordered = {holder: dict(sorted(held.items())) for holder, held in sorted(values.items())}
    return Sealed(kept.namespace, kept.scope, kept.fingerprint, kept.note, ordered)


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

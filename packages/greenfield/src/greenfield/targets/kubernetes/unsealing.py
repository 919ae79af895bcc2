"""Opening sealed values with the controller's own keys: to move to another cluster, or to look after one that is lost.

Keys come as PEM, or as `kubectl get secret -o yaml` shows those of the controller, which has several in time.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from greenfield.targets.kubernetes.sealing import Place, Sealed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

Decrypt = Callable[[str, Place], str]
_PEM = b"-----BEGIN "
_KEY = "tls.key"


def opened(sealed: Sealed, decrypt: Decrypt) -> Mapping[tuple[str, str], str]:
    """Every value by its Secret and name. ValueError, which names it, for one that no key opens."""
    found = {}
    for holder, values in sorted(sealed.values.items()):
        for name, value in sorted(values.items()):
            try:
                found[holder, name] = decrypt(value, Place(holder, sealed.namespace, sealed.scope))
            except ValueError as exc:
                raise ValueError(f"none of the keys opens {name} of {holder}") from exc
    return found


def decrypting(held: Iterable[bytes]) -> Decrypt:
    """The function that opens with any of the keys in these files. ValueError where one holds none, or none of RSA."""
    from cryptography.exceptions import InvalidTag

    keys = [key for each in held for key in _keys(each)]

    def decrypt(value: str, place: Place) -> str:
        for key in keys:
            try:
                return _opened(key, value, place)
            except (ValueError, InvalidTag):
                continue
        raise ValueError("no key opens it")

    return decrypt


def _opened(key: RSAPrivateKey, value: str, place: Place) -> str:
    """The inverse of ``sealing.encrypting``."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    body, digest = base64.b64decode(value, validate=True), hashes.SHA256()
    ends = 2 + int.from_bytes(body[:2], "big")
    session = key.decrypt(body[2:ends], padding.OAEP(padding.MGF1(digest), digest, place.label))
    return AESGCM(session).decrypt(bytes(12), body[ends:], None).decode()


def _keys(held: bytes) -> Sequence[RSAPrivateKey]:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    found = [load_pem_private_key(pem, None) for pem in _pems(held)]
    keys = [key for key in found if isinstance(key, RSAPrivateKey)]  # sealed-secrets has no others
    if not keys:
        raise ValueError("it holds no private key of RSA")
    return keys


def _pems(held: bytes) -> Iterator[bytes]:
    """Private keys in PEM one after the other, certificates between them left out; or those in a Secret."""
    if held.lstrip().startswith(_PEM):
        parts = (_PEM + part for part in held.split(_PEM)[1:])
        yield from (part for part in parts if b"PRIVATE KEY-----" in part.splitlines()[0])
        return
    try:
        documents = list(yaml.safe_load_all(held))
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ValueError("it is neither PEM nor a Secret") from exc
    for each in documents:
        for secret in each.get("items", [each]) if isinstance(each, dict) else []:
            yield from _in_secret(secret)


def _in_secret(secret: Any) -> Iterator[bytes]:
    data = secret.get("data") if isinstance(secret, dict) else None
    if isinstance(data, dict) and isinstance(data.get(_KEY), str):
        yield base64.b64decode(data[_KEY])

"""Sealing: a sealed value opens with the certificate's key, in its place alone; sealing again changes what must."""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from greenfield.errors import UnsealedError
from greenfield.model.content import Secret, text
from greenfield.targets.kubernetes import sealed_file
from greenfield.targets.kubernetes.sealing import (
    Place,
    Sealed,
    encrypting,
    missing,
    names,
    reseal,
    sealed_secret,
    wanted,
)

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PASSWORD = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "cache-catalog", "labels": {"a": "b"}},
    "stringData": {"url": text("rediss://", Secret("cache.catalog", "url"), "@cache/{{x}}"), "plain": "as it is"},
}
ACL = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "cache-acl"},
    "stringData": {"user.acl": text("user catalog #", Secret("cache.catalog", "sha256"), " >", Secret("cache.admin"))},
}
EMPTY = Sealed("shop", "strict", "f")


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate as the controller makes one for itself."""
    name = x509.Name([])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=3650))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


_, SEAL = encrypting(certificate(KEY))


def opened(value: str, label: bytes) -> str:
    """What the controller finds in a sealed value."""
    body = base64.b64decode(value)
    size = int.from_bytes(body[:2], "big")
    digest = hashes.SHA256()
    session = KEY.decrypt(body[2 : 2 + size], padding.OAEP(padding.MGF1(digest), digest, label))
    return AESGCM(session).decrypt(bytes(12), body[2 + size :], None).decode()


@pytest.mark.parametrize(("scope", "label"), [("strict", b"shop/a"), ("namespace", b"shop"), ("cluster", b"")])
def test_a_value_opens_in_its_own_place_alone(scope: str, label: bytes) -> None:
    """The scope says how much of the place counts."""
    value = SEAL(b"hush", Place("a", "shop", scope))  # type: ignore[arg-type]
    assert opened(value, label) == "hush"
    with pytest.raises(ValueError, match="Decryption failed"):
        opened(value, b"shop/b")


def test_each_value_is_sealed_with_a_key_of_its_own() -> None:
    """So that a nonce of zeros is used once."""
    assert SEAL(b"hush", Place("a", "shop")) != SEAL(b"hush", Place("a", "shop"))


def test_a_certificate_of_another_kind_is_refused() -> None:
    """Sealed Secrets knows RSA alone."""
    with pytest.raises(ValueError, match="not RSA"):
        encrypting(certificate(ec.generate_private_key(ec.SECP256R1())))


def test_a_secret_of_two_holders_is_the_same_in_both() -> None:
    """The password that a service has, and its digest: all that is sealed for the store."""
    sealed = reseal([PASSWORD, ACL], EMPTY, {}, SEAL)
    one = opened(sealed.values["cache-catalog"]["cache.catalog"], b"shop/cache-catalog")
    other = opened(sealed.values["cache-acl"]["cache.catalog.sha256"], b"shop/cache-acl")
    assert hashlib.sha256(one.encode()).hexdigest() == other
    assert len(one) == 32
    assert set(sealed.values["cache-acl"]) == {"cache.admin", "cache.catalog.sha256"}


def test_sealing_again_keeps_what_is_sealed_and_drops_what_nobody_wants() -> None:
    """One more holder makes the secret anew for all of them, since nobody has it in clear."""
    first = reseal([ACL], EMPTY, {}, SEAL)
    assert reseal([ACL], first, {}, SEAL) == first
    second = reseal([PASSWORD, ACL], first, {}, SEAL)
    assert second.values["cache-acl"]["cache.admin"] == first.values["cache-acl"]["cache.admin"]
    digest = "cache.catalog.sha256"
    assert second.values["cache-acl"][digest] != first.values["cache-acl"][digest]
    assert reseal([], second, {}, SEAL).values == {}


def test_a_secret_that_somebody_brings_is_taken() -> None:
    """Whether or not one was sealed before."""
    first = reseal([ACL], EMPTY, {}, SEAL)
    brought = reseal([ACL], first, {"cache.admin": "mine"}, SEAL)
    assert opened(brought.values["cache-acl"]["cache.admin"], b"shop/cache-acl") == "mine"


def test_a_sealed_secret_joins_its_values_where_they_open() -> None:
    """By the controller's own templates; braces of the text stay text."""
    sealed = reseal([PASSWORD, ACL], EMPTY, {}, SEAL)
    spec = sealed_secret(PASSWORD, sealed)["spec"]
    assert set(spec["encryptedData"]) == {"cache.catalog"}
    assert spec["template"]["metadata"] == {"labels": {"a": "b"}}
    assert spec["template"]["data"] == {
        "url": 'rediss://{{ index . "cache.catalog" | urlquery }}@cache/{{"{{"}}x}}',
        "plain": "as it is",
    }
    acl = sealed_secret(ACL, sealed)["spec"]["template"]["data"]["user.acl"]
    assert acl == 'user catalog #{{ index . "cache.catalog.sha256" }} >{{ index . "cache.admin" }}'


def test_what_is_not_sealed_is_named() -> None:
    """With the Secret that wants it."""
    assert missing([PASSWORD, ACL], None) == [
        ("cache-catalog", "cache.catalog"),
        ("cache-acl", "cache.catalog.sha256"),
        ("cache-acl", "cache.admin"),
    ]
    assert missing([PASSWORD, ACL], reseal([PASSWORD, ACL], EMPTY, {}, SEAL)) == []
    assert wanted(ACL) == ("cache.catalog.sha256", "cache.admin")
    assert names(ACL) == ("cache.catalog", "cache.admin")


def test_what_is_sealed_for_another_namespace_does_not_count() -> None:
    """No controller would open it there, unless it was sealed for the whole cluster."""
    elsewhere = {**ACL, "metadata": {"name": "cache-acl", "namespace": "market"}}
    assert missing([elsewhere], reseal([ACL], EMPTY, {}, SEAL)) == missing([elsewhere], None)
    assert missing([elsewhere], reseal([ACL], Sealed("shop", "cluster", "f"), {}, SEAL)) == []


def test_the_file_holds_what_was_sealed(tmp_path: Path) -> None:
    """The same bytes each time."""
    file = sealed_file.place(str(tmp_path), "prod")
    sealed = reseal([PASSWORD, ACL], Sealed("shop", "namespace", "f", "for demonstration"), {}, SEAL)
    sealed_file.write(file, sealed)
    first = file.read_bytes()
    found = sealed_file.read(file)
    assert found == sealed
    sealed_file.write(file, sealed)
    assert file.read_bytes() == first
    assert sealed_file.read(file.with_name("none.yaml")) is None


HEAD = "namespace: a\ncertificate: b\nscope: "
BOMB = "\n".join(["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 99))])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "a: [",
        "\x00",
        f"{HEAD}odd\nsealed: {{}}",
        f"{HEAD}strict\nsealed: [1]",
        f"{HEAD}strict\nsealed: {{cache: 1}}",
        f"{HEAD}strict\nsealed: {{cache: {{password: 1}}}}",
        f"{BOMB}\n{HEAD}strict\nsealed: {{cache: {{password: *a98}}}}",
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_told(tmp_path: Path, content: str) -> None:
    """Rather than read as if it were empty."""
    file = tmp_path / "prod.sealed.yaml"
    file.write_text(content)
    with pytest.raises(UnsealedError, match="cannot be read as sealed values"):
        sealed_file.read(file)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    """A pipe that nobody writes to would be waited for."""
    os.mkfifo(tmp_path / "prod.sealed.yaml")
    with pytest.raises(UnsealedError, match="no regular file"):
        sealed_file.read(tmp_path / "prod.sealed.yaml")

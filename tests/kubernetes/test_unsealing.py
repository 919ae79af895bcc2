"""What was sealed opens with the controller's keys, from whatever form they come in, and with no other."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from greenfield.cli.main import run
from greenfield.targets.kubernetes.sealing import Place, encrypting
from greenfield.targets.kubernetes.unsealing import decrypting
from kubernetes.test_sealing import KEY, SEAL, certificate

SHOP = Path(__file__).parents[2] / "examples" / "shop"
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PLACE = Place("cache-acl", "shop")


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, word: bytes = b"") -> bytes:
    """A private key as the controller keeps it."""
    how = BestAvailableEncryption(word) if word else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def secret(*keys: rsa.RSAPrivateKey) -> dict[str, object]:
    """The controller's Secrets as `kubectl get` shows several."""
    held = [{"tls.crt": base64.b64encode(certificate(key)).decode(), **_key(key)} for key in keys]
    return {"kind": "List", "items": [{"kind": "Secret", "type": "kubernetes.io/tls", "data": each} for each in held]}


def _key(key: rsa.RSAPrivateKey) -> dict[str, str]:
    return {"tls.key": base64.b64encode(pem(key)).decode()}


@pytest.mark.parametrize(
    "held",
    [
        pem(KEY),
        b"\n" + pem(OTHER) + pem(KEY),
        certificate(KEY) + pem(KEY),
        yaml.safe_dump(secret(OTHER, KEY)).encode(),
        json.dumps(secret(KEY)).encode(),
        yaml.safe_dump_all([{"kind": "ConfigMap"}, {"kind": "Secret", "data": _key(KEY)}]).encode(),
    ],
)
def test_a_value_opens_with_the_key_in_any_form(held: bytes) -> None:
    """One of several is enough."""
    assert decrypting([held])(SEAL("füchse".encode(), PLACE), PLACE) == "füchse"


def test_each_file_of_keys_is_tried() -> None:
    """The controller makes a new one every month."""
    assert decrypting([pem(OTHER), pem(KEY)])(SEAL(b"hush", PLACE), PLACE) == "hush"


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (SEAL(b"hush", PLACE), Place("cache", "shop")),
        (encrypting(certificate(OTHER))[1](b"hush", PLACE), PLACE),
        (SEAL(b"hush", PLACE)[:-8] + "AAAAAAA=", PLACE),
        ("", PLACE),
        ("no base64 at all", PLACE),
    ],
)
def test_nothing_else_opens(value: str, place: Place) -> None:
    """In another place, for another key, or damaged."""
    with pytest.raises(ValueError, match="no key opens it"):
        decrypting([pem(KEY)])(value, place)


@pytest.mark.parametrize(
    "held",
    [
        b"",
        b"\xff\xfe",
        b"a: [",
        certificate(KEY),
        pem(ec.generate_private_key(ec.SECP256R1())),
        b"data: {tls.key: '*'}",
    ],
)
def test_what_is_no_key_is_told(held: bytes) -> None:
    """Before anything is opened."""
    with pytest.raises(ValueError, match=r"\w"):
        decrypting([held])


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The shop, sealed for a key that we have."""
    folder = tmp_path / "shop"
    shutil.copytree(SHOP, folder, ignore=shutil.ignore_patterns(".greenfield", "__pycache__"))
    (folder / "secrets" / "prod.sealed.yaml").unlink()
    (tmp_path / "cluster.crt").write_bytes(certificate(KEY))
    (tmp_path / "mine").write_text("correct horse\n")
    given = ["--cert", str(tmp_path / "cluster.crt"), "--value", f"cache.catalog={tmp_path / 'mine'}"]
    assert run(["secrets", "seal", "-f", str(folder / "greenfield.yaml"), "--env", "prod", *given]) == 0
    return folder


def test_what_was_sealed_is_shown_to_whoever_has_the_key(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of it, or what is named, in each Secret that holds it."""
    (shop.parent / "sealing.key").write_bytes(pem(KEY))
    command = ["secrets", "unseal", "-f", str(shop / "greenfield.yaml"), "--env", "prod"]
    command += ["--key", str(shop.parent / "sealing.key")]
    capsys.readouterr()
    assert run([*command, "cache.catalog"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == ["NAME", "cache.catalog", "cache.catalog"]
    assert [line.endswith("correct horse") for line in told] == [False, True, True]
    assert run([*command, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["secrets"]
    held = yaml.safe_load((shop / "secrets" / "prod.sealed.yaml").read_text())["sealed"]
    assert {(row["secret"], row["name"]) for row in rows} == {(h, name) for h, names in held.items() for name in names}
    assert run([*command, "cache.nobody"]) == 2
    assert "no 'cache.nobody' is sealed" in capsys.readouterr().err


def test_without_the_right_key_nothing_is_shown(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And it is said why: another key, none, one under a password, nothing sealed."""
    command = ["secrets", "unseal", "-f", str(shop / "greenfield.yaml"), "--env", "prod", "--key"]
    key = shop.parent / "sealing.key"
    capsys.readouterr()
    for held, said in (
        (pem(OTHER), "none of the keys opens"),
        (b"none", "holds no private key of rsa"),
        (pem(KEY, b"word"), "password"),
    ):
        key.write_bytes(held)
        assert run([*command, str(key)]) == 2
        told = capsys.readouterr()
        assert (told.out, said in told.err.lower()) == ("", True), told.err
    assert run([*command, str(key.with_name("nowhere"))]) == 2
    assert "cannot be read" in capsys.readouterr().err
    (shop / "secrets" / "prod.sealed.yaml").unlink()
    assert run([*command, str(key)]) == 2
    assert "Nothing is sealed" in capsys.readouterr().err

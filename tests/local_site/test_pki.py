"""Authorities and leaves as files: what they say, when they are renewed, and what a crash leaves behind."""

from __future__ import annotations

import datetime as dt
import math
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from greenfield.errors import ClaimError
from greenfield.model.binding import Leaf
from greenfield.model.local import LeafClaim
from greenfield.model.plan import platform_identity, service_identity
from greenfield.targets.local.pki import VALIDITY, Pki, due_at
from support.clock import Clock

CATALOG = LeafClaim("catalog", "catalog", service_identity("shop", "catalog"), unit="service")
STORE = LeafClaim("store", "store", platform_identity("shop", "store"), hosts=("127.0.1.1",), dns=("localhost",))
INTERNAL = LeafClaim(
    "store-internal", "store-internal", platform_identity("shop", "store-internal"), authority="platform"
)
NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    """The certificates of a platform named shop."""
    return Pki(tmp_path / "pki", "shop")


def certificate(leaf: Leaf) -> x509.Certificate:
    """A leaf's certificate, read."""
    return x509.load_pem_x509_certificate(Path(leaf.certificate).read_bytes())


def test_a_service_leaf_says_who_it_is_in_the_order_that_stores_read_backwards(pki: Pki) -> None:
    """PostgreSQL and Kafka see CN=catalog,OU=service,O=shop; the URI is the SPIFFE id and the only name."""
    read = certificate(pki.leaves([CATALOG])["catalog"])
    assert read.subject.rfc4514_string() == "CN=catalog,OU=service,O=shop"
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == ["spiffe://cluster.local/ns/shop/sa/catalog"]


def test_only_what_listens_may_serve(pki: Pki) -> None:
    """ServerAuth, addresses and names stand in the leaf of a store and not in that of a service."""
    leaves = pki.leaves([CATALOG, STORE])
    client, server = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
    usage = {
        name: certificate(leaf).extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        for name, leaf in leaves.items()
    }
    assert list(usage["catalog"].value) == [client]
    assert list(usage["store"].value) == [client, server]
    names = certificate(leaves["store"]).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == {STORE.identity, "localhost", "127.0.1.1"}


def test_each_leaf_is_signed_by_its_own_authority(pki: Pki) -> None:
    """The bundle beside a leaf is that of the authority it was claimed from, and that one signed it."""
    bundles = pki.authorities()
    for name, leaf in pki.leaves([CATALOG, INTERNAL]).items():
        authority = "services" if name == "catalog" else "platform"
        assert Path(leaf.ca).read_bytes() == Path(bundles[authority]).read_bytes()
        issuer = x509.load_pem_x509_certificate(Path(leaf.ca).read_bytes())
        certificate(leaf).verify_directly_issued_by(issuer)
        assert issuer.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == f"{authority} authority"


def test_a_handshake_needs_a_leaf_of_the_same_authority(pki: Pki) -> None:
    """OpenSSL, asked strictly, takes the services' leaf at the store and refuses that of the inner authority."""
    leaves = pki.leaves([CATALOG, STORE, INTERNAL])
    assert shaken(leaves["store"], leaves["catalog"]) == "b'ok'"
    assert "unknown ca" in shaken(leaves["store"], leaves["store-internal"]).replace("_", " ").lower()


def test_certificates_of_a_clock_that_was_fast_hold_when_it_is_right(tmp_path: Path) -> None:
    """Authority and leaves made fourteen hours ahead, as by a clock on another zone's time, are good now."""
    clock, folder = Clock(tmp_path), tmp_path / "pki"
    clock.jump(+14)
    words = f"from pathlib import Path; from local_site.test_pki import *; Pki(Path({str(folder)!r}), 'shop').leaves"
    command = [sys.executable, "-c", f"{words}([CATALOG, STORE])"]
    paths = {"PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run(command, env={**os.environ, **clock.environment, **paths}, check=True)
    made = (folder / "store" / "issued.json").read_text()
    leaves = Pki(folder, "shop").leaves([CATALOG, STORE])
    assert (folder / "store" / "issued.json").read_text() == made, "it was kept, not renewed"
    assert shaken(leaves["store"], leaves["catalog"]) == "b'ok'"


def shaken(server: Leaf, client: Leaf) -> str:
    """What a client meets at a server that asks for its certificate."""
    listening = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=server.ca)
    listening.load_cert_chain(server.pem)
    listening.verify_mode = ssl.CERT_REQUIRED
    listening.verify_flags |= ssl.VERIFY_X509_STRICT
    calling = ssl.create_default_context(cafile=server.ca)
    calling.load_cert_chain(client.certificate, client.key)
    calling.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=answer, args=(theirs, listening))
    thread.start()
    try:
        with ours, calling.wrap_socket(ours, server_hostname="127.0.1.1") as secured:
            return str(secured.recv(2))
    except OSError as exc:
        return str(exc)
    finally:
        thread.join()


def answer(connection: socket.socket, context: ssl.SSLContext) -> None:
    """One exchange at the listening end, whether or not it comes to that."""
    with connection:
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.sendall(b"ok")
        except OSError:
            return


def test_keys_are_for_their_owner_alone(pki: Pki) -> None:
    """Files 0600 in folders 0700, PKCS8 keys on P-256, key and certificate together in the PEM file."""
    leaf = pki.leaves([CATALOG])["catalog"]
    for path in (leaf.ca, leaf.certificate, leaf.key, leaf.pem):
        assert Path(path).stat().st_mode & 0o777 == 0o600
        assert Path(path).parent.stat().st_mode & 0o777 == 0o700
    key = Path(leaf.key).read_bytes()
    assert key.startswith(b"-----BEGIN PRIVATE KEY-----")
    loaded = serialization.load_pem_private_key(key, None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    assert isinstance(loaded.curve, ec.SECP256R1)
    assert loaded.public_key() == certificate(leaf).public_key()
    assert Path(leaf.pem).read_bytes() == key + Path(leaf.certificate).read_bytes()


def test_no_authority_key_stands_beside_a_leaf(pki: Pki) -> None:
    """The keys of the authorities are in two files of ``pki`` and nowhere else."""
    pki.leaves([CATALOG, STORE, INTERNAL])
    keys = [(pki.folder / f"{name}-ca.pem").read_bytes().split(b"-----")[2] for name in ("services", "platform")]
    holders = {
        path.name for path in pki.folder.rglob("*") if path.is_file() for key in keys if key in path.read_bytes()
    }
    assert holders == {"services-ca.pem", "platform-ca.pem"}


def test_a_leaf_is_kept_until_it_is_due(pki: Pki) -> None:
    """The same files before, others after."""
    first = Path(pki.leaves([CATALOG], NOW)["catalog"].key).read_bytes()
    due = due_at("catalog", NOW, NOW + VALIDITY)
    assert Path(pki.leaves([CATALOG], due - SECOND)["catalog"].key).read_bytes() == first
    assert Path(pki.leaves([CATALOG], due)["catalog"].key).read_bytes() != first


def test_a_leaf_that_is_due_soon_is_made_anew_with_others(pki: Pki) -> None:
    """As far ahead as is asked, and from now on all the same."""
    first = Path(pki.leaves([CATALOG], NOW)["catalog"].key).read_bytes()
    moment = due_at("catalog", NOW, NOW + VALIDITY) - 2 * SECOND
    assert Path(pki.leaves([CATALOG], moment, ahead=SECOND)["catalog"].key).read_bytes() == first
    later = pki.leaves([CATALOG], moment, ahead=2 * SECOND)["catalog"]
    assert Path(later.key).read_bytes() != first
    assert certificate(later).not_valid_after_utc == (moment + VALIDITY).replace(microsecond=0)


def test_leaves_are_due_by_half_of_their_life_each_at_its_own_moment() -> None:
    """Between three eighths and a half, spread over all of that."""
    found = [(due_at(f"service-{i}", NOW, NOW + VALIDITY) - NOW) / VALIDITY for i in range(200)]
    assert all(3 / 8 <= share < 1 / 2 for share in found)
    assert max(found) - min(found) > 0.1


def test_the_first_that_is_due_tells_how_long_there_is_to_wait(pki: Pki) -> None:
    """In seconds; without leaves for ever; for one that is not there, or does not hold yet, not at all."""
    claims = [CATALOG, STORE]
    pki.leaves(claims, NOW)
    first = min(due_at(claim.name, NOW, NOW + VALIDITY) for claim in claims)
    assert pki.seconds_left(claims, NOW) == pytest.approx((first - NOW).total_seconds())
    assert pki.seconds_left([], NOW) == math.inf
    assert pki.seconds_left([INTERNAL], NOW) == 0
    assert pki.seconds_left(claims, NOW - dt.timedelta(days=7)) == 0


def test_a_leaf_that_would_hold_longer_than_asked_is_made_anew(pki: Pki) -> None:
    """A shorter life is meant at once, not when the long one is over."""
    first = Path(pki.leaves([CATALOG], NOW)["catalog"].key).read_bytes()
    short = Pki(pki.folder, "shop", VALIDITY / 2)
    assert Path(short.leaves([CATALOG], NOW)["catalog"].key).read_bytes() != first


def test_a_renewed_leaf_is_another_issue_of_the_same_paths(pki: Pki) -> None:
    """What changes is where the link leads."""
    before, first = pki.leaves([CATALOG], NOW), pki.issues([CATALOG, STORE])
    after, second = pki.leaves([CATALOG], NOW + VALIDITY), pki.issues([CATALOG, STORE])
    assert before == after
    assert first.keys() == second.keys() == {"catalog"}
    assert first != second


def test_another_claim_under_the_same_name_renews(pki: Pki) -> None:
    """A store that moved to another address gets a leaf for it, at the same path."""
    before = pki.leaves([STORE])["store"]
    moved = LeafClaim("store", "store", STORE.identity, hosts=("127.0.2.1",), dns=("localhost",))
    after = pki.leaves([moved])["store"]
    assert after == before
    names = certificate(after).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "127.0.2.1" in {str(name.value) for name in names}


def test_another_platform_name_renews(pki: Pki) -> None:
    """The organisation is part of what a leaf says."""
    pki.leaves([CATALOG])
    renamed = Pki(pki.folder, "market").leaves([CATALOG])["catalog"]
    assert certificate(renamed).subject.rfc4514_string() == "CN=catalog,OU=service,O=market"


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "tls.pem", "ca.crt", "issued.json"])
def test_a_torn_leaf_is_made_anew(pki: Pki, name: str) -> None:
    """A file cut short, or gone, costs nothing but a signature."""
    leaf = pki.leaves([CATALOG])["catalog"]
    torn = Path(leaf.key).parent / name
    torn.write_bytes(torn.read_bytes()[:10])
    repaired = pki.leaves([CATALOG])["catalog"]
    assert (
        certificate(repaired).public_key()
        == serialization.load_pem_private_key(Path(repaired.key).read_bytes(), None).public_key()
    )


def test_a_new_authority_renews_every_leaf(pki: Pki) -> None:
    """A leaf that nobody trusts any more is as good as none."""
    pki.leaves([CATALOG])
    (pki.folder / "services-ca.pem").unlink()
    leaf = pki.leaves([CATALOG])["catalog"]
    certificate(leaf).verify_directly_issued_by(x509.load_pem_x509_certificate(Path(leaf.ca).read_bytes()))


def test_a_damaged_authority_is_named_with_the_remedy(pki: Pki) -> None:
    """It is not replaced silently: everything trusts it."""
    pki.leaves([CATALOG])
    source = pki.folder / "services-ca.pem"
    source.write_bytes(source.read_bytes()[:100])
    with pytest.raises(ClaimError, match=r"services-ca\.pem is damaged") as caught:
        pki.leaves([CATALOG])
    assert "remove" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(pki: Pki) -> None:
    """The message names both users."""
    leaf = pki.leaves([CATALOG])["catalog"]
    os.chown(leaf.key, 12345, -1)
    with pytest.raises(ClaimError, match=r"belongs to user 12345, and greenfield runs as user 0"):
        pki.leaves([CATALOG])


def test_leaves_that_nobody_claims_and_leftovers_of_a_crash_go(pki: Pki) -> None:
    """The folder holds exactly what is claimed, however an earlier run ended."""
    pki.leaves([CATALOG, STORE])
    (pki.folder / "catalog.deadbeef").mkdir()
    (pki.folder / "catalog.deadbeef.link").symlink_to("catalog.deadbeef")
    pki.keep_only(["catalog"])
    links = {entry.name for entry in pki.folder.iterdir() if entry.is_symlink()}
    folders = [entry for entry in pki.folder.iterdir() if entry.is_dir() and not entry.is_symlink()]
    assert links == {"catalog"}
    assert len(folders) == 1
    pki.leaves([CATALOG])


def test_a_leaf_for_an_occasion_stays_out_of_the_folder(pki: Pki, tmp_path: Path) -> None:
    """Proofs need identities that are not declared."""
    leaf = pki.issue(CATALOG, tmp_path / "stranger")
    assert Path(leaf.key).parent == tmp_path / "stranger"
    assert not (pki.folder / "catalog").exists()


def test_a_name_too_long_for_a_certificate_is_refused(pki: Pki) -> None:
    """RFC 5280 bounds a common name at 64 characters."""
    with pytest.raises(ClaimError, match="longer than a certificate allows"):
        pki.leaves([LeafClaim("long", "x" * 65, "spiffe://cluster.local/ns/shop/sa/x")])


def test_thirty_leaves_take_no_time(pki: Pki) -> None:
    """Half a second is promised, of processor time: others may be using this machine."""
    claims = [LeafClaim(f"s{i}", f"s{i}", service_identity("shop", f"s{i}"), unit="service") for i in range(30)]
    begin = time.process_time()
    pki.leaves(claims)
    assert time.process_time() - begin < 0.5


def test_a_warm_start_imports_no_cryptography(pki: Pki) -> None:
    """Nothing to sign, nothing to load."""
    pki.leaves([CATALOG])
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from greenfield.model.local import LeafClaim\n"
        "from greenfield.targets.local.pki import Pki\n"
        f"claim = LeafClaim('catalog', 'catalog', {CATALOG.identity!r}, unit='service')\n"
        f"Pki(Path({str(pki.folder)!r}), 'shop').leaves([claim])\n"
        "print('cryptography' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

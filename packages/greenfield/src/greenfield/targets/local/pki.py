"""The two certificate authorities of a platform, and the leaves they sign: ECDSA P-256, keys as PKCS8.

``pki/<authority>-ca.pem`` holds an authority's key and certificate and never leaves the folder; ``<authority>-ca.crt``
is the bundle that others trust. ``pki/<leaf>`` is a link to a folder ``pki/<leaf>.<random>`` with ``tls.crt``,
``tls.key``, ``tls.pem`` and ``ca.crt``: turning the link renews all four in one rename, which a program that watches
``pki`` sees as a move. The names of leaves are DNS labels, so those with a dot in them are ours.

cryptography is imported only when something must be signed: a warm `up` reads ``issued.json`` alone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import json
import math
import secrets
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from greenfield.errors import ClaimError
from greenfield.model.binding import Leaf
from greenfield.model.local import LEAF_LIFE_S, LeafClaim
from greenfield.targets.local.private import owned, private_folder, write_new, write_private

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

Authority = Literal["services", "platform"]
AUTHORITIES: Final[tuple[Authority, ...]] = ("services", "platform")

VALIDITY: Final = dt.timedelta(seconds=LEAF_LIFE_S)
"""How long a leaf holds. It is renewed by half of that, so a platform may stand still for half a day and be whole."""

_AUTHORITY_VALIDITY: Final = dt.timedelta(days=3650)
_BACKDATED: Final = dt.timedelta(days=1)  # a clock that ran on another zone's time is set back by up to 14 hours
_LONGEST_NAME: Final = 64  # of a common name: RFC 5280, appendix A
_FILES: Final = ("tls.crt", "tls.key", "tls.pem", "ca.crt")


@dataclass(frozen=True)
class Pki:
    """The certificates in ``folder`` of the platform of that name. ``validity`` is that of new leaves."""

    folder: Path
    platform: str
    validity: dt.timedelta = VALIDITY

    def authorities(self) -> Mapping[str, str]:
        """The path of each authority's bundle; an authority that is missing is made."""
        private_folder(self.folder)
        return {name: str(self._bundle(name)) for name in AUTHORITIES}

    def leaves(
        self, claims: Iterable[LeafClaim], now: dt.datetime | None = None, *, ahead: dt.timedelta = dt.timedelta()
    ) -> Mapping[str, Leaf]:
        """The leaves by name, each made where it is missing, damaged, claimed anew or due by ``ahead`` from now.

        Raises ClaimError for a file that is somebody else's.
        """
        wanted = {claim.name: claim for claim in claims}
        moment = now or dt.datetime.now(dt.UTC)
        self.authorities()
        for claim in wanted.values():
            if not self._is_good(claim, moment + ahead):
                self._renew(claim, moment)
        return {name: leaf_in(self.folder / name) for name in wanted}

    def issues(self, claims: Iterable[LeafClaim]) -> Mapping[str, str]:
        """Which issue of each leaf is there; those that are missing are left out."""
        links = {claim.name: self.folder / claim.name for claim in claims}
        return {name: link.readlink().name for name, link in links.items() if link.is_symlink()}

    def seconds_left(self, claims: Iterable[LeafClaim], now: dt.datetime | None = None) -> float:
        """Until the first of these leaves wants to be renewed; endless without any."""
        moment = now or dt.datetime.now(dt.UTC)
        return min(((self._due(claim, moment) - moment).total_seconds() for claim in claims), default=math.inf)

    def _due(self, claim: LeafClaim, now: dt.datetime) -> dt.datetime:
        """When a leaf wants to be renewed: one that cannot be read, or does not hold yet, at once."""
        try:
            since, until = _moments(json.loads((self.folder / claim.name / "issued.json").read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):
            return now
        return due_at(claim.name, since, until) if since - _BACKDATED <= now else now

    def issue(self, claim: LeafClaim, into: Path, now: dt.datetime | None = None) -> Leaf:
        """A leaf made for an occasion, in a new folder outside the platform's own; the caller removes it."""
        self.authorities()
        self._write(claim, into, now or dt.datetime.now(dt.UTC))
        return leaf_in(into)

    def keep_only(self, names: Collection[str]) -> None:
        """Removes leaves of other names, and folders that no link leads to: what a crash or a renewal left.

        For the moment when nothing runs any more that would read them.
        """
        for entry in self.folder.iterdir():
            if entry.is_symlink() and entry.name not in names:
                entry.unlink()
        used = {entry.readlink().name for entry in self.folder.iterdir() if entry.is_symlink()}
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink() and entry.name not in used:
                shutil.rmtree(entry, ignore_errors=True)

    def _bundle(self, name: Authority) -> Path:
        bundle = self.folder / f"{name}-ca.crt"
        source = self.folder / f"{name}-ca.pem"
        if not source.exists():
            write_private(source, _new_authority(self.platform, name))
        owned(source)
        certificate = _certificate_part(source)
        if not bundle.exists() or bundle.read_bytes() != certificate:
            write_private(bundle, certificate)
        return bundle

    def _is_good(self, claim: LeafClaim, now: dt.datetime) -> bool:
        """Whether the leaf that is there was issued for this very claim, is whole, and holds long enough."""
        place = self.folder / claim.name
        if not place.exists():
            return False
        for name in _FILES:
            if (place / name).exists():
                owned(place / name)
        try:
            issued = json.loads((place / "issued.json").read_bytes())
            whole = all(_digest((place / name).read_bytes()) == issued["files"][name] for name in _FILES)
            since, until = _moments(issued)
        except (OSError, ValueError, KeyError, TypeError):
            return False
        trusted = (place / "ca.crt").read_bytes() == (self.folder / f"{claim.authority}-ca.crt").read_bytes()
        fresh = since - _BACKDATED <= now < due_at(claim.name, since, until) and until - since <= self.validity
        return bool(whole and trusted and fresh and issued["claim"] == self._content(claim))

    def _content(self, claim: LeafClaim) -> dict[str, Any]:
        """What a leaf says, as JSON reads it back."""
        return {
            "platform": self.platform,
            **{k: list(v) if k in {"hosts", "dns"} else v for k, v in asdict(claim).items()},
        }

    def _renew(self, claim: LeafClaim, now: dt.datetime) -> None:
        folder = self.folder / f"{claim.name}.{secrets.token_hex(4)}"
        self._write(claim, folder, now)
        link = folder.with_name(f"{folder.name}.link")
        link.symlink_to(folder.name)
        link.replace(self.folder / claim.name)

    def _write(self, claim: LeafClaim, folder: Path, now: dt.datetime) -> None:
        source = self.folder / f"{claim.authority}-ca.pem"
        certificate, key = _sign(claim, self.platform, _read_authority(source), (now, now + self.validity))
        bundle = _certificate_part(source)
        contents = dict(zip(_FILES, (certificate, key, key + certificate, bundle), strict=True))
        record = {
            "claim": self._content(claim),
            "since": now.isoformat(),
            "until": (now + self.validity).isoformat(),
            "files": {name: _digest(content) for name, content in contents.items()},
        }
        try:
            folder.mkdir(mode=0o700, parents=True)
            for name, content in contents.items():
                write_new(folder / name, content, durable=False)  # a torn file is found by its digest
            write_new(folder / "issued.json", json.dumps(record, indent=1).encode(), durable=False)
        except OSError as exc:
            raise ClaimError(
                f"The certificate of {claim.name} cannot be written to {folder}: {exc.strerror}.",
                hint="see that the disk has room and the folder is writable for you",
            ) from exc


def due_at(name: str, since: dt.datetime, until: dt.datetime) -> dt.datetime:
    """When a leaf of that name and life wants to be renewed: between three eighths of its life and a half.

    Each name has its own moment, so that not everything that starts anew for it does so at once.
    """
    share = int(_digest(name.encode())[:8], 16) / 2**32
    return since + (until - since) * (3 + share) / 8


def _moments(issued: Mapping[str, Any]) -> tuple[dt.datetime, dt.datetime]:
    """From when and until when, as was written beside a leaf."""
    return dt.datetime.fromisoformat(issued["since"]), dt.datetime.fromisoformat(issued["until"])


def leaf_in(folder: Path) -> Leaf:
    """The paths of a leaf in its folder."""
    return Leaf(
        ca=str(folder / "ca.crt"),
        certificate=str(folder / "tls.crt"),
        key=str(folder / "tls.key"),
        pem=str(folder / "tls.pem"),
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _certificate_part(source: Path) -> bytes:
    """The certificate of an authority's file, where it is whole."""
    content = source.read_bytes()
    begin = content.find(b"-----BEGIN CERTIFICATE-----")
    if begin <= 0 or not content.endswith(b"-----END CERTIFICATE-----\n"):
        raise _damaged(source)
    return content[begin:]


def _damaged(source: Path) -> ClaimError:
    return ClaimError(
        f"The certificate authority {source} is damaged, and every certificate of this platform comes from it.",
        hint=f"stop the platform with `greenfield down`, remove {source.parent}, and run `greenfield up`; data is kept",
    )


def _read_authority(source: Path) -> tuple[EllipticCurvePrivateKey, x509.Certificate]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = source.read_bytes()
    try:
        key, certificate = (
            load_pem_private_key(content, None),
            x509.load_pem_x509_certificate(_certificate_part(source)),
        )
    except (ValueError, TypeError) as exc:
        raise _damaged(source) from exc
    if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise _damaged(source)
    return key, certificate


def _new_authority(platform: str, name: Authority) -> bytes:
    """Key and certificate of a new authority, in one file so that they can never be parted."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(x509.NameOID.ORGANIZATION_NAME, platform, x509.NameOID.COMMON_NAME, f"{name} authority")
    now = dt.datetime.now(dt.UTC)
    certificate = (
        _builder(subject, subject, key, (now, now + _AUTHORITY_VALIDITY))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _key_pem(key) + _certificate_pem(certificate)


def _sign(
    claim: LeafClaim,
    platform: str,
    authority: tuple[EllipticCurvePrivateKey, x509.Certificate],
    period: tuple[dt.datetime, dt.datetime],
) -> tuple[bytes, bytes]:
    """Certificate and key of a new leaf, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if len(claim.common_name) > _LONGEST_NAME:
        raise ClaimError(
            f"The name {claim.common_name!r} is longer than a certificate allows ({_LONGEST_NAME} characters).",
            hint="give the service or store a shorter name",
        )
    signer, issuer = authority
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _builder(_subject(claim, platform), issuer.subject, key, period)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_purposes(claim)), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternative_names(claim)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return _certificate_pem(certificate), _key_pem(key)


def _subject(claim: LeafClaim, platform: str) -> x509.Name:
    """``O, OU, CN`` in this order, which RFC 2253 writes backwards: ``CN=catalog,OU=service,O=shop``."""
    from cryptography.x509 import NameOID

    return _name(
        *(NameOID.ORGANIZATION_NAME, platform),
        *(NameOID.ORGANIZATIONAL_UNIT_NAME, claim.unit),
        *(NameOID.COMMON_NAME, claim.common_name),
    )


def _name(*parts: Any) -> x509.Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(oid, value) for oid, value in zip(parts[::2], parts[1::2], strict=True)])


def _purposes(claim: LeafClaim) -> list[x509.ObjectIdentifier]:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    listens = [ExtendedKeyUsageOID.SERVER_AUTH] if claim.hosts or claim.dns else []
    return [ExtendedKeyUsageOID.CLIENT_AUTH, *listens]


def _alternative_names(claim: LeafClaim) -> list[x509.GeneralName]:
    from cryptography import x509

    return [
        x509.UniformResourceIdentifier(claim.identity),
        *(x509.DNSName(name) for name in claim.dns),
        *(x509.IPAddress(ipaddress.ip_address(host)) for host in claim.hosts),
    ]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, period: tuple[dt.datetime, dt.datetime]
) -> x509.CertificateBuilder:
    from cryptography import x509

    since, until = period
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since - _BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*granted: str) -> x509.KeyUsage:
    from cryptography import x509

    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in granted for name in every})


def _key_pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization as form

    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)

"""The certificates of a control plane: one authority, and a leaf for each who serves or asks."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """Files with a certificate and its key."""

    certificate: Path
    key: Path


_NAMED = {
    "countries": NameOID.COUNTRY_NAME,
    "organizations": NameOID.ORGANIZATION_NAME,
    "organizationalUnits": NameOID.ORGANIZATIONAL_UNIT_NAME,
}


class Authority:
    """Signs what is valid for a day, and keeps everything in ``folder``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        certificate = (
            self._builder(self._name, self._key.public_key(), DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.bundle = folder / "ca.crt"
        self.bundle.write_bytes(certificate.public_bytes(Encoding.PEM))

    def leaf(
        self,
        name: str,
        groups: Sequence[str] = (),
        addresses: Sequence[str] = (),
        valid: dt.timedelta = DAY,
        subject: Mapping[str, Sequence[str]] | None = None,
    ) -> Certificate:
        """A certificate for a user of these groups, or for who serves at these addresses. ``valid`` may be past.

        ``subject`` is what a Certificate of cert-manager asks for beside the common name.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        asked = {"organizations": groups, **(subject or {})}
        attributes = [x509.NameAttribute(_NAMED[kind], each) for kind in _NAMED for each in asked.get(kind, ())]
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
        builder = self._builder(x509.Name(attributes), key.public_key(), valid).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        if addresses:
            places: list[x509.GeneralName] = [x509.DNSName(each) for each in NAMES]
            places += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(places), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        stem = self._folder / name.replace(":", "-")
        leaf = Certificate(stem.with_suffix(".crt"), _private(stem.with_suffix(".key"), key))
        leaf.certificate.write_bytes(signed.public_bytes(Encoding.PEM))
        return leaf

    def signing_key(self) -> tuple[Path, Path]:
        """The key that signs the tokens of service accounts, and its public half."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = self._folder / "accounts.pub"
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return _private(self._folder / "accounts.key", key), public

    def kubeconfig(self, path: Path, server: str, user: str, leaf: Certificate) -> Path:
        """A kubeconfig file with everything inside, whose context is named ``greenfield-tests``."""
        data = {name: base64.b64encode(file.read_bytes()).decode() for name, file in (
            ("authority", self.bundle), ("certificate", leaf.certificate), ("key", leaf.key)
        )}  # fmt: skip
        name = "greenfield-tests"
        cluster = {"server": server, "certificate-authority-data": data["authority"]}
        secrets = {"client-certificate-data": data["certificate"], "client-key-data": data["key"]}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": user, "user": secrets}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "current-context": name,
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, valid: dt.timedelta
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now + valid)
        )


def _private(path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path

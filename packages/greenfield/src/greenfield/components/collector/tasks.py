"""Who may send to the collector: exactly the certificates that the platform issued to what it declares."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509


def admit(input: Mapping[str, Any], secret: Callable[[str], str]) -> str:  # noqa: A002, ARG001
    """Writes the bundle that the collector trusts: the senders' own certificates, instead of their authority's.

    The TLS of Go takes a certificate in the bundle for trusted itself. It also tells clients the names in the bundle,
    and some (those in Go and Java) show a certificate only where the name of its issuer is among them: so an authority
    of that name stands there too, whose key nobody has.

    ``input``: the ``authority``, the ``senders`` with the path of their certificate and their identity, and the bundle
    ``into`` which all goes. A sender that has a new certificate may hold the old one in its memory still, which is
    good until it expires.
    """
    into = Path(input["into"])
    try:
        certificates = [Path(path).read_bytes() for path, _ in input["senders"].values()]
        before = into.read_bytes() if into.exists() else b""
        former = _still_good(before, {identity for _, identity in input["senders"].values()}, b"".join(certificates))
        namesake = _namesake(Path(input["authority"]).read_bytes())
        _replace(into, b"".join((*certificates, *former, namesake)))
    except OSError as exc:
        raise RuntimeError(f"{exc.filename}: {exc.strerror}") from exc
    return f"{', '.join(input['senders'])} may send"


def _still_good(bundle: bytes, identities: Collection[str], renewed: bytes) -> list[bytes]:
    """The certificates of a bundle that are of one of these identities and hold on, without those ``renewed``."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    now = dt.datetime.now(dt.UTC)
    kept = []
    for certificate in x509.load_pem_x509_certificates(bundle) if bundle else ():
        pem = certificate.public_bytes(Encoding.PEM)
        if certificate.not_valid_after_utc > now and _identity(certificate) in identities and pem not in renewed:
            kept.append(pem)
    return kept


def _identity(certificate: x509.Certificate) -> str:
    """The URI in it; empty where there is none, as in a namesake."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), "")


def _namesake(authority: bytes) -> bytes:
    """Authorities of the same names as those in a bundle, with keys that are forgotten here."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    made = b""
    for original in x509.load_pem_x509_certificates(authority):
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(original.subject)
            .issuer_name(original.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(original.not_valid_before_utc)
            .not_valid_after(original.not_valid_before_utc + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        made += builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return made


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)

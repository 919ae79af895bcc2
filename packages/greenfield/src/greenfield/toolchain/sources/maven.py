"""Jars with their dependencies, by Maven under the caller's own settings."""

from __future__ import annotations

import contextlib
import re
import ssl
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.utils import CryptographyDeprecationWarning

from greenfield.errors import ToolError
from greenfield.model.tool import Debian, Installation, Maven, Tool, VersionRule
from greenfield.programs.jvm import JAVA
from greenfield.toolchain.lock import folder_digest
from greenfield.toolchain.sources.wheel import unpack
from greenfield.toolchain.workshop import Fetched, Workshop

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
_STORE_PASSWORD = b"public"  # a store of public certificates; the format wants one
MAVEN = Tool(
    name="maven",
    sources=(Debian(("maven",), {"mvn": "usr/share/maven/bin/mvn"}, dependencies="lib.*-java"),),
    programs=("mvn",),
    version=VersionRule("mvn", ("-v",), r"Apache Maven ([0-9.]+)", at_least="3.6"),
)


def fetch(source: Maven, workshop: Workshop) -> Fetched:
    """The artifacts and what they need at run time, in ``libs/``; the archives' own files where it is to unpack."""
    libs = workshop.tree / "libs"
    libs.mkdir()
    pom = workshop.folder / "pom.xml"
    pom.write_bytes(project(source.coordinates))
    client = _client(workshop)
    transitive = () if not source.unpack else ("-DexcludeTransitive=true",)
    workshop.run(
        *client.argv, "-B", "-q", "-f", str(pom), f"{PLUGIN}:copy-dependencies", f"-DoutputDirectory={libs}",
        "-DincludeScope=runtime", *transitive, environment=client.environment,
    )  # fmt: skip
    if not any(libs.iterdir()):
        raise ToolError("Maven ended well but brought no jar")
    digest = folder_digest(libs)
    workshop.check(source, digest)
    if source.unpack:
        for archive in sorted(libs.iterdir()):
            unpack(archive, workshop.tree)
            archive.unlink()
        libs.rmdir()
    version = source.coordinates[0].rsplit(":", 1)[1]
    return Fetched(version, dict.fromkeys(source.coordinates, digest))


@dataclass(frozen=True)
class _Client:
    argv: tuple[str, ...]
    environment: Mapping[str, str]


def _client(workshop: Workshop) -> _Client:
    """Maven as PATH has it, else Debian's, run by a Java that is there or fetched."""
    maven = workshop.obtain(MAVEN)
    if maven.on_path:
        return _Client((maven.programs["mvn"],), {})
    java = workshop.obtain(JAVA)
    home = Path(maven.root, "usr/share/maven")
    loader = next(home.glob("boot/plexus-classworlds-*.jar"), None)
    if loader is None:
        raise ToolError(f"Debian's Maven has no class loader in {home}/boot")
    argv = (
        java.programs["java"], *_trust(java, workshop.folder), "-classpath", str(loader),
        f"-Dclassworlds.conf={maven.root}/etc/maven/m2.conf",
        f"-Dmaven.home={home}", f"-Dmaven.multiModuleProjectDirectory={workshop.folder}",
        "org.codehaus.plexus.classworlds.launcher.Launcher",
    )  # fmt: skip
    return _Client(argv, java.environment)


def _trust(java: Installation, folder: Path) -> tuple[str, ...]:
    """Makes a fetched Java trust whom this machine trusts; one on PATH is set up by its owner."""
    bundle = ssl.get_default_verify_paths().cafile
    if java.on_path or not bundle:
        return ()
    authorities = [pkcs12.PKCS12Certificate(certificate, None) for certificate in _readable(Path(bundle).read_bytes())]
    store = folder / "trusted.p12"
    store.write_bytes(pkcs12.serialize_java_truststore(authorities, BestAvailableEncryption(_STORE_PASSWORD)))
    return (f"-Djavax.net.ssl.trustStore={store}", f"-Djavax.net.ssl.trustStorePassword={_STORE_PASSWORD.decode()}")


def _readable(bundle: bytes) -> Iterator[x509.Certificate]:
    """The certificates of a bundle; old authorities break rules that the library warns of, or refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        for certificate in re.findall(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", bundle, re.DOTALL):
            with contextlib.suppress(ValueError):
                yield x509.load_pem_x509_certificate(certificate)


def project(coordinates: tuple[str, ...]) -> bytes:
    """A project that depends on the coordinates and is nothing else."""
    root = ElementTree.Element("project", xmlns="http://maven.apache.org/POM/4.0.0")
    facts = {"modelVersion": "4.0.0", "groupId": "local", "artifactId": "tools", "version": "1", "packaging": "pom"}
    for name, value in facts.items():
        ElementTree.SubElement(root, name).text = value
    dependencies = ElementTree.SubElement(root, "dependencies")
    for coordinate in coordinates:
        dependency = ElementTree.SubElement(dependencies, "dependency")
        for name, value in zip(("groupId", "artifactId", "version"), coordinate.split(":"), strict=True):
            ElementTree.SubElement(dependency, name).text = value
    return ElementTree.tostring(root)

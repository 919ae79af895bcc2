"""``render``: what Kubernetes is to hold, as files or on stdout."""

from __future__ import annotations

from pathlib import Path

import click

from greenfield.cli.options import Options, with_formats
from greenfield.cli.output import emit, emit_json, say
from greenfield.errors import ArgumentError


@click.command()
@with_formats("text", "yaml", "json")
@click.option("-o", "--output", metavar="DIR", help="Write one file for each object there, and what to install before.")
@click.option("--force", is_flag=True, help="Overwrite rendered files that somebody edited.")
def render(options: Options, output: str | None, *, force: bool) -> None:
    """Render the platform for Kubernetes: into a folder, or as one stream of YAML or JSON on stdout."""
    from greenfield.cli.rendered import rendered
    from greenfield.targets.kubernetes.text import documents

    if output is not None and options.format != "text":
        raise ArgumentError("-o and --format exclude each other", hint="a folder always holds YAML")
    found = rendered(options)
    if output is not None:
        from greenfield.targets.kubernetes import tree

        files = tree.files(found.planned.plan, found.objects, found.charts)
        written, removed = tree.write(Path(output), files, force=force)
        say(f"{output}: {len(found.objects)} objects in {len(files)} files; {written} written, {removed} removed")
        return
    manifests = [each.manifest for each in found.objects]
    if options.json:
        emit_json({"apiVersion": "v1", "kind": "List", "items": manifests})
    else:
        emit(documents(manifests).rstrip("\n"))

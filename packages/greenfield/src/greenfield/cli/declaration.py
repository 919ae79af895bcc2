"""``check``, ``plan``, ``schema``: what the file says, nothing started."""

from __future__ import annotations

from dataclasses import asdict, replace

import click

from greenfield.cli.options import Options, with_formats, with_options
from greenfield.cli.output import emit, emit_json, problems_json, say
from greenfield.errors import ArgumentError, DeclarationError


@click.command()
@with_options
def check(options: Options) -> None:
    """Find every mistake in the declaration: the base and every overlay, unless --env picks one."""
    from greenfield.cli.catalogue import catalogue
    from greenfield.cli.reading import read_declaration, read_source
    from greenfield.spec import reader

    if options.environment is not None:
        environments: tuple[str, ...] = (read_declaration(options).environment,)
    else:
        problems, environments = reader.check(read_source(options.file), catalogue())
        if problems:
            raise DeclarationError(problems)
    if options.json:
        emit_json(problems_json(()))
        return
    said = f" with its environments {', '.join(environments)}" if environments else ""
    emit(f"ok: {options.file.name}{said} has no mistake")


@click.command()
@with_formats("text", "json", "mermaid")
@click.option("--against", metavar="REV", help="Say what anyone may do that could not at a revision of git.")
def plan(options: Options, against: str | None) -> None:
    """Show the graph, the grants and the parity; mermaid is a flowchart, as Markdown viewers draw it."""
    from greenfield.cli.reading import read_plan
    from greenfield.plan import show

    if against is not None:
        _against(options, against)
        return
    planned = read_plan(options).plan
    if options.format == "mermaid":
        emit(show.as_mermaid(planned))
    elif options.json:
        emit_json(show.as_json(planned))
    else:
        emit(show.as_text(replace(planned, warnings=())))
        for warning in (*planned.warnings, *planned.refusals):
            say(f"{click.style('warning', fg='yellow')}: {warning}")


def _against(options: Options, revision: str) -> None:
    from greenfield.cli.reading import read_plan
    from greenfield.cli.revision import read_plan_at
    from greenfield.plan.access import difference, rights

    after, before = read_plan(options), read_plan_at(options, revision)
    found = difference(rights(before.plan, before.catalogue), rights(after.plan, after.catalogue))
    if options.format == "mermaid":
        raise ArgumentError("--against draws no flowchart", hint="leave --format away, or ask for json")
    if options.json:
        both = {"gained": found.gained, "lost": found.lost}
        emit_json({"against": revision} | {key: [asdict(right) for right in listed] for key, listed in both.items()})
        return
    for sentence in found.sentences():
        emit(click.style(sentence, fg="yellow" if " may now " in sentence else None))
    if not found.sentences():
        emit(f"nobody may do more or less than at {revision}")


@click.command()
@with_formats("json", "markdown")
def schema(options: Options) -> None:
    """Print the JSON schema of the declaration, for editors; as Markdown, the settings of every kind for people."""
    from greenfield.cli.catalogue import catalogue
    from greenfield.spec.reference import reference
    from greenfield.spec.schema import schema as build

    if options.format == "markdown":
        emit(reference(catalogue()).rstrip())
        return
    emit_json(build(catalogue()))

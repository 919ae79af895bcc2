"""``backing``: what one service uses, alone and for a while."""

from __future__ import annotations

import click

from greenfield.cli.options import Options, with_options


@click.command()
@with_options
@click.argument("service", required=False)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def backing(options: Options, service: str | None, command: tuple[str, ...]) -> None:
    """Run what SERVICE uses, and nothing else, in a place of its own: greenfield backing SERVICE -- COMMAND.

    Its stores and topics, with its own certificate and grants, its tables made by migrations; no service, and nothing
    of the platform that may run here. COMMAND gets the wiring, and its exit code is passed on; without one the wiring
    is printed, and Ctrl-C or the end of stdin ends it. Then all of it is gone, data included.
    """
    from greenfield.cli.lending import lend

    click.get_current_context().exit(lend(options, service, command))

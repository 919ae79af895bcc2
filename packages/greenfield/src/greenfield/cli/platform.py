"""``up``, ``down``, ``status``: the platform as a whole. What they do is in ``lifecycle``, which ``--help`` spares."""

from __future__ import annotations

import click

from greenfield.cli.options import Options, with_options


@click.command()
@with_options
@click.option("-d", "--detach", is_flag=True, help="Return when it is ready; it runs on in the background.")
@click.option("--new-ports", is_flag=True, help="Choose another port where a stranger sits on a remembered one.")
def up(options: Options, detach: bool, new_ports: bool) -> None:
    """Run the platform on this machine, or make what runs what the file says.

    Ctrl-C stops it in order, a second one at once; with -d it runs on until `greenfield down`.
    """
    from greenfield.cli import lifecycle

    lifecycle.up(options, detach=detach, new_ports=new_ports)


@click.command()
@with_options
@click.option("--volumes", is_flag=True, help="Remove data, state, certificates and secrets as well.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def down(options: Options, volumes: bool, yes: bool) -> None:
    """Stop the platform and everything it left behind; data is kept unless --volumes. The file need not be valid."""
    from greenfield.cli import lifecycle

    lifecycle.down(options, volumes=volumes, yes=yes)


@click.command()
@with_options
def status(options: Options) -> None:
    """What runs, where, and how it is. A stopped platform is an answer too."""
    from greenfield.cli import lifecycle

    lifecycle.status(options)

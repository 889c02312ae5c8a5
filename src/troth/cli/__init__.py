"""The command `troth`: every subcommand, and how its failures are told.

Exit codes: 0 done · 1 refused or found wrong (the text on standard error says why and what to do) · 2 wrong usage.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from troth import __version__
from troth.config import ConfigError
from troth.embedded.account import EmbeddedPostgresError
from troth.store.pool import UnfitDatabaseError
from troth.store.vault import MasterKeyError

_TOLD = (ConfigError, EmbeddedPostgresError, MasterKeyError, UnfitDatabaseError)  # their texts say what to do

COMMANDS = {  # name → where it is; loaded when it is called, so that no command waits for the others' imports
    "serve": "troth.cli.serve:serve",
    "worker": "troth.cli.worker:worker",
    "keys": "troth.cli.keys:keys",
    "program": "troth.cli.program:program",
    "import": "troth.cli.import_file:import_command",
    "export": "troth.cli.export_file:export_command",
    "clock": "troth.cli.clock:clock",
    "demo": "troth.cli.demo:demo",
    "verify": "troth.cli.proof:verify",
    "rebuild": "troth.cli.proof:rebuild",
}


class Commands(click.Group):
    """The subcommands in the order of COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="troth")
def troth() -> None:
    """Troth: rules turn what customers do into points, and every point can be proven."""


def main() -> None:
    """The entry point: runs one command and ends the process."""
    try:
        troth()
    except _TOLD as error:
        click.echo(f"troth: {error}", err=True)
        sys.exit(1)

"""The command `troth`: every subcommand, and how its failures are told.

Exit codes: 0 done · 1 refused or found wrong (the text on standard error says why and what to do) · 2 wrong usage.
"""

from __future__ import annotations

import sys

import click

from troth import __version__
from troth.cli_keys import keys
from troth.cli_serve import serve
from troth.config import ConfigError
from troth.embedded.account import EmbeddedPostgresError
from troth.store.pool import UnfitDatabaseError
from troth.store.vault import MasterKeyError

_TOLD = (ConfigError, EmbeddedPostgresError, MasterKeyError, UnfitDatabaseError)  # their texts say what to do


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="troth")
def program_group() -> None:
    """Troth: rules turn what customers do into points, and every point can be proven."""


program_group.add_command(serve)
program_group.add_command(keys)


def main() -> None:
    """The entry point: runs one command and ends the process."""
    try:
        program_group(standalone_mode=True)
    except _TOLD as error:
        click.echo(f"troth: {error}", err=True)
        sys.exit(1)

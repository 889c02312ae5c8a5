"""What several commands share: the --data option, and the vault of a configuration."""

from __future__ import annotations

from pathlib import Path

import click

from troth.config import Config
from troth.store.vault import MasterKeyError, Vault, open_vault

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data folder. Default: TROTH_DATA, else .troth.",
)


def open_vault_of(config: Config) -> Vault:
    """The vault of this configuration; the key file is made when it is missing. Raises MasterKeyError."""
    if config.master_key is not None:
        return Vault(config.master_key)
    if config.database_url is not None and config.mode == "production":
        raise MasterKeyError(
            "set TROTH_MASTER_KEY to 32 random bytes (openssl rand -base64 32), the same for every server of this "
            "database, and keep a copy"
        )
    return open_vault(None, config.data / "master.key")

"""Settings: what is taken, what is refused, and that everything wrong is said at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from troth import limits
from troth.config import Config, ConfigError, read_config

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("TROTH_MODE", "production", "mode", "production"),
        ("TROTH_DATA", "/srv/points", "data", Path("/srv/points")),
        ("TROTH_HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("TROTH_PORT", "0", "port", 0),
        ("TROTH_PORT", " 65535 ", "port", 65_535),
        ("TROTH_MASTER_KEY", KEY.hex(), "master_key", KEY),
        ("TROTH_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "master_key", KEY),
        ("TROTH_DATABASE_URL", "postgresql://a@b/c", "database_url", "postgresql://a@b/c"),
        ("TROTH_LANES", "", "lanes", limits.LANES),
        ("TROTH_LANES", "32", "lanes", 32),
        ("TROTH_LOG_FORMAT", "json", "log_format", "json"),
    ],
)
def test_what_a_variable_means(name: str, text: str, field: str, value: object) -> None:
    assert getattr(read_config({name: text}), field) == value


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("TROTH_MODE", "Production", "TROTH_MODE must be one of: development, production"),
        ("TROTH_PORT", "65536", "TROTH_PORT must be a whole number from 0 to 65535"),
        ("TROTH_PORT", "-1", "TROTH_PORT must be a whole number"),
        ("TROTH_PORT", "٣", "TROTH_PORT must be a whole number"),
        ("TROTH_PORT", "tcp://10.0.0.1:80", "enableServiceLinks: false"),
        ("TROTH_HOST", "a b", "TROTH_HOST must be a host name"),
        ("TROTH_LANES", "0", "TROTH_LANES must be a whole number from 1 to 32"),
        ("TROTH_DATABASE_URL", "mysql://a@b/c", "TROTH_DATABASE_URL must be a URL like postgresql://"),
        ("TROTH_DATABASE_OWNER_URL", "postgresql://a@b/c", "TROTH_DATABASE_OWNER_URL needs TROTH_DATABASE_URL"),
        ("TROTH_MASTER_KEY", "c2hvcnQ=", "TROTH_MASTER_KEY must be 32 random bytes"),
        ("TROTH_MASTER_KEY", "z" * 64, "TROTH_MASTER_KEY must be 32 random bytes"),
    ],
)
def test_a_wrong_value_refuses_the_start(name: str, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        read_config({name: text})
    assert text not in str(refused.value)


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError, match=r"TROTH_MODE.*; TROTH_LANES"):
        read_config({"TROTH_MODE": "x", "TROTH_LANES": "x"})


def test_the_command_line_goes_before_the_environment() -> None:
    config = read_config({"TROTH_PORT": "1", "TROTH_DATA": "/one"}, port=2, data=None)
    assert (config.port, config.data) == (2, Path("/one"))


def test_a_start_can_say_what_it_assumed_and_did_not_know() -> None:
    config = read_config({"TROTH_MASTERKEY": "x", "OTHER": "y"})
    assert config.unknown == ("TROTH_MASTERKEY",)
    assert not config.is_mode_explicit
    assert read_config({"TROTH_MODE": "development"}).is_mode_explicit


def test_no_secret_shows() -> None:
    url = "postgresql://somebody:hidden@host/troth"
    config = read_config({"TROTH_MASTER_KEY": KEY.hex(), "TROTH_DATABASE_URL": url, "TROTH_DATABASE_OWNER_URL": url})
    assert config.master_key == KEY
    assert "hidden" not in repr(config)
    assert repr(KEY) not in repr(config)


def test_the_defaults_are_those_of_an_empty_environment() -> None:
    assert read_config({}) == Config()

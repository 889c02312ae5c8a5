"""Keys: how they are made, what they may ask for, what their scopes grant."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from tests.serving import EVERYTHING
from troth import limits
from troth.api.keys import (
    SCOPES,
    KeyRequest,
    KeyRequestError,
    granted,
    hash_key,
    make_key,
    make_signing_secret,
    mode_of,
    open_secret,
    read_key_id,
    seal_secret,
    show_key_id,
)
from troth.store.vault import MasterKeyError, Vault

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("mode", "kind", "prefix"),
    [
        ("development", "secret", "sk_test_"),
        ("production", "secret", "sk_live_"),
        ("development", "publishable", "pk_test_"),
        ("production", "publishable", "pk_live_"),
    ],
)
def test_the_prefix_says_mode_and_kind(mode: str, kind: str, prefix: str) -> None:
    asked = KeyRequest(name="x", mode=mode, kind=kind, scopes=("events:write",))  # type: ignore[arg-type]
    text, record = make_key(asked, NOW, os.urandom)
    assert text.startswith(prefix)
    assert len(text) == len(prefix) + 43
    assert mode_of(text) == mode
    assert record.hash == hash_key(text)
    assert text[len(prefix) :] not in repr(record)


def test_every_key_is_another() -> None:
    made = {make_key(EVERYTHING, NOW, os.urandom)[0] for _ in range(100)}
    assert len(made) == 100


REFUSED: list[dict[str, object]] = [
    {"name": ""},
    {"name": "n" * (limits.KEY_NAME_LENGTH + 1)},
    {"scopes": ("events:read",) * (limits.KEY_SCOPES + 1)},
    {"addresses": ("10.0.0.1",) * (limits.KEY_ADDRESSES + 1)},
    {"kind": "publishable", "scopes": ("events:write",), "origins": ("https://a.example",) * (limits.KEY_ORIGINS + 1)},
    {"scopes": ()},
    {"scopes": ("events",)},
    {"scopes": ("events:delete",)},
    {"scopes": ("nothing:*",)},
    {"scopes": ("*:*",)},
    {"origins": ("https://shop.example",)},
    {"addresses": ("300.1.1.1",)},
    {"addresses": ("10.0.0.1/8",)},
    {"kind": "publishable"},
    {"kind": "publishable", "scopes": ("events:write", "events:read")},
]


@pytest.mark.parametrize("asked", REFUSED, ids=str)
def test_refuses_what_no_key_can_be(asked: dict[str, object]) -> None:
    fields = {"name": "x", "mode": "development", "scopes": ("*",), **asked}
    with pytest.raises(KeyRequestError):
        make_key(KeyRequest(**fields), NOW, os.urandom)  # type: ignore[arg-type]


GRANTS = [
    (("*",), None),
    (("events:write",), {"events:write"}),
    (("customers:*", "events:read"), {"customers:read", "customers:write", "events:read"}),
]


@pytest.mark.parametrize(("scopes", "permissions"), GRANTS)
def test_scopes_grant_permissions(scopes: tuple[str, ...], permissions: set[str] | None) -> None:
    found = granted(scopes)
    assert (None if found is None else found & set(SCOPES)) == permissions


def test_ids_read_back() -> None:
    _, record = make_key(EVERYTHING, NOW, os.urandom)
    assert read_key_id(show_key_id(record.id)) == record.id
    assert [read_key_id(text) for text in ("", "key_", "key_zz", str(record.id))] == [None] * 4


def test_signing_secrets_open_with_their_master_key_only() -> None:
    _, record = make_key(EVERYTHING, NOW, os.urandom)
    secret = make_signing_secret(os.urandom)
    sealed = seal_secret(Vault(b"a" * 32), record.id, secret)
    assert secret.encode() not in sealed
    assert open_secret(Vault(b"a" * 32), record.id, sealed) == secret
    with pytest.raises(MasterKeyError):
        open_secret(Vault(b"b" * 32), record.id, sealed)

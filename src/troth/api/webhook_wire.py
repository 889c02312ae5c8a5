"""Webhooks on the wire: what is sent to set one up, with every problem it has, and how it is shown. Secrets are not.

In: JSON. Out: `Settings`, or a ProblemError. Must never: show a secret, a write key or the value of a header.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import msgspec

from troth import limits
from troth.api.json_bodies import read_object
from troth.api.problems import ErrorItem, faulty
from troth.core.calendar import show_time
from troth.core.coercion import escape
from troth.core.ids import show_id
from troth.core.topics import FAMILIES, TOPICS, is_choice, unsent
from troth.outbox.sending import is_public, literal_address
from troth.store.webhooks import Format, Webhook

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_OURS = re.compile(
    r"webhook-.*|content-.*|transfer-encoding|connection|host|te|trailer|upgrade|expect|accept-encoding", re.I
)
_WRITE_KEY_LENGTH = 200
Problems = list[ErrorItem]


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a webhook is set up. A change names what it changes."""

    url: str = ""  # https; of the format segment without its /v1/batch
    topics: tuple[str, ...] = ("*",)  # names, families like points.*, or *
    format: Format = "standard"
    description: str = ""
    enabled: bool = True
    headers: Mapping[str, str] = {}  # sent along; never shown again
    write_key: str = ""  # format segment: the receiver's; never shown again


class WebhookItem(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook, and how it fares."""

    id: str
    url: str
    topics: tuple[str, ...]
    never_sent: tuple[str, ...]  # of these topics: what they tell of does not happen in this version
    format: Format
    description: str
    enabled: bool
    header_names: tuple[str, ...]
    created_at: str
    updated_at: str
    old_secret_until: str | None  # that a rotated secret signs beside the new one
    delivered: int
    given_up: int
    failures: int  # failed attempts in a row
    failing_since: str | None
    disabled_at: str | None  # by Troth, since it failed for too long,
    disabled_reason: str | None  # as is said here


class NewWebhook(WebhookItem, frozen=True, kw_only=True):
    """With its secret, which is shown this once."""

    secret: str | None  # whsec_…; null: the format signs nothing


class WebhookPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[WebhookItem, ...]  # oldest first
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A webhook as its owner wants it; None: as it was."""

    url: str | None = None
    topics: tuple[str, ...] | None = None
    format: Format | None = None
    description: str | None = None
    enabled: bool | None = None
    headers: Mapping[str, str] | None = None
    write_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """Where this server may send."""

    private: bool
    plain: bool  # http


def read_settings(body: bytes, permitted: Permitted, known: Format | None) -> Settings:
    """What was sent. `known`: the format of the webhook that is changed; None: a new one. Raises ProblemError."""
    reader = _Reader(document=read_object(body), permitted=permitted)
    settings = reader.read()
    chosen = settings.format or known or "standard"
    if known is None and settings.url is None:
        reader.complain("/url", "missing", "A webhook has a url.")
    if chosen == "segment" and known != "segment" and settings.write_key is None:
        reader.complain("/write_key", "missing", "The format segment needs the receiver's write key.")
    if chosen == "standard" and settings.write_key is not None:
        reader.complain("/write_key", "unknown_field", "Only the format segment has a write key.")
    reader.finish()
    return settings


@dataclass(slots=True, kw_only=True)
class _Reader:
    document: Mapping[str, object]
    permitted: Permitted
    problems: Problems = field(default_factory=list)

    def read(self) -> Settings:
        readers: dict[str, Callable[[object], object]] = {
            "url": self._url,
            "topics": self._topics,
            "format": self._format,
            "description": self._description,
            "enabled": self._enabled,
            "headers": self._headers,
            "write_key": self._write_key,
        }
        found = {}
        for name, value in self.document.items():
            if name not in readers:
                self.complain(f"/{escape(name)}", "unknown_field", f"A webhook has no {name!r}.")
            else:
                found[name] = readers[name](value)
        return Settings(**found)  # type: ignore[arg-type]

    def complain(self, pointer: str, code: str, detail: str) -> None:
        if not any(item.pointer == pointer for item in self.problems):
            self.problems.append(ErrorItem(pointer=pointer, code=code, detail=detail))

    def finish(self) -> None:
        if self.problems:
            raise faulty("webhook", self.problems)

    def _text(self, pointer: str, value: object, longest: int) -> str | None:
        if not isinstance(value, str):
            self.complain(pointer, "type", "Text is expected.")
        elif len(value) > longest:
            self.complain(pointer, "too_long", f"At most {longest} characters.")
        elif "\0" in value:
            self.complain(pointer, "nul_character", "Text may not hold NUL characters.")
        else:
            return value
        return None

    def _url(self, value: object) -> str | None:
        text = self._text("/url", value, limits.WEBHOOK_URL_LENGTH)
        problem = problem_of_url(text, self.permitted) if text is not None else None
        if problem is not None:
            self.complain("/url", *problem)
        return text

    def _topics(self, value: object) -> tuple[str, ...] | None:
        if not isinstance(value, list) or not value:
            self.complain("/topics", "type", "'topics' is a list of at least one topic.")
            return None
        for place, name in enumerate(value):
            if not isinstance(name, str) or not is_choice(name):
                known = ", ".join((*TOPICS, *FAMILIES))
                self.complain(f"/topics/{place}", "unknown_topic", f"There are *, {known}.")
        return tuple(dict.fromkeys(cast("list[str]", value))) if not self.problems else None

    def _format(self, value: object) -> Format | None:
        if value not in ("standard", "segment"):
            self.complain("/format", "not_in_enum", "A format is standard or segment.")
            return None
        return value

    def _description(self, value: object) -> str | None:
        return self._text("/description", value, limits.TEXT_LENGTH)

    def _enabled(self, value: object) -> bool | None:
        if not isinstance(value, bool):
            self.complain("/enabled", "type", "'enabled' is true or false.")
            return None
        return value

    def _headers(self, value: object) -> Mapping[str, str] | None:
        if not isinstance(value, dict) or len(value) > limits.WEBHOOK_HEADERS:
            self.complain("/headers", "type", f"'headers' is an object of at most {limits.WEBHOOK_HEADERS} headers.")
            return None
        for name, text in value.items():
            pointer = f"/headers/{escape(name)}"
            if not _TOKEN.fullmatch(name) or len(name) > limits.KEY_NAME_LENGTH or _OURS.fullmatch(name):
                self.complain(pointer, "not_allowed", "This is no name of a header that can be chosen.")
            elif self._text(pointer, text, limits.WEBHOOK_HEADER_LENGTH) and not _VALUE.fullmatch(str(text)):
                self.complain(pointer, "invalid_character", "A header's value is printable ASCII.")
        return value

    def _write_key(self, value: object) -> str | None:
        text = self._text("/write_key", value, _WRITE_KEY_LENGTH)
        if text is not None and (not _VALUE.fullmatch(text) or ":" in text):
            self.complain("/write_key", "invalid_character", "A write key is printable ASCII without a colon.")
        return text


def problem_of_url(text: str, permitted: Permitted) -> tuple[str, str] | None:
    """Code and detail of what is wrong with an address; None: it may be tried."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or parts.scheme not in ("http", "https") or any(not "!" <= character <= "~" for character in text):
        return "invalid_url", "An address like https://shop.example/hooks is expected, in ASCII."
    if parts.scheme == "http" and not permitted.plain:
        return "https_required", "In production messages go over https only (TROTH_WEBHOOKS_PRIVATE=on lifts this)."
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "invalid_url", "An address has no user, password or fragment; use 'headers' for what authorises."
    address = literal_address(host)
    if address is not None and not permitted.private and not is_public(address):
        return "private_address", "This address is not public (TROTH_WEBHOOKS_PRIVATE=on allows it)."
    return None


def webhook_item(found: Webhook, header_names: tuple[str, ...]) -> WebhookItem:
    """A webhook as it is shown."""
    return WebhookItem(**shown(found, header_names))  # type: ignore[arg-type]


def shown(found: Webhook, header_names: tuple[str, ...]) -> dict[str, object]:
    times = {
        name: show_time(moment) if (moment := getattr(found, name)) is not None else None
        for name in ("created_at", "updated_at", "old_secret_until", "failing_since", "disabled_at")
    }
    plain = (
        "url",
        "topics",
        "format",
        "description",
        "enabled",
        "delivered",
        "given_up",
        "failures",
        "disabled_reason",
    )
    return {
        "id": show_id("whk", found.id),
        "never_sent": unsent(found.topics),
        "header_names": header_names,
        **{name: getattr(found, name) for name in plain},
        **times,
    }

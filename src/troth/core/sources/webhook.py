"""Settings of a generic incoming webhook."""

from __future__ import annotations

from troth.core.sources.settings import SourceSettings


class WebhookSettings(SourceSettings, frozen=True, kw_only=True):
    """A system that sends JSON of its own form."""

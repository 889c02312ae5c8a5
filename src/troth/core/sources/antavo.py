"""Settings of an Antavo-compatible source."""

from __future__ import annotations

from troth.core.sources.settings import SourceSettings


class AntavoSettings(SourceSettings, frozen=True, kw_only=True):
    """An integration written for that product."""

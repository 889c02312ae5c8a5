"""The kinds of sources: which settings each reads, which secrets it has, and how its events name it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from troth.core.sources.antavo import AntavoSettings
from troth.core.sources.segment import SegmentSettings
from troth.core.sources.settings import SourceSettings
from troth.core.sources.shops import ShopifySettings, WooCommerceSettings
from troth.core.sources.webhook import WebhookSettings

Kind = Literal["segment", "shopify", "woocommerce", "webhook", "antavo"]


class KindOfSource(msgspec.Struct, frozen=True, kw_only=True):
    settings: type[SourceSettings]
    secrets: tuple[str, ...]  # their names; each is generated unless it is given
    found_by: str | None  # the secret that a request names its source by; None: by its address
    source: str  # of its events (semantics.md §1)


KINDS: Mapping[Kind, KindOfSource] = MappingProxyType(
    {
        "segment": KindOfSource(
            settings=SegmentSettings, secrets=("write_key",), found_by="write_key", source="segment"
        ),
        "shopify": KindOfSource(settings=ShopifySettings, secrets=("secret",), found_by=None, source="shopify"),
        "woocommerce": KindOfSource(
            settings=WooCommerceSettings, secrets=("secret",), found_by=None, source="woocommerce"
        ),
        "webhook": KindOfSource(settings=WebhookSettings, secrets=("secret",), found_by=None, source="webhook"),
        "antavo": KindOfSource(
            settings=AntavoSettings, secrets=("api_key", "api_secret"), found_by="api_key", source="platform"
        ),
    }
)

"""Settings of shops that send webhooks."""

from __future__ import annotations

from typing import Literal

from troth.core.sources.settings import SourceSettings

Guests = Literal["drop", "email"]  # who has no account: nobody, or the customer of that e-mail address


class ShopSettings(SourceSettings, frozen=True, kw_only=True):
    """What every shop can be told."""

    guests: Guests = "drop"


class ShopifySettings(ShopSettings, frozen=True, kw_only=True):
    """A Shopify shop."""


class WooCommerceSettings(ShopSettings, frozen=True, kw_only=True):
    """A WooCommerce shop."""

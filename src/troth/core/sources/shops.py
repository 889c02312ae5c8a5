"""Settings of shops that send webhooks: whom an order belongs to, what it is worth, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from troth import limits
from troth.core.coercion import Problem
from troth.core.sources.settings import Name, SourceSettings

Guests = Literal["drop", "email", "email_hash"]  # who has no account: nobody, or the customer of that e-mail address
Basis = Literal["subtotal", "subtotal_with_tax", "total"]
Meaning = Literal["paid", "update", "reject", "refund", "drop"]
Prefix = Annotated[str, msgspec.Meta(max_length=limits.PROGRAM_ID_LENGTH)]
Statuses = Annotated[Mapping[Name, Meaning], msgspec.Meta(max_length=limits.SOURCE_MAPPINGS)]


class ShopSettings(SourceSettings, frozen=True, kw_only=True):
    """What every shop can be told."""

    guests: Guests = "drop"
    customer: Literal["id", "email", "attribute"] = "id"  # what of a customer is our customer id
    customer_prefix: Prefix = ""  # before the shop's own customer id
    customer_attribute: Name | None = None  # the order's attribute that holds our customer id
    opens: Literal["checkout", "purchase"] = "checkout"  # the type that a paid order opens with
    order_prefix: Prefix = ""  # before the shop's own order id: two shops may count alike
    basis: Basis = "subtotal"  # what is worth points: goods after discounts, with their tax, or all that was paid
    places: Annotated[int, msgspec.Meta(ge=0, le=4)] = 2  # of money; what has more is rounded half up

    def flaws(self) -> tuple[Problem, ...]:
        """A customer id in an attribute that has no name."""
        if self.customer != "attribute" or self.customer_attribute is not None:
            return ()
        return (Problem("/customer_attribute", "missing", "Name the order's attribute that holds the customer id."),)


class ShopifySettings(ShopSettings, frozen=True, kw_only=True):
    """A Shopify shop."""

    prices_include_tax: bool = False  # of refunds, which do not say so; orders do


class WooCommerceSettings(ShopSettings, frozen=True, kw_only=True):
    """A WooCommerce shop."""

    statuses: Statuses = msgspec.field(
        default_factory=dict
    )  # an order's status → what it means; goes before the default

    def meaning_of(self, status: object) -> Meaning:
        """What an order of this status says."""
        if not isinstance(status, str):
            return "drop"
        return self.statuses.get(status) or _STATUSES.get(status, "drop")


_STATUSES: Mapping[str, Meaning] = {
    "processing": "paid",
    "completed": "paid",
    "pending": "drop",  # nothing is paid yet
    "on-hold": "update",
    "failed": "drop",  # a failed payment may be tried again, and a rejection is final
    "cancelled": "reject",
    "trash": "reject",
    "deleted": "reject",  # the topic order.deleted
    "refunded": "refund",
}

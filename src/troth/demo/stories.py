"""The story of each customer of the demo shop, told from the seed: the same seed, the same shop.

In: seed, number of customers, days. Out: happenings in order of time. A story depends on nothing but the seed and the
customer's number; more days only continue it, so that the same references mean the same thing on every run.
"""

from __future__ import annotations

import heapq
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from troth.demo.shop import (
    CHANNELS,
    COUNTRIES,
    FIRST_NAMES,
    LAST_NAMES,
    NETWORKS,
    PERSONAS,
    PLATFORMS,
    PRODUCTS,
    Persona,
    Product,
)

_OPENS, _BUSIEST, _CLOSES = 7 * 3600, 19 * 3600, 23 * 3600  # seconds of a day
_LINES_MAX = 6
_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What one customer did at one moment."""

    at: datetime  # aware
    customer: str
    type: str
    reference: str  # unique within the shop, the same on every run
    properties: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A shop that opened `days` ago and has won its customers evenly since."""

    seed: int
    customers: int
    days: int

    def happenings(self, now: datetime) -> Iterator[Happening]:
        """Everything until `now`, in order of time."""
        opened = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=self.days)
        stories = (
            _Story(self.seed, number, opened + timedelta(days=self.days * number // self.customers))
            for number in range(self.customers)
        )
        told = heapq.merge(*(story.tell(now) for story in stories), key=lambda happening: happening.at)
        return (happening for happening in told if happening.at <= now)


class _Story:
    """One customer; everything drawn from a generator of their own, always in the same order."""

    def __init__(self, seed: int, number: int, joined: datetime) -> None:
        self._seed = seed
        self._number = number
        self._joined = joined  # the first moment of the day
        self._random = Random(f"{seed}/{number}")  # noqa: S311 — a story, not a secret
        self._found: list[Happening] = []

    def tell(self, now: datetime) -> Iterator[Happening]:
        """What happened, in order of time; a last few may lie beyond `now`."""
        random = self._random
        persona = random.choices(PERSONAS, [persona.share for persona in PERSONAS])[0]
        self._join(persona)
        favourite = random.choice(tuple(PRODUCTS))
        second, number = float(self._hour() + 1200), 0
        while self._joined + timedelta(seconds=second) <= now:
            number += 1
            self._buy(int(second), number, favourite, persona)
            days = 1 + int(random.expovariate(1 / persona.days_between))
            second = (int(second) // _DAY + days) * _DAY + self._hour()
        yield from sorted(self._found, key=lambda happening: (happening.at, happening.reference))

    def _join(self, persona: Persona) -> None:
        random, second = self._random, _OPENS
        first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
        country = random.choice(tuple(COUNTRIES))
        language, cities = COUNTRIES[country]
        email = f"{_plain(first)}.{_plain(last)}{self._number}@example.com"
        self._add(second, "signup", "signup", {"channel": random.choice(CHANNELS)})
        profile = {"first_name": first, "last_name": last, "email": email, "language": language, "country": country}
        self._add(second + 90, "profile", "profile", {**profile, "city": random.choice(cities)})
        if random.random() < 0.4:
            self._add(second + random.randrange(200, 5 * _DAY), "profile_complete", "profile-complete", {})
        if random.random() < persona.has_app:
            platform = {"platform": random.choice(PLATFORMS)}
            self._add(second + random.randrange(300, 10 * _DAY), "app_download", "app", platform)
        if random.random() < 0.18 and self._number:
            friend = {"referred_email": email, "signup_completed": True}
            self._add(second + 60, "referral", "referral", friend, by=random.randrange(self._number))

    def _buy(self, second: int, number: int, favourite: str, persona: Persona) -> None:
        random = self._random
        if random.random() < 0.5:
            channel = {"channel": "app" if random.random() < persona.has_app else "web"}
            self._add(second - random.randrange(120, 1000), "login", f"login-{number}", channel)
        basket = self._basket(favourite, persona)
        self._add(second, "purchase", f"order-{number}", self._purchase(basket, number))
        if random.random() < 0.12:
            visit = {"location": "Main Street", "visit_count": number}
            self._add(second - 30, "checkin", f"visit-{number}", visit)
        if random.random() < persona.reviews:
            self._review(second, number, random.choice(basket)[0])
        if random.random() < persona.shares:
            share = {"network": random.choice(NETWORKS)}
            self._add(second + random.randrange(600, 3 * _DAY), "social_share", f"share-{number}", share)

    def _basket(self, favourite: str, persona: Persona) -> list[tuple[Product, int]]:
        random = self._random
        basket: dict[Product, int] = {}
        while True:
            category = favourite if random.random() < 0.65 else random.choice(tuple(PRODUCTS))
            product = random.choice(PRODUCTS[category])
            basket[product] = basket.get(product, 0) + random.choices((1, 2, 3), (85, 12, 3))[0]
            if len(basket) == _LINES_MAX or random.random() >= persona.lines_more:
                return list(basket.items())

    def _purchase(self, basket: list[tuple[Product, int]], number: int) -> dict[str, object]:
        items = [_line(place, product, quantity) for place, (product, quantity) in enumerate(basket, 1)]
        dearest = max(basket, key=lambda line: line[0].price * line[1])[0]
        return {
            "order_id": self._reference(f"order-{number}"),
            "amount": str(sum((product.price * quantity for product, quantity in basket), Decimal("0.00"))),
            "category": dearest.category,
            "product_count": sum(quantity for _, quantity in basket),
            "items": items,
        }

    def _review(self, second: int, number: int, product: Product) -> None:
        random = self._random
        rating = random.choices((1, 2, 3, 4, 5), (4, 5, 12, 34, 45))[0]
        review = {"rating": rating, "has_photo": random.random() < 0.25, "product_id": product.id}
        self._add(second + random.randrange(3 * _DAY, 12 * _DAY), "review", f"review-{number}", review)

    def _add(
        self, second: int, type_id: str, name: str, properties: Mapping[str, object], *, by: int | None = None
    ) -> None:
        """Something that happened `second` seconds after the day of joining began; `by` another customer."""
        self._found.append(
            Happening(
                at=self._joined + timedelta(seconds=second),
                customer=f"demo-{self._seed}-{self._number if by is None else by:05}",
                type=type_id,
                reference=self._reference(name),
                properties=properties,
            )
        )

    def _reference(self, name: str) -> str:
        return f"demo-{self._seed}-{self._number:05}-{name}"

    def _hour(self) -> int:
        """A second of a day, most of them in the evening."""
        return int(self._random.triangular(_OPENS, _CLOSES, _BUSIEST))


def _line(place: int, product: Product, quantity: int) -> dict[str, object]:
    return {
        "line_id": str(place),
        "product_id": product.id,
        "product_name": product.name,
        "product_category": product.category,
        "quantity": quantity,
        "price": str(product.price),
        "subtotal": str(product.price * quantity),
    }


def _plain(name: str) -> str:
    """For an address: lower case, without accents."""
    return unicodedata.normalize("NFD", name).encode("ascii", "ignore").decode().lower()

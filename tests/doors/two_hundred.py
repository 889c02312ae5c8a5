"""Two hundred events over the starter program, drawn from a seed: the core of the all-doors test (law 9).

Plain data, in the order in which every door is to send them. Each event is taken: none is refused, none is a
duplicate, so that a door which loses or changes one shows it in the postings.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

NUMBER = 200
CUSTOMERS = 12
_SEED = 20_261_126
_BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
_PRODUCTS = (("mug", "kitchen"), ("lamp", "electronics"), ("scarf", "fashion"), ("novel", "books"))

Event = dict[str, object]  # customer, type, reference, occurred_at, properties
Step = tuple[str, dict[str, object]]  # type, properties


def events() -> list[Event]:
    """The events; the same ones on every call."""
    random = Random(_SEED)
    stories = [_story(random, number) for number in range(CUSTOMERS)]
    found: list[Event] = []
    moment = _BEGIN
    while len(found) < NUMBER:
        number = random.randrange(CUSTOMERS)
        type_id, properties = stories[number].pop(0)
        moment += timedelta(seconds=random.randrange(60, 60 * 60 * 24))
        found.append(
            {
                "customer": f"customer-{number:02}",
                "type": type_id,
                "reference": f"event-{len(found):03}",
                "occurred_at": moment.isoformat().replace("+00:00", "Z"),
                "properties": properties,
            }
        )
    return found


def _story(random: Random, number: int) -> list[Step]:
    """More steps of one customer than are ever told."""
    steps: list[Step] = [("signup", {"channel": random.choice(["web", "store"])})]
    steps.append(("point_add", {"points": 60, "reason": "a warm welcome"}))
    for place in range(40):
        steps += random.choice([_purchase, _purchase, _checkout, _checkout, _other, _other])(
            random, f"{number:02}-{place:02}"
        )
    return steps


def _items(random: Random) -> list[dict[str, object]]:
    chosen = random.sample(_PRODUCTS, random.randrange(1, 4))
    return [
        {
            "product_id": name,
            "product_category": category,
            "quantity": str(random.randrange(2, 5)),
            "price": f"{random.randrange(100, 9_000) / 100:.2f}",
        }
        for name, category in chosen
    ]


def _amount(random: Random) -> str:
    return f"{random.randrange(500, 40_000) / 100:.2f}"


def _purchase(random: Random, name: str) -> list[Step]:
    """A purchase; some are refunded, at once or in part."""
    bought = {"order_id": f"P-{name}", "amount": _amount(random), "category": random.choice(["books", "electronics"])}
    steps: list[Step] = [("purchase", bought)]
    match random.randrange(5):
        case 0:
            steps.append(("refund", {"order_id": f"P-{name}", "reason": "does not fit"}))
        case 1:
            steps.append(("partial_refund", {"order_id": f"P-{name}", "refund_id": f"R-{name}", "amount": "3.50"}))
    return steps


def _checkout(random: Random, name: str) -> list[Step]:
    """A checkout that is accepted, rejected, changed, refunded, or partly paid with points."""
    order = {"transaction_id": f"C-{name}"}
    items = _items(random)
    opened = {**order, "total": _amount(random), "items": items, "auto_accept": "false"}
    accepted: Step = ("checkout_accept", order)
    match random.randrange(6):
        case 0:
            return [("checkout", opened), accepted]
        case 1:
            return [("checkout", opened), ("checkout_reject", {**order, "reason": "not paid"})]
        case 2:
            changed = {**opened, "total": _amount(random), "items": _items(random)}
            return [("checkout", opened), ("checkout_update", changed), accepted]
        case 3:
            return [("checkout", opened), accepted, ("refund", order)]
        case 4:
            returned = [{"product_id": items[0]["product_id"], "quantity": "1"}]
            part = {**order, "refund_id": f"R-{name}", "items": returned}
            return [("checkout", opened), accepted, ("partial_refund", part)]
        case _:
            burning = {**opened, "points_burned": "10"}
            return [("point_add", {"points": 10}), ("checkout", burning), accepted]


def _other(random: Random, _: str) -> list[Step]:
    match random.randrange(6):
        case 0:
            photo = {"has_photo": random.choice(["true", "false"]), "rating": random.randrange(1, 6)}
            return [("review", {**photo, "product_id": "mug"})]
        case 1:
            return [("social_share", {"network": "example"})]
        case 2:
            return [("referral", {"referred_email": "friend@example.com", "signup_completed": "true"})]
        case 3:
            return [("checkin", {"location": "Main Street", "visit_count": random.randrange(1, 9)})]
        case 4:
            return [("point_add", {"points": 20}), ("point_sub", {"points": 15, "reason": "by mistake"})]
        case _:
            return [("login", {"channel": "app"})]

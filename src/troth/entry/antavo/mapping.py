"""That product's events → ours: action and data become one raw event, an opt-in with profile fields two. Pure.

In: the fields of one event, the settings of its source, the live program. Out: what to record, step after step, or
every problem that keeps the door from asking.
Must never: decide anything. It renames, and reads dates and identifiers as loosely as that product does.

References: `<type>:<transaction_id>` for what happens to a transaction once, so that its acceptance or refund is an
event of its own; what may happen to it again, and what has no transaction, is known by the request's signature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from hashlib import sha256

import msgspec

from troth import limits
from troth.core.calendar import show_time
from troth.core.coercion import Problem
from troth.core.ids import EPOCH
from troth.core.program import EventType, Program, Property
from troth.core.program.builtin_types import CUSTOMERS_SCOPE, ORDER_FAMILY_TYPES, POINTS_SCOPE, PROFILE_TYPE
from troth.core.sources.antavo import ActionMapping, AntavoSettings
from troth.entry.source_door import Delivery
from troth.pipeline.outcome import RawEvent

OPT_IN = "opt_in"
_TRANSACTION = "transaction_id"
_TIME = "effective_timestamp"
_REPEATABLE = frozenset({"checkout_update", "partial_refund"})  # what may happen to a transaction more than once
_WALLET_TYPES = frozenset({"point_add", "point_sub"})
_STANDARD = {PROFILE_TYPE: ActionMapping(type=PROFILE_TYPE, properties={"phone": "mobile_phone"})}
_SCOPES = frozenset({POINTS_SCOPE, CUSTOMERS_SCOPE})  # its standard actions have direct effects
_DIGITS = 15  # of seconds: thousands of years
_CHARACTERS = 40

Fields = Mapping[str, object]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request beside its body."""

    ip: str | None
    user_agent: str | None
    signature: str | None  # verified; None: not signed
    nonce: str  # names this request where nothing else does


class Translated(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it will be recorded."""

    action: str
    customer: str
    wallet: str  # whose points the answer shows
    steps: tuple[Delivery, ...]  # one after the other, as long as they are recorded; the last one is the event itself
    transaction: str | None  # what its reference is made of; None: of something else

    @property
    def is_opt_in(self) -> bool:
        return self.action == OPT_IN


class Mapper(msgspec.Struct, frozen=True, kw_only=True):
    """Reads the events of one request."""

    settings: AntavoSettings
    program: Program
    origin: Origin

    def read(self, fields: Fields, place: int = 0) -> Translated | tuple[Problem, ...]:
        """One event; `place` tells apart those of a bulk."""
        customer, action = identifier(fields.get("customer")), fields.get("action")
        missing = [name for name, value in (("customer", customer), ("action", action)) if value in (None, "")]
        if missing:
            return tuple(Problem(f"/{name}", "missing", f"'{name}' is required") for name in missing)
        data = fields.get("data")
        data = {} if data is None or data == [] or data == "" else data  # PHP writes an empty object as []
        mapping = self.mapping_of(action)
        problems = self._problems(customer, action, data, mapping)
        wallet = self.wallet_of(fields.get("account"))
        if wallet is None:
            problems += (Problem("/account", "unknown_account", "there is no wallet for this account"),)
        if problems:
            return problems
        assert isinstance(data, Mapping)
        assert mapping is not None
        assert wallet is not None
        return self._translated((str(customer), str(action)), data, mapping, (wallet, place))

    def mapping_of(self, action: object) -> ActionMapping | None:
        """What the action becomes; None when it is refused by setting."""
        if not isinstance(action, str):
            return None
        if action in self.settings.actions:
            return self.settings.actions[action]
        return _STANDARD.get(action) or ActionMapping(type=action)

    def wallet_of(self, account: object) -> str | None:
        """The wallet that an account is; the main one when none is named."""
        wallets = [wallet.id for wallet in self.program.wallets]
        if account is None or account == "":
            return wallets[0]
        named = self.settings.accounts.get(account, account) if isinstance(account, str) else None
        return str(named) if named in wallets else None

    def _problems(
        self, customer: object, action: object, data: object, mapping: ActionMapping | None
    ) -> tuple[Problem, ...]:
        found = []
        if not isinstance(customer, str):
            found.append(Problem("/customer", "type", "'customer' must be text"))
        if not isinstance(action, str):
            found.append(Problem("/action", "type", "'action' must be text"))
        elif mapping is None:
            found.append(Problem("/action", "type_not_allowed", "this source refuses this action"))
        if not isinstance(data, Mapping):
            found.append(Problem("/data", "type", "'data' must be an object"))
        return tuple(found)

    def _translated(
        self, names: tuple[str, str], data: Fields, mapping: ActionMapping, rest: tuple[str, int]
    ) -> Translated:
        (customer, action), (wallet, place) = names, rest
        properties: dict[str, object] = renamed(data, mapping)
        before: dict[str, object] = {}
        occurred_at = _moment(properties.pop(_TIME, None))
        if action == OPT_IN:
            properties, before = self._split(properties, mapping.type)
        properties, transaction = self._with_order(properties, mapping.type)
        if mapping.type in _WALLET_TYPES and wallet != self.program.wallets[0].id:
            properties.setdefault("wallet", wallet)
        if mapping.type in _REPEATABLE:
            transaction = None
        reference = _named(mapping.type, transaction) or self._other_reference(properties, mapping.type, place)
        common = {"customer": customer, "occurred_at": occurred_at}
        steps = [self._delivery(PROFILE_TYPE, before, _marked(reference), common)] if before else []
        steps.append(self._delivery(mapping.type, properties, reference, common))
        return Translated(
            action=action,
            customer=customer,
            wallet=wallet,
            steps=tuple(steps),
            transaction=transaction,
        )

    def _delivery(self, type_id: str, properties: Fields, reference: str | None, common: Fields) -> Delivery:
        event_type = self.program.event_types.get(type_id)
        raw = RawEvent(
            type=type_id,
            reference=reference,
            properties=_texts(properties, event_type.properties) if event_type is not None else properties,
            ip=self.origin.ip,
            user_agent=self.origin.user_agent,
            is_signed=self.origin.signature is not None,
            scopes=_SCOPES,
            **common,  # type: ignore[arg-type]
        )
        return Delivery(raw=raw)

    def _split(self, data: dict[str, object], type_id: str) -> tuple[dict[str, object], dict[str, object]]:
        """What an opt-in says of the customer is profile: sealed where the program says so."""
        event_type = self.program.event_types.get(type_id)
        own = {field.name for field in event_type.properties} if event_type is not None else set()
        profile = {name: value for name, value in data.items() if name not in own}
        return {name: value for name, value in data.items() if name in own}, renamed(profile, _STANDARD[PROFILE_TYPE])

    def _with_order(self, properties: dict[str, object], type_id: str) -> tuple[dict[str, object], str | None]:
        """The properties with the order's id where the type has it; and that id, of an order's events."""
        event_type = self.program.event_types.get(type_id)
        if event_type is None or (event_type.order is None and type_id not in ORDER_FAMILY_TYPES):
            return properties, None
        own = event_type.order.id if event_type.order is not None else None
        target = own or (_TRANSACTION if _declares(event_type, _TRANSACTION) else "order_id")
        if target not in properties and _TRANSACTION in properties:
            properties = {**properties, target: properties[_TRANSACTION]}
            if not _declares(event_type, _TRANSACTION):
                del properties[_TRANSACTION]
        found = identifier(properties.get(target, properties.get("order_id")))
        return properties, found if isinstance(found, str) and found else None

    def _other_reference(self, properties: Fields, type_id: str, place: int) -> str | None:
        """A resend of the same signed bytes has no second effect; a further refund is one of its own."""
        if self.origin.signature is not None:
            return f"signed:{self.origin.signature}:{place}"
        if type_id == "partial_refund" and not properties.get("refund_id"):
            return f"{type_id}:{self.origin.nonce}:{place}"
        return None


def identifier(value: object) -> object:
    """Identifiers sent as whole numbers are the same as text, to the last digit."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def renamed(data: Fields, mapping: ActionMapping) -> dict[str, object]:
    """`data` by our names; a field that is there under our name already stays."""
    found = dict(data)
    for ours, theirs in (mapping.properties or {}).items():
        if theirs in found and ours not in found:
            found[ours] = found.pop(theirs)
    return found


def _named(type_id: str, transaction: str | None) -> str | None:
    """The reference of what happens to a transaction once; a long one by its hash."""
    if transaction is None:
        return None
    text = f"{type_id}:{transaction}"
    return text if len(text) <= limits.IDENTIFIER_LENGTH else f"{type_id}:{sha256(transaction.encode()).hexdigest()}"


def _marked(reference: str | None) -> str | None:
    return f"{reference}:profile" if reference is not None else None


def _declares(event_type: EventType, name: str) -> bool:
    return any(field.name == name for field in event_type.properties)


def _texts(properties: Fields, declared: Sequence[Property]) -> Fields:
    """Whole numbers where text is declared are text: integrations send ids either way."""
    found = dict(properties)
    for field in declared:
        value = found.get(field.name)
        if field.kind == "text":
            found[field.name] = identifier(value)
        elif field.kind == "list" and field.of and isinstance(value, list):
            found[field.name] = [_texts(item, field.of) if isinstance(item, Mapping) else item for item in value]
    return {name: value for name, value in found.items() if name in properties}


def _moment(value: object) -> object:
    """A Unix time in seconds → RFC 3339; what is none stays, for the pipeline to refuse."""
    if not isinstance(value, int | Decimal | str) or isinstance(value, bool) or len(str(value)) > _CHARACTERS:
        return value
    try:
        seconds = Decimal(value)
    except InvalidOperation:
        return value
    if not seconds.is_finite() or seconds.adjusted() >= _DIGITS:
        return value
    try:
        return show_time(EPOCH + timedelta(microseconds=int(seconds.scaleb(6))))
    except OverflowError:
        return value

"""Sources that change their minds: scripts of what goes wrong between days, told in batches as real sources tell it.

A *script* is one kind of dirt. It is a generator: it changes what the sources hold, yields (a day ends: the sources
deliver, a run judges), goes on the next day. So each kind can be played alone for customers of its own, and all of them
at random over the same customers.

What counts in the end is not decided here: `Sources` makes the batches, `oracle.world_of` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from chapters import DEMAND, INDUSTRIES, OTHER, Pen, sell_products
from oracle import Batch, Moment
from oracle.world import COLUMNS, KEYS, LANDED, Mode, Row, key_of, row

_STAMPS_BEGIN = datetime(2023, 1, 1, tzinfo=UTC)

CUSTOMERS, ORDERS = "sales.customers", "sales.orders"
LINES, PRODUCTS = "sales.order_lines", "sales.products"
INVOICES, PAYMENTS = "finance.invoices", "finance.payments"
TICKETS, SURVEYS = "service.tickets", "service.surveys"
INTERACTIONS, RETURNS = "sales.interactions", "sales.returns"
COMPETITORS, POLICIES = "sales.competitor_signals", "sales.policy_signals"
TERMS, CHURN = "finance.credit_terms", "model.churn_scores"
ACTIONS = "handling.actions"

SOME_APPEND: Mapping[str, Mode] = {
    **dict.fromkeys((ORDERS, LINES, INVOICES, PAYMENTS, TICKETS, INTERACTIONS, COMPETITORS, TERMS, ACTIONS), "append"),
    **dict.fromkeys((CUSTOMERS, PRODUCTS, SURVEYS, RETURNS, POLICIES, CHURN), "snapshot"),
}
ALL_APPEND: Mapping[str, Mode] = dict.fromkeys(LANDED, "append")
ALL_SNAPSHOT: Mapping[str, Mode] = dict.fromkeys(LANDED, "snapshot")
ALL_STAMPED = frozenset(LANDED)

REGION = "north"
"""The only region that a customer may be of; policies with exceptions name it."""

Handle = Any
"""What a script calls a record by: the value of its key, a tuple where the key has several columns."""


def handle_of(data_set: str, record: Row) -> Handle:
    """What a script calls a record by."""
    key = key_of(data_set, record)
    return key if len(key) > 1 else key[0]


@dataclass
class Sources:
    """What a company's systems hold, and the versions that they have not told yet.

    `modes` says how each data set is delivered, `stamped` which of them carry updated_at. `today` is the moment of the
    run that comes next.
    """

    modes: Mapping[str, Mode]
    stamped: frozenset[str]
    today: Moment
    held: dict[str, dict[Handle, Row]] = field(default_factory=lambda: {data_set: {} for data_set in LANDED})
    _news: dict[str, dict[Handle, Row]] = field(default_factory=lambda: {data_set: {} for data_set in LANDED})
    _stamps: int = 0
    _keys: int = 0

    def next_key(self) -> str:
        """A key that no record has."""
        self._keys += 1
        return f"#{self._keys}"

    def put(self, data_set: str, record: Row) -> Row:
        """Hold a record or a new version of it, stamped now, and tell it with the next delivery."""
        version = {**record, "updated_at": self._now() if data_set in self.stamped else None}
        self.held[data_set][handle_of(data_set, record)] = version
        self.tell(data_set, version)
        return version

    def remove(self, data_set: str, key: Handle, *, stamped: bool) -> Row:
        """Drop a record; an append data set tells so, stamped now or (found missing) as its last version was."""
        last = self.held[data_set].pop(key)
        updated_at = self._now() if stamped and data_set in self.stamped else last.get("updated_at")
        gone = {**last, "updated_at": updated_at, "_is_deleted": True}
        self.tell(data_set, gone)
        return gone

    def tell(self, data_set: str, version: Row) -> None:
        """Bring a version with the next delivery, whatever is held; a snapshot brings what is held and nothing else."""
        if version:
            self._news[data_set][handle_of(data_set, version)] = version

    def hold_back(self, data_set: str, key: Handle) -> Row:
        """Take a version back that the next delivery would have brought; empty when there is none."""
        return self._news[data_set].pop(key, {})

    def deliver(self, data_set: str) -> Batch | None:
        """What the source sends of a data set; None where there is nothing new to send."""
        news, self._news[data_set] = self._news[data_set], {}
        if self.modes[data_set] == "append":
            return Batch(data_set, "append", list(news.values())) if news else None
        return Batch(data_set, "snapshot", list(self.held[data_set].values()))

    def _now(self) -> datetime:
        self._stamps += 1
        return _STAMPS_BEGIN + timedelta(minutes=self._stamps)


@dataclass(frozen=True)
class Scene:
    """Where a script plays: the sources, a customer, and another one for what wanders from one to the other."""

    sources: Sources
    random: Random
    customer_id: str
    other_id: str

    @property
    def today(self) -> Moment:
        """The moment of the run to come."""
        return self.sources.today

    def day(self, days_ago: int) -> date:
        """The local date so many days before the as-of date of the run to come (negative: after it)."""
        return self.today.as_of_date - timedelta(days=days_ago)

    def instant(self, days_ago: int) -> datetime:
        """An instant of that local day: often its first or last second, where the UTC date is another one."""
        clock = self.random.choice((time(0, 0, 0), time(7, 59, 59), time(12), time(23, 59, 59)))
        return datetime.combine(self.day(days_ago), clock, self.today.time_zone).astimezone(UTC)

    def new(self, data_set: str, **values: Any) -> Handle:
        """Hold a new record of the customer (or of the one that is named); returns its key."""
        given = {"customer_id": self.customer_id} if "customer_id" in COLUMNS[data_set] else {}
        if KEYS[data_set] == (key_column := COLUMNS[data_set][0],) and key_column not in values:
            given[key_column] = self.sources.next_key()
        return handle_of(data_set, self.sources.put(data_set, row(data_set, **{**given, **values})))

    def change(self, data_set: str, key: Handle, **values: Any) -> Row:
        """Hold a new version of a record; nothing if somebody else's script has removed it."""
        held = self.sources.held[data_set].get(key)
        return self.sources.put(data_set, {**held, **values}) if held else {}

    def change_unseen(self, data_set: str, key: Handle, **values: Any) -> Row:
        """Change a record whose source does not say when it did: under the stamp that it had."""
        held = self.sources.held[data_set].get(key)
        if not held:
            return {}
        self.sources.held[data_set][key] = version = {**held, **values}
        self.sources.tell(data_set, version)
        return version

    def remove(self, data_set: str, key: Handle, *, stamped: bool = True) -> Row:
        """Drop a record, if it is still there."""
        return self.sources.remove(data_set, key, stamped=stamped) if key in self.sources.held[data_set] else {}

    def order(self, days_ago: int, amount: str = "310", **values: Any) -> str:
        """Place an order of one product."""
        values = {"ordered_at": self.instant(days_ago), "amount": Decimal(amount), "currency": "CNY", **values}
        order_id = self.new(ORDERS, **values)
        self.line(order_id, customer_id=values.get("customer_id", self.customer_id))
        return order_id

    def line(self, order_id: str, product_id: str = "P1", line_no: int = 1, **values: Any) -> Handle:
        """Enter a line of an order."""
        given = {"order_id": order_id, "line_no": line_no, "product_id": product_id, "quantity": 1, "amount": 1}
        return self.new(LINES, **given | values)

    def product(self, product_id: str, category: str | None = "bolts") -> str:
        """Put a product into the catalogue."""
        return self.new(PRODUCTS, product_id=product_id, name=f"Product {product_id}", category=category)

    def invoice(self, due_days_ago: int, amount: str = "170", **values: Any) -> str:
        """Bill an amount at 30 days."""
        due_on = self.day(due_days_ago)
        values = {"issued_on": due_on - timedelta(days=30), "due_on": due_on, "amount": Decimal(amount), **values}
        return self.new(INVOICES, **values)

    def pay(self, invoice_id: str | None, days_ago: int, amount: str = "70", **values: Any) -> str:
        """Pay on an invoice or in advance."""
        values = {"invoice_id": invoice_id, "paid_on": self.day(days_ago), "amount": Decimal(amount), **values}
        return self.new(PAYMENTS, kind="payment", **values)

    def ticket(self, days_ago: int, kind: str = "complaint", **values: Any) -> str:
        """Open a ticket."""
        return self.new(TICKETS, **{"kind": kind, "priority": "normal", "opened_at": self.instant(days_ago), **values})

    def survey(self, days_ago: int, score: int = 2, **values: Any) -> str:
        """Answer a survey on a scale from 1 to 5."""
        scale = {"score": Decimal(score), "scale_min": Decimal(1), "scale_max": Decimal(5)}
        return self.new(SURVEYS, **{"kind": "csat", "answered_at": self.instant(days_ago), **scale, **values})

    def customer(self, customer_id: str, **values: Any) -> str:
        """Register a customer."""
        return self.new(CUSTOMERS, customer_id=customer_id, **{"name": customer_id, "segment": self.segment, **values})

    @property
    def segment(self) -> str | None:
        """The customer's segment."""
        return dict(self.sources.held[CUSTOMERS].get(self.customer_id, {})).get("segment")

    @property
    def industry(self) -> str:
        """The customer's industry, or one that it might have."""
        return dict(self.sources.held[CUSTOMERS].get(self.customer_id, {})).get("industry") or "steel"

    def keys_of(self, data_set: str, customer_id: str) -> list[Handle]:
        """Keys of the records that a customer has at the source."""
        return [key for key, each in self.sources.held[data_set].items() if each["customer_id"] == customer_id]

    def act(self, days_ago: int, outcome: str = "contacted", **values: Any) -> str:
        """Record what somebody did about the customer."""
        who = {"department": "sales", "actor": "Lin"}
        return self.new(ACTIONS, **{"taken_at": self.instant(days_ago), "outcome": outcome, **who, **values})

    def contact(self, days_ago: int, channel: str = "phone", **values: Any) -> str:
        """Note a conversation or a visit."""
        return self.new(INTERACTIONS, **{"occurred_at": self.instant(days_ago), "channel": channel, **values})

    def give_back(self, days_ago: int, **values: Any) -> str:
        """Return goods."""
        return self.new(RETURNS, **{"returned_at": self.instant(days_ago), **values})

    def competitor(self, days_ago: int, *, is_interested: bool | None = True, **values: Any) -> str:
        """See a competitor at the customer."""
        values = {"observed_on": self.day(days_ago), "has_customer_interest": is_interested, **values}
        return self.new(COMPETITORS, **values)

    def policy(self, days_ago: int, effective_days_ago: int | None = None, **values: Any) -> str:
        """See an adverse policy for the customer's industry."""
        effective_on = None if effective_days_ago is None else self.day(effective_days_ago)
        fixed = {"industry": self.industry, "observed_on": self.day(days_ago), "effective_on": effective_on}
        return self.new(POLICIES, **{**fixed, "effect": "adverse", **values})

    def terms(self, days_ago: int, limit: int | None, **values: Any) -> Handle:
        """Agree on a credit limit from a day on."""
        credit_limit = None if limit is None else Decimal(limit)
        return self.new(TERMS, **{"valid_from": self.day(days_ago), "credit_limit": credit_limit, **values})

    def churn_score(self, days_ago: int, probability: str, **values: Any) -> Handle:
        """Take over a model's score."""
        values = {"probability": Decimal(probability), "model_version": "1", **values}
        return self.new(CHURN, scored_on=self.day(days_ago), **values)

    def alone(self, name: str) -> Scene:
        """A scene of a customer of this one's segment with orders and nothing else, and no news but what is played."""
        scene = Scene(self.sources, self.random, f"{self.customer_id}/{name}", self.other_id)
        self.customer(scene.customer_id, industry=scene.customer_id)
        for month in range(8):
            scene.order(30 * month + 5)
        return scene


Script = Callable[[Scene], Iterator[None]]


def settle(scene: Scene) -> None:
    """An ordinary past, so that whatever changes shows in some figure: orders, returns, complaints, scores, debts."""
    scene.product("P1")
    for customer_id in (scene.customer_id, scene.other_id):
        theirs = Scene(scene.sources, scene.random, customer_id, customer_id)
        group = {"segment": scene.customer_id, "industry": scene.customer_id}
        theirs.customer(customer_id, **group, owner_name="Lin", owner_email="lin@example.com")
        for month in range(10):
            promised_at, fulfilled_at = (theirs.instant(30 * month + days) for days in (4, 5))
            theirs.order(30 * month + 9, "100", promised_at=promised_at, fulfilled_at=fulfilled_at)
            theirs.order(30 * month + 17, "40.50")
        for days_ago in (9, 40, 75, 130):
            theirs.ticket(days_ago, first_responded_at=theirs.instant(days_ago - 1))
        for days_ago in (30, 60):
            theirs.survey(days_ago, 4)
        theirs.pay(theirs.invoice(40, "200"), 38, "200")
        theirs.invoice(5, "80")
        for days_ago in (20, 60, 140):
            theirs.give_back(days_ago, product_id="P1")
        theirs.terms(200, 1000)
        theirs.churn_score(25, "0.4")


# --- orders ---------------------------------------------------------------------------------------------------------


def late_orders(scene: Scene) -> Iterator[None]:
    """Old orders arrive days later: in a closed month, in a month without any, and before the first one."""
    yield
    scene.order(48)
    scene.order(700)
    yield
    scene.order(333)
    scene.order(1)
    yield


def corrected_amount(scene: Scene) -> Iterator[None]:
    order, old = scene.order(20), scene.order(100)
    yield
    scene.change(ORDERS, order, amount=Decimal("11.11"))
    scene.change(ORDERS, old, amount=Decimal(0))
    yield
    scene.change(ORDERS, old, amount=Decimal(999))
    yield


def order_moved_to_another_month(scene: Scene) -> Iterator[None]:
    """Also out of sight and back: to a day after the cut-off."""
    order, ahead = scene.order(20), scene.order(25)
    yield
    scene.change(ORDERS, order, ordered_at=scene.instant(400))
    scene.change(ORDERS, ahead, ordered_at=scene.instant(-2))
    yield
    scene.change(ORDERS, order, ordered_at=scene.instant(60))
    yield
    yield


def order_moved_to_another_customer(scene: Scene) -> Iterator[None]:
    """The key is the order_id alone: the old customer's version must go. One comes back, one goes on."""
    there_and_back, there = scene.order(20), scene.order(500)
    yield
    scene.change(ORDERS, there_and_back, customer_id=scene.other_id)
    scene.change(ORDERS, there, customer_id=scene.other_id, ordered_at=scene.instant(70))
    yield
    scene.change(ORDERS, there_and_back, customer_id=scene.customer_id)
    yield


def order_moved_to_nobody(scene: Scene) -> Iterator[None]:
    """An order is delivered anew for a customer that does not exist; the customer comes later."""
    order = scene.order(20)
    yield
    scene.change(ORDERS, order, customer_id=f"{scene.customer_id}?")
    yield
    scene.customer(f"{scene.customer_id}?")
    yield


def overtaken_version(scene: Scene) -> Iterator[None]:
    """A version is told only after a newer one; where the source stamps its versions, it must not win."""
    order = scene.order(20)
    yield
    scene.change(ORDERS, order, amount=Decimal(1), customer_id=scene.other_id)
    overtaken = scene.sources.hold_back(ORDERS, order)
    scene.change(ORDERS, order, amount=Decimal(2))
    yield
    scene.sources.tell(ORDERS, overtaken)
    yield


def same_stamp(scene: Scene) -> Iterator[None]:
    """A later batch wins among versions of the same updated_at, also with another customer or month."""
    first, second, third = scene.order(20), scene.order(21), scene.invoice(20)
    yield
    scene.change_unseen(ORDERS, first, amount=Decimal(3))
    scene.change_unseen(ORDERS, second, customer_id=scene.other_id, ordered_at=scene.instant(90))
    scene.change_unseen(INVOICES, third, due_on=scene.day(50))
    yield


def version_without_stamp(scene: Scene) -> Iterator[None]:
    """A version that does not say when it was changed is older than one that does."""
    order = scene.order(20)
    yield
    if held := scene.sources.held[ORDERS].get(order):
        unstamped = {"amount": Decimal(5), "customer_id": scene.other_id, "updated_at": None}
        scene.sources.tell(ORDERS, {**held, **unstamped})
    yield


def delivered_twice(scene: Scene) -> Iterator[None]:
    """The overlap window brings the same versions again."""
    yield
    for data_set, records in scene.sources.held.items():
        for version in records.values():
            if version.get("customer_id") == scene.customer_id:
                scene.sources.tell(data_set, version)
    yield


def cancelled_order(scene: Scene) -> Iterator[None]:
    """Orders of this and of a closed month are cancelled; one of them after all not."""
    new, old, ancient = scene.order(3), scene.order(50), scene.order(200)
    yield
    for order in (new, old, ancient):
        scene.change(ORDERS, order, cancelled_at=scene.instant(0), cancelled_by="customer")
    yield
    scene.change(ORDERS, old, cancelled_at=None, cancelled_by=None)
    yield


def corrected_lines(scene: Scene) -> Iterator[None]:
    """Lines get another product or order, or go; one comes after its order, another one before."""
    recent, old, late = scene.order(3), scene.order(140), scene.order(70)
    scene.line(recent, "P2", 2)
    scene.remove(LINES, (late, 1))
    early = scene.line("early", "P3")
    yield
    scene.change(LINES, (recent, 2), product_id="P3")
    scene.change(LINES, (old, 1), product_id="P2", customer_id=scene.other_id)
    scene.line(late, "P2")
    scene.new(ORDERS, order_id="early", ordered_at=scene.instant(160), amount=Decimal(1), currency="CNY")
    yield
    scene.remove(LINES, early)
    scene.change(LINES, (old, 1), customer_id=scene.customer_id)
    yield


def complaints_about_orders(scene: Scene) -> Iterator[None]:
    """What names only an order is about its product, until the order has lines of two, or of none."""
    bought = [scene.order(days_ago) for days_ago in (150, 45, 44)]
    for order_id in bought:
        scene.ticket(20, order_id=order_id)
        scene.give_back(33, order_id=order_id)
    named = scene.ticket(7, product_id="P1")
    yield
    scene.line(bought[0], "P2", 2)
    scene.change(LINES, (bought[1], 1), product_id="P3")
    scene.remove(LINES, (bought[2], 1))
    scene.change(TICKETS, named, product_id="P2")
    yield
    scene.remove(LINES, (bought[0], 1))
    yield


def renamed_product(scene: Scene) -> Iterator[None]:
    """The catalogue learns of a product, moves it to another category, forgets it."""
    scene.line(scene.order(30), "P9", 2)
    yield
    product = scene.product("P9", "seals")
    yield
    scene.change(PRODUCTS, product, category=None, name="Another name")
    yield
    scene.remove(PRODUCTS, product)
    yield


def cancelled_ahead(scene: Scene) -> Iterator[None]:
    """Cancellations that today's cut-off does not see yet and a later one does, with nothing delivered in between."""
    order, last_of_cell = scene.order(20), scene.order(600)
    scene.order(40, cancelled_at=scene.instant(-1))
    yield
    scene.change(ORDERS, order, cancelled_at=scene.instant(-1))
    scene.change(ORDERS, last_of_cell, cancelled_at=scene.today.cutoff)
    yield
    yield


def ordered_ahead(scene: Scene) -> Iterator[None]:
    """Records of every kind that arrive a day or two before their cut-off."""
    for days_ahead in (1, 2):
        invoice = scene.invoice(-30 - days_ahead)
        scene.pay(invoice, -days_ahead, "20")
        scene.order(-days_ahead)
        scene.ticket(-days_ahead)
        scene.survey(-days_ahead, 1)
        scene.contact(-days_ahead)
        scene.give_back(-days_ahead)
        scene.competitor(-days_ahead)
        scene.policy(-days_ahead)
        scene.terms(-days_ahead, 50 * days_ahead)
        scene.churn_score(-days_ahead, f"0.{days_ahead}")
    yield
    yield


def emptied_cell(scene: Scene) -> Iterator[None]:
    """The only order or complaint of a month goes: cancelled, moved, deleted, or no complaint after all."""
    cancelled, moved = scene.order(620), scene.order(660)
    deleted, complaint = scene.order(690), scene.ticket(240)
    yield
    scene.change(ORDERS, cancelled, cancelled_at=scene.instant(1))
    scene.change(ORDERS, moved, ordered_at=scene.instant(15))
    scene.remove(ORDERS, deleted)
    scene.change(TICKETS, complaint, kind="inquiry")
    yield


def emptied_closed_month(scene: Scene) -> Iterator[None]:
    """The two orders and the complaint of a month within the baseline go, one after the other."""
    settled = [
        key
        for key in scene.keys_of(ORDERS, scene.customer_id)
        if 60 <= scene.today.days_since(scene.today.local_date(scene.sources.held[ORDERS][key]["ordered_at"])) < 100
    ]
    yield
    for order in settled[::2]:
        scene.change(ORDERS, order, cancelled_at=scene.instant(0))
    yield
    for order in settled[1::2]:
        scene.remove(ORDERS, order)
    yield


def becomes_prospect(scene: Scene) -> Iterator[None]:
    """The only order of a customer is cancelled, of another one deleted; and then a first order again."""
    customers = [scene.customer(f"{scene.customer_id}/only{number}") for number in range(3)]
    cancelled, deleted, moved = (scene.order(12, customer_id=each) for each in customers)
    scene.invoice(3, customer_id=customers[0])
    yield
    scene.change(ORDERS, cancelled, cancelled_at=scene.instant(0))
    scene.remove(ORDERS, deleted, stamped=False)
    scene.change(ORDERS, moved, customer_id=scene.customer_id)
    yield
    scene.order(0, customer_id=customers[1])
    yield


def first_order(scene: Scene) -> Iterator[None]:
    """Prospects order for the first time, today and long ago; one was not there yet but for that."""
    new, late = scene.customer(f"{scene.customer_id}/new"), scene.customer(f"{scene.customer_id}/late")
    early = scene.customer(f"{scene.customer_id}/early", customer_since=scene.day(-30))
    yield
    scene.order(0, customer_id=new)
    scene.order(150, customer_id=late)
    scene.order(1, customer_id=early)
    yield


def deleted_and_back(scene: Scene) -> Iterator[None]:
    """Records are deleted, found missing or said to be; then they come back, one under another customer, one never."""
    orders = [scene.order(days_ago) for days_ago in (15, 45, 75, 105)]
    records = [
        *((ORDERS, key) for key in orders),
        (INVOICES, scene.invoice(12)),
        (PAYMENTS, scene.pay(None, 3)),
        (TICKETS, scene.ticket(4)),
        (SURVEYS, scene.survey(2)),
        (INTERACTIONS, scene.contact(40)),
        (RETURNS, scene.give_back(42)),
        (COMPETITORS, scene.competitor(6)),
        (POLICIES, scene.policy(7)),
        (TERMS, scene.terms(8, 90)),
        (CHURN, scene.churn_score(9, "0.6")),
    ]
    yield
    gone = [(data_set, scene.remove(data_set, key, stamped=bool(n % 2))) for n, (data_set, key) in enumerate(records)]
    yield
    for number, (data_set, version) in enumerate(gone):
        if version and number != 2:
            moved = {"customer_id": scene.other_id} if number == 1 else {}
            scene.sources.put(data_set, {**version, **moved, "_is_deleted": False})
    yield


def deletion_overtaken(scene: Scene) -> Iterator[None]:
    """A deletion arrives after the version that brought the record back: it is older and must not win."""
    order = scene.order(20)
    yield
    gone = scene.remove(ORDERS, order)
    if gone:
        scene.sources.hold_back(ORDERS, order)
        scene.sources.put(ORDERS, {**gone, "amount": Decimal(8), "_is_deleted": False})
    yield
    scene.sources.tell(ORDERS, gone)
    yield


def never_seen_deleted(scene: Scene) -> Iterator[None]:
    """A record is deleted before any version of it has been delivered; it may come later, older or newer."""
    older, newer = scene.order(20), scene.order(22)
    first = scene.sources.hold_back(ORDERS, older)
    scene.sources.hold_back(ORDERS, newer)
    scene.remove(ORDERS, older)
    gone = scene.remove(ORDERS, newer)
    yield
    scene.sources.tell(ORDERS, first)
    scene.sources.put(ORDERS, {**gone, "_is_deleted": False})
    yield


# What befalls one record alone: where a customer has other news that day, its figures are made anew anyhow.


def moved_one_by_one(scene: Scene) -> Iterator[None]:
    """Records go over to another customer, and their first one has no other news."""
    invoice, payment = scene.invoice(25, "45"), scene.pay(None, 6, "15")
    ticket, survey = scene.ticket(5), scene.survey(4)
    yield
    scene.change(INVOICES, invoice, customer_id=scene.other_id)
    scene.change(TICKETS, ticket, customer_id=scene.other_id)
    scene.change(SURVEYS, survey, customer_id=scene.other_id)
    yield
    scene.change(PAYMENTS, payment, customer_id=scene.other_id)
    yield


def deleted_one_by_one(scene: Scene) -> Iterator[None]:
    """Records go, and their customer has no other news."""
    invoice, payment, order = scene.invoice(25, "45"), scene.pay(None, 6, "15"), scene.order(170)
    ticket, survey = scene.ticket(175), scene.survey(4)
    yield
    scene.remove(INVOICES, invoice, stamped=False)
    scene.remove(TICKETS, ticket)
    yield
    scene.remove(PAYMENTS, payment)
    scene.remove(SURVEYS, survey, stamped=False)
    yield
    scene.remove(ORDERS, order, stamped=False)
    yield


# --- money ----------------------------------------------------------------------------------------------------------


def invoice_after_its_payment(scene: Scene) -> Iterator[None]:
    """Payments name invoices that come a day later, one of them for another customer."""
    scene.pay(f"{scene.customer_id}/I1", 4, "500")
    scene.pay(f"{scene.customer_id}/I2", 4, "60")
    yield
    scene.invoice(10, "300", invoice_id=f"{scene.customer_id}/I1")
    yield
    scene.invoice(8, "90", invoice_id=f"{scene.customer_id}/I2", customer_id=scene.other_id)
    yield


def payment_moved(scene: Scene) -> Iterator[None]:
    """A payment is booked on another invoice, on none, on another customer; its amount and day are corrected."""
    first, second = scene.invoice(35), scene.invoice(12, "120")
    payments = [scene.pay(first, 10, amount) for amount in ("170", "5", "6", "7")]
    yield
    scene.change(PAYMENTS, payments[0], invoice_id=second)
    scene.change(PAYMENTS, payments[1], invoice_id=None)
    scene.change(PAYMENTS, payments[2], customer_id=scene.other_id)
    scene.change(PAYMENTS, payments[3], amount=Decimal(-7))
    yield
    scene.change(PAYMENTS, payments[0], paid_on=scene.day(-1))
    yield


def quarrelled_invoices(scene: Scene) -> Iterator[None]:
    """Invoices are disputed, voided and written off later, or not after all."""
    columns = ("disputed_on", "voided_on", "written_off_on")
    invoices = {column: scene.invoice(40, amount) for column, amount in zip(columns, ("50", "51", "52"), strict=True)}
    scene.pay(invoices["voided_on"], 5, "30")
    yield
    for column, invoice in invoices.items():
        scene.change(INVOICES, invoice, **{column: scene.day(0)})
    yield
    for column, invoice in invoices.items():
        scene.change(INVOICES, invoice, **{column: None})
    yield


def known_ahead(scene: Scene) -> Iterator[None]:
    """What is to happen on the days to come is known today, and nothing is delivered when it happens."""
    disputed, voided, written_off = (scene.invoice(40, amount) for amount in ("50", "51", "52"))
    scene.pay(voided, 5, "30")
    ticket = scene.ticket(3)
    yield
    scene.change(INVOICES, disputed, disputed_on=scene.day(-1))
    scene.change(INVOICES, voided, voided_on=scene.day(-2))
    scene.change(INVOICES, written_off, written_off_on=scene.day(-3))
    scene.change(TICKETS, ticket, first_responded_at=scene.instant(-1))
    yield
    yield


def corrected_invoice(scene: Scene) -> Iterator[None]:
    """Other due date, amount, day of issue (out of sight), customer; deleted with its payment left."""
    invoices = [scene.invoice(20, amount) for amount in ("31", "32", "33", "34", "35")]
    scene.pay(invoices[4], 2, "35")
    yield
    scene.change(INVOICES, invoices[0], due_on=scene.day(95))
    scene.change(INVOICES, invoices[1], amount=Decimal(1000))
    scene.change(INVOICES, invoices[2], issued_on=scene.day(-1), due_on=scene.day(-1))
    scene.change(INVOICES, invoices[3], customer_id=scene.other_id)
    scene.remove(INVOICES, invoices[4])
    yield
    scene.change(INVOICES, invoices[1], due_on=scene.day(-10))
    yield


# --- customers ------------------------------------------------------------------------------------------------------


def merged_customer(scene: Scene) -> Iterator[None]:
    """All of a customer's records are delivered anew under the surviving one; later the customer itself goes."""
    yield
    scene.change(CUSTOMERS, scene.customer_id, merged_into_id=scene.other_id)
    for data_set in (ORDERS, INVOICES, PAYMENTS, TICKETS, SURVEYS, INTERACTIONS, RETURNS, COMPETITORS, TERMS, CHURN):
        for key in scene.keys_of(data_set, scene.customer_id):
            scene.change(data_set, key, customer_id=scene.other_id)
            if "customer_id" in KEYS[data_set]:  # then it is another record, and the first one goes
                scene.remove(data_set, key)
    yield
    scene.remove(CUSTOMERS, scene.customer_id)
    yield


def orphans(scene: Scene) -> Iterator[None]:
    """Records of a customer that comes only later, and one of a customer that never comes."""
    unknown = f"{scene.customer_id}/unknown"
    for customer_id in (unknown, f"{scene.customer_id}/never"):
        scene.order(30, customer_id=customer_id)
        scene.pay(scene.invoice(12, customer_id=customer_id), 4, customer_id=customer_id)
        scene.ticket(6, customer_id=customer_id)
        scene.survey(7, customer_id=customer_id)
        scene.contact(8, customer_id=customer_id)
        scene.give_back(9, customer_id=customer_id)
        scene.competitor(10, customer_id=customer_id)
        scene.terms(11, 100, customer_id=customer_id)
        scene.churn_score(12, "0.5", customer_id=customer_id)
    yield
    yield
    scene.customer(unknown)
    yield


def vanishing_customer(scene: Scene) -> Iterator[None]:
    """A customer vanishes and returns; meanwhile an order of it comes and another one goes."""
    order = scene.order(44)
    yield
    customer = scene.remove(CUSTOMERS, scene.customer_id, stamped=False)
    yield
    scene.order(2)
    scene.remove(ORDERS, order)
    yield
    if customer:
        scene.sources.put(CUSTOMERS, {**customer, "_is_deleted": False})
    yield


def altered_customer(scene: Scene) -> Iterator[None]:
    """Another name, segment, owner; a customer_since that moves, also past the as-of date."""
    since = [scene.customer(f"{scene.customer_id}/since{n}", customer_since=scene.day(n)) for n in (10, -1, -2)]
    yield
    scene.change(CUSTOMERS, scene.customer_id, name="Renamed", owner_name=None, owner_email="wu@example.com")
    scene.change(CUSTOMERS, scene.other_id, segment=None)
    scene.change(CUSTOMERS, since[0], customer_since=scene.day(-9))
    scene.change(CUSTOMERS, since[1], customer_since=scene.day(3))
    yield
    scene.change(CUSTOMERS, scene.other_id, segment=scene.segment)
    scene.change(CUSTOMERS, since[0], customer_since=None)
    yield


def moved_to_a_region_with_exceptions(scene: Scene) -> Iterator[None]:
    """Other parameters count from today: for who has no other news, comes new, moves there and back, goes."""
    scenes = {name: scene.alone(name) for name in ("there", "back", "gone")}
    for its in scenes.values():
        for month in range(10):
            its.contact(30 * month + 3)
            its.give_back(30 * month + 4)
            its.ticket(30 * month + 6)
            its.ticket(30 * month + 7, "feedback", sentiment="negative")
            its.order(30 * month + 8, cancelled_at=its.instant(30 * month + 7), cancelled_by="customer")
            its.invoice(30 * month + 10)
    yield
    for its in scenes.values():
        scene.change(CUSTOMERS, its.customer_id, region=REGION)
    scene.customer(f"{scene.customer_id}/new", region=REGION)
    scene.order(40, customer_id=f"{scene.customer_id}/new")
    yield
    scene.change(CUSTOMERS, scenes["back"].customer_id, region=None)
    gone = scene.remove(CUSTOMERS, scenes["gone"].customer_id)
    yield
    if gone:
        scene.customer(gone["customer_id"], industry=gone["industry"])
    yield


# --- service --------------------------------------------------------------------------------------------------------


def corrected_tickets(scene: Scene) -> Iterator[None]:
    """Another kind, month, priority, customer; answered later; withdrawn."""
    tickets = [scene.ticket(days_ago) for days_ago in (14, 50, 16, 160, 18, 190)]
    yield
    scene.change(TICKETS, tickets[0], kind="feedback")
    scene.change(TICKETS, tickets[1], opened_at=scene.instant(225))
    scene.change(TICKETS, tickets[2], priority="urgent")
    scene.change(TICKETS, tickets[3], customer_id=scene.other_id)
    scene.change(TICKETS, tickets[4], first_responded_at=scene.instant(0))
    scene.remove(TICKETS, tickets[5])
    yield
    scene.change(TICKETS, tickets[0], kind="complaint")
    scene.change(TICKETS, tickets[4], first_responded_at=None)
    yield


def corrected_surveys(scene: Scene) -> Iterator[None]:
    """Another score, scale, day (also ahead), kind, customer; withdrawn."""
    surveys = [scene.survey(days_ago) for days_ago in (5, 6, 7, 8, 9, 10)]
    yield
    scene.change(SURVEYS, surveys[0], score=Decimal(5))
    scene.change(SURVEYS, surveys[1], kind="nps", scale_min=Decimal(0), scale_max=Decimal(10))
    yield
    scene.change(SURVEYS, surveys[0], answered_at=scene.instant(200))
    scene.change(SURVEYS, surveys[2], answered_at=scene.instant(-1))
    scene.change(SURVEYS, surveys[3], customer_id=scene.other_id)
    yield
    scene.remove(SURVEYS, surveys[4])
    yield


def soured_feedback(scene: Scene) -> Iterator[None]:
    """Feedback turns negative, or was none; it moves out of the days and into a month of the baseline; it ages out."""
    feedback = [scene.ticket(days, "feedback", sentiment="negative") for days in (2, 3, 28, 29, 100, 130)]
    neutral = scene.ticket(4, "feedback", sentiment="neutral")
    yield
    scene.change(TICKETS, neutral, sentiment="negative")
    scene.change(TICKETS, feedback[4], sentiment=None)
    yield
    scene.change(TICKETS, feedback[0], opened_at=scene.instant(120))
    scene.change(TICKETS, feedback[1], kind="complaint")
    yield


def corrected_recommendations(scene: Scene) -> Iterator[None]:
    """Another score, an earlier answer that comes late, one that goes; the last one expires while nothing comes."""
    scale = {"kind": "nps", "scale_min": Decimal(0), "scale_max": Decimal(10)}
    latest = scene.survey(3, 9, **scale)
    expiring = scene.alone("expiring")
    expiring.survey(365, 3, **scale)
    yield
    scene.change(SURVEYS, latest, score=Decimal(6))
    yield
    before = scene.survey(20, 7, **scale)
    yield
    scene.remove(SURVEYS, latest)
    scene.change(SURVEYS, before, score=Decimal(2))
    yield


# --- what is heard, seen and said ------------------------------------------------------------------------------------


def corrected_interactions(scene: Scene) -> Iterator[None]:
    """Contacts come late, move to another month, channel or customer, and go; an inquiry was none."""
    contacts = [scene.contact(30 * month + days) for month in range(1, 9) for days in (2, 8, 14)]
    visits = [scene.contact(30 * month + 11, "web") for month in range(9) for _ in range(3)]
    inquiry = scene.ticket(33, "inquiry")
    yield
    scene.contact(44)
    scene.contact(75, "email", customer_id=scene.other_id)
    scene.change(INTERACTIONS, contacts[0], occurred_at=scene.instant(160))
    scene.change(INTERACTIONS, visits[3], channel="social")
    scene.contact(17, "web")
    yield
    scene.change(INTERACTIONS, contacts[1], customer_id=scene.other_id)
    scene.change(INTERACTIONS, visits[4], channel="other")
    scene.change(TICKETS, inquiry, kind="feedback")
    yield
    for key in (*contacts[3:5], *visits[:3]):
        scene.remove(INTERACTIONS, key, stamped=False)
    yield


def corrected_returns(scene: Scene) -> Iterator[None]:
    """Returns come late, move to another month or customer, or out of sight, and go."""
    returns = [scene.give_back(days_ago) for days_ago in (33, 45, 66, 110, 150)]
    yield
    scene.give_back(55)
    scene.change(RETURNS, returns[0], returned_at=scene.instant(140))
    scene.change(RETURNS, returns[3], customer_id=scene.other_id)
    yield
    scene.change(RETURNS, returns[1], returned_at=scene.instant(-1))
    scene.remove(RETURNS, returns[2])
    scene.remove(RETURNS, returns[4], stamped=False)
    yield


def corrected_competitors(scene: Scene) -> Iterator[None]:
    """Interest after all or not; seen at another customer, on another day; withdrawn; and some that only grow old."""
    signals = [scene.competitor(days_ago, is_interested=bool(days_ago % 2)) for days_ago in (3, 4, 5, 70)]
    old = scene.alone("old")
    old.competitor(58)
    old.competitor(59, is_interested=False)
    yield
    scene.change(COMPETITORS, signals[0], has_customer_interest=False)
    scene.change(COMPETITORS, signals[1], customer_id=scene.other_id)
    yield
    scene.change(COMPETITORS, signals[1], has_customer_interest=True)
    scene.remove(COMPETITORS, signals[2])
    scene.competitor(30, is_interested=None)
    yield
    scene.change(COMPETITORS, signals[3], observed_on=scene.day(10), has_customer_interest=True)
    yield


def corrected_policies(scene: Scene) -> Iterator[None]:
    """Policies of an industry: late, postponed, not adverse after all, for another one; some only grow old."""
    signals = [scene.policy(10), scene.policy(20, 5), scene.policy(30, -1), scene.policy(190, 179)]
    alone = scene.alone("regulated")
    yield
    scene.change(POLICIES, signals[0], effect="neutral")
    scene.change(POLICIES, signals[1], effective_on=scene.day(-2))
    alone.policy(3)
    yield
    scene.policy(170)
    scene.change(POLICIES, signals[2], industry=alone.industry)
    yield
    scene.change(CUSTOMERS, scene.other_id, industry=alone.industry)
    scene.change(CUSTOMERS, alone.customer_id, industry=None)
    scene.remove(POLICIES, signals[3])
    yield


def corrected_terms(scene: Scene) -> Iterator[None]:
    """A limit is corrected under its key, raised from tomorrow, withdrawn; terms begin on another day after all."""
    scene.invoice(-5, "95")
    terms, later = scene.terms(30, 180), scene.terms(-2, 400)
    yield
    scene.change(TERMS, terms, credit_limit=Decimal(100))
    yield
    scene.change(TERMS, later, credit_limit=None)
    yield
    scene.remove(TERMS, later)
    scene.remove(TERMS, terms)
    scene.terms(1, 170)
    yield


def corrected_churn_scores(scene: Scene) -> Iterator[None]:
    """A score is corrected under its key, an older one comes late, the newest goes; one expires while nothing comes."""
    newest = scene.churn_score(2, "0.2")
    old = scene.alone("unscored")
    old.churn_score(90, "0.9")
    yield
    scene.change(CHURN, newest, probability=Decimal("0.51"))
    scene.churn_score(10, "0.31")
    yield
    scene.remove(CHURN, newest, stamped=False)
    yield


def news_of_one_kind(scene: Scene) -> Iterator[None]:
    """Customers whose only news is of one data set: a record of it comes, and then it goes or becomes another's."""
    tellers: dict[str, Callable[[Scene], Handle]] = {
        INTERACTIONS: lambda its: its.contact(40),
        RETURNS: lambda its: its.give_back(40),
        COMPETITORS: lambda its: its.competitor(1),
        POLICIES: lambda its: its.policy(1),
        TERMS: lambda its: its.terms(1, 10),
        CHURN: lambda its: its.churn_score(1, "0.7"),
    }
    scenes = {data_set: scene.alone(data_set) for data_set in tellers}
    for its in scenes.values():
        for month in range(1, 8):
            its.contact(30 * month)
            its.contact(30 * month + 12)
    yield
    records = {data_set: tell(scenes[data_set]) for data_set, tell in tellers.items()}
    yield
    for data_set, key in records.items():
        if data_set in (RETURNS, COMPETITORS, INTERACTIONS):
            scene.change(data_set, key, customer_id=scene.other_id)
        else:
            scene.remove(data_set, key)
    yield


# --- promises, and who breaks them -----------------------------------------------------------------------------------


def changed_promises(scene: Scene) -> Iterator[None]:
    """Promised, fulfilled earlier, later, not at all; promised days and deliveries that pass with nothing delivered."""
    orders = [
        scene.order(days_ago + 9, promised_at=scene.instant(days_ago), fulfilled_at=scene.instant(days_ago))
        for days_ago in (15, 30, 45, 60)
    ]
    ahead = scene.alone("ahead")
    for days_ahead in (0, 1, 2):
        promised_at = ahead.instant(-days_ahead)
        ahead.order(12, promised_at=promised_at, fulfilled_at=ahead.instant(-1) if days_ahead else None)
    yield
    scene.change(ORDERS, orders[0], fulfilled_at=scene.instant(14))
    scene.change(ORDERS, orders[1], promised_at=scene.instant(31))
    scene.change(ORDERS, orders[2], fulfilled_at=None)
    scene.change(ORDERS, orders[3], promised_at=None)
    yield
    scene.change(ORDERS, orders[0], fulfilled_at=scene.instant(16))
    scene.change(ORDERS, orders[1], promised_at=scene.instant(200))
    scene.change(ORDERS, orders[2], fulfilled_at=scene.instant(-1), promised_at=scene.instant(-1))
    yield
    yield


def blamed_for_cancelling(scene: Scene) -> Iterator[None]:
    """Who cancelled is told later, or was somebody else; a cancellation is undone, or comes tomorrow."""
    orders = [scene.order(days_ago) for days_ago in (10, 40, 70, 100, 130)]
    yield
    for order, who in zip(orders, ("customer", "us", None, "customer", "customer"), strict=True):
        at = scene.instant(-1 if order == orders[4] else 1)
        scene.change(ORDERS, order, cancelled_at=at, cancelled_by=who)
    yield
    scene.change(ORDERS, orders[0], cancelled_by="us")
    scene.change(ORDERS, orders[1], cancelled_by="customer")
    scene.change(ORDERS, orders[2], cancelled_by="customer")
    yield
    scene.change(ORDERS, orders[3], cancelled_at=None, cancelled_by=None)
    scene.change(ORDERS, orders[2], ordered_at=scene.instant(300))
    yield


def payments_late_or_in_time(scene: Scene) -> Iterator[None]:
    """What makes an invoice late, or in time after all: days corrected, reversals, late news, other due dates."""
    due = (20, 50, 80, 110, 140)
    invoices = [scene.invoice(days_ago, "100") for days_ago in due]
    payments = [scene.pay(key, days_ago, "100") for key, days_ago in zip(invoices[:4], due[:4], strict=True)]
    yield
    scene.change(PAYMENTS, payments[0], paid_on=scene.day(19))
    scene.pay(invoices[1], 51, "-40")
    scene.pay(invoices[1], 3, "40")
    yield
    scene.pay(invoices[4], 141, "100")
    scene.change(PAYMENTS, payments[2], invoice_id=None)
    scene.change(INVOICES, invoices[0], due_on=scene.day(10))
    scene.change(INVOICES, invoices[3], amount=Decimal("100.01"))
    yield
    scene.change(PAYMENTS, payments[3], paid_on=scene.day(105), amount=Decimal("100.01"))
    scene.change(INVOICES, invoices[1], due_on=scene.day(220))
    yield


def looked_after(scene: Scene) -> Iterator[None]:
    """People act on a warning and think better of it: follow-up days, notes, corrections, records withdrawn."""
    for customer_id in (scene.customer_id, scene.other_id):
        for _ in range(3):
            scene.ticket(1, customer_id=customer_id)  # whoever complains so often is warned of
    yield
    called = scene.act(0)
    planned = scene.act(0, "plan_agreed", follow_up_on=scene.day(-1), customer_id=scene.other_id)
    yield
    scene.act(0, "note", corrects_action_id=called)
    named = f"{scene.customer_id}-{scene.day(1):%Y%m%d}"
    scene.act(0, "plan_agreed", case_id=named, follow_up_on=scene.day(-2))
    yield
    scene.change(ACTIONS, planned, outcome="note")
    scene.act(2, "lost", customer_id=scene.other_id)
    yield
    scene.remove(ACTIONS, planned)
    scene.change(ACTIONS, called, customer_id=scene.other_id, taken_at=scene.instant(-1))
    yield


def outdone_in_revenue(scene: Scene) -> Iterator[None]:
    """One customer outweighs all others, who have no news; then it does not after all, or its year is over."""
    yield
    great = scene.order(100, "9000000", customer_id=scene.other_id)
    yield
    scene.change(ORDERS, great, ordered_at=scene.instant(363))
    yield
    yield


DIRT: tuple[Script, ...] = (
    late_orders,
    corrected_amount,
    order_moved_to_another_month,
    order_moved_to_another_customer,
    order_moved_to_nobody,
    overtaken_version,
    same_stamp,
    version_without_stamp,
    delivered_twice,
    cancelled_order,
    corrected_lines,
    complaints_about_orders,
    renamed_product,
    cancelled_ahead,
    ordered_ahead,
    emptied_cell,
    emptied_closed_month,
    becomes_prospect,
    first_order,
    deleted_and_back,
    deletion_overtaken,
    never_seen_deleted,
    moved_one_by_one,
    deleted_one_by_one,
    invoice_after_its_payment,
    payment_moved,
    quarrelled_invoices,
    known_ahead,
    corrected_invoice,
    merged_customer,
    orphans,
    vanishing_customer,
    altered_customer,
    moved_to_a_region_with_exceptions,
    corrected_tickets,
    corrected_surveys,
    soured_feedback,
    corrected_recommendations,
    corrected_interactions,
    corrected_returns,
    corrected_competitors,
    corrected_policies,
    corrected_terms,
    corrected_churn_scores,
    news_of_one_kind,
    changed_promises,
    blamed_for_cancelling,
    payments_late_or_in_time,
    looked_after,
    outdone_in_revenue,
)


# --- a company for random days ----------------------------------------------------------------------------------------


def life(scene: Scene, rows: Mapping[str, list[dict[str, Any]]]) -> Iterator[None]:
    """A customer's rows arrive as they happen: mostly with the next run, some before their cut-off, some late."""
    waiting = [
        (_happened_on(record) + timedelta(days=scene.random.choice((-1, 0, 0, 0, 0, 3, 20))), data_set, record)
        for data_set, records in rows.items()
        if data_set in LANDED
        for record in records
    ]
    while waiting:
        due = [each for each in waiting if each[0] <= scene.today.as_of_date]
        waiting = [each for each in waiting if each[0] > scene.today.as_of_date]
        for _, data_set, record in due:
            scene.sources.put(data_set, record)
        yield


BEFORE_ALL = date(2000, 1, 1)
"""When that happened which has no time of its own."""


def _happened_on(record: Row) -> date:
    columns = (
        *("ordered_at", "returned_at", "occurred_at", "observed_on", "opened_at", "answered_at"),
        *("issued_on", "paid_on", "valid_from", "scored_on", "taken_at"),
    )
    happened = next((record[column] for column in columns if record.get(column)), BEFORE_ALL)
    return happened.date() if isinstance(happened, datetime) else happened


@dataclass
class Troupe:
    """Plays scripts at random over the same customers: some begin every day, each goes on when it likes."""

    sources: Sources
    random: Random
    customers: list[str]
    story: list[str] = field(default_factory=list)
    _repertoire: list[Script] = field(default_factory=list)
    _playing: list[tuple[str, Iterator[None]]] = field(default_factory=list)

    @classmethod
    def of(cls, sources: Sources, random: Random, moments: Sequence[Moment], pairs: int = 12) -> Troupe:
        """Pairs of customers, one pair with an ordinary past, the next with edges that lie on some moment to come."""
        troupe = cls(sources, random, [f"C{number:02}" for number in range(2 * pairs)])
        for number in range(0, 2 * pairs, 4):
            settle(Scene(sources, random, *troupe.customers[number : number + 2]))
            for customer_id in troupe.customers[number + 2 : number + 4]:
                scene = Scene(sources, random, customer_id, customer_id)
                since = random.choice((None, None, scene.day(700), scene.day(-5)))
                group = {"segment": random.choice(("retail", "trade", None)), "industry": random.choice(INDUSTRIES)}
                scene.customer(customer_id, **group, customer_since=since)
                pen = Pen(customer_id, random.choice(moments), random, {data_set: [] for data_set in COLUMNS})
                for chapter in (*random.sample(DEMAND, 2), *random.sample(OTHER, 3)):
                    chapter(pen)
                sell_products(pen.rows, Random(len(pen.rows[ORDERS])))
                troupe._playing.append((f"life of {customer_id}", life(scene, pen.rows)))
        return troupe

    def act(self, beginnings: int) -> None:
        """Let a day pass at the sources."""
        going_on = [each for each in self._playing if each[0].startswith("life") or self.random.random() < 3 / 4]
        waiting = [each for each in self._playing if each not in going_on]
        self._playing = waiting + [each for each in [*going_on, *self._begin(beginnings)] if self._step(*each)]

    def _begin(self, count: int) -> Iterator[tuple[str, Iterator[None]]]:
        for _ in range(count):
            if not self._repertoire:
                self._repertoire = self.random.sample(DIRT, len(DIRT))
            script = self._repertoire.pop()
            customer_id, other_id = self.random.sample(self.customers, 2)
            yield (
                f"{script.__name__} of {customer_id} with {other_id}",
                script(Scene(self.sources, self.random, customer_id, other_id)),
            )

    def _step(self, name: str, script: Iterator[None]) -> bool:
        if not name.startswith("life"):
            self.story.append(f"{self.sources.today.as_of_date} {name}")
        return next(script, self) is not self

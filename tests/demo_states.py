"""Indicator states of the demo's customers, worked out from the simulated world alone, in numpy.

Not the platform's SQL and not its oracle: the demo's own proof that each indicator has something to find. Points are
those of docs/decisions/0002-readings-of-the-regulation.md.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from early_warning.demo.contacts import CHANNELS
from early_warning.demo.timeline import Table
from early_warning.demo.world import World
from early_warning.settings import PROJECT

States = NDArray[Any]  # serious, watch, clear or unknown, by customer

_WRITTEN = (PROJECT / "company" / "policy" / "indicator_parameters.csv").read_text(encoding="utf-8")
_PARAMETERS = {(row["indicator_code"], row["parameter"]): row for row in csv.DictReader(_WRITTEN.splitlines())}


class Judged:
    """A world as of the last day of a month; `states` by indicator, of active customers only."""

    def __init__(self, world: World, as_of: date) -> None:
        self.world, self.count = world, len(world.customers["customer"])
        self.day, self.end = np.datetime64(as_of, "D"), np.datetime64(as_of + timedelta(days=1), "s")
        self.month = self.end.astype("datetime64[M]").astype(np.int64)  # the month of the cut-off, counted from 1970
        orders = world.orders
        self.is_order = (orders["ordered_at"] < self.end) & ~(orders["cancelled_at"] < self.end)
        self.ordered_by = orders["customer"][self.is_order]
        self.ordered_at = orders["ordered_at"][self.is_order]
        self._know_rhythms()
        is_active = self.order_days > 0
        is_active &= self.silence <= np.maximum(180, np.nan_to_num(3 * self.usual_gap))
        judges: dict[str, Callable[[], States]] = {
            name.removeprefix("_ind_"): getattr(self, name) for name in dir(self) if name.startswith("_ind_")
        }
        self.states = {code: judge()[is_active] for code, judge in judges.items()}

    def _know_rhythms(self) -> None:
        days = self.ordered_at.astype("datetime64[D]").astype(np.int64)
        pairs = np.unique(np.stack([self.ordered_by, days]), axis=1)
        customer, day = pairs
        self.order_days = np.bincount(customer, minlength=self.count)
        today = self.day.astype(np.int64)
        self.first, last = np.full(self.count, today), np.full(self.count, -100_000)
        np.minimum.at(self.first, customer, day)
        np.maximum.at(last, customer, day)
        self.silence = today - last
        exposure = np.where(self.order_days > 0, today + 1 - self.first, 0)
        _, segment = np.unique(self.world.customers["segment"].astype(str), return_inverse=True)
        pace = np.bincount(segment, self.order_days) / np.bincount(segment, exposure)
        self.usual_gap = (last - self.first + 2 / pace[segment]) / (self.order_days + 1)

    def _by_month(self, customer: Any, moment: Any, weights: Any = None) -> NDArray[np.float64]:
        """Sum what happened before the cut-off by customer and closed month, the last of 24 in the last column."""
        column = moment.astype("datetime64[M]").astype(np.int64) - self.month + 24
        seen = (moment < self.end) & (column >= 0) & (column < 24)
        cells = customer[seen] * 24 + column[seen]
        found = np.bincount(cells, None if weights is None else weights[seen], self.count * 24)
        return found.reshape(self.count, 24).astype(np.float64)

    def _baseline(self, monthly: Any, left_out: int) -> Any:
        """Sum over the up to 12 months before the last `left_out`; NaN with fewer than 3."""
        column = np.arange(24)
        from_month = self.first.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) - self.month + 24
        counts = (column >= 12 - left_out) & (column < 24 - left_out) & (column >= from_month[:, None])
        months = np.where((counts.sum(axis=1) >= 3) & (self.order_days > 0), counts.sum(axis=1), np.nan)
        return (monthly * counts).sum(axis=1) * months / months, months

    def _state(self, code: str, breached: Callable[[dict[str, float]], Any], known: Any = True) -> States:
        """Give each customer its gravest state; `breached` is asked with the parameters of one state."""
        ours = {parameter: row for (indicator, parameter), row in _PARAMETERS.items() if indicator == code}
        states = np.full(self.count, "clear", dtype="U7")
        for state in ("watch", "serious"):
            written = {name: row[state] or (state == "watch" and row["serious"]) for name, row in ours.items()}
            if all(written.values()):  # rhythm_break and policy_change have no serious state
                values = {name: float(value) for name, value in written.items() if value}
                states[np.broadcast_to(breached(values), self.count)] = state
        return np.where(known, states, "unknown")

    def _falls(self, code: str, monthly: Any, window: int) -> States:
        total, months = self._baseline(monthly, window)
        value, base = monthly[:, 24 - window :].max(axis=1), total / months
        least = float(_PARAMETERS[code, "least_baseline"]["serious"])
        return self._state(code, lambda p: value < p["baseline_share"] * base, known=base >= least)

    def _ind_average_order_value(self) -> States:
        cents = self.world.orders["cents"][self.is_order]
        orders = self._by_month(self.ordered_by, self.ordered_at)
        amount = self._by_month(self.ordered_by, self.ordered_at, cents)
        with np.errstate(invalid="ignore", divide="ignore"):
            base = self._baseline(amount, 3)[0] / self._baseline(orders, 3)[0]
            value = amount[:, -3:].sum(axis=1) / orders[:, -3:].sum(axis=1)
        known = (orders[:, -3:].sum(axis=1) >= 3) & (base > 0)
        return self._state("average_order_value", lambda p: value < p["baseline_share"] * base, known)

    def _ind_rhythm_break(self) -> States:
        last_year = self._by_month(self.ordered_by, self.ordered_at, self.world.orders["cents"][self.is_order])
        revenue = last_year[:, -12:].sum(axis=1)
        best = np.argsort(-revenue, kind="stable")
        is_class_a = np.zeros(self.count, bool)
        is_class_a[best] = (np.cumsum(revenue[best]) - revenue[best] < 0.8 * revenue.sum()) & (revenue[best] > 0)
        return self._state(
            "rhythm_break",
            lambda p: is_class_a & (self.silence >= p["days"]) & (self.silence > p["gap_multiple"] * self.usual_gap),
            known=self.order_days >= 3,
        )

    def _ind_interaction_frequency(self) -> States:
        world = self.world
        counts = ~np.isin(world.interactions["channel"], [CHANNELS.index("官网"), CHANNELS.index("其他")])
        asks = world.tickets["kind"] == 0
        monthly = self._by_month(world.interactions["customer"][counts], world.interactions["occurred_at"][counts])
        monthly += self._by_month(world.tickets["customer"][asks], world.tickets["opened_at"][asks])
        return self._falls("interaction_frequency", monthly, 3)

    def _ind_web_activity(self) -> States:
        visits = self.world.interactions["channel"] == CHANNELS.index("官网")
        interactions = {name: column[visits] for name, column in self.world.interactions.items()}
        return self._falls("web_activity", self._by_month(interactions["customer"], interactions["occurred_at"]), 2)

    def _ind_late_payment_rate(self) -> States:
        invoices, rows = self._invoices(), np.arange(len(self.world.invoices["customer"]))
        payments = self._seen(self.world.payments, "paid_on")
        named = payments["names_invoice"]
        in_time = named & (payments["paid_on"] <= invoices["due_on"][payments["invoice"]])
        paid, punctual = (
            np.bincount(payments["invoice"][which], payments["cents"][which], len(rows)) for which in (named, in_time)
        )
        is_late = invoices["unpaid"] > 0
        is_late |= (paid >= invoices["cents"]) & (punctual < invoices["cents"])
        begin = np.datetime64(int(self.month) - 6, "M").astype("datetime64[D]")
        counts = invoices["is_collectable"] & (invoices["due_on"] >= begin) & (invoices["due_on"] < self.day)
        due = np.bincount(invoices["customer"][counts], minlength=self.count)
        late = np.bincount(invoices["customer"][counts & is_late], minlength=self.count)
        return self._state("late_payment_rate", lambda p: late > p["share"] * due, known=due >= 3)

    def _ind_credit_utilization(self) -> States:
        invoices, terms = self._invoices(), self._seen(self.world.terms, "valid_from")
        open_balance = np.bincount(invoices["customer"], invoices["unpaid"], self.count) / 100
        limit = np.zeros(self.count)
        in_order = np.argsort(terms["valid_from"], kind="stable")
        limit[terms["customer"][in_order]] = terms["limit"][in_order]  # of several the last one stays
        return self._state("credit_utilization", lambda p: open_balance > p["ratio"] * limit, known=limit > 0)

    def _ind_order_fulfilment(self) -> States:
        orders = self._seen(self.world.orders, "ordered_at")
        is_recent = orders["ordered_at"] >= np.datetime64(int(self.month) - 6, "M")
        is_cancelled = orders["cancelled_at"] < self.end
        theirs = is_recent & is_cancelled & ~orders["is_cancelled_by_us"]
        cancelled = np.bincount(orders["customer"][theirs], minlength=self.count)
        all_told = cancelled + np.bincount(orders["customer"][is_recent & ~is_cancelled], minlength=self.count)
        return self._state(
            "order_fulfilment",
            lambda p: (cancelled > p["share"] * all_told) & (cancelled >= p["min_cancelled"]),
            known=all_told > 0,
        )

    def _ind_delivery_punctuality(self) -> States:
        orders = {name: column[self.is_order] for name, column in self.world.orders.items()}
        promised, fulfilled = orders["promised_at"].astype("datetime64[D]"), orders["fulfilled_at"]
        due = (promised >= np.datetime64(int(self.month) - 3, "M")) & (promised <= self.day)
        in_time = due & (fulfilled < self.end) & (fulfilled.astype("datetime64[D]") <= promised)
        total = np.bincount(orders["customer"][due], minlength=self.count)
        good = np.bincount(orders["customer"][in_time], minlength=self.count)
        return self._state("delivery_punctuality", lambda p: good < p["share"] * total, known=total >= 3)

    def _ind_return_rate(self) -> States:
        orders = self._by_month(self.ordered_by, self.ordered_at)
        returns = self._by_month(self.world.returns["customer"], self.world.returns["returned_at"])
        ours, usual = orders[:, -3:].sum(axis=1), self._baseline(orders, 3)[0]
        back, base = returns[:, -3:].sum(axis=1), self._baseline(returns, 3)[0]
        known = (ours > 0) & (usual > 0) & ((base > 0) | (back < 2))
        return self._state(
            "return_rate",
            lambda p: (back * usual > p["baseline_factor"] * base * ours) & (back >= p["min_returns"]),
            known,
        )

    def _ind_net_promoter(self) -> States:
        answers = {name: column[self.world.surveys["is_nps"]] for name, column in self.world.surveys.items()}
        answers = self._seen(answers, "answered_at")
        fresh = self.day - answers["answered_at"].astype("datetime64[D]") <= np.timedelta64(365, "D")
        newest, before = np.full(self.count, np.nan), np.full(self.count, np.nan)
        for customer, score in zip(answers["customer"][fresh], answers["score"][fresh], strict=True):
            newest[customer], before[customer] = score, newest[customer]
        is_low = newest <= 6
        states = np.where(is_low & ~np.isnan(before), "serious", np.where(is_low, "watch", "clear"))
        return np.where(np.isnan(newest), "unknown", states)

    def _ind_negative_feedback(self) -> States:
        tickets = self.world.tickets
        is_bad = (tickets["kind"] == 2) & (tickets["sentiment"] == 0)
        bad = {name: column[is_bad] for name, column in tickets.items()}
        total, months = self._baseline(self._by_month(bad["customer"], bad["opened_at"]), 2)
        recent = (bad["opened_at"] < self.end) & (bad["opened_at"].astype("datetime64[D]") > self.day - 30)
        value, base = np.bincount(bad["customer"][recent], minlength=self.count), total / months
        return self._state(
            "negative_feedback",
            lambda p: (value > p["baseline_factor"] * base) & (value >= p["count"]),
            known=(base > 0) | ((base == 0) & (value < 2)),
        )

    def _ind_competitor_activity(self) -> States:
        signals = self._seen(self.world.competitors, "observed_on")
        recent = signals["observed_on"] > self.day - 60
        heard = np.bincount(signals["customer"][recent], minlength=self.count)
        keen = np.bincount(signals["customer"][recent & (signals["interest"] == 1)], minlength=self.count)
        return np.where(keen >= 1, "serious", np.where(heard >= 1, "watch", "clear"))

    def _ind_policy_change(self) -> States:
        signals = self._seen(self.world.policies, "observed_on")
        since = np.where(np.isnat(signals["effective_on"]), signals["observed_on"], signals["effective_on"])
        age = (self.day - since).astype(np.int64)
        bites = (signals["effect"] == 0) & (age >= 0) & (age <= 180)
        is_hit = np.isin(self.world.customers["industry"].astype(str), signals["industry"][bites].astype(str))
        return np.where(is_hit, "watch", "clear")

    def _seen(self, table: Table, moment: str) -> Table:
        seen = table[moment] < self.end
        return {name: column[seen] for name, column in table.items()}

    def _invoices(self) -> Table:
        """Give the invoices what is unpaid of them after the pool, in the order they have in the world."""
        invoices, payments = self.world.invoices, self._seen(self.world.payments, "paid_on")
        rows = len(invoices["customer"])
        is_seen = (invoices["issued_on"] <= self.day) & ~(invoices["written_off_on"] <= self.day)
        is_collectable = is_seen & ~(invoices["disputed_on"] <= self.day)
        named = payments["names_invoice"] & (invoices["issued_on"][payments["invoice"]] <= self.day)
        paid = np.bincount(payments["invoice"][named], payments["cents"][named], rows)
        pool = np.bincount(payments["customer"][~named], payments["cents"][~named], self.count)
        pool += np.bincount(invoices["customer"], np.maximum(paid - invoices["cents"], 0), self.count)
        unpaid = np.where(is_seen, np.maximum(invoices["cents"] - paid, 0), 0.0)
        for row in np.lexsort([np.arange(rows), invoices["issued_on"], invoices["due_on"]]):
            if is_collectable[row] and unpaid[row] > 0:
                taken = min(unpaid[row], pool[invoices["customer"][row]])
                unpaid[row] -= taken
                pool[invoices["customer"][row]] -= taken
        return invoices | {"unpaid": unpaid, "is_collectable": is_collectable}

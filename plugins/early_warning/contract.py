"""The landing contract: the one canonical shape of every data set, whatever system it comes from.

Types are PostgreSQL's. A trailing `?` marks a column that may be null or absent, `*` one that is part of the key, `!`
personal data that never reaches a BI view.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Column:
    """One column of a data set. `sql_type` is text, numeric, integer, date, timestamptz, boolean or jsonb."""

    name: str
    sql_type: str
    is_required: bool
    is_key: bool
    is_personal: bool


@dataclass(frozen=True)
class DataSet:
    """One data set of the contract.

    `may_lie_ahead`: dates that may come after the extraction (due, promised, validity); every other is an event's.
    `enums`: the words a column may hold. `not_negative`: amounts that can't be below zero.
    """

    name: str
    columns: tuple[Column, ...]
    may_lie_ahead: frozenset[str] = frozenset()
    enums: dict[str, frozenset[str]] = field(default_factory=dict)
    not_negative: frozenset[str] = frozenset()

    @property
    def table(self) -> str:
        """Name of the landing table, without its schema."""
        return self.name.replace(".", "_")

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Columns that identify a record in its source."""
        return tuple(column.name for column in self.columns if column.is_key)

    @cached_property
    def storage_key(self) -> tuple[str, ...]:
        """The key with customer_id in front where the data set has one, so that a customer's rows can live together."""
        has_customer = any(column.name == "customer_id" for column in self.columns)
        rest = tuple(name for name in self.key if name != "customer_id")
        return (("customer_id",) if has_customer else ()) + rest


_TYPES = {"numeric", "integer", "date", "timestamptz", "boolean", "jsonb"}


def _data_set(
    name: str,
    columns: str,
    *,
    ahead: str = "",
    enums: dict[str, str] | None = None,
    not_negative: str = "",
) -> DataSet:
    parsed = []
    for item in (f"{columns}, updated_at? timestamptz").split(","):
        word, *rest = item.split()
        sql_type = rest[0] if rest else "text"
        parsed.append(
            Column(
                name=word.strip("*?!"),
                sql_type=sql_type if sql_type in _TYPES else "text",
                is_required="?" not in word,
                is_key="*" in word,
                is_personal="!" in word,
            )
        )
    parsed.sort(key=lambda column: column.name != "customer_id")  # customer_id leads every table
    return DataSet(
        name,
        tuple(parsed),
        frozenset(ahead.split()),
        {column: frozenset(words.split()) for column, words in (enums or {}).items()},
        frozenset(not_negative.split()),
    )


_ALL = (
    _data_set(
        "sales.customers",
        "customer_id*, name, segment?, industry?, region?, size?, customer_since? date, owner_name?, owner_email?,"
        " contact_name?!, contact_phone?!, contact_email?!, merged_into_id?",
    ),
    _data_set(
        "sales.orders",
        "order_id*, customer_id, ordered_at timestamptz, amount numeric, currency?, promised_at? timestamptz,"
        " fulfilled_at? timestamptz, cancelled_at? timestamptz, cancelled_by?",
        ahead="promised_at",
        enums={"cancelled_by": "customer us"},
        not_negative="amount",
    ),
    _data_set(
        "sales.order_lines",
        "customer_id, order_id*, line_no* integer, product_id, quantity numeric, amount numeric",
    ),
    _data_set("sales.products", "product_id*, name, category?"),
    _data_set(
        "sales.returns",
        "return_id*, order_id?, product_id?, customer_id, returned_at timestamptz, amount? numeric, reason?",
        not_negative="amount",
    ),
    _data_set(
        "sales.interactions",
        "interaction_id*, customer_id, occurred_at timestamptz, channel, summary?!",
        enums={"channel": "phone email visit web social other"},
    ),
    _data_set(
        "sales.competitor_signals",
        "signal_id*, customer_id, observed_on date, competitor?, has_customer_interest? boolean, note?",
    ),
    _data_set(
        "sales.policy_signals",
        "signal_id*, industry, observed_on date, effective_on? date, effect, note?",
        ahead="effective_on",
        enums={"effect": "adverse neutral favourable"},
    ),
    _data_set(
        "service.tickets",
        "ticket_id*, customer_id, kind, category?, priority?, channel?, sentiment?, order_id?, product_id?,"
        " opened_at timestamptz, first_responded_at? timestamptz, resolved_at? timestamptz, subject?!",
        enums={"kind": "inquiry complaint feedback", "sentiment": "negative neutral positive"},
    ),
    _data_set(
        "service.surveys",
        "survey_id*, customer_id, answered_at timestamptz, kind, score numeric, scale_min numeric, scale_max numeric,"
        " channel?, comment?!",
        enums={"kind": "csat nps"},
    ),
    _data_set(
        "finance.invoices",
        "invoice_id*, customer_id, issued_on date, due_on date, amount numeric, currency?, disputed_on? date,"
        " written_off_on? date, voided_on? date",
        ahead="due_on",
        not_negative="amount",
    ),
    _data_set(
        "finance.payments",
        "payment_id*, customer_id, invoice_id?, paid_on date, amount numeric, kind?",
        enums={"kind": "payment credit_note"},
    ),
    _data_set(
        "finance.credit_terms",
        "customer_id*, valid_from* date, credit_limit? numeric, payment_days? integer, guarantee?,"
        " is_restricted? boolean",
        ahead="valid_from",
    ),
    _data_set("finance.credit_ratings", "customer_id*, rated_on* date, agency, rating, score? numeric"),
    _data_set(
        "finance.statements",
        "customer_id*, period_end* date, revenue? numeric, profit? numeric, assets? numeric, liabilities? numeric",
    ),
    _data_set("finance.legal_cases", "case_id*, customer_id, opened_on date, closed_on? date, kind?"),
    _data_set("finance.exchange_rates", "currency*, valid_from* date, rate numeric", ahead="valid_from"),
    _data_set(
        "handling.actions",
        "action_id*, customer_id, case_id?, taken_at timestamptz, department, actor, outcome, note?!,"
        " follow_up_on? date, corrects_action_id?",
        ahead="follow_up_on",
        enums={"outcome": "contacted plan_agreed recovered lost false_alarm note"},
    ),
    _data_set(
        "model.churn_scores",
        "customer_id*, scored_on* date, probability numeric, model_version, reasons? jsonb",
    ),
)

DATA_SETS: dict[str, DataSet] = {data_set.name: data_set for data_set in _ALL}


def as_markdown() -> str:
    """The contract as a page for adopters, docs/landing-contract.md: a table a data set."""
    lines = [
        "# The landing contract",
        "",
        "What the mapping SELECT of a data set returns, by column name. Made from `plugins/early_warning/contract.py`"
        " (`python -m early_warning.contract > docs/landing-contract.md`).",
        "",
        "Only `sales.customers` and one other data set are needed. Columns that are not required may be null or absent."
        " Timestamps without an offset are in the source's time zone. Personal columns never reach a BI view.",
    ]
    for data_set in DATA_SETS.values():
        lines += ["", f"## {data_set.name}", "| column | type | | |", "|---|---|---|---|"]
        for column in data_set.columns:
            need = "key" if column.is_key else "required" if column.is_required else ""
            notes = [
                "personal" if column.is_personal else "",
                "may lie ahead" if column.name in data_set.may_lie_ahead else "",
                "not negative" if column.name in data_set.not_negative else "",
                " or ".join(f"`{word}`" for word in sorted(data_set.enums.get(column.name, ()))),
            ]
            lines.append(f"| {column.name} | {column.sql_type} | {need} | {', '.join(filter(None, notes))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_markdown(), end="")

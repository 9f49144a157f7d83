"""Why a customer holds its level: every figure with what it was compared with, and the rows it comes from.

What is said of the level, rules and indicators is what the run wrote. The rows behind a figure are looked up in
staging, which stands where the newest build left it: where that is another run's, each list of rows says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, LiteralString
from zoneinfo import ZoneInfo

from early_warning.digest.readers import usable_address
from early_warning.digest.words import words_for
from early_warning.indicators import declared
from early_warning.policy import ATTRIBUTES, exception, is_for_all
from early_warning.problems import ConfigurationError
from early_warning.settings import typed
from early_warning.warehouse import Warehouse

_LEVELS = {1: "level 1 (very high)", 2: "level 2 (high)", 3: "level 3 (slight)", None: "no level"}
_TIMES = {1: "first", 2: "second", 3: "third"}
_COMPARED = {">=": "at least", ">": "more than", "<": "less than", "<=": "at most", "=": "exactly"}
_ROWS = 6
_MONEY = "FM999,999,999,999,999,990.999999"  # for to_char, after the currency; it may leave a point at the end

# What an indicator may name as its evidence: day and description of each row between two days.
EVIDENCE: dict[str, LiteralString] = {
    "orders": "select ordered_on, order_id || ': ' || rtrim(to_char(amount, %(money)s), '.')"
    " from staging.stg_sales__orders"
    " where customer_id = %(customer)s and not is_cancelled and ordered_on between %(since)s and %(until)s",
    "cancelled orders": "select ordered_on, order_id || ': ' || rtrim(to_char(amount, %(money)s), '.')"
    " from staging.stg_sales__orders"
    " where customer_id = %(customer)s and is_cancelled_by_customer and ordered_on between %(since)s and %(until)s",
    "late deliveries": "select promised_on, order_id || ' promised for that day, '"
    " || coalesce('delivered ' || fulfilled_on, 'not delivered') from staging.stg_sales__orders"
    " where customer_id = %(customer)s and not is_cancelled and promised_on between %(since)s and %(until)s"
    " and promised_on < (select (as_of_at at time zone time_zone)::date from staging.stg_ops__run)"
    " and coalesce(fulfilled_on > promised_on, true)",
    "returns": "select returned_on, return_id || coalesce(' of ' || product_id, '') from staging.stg_sales__returns"
    " where customer_id = %(customer)s and returned_on between %(since)s and %(until)s",
    "contacts": "select occurred_on, channel || ' ' || interaction_id from staging.stg_sales__interactions"
    " where customer_id = %(customer)s and channel not in ('web', 'other')"
    " and occurred_on between %(since)s and %(until)s"
    " union all select opened_on, 'inquiry ' || ticket_id from staging.stg_service__tickets"
    " where customer_id = %(customer)s and kind = 'inquiry' and opened_on between %(since)s and %(until)s",
    "web visits": "select occurred_on, interaction_id from staging.stg_sales__interactions"
    " where customer_id = %(customer)s and channel = 'web' and occurred_on between %(since)s and %(until)s",
    "complaints": "select opened_on, ticket_id from staging.stg_service__tickets"
    " where customer_id = %(customer)s and kind = 'complaint' and opened_on between %(since)s and %(until)s",
    "negative feedback": "select opened_on, ticket_id from staging.stg_service__tickets"
    " where customer_id = %(customer)s and is_negative_feedback and opened_on between %(since)s and %(until)s",
    "tickets": "select opened_on, ticket_id || coalesce(' ' || priority, '') || ' '"
    " || coalesce('answered after ' || round(extract(epoch from first_responded_at - opened_at) / 3600, 1) || ' h',"
    " 'not answered') from staging.stg_service__tickets"
    " where customer_id = %(customer)s and opened_on between %(since)s and %(until)s",
    "satisfaction scores": "select answered_on, survey_id || ': ' || trim_scale(round(score, 2)) || ' of 100'"
    " from staging.stg_service__surveys where customer_id = %(customer)s and kind = 'csat'"
    " and answered_on between %(since)s and %(until)s",
    "recommendation scores": "select answered_on, survey_id || ': ' || trim_scale(round(score, 2)) || ' of 10'"
    " from staging.stg_service__surveys where customer_id = %(customer)s and kind = 'nps'"
    " and answered_on between %(since)s and %(until)s",
    "unpaid invoices": "select due_on, invoice_id || ': ' || rtrim(to_char(unpaid_amount, %(money)s), '.') || ' unpaid'"
    " from intermediate.int_invoices_settled"
    " where customer_id = %(customer)s and unpaid_amount > 0 and is_collectable"
    " and due_on >= %(since)s and due_on < %(until)s",
    "open invoices": "select issued_on, invoice_id || ': ' || rtrim(to_char(unpaid_amount, %(money)s), '.')"
    " || ' unpaid, due on ' || invoices.due_on"
    " from intermediate.int_invoices_settled as settled join staging.stg_finance__invoices as invoices"
    " using (customer_id, invoice_id) where customer_id = %(customer)s and unpaid_amount > 0"
    " and (settled.is_collectable or settled.is_disputed) and issued_on between %(since)s and %(until)s",
    "due invoices": "select due_on, invoice_id || ': ' || rtrim(to_char(billed_amount, %(money)s), '.') || ' billed, '"
    " || rtrim(to_char(paid_in_time_amount, %(money)s), '.') || ' paid in time, '"
    " || rtrim(to_char(paid_amount, %(money)s), '.') || ' paid so far' from intermediate.int_invoice_balances"
    " where customer_id = %(customer)s and is_collectable and due_on >= %(since)s and due_on < %(until)s",
    "credit terms": "select valid_from, 'limit ' || coalesce(rtrim(to_char(credit_limit, %(money)s), '.'), 'none')"
    " from staging.stg_finance__credit_terms where customer_id = %(customer)s"
    " and valid_from between %(since)s and %(until)s",
    "credit scores": "select scored_on, trim_scale(score)::text from scores.credit_scores"
    " where customer_id = %(customer)s and scored_on between %(since)s and %(until)s",
    "churn scores": "select scored_on, trim_scale(probability)::text from staging.stg_model__churn_scores"
    " where customer_id = %(customer)s and scored_on between %(since)s and %(until)s",
    "competitor signals": "select observed_on, signal_id"
    " || case when has_customer_interest then ', the customer is interested' else '' end"
    " from staging.stg_sales__competitor_signals"
    " where customer_id = %(customer)s and observed_on between %(since)s and %(until)s",
    "policies": "select in_force_since, signal_id from staging.stg_sales__policy_signals"
    " join intermediate.int_customers using (industry)"
    " join intermediate.int_scope_parameters using (scope)"
    " where customer_id = %(customer)s and effect = 'adverse' and in_force_since between %(since)s and %(until)s"
    " and indicator_code = 'policy_change' and parameter = 'days' and %(until)s - in_force_since <= watch",
}
OLDEST_FIRST = ("unpaid invoices",)  # since it is the oldest that warns


def explain(warehouse: Warehouse, customer_id: str, day: date | None = None) -> str:
    """Say in words why a customer holds its level on a published day (the newest, if none is named).

    Raises:
        ConfigurationError: the day is not published, or the customer was not there.
    """
    run = _run(warehouse, day)
    key = (run["run_id"], customer_id)
    customers = warehouse.rows("select * from marts.dim_customers where run_id = %s and customer_id = %s", *key)
    if not customers:
        known = typed("sql", "select customer_id, name from bi.customers")
        what = f"no customer {customer_id!r} on {run['as_of_date']}"
        raise ConfigurationError.about(what, f"take a customer_id of: {known}")
    lines = [*_head(run, customers[0]), *_whose_rows(run), ""]
    levels = warehouse.rows("select * from marts.fct_customer_levels where run_id = %s and customer_id = %s", *key)
    if not levels:
        return "\n".join([*lines, f"A {customers[0]['state']} customer that owes nothing is not judged."])
    values = warehouse.rows(
        "select figures.*, policy.name, policy.is_key from marts.fct_indicator_values as figures"
        " join policy.indicators as policy using (indicator_code) where figures.run_id = %s"
        " and figures.customer_id = %s and policy.policy_hash = %s order by indicator_code",
        *key,
        run["policy_hash"],
    )
    lines += _level(warehouse, run, levels[0], values)
    lines += _case(warehouse, run, customers[0])
    lines += ["", *_rules(warehouse, run, levels[0], values)]
    breached = [value for value in values if value["state"] in ("serious", "watch")]
    for value in sorted(breached, key=lambda value: value["state"]):
        lines += ["", *_indicator(warehouse, run, customers[0], value)]
    return "\n".join([*lines, "", *_others(values), "", *_origin(warehouse, run)])


def _run(warehouse: Warehouse, day: date | None) -> dict[str, Any]:
    """The run a day shows, with the company's currency, and whose rows are at hand (`staged_run_id`, `staged_on`)."""
    found = warehouse.rows(
        "select run.*, as_of_date = newest_on as is_newest, currency"
        " from ops.publication join ops.run using (run_id, as_of_date) cross join ops.company"
        " cross join (select max(as_of_date) as newest_on from ops.publication) as newest"
        " where as_of_date = coalesce(%s, newest_on)",
        day,
    )
    if not found:
        what = f"{day} is not published" if day else "nothing is published yet"
        raise ConfigurationError.about(what, f"run it, or name a day of: {typed('status')}")
    [staged] = warehouse.rows("select run_id as staged_run_id, as_of_date as staged_on from staging.stg_ops__run")
    return found[0] | staged


def _head(run: dict[str, Any], customer: dict[str, Any]) -> Iterator[str]:
    words = [customer[name] for name in ("segment", "industry", "region") if customer[name]]
    owner = customer["owner_name"] or "nobody"
    yield f"{customer['customer_name']} ({customer['customer_id']}), {run['as_of_date']:%-d %B %Y}"
    yield f"  {', '.join([customer['state'], *words])}; looked after by {owner}"
    if customer["last_ordered_on"]:
        yield (
            f"  {customer['order_days']} order days since {customer['first_ordered_on']:%-d %B %Y}, the last on"
            f" {customer['last_ordered_on']:%-d %B %Y}; one is expected every {customer['usual_gap_days']:.0f} days"
        )
    if customer["open_balance_amount"] is not None:
        owed = customer["open_balance_amount"]
        yield f"  owes {_amount(run, owed) if owed else 'nothing'}"


def _whose_rows(run: dict[str, Any]) -> Iterator[str]:
    """Before anything is shown: that the rows behind the figures are another run's, if they are."""
    if whose := _rows_of(run):
        yield f"  the figures are this day's; the rows below them are listed {whose}"


def _rows_of(run: dict[str, Any]) -> str:
    """Whose the rows at hand are, if they are another run's."""
    is_own = run["staged_run_id"] == run["run_id"]
    return "" if is_own else f"as run {run['staged_run_id']} of {run['staged_on']:%-d %B %Y} knows them"


def _level(
    warehouse: Warehouse, run: dict[str, Any], level: dict[str, Any], values: list[dict[str, Any]]
) -> Iterator[str]:
    held, raw, by_rules = level["warning_level"], level["raw_level"], level["uncapped_level"]
    if held is None:
        yield "Holds no warning level."
        return
    yield (
        f"Holds {_LEVELS[held]} since {level['level_since']:%-d %B %Y} ({level['change']});"
        f" {_amount(run, level['money_at_risk_amount'])} at risk."
    )
    if by_rules != raw:
        yield f"The rules give {_LEVELS[by_rules]}, but level_{by_rules}_cap was full: {_LEVELS[raw]} today."
    if raw != held:
        states = {value["indicator_code"]: value["state"] for value in values}
        blind = [code for code in level["level_source_codes"] if states.get(code) == "unknown"]
        why = f"since {', '.join(blind)} can't be judged now" if blind else "for the cool-down"
        sources = ", ".join(level["level_source_codes"])
        yield f"This day's facts alone give {_LEVELS[raw]}; the level, which came from {sources}, is kept {why}."
    if level["peak_level"] != held:
        yield f"The gravest level since the customer last held none was {_LEVELS[level['peak_level']]}."
    [cooldown] = warehouse.rows(
        "select value from policy.hysteresis_and_budget where policy_hash = %s and parameter = 'cooldown_days'",
        run["policy_hash"],
    )
    yield f"The level falls once no rule as grave has fired for {_figure(cooldown['value'])} days,"
    yield "unless an indicator that the level came from can't be judged then."


def _case(warehouse: Warehouse, run: dict[str, Any], customer: dict[str, Any]) -> Iterator[str]:
    """What is open in its case: who has to act by when, or what has been done."""
    cases = warehouse.rows(
        "select * from marts.fct_warning_cases where run_id = %s and customer_id = %s and closed_on is null",
        run["run_id"],
        customer["customer_id"],
    )
    for case in cases:
        raised = f"Case {case['case_id']}, raised for the {_TIMES.get(case['step'], 'next')} time"
        if case["handled_at"]:
            after = f"; comes back on {case['follow_up_on']:%-d %B %Y} if the level stays"
            yield f"{raised}, handled on {_moment(run, case['handled_at'])} ({case['handling_outcome']}){after}."
        else:
            plan = " with one plan" if case["is_joint"] else ""
            by = f"to act first, by {_moment(run, case['deadline_at'])}"
            late = ", which has passed" if case["deadline_at"] < run["as_of_at"] else ""
            yield f"{raised}: {_all_of(case['departments']) or 'its owner'}{plan} {by}{late}."
            yield from _asked_for(warehouse, run, case)
        if case["is_muted"]:
            yield "The case is muted: nobody is mailed about it."
        elif case["is_held_back"]:
            reader = "The owner" if usable_address(customer["owner_email"]) else "Who stands in for the owner"
            yield f"{reader} is not mailed about the case today, having warnings enough (owner_budget)."


def _asked_for(warehouse: Warehouse, run: dict[str, Any], case: dict[str, Any]) -> Iterator[str]:
    """What the playbook asks of each department, in the company's language; of an older day nobody asks any more."""
    if run["is_newest"]:
        measures = warehouse.rows(
            "select department, action, indicator_codes from bi.case_actions where customer_id = %s and case_id = %s"
            " order by array_position(%s, department), department, action",
            *(case["customer_id"], case["case_id"], case["departments"]),
        )
        yield from (f"  {row['department']}: {row['action']} ({', '.join(row['indicator_codes'])})" for row in measures)


def _all_of(names: list[str]) -> str:
    *others, last = names or [""]
    return f"{', '.join(others)} and {last}" if others else last


def _moment(run: dict[str, Any], moment: datetime) -> str:
    return f"{moment.astimezone(ZoneInfo(run['company_time_zone'])):%-d %B %Y %H:%M}"


def _rules(
    warehouse: Warehouse, run: dict[str, Any], level: dict[str, Any], values: list[dict[str, Any]]
) -> Iterator[str]:
    """The gravest rules that fired with what they asked for and what was found; of milder ones only that they fired."""
    if not level["rule_codes"]:
        yield "No rule fires."
        return
    rules = warehouse.rows(
        "select * from policy.level_rules where policy_hash = %s and rule_code = any(%s)"
        " order by warning_level, rule_code",
        run["policy_hash"],
        level["rule_codes"],
    )
    conditions = warehouse.rows("select * from policy.level_conditions where policy_hash = %s", run["policy_hash"])
    by_code = {value["indicator_code"]: value for value in values}
    milder: dict[int, list[str]] = defaultdict(list)
    yield "Rules that fire (level_rules.csv):"
    for rule in rules:
        if rule["warning_level"] > rules[0]["warning_level"]:
            milder[rule["warning_level"]].append(rule["rule_code"])
            continue
        yield f"  {rule['rule_code']}, {_LEVELS[rule['warning_level']]}: {rule['description']}"
        if rule["kind"] == "count_of":
            yield from _count(rule, values)
        for condition in conditions:
            if condition["rule_code"] == rule["rule_code"]:
                value = by_code.get(condition["indicator_code"], {"state": "unknown", "measures": {}})
                yield f"    {_condition(condition, value)}"
    if milder:
        told = (f"{', '.join(codes)} (level {number})" for number, codes in milder.items())
        yield f"  Overtaken by what is graver: {'; '.join(told)}."


def _condition(condition: dict[str, Any], value: dict[str, Any]) -> str:
    """What was asked of an indicator, and what was found."""
    if condition["measure"] == "state":
        graver = " or graver" if condition["operator"] == ">=" and condition["value"] == "watch" else ""
        return f"{condition['indicator_code']} is {value['state']} (asked: {condition['value']}{graver})"
    found, asked = _figures(value["measures"].get(condition["measure"]), Decimal(condition["value"]))
    name = " ".join(dict.fromkeys((condition["indicator_code"], condition["measure"])))
    return f"{name} is {found} (asked: {_COMPARED[condition['operator']]} {asked})"


def _count(rule: dict[str, Any], values: list[dict[str, Any]]) -> Iterator[str]:
    """What a rule that counts asked for, and which indicators of which families it counted."""
    states = ("serious",) if rule["least_state"] == "serious" else ("serious", "watch")
    among, key = rule["among_families"], "key " if rule["only_key_indicators"] else ""
    asked = f"at least {rule['how_many']} {key}indicator{'s' if rule['how_many'] > 1 else ''} {' or '.join(states)}"
    if rule["families"] > 1:
        asked += f" in {rule['families']} different families"
    if among:
        asked += f", counting only {_all_of(among)}"
    if rule["must_include_families"]:
        asked += f", {' or '.join(rule['must_include_families'])} among them"
    counted: dict[str, list[str]] = defaultdict(list)
    for value in values:
        is_of_family = not among or value["family"] in among
        if value["state"] in states and is_of_family and (value["is_key"] or not key):
            counted[value["family"]].append(value["indicator_code"])
    families = "; ".join(f"{family}: {', '.join(codes)}" for family, codes in sorted(counted.items()))
    number = sum(map(len, counted.values()))
    yield f"    asked: {asked}"
    yield f"    counted: {number} in {len(counted)} {'families' if len(counted) > 1 else 'family'} ({families})"


def _indicator(
    warehouse: Warehouse, run: dict[str, Any], customer: dict[str, Any], value: dict[str, Any]
) -> Iterator[str]:
    """One breached indicator: what it says, how it was judged, what would clear it, where it comes from."""
    code, customer_id = value["indicator_code"], customer["customer_id"]
    said = warehouse.rows(
        "select sentence from marts.rpt_indicator_sentences"
        " where run_id = %s and customer_id = %s and indicator_code = %s and language = 'en'",
        run["run_id"],
        customer_id,
        code,
    )
    yield f"{code} {value['name']}: {value['state']}" + (f", {value['trend']}" if value["trend"] else "")
    yield from (f"  {row['sentence']}" for row in said)
    shown, threshold, baseline = _figures(value["value"], value["threshold"], value["baseline"])
    beside = f", baseline {baseline}" if value["baseline"] is not None else ""
    unit = value["unit"].replace("amount", run["currency"]).replace("_", " ")
    yield f"  value {shown}, threshold {threshold}{beside} ({unit})"
    parameters = _parameters(warehouse, run, customer, code)
    milder = {row["parameter"]: _limit(run, row) for row in parameters}
    clears = declared()[code].clears
    if clears and milder.keys() >= declared()[code].parameters.keys():  # an older policy may lack what was added since
        yield f"  clears once {clears.format(**milder)}"
    yield f"  by indicator_parameters.csv (serious / watch): {', '.join(map(_parameter, parameters))}"
    yield from _evidence(warehouse, run, customer_id, value)


def _limit(run: dict[str, Any], row: dict[str, Any]) -> str:
    """A parameter's milder value, as people say it."""
    name, value = row["parameter"], row["serious" if row["watch"] is None else "watch"]
    if name.endswith("_amount"):
        return _amount(run, value)
    return f"{_figure(100 * value)}%" if name.endswith(("share", "ratio", "probability")) else _figure(value)


def _parameters(warehouse: Warehouse, run: dict[str, Any], customer: dict[str, Any], code: str) -> list[dict[str, Any]]:
    """The parameters that the customer was judged by."""
    return warehouse.rows(
        "select distinct on (parameter) * from policy.indicator_parameters"
        " where policy_hash = %s and indicator_code = %s and %s between valid_from and valid_until"
        " and segment in ('', %s) and industry in ('', %s) and region in ('', %s)"
        " order by parameter, specificity desc",
        *(run["policy_hash"], code, run["as_of_date"]),
        *(customer[attribute] for attribute in ATTRIBUTES),
    )


def _parameter(row: dict[str, Any]) -> str:
    """A parameter's values; of an exception, whom and when it is for."""
    values = " / ".join(_figure(row[name]) for name in ("serious", "watch") if row[name] is not None)
    return f"{row['parameter']} {values}" + ("" if is_for_all(row) else f" ({exception(row)})")


def _evidence(warehouse: Warehouse, run: dict[str, Any], customer_id: str, value: dict[str, Any]) -> Iterator[str]:
    for kind in declared()[value["indicator_code"]].evidence:
        rows = warehouse.rows(
            "select count(*) over () as n, happened_on, what from ("  # noqa: S608 - one of the queries above
            + EVIDENCE[kind]
            + ") as evidence (happened_on, what) order by "
            + ("happened_on" if kind in OLDEST_FIRST else "happened_on desc")
            + ", what limit %(rows)s",
            customer=customer_id,
            since=value["window_start"] or date.min,
            until=value["window_end"] or run["as_of_date"],
            rows=_ROWS,
            money=f'"{run["currency"]} "{_MONEY}',
        )
        first = "the oldest" if kind in OLDEST_FIRST else "the newest"
        until = value["window_end"] or run["as_of_date"]
        span = f" from {value['window_start']} to {until}" if value["window_start"] else f" until {until}, {first}"
        yield ", ".join(filter(None, (f"  {kind}{span}", _rows_of(run)))) + (":" if rows else ": none")
        yield from (f"    {row['happened_on']}  {row['what']}" for row in rows)
        if rows and rows[0]["n"] > len(rows):
            yield f"    … and {rows[0]['n'] - len(rows)} more"


def _others(values: list[dict[str, Any]]) -> Iterator[str]:
    clear = [value["indicator_code"] for value in values if value["state"] == "clear"]
    yield f"Clear: {', '.join(clear) or 'nothing'}."
    unknown = [row for row in values if row["state"] == "unknown"]
    if unknown:
        yield "Can't be judged:"
    for reason in sorted({row["unknown_reason"] for row in unknown}):
        codes = (row["indicator_code"] for row in unknown if row["unknown_reason"] == reason)
        yield f"  {words_for('en').unknown_reasons.get(reason, reason)} ({reason}): {', '.join(codes)}"


def _origin(warehouse: Warehouse, run: dict[str, Any]) -> Iterator[str]:
    batches = warehouse.rows(
        "select data_set, min(batch_id) as first, max(batch_id) as last from ops.batch"
        " where state = 'accepted' and batch_id <= %s group by data_set order by data_set",
        run["through_batch_id"],
    )
    named = ", ".join(
        f"{row['data_set']} {row['first']}" + (f"–{row['last']}" if row["last"] > row["first"] else "")
        for row in batches
    )
    yield f"Figures: run {run['run_id']}, policy {run['policy_hash']}."
    yield f"Their batches: {named}."
    if whose := _rows_of(run):
        yield f"The rows: {whose}."
    if run["stale_data_sets"]:
        yield f"Too old to judge by, see bi.gates: {', '.join(run['stale_data_sets'])}."


def _amount(run: dict[str, Any], number: Decimal) -> str:
    return f"{run['currency']} {_figure(number)}"


def _figure(number: Decimal | None) -> str:
    return _figures(number)[0]


def _figures(*numbers: Decimal | None) -> list[str]:
    """Numbers that are compared, with as few decimals (two or more) as still tell them apart, and none from zero."""
    known = {Decimal(0), *(number for number in numbers if number is not None)}
    decimals = 2
    while decimals < 6 and len({round(number, decimals) for number in known}) < len(known):
        decimals += 1
    texts = ("–" if number is None else f"{number:,.{decimals}f}" for number in numbers)
    return [text.rstrip("0").rstrip(".") if "." in text else text for text in texts]

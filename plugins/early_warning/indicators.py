"""What each indicator says of itself: its model's `config(meta=…)`, read without dbt, so that nobody lists indicators.

    {{ config(meta={
        'parameters': {'days': 'more', 'least_amount': 'same'},
        'measures': ['overdue_amount'],
        'needs': ['finance.invoices', 'finance.payments'],
        'evidence': ['unpaid invoices'],
        'clears': 'nothing unpaid is more than {days} days past due, or at most {least_amount} is overdue',
    }) }}

A parameter is `more` where the greater value is graver, `less` where the smaller one is, `same` where serious and watch
share one value. `measures` are named figures that level rules may compare. `explain` shows rows of the kinds named as
`evidence` and says what `clears` it, with the customer's own parameters of the watch state filled in. Without the data
sets that it `needs` nobody is judged, so a model need not ask. `is_watch_only` marks one without a serious state.
`unit_without_baseline` (read by dbt alone) is the unit of what it tells without a baseline, if the policy's is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, Literal

from jinja2 import Environment, nodes

from early_warning.settings import PROJECT

MODELS = PROJECT / "dbt_project" / "models" / "indicators"

Graver = Literal["more", "less", "same"]


@dataclass(frozen=True)
class Indicator:
    """An indicator as its model declares it."""

    code: str
    parameters: dict[str, Graver]
    measures: tuple[str, ...]
    needs: frozenset[str]
    evidence: tuple[str, ...]
    clears: str
    is_watch_only: bool


@cache
def declared() -> dict[str, Indicator]:
    """All indicators that have a model, by code, sorted.

    Raises:
        ValueError: when a model's meta can't be read or says something else.
    """
    paths = sorted(MODELS.glob("*/ind_*.sql"), key=lambda path: path.stem)
    return {path.stem.removeprefix("ind_"): _read(path) for path in paths}


def _read(path: Path) -> Indicator:
    calls = Environment(autoescape=False).parse(path.read_text(encoding="utf-8")).find_all(nodes.Call)  # noqa: S701
    meta: dict[str, Any] = {}
    for call in calls:
        if isinstance(call.node, nodes.Name) and call.node.name == "config":
            meta |= {word.key: word.value for word in call.kwargs if word.key == "meta"}
    said = meta["meta"].as_const() if meta else {}
    parameters = said.get("parameters", {})
    if not parameters or set(parameters.values()) - {"more", "less", "same"}:
        raise ValueError(f"{path.name}: config(meta=…) has to name its parameters, each with more, less or same")
    clears = said.get("clears", "")
    named = {name for _, name, _, _ in Formatter().parse(clears) if name is not None}
    if unknown := sorted(named - parameters.keys()):
        raise ValueError(f"{path.name}: `clears` names what is no parameter: {', '.join(unknown)}")
    return Indicator(
        code=path.stem.removeprefix("ind_"),
        parameters=parameters,
        measures=tuple(said.get("measures", [])),
        needs=frozenset(said.get("needs", [])),
        evidence=tuple(said.get("evidence", [])),
        clears=clears,
        is_watch_only=said.get("is_watch_only", False),
    )

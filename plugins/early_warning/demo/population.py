"""Who the customers are: when they come, how they buy and pay, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from early_warning.demo import names
from early_warning.demo.chance import stream
from early_warning.demo.fates import FATES, FOREVER
from early_warning.demo.timeline import DAYS_AHEAD, Floats, Ints, Table, dates, day_count
from early_warning.settings import SimulationPlan

_NEWCOMERS = 0.25  # share of the plan's customers who come during its history; afterwards they come at the same pace


@dataclass(frozen=True)
class Population:
    """The customers in the order they come, each array of shape (customers,). Days count from the plan's first day.

    `since`: the day the customer comes, before day 0 for old ones · `fate`: index into FATES · `trouble_from`, `span`:
    when its trouble starts, how many days it lasts · `rate`: orders on an ordinary day · `order_size`: median, cents
    """

    since: Ints
    fate: Ints
    trouble_from: Ints
    span: Ints
    rate: Floats
    order_size: Floats

    @property
    def gone_from(self) -> Ints:
        """The first day a leaver or defaulter does no business at all; FOREVER for those who stay."""
        return np.where(self.meets("stays"), FOREVER, self.trouble_from + self.span)

    def meets(self, outcome: str) -> NDArray[np.bool_]:
        """Return whether each customer's fate ends so: stays, leaves or defaults."""
        return np.array([fate.outcome == outcome for fate in FATES])[self.fate]

    def each(self, attribute: str) -> Floats:
        """Return a numeric attribute of each customer's fate; NaN where the fate leaves it open."""
        return np.array([getattr(fate, attribute) for fate in FATES], dtype=np.float64)[self.fate]

    def is_in_trouble(self, customer: Ints, day: Ints) -> NDArray[np.bool_]:
        """Return whether each day falls into the trouble of the customer beside it."""
        since = day - self.trouble_from[customer]
        return (since >= 0) & (since < self.span[customer])

    def while_in_trouble(self, attribute: str, customer: Ints, day: Ints, otherwise: float = 0.0) -> Floats:
        """Return a numeric attribute of the customers' fates on days of their trouble, `otherwise` on all others."""
        return np.where(self.is_in_trouble(customer, day), self.each(attribute)[customer], otherwise)

    def course(self, attribute: str, days: Ints) -> Floats:
        """Return what each customer's fate makes of a factor (`demand`, `attention`) day by day: (customers, days)."""
        factor = np.ones((len(self.since), len(days)))
        for index, fate in enumerate(FATES):
            rows = self.fate == index
            since = (days - self.trouble_from[rows, None]).astype(np.float64)
            factor[rows] = getattr(fate, attribute)(since, self.span[rows, None].astype(np.float64))
        return factor


def make_population(plan: SimulationPlan) -> Population:
    """Draw the plan's customers, and those who come after its history."""
    random = stream(plan, "population")
    days = day_count(plan)
    history = days - DAYS_AHEAD
    newcomers = round(plan.customers * _NEWCOMERS)
    later = round(newcomers * DAYS_AHEAD / history)
    count = plan.customers + later
    since = np.sort(
        np.concatenate(
            [
                -random.integers(30, 3000, plan.customers - newcomers),
                random.integers(0, history, newcomers),
                random.integers(history, days, later),
            ]
        )
    )
    fate = random.permutation(_by_share(count))
    shortest, longest = np.array([each.span for each in FATES]).T
    span = random.integers(shortest[fate], longest[fate] + 1)
    known_from = np.maximum(since, 0) + np.minimum(180, history // 4)  # long enough to have been an ordinary customer
    earliest = np.minimum(known_from, days - 60)
    peak = np.maximum(earliest, history - 90)  # business is at its worst around the first as-of date
    starts = random.triangular(earliest, peak, days - 30).astype(np.int64)
    rate = np.clip(random.lognormal(np.log(1.9), 0.8, count), 0.35, 16) / 30.4
    rate[random.random(count) < 0.015] = 0  # prospects who never order
    return Population(
        since=since,
        fate=fate,
        trouble_from=_fixed_starts(random, plan, fate, since, starts),
        span=span,
        rate=rate,
        order_size=random.lognormal(np.log(1_600_000), 0.9, count),
    )


def _by_share(count: int) -> Ints:
    """Give out the fates in their shares, each at least once."""
    bounds = np.round(np.cumsum([fate.share for fate in FATES]) * count).astype(np.int64)
    bounds = np.maximum(bounds, np.arange(1, len(FATES) + 1))
    return np.searchsorted(bounds, np.arange(count), side="right").astype(np.int64)


def _fixed_starts(random: np.random.Generator, plan: SimulationPlan, fate: Ints, since: Ints, starts: Ints) -> Ints:
    """Put lasting traits at the customer's beginning and yearly pauses at their season of the first year."""
    is_lasting = np.array([each.span[0] >= FOREVER for each in FATES])[fate]
    season = random.integers(0, 365, len(fate))
    january = 365 - plan.starts_on.timetuple().tm_yday + 15 + season // 20  # a little before the Spring Festival
    name = np.array([each.name for each in FATES])[fate]
    starts = np.where(is_lasting, np.minimum(since, 0), starts)
    starts = np.where(name == "seasonal", season - 365, starts)
    return np.where(name == "shutdown", january - 365, starts)


def customer_table(plan: SimulationPlan, population: Population) -> Table:
    """Describe the customers as the CRM does. `since` is the customer's first day (datetime64[D])."""
    random = stream(plan, "customers")
    count = len(population.since)
    regions = random.choice(list(names.CITIES), count, p=[0.34, 0.2, 0.14, 0.11, 0.09, 0.05, 0.07])
    industries = random.choice(list(names.INDUSTRIES), count)
    monthly = population.rate * population.order_size
    segment = np.searchsorted(np.quantile(monthly, [0.35, 0.88]), monthly, side="right")
    size = np.clip(2 - segment + random.choice([0, 1, -1], count, p=[0.6, 0.25, 0.15]), 0, 3)
    managers = names.people(random, max(len(names.CITIES), plan.customers // 80))
    contacts = names.people(random, count)
    region_number = np.searchsorted(np.sort(list(names.CITIES)), regions)
    teams = len(managers) // len(names.CITIES)
    manager = region_number * teams + random.integers(0, teams, count)
    has_manager = random.random(count) >= 0.03
    owners = np.array([(name, f"{local}@huachen.example.com") for name, local in managers], dtype=object)[manager]
    owners[~has_manager] = None
    phones = random.integers(1000, 10000, (count, 2))
    return {
        "customer": np.arange(count),
        "name": np.array(names.companies(random, regions.tolist(), industries.tolist()), dtype=object),
        "segment": np.array(names.SEGMENTS[::-1], dtype=object)[segment],
        "industry": industries.astype(object),
        "region": regions.astype(object),
        "size": np.array(names.SIZES, dtype=object)[size],
        "since": dates(plan, population.since),
        "owner_name": owners[:, 0],
        "owner_email": owners[:, 1],
        "contact_name": np.array([name for name, _ in contacts], dtype=object),
        "contact_phone": np.array([f"0000-{first}{second}" for first, second in phones.tolist()], dtype=object),
        "contact_email": np.array(
            [f"{local}@c{number:06d}.example.com" for number, (_, local) in enumerate(contacts, start=1)], dtype=object
        ),
    }


def truth_table(plan: SimulationPlan, population: Population) -> Table:
    """Tell each customer's fate, past and to come: what an early warning should have seen coming."""
    told = [FATES[index] for index in population.fate]
    is_steady = np.array([fate.name == "steady" for fate in told])
    starts, ends = dates(plan, population.trouble_from), dates(plan, population.gone_from)
    never = np.datetime64("NaT", "D")
    return {
        "customer": np.arange(len(told)),
        "fate": np.array([fate.name for fate in told], dtype=object),
        "starts_on": np.where(is_steady, never, np.maximum(starts, dates(plan, population.since))),
        "leaves_on": np.where(population.meets("leaves"), ends, never),
        "defaults_on": np.where(population.meets("defaults"), ends, never),
        "note": np.array([fate.note for fate in told], dtype=object),
    }

"""Who reads digests: the lines of recipients.csv and the owners that customers name, and whose is due in a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from email.errors import MessageError
from email.headerregistry import Address
from typing import Any
from zoneinfo import ZoneInfo

from psycopg.rows import dict_row

from early_warning.digest.text import plain
from early_warning.digest.words import words_for
from early_warning.settings import WEEKDAYS, is_email
from early_warning.warehouse import Connection

OWNER, MANAGEMENT, ANALYSIS = "owner", "management", "analysis"
_FREQUENCIES = {MANAGEMENT: "weekly_monday", ANALYSIS: "daily"}
_LONGEST_ADDRESS, _LONGEST_LOCAL_PART = 254, 64  # RFC 5321


@dataclass(frozen=True)
class Run:
    """The published run that digests tell of. `is_update`: an earlier cut-off of the same day has been told.

    `told_before_at`: the cut-off told of before, none in a home's first run.
    """

    run_id: int
    as_of_date: date
    as_of_at: datetime
    time_zone: str
    policy_hash: str
    published_at: datetime
    is_update: bool
    told_before_at: datetime | None = None


@dataclass(frozen=True)
class Reader:
    """Somebody who is told of warnings: `audience` says of which, `head:sales` of those that concern that department.

    Not `is_due`: the digest comes in a later run, and until then nothing but what is urgent. `told_policy_hash`: by
    which policy their last digest judged.
    """

    audience: str
    department: str
    recipient: str
    name: str
    language: str
    time_zone: ZoneInfo
    is_due: bool
    chat: str
    told_policy_hash: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What tells a reader from others: one person may read as several."""
        return self.audience, self.recipient


@dataclass(frozen=True)
class Readers:
    """All readers of a run, and who is told of an owner's customers: pairs of the address as delivered and a reader's.

    Customers whose owner can't be reached go to the fallback owners, or else to the operators.
    """

    everybody: Sequence[Reader]
    owners: Sequence[tuple[str, str]]


def usable_address(address: str | None) -> str | None:
    """Give the address in lower case if it is one plain address that a header and a server can take, else None."""
    candidate = (address or "").strip().lower()
    if not is_email(candidate) or len(candidate) > _LONGEST_ADDRESS:
        return None
    if candidate.index("@") > _LONGEST_LOCAL_PART:
        return None
    try:
        return Address(addr_spec=candidate).addr_spec
    except (MessageError, ValueError, IndexError):
        return None


def read_readers(connection: Connection, run: Run, language: str) -> Readers:
    """Read who is told of a published run; `language` is for owners that recipients.csv does not name."""
    with connection.cursor(row_factory=dict_row) as cursor:
        lines = [
            {**row, "address": address}
            for row in cursor.execute("select * from ops.recipient order by role, department, email, name").fetchall()
            if (address := usable_address(row["email"]))
        ]
        owners = cursor.execute(
            "select coalesce(owner_email, '') as owner_email, min(owner_name) as owner_name"
            " from marts.fct_customer_levels where run_id = %s and warning_level is not null"
            " group by coalesce(owner_email, '')"
            " union all select distinct recipient, null from ops.told where audience = %s"
            " order by owner_email, owner_name",
            (run.run_id, OWNER),
        ).fetchall()
    reached = [(row["owner_email"], address) for row in owners for address in _reached_by(row["owner_email"], lines)]
    names = {usable_address(row["owner_email"]): plain(row["owner_name"]) for row in owners if row["owner_name"]}
    readers = {
        reader.key: reader
        for reader in (
            *_owners(run, lines, dict.fromkeys(address for _, address in reached), names, language),
            *_of_lines(run, lines),
        )
    }
    policies = {
        (audience, recipient): policy_hash
        for audience, recipient, policy_hash in connection.execute(
            "select distinct on (outbox.audience, outbox.recipient) outbox.audience, outbox.recipient, run.policy_hash"
            " from ops.outbox join ops.run using (run_id) where outbox.channel = 'mail'"
            " order by outbox.audience, outbox.recipient, outbox.as_of_at desc"
        )
    }
    everybody = [replace(reader, told_policy_hash=policies.get(key)) for key, reader in readers.items()]
    return Readers(everybody, [*dict.fromkeys(reached)])


def _reached_by(owner_email: str, lines: Sequence[Mapping[str, Any]]) -> list[str]:
    address = usable_address(owner_email)
    if address:
        return [address]
    fallback = [line["address"] for line in lines if line["role"] == "fallback_owner"]
    return fallback or [line["address"] for line in lines if line["role"] == "operators"]


def _owners(
    run: Run,
    lines: Sequence[Mapping[str, Any]],
    addresses: Iterable[str],
    names: Mapping[str | None, str],
    language: str,
) -> Iterator[Reader]:
    """One reader an address; how often it is written to says its line as owner, its name and language any line."""
    for address in addresses:
        own = [line for line in lines if line["address"] == address]
        as_owner = next((line for line in own if line["role"] in ("owner", "fallback_owner")), {})
        line = {**(own[0] if own else {}), "frequency": "", "chat": "", **as_owner}
        name = plain(line.get("name")) or names.get(address, "")
        yield from _reader(run, OWNER, "", {"language": language, "time_zone": "", **line, "name": name}, address)


def _of_lines(run: Run, lines: Sequence[Mapping[str, Any]]) -> Iterator[Reader]:
    for line in lines:
        if line["role"] == "head":
            yield from _reader(run, f"head:{line['department']}", line["department"], line, line["address"])
        elif line["role"] in (MANAGEMENT, ANALYSIS):
            yield from _reader(run, line["role"], "", line, line["address"])


def _reader(run: Run, audience: str, department: str, line: Mapping[str, Any], address: str) -> Iterator[Reader]:
    frequency = line["frequency"] or _FREQUENCIES.get(audience, "each_run")
    if frequency == "never":
        return
    zone = ZoneInfo(line["time_zone"] or run.time_zone)
    yield Reader(
        audience=audience,
        department=department,
        recipient=address,
        name=plain(line["name"]),
        language=words_for(line["language"]).language,
        time_zone=zone,
        is_due=is_due(frequency, zone, run.as_of_at, run.told_before_at),
        chat=line["chat"],
    )


def is_due(frequency: str, zone: ZoneInfo, as_of_at: datetime, told_before_at: datetime | None) -> bool:
    """Whether a digest belongs to this run: since the last one told a day, or the weekday, has begun in that zone.

    A weekly digest whose day had no run comes with the next; so does the first one of all.
    """
    if told_before_at is None or frequency == "each_run":
        return True
    today = as_of_at.astimezone(zone).date()
    days_since = 0
    if frequency.startswith("weekly_"):
        days_since = (today.weekday() - WEEKDAYS.index(frequency.removeprefix("weekly_"))) % 7
    begun = datetime.combine(today - timedelta(days=days_since), time(), zone)
    return told_before_at < begun

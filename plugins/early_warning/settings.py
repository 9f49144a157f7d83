"""What the adopter says: the company folder and the home, read once and checked all at once.

Everything wrong is collected and raised together as one ConfigurationError, so that a person mends it in one go.
"""

from __future__ import annotations

import csv
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, ValidationError, model_validator

from early_warning.contract import DATA_SETS
from early_warning.problems import ConfigurationError, Problem

# The checkout: dags/, dbt_project/, expectations/ and company/ lie beside plugins/.
PROJECT = Path(__file__).resolve().parents[2]

ColumnType = Literal["text", "integer", "numeric", "date", "timestamp", "boolean"]
Language = Literal["zh-CN", "zh-TW", "en"]
DEPARTMENTS = ("sales", "service", "product", "finance", "analysis", "management", "internal_audit")
ROLES = ("owner", "fallback_owner", "head", "operators", "analysis", "management", "internal_audit")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FREQUENCIES = ("each_run", "daily", *(f"weekly_{day}" for day in WEEKDAYS), "never")
Model = TypeVar("Model", bound=BaseModel)
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def _known_time_zone(name: str) -> str:
    if not _is_time_zone(name):
        raise ValueError(f"unknown time zone {name!r}; use an IANA name such as Asia/Shanghai")
    return name


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return False
    return True


def _secure_url(url: str) -> str:
    if not re.fullmatch(r"(https://|http://(127\.0\.0\.1|localhost)(:\d+)?(/|$))[^\s#]*", url):
        raise ValueError(f"{url!r} is no address of a desk; write it as https://desk.example.com/record")
    return url


TimeZone = Annotated[str, AfterValidator(_known_time_zone)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Table(_Strict):
    """One table that a source's mapping SELECTs may read: files below the source's path, and the columns used."""

    files: str
    file_date: str | None = None
    format: Literal["csv", "parquet", "xlsx"] = "csv"
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    sheet: str | None = None
    columns: dict[str, ColumnType] = Field(min_length=1)


class Delivery(_Strict):
    """How one data set is delivered: whole states (snapshot) or new rows and new versions (append), and its limits."""

    mode: Literal["snapshot", "append"]
    freshness_days: int | None = Field(default=None, ge=0)
    max_quarantine_share: float = Field(default=0.02, ge=0, le=1)


class DatabaseDelivery(Delivery):
    """How one data set is read from a database.

    An append data set is read whole once, later only where `cursor`, a column of the contract, is not older than the
    newest value read less `overlap_hours`. `reconcile`: how often its keys are compared to find deleted records.
    """

    cursor: str | None = None
    overlap_hours: int = Field(default=1, ge=0)
    reconcile: Literal["daily", "weekly", "never"] = "daily"

    @model_validator(mode="after")
    def _check_cursor(self) -> Self:
        if self.mode == "append" and self.cursor is None:
            raise ValueError("append needs cursor:, the column that tells when a record changed, such as updated_at")
        only_append = {"cursor", "overlap_hours", "reconcile", "freshness_days"} & self.model_fields_set
        if self.mode == "snapshot" and only_append:
            raise ValueError(f"{', '.join(sorted(only_append))} have no effect: a snapshot is read whole every time")
        return self


class FileSource(_Strict):
    """A source.yml of kind files."""

    kind: Literal["files"]
    path: str
    time_zone: TimeZone | None = None
    tables: dict[str, Table] = Field(min_length=1)
    data_sets: dict[str, Delivery] = Field(min_length=1)


class DatabaseSource(_Strict):
    """A source.yml of kind postgres. `connection` is the id of an Airflow connection."""

    kind: Literal["postgres"]
    connection: str = Field(pattern=r"^\w+$")
    time_zone: TimeZone | None = None
    timeout_seconds: int = Field(default=1800, ge=1)
    data_sets: dict[str, DatabaseDelivery] = Field(min_length=1)


class _SourceFile(RootModel[Annotated[FileSource | DatabaseSource, Field(discriminator="kind")]]):
    """A source.yml; its kind says which."""


class SimulationPlan(_Strict):
    """The demo company's calendar and size; a real company has none."""

    seed: int = 7
    customers: int = Field(default=2000, ge=50)
    starts_on: date = date(2023, 7, 1)
    months: int = Field(default=36, ge=18)


class Retention(_Strict):
    """What upkeep leaves, counted back from the newest day that was judged.

    `daily_days`: every published day. `month_end_months`: before that, the last published day of each month.
    `detail_days`: what only explains how a day came about (docs/operations.md lists it).
    """

    daily_days: int = Field(default=400, ge=31, le=36_500)
    month_end_months: int = Field(default=36, ge=0, le=1_200)
    detail_days: int = Field(default=90, ge=7, le=36_500)


class _CompanyFile(_Strict):
    name: str
    time_zone: TimeZone
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    language: Language
    schedule: str = "0 6 * * *"
    desk_url: Annotated[str, AfterValidator(_secure_url)] | None = None
    retention: Retention = Retention()
    simulation: SimulationPlan | None = None


@dataclass(frozen=True)
class Source:
    """A source folder: its name, its checked source.yml and the mapping SELECT of each data set.

    `path` is where a file source's files lie; a database has none.
    """

    name: str
    config: FileSource | DatabaseSource
    path: Path | None
    time_zone: ZoneInfo
    mappings: dict[str, str]


@dataclass(frozen=True)
class Recipient:
    """A line of recipients.csv. `department` is that of a head, else empty.

    What may be left out: `frequency`, how often digests come (with each run, but once a week on Monday to management
    and internal audit, once a day to analysis and operators); `time_zone`, in which days and weekdays are meant (the
    company's); `chat`, the name of a chat that gets the same news in short.
    """

    role: str
    department: str
    name: str
    email: str
    language: str
    frequency: str = ""
    time_zone: str = ""
    chat: str = ""


@dataclass(frozen=True)
class Mute:
    """A line of mutes.csv: nobody is mailed about this customer from one day to another, both included."""

    customer_id: str
    muted_on: date
    muted_until: date
    reason: str
    muted_by: str


@dataclass(frozen=True)
class Company:
    """A checked company folder."""

    folder: Path
    name: str
    time_zone: ZoneInfo
    currency: str
    language: str
    schedule: str
    retention: Retention
    simulation: SimulationPlan | None
    sources: tuple[Source, ...]
    recipients: tuple[Recipient, ...]
    mutes: tuple[Mute, ...] = ()
    desk_url: str | None = None

    @property
    def policy_folder(self) -> Path:
        """Where the policy CSVs lie."""
        return self.folder / "policy"


def home() -> Path:
    """Where this installation keeps its state: $EARLY_WARNING_HOME, or .early_warning/ in the current folder."""
    return Path(os.environ.get("EARLY_WARNING_HOME") or ".early_warning").resolve()


def company_folder() -> Path:
    """The company this process works for: $EARLY_WARNING_COMPANY, or the checkout's company/."""
    return Path(os.environ.get("EARLY_WARNING_COMPANY") or PROJECT / "company")


def typed(*words: str, company: Path | None = None) -> str:
    """A command line for people to paste where this one was typed: the same program, home and company folder."""
    program = sys.argv[0] if Path(sys.argv[0]).name == "early-warning" else "early-warning"
    state = [] if home() == Path(".early_warning").resolve() else [f"EARLY_WARNING_HOME={shlex.quote(str(home()))}"]
    chosen = [] if company in (None, PROJECT / "company") else ["--company", str(company)]
    return " ".join([*state, shlex.quote(program), *map(_quoted, (*words, *chosen))])


def _quoted(word: str) -> str:
    """Quote for a shell, SQL with its single quotes between double ones."""
    return f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word)


@dataclass(frozen=True)
class Calendar:
    """When a company's day is judged: a cron expression in its time zone."""

    schedule: str
    time_zone: ZoneInfo


def company_calendar(folder: Path) -> Calendar:
    """The calendar of a company, read without checking anything else; cheap enough for a DAG file."""
    content = yaml.safe_load((folder / "company.yml").read_text(encoding="utf-8"))
    return Calendar(content.get("schedule", "0 6 * * *"), ZoneInfo(content["time_zone"]))


def source_names(folder: Path) -> tuple[str, ...]:
    """Names of a company's source folders, sorted; cheap enough for a DAG file."""
    return tuple(sorted(path.parent.name for path in folder.glob("sources/*/source.yml")))


def load_company(folder: Path) -> Company:
    """Read and check a company folder (the policy CSVs are the policy room's).

    Raises:
        ConfigurationError: with everything that is wrong.
    """
    folder = folder.resolve()
    problems: list[Problem] = []
    company = _parse(_CompanyFile, folder / "company.yml", folder, problems)
    zone = company.time_zone if company else "UTC"
    sources = _load_sources(folder, zone, problems)
    recipients = _load_recipients(folder / "recipients.csv", problems)
    mutes = _load_mutes(folder / "mutes.csv", problems)
    if problems or company is None:
        raise ConfigurationError(problems)
    return Company(
        folder=folder,
        name=company.name,
        time_zone=ZoneInfo(company.time_zone),
        currency=company.currency,
        language=company.language,
        schedule=company.schedule,
        retention=company.retention,
        simulation=company.simulation,
        sources=sources,
        recipients=recipients,
        mutes=mutes,
        desk_url=company.desk_url,
    )


def _parse(model: type[Model], path: Path, folder: Path, problems: list[Problem]) -> Model | None:
    """Read one YAML file into its model; what is wrong becomes problems that name file and key."""
    file = str(path.relative_to(folder))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return model.model_validate(content)
    except FileNotFoundError:
        problems.append(Problem("the file is missing", "create it, see docs/architecture.md", file=file))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problems.append(Problem(f"not readable as YAML: {error}", "mend the file", file=file))
    except ValidationError as error:
        for detail in error.errors():
            path_to_key = detail["loc"][1:] if issubclass(model, RootModel) else detail["loc"]  # its kind comes first
            key = ".".join(str(part) for part in path_to_key) or "the whole file"
            problems.append(Problem(f"{key}: {detail['msg']}", "see docs/architecture.md", file=file))
    return None


def _load_sources(folder: Path, zone: str, problems: list[Problem]) -> tuple[Source, ...]:
    sources = []
    delivered_by: dict[str, str] = {}
    for path in sorted(folder.glob("sources/*/source.yml")):
        name, file = path.parent.name, str(path.relative_to(folder))
        if not _NAME.fullmatch(name):
            problems.append(
                Problem(f"{name!r} is no usable source name", "use a-z, 0-9 and _ for the folder", file=file)
            )
        parsed = _parse(_SourceFile, path, folder, problems)
        if parsed is None:
            continue
        config = parsed.root
        mappings = {sql.stem: sql.read_text(encoding="utf-8") for sql in sorted(path.parent.glob("*.sql"))}
        problems += _mapping_problems(name, file, config, mappings)
        problems += _cursor_problems(name, file, config)
        for data_set in config.data_sets:
            if data_set in delivered_by:
                problems.append(
                    Problem(
                        f"{data_set} is delivered by source {delivered_by[data_set]} too",
                        "let one source deliver a data set",
                        file=file,
                    )
                )
            delivered_by[data_set] = name
        base = None
        if isinstance(config, FileSource):
            base, path_problem = _resolve(config.path, folder, file)
            problems += [path_problem] if path_problem else []
        sources.append(Source(name, config, base, ZoneInfo(config.time_zone or zone), mappings))
    if not any("sales.customers" in source.config.data_sets for source in sources):
        problems.append(
            Problem(
                "no source delivers sales.customers",
                "add it to a sources/<source>/source.yml: every other data set refers to it",
                file="sources/",
            )
        )
    return tuple(sources)


def _mapping_problems(
    source: str, file: str, config: FileSource | DatabaseSource, mappings: dict[str, str]
) -> list[Problem]:
    known = ", ".join(sorted(DATA_SETS))
    problems = [
        Problem(f"unknown data set {name}", f"use one of {known}", source=source, file=file)
        for name in config.data_sets
        if name not in DATA_SETS
    ]
    problems += [
        Problem(f"{name} has no mapping", f"write {name}.sql beside source.yml", source=source, file=file)
        for name in config.data_sets
        if name in DATA_SETS and name not in mappings
    ]
    problems += [
        Problem(f"{name}.sql is not listed", "list the data set under data_sets", source=source, file=file)
        for name in mappings
        if name not in config.data_sets
    ]
    return problems


def _cursor_problems(source: str, file: str, config: FileSource | DatabaseSource) -> Iterator[Problem]:
    """Tell cursors that are no moment of the contract."""
    for name, delivery in config.data_sets.items():
        if name in DATA_SETS and isinstance(delivery, DatabaseDelivery) and delivery.cursor is not None:
            moments = [item.name for item in DATA_SETS[name].columns if item.sql_type in ("date", "timestamptz")]
            if delivery.cursor not in moments:
                yield Problem(
                    f"the cursor of {name} is {delivery.cursor!r}, which is no date or timestamp of the contract",
                    f"use one of {', '.join(moments)}",
                    source=source,
                    file=file,
                )


def _resolve(path: str, folder: Path, file: str) -> tuple[Path, Problem | None]:
    """Fill in ${NAME} and ${NAME:-default} from the environment; a relative path starts at the company folder."""
    missing: list[str] = []

    def value(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        found = os.environ.get(name) or (str(home()) if name == "EARLY_WARNING_HOME" else default)
        if found is None:
            missing.append(name)
        return found or ""

    filled = re.sub(r"\$\{(?P<name>\w+)(:-(?P<default>[^}]*))?\}", value, path)
    problem = None
    if missing:
        problem = Problem(f"path: {missing[0]} is not set", f"export {missing[0]}", file=file)
    return (folder / filled).resolve(), problem


def _load_recipients(path: Path, problems: list[Problem]) -> tuple[Recipient, ...]:
    recipients = []
    columns = tuple(field.name for field in fields(Recipient))
    for number, row in _rows(path, columns, problems, optional=("frequency", "time_zone", "chat")):
        problems += _recipient_problems(row, path.name, number)
        recipients.append(Recipient(**row))
    return tuple(recipients)


def _load_mutes(path: Path, problems: list[Problem]) -> tuple[Mute, ...]:
    """Mutes, if the company keeps any."""
    if not path.exists():
        return ()
    mutes = []
    seen: dict[tuple[str, date], int] = {}
    for number, row in _rows(path, tuple(field.name for field in fields(Mute)), problems):
        days = {name: _day(row[name]) for name in ("muted_on", "muted_until")}
        wrong = [
            Problem(message, remedy, file=path.name, row=number, column=column)
            for column, message, remedy in _mute_problems(row, days)
        ]
        muted_on, muted_until = days["muted_on"], days["muted_until"]
        if muted_on and muted_until and not wrong:
            if (first := seen.setdefault((row["customer_id"], muted_on), number)) != number:
                message = f"repeats row {first}"
                wrong = [Problem(message, "keep one of the two", file=path.name, row=number, column="muted_on")]
            mutes.append(Mute(row["customer_id"], muted_on, muted_until, row["reason"], row["muted_by"]))
        problems += wrong
    return tuple(mutes)


def _mute_problems(row: dict[str, str], days: dict[str, date | None]) -> Iterator[tuple[str, str, str]]:
    """Column, message and remedy: a mute says for whom, until when, why and who decided it."""
    for column in ("customer_id", "reason", "muted_by"):
        if not row[column]:
            yield column, "is empty", "write it"
    for column, day in days.items():
        if day is None:
            yield column, f"{row[column]!r} is no date", "write it as 2026-06-30"
    if days["muted_on"] and days["muted_until"] and days["muted_until"] < days["muted_on"]:
        yield "muted_until", f"{row['muted_until']} lies before {row['muted_on']}", "write the last day of the mute"


def _day(cell: str) -> date | None:
    try:
        return date.fromisoformat(cell)
    except ValueError:
        return None


def _rows(
    path: Path, columns: tuple[str, ...], problems: list[Problem], optional: tuple[str, ...] = ()
) -> list[tuple[int, dict[str, str]]]:
    """Numbered lines of a CSV with exactly these columns, the optional ones or not; none if it can't be read so."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            header, rows = tuple(reader.fieldnames or ()), list(reader)
    except (FileNotFoundError, UnicodeDecodeError) as error:
        problems.append(Problem(f"not readable: {error}", "write it as UTF-8 CSV", file=path.name))
        return []
    if header != tuple(name for name in columns if name in header or name not in optional):
        message, remedy = f"columns are {', '.join(header)}", f"make them {', '.join(columns)}"
        remedy += f" ({', '.join(optional)} may be left out)" if optional else ""
        problems.append(Problem(message, remedy, file=path.name, row=1))
        return []
    return [(number, {name: (row[name] or "").strip() for name in header}) for number, row in enumerate(rows, start=2)]


def _recipient_problems(row: dict[str, Any], file: str, number: int) -> list[Problem]:
    def wrong(column: str, remedy: str) -> Problem:
        return Problem(f"{row[column]!r} is not valid", remedy, file=file, row=number, column=column)

    problems = []
    if row["role"] not in ROLES:
        problems.append(wrong("role", f"use one of {', '.join(ROLES)}"))
    if row["role"] == "head" and row["department"] not in DEPARTMENTS:
        problems.append(wrong("department", f"use one of {', '.join(DEPARTMENTS)}"))
    if not is_email(row["email"] or ""):
        problems.append(wrong("email", "write one address such as name@example.com"))
    if row["language"] not in ("zh-CN", "zh-TW", "en"):
        problems.append(wrong("language", "use zh-CN, zh-TW or en"))
    if row.get("frequency") and row["frequency"] not in FREQUENCIES:
        problems.append(wrong("frequency", f"use one of {', '.join(FREQUENCIES)}, or nothing for the role's own"))
    if row.get("time_zone") and not _is_time_zone(row["time_zone"]):
        problems.append(wrong("time_zone", "use an IANA name such as Asia/Taipei, or nothing for the company's"))
    if row.get("chat") and not _NAME.fullmatch(row["chat"]):
        problems.append(wrong("chat", "name it with a-z, 0-9 and _; its address stays out of this file"))
    return problems


def is_email(address: str) -> bool:
    """Whether the text is one plain e-mail address that can stand in a header as it is."""
    return bool(_EMAIL.fullmatch(address))

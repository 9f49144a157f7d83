"""Composing: a published run becomes letters in the outbox, all of them or none, once a cut-off."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

from psycopg.rows import dict_row

from early_warning.digest.outbox import Letter, mail_key, post, write_letter
from early_warning.digest.render import render
from early_warning.digest.select import Digest, Run, select_digests
from early_warning.digest.words import words_for
from early_warning.smtp import DEFAULT_FROM
from early_warning.warehouse import Connection, Warehouse


def compose(warehouse: Warehouse, run_id: int, *, from_address: str = DEFAULT_FROM) -> int:
    """Write the digests of a published run into the outbox and note that it is composed; returns how many are new.

    Nothing is new for a run that is composed already, for another run of a cut-off that is, and for a back-fill.

    Raises:
        ValueError: there is no such run, or it is not published.
    """
    with warehouse.connect() as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext('early_warning.compose'))")
        run = _untold_run(connection, run_id)
        digests = select_digests(connection, run) if run else ()
        composed = sum(
            post(connection, _letter(digest, from_address), run_id=run_id, audience=digest.audience)
            for digest in digests
        )
        connection.execute(
            "update ops.run set composed_at = now() where run_id = %s and composed_at is null", (run_id,)
        )
    return composed


def _untold_run(connection: Connection, run_id: int) -> Run | None:
    """Read the run if it has anything to tell that no run has told yet."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "select run.*,"
            " exists (select from ops.run as other where other.as_of_at = run.as_of_at"
            "   and other.composed_at is not null) as is_told,"
            " exists (select from ops.run as other where other.as_of_date = run.as_of_date"
            "   and other.as_of_at < run.as_of_at and other.composed_at is not null"
            "   and not other.is_backfill) as is_update"
            " from ops.run as run where run.run_id = %s",
            (run_id,),
        ).fetchone()
    if row is None or row["state"] != "published" or row["published_at"] is None:
        raise ValueError(f"run {run_id} is not published")
    if row["is_backfill"] or row["is_told"]:
        return None
    return Run(
        run_id=row["run_id"],
        as_of_date=row["as_of_date"],
        as_of_at=row["as_of_at"],
        time_zone=row["company_time_zone"],
        policy_hash=row["policy_hash"],
        published_at=row["published_at"],
        is_update=row["is_update"],
    )


def _letter(digest: Digest, from_address: str) -> Letter:
    rendered = render(digest)
    return write_letter(
        mail_key(digest.run.as_of_at.astimezone(UTC).isoformat(), digest.audience, digest.recipient),
        sender=words_for(digest.language).sender,
        from_address=from_address,
        reader=digest.reader,
        recipient=digest.recipient,
        written_at=digest.run.published_at.astimezone(ZoneInfo(digest.run.time_zone)),
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
    )

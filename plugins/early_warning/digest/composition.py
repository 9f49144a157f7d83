"""Composing: a published run becomes letters in the outbox, all of them or none, once a cut-off."""

from __future__ import annotations

from datetime import UTC

from psycopg.rows import dict_row

from early_warning.digest.news import note_told
from early_warning.digest.outbox import Letter, mail_key, post, post_chat, write_letter
from early_warning.digest.readers import Run, usable_address
from early_warning.digest.render import render, render_short
from early_warning.digest.reports import post_reports
from early_warning.digest.select import Digest, select_digests
from early_warning.digest.words import words_for
from early_warning.smtp import DEFAULT_FROM
from early_warning.warehouse import Connection, Warehouse


def compose(warehouse: Warehouse, run_id: int, *, from_address: str = DEFAULT_FROM) -> int:
    """Write a published run's digests and reports into the outbox, note that it is composed; returns how many are new.

    Nothing is new for a run that is composed already, for another run of a cut-off that is, for one whose mails come
    later than those of a later cut-off, and for a back-fill.

    Raises:
        ValueError: there is no such run, or it is not published.
    """
    with warehouse.connect() as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext('early_warning.compose'))")
        run = _untold_run(connection, run_id)
        composed = 0
        if run:
            operators = _operators(connection)
            for digest in select_digests(connection, run):
                letter = _letter(digest, from_address, operators)
                composed += post(connection, letter, run_id=run_id, audience=_audience(digest))
                _tell_chat(connection, digest, run_id)
            note_told(connection, run_id)
            composed += post_reports(connection, run, from_address, operators)
        connection.execute(
            "update ops.run set composed_at = now() where run_id = %s and composed_at is null", (run_id,)
        )
    return composed


def _untold_run(connection: Connection, run_id: int) -> Run | None:
    """Read the run if it has anything to tell that no run has told yet."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "select run.*,"
            " exists (select from ops.run as other where other.composed_at is not null"
            "   and (other.as_of_at = run.as_of_at or other.as_of_at > run.as_of_at and not other.is_backfill)"
            " ) as is_told,"
            " exists (select from ops.run as other where other.as_of_date = run.as_of_date"
            "   and other.as_of_at < run.as_of_at and other.composed_at is not null"
            "   and not other.is_backfill) as is_update,"
            " (select max(other.as_of_at) from ops.run as other where other.as_of_at < run.as_of_at"
            "   and other.composed_at is not null and not other.is_backfill) as told_before_at"
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
        told_before_at=row["told_before_at"],
    )


def _audience(digest: Digest) -> str:
    """What urgent mail is kept as, since it does not stand for the digest that is due later."""
    return f"urgent:{digest.reader.audience}" if digest.is_urgent else digest.reader.audience


def _tell_chat(connection: Connection, digest: Digest, run_id: int) -> None:
    """Put the same news in short into the outbox, where the reader has a chat."""
    if digest.reader.chat:
        title, text = render_short(digest)
        key = _key(digest, f"chat {digest.reader.chat}\n{text}")  # readers who share a chat have news of their own
        chat, audience = digest.reader.chat, _audience(digest)
        post_chat(connection, key, run_id=run_id, audience=audience, chat=chat, title=title, text=text)


def _key(digest: Digest, recipient: str) -> str:
    return mail_key(digest.run.as_of_at.astimezone(UTC).isoformat(), _audience(digest), recipient)


def _operators(connection: Connection) -> str | None:
    """Give the address to which a reader writes who wants another mail or none: recipients.csv is the operators'."""
    lines = connection.execute("select email from ops.recipient where role = 'operators' order by email").fetchall()
    return next((address for (email,) in lines if (address := usable_address(email))), None)


def _letter(digest: Digest, from_address: str, unsubscribe: str | None) -> Letter:
    rendered, reader = render(digest), digest.reader
    return write_letter(
        _key(digest, reader.recipient),
        sender=words_for(reader.language).sender,
        from_address=from_address,
        reader=reader.name,
        recipient=reader.recipient,
        written_at=digest.run.published_at.astimezone(reader.time_zone),
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        images=rendered.images,
        attachments=rendered.attachments,
        unsubscribe=unsubscribe,
    )

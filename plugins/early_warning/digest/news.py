"""What is news to whom: a published run held against what each reader was told last. The set work is the database's."""

from __future__ import annotations

from importlib.resources import files

from early_warning.digest.readers import Readers
from early_warning.warehouse import Connection

_NEWS = files(__package__).joinpath("news.sql").read_bytes()


def find_news(connection: Connection, run_id: int, readers: Readers) -> None:
    """Fill ops.news: one row a reader and customer that the run, or what the reader was told, knows of."""
    everybody = readers.everybody
    connection.execute("truncate ops.news")
    # Who is no reader any more forgets; who comes back is told the whole list.
    connection.execute(
        "delete from ops.told where not exists ("
        " select from unnest(%s::text[], %s::text[]) as reader (audience, recipient)"
        " where told.audience = reader.audience and told.recipient = reader.recipient)",
        ([reader.audience for reader in everybody], [reader.recipient for reader in everybody]),
    )
    connection.execute(
        _NEWS,
        {
            "run_id": run_id,
            "audiences": [reader.audience for reader in everybody],
            "departments": [reader.department for reader in everybody],
            "recipients": [reader.recipient for reader in everybody],
            "are_due": [reader.is_due for reader in everybody],
            "owner_emails": [delivered for delivered, _ in readers.owners],
            "owner_recipients": [address for _, address in readers.owners],
        },
    )


def note_told(connection: Connection, run_id: int) -> None:
    """Keep that the news of ops.news has been told to its readers; who is gone is news but once."""
    connection.execute(
        "delete from ops.told using ops.news where told.customer_id = news.customer_id"
        " and told.audience = news.audience and told.recipient = news.recipient and news.is_news and news.is_gone"
    )
    connection.execute(
        "insert into ops.told"
        " (customer_id, audience, recipient, run_id, case_id, step, warning_level, reminder)"
        " select customer_id, audience, recipient, %s, case_id, step, warning_level, reminder"
        " from ops.news where is_news and not is_gone"
        " on conflict (customer_id, audience, recipient) do update set run_id = excluded.run_id,"
        " case_id = excluded.case_id, step = excluded.step, warning_level = excluded.warning_level,"
        " reminder = excluded.reminder",
        (run_id,),
    )

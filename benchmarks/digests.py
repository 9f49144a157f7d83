"""What digests cost: composing and sending them against plain smtplib that hands over the same bytes, and the memory.

    python -m benchmarks.digests

lets the demo company judge a day, gives copies of those it warns of to as many owners as are asked for, composes a
digest for each, and sends what the outbox owes: composer, sender and mail server each in a process of its own. Prints
one JSON object and writes the section `digests` of docs/benchmarks.md.
"""

from __future__ import annotations

import asyncio
import json
import os
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from benchmarks import report
from benchmarks.measure import entered_home, measured, run_json
from early_warning.digest import SmtpSettings, compose, send_owed
from early_warning.embedded.postgres import remove_postgres, running_postgres
from early_warning.settings import PROJECT
from early_warning.warehouse import Warehouse

OWNERS, FEW = 5_000, 500
_CUSTOMERS = 10  # of each owner hold a level
_PAGE = PROJECT / "docs" / "benchmarks.md"
_COMPOSE, _LEDGER, _PLAIN, _SERVER = "--compose", "--ledger", "--plain", "--server"
_MIB = 2**20
# Each copy of a warned customer belongs to the next owner.
_COPIES = """
with numbered as (
    select customer_id, row_number() over (order by customer_id) as place, count(*) over () as warned
    from marts.fct_customer_levels where warning_level is not null and customer_id not like '%%#%%'
),
copies as (
    select customer_id, customer_id || '#' || number as copy_id,
        'owner' || (number * warned + place) %% %(owners)s::bigint || '@example.com' as owner_email
    from numbered cross join generate_series(1, %(owners)s::bigint * %(customers)s / warned) as number
)
insert into {table} select {columns} from {table} as kept join copies on kept.customer_id = copies.customer_id
"""
_COPIED = (
    *("marts.dim_customers", "marts.fct_warning_cases", "marts.fct_customer_indicators", "marts.fct_warning_trends"),
    "marts.fct_customer_levels",
)


def main() -> None:
    """Measure and write the page's section."""
    with (
        tempfile.TemporaryDirectory(prefix="early-warning-bench-") as folder,
        entered_home(Path(folder) / "home") as home,
    ):
        try:
            early_warning = str(Path(sys.executable).with_name("early-warning"))
            subprocess.run([early_warning, "run"], check=True, stdout=sys.stderr)
            with running_postgres(home) as warehouse:
                figures = digests(warehouse)
        finally:
            remove_postgres(home)
    print(json.dumps({"figures": figures}, indent=1))
    text = report.section(figures, [], day=date.today(), machine=report.machine(), rows=report.DIGEST_ROWS)
    _PAGE.write_text(report.replaced(_PAGE.read_text(encoding="utf-8"), "digests", text), encoding="utf-8")


def digests(warehouse: Warehouse) -> dict[str, float]:
    """Compose and send digests to a few owners, then to many; the many's also plainly. Returns figures by name."""
    with mail_server() as port:
        share_out(warehouse, FEW)
        few = {name: _measured(warehouse, way, port) for name, way in (("compose", _COMPOSE), ("send", _LEDGER))}
        share_out(warehouse, OWNERS)
        ways = (("compose", _COMPOSE), ("plain", _PLAIN), ("send", _LEDGER))
        many = {name: _measured(warehouse, way, port) for name, way in ways}
    for name, owners, what in (("few", FEW, few), ("many", OWNERS, many)):
        if any(way["mails"] != owners for way in what.values()):
            raise RuntimeError(f"not every owner of {name} was mailed: {what}")
    [size] = warehouse.rows("select avg(length(mime)) as mean from ops.outbox")
    return {
        "digests.ratio": (many["compose"]["wall"] + many["send"]["wall"]) / many["plain"]["wall"],
        "digests.sending_ratio": many["send"]["wall"] / many["plain"]["wall"],
        **{f"digests.{name}_memory_ratio": many[name]["peak_mib"] / few[name]["peak_mib"] for name in few},
        "digests.mail_kib": float(size["mean"]) / 1024,
        "digests.compose_ms_a_mail": 1000 * many["compose"]["wall"] / OWNERS,
        **{
            f"digests.{kind}.{name}.{figure}": way[figure]
            for kind, ways_of_kind in (("few", few), ("many", many))
            for name, way in ways_of_kind.items()
            for figure in ("wall", "client", "database", "peak_mib")
        },
    }


def share_out(warehouse: Warehouse, owners: int) -> None:
    """Give so many owners customers that hold a level, copies of the demo company's, and nobody else any mail."""
    with warehouse.connect() as connection:
        connection.execute("truncate ops.outbox, ops.told")
        connection.execute("delete from ops.recipient")
        connection.execute("update ops.run set composed_at = null")
        for table in _COPIED:
            connection.execute(f"delete from {table} where customer_id like '%#%'".encode())
        connection.execute("update marts.fct_customer_levels set owner_email = null where warning_level is not null")
        for table in _COPIED:
            names = connection.execute(f"select * from {table} limit 0".encode()).description or ()
            columns = ", ".join(
                {"customer_id": "copies.copy_id", "owner_email": "copies.owner_email"}.get(name, f"kept.{name}")
                for name in (column.name for column in names)
            )
            copied = _COPIES.format(table=table, columns=columns).encode()
            connection.execute(copied, {"owners": owners, "customers": _CUSTOMERS})
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("analyze")


@contextmanager
def mail_server() -> Iterator[int]:
    """Run a mail server that takes everything and keeps nothing, in a process of its own; gives its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.digests", _SERVER], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def _measured(warehouse: Warehouse, way: str, port: int) -> dict[str, Any]:
    """Let a process of its own do it; time, its CPU and peak memory, and the database's CPU."""
    os.environ |= {"EARLY_WARNING_DSN": warehouse.dsn, "EARLY_WARNING_READER_DSN": warehouse.reader_dsn}
    with measured(warehouse) as cost:
        found = run_json("benchmarks.digests", way, str(port))
        time.sleep(0.2)  # until its backend has ended and is counted
    print(f"{way}: {found}", file=sys.stderr)
    return asdict(cost) | found


def _work(way: str, smtp: SmtpSettings) -> None:
    warehouse = Warehouse(os.environ["EARLY_WARNING_DSN"], os.environ["EARLY_WARNING_READER_DSN"])
    before, cpu = time.monotonic(), time.process_time()
    if way == _COMPOSE:
        [run] = warehouse.rows("select max(run_id) as run_id from ops.run")
        mails = compose(warehouse, run["run_id"])
    elif way == _LEDGER:
        mails = send_owed(warehouse, smtp).sent
    else:
        mails = _send_plainly(warehouse, smtp)
    wall, client = time.monotonic() - before, time.process_time() - cpu
    print(json.dumps({"mails": mails, "wall": wall, "client": client, "peak_mib": _peak() / _MIB}))


def _send_plainly(warehouse: Warehouse, smtp: SmtpSettings) -> int:
    """Hand every mail of the outbox over, read as they go."""
    sent = 0
    with (
        warehouse.connect() as connection,
        connection.cursor(name="mails") as mails,
        smtplib.SMTP(smtp.host, smtp.port) as server,
    ):
        for recipient, mime in mails.execute("select recipient, mime from ops.outbox"):
            server.sendmail(smtp.from_address, [recipient], mime)
            sent += 1
    return sent


def _peak() -> int:
    """Peak memory of this process since it began, in bytes. A child's `ru_maxrss` may be its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


class _TakesAll:
    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        return "250 OK"


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(_TakesAll(), hostname="localhost"), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            main()
        case [way] if way == _SERVER:
            asyncio.run(_serve())
        case [way, port]:
            _work(way, SmtpSettings("127.0.0.1", int(port)))

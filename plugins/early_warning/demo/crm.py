"""The CRM of the demo's sales department: a PostgreSQL database that holds what is true today and no history."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg import sql

from early_warning.settings import SimulationPlan
from early_warning.warehouse import Connection

_TABLES = """
create table if not exists 客户 (
    客户编号 text primary key,
    客户名称 text not null,
    客户分级 text,
    行业 text,
    地区 text,
    规模 text,
    建档日期 date,
    客户经理 text,
    客户经理邮箱 text,
    联系人 text,
    联系电话 text,
    联系邮箱 text
);
create table if not exists 订单 (
    订单号 text primary key,
    客户编号 text,
    下单时间 timestamp,
    金额 numeric(14, 2),
    承诺交期 timestamp,
    实际交付 timestamp,
    取消时间 timestamp,
    取消方 text,
    更新时间 timestamp not null
);
create index if not exists 订单_更新时间 on 订单 (更新时间);
create table if not exists 模拟进度 (plan jsonb not null, through date not null)
"""


@dataclass(frozen=True)
class CustomerDatabase:
    """The CRM; `reached` is the last day entered, if any."""

    connection: Connection
    plan: SimulationPlan
    reached: date | None

    @classmethod
    @contextmanager
    def open(cls, dsn: str, plan: SimulationPlan) -> Iterator[CustomerDatabase]:
        """Open the database, its tables made if missing; commits at the end.

        Raises:
            ValueError: it belongs to another plan.
        """
        with psycopg.connect(dsn) as connection:
            connection.execute(_TABLES)
            found = connection.execute("select plan, through from 模拟进度").fetchone()
            if found and found[0] != plan.model_dump(mode="json"):
                raise ValueError(f"the database holds the CRM of another plan ({found[0]}); use another one")
            yield cls(connection, plan, found[1] if found else None)

    def enter(self, through: date, *, customers: pa.Table, orders: pa.Table, damaged_orders: Sequence[str]) -> None:
        """Enter all customers of a day and the orders that came or changed since the last one, as they stand then."""
        self._upsert("客户", customers)
        self._upsert("订单", orders, damaged_orders)
        self.connection.execute("delete from 模拟进度")
        self.connection.execute(
            "insert into 模拟进度 values (%s, %s)", (json.dumps(self.plan.model_dump(mode="json")), through)
        )

    def _upsert(self, name: str, rows: pa.Table, extra_lines: Sequence[str] = ()) -> None:
        """Insert rows, or replace those of the same key, the table's first column. `extra_lines` are CSV."""
        buffer = io.BytesIO()
        pa_csv.write_csv(rows, buffer, pa_csv.WriteOptions(include_header=False, quoting_style="needed"))
        buffer.write("".join(f"{line}\n" for line in extra_lines).encode())
        key, *others = map(sql.Identifier, rows.column_names)
        names = {"table": sql.Identifier(name), "key": key}
        self.connection.execute(
            sql.SQL("create temporary table incoming (like {table}) on commit drop").format(**names)
        )
        with self.connection.cursor().copy("copy incoming from stdin (format csv)") as copy:
            copy.write(buffer.getbuffer())
        replaced = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(column) for column in others)
        self.connection.execute(
            sql.SQL("insert into {table} select * from incoming on conflict ({key}) do update set {replaced}").format(
                **names, replaced=replaced
            )
        )
        self.connection.execute("drop table incoming")

"""The CRM of the demo's sales department: a PostgreSQL database that holds what is true today and no history."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg import sql

from early_warning.demo.timeline import made_from
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
create table if not exists 产品 (
    产品编号 text primary key,
    品名 text not null,
    品类 text
);
create table if not exists 订单明细 (
    订单号 text,
    行号 integer,
    产品编号 text,
    数量 numeric(14, 2),
    金额 numeric(14, 2),
    录入时间 timestamp not null,
    primary key (订单号, 行号)
);
create index if not exists 订单明细_录入时间 on 订单明细 (录入时间);
create table if not exists 退货 (
    退货单号 text primary key,
    订单号 text,
    客户编号 text,
    产品编号 text,
    退货时间 timestamp,
    金额 numeric(14, 2),
    原因 text,
    更新时间 timestamp not null
);
create index if not exists 退货_更新时间 on 退货 (更新时间);
create table if not exists 互动 (
    互动编号 text primary key,
    客户编号 text,
    时间 timestamp,
    渠道 text,
    纪要 text,
    登记时间 timestamp not null
);
create index if not exists 互动_登记时间 on 互动 (登记时间);
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
            if found and found[0] != made_from(plan):
                raise ValueError(f"the database holds the CRM of another plan or edition ({found[0]}); use another one")
            yield cls(connection, plan, found[1] if found else None)

    def enter(self, through: date, rows: Mapping[str, pa.Table], damaged: Mapping[str, Sequence[str]]) -> None:
        """Enter by table what came or changed since the last day, as it stands then; `damaged` are lines of CSV."""
        for name, table in rows.items():
            self._upsert(name, table, damaged.get(name, ()))
        self.connection.execute("delete from 模拟进度")
        self.connection.execute("insert into 模拟进度 values (%s, %s)", (json.dumps(made_from(self.plan)), through))

    def _upsert(self, name: str, rows: pa.Table, extra_lines: Sequence[str] = ()) -> None:
        """Insert rows, or replace those of the same key. `extra_lines` are CSV."""
        buffer = io.BytesIO()
        pa_csv.write_csv(rows, buffer, pa_csv.WriteOptions(include_header=False, quoting_style="needed"))
        buffer.write("".join(f"{line}\n" for line in extra_lines).encode())
        names = {"table": sql.Identifier(name), "key": sql.Identifier(f"{name}_pkey")}
        self.connection.execute(
            sql.SQL("create temporary table incoming (like {table}) on commit drop").format(**names)
        )
        with self.connection.cursor().copy("copy incoming from stdin (format csv)") as copy:
            copy.write(buffer.getbuffer())
        columns = map(sql.Identifier, rows.column_names)
        replaced = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(column) for column in columns)
        self.connection.execute(
            sql.SQL(
                "insert into {table} select * from incoming on conflict on constraint {key} do update set {replaced}"
            ).format(**names, replaced=replaced)
        )
        self.connection.execute("drop table incoming")

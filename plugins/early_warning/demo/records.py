"""What a record looks like in the system of its department: its columns, its codes, its way to write times.

Each function takes rows of the world's table of its name, with `number`, their place in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from early_warning.demo.contacts import CHANNELS
from early_warning.demo.finance import GUARANTEES
from early_warning.demo.market import COMPETITORS, EFFECTS
from early_warning.demo.products import REASONS
from early_warning.demo.service import CATEGORIES, KINDS, SENTIMENTS
from early_warning.demo.timeline import Table, Times


def customers(rows: Table) -> pa.Table:
    """The CRM's customers."""
    return pa.table(
        {
            "客户编号": _code("C", rows["number"]),
            "客户名称": rows["name"],
            "客户分级": rows["segment"],
            "行业": rows["industry"],
            "地区": rows["region"],
            "规模": rows["size"],
            "建档日期": _days(rows["since"]),
            "客户经理": rows["owner_name"],
            "客户经理邮箱": rows["owner_email"],
            "联系人": rows["contact_name"],
            "联系电话": rows["contact_phone"],
            "联系邮箱": rows["contact_email"],
        }
    )


def orders(rows: Table) -> pa.Table:
    """The CRM's orders."""
    by_whom = np.where(rows["is_cancelled_by_us"], "我方", "客户")
    return pa.table(
        {
            "订单号": _code("SO", rows["number"], 8),
            "客户编号": _code("C", rows["customer"]),
            "下单时间": _local(rows["ordered_at"]),
            "金额": rows["cents"] / 100,
            "承诺交期": _local(rows["promised_at"]),
            "实际交付": _local(rows["fulfilled_at"]),
            "取消时间": _local(rows["cancelled_at"]),
            "取消方": pa.array(by_whom, mask=np.isnat(rows["cancelled_at"])),
            "更新时间": _local(rows["updated_at"]),
        }
    )


def products(rows: Table) -> pa.Table:
    """The CRM's catalogue."""
    return pa.table({"产品编号": _product(rows["number"]), "品名": rows["name"], "品类": rows["category"]})


def lines(rows: Table) -> pa.Table:
    """The lines of the CRM's orders; whose they are the order says."""
    return pa.table(
        {
            "订单号": _code("SO", rows["order"], 8),
            "行号": rows["line"],
            "产品编号": _product(rows["product"]),
            "数量": rows["quantity"],
            "金额": rows["cents"] / 100,
            "录入时间": _local(rows["updated_at"]),
        }
    )


def returns(rows: Table) -> pa.Table:
    """The CRM's returns."""
    return pa.table(
        {
            "退货单号": _code("TH", rows["number"], 7),
            "订单号": _code("SO", rows["order"], 8),
            "客户编号": _code("C", rows["customer"]),
            "产品编号": _product(rows["product"]),
            "退货时间": _local(rows["returned_at"]),
            "金额": rows["cents"] / 100,
            "原因": np.array(REASONS)[rows["reason"]],
            "更新时间": _local(rows["updated_at"]),
        }
    )


def interactions(rows: Table) -> pa.Table:
    """The CRM's contacts; visits of the ordering portal are among them."""
    return pa.table(
        {
            "互动编号": _code("HD", rows["number"], 8),
            "客户编号": _code("C", rows["customer"]),
            "时间": _local(rows["occurred_at"]),
            "渠道": np.array(CHANNELS)[rows["channel"]],
            "纪要": rows["note"],
            "登记时间": _local(rows["updated_at"]),
        }
    )


def tickets(rows: Table) -> pa.Table:
    """The service desk's tickets."""
    return pa.table(
        {
            "ticket_no": _code("T", rows["number"], 7),
            "customer_code": _code("C", rows["customer"]),
            "type": np.array(KINDS)[rows["kind"]],
            "priority": np.array(["P1", "P2", "P3", "P4"])[rows["priority"]],
            "category": _word(CATEGORIES, rows["category"]),
            "sentiment": _word(SENTIMENTS, rows["sentiment"]),
            "product_code": _product(rows["product"]),
            "opened_at": _utc(rows["opened_at"]),
            "first_reply_at": _utc(rows["responded_at"]),
            "solved_at": _utc(rows["resolved_at"]),
            "updated_at": _utc(rows["updated_at"]),
        }
    )


def surveys(rows: Table) -> pa.Table:
    """The answers to the surveys."""
    return pa.table(
        {
            "response_id": _code("R", rows["number"], 7),
            "customer_code": _code("C", rows["customer"]),
            "answered_at": _local(rows["answered_at"]),
            "survey": np.where(rows["is_nps"], "nps", "csat"),
            "score_of_10": rows["score"],
        }
    )


def invoices(rows: Table) -> pa.Table:
    """The accounting's invoices."""
    return pa.table(
        {
            "发票号": _code("FP", rows["number"], 7),
            "客户编号": _code("C", rows["customer"]),
            "开票日期": _days(rows["issued_on"]),
            "到期日": _days(rows["due_on"]),
            "价税合计": rows["cents"] / 100,
            "争议日期": _days(rows["disputed_on"]),
            "核销日期": _days(rows["written_off_on"]),
        }
    )


def payments(rows: Table) -> pa.Table:
    """The accounting's payments and credit notes."""
    return pa.table(
        {
            "收款单号": _code("SK", rows["number"], 7),
            "客户编号": _code("C", rows["customer"]),
            "发票号": pc.if_else(pa.array(rows["names_invoice"]), _code("FP", rows["invoice"], 7), None),
            "收款日期": _days(rows["paid_on"]),
            "金额": rows["cents"] / 100,
            "红字": pa.array(np.full(len(rows["cents"]), "红字冲销"), mask=~rows["is_credit"]),
        }
    )


def terms(rows: Table) -> pa.Table:
    """The accounting's credit terms."""
    return pa.table(
        {
            "客户编号": _code("C", rows["customer"]),
            "生效日期": _days(rows["valid_from"]),
            "信用额度": rows["limit"],
            "账期天数": rows["payment_days"],
            "担保方式": np.array(GUARANTEES, dtype=object)[rows["guarantee"]],
            "限制交易": np.where(rows["is_restricted"], "是", "否"),
        }
    )


def competitors(rows: Table) -> pa.Table:
    """What market research heard of competitors."""
    return pa.table(
        {
            "线索编号": _code("JP", rows["number"]),
            "客户编号": _code("C", rows["customer"]),
            "发现日期": _days(rows["observed_on"]),
            "竞争对手": np.array(COMPETITORS)[rows["competitor"]],
            "客户意向": _word(("无意向", "有意向"), rows["interest"]),
        }
    )


def policies(rows: Table) -> pa.Table:
    """What market research read about policies."""
    return pa.table(
        {
            "编号": _code("ZC", rows["number"], 4),
            "行业": rows["industry"],
            "发布日期": _days(rows["observed_on"]),
            "施行日期": _days(rows["effective_on"]),
            "影响": np.array(EFFECTS)[rows["effect"]],
            "内容": rows["note"],
        }
    )


def truth(rows: Table) -> pa.Table:
    """What nobody knows: each customer's fate."""
    return pa.table(
        {
            "customer_id": _code("C", rows["customer"]),
            "fate": rows["fate"],
            "starts_on": _days(rows["starts_on"]),
            "leaves_on": _days(rows["leaves_on"]),
            "defaults_on": _days(rows["defaults_on"]),
            "note": rows["note"],
        }
    )


def _code(prefix: str, numbers: NDArray[Any], width: int = 6) -> pa.Array:
    """Return record numbers as the exports write them, from 1 on: C000001."""
    digits = pc.utf8_lpad(pc.cast(pa.array(numbers + 1), pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


def _product(numbers: NDArray[Any]) -> pa.Array:
    return pc.if_else(pa.array(numbers >= 0), _code("P", numbers, 3), None)


def _word(words: Sequence[str], numbers: NDArray[Any]) -> pa.Array:
    """Name each by its word; those below zero have none."""
    return pa.array(np.array(words)[numbers], mask=numbers < 0)


def _days(days: Times) -> pa.Array:
    return pa.array(days.astype("datetime64[D]"))


def _local(times: Times) -> pa.Array:
    return pa.array(times.astype("datetime64[s]"))


def _utc(times: Times) -> pa.Array:
    """Write times as the service desk's vendor does. China has kept UTC+8 the year round since 1992."""
    return pc.strftime(_local(times - np.timedelta64(8, "h")), "%Y-%m-%dT%H:%M:%SZ")

"""A conversion as the bank's system reports it: read exactly, or refused in words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bank import cells
from bank.calendar import SHANGHAI

COLUMNS = ("reference", "customer_no", "product_code", "amount", "happened_at")
HEADINGS = {
    "reference": "流水号",
    "customer_no": "客户号",
    "product_code": "产品代码",
    "amount": "金额",
    "happened_at": "成交时间",
}
EARLIEST_YEAR = 2000
LONGEST = 64
CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True)
class Row:
    """A conversion as reported; money in integer cents, time aware."""

    reference: str
    bank_no: str
    product_code: str
    amount_cents: int
    at: datetime

    @property
    def facts(self) -> tuple[str, str, str, int, datetime]:
        """What makes it the same conversion when it is told again."""
        return (self.reference, self.bank_no, self.product_code, self.amount_cents, self.at)


def read_row(raw: Mapping[str, Any], now: datetime) -> Row | str:
    """The row, or in words why it cannot be taken; headings may be English or Chinese."""
    told = {name: _cell(raw, name) for name in COLUMNS}
    text = {name: str(cell).strip() for name, cell in told.items()}
    if missing := [HEADINGS[name] for name in COLUMNS if not text[name]]:
        return f"缺少{'、'.join(missing)}"
    if broken := [HEADINGS[n] for n in COLUMNS if not _is_word(text[n])]:
        return f"{'、'.join(broken)}过长或含有不可见字符"
    cents = cells.cents(text["amount"])
    if cents is None:
        return f"金额“{text['amount']}”不是以元为单位、最多两位小数的数字"
    if cents == 0:
        return "金额为 0，没有可以归因的内容"
    at = _moment(told["happened_at"])
    if at is None:
        return f"成交时间“{text['happened_at']}”无法识别，请写成 2026-11-20 10:30:00"
    if at > now + CLOCKS_DIFFER:
        return f"成交时间“{text['happened_at']}”晚于导入时间，请核对"
    return Row(text["reference"], text["customer_no"], text["product_code"], cents, at)


def _cell(raw: Mapping[str, Any], name: str) -> object:
    value = raw.get(name)
    if value is None:
        value = raw.get(HEADINGS[name])
    return "" if value is None else value


def _is_word(text: str) -> bool:
    return len(text) <= LONGEST and text.isprintable()


def _moment(value: object) -> datetime | None:
    """Local time of Shanghai unless the value says another zone."""
    try:
        moment = value if isinstance(value, datetime) else _iso(str(value).strip())
    except ValueError:
        return None
    if moment.year < EARLIEST_YEAR:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)


def _iso(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("/", "-"))

"""A customer, a holding, a relation as a file of the bank tells it: read exactly, or refused. Pure.

Columns may be named in English or in Chinese. An empty cell says nothing: what stands, stands.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from bank import cells
from bank.calendar import at_local
from bank.sheets import cell_text

EARLIEST = date(1900, 1, 1)
LONGEST = 64
CUSTOMER = {
    "customer_no": "客户号", "external_userid": "外部联系人ID", "name": "姓名", "gender": "性别",
    "born_on": "出生日期", "mobile": "手机号", "risk_level": "风险等级",
    "risk_assessed_on": "测评日期", "tier": "客户层级", "occupation": "职业", "branch": "支行代码",
}  # fmt: skip
HOLDING = {
    "customer_no": "客户号", "product_code": "产品代码", "amount": "金额", "bought_on": "买入日期",
    "matures_on": "到期日期",
}  # fmt: skip
FOLLOW = {"userid": "员工账号", "customer_no": "客户号", "added_on": "添加日期"}

_MOBILE = re.compile(r"(?:\+?86)?(1\d{2})[\d*]{4}(\d{4})", re.ASCII)
_LEVEL = re.compile(r"[Cc]?([1-5])")
_GENDERS = {"男": 1, "女": 2, "未知": 0}


@dataclass(frozen=True)
class CustomerRow:
    """A customer's number, their WeCom contact where it is known, and what the file knows else."""

    bank_no: str
    external_userid: str
    branch: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class HoldingRow:
    """What a customer bought of a product on a day; an amount of 0 says it is held no longer."""

    bank_no: str
    product_code: str
    bought_on: date
    amount_cents: int
    matures_on: date | None

    @property
    def position(self) -> tuple[str, str, date]:
        """What makes it the same holding when it is told again."""
        return self.bank_no, self.product_code, self.bought_on


@dataclass(frozen=True)
class FollowRow:
    """That an RM follows a customer, and since when."""

    userid: str
    bank_no: str
    added_at: datetime


def read_customer(raw: Mapping[str, Any], today: date) -> CustomerRow | str:
    """The row, or in words why it cannot be taken."""
    told = _told(raw, CUSTOMER)
    if wrong := _against(told, CUSTOMER, ("customer_no",)):
        return wrong
    facts: dict[str, Any] = {}
    for name, read in _FACTS.items():
        if text := told[name]:
            value = read(text, today)
            if value is None:
                return f"{CUSTOMER[name]}{_HOW[name]}"
            facts[name] = value
    if ("risk_level" in facts) != ("risk_assessed_on" in facts):
        return "风险等级与测评日期须同时提供"
    if "risk_assessed_on" in facts:
        facts["risk_assessed_at"] = at_local(facts.pop("risk_assessed_on"), time())
    return CustomerRow(told["customer_no"], told["external_userid"], told["branch"], facts)


def read_holding(raw: Mapping[str, Any], today: date) -> HoldingRow | str:
    """The row, or in words why it cannot be taken."""
    told = _told(raw, HOLDING)
    if wrong := _against(told, HOLDING, ("customer_no", "product_code", "amount", "bought_on")):
        return wrong
    amount, bought = cells.cents(told["amount"]), _past(told["bought_on"], today)
    if amount is None or amount < 0:
        return "金额须为以元为单位、最多两位小数的数字，已赎回或到期的填 0"
    if bought is None:
        return f"买入日期{_HOW['born_on']}"
    matures = cells.day(told["matures_on"]) if told["matures_on"] else None
    if told["matures_on"] and (matures is None or matures <= bought):
        return "到期日期须写成 2026-11-20，并晚于买入日期"
    return HoldingRow(told["customer_no"], told["product_code"], bought, amount, matures)


def read_follow(raw: Mapping[str, Any], today: date) -> FollowRow | str:
    """The row, or in words why it cannot be taken."""
    told = _told(raw, FOLLOW)
    if wrong := _against(told, FOLLOW, tuple(FOLLOW)):
        return wrong
    added = _past(told["added_on"], today)
    if added is None:
        return f"添加日期{_HOW['born_on']}"
    return FollowRow(told["userid"], told["customer_no"], at_local(added, time()))


def _told(raw: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, str]:
    """Every column's text, empty where the file has none."""
    return {name: cell_text(raw.get(name, raw.get(label))) for name, label in columns.items()}


def _against(told: Mapping[str, str], columns: Mapping[str, str], needed: tuple[str, ...]) -> str:
    if missing := [columns[name] for name in needed if not told[name]]:
        return f"缺少{'、'.join(missing)}"
    strange = [n for n, text in told.items() if len(text) > LONGEST or not text.isprintable()]
    return f"{'、'.join(columns[n] for n in strange)}过长或含有不可见字符" if strange else ""


def _past(text: str, today: date) -> date | None:
    day = cells.day(text)
    return day if day and EARLIEST <= day <= today else None


def _mobile(text: str, _: date) -> str | None:
    """Only what is needed to tell two customers apart is kept."""
    found = _MOBILE.fullmatch(text.replace(" ", "").replace("-", ""))
    return f"{found[1]}****{found[2]}" if found else None


def _level(text: str, _: date) -> int | None:
    found = _LEVEL.fullmatch(text)
    return int(found[1]) if found else None


def _word(text: str, _: date) -> str:
    return text


_FACTS: dict[str, Callable[[str, date], Any]] = {
    "name": _word, "gender": lambda text, _: _GENDERS.get(text), "born_on": _past,
    "mobile": _mobile, "risk_level": _level, "risk_assessed_on": _past, "tier": _word,
    "occupation": _word,
}  # fmt: skip
_HOW = {
    "gender": "请填写男、女或未知", "born_on": "须写成 2026-11-20，且不晚于今天",
    "mobile": "须为 11 位手机号", "risk_level": "请填写 C1 至 C5",
    "risk_assessed_on": "须写成 2026-11-20，且不晚于今天",
}  # fmt: skip

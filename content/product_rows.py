"""A product and its net asset values as a file or a form tells them: read exactly, or refused.

Every fact has one written form, the same in a file, in a form and in the history of changes. Pure.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from bank import cells
from bank.sheets import cell_text
from content.models import Product, ProductKind, SaleStatus
from desk.render import yuan

# As long as an address can carry, and no word of the addresses under /products.
CODE = re.compile(r"(?!import$|changes$|new$)[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
LONGEST = 2_000
EARLIEST = date(1990, 1, 1)
MOST_CENTS = 10**15

_RATING = re.compile(r"[Rr]?([1-5])")
_DAYS = re.compile(r"(\d{1,5})天?", re.ASCII)
_YES, _NO = frozenset({"是", "true", "1", "yes"}), frozenset({"否", "false", "0", "no"})
_REGIMES = {"NFRA": "金融监管总局", "CSRC": "证监会"}
_OFFERINGS = {"public": "公募", "private": "私募"}
_RATINGS = {str(rating): f"R{rating}" for rating in range(1, 6)}
_KINDS = {kind.value: kind.label for kind in ProductKind}
_STATUSES = {status.value: status.label for status in SaleStatus}


@dataclass(frozen=True)
class Wrong:
    """The text does not say such a thing; `reason` tells what would."""

    reason: str


Read = Callable[[str], Any]


@dataclass(frozen=True)
class Fact:
    """One fact of a product: its word on screen, how it is read, how it is written and shown."""

    label: str
    read: Read
    write: Callable[[Any], str] = str
    show: Callable[[str], str] = str
    optional: bool = False
    choices: Mapping[str, str] | None = None


def _words(text: str) -> str | Wrong:
    if len(text) > LONGEST:
        return Wrong(f"不超过 {LONGEST:,} 个字")
    bare = text.replace("\r\n", "\n")
    return bare if bare.replace("\n", "").isprintable() else Wrong("含有不可见字符")


def _rating(text: str) -> int | Wrong:
    found = _RATING.fullmatch(text)
    return int(found[1]) if found else Wrong("请填写 R1 至 R5")


def _days(text: str) -> int | Wrong:
    found = _DAYS.fullmatch(text)
    return int(found[1]) if found and int(found[1]) else Wrong("请填写天数，无固定期限的留空")


def _cents(text: str) -> int | Wrong:
    found = cells.cents(text)
    if found is None or not 0 <= found <= MOST_CENTS:
        return Wrong("请填写以元为单位、最多两位小数的金额")
    return found


def _day(text: str) -> date | Wrong:
    day = cells.day(text)
    if day is None:
        return Wrong("请写成 2026-11-20")
    return day if day >= EARLIEST else Wrong("日期过早，请核对")


def _yes(text: str) -> bool | Wrong:
    if text.lower() in _YES | _NO:
        return text.lower() in _YES
    return Wrong("请填写“是”或“否”")


def _one_of(choices: Mapping[str, str], make: Callable[[str], Any] = str) -> Read:
    by_word = {**{word: word for word in choices}, **{label: w for w, label in choices.items()}}

    def read(text: str) -> Any:
        word = by_word.get(text) or by_word.get(text.lower()) or by_word.get(text.upper())
        return make(word) if word else Wrong(f"请填写{'、'.join(choices.values())}之一")

    return read


def _chosen(label: str, choices: Mapping[str, str], make: Callable[[str], Any] = str) -> Fact:
    return Fact(label, _one_of(choices, make), show=lambda w: choices.get(w, w), choices=choices)


def _as_yuan(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _shown_yuan(text: str) -> str:
    cents = _cents(text)
    return text if isinstance(cents, Wrong) else yuan(cents)


def _shown_days(text: str) -> str:
    return f"{text} 天"


FACTS: dict[str, Fact] = {
    "name": Fact("产品名称", _words),
    "kind": _chosen("产品类型", _KINDS, ProductKind),
    "issuer": Fact("发行机构", _words),
    "issuer_rating": Fact("发行机构评级", _rating, show=lambda text: f"R{text}", choices=_RATINGS),
    "bank_rating": Fact("本行评级", _rating, show=lambda text: f"R{text}", choices=_RATINGS),
    "regime": _chosen("适当性规则", _REGIMES),
    "offering": _chosen("募集方式", _OFFERINGS),
    "agency": Fact(
        "是否代销", _yes, write=lambda yes: "是" if yes else "否", choices={"是": "是", "否": "否"}
    ),
    "term_days": Fact("期限天数", _days, show=_shown_days, optional=True),
    "open_rule": Fact("开放规则", _words),
    "min_amount_cents": Fact("起购金额", _cents, write=_as_yuan, show=_shown_yuan),
    "fees": Fact("费用", _words),
    "benchmark": Fact("业绩比较基准", _words, optional=True),
    "benchmark_basis": Fact("基准依据", _words, optional=True),
    "inception": Fact("成立日", _day, write=date.isoformat),
    "redemption": Fact("赎回规则", _words),
    "description": Fact("产品说明", _words),
    "sale_status": _chosen("销售状态", _STATUSES, SaleStatus),
    "listed_from": Fact("名单生效日", _day, write=date.isoformat, optional=True),
    "listed_until": Fact("名单移出日", _day, write=date.isoformat, optional=True),
}
# A file tells yuan where the table keeps cents; a column of cents is none of ours.
_HEADED = {"min_amount_cents": "min_amount"}
# The headings of a file; a column may also carry the Chinese word.
COLUMNS = {"code": "产品代码"} | {_HEADED.get(n, n): fact.label for n, fact in FACTS.items()}
_BY_HEADING = {heading: name for name in FACTS for heading in (_HEADED.get(name, name),)}
_BY_HEADING |= {fact.label: name for name, fact in FACTS.items()}
_BY_HEADING |= {"code": "code", "产品代码": "code"}
FILE_LABELS = {"prospectus_id": "产品说明书", "risk_disclosure_id": "风险揭示书"}


def label_of(name: str) -> str:
    """The fact's word on screen."""
    return FACTS[name].label if name in FACTS else FILE_LABELS.get(name, name)


def shown(name: str, text: str) -> str:
    """A written fact as people read it; nothing is a dash."""
    if not text:
        return "—"
    return FACTS[name].show(text) if name in FACTS else text


def written(product: Product) -> dict[str, str]:
    """Every fact of a product in its written form; nothing is empty."""
    values = {name: getattr(product, name) for name in FACTS}
    return {n: "" if value is None else FACTS[n].write(value) for n, value in values.items()}


def read_fact(name: str, text: str) -> Any:
    """The value of a written fact, None where an optional one is empty, or `Wrong`."""
    fact = FACTS[name]
    if not text:
        return None if fact.optional else Wrong("不能为空")
    return fact.read(text)


def tidied(name: str, text: str) -> str:
    """What was typed in its written form; what cannot be read stays as it is."""
    bare = text.strip().replace("\r\n", "\n")
    value = read_fact(name, bare)
    return bare if value is None or isinstance(value, Wrong) else FACTS[name].write(value)


@dataclass(frozen=True)
class ProductRow:
    """A row of a file: the product's code, and those facts the file has columns for."""

    code: str
    facts: dict[str, str]


def read_row(raw: Mapping[str, Any]) -> ProductRow | str:
    """The row in written form, or in words why it cannot be taken."""
    told = {_BY_HEADING[name]: cell_text(c) for name, c in raw.items() if name in _BY_HEADING}
    code = told.get("code", "")
    if not CODE.fullmatch(code):
        return "产品代码须为 1–32 位字母、数字、点、横线或下划线"
    facts, wrong = {}, []
    for name in FACTS.keys() & told.keys():
        value = read_fact(name, told[name])
        if isinstance(value, Wrong):
            wrong.append(f"{FACTS[name].label}“{told[name][:20]}”：{value.reason}")
        else:
            facts[name] = "" if value is None else FACTS[name].write(value)
    return "；".join(sorted(wrong)) if wrong else ProductRow(code, facts)


def values(facts: Mapping[str, str]) -> dict[str, Any]:
    """The values of written facts; all of them must be readable."""
    return {name: read_fact(name, text) for name, text in facts.items() if name in FACTS}


def missing(facts: Mapping[str, str]) -> list[str]:
    """What a new product would lack, in words."""
    return [f.label for name, f in FACTS.items() if not f.optional and not facts.get(name)]


def against(facts: Mapping[str, str]) -> dict[str, str]:
    """What stands against these facts taken together, by fact."""
    errors: dict[str, str] = {}
    if facts.get("benchmark") and not facts.get("benchmark_basis"):
        errors["benchmark_basis"] = "有业绩比较基准时必须写明选择原因、依据和方法"
    since, until = facts.get("listed_from", ""), facts.get("listed_until", "")
    if until and (not since or until <= since):
        errors["listed_until"] = "名单移出日必须晚于名单生效日"
    return errors


NAV_COLUMNS = {"code": "产品代码", "on": "日期", "value": "单位净值"}
_NAV_BY_HEADING = {label: name for name, label in NAV_COLUMNS.items()} | {
    "date": "on",
    "nav": "value",
    "净值": "value",
    "净值日期": "on",
}
_SIX = Decimal("0.000001")
LARGEST_NAV = Decimal(1_000_000)


@dataclass(frozen=True)
class NavRow:
    """The net asset value of a product on a day."""

    code: str
    on: date
    value: Decimal


def read_nav(raw: Mapping[str, Any], today: date) -> NavRow | str:
    """The value of a day, or in words why it cannot be taken."""
    told = {_NAV_BY_HEADING.get(name, name): cell_text(cell) for name, cell in raw.items()}
    if absent := [word for name, word in NAV_COLUMNS.items() if not told.get(name)]:
        return f"缺少{'、'.join(absent)}"
    on = _day(told["on"])
    if isinstance(on, Wrong):
        return f"日期“{told['on'][:20]}”无法识别，{on.reason}"
    if on > today:
        return f"日期 {on} 晚于今天，净值只能在当日之后导入"
    value = _nav(told["value"])
    if value is None:
        return f"单位净值“{told['value'][:20]}”须为大于 0、最多六位小数的数字"
    return NavRow(told["code"], on, value)


def _nav(text: str) -> Decimal | None:
    if not re.fullmatch(r"\d{1,7}(\.\d{1,18})?", text, re.ASCII):
        return None
    try:
        value = Decimal(text)
        exact = value.quantize(_SIX)
    except InvalidOperation:
        return None
    # A spreadsheet's binary numbers carry noise far behind the sixth digit.
    return exact if 0 < exact < LARGEST_NAV and abs(value - exact) < Decimal("1e-9") else None

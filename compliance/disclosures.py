"""The reminder the law attaches to each kind of product, found missing or put in.

Sources: 理财公司理财产品销售管理暂行办法 (理财非存款), fund sales rules (基金有风险),
商业银行代理销售业务管理办法 2025 (agency status and issuer must be shown).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from compliance.normalise import normalise
from compliance.verdict import Finding

WEALTH = "理财非存款，产品有风险，投资须谨慎。"
FUND = "基金有风险，投资须谨慎。"
INSURANCE = "保险产品不是存款，收益存在不确定性，退保可能产生损失，请仔细阅读保险条款。"

_SENTENCES = {"wealth": WEALTH, "fund": FUND, "insurance": INSURANCE}
_PUNCTUATION = re.compile(r"[\s,。、;:!?.()\"'“”‘’]")


class Product(Protocol):
    """What a reminder depends on; `kind` is wealth, fund, insurance or deposit."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def issuer(self) -> str | None: ...
    @property
    def agency(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """The plainest `Product`: `agency` says that this bank only distributes it."""

    name: str
    kind: str
    issuer: str | None = None
    agency: bool = False


def required(kind: str) -> str | None:
    """The statutory reminder for a kind of product; None for deposits, wealth for unknown kinds."""
    return None if kind == "deposit" else _SENTENCES.get(kind, WEALTH)


def agency_statement(product: Product) -> str | None:
    """Who issues a product this bank only distributes; None for the bank's own."""
    if not product.agency or not product.issuer:
        return None
    if product.kind == "insurance":
        return f"{product.name}由{product.issuer}承保，本行仅为代理销售机构，不承担保险责任。"
    return (
        f"{product.name}由{product.issuer}发行与管理，本行为代销机构，不承担产品的投资和兑付责任。"
    )


def missing_from(text: str, products: Sequence[Product]) -> list[Finding]:
    """One finding for each reminder the products need and the text does not carry."""
    return [
        Finding(
            category="missing_disclosure",
            start=0,
            end=len(text),
            reason=f"提到了产品，却没有写“{sentence}”",
            rule="missing_disclosure.statutory",
            suggestion=sentence,
        )
        for sentence in _absent(text, products)
    ]


def append(text: str, products: Sequence[Product]) -> str:
    """The text with every missing reminder after it; doing it twice changes nothing."""
    absent = _absent(text, products)
    if not absent:
        return text
    return "\n".join([text.rstrip(), "".join(absent)]).lstrip("\n")


def _absent(text: str, products: Sequence[Product]) -> list[str]:
    said = _bare(text)
    wanted: dict[str, None] = {}
    for product in products:
        agency, reminder = agency_statement(product), required(product.kind)
        if agency is not None and not _names_the_issuer(said, product):
            wanted[agency] = None
        if reminder is not None:
            wanted[reminder] = None
    return [sentence for sentence in wanted if _bare(sentence) not in said]


def _names_the_issuer(said: str, product: Product) -> bool:
    """Issuer and agency status may be told in other words than ours; both must be there (C-20)."""
    told = any(status in said for status in ("代销机构", "代理销售机构"))
    return told and product.issuer is not None and _bare(product.issuer) in said


def _bare(text: str) -> str:
    """Words only: a reminder set with 、 instead of ， is the same reminder."""
    return _PUNCTUATION.sub("", normalise(text).text)

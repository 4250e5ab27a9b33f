"""Own figures 本人数据: what the bank's data says of this very customer, put in by code.

A passage may carry slots such as {持有金额}; a customer who asks about what they hold gets a
sentence of the bank's own. No model is shown any of it: figures go in after the wording.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import local_day
from content import products
from content.models import Nav, Product
from customers import book
from customers.models import Holding

# Slots a passage may carry; others stay open, and what stays open is not sent.
PRODUCT, AMOUNT, BOUGHT, MATURES = "{产品名称}", "{持有金额}", "{买入日期}", "{到期日}"
RM, ADDRESS = "{客户经理}", "{客户称呼}"
VALUE, VALUE_ON, VALUE_BEFORE = "{单位净值}", "{净值日期}", "{上期净值}"
SLOT = re.compile(r"\{[^{}\n]{1,20}\}")
MOST = 2


@dataclass(frozen=True)
class OwnFigures:
    """One holding of the customer, in the words that fill its slots."""

    product: str
    filled: dict[str, str]

    @property
    def sentence(self) -> str:
        """The holding in a sentence."""
        told = [f"持有金额 {self.filled[AMOUNT]}"]
        if MATURES in self.filled:
            told.append(f"{self.filled[MATURES]} 到期")
        if VALUE in self.filled:
            told.append(f"{self.filled[VALUE_ON]} 单位净值 {self.filled[VALUE]}")
        return f"行内系统显示，您的{self.product}：{'，'.join(told)}。"

    def kept(self) -> dict[str, str]:
        """As stored with a suggestion."""
        return {"product": self.product, "sentence": self.sentence, **self.filled}


def asks_about_own(question: str) -> bool:
    """Whether the customer asks about what they hold themselves."""
    return bool(_OWN.search(question))


async def figures_of(
    session: AsyncSession,
    customer_id: UUID,
    ceiling: int,
    now: datetime,
    *,
    about: str = "",
    question: str = "",
) -> list[OwnFigures]:
    """What this customer holds: of the product asked about, what ends first, or the largest.

    A product above the customer's ceiling of today is not put into words that are sent.
    """
    holdings = await book.holdings_of(session, customer_id)
    held = await products.by_codes(session, {holding.product_code for holding in holdings})
    known = {p.code: p for p in held if p.rating <= ceiling and p.is_listed(local_day(now))}
    wanted = [h for h in holdings if h.product_code in known]
    named = [h for h in wanted if about and known[h.product_code].name == about]
    if _ENDS.search(question):
        ending = [h for h in (named or wanted) if h.matures_on is not None]
        named = sorted(ending, key=lambda h: str(h.matures_on))[:1]
    chosen = (named or wanted)[:MOST]
    return [await _figures(session, h, known[h.product_code], now) for h in chosen]


async def _figures(
    session: AsyncSession, holding: Holding, product: Product, now: datetime
) -> OwnFigures:
    filled = {
        PRODUCT: product.name,
        AMOUNT: f"{holding.amount_cents / 100:,.2f}元",
        BOUGHT: f"{holding.bought_on:%Y-%m-%d}",
    }
    if holding.matures_on is not None:
        filled[MATURES] = f"{holding.matures_on:%Y-%m-%d}"
    values = await _values(session, product, now)
    if values:
        filled |= {VALUE: f"{values[0].value:.4f}", VALUE_ON: f"{values[0].on:%Y-%m-%d}"}
    if len(values) > 1:
        filled[VALUE_BEFORE] = f"{values[1].value:.4f}"
    return OwnFigures(product.name, filled)


async def _values(session: AsyncSession, product: Product, now: datetime) -> Sequence[Nav]:
    """The newest two values; none in a product's first month (C-16)."""
    if not products.shows_performance(product, local_day(now)):
        return []
    query = select(Nav).where(Nav.product_id == product.id, col(Nav.on) <= local_day(now))
    return (await session.execute(query.order_by(col(Nav.on).desc()).limit(2))).scalars().all()


def fill(text: str, figures: Sequence[OwnFigures], names: Mapping[str, str]) -> str:
    """The text with its slots filled: of the first holding, and names; the rest stays open."""
    known = dict(names) | (figures[0].filled if figures else {})
    return SLOT.sub(lambda slot: known.get(slot[0], slot[0]), text)


_ENDS = re.compile(r"到期|哪天|几号")
_OWN = re.compile(
    r"我(?:的|那|这|买|持有|手里|手上|名下|账上|现在|一共|总共)[^。？?]{0,16}?"
    r"(?:多少|到期|赚|亏|净值|涨|跌|市值|持仓|金额|还有|怎么样|什么时候|哪天|几号)"
    r"|(?:我|查)(?:的)?(?:持仓|持有|账户里)|我(?:总共|一共)?(?:买|投)了多少"
)

"""What customers hold and buy: positions, conversions as the bank reports them, credit."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution import conversions as ledger
from attribution.models import Conversion
from bank import audit
from bank.calendar import at_local, local_day
from bot.demo.history import Reply
from bot.demo.library import Shelf, line
from bot.demo.people import Client, People
from bot.demo.rows import Rows, fact, ident, row
from content.models import Product, ProductKind, SaleStatus
from customers.models import Holding, Stage

SOURCE = "理财销售流水"
CONVERSIONS, UNKNOWN, UNPROMPTED = 257, 3, 34
SPACING = timedelta(days=12)
SENIOR, SENIOR_RATING = 65, 2
WAN = 10_000_00
# Usual amounts by tier, in units of ten thousand yuan.
AMOUNTS = {
    "大众": (1, 2, 3, 5, 5, 8, 10, 15),
    "财富": (5, 10, 10, 20, 30, 50, 60),
    "私行": (50, 80, 100, 200, 300),
}
HELD = {"大众": (0, 1, 1, 1, 2), "财富": (1, 1, 2, 2, 3), "私行": (2, 2, 3, 4)}


@dataclass(frozen=True)
class Position:
    """Money of a customer in a product, from a day until it matures."""

    client: Client
    product: Product
    cents: int
    bought_on: date

    @property
    def key(self) -> tuple[str, date]:
        """What a customer bought of a product on a day is one position."""
        return self.product.code, self.bought_on

    @property
    def matures_on(self) -> date | None:
        if self.product.term_days is None or self.product.kind is ProductKind.INSURANCE:
            return None
        return self.bought_on + timedelta(days=self.product.term_days)

    def held_on(self, day: date) -> bool:
        """Whether the customer has it on that day."""
        ends = self.matures_on
        return self.bought_on <= day and (ends is None or day <= ends)


@dataclass(frozen=True)
class Purchase:
    """A conversion as the bank's system will report it; no client where the number is unknown."""

    client: Client | None
    bank_no: str
    product: Product
    cents: int
    at: datetime
    imported_at: datetime


class Shares:
    """Positions by customer."""

    def __init__(self) -> None:
        self._by_client: dict[str, list[Position]] = defaultdict(list)

    def add(self, position: Position) -> None:
        self._by_client[position.client.id.hex].append(position)
        position.client.held.add(position.product.code)

    def of(self, client: Client) -> list[Position]:
        """What this customer has or had."""
        return self._by_client[client.id.hex]

    def on(self, day: date) -> list[Position]:
        """Everything held on that day, by customer."""
        return [p for shares in self._by_client.values() for p in shares if p.held_on(day)]


def brought_along(cast: People, shelf: Shelf, today: date, seed: int) -> Shares:
    """What customers held before anybody wrote to them here, within their risk level."""
    rng, shares = random.Random(f"positions:{seed}"), Shares()
    for client in cast.clients:
        for _ in range(rng.choice(HELD[client.row.tier])):
            position = _old_position(client, shelf, today, rng)
            if position is not None and position.key not in {p.key for p in shares.of(client)}:
                shares.add(position)
    return shares


def _old_position(client: Client, shelf: Shelf, today: date, rng: random.Random) -> Position | None:
    fitting = [
        product
        for product in shelf.products.values()
        if _suits(client, product, client.row.risk_level or 0)
    ]
    product = rng.choice(fitting)
    days = rng.randint(40, 620)
    bought = today - timedelta(days=days)
    if product.sale_status is SaleStatus.CLOSED:
        bought = product.inception
    ends = client.row.risk_assessed_at
    if ends is not None and client.ceiling(at_local(today, time())) == 0:
        bought = min(bought, local_day(ends) + timedelta(days=rng.randint(0, 300)))
    if not product.inception <= bought < today:
        return None
    return Position(client, product, _amount(client, product, rng), bought)


def _suits(client: Client, product: Product, ceiling: int) -> bool:
    """Whether it may be sold to this customer; a deposit needs no questionnaire."""
    if product.kind is ProductKind.DEPOSIT:
        return True
    if product.offering == "private" and client.row.tier != "私行":
        return False
    if client.age >= SENIOR and product.rating > SENIOR_RATING:
        return False
    return product.rating <= ceiling


def _amount(client: Client, product: Product, rng: random.Random) -> int:
    """An amount one would really place; funds are bought in odd sums now and then."""
    if product.kind is ProductKind.INSURANCE:
        yearly = (300, 480, 860) if product.min_amount_cents < WAN // 2 else (5000, 10000, 20000)
        return max(product.min_amount_cents, rng.choice(yearly) * 100)
    cents = rng.choice(AMOUNTS[client.row.tier]) * WAN
    if product.kind is ProductKind.FUND and rng.random() < 0.3:
        cents += rng.randint(1, 99_999)
    return max(cents, product.min_amount_cents)


def purchases(
    cast: People, shelf: Shelf, shares: Shares, replies: Sequence[Reply], today: date, seed: int
) -> list[Purchase]:
    """The year's conversions: most some days after a reply, some out of the blue; by time."""
    shop = _Shop(shelf, shares, today, random.Random(f"money:{seed}"))
    for _ in range(UNPROMPTED):
        shop.walk_in(cast)
    while len(shop.sold) < CONVERSIONS:
        shop.follow_up(replies)
    for number in range(UNKNOWN):
        shop.unknown(number)
    return sorted(shop.sold, key=lambda bought: (bought.at, bought.bank_no))


class _Shop:
    """Sells what suits, and keeps a customer's purchases some days apart."""

    def __init__(self, shelf: Shelf, shares: Shares, today: date, rng: random.Random) -> None:
        self.shelf, self.shares, self.today, self.rng = shelf, shares, today, rng
        self.sold: list[Purchase] = []

    def follow_up(self, replies: Sequence[Reply]) -> None:
        """Somebody who got a reply buys within three weeks, often what the reply was about."""
        reply = self.rng.choice(replies)
        at = reply.at + timedelta(days=min(21.0, self.rng.expovariate(1 / 5)))
        about = [p for p in reply.paper.about if self.rng.random() < 0.6]
        bought = self._opening(local_day(at))
        self._sell(reply.client, bought if bought > at else bought + timedelta(days=1), about)

    def walk_in(self, cast: People) -> None:
        """A purchase nobody here prompted."""
        client = self.rng.choice(cast.clients)
        self._sell(client, self._opening(self.today - timedelta(days=self.rng.randint(2, 364))), [])

    def _opening(self, day: date) -> datetime:
        return at_local(
            day, time(self.rng.randint(9, 20), self.rng.randint(0, 59), self.rng.randint(0, 59))
        )

    def _sell(self, client: Client, at: datetime, about: Sequence[Product]) -> None:
        near = (p for p in self.sold if p.client is client and abs(p.at - at) < SPACING)
        late = local_day(at) >= self.today or at < client.first.added_at
        offered = [p for p in about if self._offered(client, p, at)]
        offered = offered or [
            p for p in self.shelf.products.values() if self._offered(client, p, at)
        ]
        if late or not offered or next(near, None) is not None:
            return
        product = self.rng.choice(offered)
        cents = _amount(client, product, self.rng)
        bank_no = client.row.bank_no or ""
        self.sold.append(Purchase(client, bank_no, product, cents, at, _imported(at)))
        self.shares.add(Position(client, product, cents, local_day(at)))
        if client.row.stage in (Stage.NEW, Stage.FOLLOWING):
            client.row.stage = Stage.CLOSED

    def _offered(self, client: Client, product: Product, at: datetime) -> bool:
        started = product.inception < local_day(at)
        on_sale = product.sale_status is SaleStatus.ON_SALE
        return started and on_sale and _suits(client, product, client.ceiling(at))

    def unknown(self, number: int) -> None:
        """A customer number we do not have: held until somebody looks."""
        at = self._opening(self.today - timedelta(days=(3, 11, 26)[number]))
        product = self.shelf.products["YZ-YX90"]
        cents = (8, 20, 5)[number] * WAN
        self.sold.append(
            Purchase(None, f"YZ{990017 + number * 211}", product, cents, at, _imported(at))
        )


def _imported(at: datetime) -> datetime:
    """The bank's file of the day comes in late in the evening."""
    return at_local(local_day(at), time(22, 30))


def holdings(rows: Rows, shares: Shares, today: date) -> None:
    """What is held today, put into `rows`."""
    for number, position in enumerate(shares.on(today)):
        rows.add(
            fact(
                Holding,
                id=ident("holding", position.client.id, position.product.code, number),
                customer_id=position.client.id,
                product_code=position.product.code,
                amount_cents=position.cents,
                bought_on=position.bought_on,
                matures_on=position.matures_on,
                ended_on=None,
            )
        )


def reported(rows: Rows, bought: Iterable[Purchase]) -> None:
    """Conversions and the lines of their imports, put into `rows`."""
    by_import = groupby(bought, key=lambda purchase: purchase.imported_at)
    for imported_at, together in by_import:
        batch = [_conversion(number, p) for number, p in enumerate(together, 1)]
        rows.add(*batch)
        held = sum(conversion.customer_id is None for conversion in batch)
        counts = {
            "read": len(batch), "new": len(batch), "changed": 0, "same": 0,
            "held": held, "rejected": 0,
        }  # fmt: skip
        rows.add(line("attribution:import:ingest", SOURCE, audit.SYSTEM, imported_at, **counts))


def _conversion(number: int, bought: Purchase) -> Conversion:
    reference = f"LC{local_day(bought.at):%Y%m%d}{number:05d}"
    return row(
        Conversion,
        id=ident("conversion", reference),
        source=SOURCE,
        reference=reference,
        bank_no=bought.bank_no,
        customer_id=bought.client.id if bought.client else None,
        product_code=bought.product.code,
        amount_cents=bought.cents,
        at=bought.at,
        imported_at=bought.imported_at,
    )


async def settle(session: AsyncSession, window_days: int) -> None:
    """Credit every conversion with the product's own rules, one run for each import."""
    query = select(Conversion).order_by(col(Conversion.imported_at), col(Conversion.reference))
    stored = list((await session.execute(query)).scalars())
    with session.no_autoflush:
        for imported_at, together in groupby(stored, key=lambda c: c.imported_at):
            await ledger.settle(session, list(together), now=imported_at, window_days=window_days)
    await session.flush()
    session.expunge_all()
    for statement in STEADY:
        await session.execute(text(statement))


# Settling draws random run ids; a bank made twice from one seed has to be the same bank.
_STEADY_ID = "md5('run:' || r.model || ':' || extract(epoch FROM r.at))::uuid"
STEADY = (
    "INSERT INTO credit_run (id, model, window_days, at, conversions, amount_cents)"
    f" SELECT {_STEADY_ID}, model, window_days, at, conversions, amount_cents FROM credit_run r",
    f"UPDATE credit SET run_id = {_STEADY_ID} FROM credit_run r WHERE r.id = run_id",
    f"DELETE FROM credit_run r WHERE r.id <> {_STEADY_ID}",
)

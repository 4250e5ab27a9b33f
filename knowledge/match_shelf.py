"""The live materials that may be recommended unasked, with their vectors, as of a moment."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import numpy as np
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import local_day
from compliance.suitability import REGIMES
from content import library, particulars
from content.models import Kind, Material, Product, SaleStatus, Version
from content.particulars import Particulars
from knowledge.encoder import Encoder, Vectors, unit
from knowledge.fitting import Piece, Shelf, is_marketing
from knowledge.needs import Places, traits_of
from wecom.channels import Channel

# Where a recommendation is said: the RM's own chat with the customer.
CHANNEL = Channel.SINGLE_CHAT.value
# The title says what it is about, the questions what it answers, the passages how.
TITLE, QUESTION, PASSAGE = 1.0, 1.0, 0.5


@dataclass(frozen=True)
class Stocked:
    """A shelf with the vectors of its pieces: meaning first, then traits."""

    shelf: Shelf
    meanings: Vectors  # pieces × dimension of the encoder, each of length 1
    places: Places

    @property
    def vectors(self) -> Vectors:
        """What needs are multiplied with."""
        traits = [traits_of(piece) for piece in self.shelf.pieces]
        wide = np.array(traits, dtype=np.float32).reshape(len(traits), len(traits_of(None)))
        return np.hstack([self.meanings, wide])


async def stock(
    session: AsyncSession, encoder: Encoder, now: datetime, steps: Collection[UUID] = ()
) -> Stocked:
    """Everything live now that may be recommended unasked in a single chat, by code.

    `steps` are the materials that touch sequences send.
    """
    documents = await library.live_documents(session, now)
    kept = [one for one in documents if not barred(one, local_day(now), steps)]
    pieces = await pieces_of(session, kept)
    meanings = await asyncio.to_thread(_meanings, kept, encoder)
    return Stocked(Shelf(pieces), meanings, Places.on(tuple(pieces)))


def barred(
    document: library.LibraryDocument, today: date, steps: Collection[UUID] = ()
) -> tuple[str, ...]:
    """Why a live material is recommended to nobody, in words; nothing: it may be.

    A script that a touch sequence sends is true at the sequence's moment alone: “您的产品明天到期”.
    """
    about = document.products
    found = {
        "没有批准用于单聊": CHANNEL not in document.channels,
        "是 SOP 步骤的话术，由 SOP 到时发送；要单独推荐，请另建一份素材": (
            document.kind is Kind.SCRIPT and document.material_id in steps
        ),
        "关联产品已停售": any(one.sale_status is not SaleStatus.ON_SALE for one in about),
        "关联产品不在总行今天的名单内": not all(one.is_listed(today) for one in about),
        "私募产品只能由客户经理在确认合格投资者后介绍": _private(about),
        "关联产品没有可用的适当性规则": any(one.regime not in REGIMES for one in about),
    }
    return tuple(words for words, stands in found.items() if stands)


def _private(about: Sequence[Product]) -> bool:
    return any(one.offering == "private" for one in about)


async def pieces_of(
    session: AsyncSession, documents: Sequence[library.LibraryDocument]
) -> list[Piece]:
    """These documents as matching sees them, in their order."""
    told = await particulars_of(session, {one.version_id for one in documents})
    return [_piece(one, told[one.version_id]) for one in documents]


async def particulars_of(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Particulars]:
    """What each of these versions says of itself."""
    rows = (
        select(Version, Material)
        .join(Material, col(Material.id) == col(Version.material_id))
        .where(col(Version.id).in_(ids))
    )
    return {v.id: particulars.of_version(m, v) for v, m in await session.execute(rows)}


def _piece(document: library.LibraryDocument, told: Particulars) -> Piece:
    return Piece(
        version_id=document.version_id,
        material_id=document.material_id,
        code=document.material_code,
        title=document.title,
        kind=document.kind,
        use=document.use,
        risk=document.risk,
        branches=None if document.branch_ids is None else frozenset(document.branch_ids),
        personas=frozenset(told.personas),
        marketing=is_marketing(document.kind, document.use, document.product_codes),
        products=frozenset(document.product_codes),
        trust=told.trust,
        expertise=told.expertise,
    )


def _meanings(documents: Sequence[library.LibraryDocument], encoder: Encoder) -> Vectors:
    """One direction for each document: the sum of its texts."""
    texts: list[str] = []
    shares: list[float] = []
    owners: list[int] = []
    for number, one in enumerate(documents):
        told = [(one.title, TITLE), *((text, QUESTION) for text in one.questions)]
        told += [(passage.text, PASSAGE) for passage in one.passages]
        texts += [text for text, _ in told]
        shares += [share for _, share in told]
        owners += [number] * len(told)
    summed: Vectors = np.zeros((len(documents), encoder.dimension), dtype=np.float32)
    if texts:
        weighted = encoder.encode(texts) * np.array(shares, dtype=np.float32)[:, None]
        np.add.at(summed, owners, weighted)
    return unit(summed)


class Stockroom:
    """The shelf of this process, read again when the library, the steps or the day have changed."""

    def __init__(self, encoder: Encoder) -> None:
        """Empty until somebody asks."""
        self.encoder = encoder
        self._held: tuple[tuple[int, date, frozenset[UUID]], Stocked] | None = None

    async def stocked(
        self, session: AsyncSession, now: datetime, steps: Collection[UUID] = ()
    ) -> Stocked:
        """What may be recommended now; a product's change since is seen when a match is read."""
        moment = await library.newest_seq(session), local_day(now), frozenset(steps)
        if self._held is None or self._held[0] != moment:
            self._held = moment, await stock(session, self.encoder, now, steps)
        return self._held[1]


STOCKROOM = web.AppKey("STOCKROOM", Stockroom)

"""What reading says of a need: each material that was opened and read, and its topic in a word."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from attribution.openings import Read
from bank.calendar import local_day
from content import library
from content.library import LibraryDocument
from content.models import Kind
from content.particulars import Particulars
from knowledge.match_shelf import particulars_of
from knowledge.needs import Sign, Signal

# Of the other kinds the label says how it looks, not what it is about.
SAY_WHAT = (Kind.EDUCATION, Kind.MARKET_NOTE)


def signals_of(
    read: Sequence[Read], titles: Mapping[UUID, str], topics: Mapping[UUID, str]
) -> list[Signal]:
    """A signal for each material, in the order given, with how often its topic was read lately."""
    lately: Counter[str] = Counter()
    for one in read:
        lately[topics[one.version_id]] += one.lately
    return [
        Signal(
            Sign.OPENED,
            titles[one.version_id],
            f"{lately[topics[one.version_id]]}:{topics[one.version_id]}",
            local_day(one.at),
        )
        for one in read
    ]


async def topics_of(session: AsyncSession, version_ids: Collection[UUID]) -> dict[UUID, str]:
    """What each of these is about, in a word of the bank's."""
    if not version_ids:
        return {}
    documents = await library.documents(session, version_ids)
    told = await particulars_of(session, {one.version_id for one in documents})
    return {one.version_id: _topic(one, told[one.version_id]) for one in documents}


def _topic(document: LibraryDocument, told: Particulars) -> str:
    """Where it stands in the tree of scripts; else the kind of its product, its own, its title."""
    kinds = [product.kind.label for product in document.products]
    own = [document.kind.label] if document.kind in SAY_WHAT else []
    named = [*told.category[-1:], *kinds, *own]
    return f"{named[0]}类内容" if named else f"《{document.title}》"

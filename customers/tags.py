"""Tags 标签: the company's own, kept as WeCom has them, and those of customers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Delete, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank import audit
from customers.models import CorpTag, CustomerTag

WECOM = "wecom"


@dataclass(frozen=True)
class KnownTag:
    """A company tag as WeCom tells it."""

    tag_id: str
    name: str
    group_id: str
    group_name: str


@dataclass(frozen=True)
class NamedGroup:
    """A group of company tags."""

    name: str
    tags: list[CorpTag]


@dataclass(frozen=True)
class Change:
    """What makes a customer wear exactly the tags wanted: ids to put on and off, and the names."""

    on: frozenset[str]
    off: frozenset[str]
    given: frozenset[str]
    taken: frozenset[str]


async def groups(session: AsyncSession) -> list[NamedGroup]:
    """The company's living tags, group by group."""
    query = select(CorpTag).where(col(CorpTag.deleted_at).is_(None))
    order = col(CorpTag.group_name), col(CorpTag.group_id), col(CorpTag.name)
    found: dict[tuple[str, str], list[CorpTag]] = {}
    for tag in (await session.execute(query.order_by(*order))).scalars():
        found.setdefault((tag.group_id, tag.group_name), []).append(tag)
    return [NamedGroup(name, tags) for (_, name), tags in found.items()]


async def worn_from_wecom(session: AsyncSession, customer_id: UUID) -> list[CustomerTag]:
    """The company tags a customer wears, by name."""
    return [tag for tag in await tags_of(session, customer_id) if tag.source == WECOM]


async def change_to(session: AsyncSession, customer_id: UUID, wanted: Collection[str]) -> Change:
    """How to get from what the customer wears to the tags with these ids; unknown ids are none."""
    worn = {tag.name for tag in await worn_from_wecom(session, customer_id)}
    known = {tag.tag_id: tag.name for group in await groups(session) for tag in group.tags}
    names = {known[tag_id] for tag_id in wanted if tag_id in known}
    return Change(
        on=frozenset(i for i in wanted if i in known and known[i] not in worn),
        off=frozenset(i for i, name in known.items() if name in worn - names),
        given=frozenset(names - worn),
        taken=frozenset(worn - names),
    )


def note(
    session: AsyncSession, customer_id: UUID, change: Change, *, by: str, now: datetime
) -> None:
    """Keep in the audit book who changed a customer's tags."""
    audit.record(
        session,
        "customers:customer:tag",
        customer_id,
        by=by,
        now=now,
        added="、".join(sorted(change.given)),
        removed="、".join(sorted(change.taken)),
    )


async def tags_of(session: AsyncSession, customer_id: UUID) -> list[CustomerTag]:
    """The customer's tags by name."""
    query = select(CustomerTag).where(col(CustomerTag.customer_id) == customer_id)
    return list((await session.execute(query.order_by(col(CustomerTag.name)))).scalars())


async def wear(
    session: AsyncSession, customer_id: UUID, names: Collection[str], now: datetime
) -> bool:
    """Make the customer's WeCom tags these; tags from elsewhere stay. Whether anything changed."""
    found = select(col(CustomerTag.name)).where(
        col(CustomerTag.customer_id) == customer_id, col(CustomerTag.source) == WECOM
    )
    worn = set((await session.execute(found)).scalars())
    if off := worn - set(names):
        await session.execute(_wecom_tags(off).where(col(CustomerTag.customer_id) == customer_id))
    if on := sorted(set(names) - worn):
        rows = [
            {"customer_id": customer_id, "name": name, "source": WECOM, "tagged_at": now}
            for name in on
        ]
        put_on = insert(CustomerTag).values(rows)
        added = put_on.on_conflict_do_nothing(index_elements=["customer_id", "name"])
        on = list((await session.execute(added.returning(col(CustomerTag.name)))).scalars())
    return bool(off or on)


async def take_turn(session: AsyncSession) -> None:
    """Wait until nobody else mirrors the tags; held until the transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('corp tags', 1))"))


async def mirror(session: AsyncSession, known: Sequence[KnownTag], now: datetime) -> int:
    """Make the company tags those WeCom has; customers' tags follow. Returns how many changed."""
    before = {tag.tag_id: tag for tag in (await session.execute(select(CorpTag))).scalars()}
    changed = 0
    for tag in known:
        changed += await _keep(session, before.pop(tag.tag_id, None), tag)
    for missing in before.values():
        if missing.deleted_at is None:
            missing.deleted_at = now
            changed += 1
            await session.flush()
            await _forget(session, missing.name)
    return changed


async def names_by_id(session: AsyncSession, tag_ids: Collection[str]) -> dict[str, str]:
    """Names of these company tags, as far as we know them."""
    query = select(col(CorpTag.tag_id), col(CorpTag.name)).where(col(CorpTag.tag_id).in_(tag_ids))
    return {row.tag_id: row.name for row in await session.execute(query)}


async def _keep(session: AsyncSession, ours: CorpTag | None, tag: KnownTag) -> bool:
    if ours is None:
        session.add(CorpTag(**vars(tag)))
        return True
    now_told = (tag.name, tag.group_id, tag.group_name, None)
    if (ours.name, ours.group_id, ours.group_name, ours.deleted_at) == now_told:
        return False
    old, ours.name = ours.name, tag.name
    ours.group_id, ours.group_name, ours.deleted_at = tag.group_id, tag.group_name, None
    await session.flush()
    if old != tag.name:
        await _rename(session, old, tag.name)
    return True


async def _rename(session: AsyncSession, old: str, new: str) -> None:
    """Customers wear the new name; whoever wears both keeps one."""
    if await _is_live(session, old):
        return  # Another group has a tag of this name; the nightly comparison sorts it out.
    wears_new = select(col(CustomerTag.customer_id)).where(col(CustomerTag.name) == new)
    renamed = (
        update(CustomerTag)
        .where(
            col(CustomerTag.source) == WECOM,
            col(CustomerTag.name) == old,
            col(CustomerTag.customer_id).not_in(wears_new),
        )
        .values(name=new)
    )
    await session.execute(renamed)
    await session.execute(_wecom_tags([old]))


async def _forget(session: AsyncSession, name: str) -> None:
    if not await _is_live(session, name):
        await session.execute(_wecom_tags([name]))


async def _is_live(session: AsyncSession, name: str) -> bool:
    same = select(func.count()).where(col(CorpTag.name) == name, col(CorpTag.deleted_at).is_(None))
    return bool((await session.execute(same)).scalar_one())


def _wecom_tags(names: Collection[str]) -> Delete:
    return delete(CustomerTag).where(
        col(CustomerTag.source) == WECOM, col(CustomerTag.name).in_(names)
    )

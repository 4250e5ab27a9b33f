"""Follow relations as WeCom tells them: the only writer of a relation's state.

Events only say that something happened; what is true now is asked of WeCom, and every relation of
the customer is made equal to the answer. So it does not matter in which order events come, how
often, or how late. Two moments decide where an answer and an event differ: a deletion ends what
began before it, and what has ended comes back only with a relation that began afterwards.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.models import Staff
from customers import stages, tags
from customers.models import Customer, Follow, FollowState, GroupMember
from wecom.contacts import Contact
from wecom.contacts import Follow as Link


@dataclass(frozen=True)
class Ended:
    """A deletion WeCom told us about: whose relation, when it ended, and how."""

    rm: Staff
    at: datetime
    how: FollowState


@dataclass(frozen=True)
class Aligned:
    """What asking WeCom about a customer changed: which relations began, which ended."""

    customer: Customer | None = None
    came: tuple[Follow, ...] = ()
    left: tuple[Follow, ...] = ()
    serving: frozenset[UUID] = frozenset()  # the RMs whose relation goes on
    redescribed: bool = False  # a remark, a channel or tags are others than before


async def take_turn(session: AsyncSession, external_userid: str) -> None:
    """Wait until nobody else asks WeCom about this contact; held until the transaction ends.

    Whoever asks later writes later, so an old answer never covers a new one.
    """
    turn = text("SELECT pg_advisory_xact_lock(hashtextextended(:contact, 1))")
    await session.execute(turn, {"contact": external_userid})


async def known(session: AsyncSession, external_userid: str, rm: Staff) -> Customer | None:
    """The customer behind a WeCom contact, if there is or was a relation with this RM."""
    query = (
        select(Customer)
        .join(Follow, col(Follow.customer_id) == col(Customer.id))
        .where(Customer.external_userid == external_userid, Follow.staff_id == rm.id)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def by_contact(session: AsyncSession, external_userid: str) -> Customer | None:
    """The customer behind a WeCom contact."""
    query = select(Customer).where(Customer.external_userid == external_userid)
    return (await session.execute(query)).scalar_one_or_none()


async def align(
    session: AsyncSession, contact: Contact, now: datetime, ended: Ended | None = None
) -> Aligned:
    """Make all relations of this contact with our staff what WeCom says they are.

    A contact whom none of our staff serves is not taken in. `ended` is a deletion the answer may
    not know yet.
    """
    links = [link for link in contact.follows if not _over(link, ended)]
    known_staff = await _staff_of(session, links)
    staff = _serving(known_staff, links)
    customer = await by_contact(session, contact.external_userid)
    if customer is None:
        if not staff:
            return Aligned()
        customer = await _taken_in(session, contact, staff[0][0], now)
    rows = {follow.staff_id: follow for follow in await _relations(session, customer)}
    before = {_description(follow) for follow in rows.values()}
    came = [
        follow
        for rm, link in staff
        if (follow := await _linked(session, rows.get(rm.id), rm, customer, link)) is not None
    ]
    linked = {member.id for member in known_staff}
    left = _gone([f for f in rows.values() if f.staff_id not in linked], now, ended)
    await session.flush()
    everybody = [*rows.values(), *(follow for follow in came if follow.staff_id not in rows)]
    await _settle(session, customer, left, everybody, now)
    retagged = await tags.wear(session, customer.id, tag_names(links), now)
    redescribed = retagged or before != {_description(follow) for follow in rows.values()}
    return Aligned(customer, tuple(came), tuple(left), _active(everybody), redescribed)


async def nobody(
    session: AsyncSession, external_userid: str, now: datetime, ended: Ended | None = None
) -> Aligned:
    """WeCom knows nobody in range who serves this contact: every relation is over."""
    customer = await by_contact(session, external_userid)
    if customer is None:
        return Aligned()
    rows = await _relations(session, customer)
    left = _gone(rows, now, ended)
    await session.flush()
    await _settle(session, customer, left, rows, now)
    return Aligned(customer, left=tuple(left))


def _over(link: Link, ended: Ended | None) -> bool:
    """Whether a deletion we know of is younger than what the answer says."""
    return (
        ended is not None
        and link.userid.lower() == ended.rm.userid.lower()
        and link.added_at < ended.at
    )


async def _staff_of(session: AsyncSession, links: Iterable[Link]) -> list[Staff]:
    """Our staff among those who serve the contact, disabled ones too."""
    userids = [link.userid.lower() for link in links]
    query = select(Staff).where(func.lower(col(Staff.userid)).in_(userids))
    return list((await session.execute(query)).scalars())


def _serving(staff: Iterable[Staff], links: Iterable[Link]) -> list[tuple[Staff, Link]]:
    """The enabled ones with their relations, longest relation first."""
    by_userid = {link.userid.lower(): link for link in links}
    pairs = [(rm, by_userid[rm.userid.lower()]) for rm in staff if rm.enabled]
    return sorted(pairs, key=lambda pair: (pair[1].added_at, pair[0].userid))


def _active(rows: Iterable[Follow]) -> frozenset[UUID]:
    return frozenset(row.staff_id for row in rows if row.state == FollowState.ACTIVE)


async def _taken_in(session: AsyncSession, contact: Contact, rm: Staff, now: datetime) -> Customer:
    fresh = insert(Customer).values(
        external_userid=contact.external_userid,
        name=contact.name,
        gender=contact.gender,
        branch_id=rm.branch_id,
        created_at=now,
    )
    await session.execute(fresh.on_conflict_do_nothing(index_elements=["external_userid"]))
    query = select(Customer).where(Customer.external_userid == contact.external_userid)
    customer = (await session.execute(query)).scalar_one()
    # They may have been in a group before they were anybody's customer.
    member = col(GroupMember.member_id) == contact.external_userid
    in_groups = (await session.execute(select(GroupMember).where(member))).scalars()
    for seat in in_groups:
        seat.customer_id = customer.id
    return customer


async def _relations(session: AsyncSession, customer: Customer) -> list[Follow]:
    query = select(Follow).where(Follow.customer_id == customer.id).order_by(col(Follow.id))
    fresh = {"populate_existing": True}
    rows = await session.execute(query.with_for_update(), execution_options=fresh)
    return list(rows.scalars())


async def _linked(
    session: AsyncSession, follow: Follow | None, rm: Staff, customer: Customer, link: Link
) -> Follow | None:
    """Keep what WeCom says of a live relation; the row if the relation began or came back."""
    if follow is None:
        follow = Follow(staff_id=rm.id, customer_id=customer.id, added_at=link.added_at)
        session.add(follow)
        _describe(follow, link)
        return follow
    if follow.state == FollowState.ACTIVE:
        _describe(follow, link)
        return None
    definite = follow.state != FollowState.GONE and follow.removed_at is not None
    if definite and follow.removed_at is not None and link.added_at < follow.removed_at:
        # WeCom still lists some customers who deleted the member.
        return None
    follow.state, follow.removed_at = FollowState.ACTIVE, None
    _describe(follow, link)
    return follow


def _describe(follow: Follow, link: Link) -> None:
    follow.added_at, follow.add_way, follow.remark = link.added_at, link.add_way, link.remark
    follow.source = link.state or follow.source
    if follow.archive_agreed_at is not None and follow.archive_agreed_at < link.added_at:
        follow.archive_agreed_at = None  # That was an earlier relation.


def _description(follow: Follow) -> tuple[object, ...]:
    return follow.id, follow.remark, follow.source, follow.add_way, follow.added_at


def _gone(rows: Iterable[Follow], now: datetime, ended: Ended | None) -> list[Follow]:
    """End what WeCom no longer knows; why, an event says, or may still say."""
    left = [follow for follow in rows if follow.state == FollowState.ACTIVE]
    for follow in left:
        told = ended if ended and ended.rm.id == follow.staff_id else None
        follow.state = told.how if told else FollowState.GONE
        follow.removed_at = told.at if told else now
    return left


async def _settle(
    session: AsyncSession,
    customer: Customer,
    left: Iterable[Follow],
    everybody: Collection[Follow],
    now: datetime,
) -> None:
    """Keep in the audit book who left, and the stage in line with all relations there are."""
    for follow in left:
        audit.record(
            session,
            "customers:follow:end",
            follow.id,
            by=audit.SYSTEM,
            now=now,
            how=follow.state.value,
        )
    await stages.follow_relations(session, customer, {row.state for row in everybody}, now)


def tag_names(links: Iterable[Link]) -> set[str]:
    """Names of company tags; a member's personal ones have no id and are nobody else's business."""
    return {tag.name for link in links for tag in link.tags if tag.id and tag.name}


async def told_ended(
    session: AsyncSession, external_userid: str, ended: Ended, now: datetime
) -> Follow | None:
    """The relation a deletion has ended; None where it goes on, or nobody knows the customer.

    What was ended on a guess, or by an older deletion, is corrected. A relation we never saw begin
    is kept as an ended one.
    """
    customer = await by_contact(session, external_userid)
    if customer is None:
        return None
    follow = await _pair(session, ended.rm, customer)
    if follow is None:
        follow = Follow(staff_id=ended.rm.id, customer_id=customer.id, added_at=ended.at)
        session.add(follow)
    elif follow.state == FollowState.ACTIVE or not _is_news(follow, ended.at):
        return follow if _is_same(follow, ended) else None
    follow.state, follow.removed_at = ended.how, ended.at
    await session.flush()
    everybody = await _relations(session, customer)
    await _settle(session, customer, [follow], everybody, now)
    return follow


def _is_same(follow: Follow, ended: Ended) -> bool:
    return (follow.state, follow.removed_at) == (ended.how, ended.at)


def _is_news(follow: Follow, at: datetime) -> bool:
    """A guess gives way to any event, an event to a younger one."""
    return follow.state == FollowState.GONE or follow.removed_at is None or follow.removed_at < at


async def staff_called(session: AsyncSession, userids: Iterable[str]) -> dict[str, Staff]:
    """Our enabled staff by these user ids, written small."""
    query = select(Staff).where(
        func.lower(col(Staff.userid)).in_({u.lower() for u in userids}), col(Staff.enabled)
    )
    return {rm.userid.lower(): rm for rm in (await session.execute(query)).scalars()}


async def begin(session: AsyncSession, rm: Staff, customer_id: UUID, at: datetime) -> bool:
    """The bank says that this RM follows the customer; False where WeCom told of the two before.

    WeCom has the last word: when it is asked, the relation is made what it says.
    """
    fresh = insert(Follow).values(staff_id=rm.id, customer_id=customer_id, added_at=at)
    once = fresh.on_conflict_do_nothing(index_elements=["staff_id", "customer_id"])
    made = await session.execute(once.returning(col(Follow.id)))
    return made.scalar_one_or_none() is not None


async def end(
    session: AsyncSession,
    rm: Staff,
    external_userid: str,
    how: FollowState,
    at: datetime,
    now: datetime,
) -> Follow | None:
    """The relation was over at that moment; the RM loses sight of the customer at once.

    None if it was over before, or began later.
    """
    customer = await by_contact(session, external_userid)
    follow = await _pair(session, rm, customer) if customer else None
    if customer is None or follow is None:
        return None
    if follow.state != FollowState.ACTIVE or follow.added_at > at:
        return None
    follow.state, follow.removed_at = how, at
    await session.flush()
    everybody = await _relations(session, customer)
    await _settle(session, customer, [follow], everybody, now)
    return follow


async def _pair(session: AsyncSession, rm: Staff, customer: Customer) -> Follow | None:
    query = select(Follow).where(Follow.staff_id == rm.id, Follow.customer_id == customer.id)
    fresh = {"populate_existing": True}
    rows = await session.execute(query.with_for_update(), execution_options=fresh)
    return rows.scalar_one_or_none()


async def agreed_to_archive(
    session: AsyncSession, rm: Staff, external_userid: str, at: datetime
) -> bool:
    """The customer agreed to archiving of this chat; False where there is no such relation now.

    An agreement from before the relation began belonged to an earlier one.
    """
    customer = await by_contact(session, external_userid)
    follow = await _pair(session, rm, customer) if customer else None
    if follow is None or follow.state != FollowState.ACTIVE or at < follow.added_at:
        return False
    follow.archive_agreed_at = min(at, follow.archive_agreed_at or at)
    return True


async def transfer_failed(
    session: AsyncSession, rm: Staff, external_userid: str, reason: str, at: datetime, now: datetime
) -> bool:
    """A handover to this RM failed: noted on the relations it was to replace, the last one counts.

    False where nobody of ours serves the customer.
    """
    customer = await by_contact(session, external_userid)
    rows = await _relations(session, customer) if customer else []
    live = [follow for follow in rows if follow.state == FollowState.ACTIVE]
    for follow in [f for f in live if f.staff_id != rm.id] or live:
        if at >= await _last_failure(session, follow):
            follow.transfer_failure = reason
            _note_failure(session, follow, rm, reason, at, now)
    return bool(live)


async def _last_failure(session: AsyncSession, follow: Follow) -> datetime:
    lines = await audit.history(session, "follow", follow.id)
    moments = [line.detail["happened"] for line in lines if "happened" in line.detail]
    return max((datetime.fromisoformat(m) for m in moments), default=follow.added_at)


def _note_failure(
    session: AsyncSession, follow: Follow, rm: Staff, reason: str, at: datetime, now: datetime
) -> None:
    audit.record(
        session,
        "customers:follow:transfer_fail",
        follow.id,
        by=audit.SYSTEM,
        now=now,
        happened=at.isoformat(),
        to=rm.userid,
        reason=reason,
    )

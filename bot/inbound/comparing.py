"""What each round of 对账 compares, and how it mends what it finds; the rhythm is in `repair`."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.database import Sessions
from bank.metrics import MISSED
from bank.models import Role, Staff
from bot.inbound import relations
from bot.inbound.effects import mirror_tags
from bot.models import InboundEvent, InboundState, RepairMark
from customers import groups, tags
from customers.models import Customer, CustomerGroup, CustomerTag, Follow, FollowState
from wecom.client import WeComClient
from wecom.contacts import Relation
from wecom.errors import GroupRefused, NotPermitted, RelationGone, WeComError

RMS_A_ROUND = 300
GROUPS_A_ROUND = 500
AT_ONCE = 100
# A change this young has its callback on the way.
GRACE = timedelta(minutes=2)
# Some who deleted their RM stay in WeCom's list: only those who left lately are looked up again.
LATELY = timedelta(days=1)


@dataclass
class Round:
    """One round under way: what it looked at, what it mended, and whom it could not compare."""

    sessions: Sessions
    wecom: WeComClient
    now: datetime
    looked_at: int = 0
    mended: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def mend(self, what: str, times: int = 1) -> None:
        """Count differences that were mended; each is a callback that did not do its work."""
        if times:
            self.mended[what] += times
            MISSED.labels(what).inc(times)

    def failed(self, error: WeComError) -> None:
        """One comparison failed; an error that is nobody's in particular ends the round."""
        if not isinstance(error, NotPermitted | RelationGone):
            raise error
        self.failures[type(error).__name__] += 1


# Relations.


async def relations_of_rms(done: Round) -> None:
    """Each RM's list of customers against our relations."""
    async with done.sessions() as session:
        rms = await rms_longest_ago(session, RMS_A_ROUND)
    for rm in rms:
        try:
            await _relations_of(done, rm)
        except WeComError as error:
            done.failed(error)
        async with done.sessions.begin() as session:
            await note_compared(session, rm, done.now)


async def _relations_of(done: Round, rm: Staff) -> None:
    theirs = set(await done.wecom.contacts.of_member(rm.userid))
    async with done.sessions() as session:
        ours = await _ours(session, rm, done.now)
        waiting = await waiting_keys(session)
    done.looked_at += len(theirs | ours.live)
    for contact in sorted(theirs - ours.live - ours.parted - waiting):
        await _mend_relation(done, contact)
    for contact in sorted(ours.live - theirs - waiting):
        await _mend_relation(done, contact)


@dataclass(frozen=True)
class Ours:
    """Contacts an RM serves as far as we know, and those who parted from them some time ago."""

    live: frozenset[str]
    parted: frozenset[str]


async def _ours(session: AsyncSession, rm: Staff, now: datetime) -> Ours:
    query = (
        select(Customer.external_userid, Follow.state, Follow.removed_at)
        .join(Follow, col(Follow.customer_id) == col(Customer.id))
        .where(Follow.staff_id == rm.id, col(Customer.external_userid).is_not(None))
    )
    live, parted = set(), set()
    for contact, state, removed_at in await session.execute(query):
        if state == FollowState.ACTIVE:
            live.add(str(contact))
        elif state != FollowState.GONE and removed_at and now - removed_at > LATELY:
            parted.add(str(contact))
    return Ours(frozenset(live), frozenset(parted))


async def _mend_relation(done: Round, external_userid: str) -> None:
    """One contact, one transaction, by the road of the events."""
    async with done.sessions.begin() as session:
        aligned = await relations.mend(session, done.wecom, external_userid, done.now, GRACE)
    done.mend("relation_began", len(aligned.came))
    done.mend("relation_ended", len(aligned.left))


# Groups.


async def groups_of_rms(done: Round) -> None:
    """The groups of our RMs, and what is in those asked for longest ago."""
    async with done.sessions() as session:
        owners = [rm.userid for rm in await rms_longest_ago(session, RMS_A_ROUND * AT_ONCE)]
        known = await _known_groups(session)
        waiting = await waiting_keys(session)
    listed: set[str] = set()
    for some_of_them in _chunks(owners, AT_ONCE):
        listed |= {row.chat_id for row in await done.wecom.groups.listed(some_of_them)}
    missing = sorted(listed - known.keys())
    over = sorted(known.keys() - listed)
    oldest = sorted(known.keys() & listed, key=lambda chat: known[chat])
    for chat_id in [*missing, *over, *oldest][:GROUPS_A_ROUND]:
        if chat_id not in waiting:
            await _mend_group(done, chat_id)


async def _known_groups(session: AsyncSession) -> dict[str, float]:
    """Living groups by their WeCom id, with the second they were last asked for."""
    query = select(CustomerGroup.chat_id, CustomerGroup.checked_at).where(
        col(CustomerGroup.dismissed_at).is_(None)
    )
    rows = await session.execute(query)
    return {chat_id: checked.timestamp() if checked else 0.0 for chat_id, checked in rows}


async def _mend_group(done: Round, chat_id: str) -> None:
    done.looked_at += 1
    async with done.sessions.begin() as session:
        await groups.take_turn(session, chat_id)
        known = await groups.known(session, chat_id) is not None
        try:
            told = await done.wecom.groups.get(chat_id)
        except (GroupRefused, RelationGone):
            over = await groups.dismiss(session, chat_id, done.now, done.now)
            done.mend("group_dismissed", over)
            return
        except WeComError as error:
            done.failed(error)
            return
        if not known and done.now - told.created_at < GRACE:
            return
        changed = await groups.take_in(session, told, done.now)
    done.mend("group_changed" if known else "group_created", changed)


# Tags, and the details of every relation.


async def company_tags(done: Round) -> None:
    """The company's tags."""
    async with done.sessions.begin() as session:
        changed = await mirror_tags(session, done.wecom, done.now)
    done.looked_at += changed
    done.mend("tag", changed)


async def details(done: Round) -> None:
    """Remark, channel and tags of every relation, as the long list tells them."""
    async with done.sessions() as session:
        rms = await rms_longest_ago(session, RMS_A_ROUND * AT_ONCE)
    userids = [rm.userid for rm in rms]
    async for page in _pages(done.wecom.contacts.relations(userids)):
        done.looked_at += len(page)
        async with done.sessions() as session:
            differing = await _differing(session, page)
            waiting = await waiting_keys(session)
        for contact in sorted(differing - waiting):
            await _mend_details(done, contact)


async def _pages(relations_: AsyncIterator[Relation]) -> AsyncIterator[list[Relation]]:
    page: list[Relation] = []
    async for relation in relations_:
        page.append(relation)
        if len(page) == AT_ONCE:
            yield page
            page = []
    if page:
        yield page


async def _differing(session: AsyncSession, page: Sequence[Relation]) -> set[str]:
    """Contacts of whom WeCom says something else than we keep."""
    contacts = {relation.external_userid for relation in page}
    kept = await _kept(session, contacts)
    worn = await _worn(session, contacts)
    tag_ids = {tag_id for relation in page for tag_id in relation.tag_ids}
    names = await tags.names_by_id(session, tag_ids)
    differing = set()
    for relation in page:
        follow = kept.get((relation.userid.lower(), relation.external_userid))
        told = {names[tag_id] for tag_id in relation.tag_ids if tag_id in names}
        wears_others = told != worn.get(relation.external_userid, set())
        if follow is None or _says_other(follow, relation, wears_others):
            differing.add(relation.external_userid)
    return differing


def _says_other(follow: Follow, relation: Relation, wears_others: bool) -> bool:
    if follow.state != FollowState.ACTIVE:
        # Some who deleted their RM stay in the list, with the day on which it once began.
        ended = None if follow.state == FollowState.GONE else follow.removed_at
        return ended is None or relation.added_at >= ended
    told = (relation.remark, relation.add_way, relation.added_at)
    return wears_others or (follow.remark, follow.add_way, follow.added_at) != told


async def _kept(session: AsyncSession, contacts: Collection[str]) -> dict[tuple[str, str], Follow]:
    query = (
        select(Follow, func.lower(col(Staff.userid)), Customer.external_userid)
        .join(Staff, col(Staff.id) == col(Follow.staff_id))
        .join(Customer, col(Customer.id) == col(Follow.customer_id))
        .where(col(Customer.external_userid).in_(contacts))
    )
    rows = await session.execute(query)
    return {(userid, str(contact)): follow for follow, userid, contact in rows}


async def _worn(session: AsyncSession, contacts: Collection[str]) -> dict[str, set[str]]:
    query = (
        select(Customer.external_userid, CustomerTag.name)
        .join(CustomerTag, col(CustomerTag.customer_id) == col(Customer.id))
        .where(col(Customer.external_userid).in_(contacts), CustomerTag.source == tags.WECOM)
    )
    worn: dict[str, set[str]] = {}
    for contact, name in await session.execute(query):
        worn.setdefault(str(contact), set()).add(name)
    return worn


async def _mend_details(done: Round, external_userid: str) -> None:
    async with done.sessions.begin() as session:
        aligned = await relations.mend(session, done.wecom, external_userid, done.now)
    done.mend("relation_began", len(aligned.came))
    done.mend("relation_ended", len(aligned.left))
    done.mend("details", aligned.redescribed)


def _chunks(rows: Sequence[str], size: int) -> list[Sequence[str]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


# What rounds ask the tables.


async def rms_longest_ago(session: AsyncSession, limit: int) -> list[Staff]:
    """Enabled staff who serve customers, those compared longest ago first."""
    serves = select(Follow.id).where(
        col(Follow.staff_id) == Staff.id, col(Follow.state) == FollowState.ACTIVE
    )
    query = (
        select(Staff)
        .outerjoin(RepairMark, col(RepairMark.staff_id) == col(Staff.id))
        .where(Staff.enabled, col(Staff.roles).contains([Role.RM.value]) | serves.exists())
        .order_by(col(RepairMark.compared_at).asc().nulls_first(), col(Staff.userid))
        .limit(limit)
    )
    return list((await session.execute(query)).scalars())


async def note_compared(session: AsyncSession, staff: Staff, now: datetime) -> None:
    """This RM has had their turn."""
    row = insert(RepairMark).values(staff_id=staff.id, compared_at=now)
    again = row.on_conflict_do_update(index_elements=["staff_id"], set_={"compared_at": now})
    await session.execute(again)


async def waiting_keys(session: AsyncSession) -> set[str]:
    """Customers and groups with an event that came and is not handled yet: nothing was missed."""
    query = select(InboundEvent.order_key).where(
        InboundEvent.state == InboundState.NEW, InboundEvent.order_key != ""
    )
    return set((await session.execute(query)).scalars())

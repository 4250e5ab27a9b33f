"""The simulated platform as the demo bank's staff and customers left it last night."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from bank.models import ROLE_LABELS, Branch, Role, Staff
from bot.chat.customer_chat import ARCHIVE
from bot.demo.group_world import Rooms, said, seeded_groups
from bot.demo.people import names
from bot.demo.service import seeded_service
from bot.models import ContactWay, Cursor, Speaker, WayState
from bot.models import Message as StoredMessage
from customers.models import CorpTag, Customer, CustomerTag, Follow
from customers.tags import WECOM
from wecom.contact_ways import ONE_MEMBER, QR_CODE
from wecom.simulator import Contact, FollowRelation, Member, World
from wecom.simulator.channels import ContactWay as PlatformWay
from wecom.simulator.channels import Tag, TagGroup
from wecom.simulator.state import Message

REMEMBERED = timedelta(days=30)
HEAD_OFFICE = "总行财富管理部"
COLORS = ("#5b8ff9", "#5ad8a6", "#f6bd16", "#e8684a", "#6dc8ec", "#9270ca", "#ff9d4d", "#269a99")


async def seeded_world(session: AsyncSession) -> World:
    """Members, contacts, relations, groups and the last thirty days of chat, as the bank has them.

    The archive cursor is set behind these messages: what is stored already is not pulled again.
    """
    world, rooms = World(), await seeded_groups(session)
    contacts = [*await _contacts(session), *rooms.strangers]
    world.seed(await _members(session), contacts, await _follows(session))
    world.groups.update(rooms.groups)
    world.join_ways.update(rooms.join_ways)
    world.contact_ways.update(await _contact_ways(session))
    world.tag_groups.update(await _tag_groups(session))
    world.messages.extend(await _messages(session, rooms))
    world.service = await seeded_service(session)
    position = len(world.messages)
    cursor = insert(Cursor).values(name=ARCHIVE, position=position)
    await session.execute(
        cursor.on_conflict_do_update(index_elements=["name"], set_={"position": position})
    )
    return world


async def _members(session: AsyncSession) -> list[Member]:
    query = (
        select(Staff, Branch.name)
        .outerjoin(Branch, col(Branch.id) == col(Staff.branch_id))
        .where(col(Staff.enabled))
        .order_by(col(Staff.userid))
    )
    return [
        Member(staff.userid, staff.name, branch or HEAD_OFFICE, staff.title or _role(staff))
        for staff, branch in (await session.execute(query))
    ]


def _role(staff: Staff) -> str:
    return "、".join(ROLE_LABELS[Role(role)] for role in staff.roles)


async def _contacts(session: AsyncSession) -> list[Contact]:
    query = select(Customer).where(col(Customer.external_userid).is_not(None))
    customers = (await session.execute(query.order_by(col(Customer.bank_no)))).scalars()
    return [
        Contact(c.external_userid or "", c.name, c.gender, COLORS[c.id.int % len(COLORS)])
        for c in customers
    ]


async def _follows(session: AsyncSession) -> list[FollowRelation]:
    query = (
        select(Follow, Staff.userid, Customer.external_userid)
        .join(Staff, col(Staff.id) == col(Follow.staff_id))
        .join(Customer, col(Customer.id) == col(Follow.customer_id))
        .where(col(Customer.external_userid).is_not(None), col(Staff.enabled))
        .order_by(col(Follow.added_at), col(Follow.id))
    )
    worn = await _worn(session)
    return [
        FollowRelation(
            userid=userid,
            external_userid=contact or "",
            created_at=follow.added_at,
            # A word is what we noted ourselves; WeCom only knows the keys of codes.
            state=follow.source if follow.source.isascii() else "",
            remark=follow.remark,
            add_way=follow.add_way or 0,
            deleted_at=follow.removed_at,
            tags=worn.get(follow.customer_id, []),
            personal_tags=_own_words(follow),
        )
        for follow, userid, contact in (await session.execute(query))
    ]


async def _worn(session: AsyncSession) -> dict[UUID, list[str]]:
    """The company tags of each customer, by id; every manager of theirs has put them on."""
    query = (
        select(CustomerTag.customer_id, CorpTag.tag_id)
        .join(CorpTag, col(CorpTag.name) == CustomerTag.name)
        .where(CustomerTag.source == WECOM)
        .order_by(col(CustomerTag.name))
    )
    worn: dict[UUID, list[str]] = {}
    for customer_id, tag_id in await session.execute(query):
        worn.setdefault(customer_id, []).append(tag_id)
    return worn


def _own_words(follow: Follow) -> list[str]:
    """Every third relation has a tag of the manager's own."""
    words: list[str] = names()["tags"]["personal"]
    return [words[follow.id.int % len(words)]] if follow.id.int % 3 == 0 else []


async def _tag_groups(session: AsyncSession) -> dict[str, TagGroup]:
    """The company's tags as the bank knows them."""
    made = (await session.execute(select(func.min(Follow.added_at)))).scalar_one()
    groups: dict[str, TagGroup] = {}
    for tag in (await session.execute(select(CorpTag).order_by(CorpTag.tag_id))).scalars():
        group = groups.setdefault(tag.group_id, TagGroup(tag.group_id, tag.group_name, made))
        group.tags[tag.tag_id] = Tag(tag.tag_id, tag.name, made)
    return groups


async def _contact_ways(session: AsyncSession) -> dict[str, PlatformWay]:
    """The codes that can be scanned, by config id."""
    query = (
        select(ContactWay, Staff.userid)
        .join(Staff, col(Staff.id) == col(ContactWay.staff_id))
        .where(col(ContactWay.state) == WayState.LIVE)
        .order_by(col(ContactWay.channel), col(Staff.userid))
    )
    return {
        way.config_id: PlatformWay(
            config_id=way.config_id,
            created_at=way.made_at,
            kind=ONE_MEMBER,
            scene=QR_CODE,
            users=[userid],
            state=way.key,
            remark=way.channel,
        )
        for way, userid in await session.execute(query)
        if way.config_id
    }


async def _messages(session: AsyncSession, rooms: Rooms) -> list[Message]:
    newest = (await session.execute(select(func.max(StoredMessage.sent_at)))).scalar_one()
    if newest is None:
        return []
    query = (
        select(StoredMessage, Staff.userid, Customer.external_userid)
        .join(Staff, col(Staff.id) == col(StoredMessage.staff_id))
        .join(Customer, col(Customer.id) == col(StoredMessage.customer_id))
        .where(col(StoredMessage.sent_at) >= newest - REMEMBERED)
        .order_by(col(StoredMessage.sent_at), col(StoredMessage.msgid))
    )
    rows = await session.execute(query)
    chats = [
        Message(
            seq=0,
            msgid=stored.msgid,
            userid=userid,
            external_userid=contact or "",
            from_customer=stored.speaker is Speaker.CUSTOMER,
            msgtype="text",
            body={"content": stored.text},
            via="chat",
            at=stored.sent_at,
        )
        for stored, userid, contact in rows
    ]
    everything = sorted([*chats, *await said(session, rooms)], key=lambda one: one.at)
    return [replace(message, seq=seq) for seq, message in enumerate(everything, 1)]

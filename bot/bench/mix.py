"""What a bank's busy minute is made of, and the bank and the platform it happens to.

Of a hundred callbacks sixty say that an RM edited a customer (remarks, tags), twenty that somebody
came into a group or left it, five ring the archive's bell, five tell of the company's tags, eight
of a new customer, two of a customer who left. Customers and groups are edited again and again, and
they do change at the platform while the callbacks pour in.
"""

import asyncio
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from random import Random

from bank.database import open_engine, open_sessions, utc_now
from bank.models import Role, Staff
from bank.settings import Settings
from bot.bench import people
from bot.bench.load import BEGAN
from bot.demo.run import CORP
from customers.models import Customer, CustomerGroup, Follow
from wecom.simulator import Contact, FollowRelation, Member, World
from wecom.simulator.groups import Group, GroupMember, new_version

RMS = 30
GUEST = "wmBURSTGUEST"
IN_A_GROUP = 20
SEED = 18
# How often the platform's people change something, and how much of it.
STIR_SECONDS = 0.1
REMARKS, MOVES = 30, 10


class Kind(enum.StrEnum):
    """What a callback is about."""

    EDIT = "edit"
    GROUP = "group"
    BELL = "bell"
    TAG = "tag"
    ADD = "add"
    DELETE = "delete"


SHARES = {
    Kind.EDIT: 60,
    Kind.GROUP: 20,
    Kind.ADD: 8,
    Kind.BELL: 5,
    Kind.TAG: 5,
    Kind.DELETE: 2,
}
WHOLE = sum(SHARES.values())


@dataclass(frozen=True)
class Size:
    """How many callbacks come, and about how many customers and groups."""

    callbacks: int
    customers: int
    groups: int

    def of(self, kind: Kind) -> int:
        """How many customers or groups callbacks of that kind are about."""
        numbers = {Kind.EDIT: self.customers, Kind.GROUP: self.groups}
        return numbers.get(kind, self.callbacks * SHARES[kind] // WHOLE + SHARES[kind])


@dataclass(frozen=True)
class Happening:
    """One callback: its place among all, its kind, and which customer or group it is about."""

    number: int
    kind: Kind
    subject: int


def happenings(size: Size) -> Iterator[Happening]:
    """The same mix in the same order at every call."""
    dice, places = Random(SEED), {kind: count() for kind in Kind}
    round_of = [kind for kind, share in SHARES.items() for _ in range(share)]
    for number in range(size.callbacks):
        if number % WHOLE == 0:
            dice.shuffle(round_of)
        kind = round_of[number % WHOLE]
        yield Happening(number, kind, next(places[kind]) % size.of(kind))


# ---------------------------------------------------------------------------------- who they are


def rm(number: int) -> str:
    """The userid of the RM who serves that customer, or owns that group."""
    return f"rm{number % RMS:05d}"


def contact(kind: Kind, number: int) -> str:
    """The platform's id of the customer whom callbacks of that kind are about."""
    return f"wmBURST{kind.upper():A<6}{number:019d}"


def chat(number: int) -> str:
    """The platform's id of that group."""
    return f"wrBURST{number:025d}"


def a_world(size: Size) -> World:
    """The platform: everybody who is not gone, and the groups."""
    long_ago, lately = utc_now() - timedelta(days=90), utc_now()
    world = World().seed([Member(rm(number), "王敏") for number in range(RMS)], [], [])
    world.seed([], [Contact(GUEST, "陈先生")], [])
    for kind, since in ((Kind.EDIT, long_ago), (Kind.ADD, lately)):
        names = [contact(kind, number) for number in range(size.of(kind))]
        relations = [FollowRelation(rm(at), name, since) for at, name in enumerate(names)]
        world.seed([], [Contact(name, "李女士") for name in names], relations)
    for number in range(size.groups):
        group = Group(chat(number), "理财沙龙", rm(number), long_ago)
        group.members = {
            name: GroupMember(name, 1 if name == group.owner else 2, long_ago)
            for name in (group.owner, *_seats(size, number))
        }
        world.groups[group.chat_id] = group
    return world


def _seats(size: Size, number: int) -> list[str]:
    of_group = range(number * IN_A_GROUP, (number + 1) * IN_A_GROUP)
    return [contact(Kind.EDIT, at % size.customers) for at in of_group]


async def stir(world: World, size: Size) -> None:
    """What the callbacks tell of: remarks change, customers leave groups and come back."""
    dice, groups = Random(SEED), list(world.groups.values())
    for turn in count():
        for number in dice.sample(range(size.customers), min(REMARKS, size.customers)):
            relation = world.follow(rm(number), contact(Kind.EDIT, number))
            if relation:
                relation.remark = f"第 {turn} 次备注"
        for group in dice.sample(groups, min(MOVES, len(groups))):
            _move(group)
        await asyncio.sleep(STIR_SECONDS)


def _move(group: Group) -> None:
    if group.members.pop(GUEST, None) is None:
        group.members[GUEST] = GroupMember(GUEST, 2, utc_now())
    group.version = new_version()


async def settle_bank(settings: Settings, size: Size) -> None:
    """The bank knows its RMs, their customers and groups, and those who are about to leave.

    It has a welcome, and a running SOP for whoever comes.
    """
    engine = open_engine(settings.database_url)
    async with open_sessions(engine).begin() as session:
        branch_id = (await people.settle(session, utc_now())).rm.branch_id
        staff = [
            Staff(
                userid=rm(at),
                name="王敏",
                roles=[Role.RM.value],
                branch_id=branch_id,
                certified_until=people.CERTIFIED_UNTIL,
            )
            for at in range(RMS)
        ]
        session.add_all(staff)
        await session.flush()
        for kind in (Kind.EDIT, Kind.DELETE):
            session.add_all(_served(staff, kind, size.of(kind)))
        session.add_all(
            CustomerGroup(chat_id=chat(number), owner_userid=rm(number), created_at=utc_now())
            for number in range(size.groups)
        )
    await engine.dispose()


def _served(staff: list[Staff], kind: Kind, number: int) -> Iterator[Customer | Follow]:
    since, branch_id = utc_now() - timedelta(days=90), staff[0].branch_id
    for at in range(number):
        customer = Customer(
            external_userid=contact(kind, at), name="李女士", branch_id=branch_id, created_at=since
        )
        yield customer
        yield Follow(staff_id=staff[at % RMS].id, customer_id=customer.id, added_at=since)


# ------------------------------------------------------------------------------ what is called in

ENVELOPE = """<xml><ToUserName><![CDATA[{corp}]]></ToUserName>
<FromUserName><![CDATA[sys]]></FromUserName><CreateTime>{second}</CreateTime>
<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{event}]]></Event>{fields}</xml>"""
CHANGES = {
    Kind.EDIT: "edit_external_contact",
    Kind.ADD: "add_external_contact",
    Kind.DELETE: "del_follow_user",
}


def told(happening: Happening) -> str:
    """The callback as WeCom writes it, a second after the one before it."""
    event, fields = _words(happening)
    second = BEGAN + happening.number
    return ENVELOPE.format(corp=CORP.corp_id, second=second, event=event, fields=fields)


def _words(happening: Happening) -> tuple[str, str]:
    kind, number = happening.kind, happening.subject
    if kind is Kind.BELL:
        return "msgaudit_notify", "<AgentID>2000004</AgentID>"
    if kind is Kind.TAG:
        changed = "<ChangeType>update</ChangeType><TagType>tag</TagType>"
        return "change_external_tag", f"{changed}<Id>et{number}</Id>"
    if kind is Kind.GROUP:
        return "change_external_chat", _of_a_group(happening)
    people = f"<UserID>{rm(number)}</UserID><ExternalUserID>{contact(kind, number)}"
    change = f"<ChangeType>{CHANGES[kind]}</ChangeType>"
    return "change_external_contact", f"{change}{people}</ExternalUserID>"


def _of_a_group(happening: Happening) -> str:
    came = happening.number % 2
    how = "add_member" if came else "del_member"
    scene = "<JoinScene>3</JoinScene>" if came else "<QuitScene>0</QuitScene>"
    before, after = happening.number, happening.number + 1
    return (
        f"<ChangeType>update</ChangeType><ChatId>{chat(happening.subject)}</ChatId>"
        f"<UpdateDetail>{how}</UpdateDetail>{scene}<MemChangeCnt>1</MemChangeCnt>"
        f"<MemChangeList><Item>{GUEST}</Item></MemChangeList>"
        f"<LastMemVer>{before}</LastMemVer><CurMemVer>{after}</CurMemVer>"
    )


def is_in_order(kind: Kind) -> bool:
    """Whether callbacks of that kind belong to a customer or a group."""
    return kind not in (Kind.BELL, Kind.TAG)

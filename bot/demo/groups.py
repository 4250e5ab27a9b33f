"""Customer groups of the demo bank: who opened them, who came in by what, who left again."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bank.calendar import at_local, local_day
from bank.models import Staff
from bot.demo.library import line
from bot.demo.people import LETTERS, Client, People
from bot.demo.rows import Rows, ident, row
from customers.models import CustomerGroup, GroupMember
from wecom.simulator.groups import BY_CODE, BY_LINK, INVITED

BY_CODE_SHARE, BY_LINK_SHARE = 0.55, 0.15
# Nearly half of a group comes in its first days, a few this week, the others over its life.
AT_ONCE_SHARE, LATELY_SHARE, FIRST_DAYS, LATELY_DAYS = 0.45, 0.1, 6, 6
LEAVING, REMOVED_SHARE, LEAVING_LATELY = 0.12, 0.2, 0.3


@cache
def script() -> dict[str, Any]:
    """The groups, the nicknames of strangers, and what is said."""
    path = Path(__file__).with_name("groups.yaml")
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


@dataclass(frozen=True)
class _Room:
    """One group while it is being filled."""

    rows: Rows
    group: CustomerGroup
    opened: datetime
    ends: datetime
    rng: random.Random


def groups(rows: Rows, cast: People, today: date, seed: int) -> None:
    """Every group with everybody who is or was in it."""
    rng = random.Random(f"groups:{seed}")
    names = script()["nicknames"].split()
    nicknames = iter(rng.sample(names, len(names)))
    staff = {person.userid: person for person in cast.staff}
    for told in script()["groups"]:
        owner = staff[told["owner"]]
        room = _opened(rows, owner, told, today, rng)
        _seat_staff(room, owner, staff.get(told.get("with", "")))
        for client in _circle(cast, owner, told["size"], room, rng):
            _seat_client(room, owner, client)
        for _ in range(told["guests"]):
            _seat_guest(room, owner, next(nicknames))
        _note_versions(room)


def _opened(
    rows: Rows, owner: Staff, told: dict[str, Any], today: date, rng: random.Random
) -> _Room:
    opened = at_local(today - timedelta(days=told["back"]), time(rng.randint(10, 16), 20))
    over = told.get("dismissed")
    dismissed = at_local(today - timedelta(days=over), time(17, 40)) if over else None
    group = row(
        CustomerGroup,
        id=ident("group", told["name"]),
        chat_id="wr" + "".join(rng.choices(LETTERS, k=30)),
        name=told["name"],
        notice=script()["notice"],
        owner_userid=owner.userid,
        created_at=opened,
        dismissed_at=dismissed,
        checked_at=dismissed or at_local(today, time()) - timedelta(minutes=4),
    )
    rows.add(group)
    if dismissed is not None:
        rows.add(line("customers:group:dismiss", group.id, "system", dismissed))
    return _Room(rows, group, opened, dismissed or at_local(today, time()), rng)


def _circle(cast: People, owner: Staff, size: int, room: _Room, rng: random.Random) -> list[Client]:
    """The owner's own customers first, the one to play with among them, then the branch's."""
    near = [client for client in cast.clients if _may_join(client, owner, room)]
    rng.shuffle(near)
    near.sort(key=lambda client: _distance(client, owner))
    return near[:size]


def _distance(client: Client, owner: Staff) -> tuple[bool, bool]:
    """Whom the guide plays is in the group of their own RM, and free to join the others."""
    elsewhere = client.first.rm is not owner
    return elsewhere, client.easy is elsewhere


def _may_join(client: Client, owner: Staff, room: _Room) -> bool:
    served = any(bond.holds(room.ends - timedelta(days=2)) for bond in client.bonds)
    return served and client.row.branch_id == owner.branch_id


def _seat_staff(room: _Room, owner: Staff, colleague: Staff | None) -> None:
    """The owner is said to have invited themselves, and the colleague."""
    for person in (owner, colleague):
        if person is not None:
            _seat(room, person.userid, person.name, room.opened, owner, is_staff=True)


def _seat_client(room: _Room, owner: Staff, client: Client) -> None:
    contact = client.row.external_userid or ""
    at = _came(room, max(room.opened, client.first.added_at))
    member = _seat(room, contact, client.row.name, at, owner, scene=_scene(room))
    member.customer_id = client.id
    # Whom the guide plays stays.
    if not client.easy:
        _maybe_leave(room, member)


def _seat_guest(room: _Room, owner: Staff, nickname: str) -> None:
    """Somebody who is nobody's customer: they came by a code or a link that was passed on."""
    contact = "wm" + "".join(room.rng.choices(LETTERS, k=30))
    scene = BY_CODE if room.rng.random() < BY_CODE_SHARE else BY_LINK
    _maybe_leave(room, _seat(room, contact, nickname, _came(room, room.opened), owner, scene=scene))


def _seat(
    room: _Room,
    member_id: str,
    name: str,
    at: datetime,
    owner: Staff,
    *,
    scene: int = INVITED,
    is_staff: bool = False,
) -> GroupMember:
    """As `customers/groups.py` keeps what WeCom says: whoever scans is invited by nobody."""
    by_code = scene == BY_CODE
    member = row(
        GroupMember,
        id=ident("group member", room.group.id, member_id),
        group_id=room.group.id,
        member_id=member_id,
        is_staff=is_staff,
        nickname=name,
        joined_at=at,
        left_at=room.group.dismissed_at,
        join_scene=scene,
        channel_key=code_of(room.group.name) if by_code else "",
        invited_by="" if by_code else owner.userid,
    )
    room.rows.add(member)
    return member


def code_of(name: str) -> str:
    """The `state` of the code that leads into the group of that name: where it is shown."""
    found: str = next(told["code"] for told in script()["groups"] if told["name"] == name)
    return found


def _scene(room: _Room) -> int:
    draw = room.rng.random()
    if draw < BY_CODE_SHARE:
        return BY_CODE
    return BY_LINK if draw < BY_CODE_SHARE + BY_LINK_SHARE else INVITED


def _came(room: _Room, earliest: datetime) -> datetime:
    """When somebody came in, in waking hours, at the earliest a little after `earliest`."""
    rng = room.rng
    first, last = local_day(earliest), local_day(room.ends) - timedelta(days=1)
    days, draw = max(0, (last - first).days), rng.random()
    if draw < AT_ONCE_SHARE:
        back = days - rng.randint(0, min(days, FIRST_DAYS))
    elif draw < AT_ONCE_SHARE + LATELY_SHARE:
        back = rng.randint(0, min(days, LATELY_DAYS))
    else:
        back = rng.randint(0, days)
    clock = time(rng.randint(9, 20), rng.randint(0, 59), rng.randint(0, 59))
    at = at_local(last - timedelta(days=back), clock)
    return max(at, earliest + timedelta(seconds=rng.randint(60, 900)))


def _maybe_leave(room: _Room, member: GroupMember) -> None:
    """Some leave by themselves, some are removed; the latest of them this week."""
    rng, days = room.rng, (room.ends - member.joined_at).days
    if days < 2 or rng.random() >= LEAVING:
        return
    stay = days - rng.randint(1, min(days, LATELY_DAYS)) if rng.random() < LEAVING_LATELY else 0
    stay = stay or rng.randint(1, days)
    member.left_at = member.joined_at + timedelta(days=stay, seconds=-rng.randint(60, 7200))
    member.quit_scene = int(rng.random() < REMOVED_SHARE)


def _note_versions(room: _Room) -> None:
    """A member version has 32 hexadecimal digits, other ones for other members."""
    seats = "".join(member.member_id for member in _members(room))
    digest = hashlib.sha256(f"{room.group.chat_id}:{seats}".encode())
    room.group.member_version = digest.hexdigest()[:32]


def _members(room: _Room) -> Iterator[GroupMember]:
    return (m for m in room.rows.of(GroupMember) if m.group_id == room.group.id)

"""Codes and welcomes of the demo bank: where customers came from and how they were greeted."""

import hashlib
import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from attribution.models import Touchpoint, TouchpointKind
from bank.calendar import at_local
from bank.models import Role, Staff
from bank.settings import Settings
from bot.demo.library import Shelf, line
from bot.demo.people import Client, People
from bot.demo.rows import Rows, fact, ident, row
from bot.demo.said import Spoken, said
from bot.models import ContactWay, WayState, Welcome, WelcomeChoice, WelcomeState
from bot.welcoming.welcome_outcomes import LATE
from bot.welcoming.welcome_text import RM_SLOT
from customers.models import Follow
from outbound.models import Door

BANKS_WELCOME = "WEL-001"
# Channel → its own welcome; without one, the bank's.
CHANNELS = {"大堂扫码": "", "沙龙活动": "WEL-002", "社区宣讲": "", "代发工资签约": ""}
# Made last week: nobody has come by it yet, and whoever does gets a card.
NEWEST, CARD_WELCOME, NEWEST_DAYS = "预约到店宣传页", "MIN-001", 6
OVER = "春季客户节海报"
MADE_DAYS, OVER_DAYS, GREETING_DAYS = 430, 60, 45
LATE_SHARE, TAKEN_SHARE = 0.03, 0.06
TAKEN = "其他应用已经欢迎过，或双方已开始聊天（错误码 41051）"


def channels(
    rows: Rows, cast: People, shelf: Shelf, today: date, seed: int, settings: Settings
) -> None:
    """Every RM's codes, the sources of their customers, and the welcomes of the last weeks."""
    [hq] = cast.having(Role.HQ)
    rms = [person for person in cast.staff if person.roles == [Role.RM.value]]
    made_at = at_local(today - timedelta(days=MADE_DAYS), time(10))
    ways: dict[tuple[object, str], ContactWay] = {}
    for rm in rms:
        for channel, welcome in CHANNELS.items():
            ways[rm.id, channel] = _way(rows, shelf, settings, rm, channel, welcome, hq, made_at)
        _retired(rows, shelf, settings, rm, hq, made_at, today)
        newest = _way(
            rows, shelf, settings, rm, NEWEST, "", hq,
            at_local(today - timedelta(days=NEWEST_DAYS), time(11)),
        )  # fmt: skip
        newest.welcome_material_id = shelf.beside[CARD_WELCOME].material.id
    _choose(rows, shelf, hq, at_local(today - timedelta(days=GREETING_DAYS), time(9)))
    for follow in rows.of(Follow):
        if way := ways.get((follow.staff_id, follow.source)):
            follow.source = way.key
    by_key = {way.key: way for way in ways.values()}
    rng = random.Random(f"welcomes:{seed}")
    since = at_local(today - timedelta(days=GREETING_DAYS), time(10))
    for client, follow, rm in _newcomers(rows, cast, since):
        _greet(rows, shelf, client, follow, rm, by_key.get(follow.source), rng)


def _way(
    rows: Rows,
    shelf: Shelf,
    settings: Settings,
    rm: Staff,
    channel: str,
    welcome: str,
    by: Staff,
    at: datetime,
) -> ContactWay:
    config_id = ident("config", rm.userid, channel).hex
    way = row(
        ContactWay,
        id=ident("way", rm.userid, channel),
        staff_id=rm.id,
        channel=channel,
        key=ident("key", rm.userid, channel).hex[:16],
        state=WayState.LIVE,
        config_id=config_id,
        qr_code=f"{settings.wecom_base_url}/code/{config_id}",
        welcome_material_id=shelf.papers[welcome][-1].material.id if welcome else None,
        made_by=by.userid,
        made_at=at,
    )
    rows.add(way)
    rows.add(line("bot:contact_way:make", way.id, by.userid, at, name=channel, rm=rm.name))
    return way


def _retired(
    rows: Rows,
    shelf: Shelf,
    settings: Settings,
    rm: Staff,
    by: Staff,
    made_at: datetime,
    today: date,
) -> None:
    """A campaign that is over: its code is deleted at the platform."""
    way = _way(rows, shelf, settings, rm, OVER, "", by, made_at)
    way.state, way.qr_code = WayState.RETIRED, ""
    way.retired_at = at_local(today - timedelta(days=OVER_DAYS), time(18))
    rows.add(line("bot:contact_way:retire", way.id, by.userid, way.retired_at, name=OVER))


def _choose(rows: Rows, shelf: Shelf, by: Staff, at: datetime) -> None:
    material = shelf.papers[BANKS_WELCOME][-1].material
    rows.add(
        row(
            WelcomeChoice,
            id=ident("welcome", "bank"),
            staff_id=None,
            material_id=material.id,
            chosen_by=by.userid,
            chosen_at=at,
        )
    )
    rows.add(line("bot:welcome:choose", "bank", by.userid, at, name=material.title))


def _newcomers(rows: Rows, cast: People, since: datetime) -> Iterator[tuple[Client, Follow, Staff]]:
    """Relations that began since then."""
    clients = {client.id: client for client in cast.clients}
    staff = {person.id: person for person in cast.staff}
    for follow in sorted(rows.of(Follow), key=lambda one: (one.added_at, one.id.hex)):
        if follow.added_at >= since:
            yield clients[follow.customer_id], follow, staff[follow.staff_id]


def _greet(
    rows: Rows,
    shelf: Shelf,
    client: Client,
    follow: Follow,
    rm: Staff,
    way: ContactWay | None,
    rng: random.Random,
) -> None:
    """The welcome of one relation: nearly all are sent within two seconds."""
    draw, seconds = rng.random(), rng.uniform(0.4, 1.9)
    state, reason = WelcomeState.SENT, ""
    if draw < LATE_SHARE:
        state, reason, seconds = WelcomeState.EXPIRED, LATE, rng.uniform(19, 90)
    elif draw < LATE_SHARE + TAKEN_SHARE:
        state, reason = WelcomeState.TAKEN, TAKEN
    code = CHANNELS[way.channel] if way and CHANNELS[way.channel] else BANKS_WELCOME
    paper = shelf.papers[code][-1]
    at = follow.added_at + timedelta(seconds=seconds)
    welcome = row(
        Welcome,
        id=ident("welcome", follow.id),
        code_digest=hashlib.sha256(follow.id.bytes).digest(),
        userid=rm.userid,
        external_userid=client.row.external_userid or "",
        channel_key=follow.source if way else "",
        contact_way_id=way.id if way else None,
        version_id=None if state is WelcomeState.EXPIRED else paper.version.id,
        state=state,
        reason=reason,
        attempts=int(state is not WelcomeState.EXPIRED),
        created_at=follow.added_at,
        received_at=follow.added_at,
        settled_at=at,
    )
    rows.add(welcome)
    if state is WelcomeState.SENT:
        rows.add(_seen(client, rm, welcome, paper.material.id, at))
        text = paper.version.body.replace(RM_SLOT, rm.name).strip()
        said(rows, Spoken(Door.WELCOME, welcome.id, client, rm, text, at), paper)


def _seen(
    client: Client, rm: Staff, welcome: Welcome, material_id: object, at: datetime
) -> Touchpoint:
    return fact(
        Touchpoint,
        customer_id=client.id,
        staff_id=rm.id,
        kind=TouchpointKind.TOUCH_DELIVERED,
        channel="single_chat",
        at=at,
        material_id=material_id,
        version_id=welcome.version_id,
        source="welcome",
        source_id=str(welcome.id),
    )

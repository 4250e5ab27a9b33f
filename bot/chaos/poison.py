"""F-06 and F-17: events that look alike, and events nobody can read."""

import re
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from time import perf_counter

from bank.settings import Settings
from bot.chaos.found import Found, share_of
from bot.chaos.ground import Clock, Ground, counted
from bot.chaos.town import Town, a_town
from bot.chaos.wire import event, letter, posted, send_all
from bot.inbound.dispatch import TRIES
from bot.inbound.keys import current_keys
from wecom.callback import CallbackRejected, open_envelope, seal, seal_bytes
from wecom.events import UnreadableEvent, parse

PAIRS, FUZZED = 1_000, 100_000
THROUGH_THE_DOOR = 10  # every so many fuzzed bodies
BEHIND = 9  # poisoned events before each good one
HEAD_SECONDS = 1.0
LARGE = 700_000
ROUNDS = 12
PAUSE = timedelta(minutes=10)
STORED = "SELECT count(*) FROM inbound_event"
OPEN = "SELECT count(*) FROM inbound_event WHERE state = 'new'"
QUARANTINED = "SELECT count(*) FROM inbound_event WHERE state = 'quarantined'"
GOOD = "SELECT count(*) FROM inbound_event WHERE state = 'done' AND order_key LIKE 'wmGOOD%'"


async def same_second(ground: Ground, seed: int, share: float) -> Found:
    """F-06: two different events of one customer or group in one second are two events."""
    found, dice, clock = Found("F-06 same second", seed), Random(seed), Clock()
    pairs = share_of(PAIRS, share, 12)
    with ground.bank() as settings:
        async with a_town(settings, clock) as town:
            plains = [p for number in range(pairs) for p in _pair(settings, clock, number)]
            dice.shuffle(plains)
            sent = await send_all(
                town.port, [letter(settings, plain, clock(), dice) for plain in plains]
            )
            found.check(sent.count(200) == len(plains), "a genuine callback was refused")
            found.lost = len(plains) - counted(settings.database_url, STORED)
            await town.handle()
            untouched = counted(
                settings.database_url, f"{STORED} WHERE attempts = 0 AND state = 'new'"
            )
            found.check(untouched <= pairs, f"{untouched} events were never tried")
    found.runs, found.events = pairs, len(plains)
    found.faults["same second"] = pairs
    return found


def _pair(settings: Settings, clock: Clock, number: int) -> list[str]:
    """One of six ways in which two events of one second differ."""
    who, at = f"wmPAIR{number:024d}", clock()

    def contact(userid: str, change: str, **more: str) -> str:
        return event(settings, at, who, userid, change, **more)

    match number % 6:
        case 0:
            return [contact(name, "add_external_contact") for name in ("one", "another")]
        case 1:
            return [
                contact("one", change) for change in ("add_external_contact", "del_follow_user")
            ]
        case 2:
            return [
                contact("one", "add_external_contact", WelcomeCode=code) for code in ("c1", "c2")
            ]
        case 3:
            return [
                contact("one", "edit_external_contact", State=state) for state in ("lobby", "web")
            ]
        case 4:
            return [_group(settings, clock, number, member) for member in ("wmA", "wmB")]
        case _:
            return [
                contact("one", change)
                for change in ("add_half_external_contact", "add_external_contact")
            ]


def _group(settings: Settings, clock: Clock, number: int, member: str) -> str:
    plain = event(settings, clock(), "", "", "update")
    return plain.replace("change_external_contact", "change_external_chat").replace(
        "</xml>",
        f"<ChatId>wrPAIR{number:024d}</ChatId><UpdateDetail>add_member</UpdateDetail>"
        f"<MemChangeList><Item>{member}</Item></MemChangeList></xml>",
    )


async def poisoned(ground: Ground, seed: int, share: float) -> Found:
    """F-17: whatever the bytes, they are refused or kept; what nobody can read blocks nobody."""
    found, dice, clock = Found("F-17 poison, fuzz", seed), Random(seed), Clock()
    count = share_of(FUZZED, share, 500)
    with ground.bank() as settings:
        _read_all(settings, found, dice, count)
        async with a_town(settings, clock) as town:
            bodies = [*CORPUS, *_fuzzed(settings, dice, count // THROUGH_THE_DOOR)]
            good = await _poison(town, clock, found, dice, bodies)
            await _leave_alone(town, clock, found, good)
    found.runs = found.events = count
    return found


def _read_all(settings: Settings, found: Found, dice: Random, count: int) -> None:
    """Envelope and parser alone: they raise what they promise and nothing else."""
    keys, slowest = current_keys(settings), 0.0
    query, envelope = seal(keys, "<xml/>", "nonce", 1_795_000_000)
    for plain in _fuzzed(settings, dice, count):
        began = perf_counter()
        try:
            parse(plain)
        except UnreadableEvent:
            found.faults["unreadable"] += 1
        else:
            found.faults["odd but readable"] += 1
        try:
            open_envelope(keys, query, mutated(envelope, dice))
        except CallbackRejected:
            found.faults["envelope refused"] += 1
        slowest = max(slowest, perf_counter() - began)
    found.figures["slowest read"] = f"{slowest * 1000:.0f} ms"
    found.check(slowest < HEAD_SECONDS, f"one body took {slowest:.1f} s to read")


async def _poison(town: Town, clock: Clock, found: Found, dice: Random, bodies: list[bytes]) -> int:
    """Rightly sealed rubbish, a good event behind every nine; how many good ones there were."""
    keys, stamp = current_keys(town.settings), int(clock().timestamp())
    good, slowest = 0, 0.0
    for first in range(0, len(bodies), BEHIND):
        batch = bodies[first : first + BEHIND]
        requests = [posted(*seal_bytes(keys, body, f"n{first}", stamp)) for body in batch]
        plain = event(town.settings, clock(), f"wmGOOD{good:024d}", "nobody", "del_follow_user")
        sent = await send_all(town.port, requests, connections=8)
        found.check(
            sent.count(200) == len(batch),
            f"genuine but unreadable, not kept: {sorted(set(sent.answers))} from {first}",
        )
        await send_all(town.port, [letter(town.settings, plain, clock(), dice)])
        good, began = good + 1, perf_counter()
        await town.handle()
        slowest = max(slowest, perf_counter() - began)
        handled = counted(town.settings.database_url, GOOD)
        found.check(handled == good, f"a good event waits behind poison from {first} on")
    found.figures["good one behind nine"] = f"{slowest * 1000:.0f} ms"
    found.check(slowest <= HEAD_SECONDS, f"the head was blocked for {slowest:.1f} s")
    return good


async def _leave_alone(town: Town, clock: Clock, found: Found, good: int) -> None:
    """Time passes: every event is handled or in quarantine, none is tried for ever.

    Those of one customer wait for each other, so a pile of broken ones takes its turns.
    """
    url = town.settings.database_url
    for _ in range(ROUNDS + TRIES * counted(url, OPEN)):
        if counted(url, OPEN) == 0:
            break
        clock.forward(PAUSE)
        await town.handle()
    found.check(counted(url, OPEN) == 0, f"{counted(url, OPEN)} events are still tried")
    found.figures["quarantined"] = f"{counted(url, QUARANTINED):,}"
    found.lost = good - counted(url, GOOD)


def mutated(body: bytes, dice: Random) -> bytes:
    """The body after one to four small accidents."""
    changed = bytearray(body)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(changed) + 1)
        match dice.randrange(6):
            case 0 if changed:
                changed[min(at, len(changed) - 1)] ^= 1 << dice.randrange(8)
            case 1:
                del changed[at : at + dice.randint(1, 30)]
            case 2:
                changed[at:at] = dice.choice(SPLINTERS)
            case 3:
                changed[at:at] = changed[at : at + dice.randint(1, 60)]
            case 4:
                changed[at:at] = dice.randbytes(dice.randint(1, 12))
            case _:
                del changed[at:]
    return bytes(changed)


def _fuzzed(settings: Settings, dice: Random, count: int) -> Iterator[bytes]:
    """Events of every kind after accidents."""
    kinds = [kind.replace("CORP", settings.wecom_corp_id) for kind in KINDS]
    for _ in range(count):
        kind = dice.choice(kinds)
        if dice.random() < 0.5:
            yield mutated(kind.encode(), dice)
        else:
            yield misfilled(kind, dice).encode("utf-8", "surrogatepass")


def misfilled(kind: str, dice: Random) -> str:
    """The event with one to three fields left out or holding what they should not."""
    for _ in range(dice.randint(1, 3)):
        found = list(FIELD.finditer(kind))
        if not found:
            return kind
        one = dice.choice(found)
        value = dice.choice(VALUES)
        filled = f"<{one[1]}>{value}</{one[1]}>" if dice.random() < 0.8 else ""
        kind = kind[: one.start()] + filled + kind[one.end() :]
    return kind


FIELD = re.compile(r"<(\w+)>([^<]*)</\1>")
VALUES = (
    "",
    " ",
    "0",
    "-1",
    "1e9",
    "9" * 25,
    "\ud83d",
    "\u202e",
    "\U0001f600",
    "null",
    "sys",
    "%s",
    "'; --",
    "x" * 5000,
    "&amp;",
    "&#xD800;",
    "<![CDATA[]]>",
    "<Item/>",
    "wm" + "字" * 40,
    "2147483648",
    "\x00",
    "update",
    "add_member",
)
SPLINTERS = (
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"]]>",
    b"<![CDATA[",
    b"<xml>",
    b"</xml>",
    b"&a;",
    b"&#0;",
    b"<!DOCTYPE x>",
    b"<?xml version='1.0' encoding='utf-16'?>",
    b"<CreateTime>-1</CreateTime>",
    b"<CreateTime>99999999999999999999</CreateTime>",
    b"<UserID>x</UserID>",
    "\U0001f600".encode(),
    b"<ExternalUserID></ExternalUserID>",
    b"<ToUserName/>",
    b"9" * 40,
    b"\r\n",
    "\u202e".encode(),
)
_HEAD = (
    "<xml><ToUserName>CORP</ToUserName><FromUserName>sys</FromUserName>"
    "<CreateTime>1795000000</CreateTime>"
)
_EVENT = _HEAD + "<MsgType>event</MsgType><Event>{}</Event>"
_CONTACT = (
    _EVENT.format("change_external_contact")
    + "<ChangeType>{}</ChangeType><UserID>rm_busy</UserID>"
    + "<ExternalUserID>wmFUZZ</ExternalUserID><State>lobby</State></xml>"
)
KINDS = (
    _HEAD
    + "<MsgType>text</MsgType><Content>您好</Content><MsgId>7</MsgId><AgentID>1</AgentID></xml>",
    *(
        _CONTACT.format(change)
        for change in (
            "add_external_contact",
            "edit_external_contact",
            "add_half_external_contact",
            "del_external_contact",
            "del_follow_user",
            "transfer_fail",
            "msg_audit_approved",
        )
    ),
    _EVENT.format("change_external_chat") + "<ChatId>wrFUZZ</ChatId><ChangeType>update</ChangeType>"
    "<UpdateDetail>add_member</UpdateDetail><MemChangeCnt>1</MemChangeCnt>"
    "<MemChangeList><Item>wmX</Item></MemChangeList></xml>",
    _EVENT.format("change_external_tag") + "<Id>t</Id><TagType>tag</TagType>"
    "<ChangeType>update</ChangeType></xml>",
    _EVENT.format("kf_msg_or_event") + "<Token>t</Token><OpenKfId>wkFUZZ</OpenKfId></xml>",
    _EVENT.format("template_card_event") + "<EventKey>k</EventKey><TaskId>t</TaskId>"
    "<CardType>button_interaction</CardType><ResponseCode>r</ResponseCode></xml>",
    _EVENT.format("something_new") + "<Whatever>1</Whatever></xml>",
)
_GIANT = _HEAD.replace("CORP", "wwchaosbank0000001")
CORPUS = (
    b"",
    b"\x00",
    b"{}",
    b"not xml at all",
    b"<xml>",
    b"<xml/>",
    b"<xml></xml></xml>",
    b"\xff\xfe\x00<",
    (
        _GIANT + "<MsgType>text</MsgType><Content>" + "长" * (LARGE // 3) + "</Content></xml>"
    ).encode(),
    (_GIANT + "<MsgType>text</MsgType><Content>\ud83d</Content></xml>").encode(
        "utf-8", "surrogatepass"
    ),
    (_GIANT + "<MsgType>event</MsgType><Event></Event></xml>").encode(),
    (_GIANT + "<MsgType></MsgType></xml>").encode(),
    _GIANT.replace("1795000000", "").encode() + b"</xml>",
    _GIANT.replace("1795000000", "1e9").encode() + b"</xml>",
    _GIANT.replace("1795000000", "٣").encode() + b"</xml>",
    (_GIANT + "<MsgType>text\x00</MsgType></xml>").encode(),
    (_GIANT + "<a>" * 5000 + "</a>" * 5000 + "</xml>").encode(),
    b"archive:1",
    b"archive:",
    b"archive:-5",
    b"archive:999999999999999999999999",
    b"archive:\xff",
)

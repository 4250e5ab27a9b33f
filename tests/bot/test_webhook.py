"""The callback's address: who gets in, with which key, at what time, and what happens to poison."""

import base64
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from io import BytesIO
from random import Random
from time import perf_counter

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.metrics import EVENTS
from bank.settings import Settings, WeComApp
from bot.app import make_app, open_parts
from bot.inbound import held, retention
from bot.inbound.inbox import text_of
from bot.inbound.keys import accepted_keys, current_keys, last_used
from bot.inbound.webhook import LARGEST
from bot.models import InboundEvent, InboundState
from tests.builders import MONDAY
from tests.conftest import Clock, Product
from tests.town import Town, a_town
from wecom.callback import (
    CallbackKeys,
    CallbackRejected,
    open_with_any,
    seal,
    seal_bytes,
    seal_echo,
)

OTHER_TOKEN, OTHER_KEY = "NextToken", "aWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
Sealed = tuple[dict[str, str], bytes]


def xml(number: int, corp: str = "wx5823bf96d3bd56c7", **more: str) -> str:
    extra = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
    return (
        f"<xml><ToUserName>{corp}</ToUserName><FromUserName>sys</FromUserName>"
        f"<CreateTime>17{number:08d}</CreateTime><MsgType>event</MsgType>"
        f"<Event>something_new</Event>{extra}</xml>"
    )


class Door:
    """The callback address of a running product, as WeCom sees it."""

    def __init__(self, product: "Bank") -> None:
        self.product = product

    @property
    def keys(self) -> CallbackKeys:
        """What WeCom locks with: the current pair."""
        return current_keys(self.product.app_settings)

    def sealed(self, plain: str, at: datetime | None = None, nonce: str = "n") -> Sealed:
        moment = at or self.product.clock()
        return seal(self.keys, plain, nonce, int(moment.timestamp()))

    async def post(self, query: dict[str, str], body: bytes) -> int:
        async with aiohttp.ClientSession() as http:
            address = f"{self.product.base}/wecom/callback"
            async with http.post(address, params=query, data=BytesIO(body)) as answer:
                text = await answer.text()
                assert text == "" or answer.status >= 400
                return answer.status

    async def push(self, plain: str, at: datetime | None = None) -> int:
        return await self.post(*self.sealed(plain, at))

    async def stored(self) -> list[InboundEvent]:
        async with self.product.parts.sessions() as session:
            rows = await session.execute(select(InboundEvent).order_by(InboundEvent.id))  # type: ignore[arg-type]
            return list(rows.scalars())


class Bank(Product):
    """The product, with its settings at hand."""

    app_settings: Settings


@asynccontextmanager
async def a_bank(settings: Settings, clock: Clock) -> AsyncIterator[Door]:
    async with open_parts(settings, now=clock) as parts:
        server = TestServer(make_app(settings, parts))
        await server.start_server()
        bank = Bank(server, parts, clock)
        bank.app_settings = settings
        yield Door(bank)
        await bank.close()
        await server.close()


@pytest.fixture
async def door(settings: Settings, clock: Clock) -> AsyncIterator[Door]:
    """The address under the current pair of token and key."""
    async with a_bank(settings, clock) as opened:
        yield opened


def counted(outcome: str) -> float:
    return float(EVENTS.labels(outcome)._value.get())


# -------------------------------------------------------------------------------- what is noted


async def test_kind_and_customer_and_welcome_code_are_noted_at_the_door(door: Door) -> None:
    came = (
        "<xml><ToUserName>wx5823bf96d3bd56c7</ToUserName><FromUserName>sys</FromUserName>"
        "<CreateTime>1700000000</CreateTime><MsgType>event</MsgType>"
        "<Event>change_external_contact</Event><ChangeType>add_external_contact</ChangeType>"
        "<UserID>rm1</UserID><ExternalUserID>wm1</ExternalUserID>"
        "<WelcomeCode>CODE</WelcomeCode></xml>"
    )
    assert await door.push(came) == 200
    assert await door.push(came.replace("<WelcomeCode>CODE</WelcomeCode>", "")) == 200
    urgent, plain = await door.stored()
    assert (urgent.kind, urgent.order_key, urgent.urgent) == (
        "change_external_contact.add_external_contact",
        "wm1",
        True,
    )
    assert not plain.urgent
    assert b"CODE" not in bytes(urgent.sealed or b"")
    assert text_of(urgent, door.product.parts.seal) == came


# ----------------------------------------------------------------------------- keys that change


def changing(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "wecom_token_next": SecretStr(OTHER_TOKEN),
            "wecom_aes_key_next": SecretStr(OTHER_KEY),
        }
    )


async def test_during_a_change_both_pairs_open_callbacks(settings: Settings, clock: Clock) -> None:
    both = changing(settings)
    old, new = accepted_keys(both)
    async with a_bank(both, clock) as door:
        for number, keys in enumerate((old, new, old)):
            assert await door.post(*seal(keys, xml(number), "n", int(clock().timestamp()))) == 200
        assert len(await door.stored()) == 3
    async with a_bank(settings, clock) as before_the_change:
        sealed = seal(new, xml(9), "n", int(clock().timestamp()))
        assert await before_the_change.post(*sealed) == 403


async def test_the_echo_is_given_to_either_pair(settings: Settings, clock: Clock) -> None:
    async with a_bank(changing(settings), clock) as door, aiohttp.ClientSession() as http:
        for keys in accepted_keys(door.product.app_settings):
            query = seal_echo(keys, "1616140317555161061", "n", int(clock().timestamp()))
            async with http.get(f"{door.product.base}/wecom/callback", params=query) as answer:
                assert await answer.text() == "1616140317555161061"


async def test_a_pair_may_share_its_token_with_another(settings: Settings, clock: Clock) -> None:
    token = settings.wecom_token
    both = changing(settings).model_copy(update={"wecom_token_next": token})
    async with a_bank(both, clock) as door:
        for number, keys in enumerate(accepted_keys(both)):
            assert await door.post(*seal(keys, xml(number), "n", int(clock().timestamp()))) == 200


async def test_a_further_app_of_the_corp_is_heard(settings: Settings, clock: Clock) -> None:
    app = WeComApp(agent_id=1000003, token=SecretStr(OTHER_TOKEN), aes_key=SecretStr(OTHER_KEY))
    async with a_bank(settings.model_copy(update={"wecom_more_apps": [app]}), clock) as door:
        _, keys = accepted_keys(door.product.app_settings)
        assert keys.name == "app 1000003"
        assert await door.post(*seal(keys, xml(1), "n", int(clock().timestamp()))) == 200


async def test_one_sees_which_pair_is_in_use(settings: Settings, clock: Clock) -> None:
    async with a_bank(changing(settings), clock) as door:
        _, new = accepted_keys(door.product.app_settings)
        await door.push(xml(1))
        clock.forward(timedelta(hours=2))
        await door.post(*seal(new, xml(2), "n", int(clock().timestamp())))
        parts = door.product.parts
        async with parts.sessions.begin() as session:
            await parts.pairs.save(session)
        async with parts.sessions.begin() as session:
            used = await last_used(session)
        assert used == {"current": MONDAY, "next": MONDAY + timedelta(hours=2)}
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{door.product.base}/metrics") as answer,
        ):
            assert 'siyu_callback_keys_total{pair="next"}' in await answer.text()


async def test_a_server_without_keys_refuses_everything(settings: Settings, clock: Clock) -> None:
    bare = settings.model_copy(update={"wecom_token": SecretStr("")})
    async with a_bank(bare, clock) as door:
        empty = CallbackKeys("", OTHER_KEY, settings.wecom_corp_id)
        assert await door.post(*seal(empty, xml(1), "n", int(clock().timestamp()))) == 403
        assert await door.stored() == []


# ----------------------------------------------------------------------------- forgeries (S-01)


async def test_no_flipped_bit_is_accepted(door: Door) -> None:
    query, body = door.sealed(xml(1))
    start, end = body.index(b"<Encrypt><![CDATA[") + 18, body.index(b"]]></Encrypt>")
    locked, dice = base64.b64decode(body[start:end]), Random(7)
    for _ in range(500):
        changed = bytearray(locked)
        changed[dice.randrange(len(locked))] ^= 1 << dice.randrange(8)
        forged = body[:start] + base64.b64encode(changed) + body[end:]
        assert await door.post(query, forged) == 403
    assert await door.stored() == []


async def test_whatever_is_wrong_looks_the_same(door: Door) -> None:
    query, body = door.sealed(xml(1))
    stranger = CallbackKeys(OTHER_TOKEN, OTHER_KEY, "wwSOMEBODY")
    same_token = CallbackKeys(door.keys.token, OTHER_KEY, door.keys.corp_id)
    other_corp = CallbackKeys(door.keys.token, door.keys.aes_key, "wwSOMEBODY")
    second = int(MONDAY.timestamp())
    wrong: list[Sealed] = [
        (query | {"msg_signature": ""}, body),
        (query | {"msg_signature": "short"}, body),
        (query | {"timestamp": "x"}, body),
        (query, b"<xml/>"),
        (query, b"\xff\xfe"),
        seal(stranger, xml(1), "n", second),
        seal(same_token, xml(1), "n", second),
        seal(other_corp, xml(1), "n", second),
    ]
    answers: set[tuple[int, bytes, str | None]] = set()
    async with aiohttp.ClientSession() as http:
        for params, data in wrong:
            address = f"{door.product.base}/wecom/callback"
            async with http.post(address, params=params, data=data) as answer:
                answers.add(
                    (answer.status, await answer.read(), answer.headers.get("Content-Type"))
                )
    assert len(answers) == 1
    assert {status for status, _, _ in answers} == {403}


# --------------------------------------------------------------------------- time (S-02, F-13)


@pytest.mark.parametrize("minutes", [-4.9, 4.9])
async def test_five_minutes_are_no_difference(door: Door, minutes: float) -> None:
    assert await door.push(xml(1), MONDAY + timedelta(minutes=minutes)) == 200
    [event] = await door.stored()
    assert (event.state, event.sent_at) == (InboundState.NEW, None)


@pytest.mark.parametrize("span", [timedelta(minutes=6), timedelta(days=1), -timedelta(hours=2)])
async def test_a_signed_time_far_from_ours_is_held_without_effect(
    door: Door, span: timedelta
) -> None:
    before = counted("held")
    assert await door.push(xml(1), MONDAY - span) == 200
    assert counted("held") == before + 1
    [event] = await door.stored()
    assert (event.state, event.sent_at) == (InboundState.HELD, MONDAY - span)
    assert await door.product.parts.dispatcher.handle_new(MONDAY) == 0


async def test_the_same_envelope_again_is_answered_within_ten_minutes_and_refused_after(
    door: Door, clock: Clock
) -> None:
    sealed = door.sealed(xml(1))
    assert await door.post(*sealed) == 200
    for minutes in (1, 4, 8):
        clock.at(MONDAY + timedelta(minutes=minutes))
        assert await door.post(*sealed) == 200
    before = counted("replayed")
    clock.at(MONDAY + timedelta(minutes=11))
    assert await door.post(*sealed) == 403
    assert counted("replayed") == before + 1
    [event] = await door.stored()
    assert event.state is InboundState.NEW


async def test_an_old_envelope_that_never_arrived_is_held_and_not_refused(
    door: Door, clock: Clock
) -> None:
    sealed = door.sealed(xml(1))
    clock.forward(timedelta(hours=2))
    assert await door.post(*sealed) == 200
    assert [event.state for event in await door.stored()] == [InboundState.HELD]


@pytest.mark.parametrize("second", ["0", "253402300800", "999999999999999"])
async def test_an_impossible_time_is_held(door: Door, second: str) -> None:
    assert await door.post(*seal(door.keys, xml(1), "n", int(second))) == 200
    assert [event.state for event in await door.stored()] == [InboundState.HELD]


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product beside a platform that has a clock of its own."""
    async with a_town(settings, clock, session) as made:
        yield made


async def test_what_was_in_time_by_the_platforms_clock_is_released_in_order(town: Town) -> None:
    sent = town.clock()
    for number in range(3):
        await town.parts.inbox.put(xml(number), "wm1", sent, sent_at=sent)
    await town.parts.inbox.put(xml(9), "wm1", sent, sent_at=sent - timedelta(hours=2))
    assert await town.parts.dispatcher.handle_new(sent) == 0
    assert await held.release_in_time(town.parts.sessions, town.parts.wecom) == 3
    assert await held.release_in_time(town.parts.sessions, town.parts.wecom) == 0
    await town.parts.dispatcher.handle_new(sent)
    states = [event.state for event in await town.all(InboundEvent)]
    assert sorted(states) == ["done", "done", "done", "held"]


async def test_while_the_platform_cannot_be_asked_nothing_is_released(door: Door) -> None:
    await door.push(xml(1), MONDAY - timedelta(hours=1))
    parts = door.product.parts
    assert await held.release_in_time(parts.sessions, parts.wecom) == 0
    assert [event.state for event in await door.stored()] == [InboundState.HELD]


# ------------------------------------------------------------------- strangers' XML (S-03, S-04)

BOMBS: dict[str, bytes] = {
    "billion laughs": (
        b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><xml>&b;</xml>'
    ),
    "external entity": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml>&a;</xml>',
    "ten thousand deep": b"<xml>" + b"<a>" * 10_000 + b"</a>" * 10_000 + b"</xml>",
    "as deep as fits": b"<a>" * (LARGEST // 3),
    "a megabyte attribute": b'<xml a="' + b"x" * (LARGEST - 100) + b'"><Encrypt>x</Encrypt></xml>',
    "many elements": b"<xml>" + b"".join(b"<a%d/>" % n for n in range(90_000)) + b"</xml>",
    "a megabyte text": b"<xml><Encrypt>" + b"A" * (LARGEST - 100) + b"</Encrypt></xml>",
    "two Encrypt": b"<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>",
    "another charset": '<?xml version="1.0" encoding="utf-16"?><xml/>'.encode("utf-16"),
    "a charset that lies": b'<?xml version="1.0" encoding="gbk"?><xml><Encrypt>x</Encrypt></xml>',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
async def test_xml_bombs_are_rejected_fast_and_small(door: Door, bomb: bytes) -> None:
    query, _ = door.sealed(xml(1))
    assert await door.post(query, bomb[:LARGEST]) == 403
    before, began = peak_kib(), perf_counter()
    with pytest.raises(CallbackRejected):
        open_with_any((door.keys,), query, bomb)
    assert perf_counter() - began < 0.1
    assert peak_kib() - before < 10 << 10


def peak_kib() -> int:
    """The most memory this process has ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def test_more_than_a_megabyte_is_not_even_read(door: Door) -> None:
    query, _ = door.sealed(xml(1))
    assert await door.post(query, b"x" * (LARGEST + 1)) == 413


# ----------------------------------------------------------------------------- poison (F-17)

CORP = "<ToUserName>wx5823bf96d3bd56c7</ToUserName><CreateTime>1700000000</CreateTime>"
POISON: dict[str, bytes] = {
    "no XML": b"hello",
    "half an XML": b"<xml><ToUserName>",
    "invalid UTF-8": b"<xml>\xff\xfe" + CORP.encode() + b"</xml>",
    "an unpaired surrogate": b"<xml>" + CORP.encode() + b"<UserID>\xed\xa0\xbd</UserID></xml>",
    "NUL": b"<xml>\0" + CORP.encode() + b"</xml>",
    "a megabyte of text": b"<xml>"
    + CORP.encode()
    + b"<Content>"
    + b"x" * 700_000
    + b"</Content></xml>",
    "nothing": b"",
    "a duplicate": f"<xml>{CORP}{CORP}</xml>".encode(),
    "a DTD": b'<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>',
    "an impossible time": b"<xml><ToUserName>x</ToUserName><CreateTime>-1</CreateTime></xml>",
}


async def test_poison_is_quarantined_with_its_reason_and_its_neighbours_go_on(door: Door) -> None:
    second = int(MONDAY.timestamp())
    for number, poison in enumerate(POISON.values()):
        assert await door.post(*seal_bytes(door.keys, poison, f"p{number}", second)) == 200
        assert await door.push(xml(number)) == 200
    now, dispatcher = MONDAY, door.product.parts.dispatcher
    for _ in range(4):
        await dispatcher.handle_new(now)
        now += timedelta(minutes=1)
    events = await door.stored()
    poisoned, others = events[::2], events[1::2]
    assert {event.state for event in others} == {InboundState.DONE}
    assert {event.state for event in poisoned} == {InboundState.QUARANTINED}
    assert all(event.outcome and event.attempts <= 3 for event in poisoned)
    for event, poison in zip(poisoned, POISON.values(), strict=True):
        assert door.product.parts.seal.open(event.sealed or b"", b"inbound_event") == poison


async def test_unknown_kinds_and_empty_fields_are_kept_and_done(door: Door) -> None:
    assert await door.push(xml(1, UserID="", ExternalUserID="", ChatId="")) == 200
    assert await door.push(f"<xml>{CORP}<MsgType/><Event/></xml>") == 200
    await door.product.parts.dispatcher.handle_new(MONDAY)
    assert {event.state for event in await door.stored()} == {InboundState.DONE}


# --------------------------------------------------------------------------------- retention


async def test_a_handled_text_goes_when_its_days_are_over(door: Door) -> None:
    settings, dispatcher = door.product.app_settings, door.product.parts.dispatcher
    await door.push(xml(1))
    await door.post(*seal_bytes(door.keys, b"poison", "p", int(MONDAY.timestamp())))
    await dispatcher.handle_new(MONDAY)
    for days, left in ((29, 2), (31, 1)):
        async with door.product.parts.sessions.begin() as session:
            await retention.purge(session, settings, MONDAY + timedelta(days=days))
        assert sum(event.sealed is not None for event in await door.stored()) == left
    assert await door.push(xml(1)) == 200
    assert len(await door.stored()) == 2

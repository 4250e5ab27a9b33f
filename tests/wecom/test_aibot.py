"""The robot: its envelope to the letter, and a conversation with the simulated platform."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.wecom.test_simulator import CORP, LI, ZHOU, Platform, a_platform
from wecom.aibot import (
    CardReply,
    CardUpdate,
    LateText,
    Picture,
    RobotEvent,
    RobotEventKind,
    RobotMessage,
    RobotReply,
    StreamPoll,
    StreamText,
    StreamWithCard,
    WelcomeText,
    late_reply,
    open_message,
    seal_reply,
)
from wecom.callback import CallbackKeys, CallbackRejected, open_echo, seal

KEYS = CallbackKeys(CORP.token, CORP.aes_key, "")
PREFIX = b"0123456789abcdef"
SECOND, NONCE = 1409659813, "1372623149"
HELLO = (
    "sKqRbbiSUnDhFHOvPjtUMTi3GzFfektFKvBUNOExSve1xPfcG17FcdPFbWD6lMvhXtsbEYHcgcFv+1lKg/ZwPQDMzTDy"
    "9+AzPm2Vu98WnuNA++V2A1hRbGhADO24sHEC"
)
SIGNATURE = "49e35a9727dc07cecef6b303eb407e96219fea67"
QUERY = {"msg_signature": SIGNATURE, "timestamp": str(SECOND), "nonce": NONCE}
CARD: dict[str, Any] = {
    "card_type": "button_interaction",
    "main_title": {"title": "要创建跟进任务吗？"},
    "task_id": "task-1",
    "button_list": [{"text": "创建", "key": "create"}],
}


def sealed(inner: str) -> tuple[dict[str, str], bytes]:
    """The query and body of a push with this plaintext."""
    query, body = seal(KEYS, inner, NONCE, SECOND)
    encrypted = body.decode().split("<Encrypt><![CDATA[")[1].split("]]>")[0]
    return query, json.dumps({"encrypt": encrypted}).encode()


def opened(**message: Any) -> Any:
    """What the product reads of a message."""
    return open_message(KEYS, *sealed(json.dumps(message)))


def test_the_known_envelope_is_opened():
    message = open_message(KEYS, QUERY, json.dumps({"encrypt": HELLO}).encode())
    assert isinstance(message, RobotMessage)
    assert (message.kind, message.text) == ("text", "hello")


def test_the_known_envelope_is_made():
    assert seal_reply(KEYS, WelcomeText("hello"), NONCE, SECOND, prefix=PREFIX) == {
        "encrypt": HELLO,
        "msgsignature": SIGNATURE,
        "timestamp": SECOND,
        "nonce": NONCE,
    }


def test_the_plugin_s_capital_letter_is_understood():
    message = open_message(KEYS, QUERY, json.dumps({"Encrypt": HELLO}).encode())
    assert isinstance(message, RobotMessage)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[]",
        b"{}",
        b'{"encrypt": 7}',
        b'{"encrypt": ""}',
        b'{"encrypt": "%s", "encrypt": "%s"}' % (HELLO.encode(), HELLO.encode()),
        b'{"encrypt": "%s", "Encrypt": "%s"}' % (HELLO.encode(), HELLO.encode()),
        b'{"encrypt": "<![CDATA[%s]]>"}' % HELLO.encode(),
        b'{"encrypt": "%s", "n": NaN}' % HELLO.encode(),
        b'{"encrypt": "\xff"}',
        b"[" * 100_000,
        b'{"encrypt": "' + b"A" * 300_000 + b'"}',
        json.dumps({"encrypt": "A" + HELLO[1:]}).encode(),
    ],
)
def test_envelopes_that_are_not_the_platform_s(body: bytes):
    with pytest.raises(CallbackRejected):
        open_message(KEYS, QUERY, body)


def test_a_wrong_signature_or_another_receiver_is_rejected():
    body = json.dumps({"encrypt": HELLO}).encode()
    with pytest.raises(CallbackRejected):
        open_message(KEYS, {**QUERY, "msg_signature": "0" * 40}, body)
    with pytest.raises(CallbackRejected):
        open_message(CallbackKeys(CORP.token, CORP.aes_key, CORP.corp_id), QUERY, body)


@pytest.mark.parametrize("inner", ['{"msgtype":"text","msgtype":"event"}', "[]", "hello", "NaN"])
def test_plaintexts_that_say_something_twice_or_are_no_object(inner: str):
    with pytest.raises(CallbackRejected):
        open_message(KEYS, *sealed(inner))


def test_what_members_write_comes_as_one_text():
    asker = {"msgid": "m1", "aibotid": "aib1", "from": {"userid": LI}, "chatid": "group-1"}
    items = [
        {"msgtype": "text", "text": {"content": "这是什么"}},
        {"msgtype": "image", "image": {"url": "https://e.com/p"}},
    ]
    quote = {"msgtype": "text", "text": {"content": "上一条"}}
    mixed = opened(**asker, msgtype="mixed", mixed={"msg_item": items}, quote=quote)
    voice = opened(**asker, msgtype="voice", voice={"content": "帮我查一下"})
    strange = opened(**asker, msgtype="hologram", hologram={"url": 5})
    assert (mixed.text, mixed.media, mixed.quoted) == ("这是什么", ("https://e.com/p",), "上一条")
    assert (mixed.asker.userid, mixed.asker.chat_id, mixed.asker.msgid) == (LI, "group-1", "m1")
    assert voice.text == "帮我查一下"
    assert (strange.kind, strange.text, strange.media) == ("hologram", "", ())


def test_events_and_polls_are_told_apart():
    detail = {
        "card_type": "vote_interaction",
        "event_key": "submit",
        "task_id": "t1",
        "selected_items": {
            "selected_item": [{"question_key": "q", "option_ids": {"option_id": ["a", "b"]}}]
        },
    }
    pressed = opened(
        msgtype="event",
        event={"eventtype": "template_card_event", "template_card_event": detail},
    )
    entered = opened(msgtype="event", event={"eventtype": "enter_chat"})
    unknown = opened(msgtype="event", event={"eventtype": "moonrise"})
    poll = opened(msgtype="stream", stream={"id": "s1"})
    assert isinstance(pressed, RobotEvent)
    assert (pressed.kind, pressed.button) == (RobotEventKind.CARD_PRESSED, "submit")
    assert pressed.selections == (("q", ("a", "b")),)
    assert entered.kind == RobotEventKind.ENTERED
    assert unknown.kind == RobotEventKind.UNKNOWN
    assert isinstance(poll, StreamPoll)
    assert poll.stream_id == "s1"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda: StreamText("", "a", True), "id"),
        (lambda: StreamText("s", "长" * 6827, True), "20480 bytes"),
        (lambda: StreamText("s", "a", False, (Picture(b"\x89PNG"),)), "last part"),
        (lambda: StreamText("s", "a", True, (Picture(b"\x89PNG"),) * 11), "10 pictures"),
        (lambda: Picture(b"GIF89a"), "JPG or PNG"),
    ],
)
def test_answers_the_platform_would_not_take(wrong: Any, why: str):
    with pytest.raises(ValueError, match=why):
        wrong()


def test_no_words_reach_a_log():
    said = opened(msgtype="text", text={"content": "客户张三的电话"}, response_url="https://secret")
    assert "张三" not in repr(said)
    assert "secret" not in repr(said)
    assert "张三" not in repr(StreamText("s", "张三", True))


class Robot:
    """A robot's server: answers as the test tells it, and keeps what it heard."""

    def __init__(self) -> None:
        self.heard: list[RobotMessage | RobotEvent | StreamPoll] = []
        self.answers: list[RobotReply | None] = []
        self.keys = KEYS
        self.busy = asyncio.Event()

    async def receive(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(text=open_echo(self.keys, request.query))
        self.heard.append(open_message(self.keys, request.query, await request.read()))
        if len(self.heard) == 3:
            self.busy.set()
        reply = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if reply is None:
            return web.Response()
        return web.json_response(seal_reply(self.keys, reply, "nonce-1", SECOND))


@asynccontextmanager
async def a_robot(*answers: RobotReply | None) -> AsyncIterator[tuple[Platform, Robot]]:
    """The platform, and a robot that gives these answers, the last one for ever."""
    robot = Robot()
    robot.answers = list(answers)
    app = web.Application()
    app.router.add_route("*", "/wecom/aibot", robot.receive)
    server = TestServer(app)
    await server.start_server()
    async with a_platform() as platform:
        await platform.control(
            "robot_settings",
            url=str(server.make_url("/wecom/aibot")),
            token=CORP.token,
            aes_key=CORP.aes_key,
            poll_seconds=0,
        )
        yield platform, robot
    await server.close()


async def test_the_robot_s_address_is_verified():
    async with a_robot(None) as (platform, _):
        assert (await platform.control("robot_verify"))["verified"]
        await platform.control("robot_settings", token="another")
        assert not (await platform.control("robot_verify"))["verified"]


async def test_a_question_is_polled_until_the_answer_is_whole():
    parts = StreamText("s1", "", False), StreamText("s1", "稳健型", False)
    async with a_robot(*parts, StreamText("s1", "稳健型产品有三款。", True)) as (platform, robot):
        told = await platform.control("ask_robot", userid=LI, text="推荐稳健产品")
    question = robot.heard[0]
    assert (told["content"], told["polls"], told["error"]) == ("稳健型产品有三款。", 2, "")
    assert isinstance(question, RobotMessage)
    assert (question.asker.userid, question.text) == (LI, "推荐稳健产品")
    assert [type(heard) for heard in robot.heard[1:]] == [StreamPoll, StreamPoll]
    assert len({heard.asker.msgid for heard in robot.heard}) == 3


async def test_an_answer_that_never_ends_is_given_up_after_six_minutes():
    async with a_robot(StreamText("s1", "请稍候", False)) as (platform, _robot):
        told = await platform.control("ask_robot", userid=LI, text="在吗")
    assert (told["polls"], told["finished"]) == (360, False)
    assert "六分钟" in told["error"]


async def test_the_same_message_may_come_twice():
    async with a_robot(StreamText("s1", "好", True)) as (platform, robot):
        await platform.control("ask_robot", userid=LI, text="在吗", twice=True)
    assert len({heard.asker.msgid for heard in robot.heard}) == 1
    assert len(robot.heard) == 2


@pytest.mark.parametrize(
    "reply",
    [
        WelcomeText("欢迎"),
        CardUpdate(CARD),
        CardReply({"card_type": "button_interaction"}),
    ],
)
async def test_answers_that_do_not_fit_are_not_shown(reply: RobotReply):
    async with a_robot(reply) as (platform, _):
        told = await platform.control("ask_robot", userid=LI, text="在吗")
    assert told["error"]


async def test_an_answer_under_wrong_keys_is_not_shown():
    async with a_robot(StreamText("s", "好", True)) as (platform, robot):
        robot.keys = CallbackKeys("other", CORP.aes_key, "")
        told = await platform.control("ask_robot", userid=LI, text="在吗")
    assert told["error"]


async def test_a_card_is_answered_pressed_and_changed():
    async with a_robot(StreamWithCard(StreamText("s1", "好的", True), CARD)) as (platform, robot):
        told = await platform.control("ask_robot", userid=LI, text="提醒我回访")
        robot.answers = [CardUpdate({**CARD, "main_title": {"title": "已创建"}})]
        press = {"userid": LI, "key": "create", "task_id": "task-1"}
        pressed = await platform.control("robot_press", **press, card_type="button_interaction")
        robot.answers = [None]
        judged = await platform.control("robot_feedback", userid=LI, id="f1", type=1)
    assert told["card"] == CARD
    assert pressed["card"]["main_title"]["title"] == "已创建"
    assert judged["error"] == ""
    assert [heard.kind for heard in robot.heard[1:]] == ["template_card_event", "feedback_event"]


async def test_the_first_entry_of_a_day_is_greeted():
    async with a_robot(WelcomeText("您好，我是理财助手。")) as (platform, _):
        first = await platform.control("robot_enter", userid=LI)
        again = await platform.control("robot_enter", userid=LI)
        other = await platform.control("robot_enter", userid=ZHOU)
        platform.now += timedelta(days=1)
        tomorrow = await platform.control("robot_enter", userid=LI)
    assert first["content"] == "您好，我是理财助手。"
    assert [told["heard"] for told in (first, again, other, tomorrow)] == [True, False, True, True]


async def test_the_response_url_takes_one_answer_within_the_hour():
    async with a_robot(None) as (platform, robot):
        for _ in range(2):
            await platform.control("ask_robot", userid=LI, text="慢慢查", chatid="group-1")
        urls = [heard.response_url for heard in robot.heard if isinstance(heard, RobotMessage)]

        async def answered(url: str, body: bytes) -> int:
            async with platform.http.post(url, data=body) as response:
                return int((await response.json())["errcode"])

        late = late_reply(LateText("查到了"))
        assert await answered(urls[0], late) == 0
        assert await answered(urls[0], late) == 40058
        assert await answered(urls[1], b'{"msgtype":"text","text":{}}') == 40008
        assert (
            await answered(urls[1], b'{"msgtype":"markdown","markdown":{"content":"\\u67e5"}}')
            == 40033
        )
        platform.now += timedelta(hours=1, seconds=1)
        assert await answered(urls[1], late) == 40058
        assert platform.world.robot.turns[0].later == [LateText("查到了").payload()]


async def test_three_questions_of_a_member_are_in_flight_at_most():
    async with a_robot(StreamText("s1", "请稍候", False)) as (platform, robot):
        await platform.control("robot_settings", poll_seconds=60)
        asking = [
            asyncio.create_task(
                platform.http.post(
                    f"{platform.base}/control/ask_robot", json={"userid": LI, "text": str(n)}
                )
            )
            for n in range(3)
        ]
        await robot.busy.wait()
        fourth = await platform.control("ask_robot", userid=LI, text="还有一个")
        other = await platform.control("robot_enter", userid=ZHOU)
        for task in asking:
            task.cancel()
    assert fourth["status"] == 409
    assert other["status"] == 200

"""The platform's side of the robot (智能机器人) in webhook mode: JSON, encrypted, polled."""

import asyncio
import base64
import binascii
import contextlib
import json
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, time, timedelta
from typing import Any

import aiohttp
from aiohttp import web
from wechatpy.crypto import _get_signature
from wechatpy.enterprise.crypto import PrpCrypto

from wecom.simulator.api_call import PLATFORM, ApiError, Call, Handler
from wecom.simulator.cards import check_card
from wecom.simulator.control import SESSION, control
from wecom.simulator.corp import App
from wecom.simulator.envelope import encrypt, signed
from wecom.simulator.platform import SHANGHAI, ImpossibleError, Platform
from wecom.simulator.robot_state import RESPONSE_LIFE, RobotRoom, RobotTurn

ANSWER_SECONDS = 5.0
POLL_EVERY = timedelta(seconds=1)
STREAM_LIFE = timedelta(minutes=6)
STREAM_BYTES = 20480
IN_FLIGHT = 3
PICTURES = 10
ANSWERS = {
    "message": ("stream", "template_card", "stream_with_template_card"),
    "stream": ("stream", "stream_with_template_card"),
    "enter_chat": ("text", "template_card"),
    "template_card_event": ("update_template_card",),
    "feedback_event": (),
}

Fields = dict[str, Any]
Verb = Callable[[web.Request, Fields], Awaitable[Fields]]


class _WrongAnswerError(Exception):
    """The robot's server answered something the platform does not take."""


async def robot_settings(platform: Platform, wish: Fields) -> Fields:
    """`{url, token, aes_key, robot_id?, poll_seconds?}`: the robot's page in the client."""
    room = platform.world.robot
    for name in ("url", "token", "aes_key", "robot_id"):
        setattr(room, name, str(wish.get(name, getattr(room, name))))
    room.poll_seconds = float(wish.get("poll_seconds", room.poll_seconds))
    platform.live.dirty.set()
    return {}


async def ask_robot(request: web.Request, wish: Fields) -> Fields:
    """`{userid, text, chatid?, quote?, image?, voice?, twice?}`: a member asks, and reads on.

    The whole answer is collected: the stream is polled until it is finished or six minutes of its
    own time, a second a poll, are over. `twice` delivers the message a second time first.
    """
    turn = _turn(request, wish, "message")
    body = _opening(request, turn) | _words(wish)
    await _hear(request, turn, "message", body)
    if wish.get("twice") and not turn.error:
        await _hear(request, turn, "message", body)
    await _follow(request, turn)
    return _told(turn)


async def robot_enter(request: web.Request, wish: Fields) -> Fields:
    """`{userid}`: the member opens the chat; the robot hears of it once a day."""
    platform = request.app[PLATFORM]
    midnight = datetime.combine(platform.now().astimezone(SHANGHAI).date(), time(), SHANGHAI)
    if platform.world.robot.entered_today(str(wish["userid"]), midnight):
        return {"heard": False}
    turn = _turn(request, wish, "enter_chat")
    event = {"eventtype": "enter_chat", "enter_chat": {}}
    await _hear(request, turn, "enter_chat", _opening(request, turn) | _event(request, event))
    return {"heard": True, **_told(turn)}


async def robot_press(request: web.Request, wish: Fields) -> Fields:
    """`{userid, key, task_id, card_type, selections?}`: the member presses a robot's card."""
    turn = _turn(request, wish, "template_card_event")
    chosen = [
        {"question_key": question, "option_ids": {"option_id": list(options)}}
        for question, options in (wish.get("selections") or {}).items()
    ]
    detail = {
        "card_type": str(wish["card_type"]),
        "event_key": str(wish["key"]),
        "task_id": str(wish["task_id"]),
        "selected_items": {"selected_item": chosen},
    }
    event = {"eventtype": "template_card_event", "template_card_event": detail}
    body = _opening(request, turn) | _event(request, event)
    await _hear(request, turn, "template_card_event", body)
    return _told(turn)


async def robot_feedback(request: web.Request, wish: Fields) -> Fields:
    """`{userid, id, type: 1 good | 2 bad | 3 withdrawn, content?, reasons?}`: he judges it."""
    turn = _turn(request, wish, "feedback_event")
    detail = {
        "id": str(wish["id"]),
        "type": int(wish["type"]),
        "content": str(wish.get("content", "")),
        "inaccurate_reason_list": list(wish.get("reasons", [])),
    }
    event = {"eventtype": "feedback_event", "feedback_event": detail}
    await _hear(request, turn, "feedback_event", _opening(request, turn) | _event(request, event))
    return _told(turn)


async def robot_verify(request: web.Request, wish: Fields) -> Fields:
    """The robot's page checks its address: an echo must come back bare within a second."""
    room, word = _room(request.app[PLATFORM]), str(secrets.randbelow(10**18))
    app = _keys(room)
    echo = encrypt(app, "", word)
    query = {**signed(app, echo, int(request.app[PLATFORM].now().timestamp())), "echostr": echo}
    timeout = aiohttp.ClientTimeout(total=1.0)
    try:
        async with request.app[SESSION].get(room.url, params=query, timeout=timeout) as answer:
            return {"verified": answer.status == 200 and await answer.read() == word.encode()}
    except (aiohttp.ClientError, TimeoutError):
        return {"verified": False}


async def response(call: Call) -> Fields:
    """The response_url: one plain answer within an hour of the message."""
    code = call.query("response_code")
    turn = next((t for t in call.world.robot.turns if code and t.response_code == code), None)
    if turn is None or turn.answered_at or call.now() - turn.at > RESPONSE_LIFE:
        raise ApiError(40058)
    kind = call.text("msgtype")
    if kind not in ("markdown", "template_card") or not isinstance(call.body.get(kind), dict):
        raise ApiError(40008)
    if kind == "template_card":
        check_card(call.body[kind])
    elif len(str(call.body[kind].get("content", "")).encode()) > STREAM_BYTES:
        raise ApiError(45002)
    turn.answered_at = call.now()
    turn.later.append({"msgtype": kind, kind: call.body[kind]})
    call.platform.live.announce("robot", turn.userid)
    return {}


def _turn(request: web.Request, wish: Fields, kind: str) -> RobotTurn:
    platform = request.app[PLATFORM]
    room, userid = _room(platform), str(wish["userid"])
    if userid not in platform.world.members:
        raise ImpossibleError("没有这个成员")
    open_turns = [t for t in room.turns if t.userid == userid and _open(t)]
    if kind == "message" and len(open_turns) >= IN_FLIGHT:
        raise ImpossibleError("该成员已有三条消息在等待机器人回复")
    turn = RobotTurn(
        msgid=secrets.token_urlsafe(24),
        userid=userid,
        chat_id=str(wish.get("chatid", "")),
        kind=kind,
        text=str(wish.get("text", "")),
        at=platform.now(),
        response_code=secrets.token_urlsafe(32),
    )
    room.turns.append(turn)
    return turn


def _open(turn: RobotTurn) -> bool:
    return turn.kind == "message" and not (turn.finished or turn.error)


def _room(platform: Platform) -> RobotRoom:
    room = platform.world.robot
    if not (room.url and room.token and room.aes_key):
        raise ImpossibleError("还没有配置机器人的回调地址")
    return room


def _opening(request: web.Request, turn: RobotTurn) -> Fields:
    path = request.app.router["robot_response"].url_for()
    url = request.url.origin().join(path).with_query(response_code=turn.response_code)
    group = {"chatid": turn.chat_id} if turn.chat_id else {}
    return {
        "msgid": turn.msgid,
        "aibotid": request.app[PLATFORM].world.robot.robot_id,
        **group,
        "chattype": "group" if turn.chat_id else "single",
        "from": {"userid": turn.userid},
        "response_url": str(url),
    }


def _words(wish: Fields) -> Fields:
    text = {"content": str(wish.get("text", ""))}
    quoted = {"msgtype": "text", "text": {"content": str(wish.get("quote", ""))}}
    if "image" in wish and wish.get("text"):
        items = [
            {"msgtype": "text", "text": text},
            {"msgtype": "image", "image": {"url": str(wish["image"])}},
        ]
        body: Fields = {"msgtype": "mixed", "mixed": {"msg_item": items}}
    elif "image" in wish:
        body = {"msgtype": "image", "image": {"url": str(wish["image"])}}
    elif "voice" in wish:
        body = {"msgtype": "voice", "voice": {"content": str(wish["voice"])}}
    else:
        body = {"msgtype": "text", "text": text}
    return body | ({"quote": quoted} if "quote" in wish else {})


def _event(request: web.Request, event: Fields) -> Fields:
    second = int(request.app[PLATFORM].now().timestamp())
    return {"msgtype": "event", "create_time": second, "event": event}


async def _hear(request: web.Request, turn: RobotTurn, kind: str, body: Fields) -> None:
    """Deliver one body and take in the answer; what is wrong with it ends up in `turn.error`."""
    platform = request.app[PLATFORM]
    try:
        answer = await _post(request, body)
        if answer:
            _take(turn, kind, answer)
        elif kind == "stream":
            raise _WrongAnswerError("流式消息的刷新请求没有回复")
        else:
            turn.finished = True
    except _WrongAnswerError as wrong:
        turn.error = str(wrong)
    platform.live.announce("robot", turn.userid)


async def _follow(request: web.Request, turn: RobotTurn) -> None:
    platform = request.app[PLATFORM]
    most = int(STREAM_LIFE / POLL_EVERY)
    while not turn.finished and not turn.error and turn.polls < most:
        await _pause(platform)
        turn.polls += 1
        stream = {"id": turn.replies[-1]["stream"]["id"]}
        opening = {**_opening(request, turn), "msgid": secrets.token_urlsafe(24)}
        del opening["response_url"]
        body = opening | {"msgtype": "stream", "stream": stream}
        await _hear(request, turn, "stream", body)
    if not turn.finished and not turn.error:
        turn.error = "六分钟内没有结束回复"


async def _pause(platform: Platform) -> None:
    # Ends early when the server stops.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(platform.live.closing.wait(), platform.world.robot.poll_seconds)


async def _post(request: web.Request, body: Fields) -> Fields:
    platform = request.app[PLATFORM]
    room = platform.world.robot
    app = _keys(room)
    sealed = encrypt(app, "", json.dumps(body, ensure_ascii=False))
    query = signed(app, sealed, int(platform.now().timestamp()))
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    try:
        async with request.app[SESSION].post(
            room.url, params=query, json={"encrypt": sealed}, timeout=timeout
        ) as answer:
            raw = await answer.read()
    except (aiohttp.ClientError, TimeoutError):
        raise _WrongAnswerError("5 秒内没有收到回复") from None
    if answer.status != 200:
        raise _WrongAnswerError(f"回复的 HTTP 状态为 {answer.status}")
    return _unsealed(app, raw) if raw else {}


def _unsealed(app: App, raw: bytes) -> Fields:
    try:
        envelope = json.loads(raw)
        encrypted, timestamp = str(envelope["encrypt"]), str(envelope["timestamp"])
        expected = _get_signature(app.token, timestamp, str(envelope["nonce"]), encrypted)
        if str(envelope["msgsignature"]) != str(expected):
            raise _WrongAnswerError("回复的签名不正确")
        cipher = PrpCrypto(base64.b64decode(app.aes_key + "="))
        answer = json.loads(cipher.decrypt(encrypted, ""))
    except (ValueError, KeyError, TypeError, IndexError, binascii.Error) as unreadable:
        raise _WrongAnswerError("回复无法解密或不是 JSON") from unreadable
    if not isinstance(answer, dict):
        raise _WrongAnswerError("回复不是 JSON 对象")
    return answer


def _take(turn: RobotTurn, kind: str, answer: Fields) -> None:
    word = str(answer.get("msgtype") or answer.get("response_type", ""))
    if word not in ANSWERS[kind]:
        raise _WrongAnswerError(f"这里不能回复 {word or '空类型'}")
    turn.replies.append(answer)
    if isinstance(answer.get("stream"), dict):
        _take_stream(turn, kind, answer["stream"])
    elif word == "text":
        turn.content, turn.finished = str(answer["text"]["content"]), True
    else:
        turn.finished = True
    if isinstance(answer.get("template_card"), dict):
        _take_card(turn, answer["template_card"], update=word == "update_template_card")


def _take_stream(turn: RobotTurn, kind: str, stream: Fields) -> None:
    content, finish = str(stream.get("content", "")), bool(stream.get("finish"))
    pictures = stream.get("msg_item") or []
    if not stream.get("id"):
        raise _WrongAnswerError("流式消息缺少 id")
    if kind == "stream" and stream["id"] != turn.replies[-2]["stream"]["id"]:
        raise _WrongAnswerError("流式消息的 id 前后不一致")
    if len(content.encode()) > STREAM_BYTES:
        raise _WrongAnswerError("流式消息超过 20480 字节")
    if pictures and (not finish or len(pictures) > PICTURES):
        raise _WrongAnswerError("图片只能随最后一段发送，且不超过 10 张")
    turn.content, turn.finished = content, finish


def _take_card(turn: RobotTurn, card: Fields, *, update: bool) -> None:
    try:
        check_card(card, update=update)
    except ApiError as refused:
        raise _WrongAnswerError(f"卡片不合法：{refused.errcode}") from None
    turn.card = card


def _keys(room: RobotRoom) -> App:
    return App(0, "", room.token, room.aes_key, room.url)


def _told(turn: RobotTurn) -> Fields:
    return {
        "msgid": turn.msgid,
        "content": turn.content,
        "card": turn.card,
        "finished": turn.finished,
        "polls": turn.polls,
        "replies": turn.replies,
        "error": turn.error,
    }


def verb(action: Verb) -> Handler:
    """A control verb that needs to call the robot's server itself."""

    async def handle(request: web.Request) -> web.StreamResponse:
        async def act(platform: Platform, wish: Fields) -> Fields:
            return await action(request, wish)

        return await control(act)(request)

    return handle


CONTROLS = {"robot_settings": robot_settings}
HANDS: dict[str, Verb] = {
    "ask_robot": ask_robot,
    "robot_enter": robot_enter,
    "robot_press": robot_press,
    "robot_feedback": robot_feedback,
    "robot_verify": robot_verify,
}

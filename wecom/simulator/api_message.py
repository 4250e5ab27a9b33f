"""App messages to members; they never reach a customer."""

import json
import secrets
from datetime import timedelta
from itertools import takewhile
from typing import Any

from wecom.simulator.api_call import ERRORS, Action, ApiError, Call
from wecom.simulator.attachments import live_media
from wecom.simulator.card_state import ResponseCode, SentMessage
from wecom.simulator.cards import INTERACTIVE, changeable, check_card
from wecom.simulator.state import AppMessage

RECEIVERS, PARTIES = 1000, 100
PER_MINUTE = 30
PER_HOUR = 1000
DUPLICATE_SECONDS, LONGEST_DUPLICATE_SECONDS = 1800, 4 * 3600
ROOT_PARTY = "1"
ARTICLES = 8
MEDIA = ("image", "voice", "video", "file")
KINDS = ("text", "markdown", "textcard", "news", *MEDIA, "template_card")
BYTES = {
    "text": {},
    "markdown": {"content": 2048},
    "textcard": {"title": 128, "description": 512, "url": 2048},
}
TEXT_BYTES = 2048

ERRORS.update(
    {
        44004: "empty content",
        45008: "article count out of limit",
        82001: "user & party & tag all empty",
        82002: "invalid party list size",
        82003: "invalid tag list size",
    }
)


async def message_send(call: Call) -> dict[str, Any]:
    """Send to members; unknown ones come back lower-cased, floods are dropped without a word."""
    if str(call.body.get("agentid", "")) != str(call.app.agent_id):
        raise ApiError(40056)
    known, invalid = _receivers(call)
    msgtype, body = _content(call)
    if not known:
        raise ApiError(81013)
    msgid = secrets.token_urlsafe(48)
    deck = call.world.cards
    deck.sent[msgid] = SentMessage(msgid, call.app.agent_id, known, call.now())
    for userid in known:
        if not _flooded(call, userid) and not _repeated(call, userid, msgtype, body):
            call.platform.notify_member(AppMessage(msgid, userid, msgtype, body, call.now()))
    answer: dict[str, Any] = {"msgid": msgid, **invalid}
    if msgtype == "template_card":
        answer |= _register_card(call, msgid, body)
    return answer


def _register_card(call: Call, msgid: str, card: dict[str, Any]) -> dict[str, str]:
    deck = call.world.cards
    if task_id := card.get("task_id"):
        deck.task_ids.append(f"{call.app.agent_id}/{task_id}")
    if not changeable(card):
        return {}
    code = ResponseCode(secrets.token_urlsafe(32), msgid, call.now())
    deck.codes[code.code] = code
    return {"response_code": code.code}


def _content(call: Call) -> tuple[str, dict[str, Any]]:
    msgtype = call.text("msgtype")
    body = call.body.get(msgtype)
    if msgtype not in KINDS or not isinstance(body, dict):
        raise ApiError(40008)
    if msgtype == "text":
        return msgtype, _text(body)
    if msgtype == "news":
        _check_news(body)
    elif msgtype == "template_card":
        _check_card(call, body)
    elif msgtype in MEDIA:
        media = live_media(call, str(body.get("media_id", "")))
        if media.kind != msgtype:
            raise ApiError(40007)
        body = {**body, "filename": media.filename}
    for name, most in BYTES.get(msgtype, {}).items():
        if not body.get(name):
            raise ApiError(40058)
        if len(str(body[name]).encode()) > most:
            raise ApiError(45002)
    return msgtype, body


def _text(body: dict[str, Any]) -> dict[str, Any]:
    content = body.get("content")
    if not isinstance(content, str) or not content:
        raise ApiError(44004)
    # A text above 2048 bytes is cut, not refused.
    return {**body, "content": content.encode()[:TEXT_BYTES].decode(errors="ignore")}


def _check_news(body: dict[str, Any]) -> None:
    articles = body.get("articles")
    if not isinstance(articles, list) or not 1 <= len(articles) <= ARTICLES:
        raise ApiError(45008)
    for article in articles:
        if not isinstance(article, dict) or not article.get("title"):
            raise ApiError(40058)
        for name, most in {"title": 128, "description": 512, "url": 2048}.items():
            if len(str(article.get(name, "")).encode()) > most:
                raise ApiError(45002)


def _check_card(call: Call, card: dict[str, Any]) -> None:
    check_card(card)
    # A press must be told to somebody.
    if card["card_type"] in INTERACTIVE and not call.app.callback_url:
        raise ApiError(43012)
    if f"{call.app.agent_id}/{card.get('task_id', '')}" in call.world.cards.task_ids:
        raise ApiError(42014)


def _receivers(call: Call) -> tuple[list[str], dict[str, str]]:
    """The members who get it, and what of the request was invalid, as the answer words it."""
    users, parties, tags = (_ids(call, name) for name in ("touser", "toparty", "totag"))
    if not (users or parties or tags):
        raise ApiError(82001)
    if len(users) > RECEIVERS:
        raise ApiError(40058)
    if len(parties) > PARTIES:
        raise ApiError(82002)
    if len(tags) > PARTIES:
        raise ApiError(82003)
    visible = {u.lower(): u for u in call.world.members if call.app.sees(u)}
    everybody = users == ["@all"] or ROOT_PARTY in parties
    unknown = [] if users == ["@all"] else [u for u in users if u.lower() not in visible]
    # The platform compares user ids without regard to case.
    known = [visible[userid.lower()] for userid in users if userid.lower() in visible]
    invalid = {
        "invaliduser": "|".join(userid.lower() for userid in unknown),
        "invalidparty": "|".join(party for party in parties if party != ROOT_PARTY),
        "invalidtag": "|".join(tags),
    }
    chosen = list(visible.values()) if everybody else list(dict.fromkeys(known))
    return chosen, {name: words for name, words in invalid.items() if words}


def _ids(call: Call, name: str) -> list[str]:
    return list(dict.fromkeys(word for word in call.text(name).split("|") if word))


def _flooded(call: Call, userid: str) -> bool:
    minute, hour = call.now() - timedelta(minutes=1), call.now() - timedelta(hours=1)
    recent = takewhile(lambda m: m.at > hour, reversed(call.world.app_messages))
    mine = [m.at for m in recent if m.userid == userid and m.source == "app"]
    return len(mine) >= PER_HOUR or sum(at > minute for at in mine) >= PER_MINUTE


def _repeated(call: Call, userid: str, msgtype: str, body: dict[str, Any]) -> bool:
    if not call.body.get("enable_duplicate_check"):
        return False
    seconds = int(call.body.get("duplicate_check_interval", DUPLICATE_SECONDS))
    since = call.now() - timedelta(seconds=min(seconds, LONGEST_DUPLICATE_SECONDS))
    same = json.dumps(body, sort_keys=True)
    recent = takewhile(lambda m: m.at > since, reversed(call.world.app_messages))
    return any(
        m.userid == userid and m.msgtype == msgtype and json.dumps(m.body, sort_keys=True) == same
        for m in recent
    )


POSTS: dict[str, Action] = {"message/send": message_send}

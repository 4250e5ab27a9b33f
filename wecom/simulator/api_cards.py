"""Cards after they were sent: the app changes or recalls them, a member presses them."""

import secrets
from datetime import timedelta
from typing import Any

from wecom.simulator.api_call import Action, ApiError, Call
from wecom.simulator.card_state import CODE_LIFE, ResponseCode
from wecom.simulator.cards import check_card, keys_of, menu_keys_of, questions_of
from wecom.simulator.platform import ImpossibleError, Platform
from wecom.simulator.state import AppMessage

RECEIVERS = 1000
RECALL_LIFE = timedelta(hours=24)


async def update_template_card(call: Call) -> dict[str, Any]:
    """Change the cards of one message, by a response code that works once within 72 hours."""
    if str(call.body.get("agentid", "")) != str(call.app.agent_id):
        raise ApiError(40056)
    deck = call.world.cards
    code = deck.codes.get(call.text("response_code"))
    if code is None or code.used or call.now() - code.issued_at > CODE_LIFE:
        raise ApiError(42016)
    sent = deck.sent[code.msgid]
    if sent.agent_id != call.app.agent_id:
        raise ApiError(42015)
    name, card = _new_look(call)
    reached, unknown = _chosen(call, sent.userids)
    code.used = True
    for userid in reached:
        face = deck.face(sent.msgid, userid)
        face.replace_name, face.card = name, card
        call.platform.live.announce("app", userid)
    return {"invaliduser": unknown}


async def recall(call: Call) -> dict[str, Any]:
    """Take a message off every member's desktop, within 24 hours."""
    sent = call.world.cards.sent.get(call.text("msgid"))
    if sent is None or sent.agent_id != call.app.agent_id:
        raise ApiError(40058)
    if call.now() - sent.at > RECALL_LIFE:
        raise ApiError(42052)
    call.world.app_messages[:] = [m for m in call.world.app_messages if m.msgid != sent.msgid]
    for userid in sent.userids:
        call.platform.live.announce("app", userid)
    return {}


async def press_card(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{userid, msgid | task_id, key, selections?: {question: [option]}, menu?: true}`."""
    message = _card_of(platform, wish)
    card = current_card(platform, message)
    if platform.world.cards.face(message.msgid, message.userid).replace_name:
        raise ImpossibleError("按钮已被更新为不可点击")
    key, menu = str(wish["key"]), bool(wish.get("menu"))
    if key not in (menu_keys_of(card) if menu else keys_of(card)):
        raise ImpossibleError("卡片上没有这个按钮")
    selections = {} if menu else _selected(card, wish.get("selections") or {})
    code = ResponseCode(secrets.token_urlsafe(32), message.msgid, platform.now())
    platform.world.cards.codes[code.code] = code
    platform.world.cards.face(message.msgid, message.userid).presses += 1
    _call_back(platform, message, card, key, code.code, selections, menu)
    platform.live.announce("app", message.userid)
    return {"response_code": code.code}


def current_card(platform: Platform, message: AppMessage) -> dict[str, Any]:
    """The card as the member sees it now."""
    face = platform.world.cards.faces.get(f"{message.msgid}/{message.userid}")
    changed = face.card if face else None
    # The task id of a card is the one it was sent with; an update cannot change it.
    return {**changed, "task_id": message.body.get("task_id", "")} if changed else message.body


def _new_look(call: Call) -> tuple[str, dict[str, Any] | None]:
    button, card = call.body.get("button"), call.body.get("template_card")
    if isinstance(card, dict):
        check_card(card, update=True)
        return "", card
    name = button.get("replace_name") if isinstance(button, dict) else None
    if not isinstance(name, str) or not name:
        raise ApiError(42020)
    return name, None


def _chosen(call: Call, receivers: list[str]) -> tuple[list[str], list[str]]:
    if call.body.get("atall") == 1:
        return receivers, []
    wanted = call.body.get("userids") or []
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= RECEIVERS:
        raise ApiError(40058)
    got = {userid.lower(): userid for userid in receivers}
    reached = [got[str(u).lower()] for u in wanted if str(u).lower() in got]
    return reached, [str(u) for u in wanted if str(u).lower() not in got]


def _card_of(platform: Platform, wish: dict[str, Any]) -> AppMessage:
    wanted = wish.get("msgid"), wish.get("task_id")
    for message in reversed(platform.world.app_messages):
        named = message.msgid == wanted[0] or (
            wanted[1] and message.body.get("task_id") == wanted[1]
        )
        if message.userid == wish["userid"] and message.msgtype == "template_card" and named:
            return message
    raise ImpossibleError("该成员没有收到这张卡片")


def _selected(card: dict[str, Any], chosen: dict[str, Any]) -> dict[str, list[str]]:
    questions = questions_of(card)
    if unknown := chosen.keys() - questions.keys():
        raise ImpossibleError(f"卡片上没有这个问题：{sorted(unknown)[0]}")
    answers: dict[str, list[str]] = {}
    for question, (options, several) in questions.items():
        picked = [str(option) for option in chosen.get(question) or []]
        if not set(picked) <= options or (len(picked) > 1 and not several):
            raise ImpossibleError("选项与卡片不符")
        answers[question] = picked
    return answers


def _call_back(
    platform: Platform,
    message: AppMessage,
    card: dict[str, Any],
    key: str,
    code: str,
    selections: dict[str, list[str]],
    menu: bool,
) -> None:
    app = platform.app(platform.world.cards.sent[message.msgid].agent_id)
    if app is None:
        raise ImpossibleError("发送这张卡片的应用已不存在")
    fields: dict[str, Any] = {
        "FromUserName": message.userid,
        "MsgType": "event",
        "Event": "template_card_menu_event" if menu else "template_card_event",
        "EventKey": key,
        "TaskId": str(card.get("task_id", "")),
        "CardType": str(card["card_type"]),
        "ResponseCode": code,
        "AgentID": app.agent_id,
    }
    if selections:
        fields["SelectedItems"] = {
            "SelectedItem": [
                {"QuestionKey": question, "OptionIds": {"OptionId": options}}
                for question, options in selections.items()
            ]
        }
    platform.line.tell(app, fields, agent_id=str(app.agent_id))


POSTS: dict[str, Action] = {
    "message/update_template_card": update_template_card,
    "message/recall": recall,
}
CONTROLS = {"press_card": press_card}

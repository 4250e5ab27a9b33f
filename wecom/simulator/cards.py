"""Template cards: what the platform refuses, and which keys a member can press."""

import re
from collections.abc import Iterable
from typing import Any, Literal

from wecom.simulator.api_call import ERRORS, ApiError

CardType = Literal[
    "text_notice", "news_notice", "button_interaction", "vote_interaction", "multiple_interaction"
]
INTERACTIVE = ("button_interaction", "vote_interaction", "multiple_interaction")
TYPES = ("text_notice", "news_notice", *INTERACTIVE)
KEY_BYTES, OPTION_BYTES, QUESTION_BYTES = 1024, 128, 200
BUTTONS, MENU, ROWS, JUMPS, VERTICAL, SELECTS = 6, 3, 6, 3, 4, 3
SELECT_OPTIONS, VOTE_OPTIONS = 10, 20
FLATTEST, WIDEST = 1.3, 2.25

ERRORS.update(
    {
        42014: "invalid taskid",
        42016: "taskid not exist",
        42027: "missing keyname in horizontal_content_list",
        42028: "missing url",
        42029: "missing media_id",
        42030: "missing appid",
        42031: "invalid card_type",
        42033: "missing title",
        42035: "invalid horizontal_content_list size",
        42036: "invalid vertical_content_list size",
        42037: "invalid option_list size",
        42038: "invalid button_list.text",
        42039: "invalid button_list.key",
        42040: "invalid option_list.id",
        42041: "invalid option_list.text",
        42042: "invalid jump_list size",
        42043: "invalid question_key",
        42044: "invalid card_image.url",
        42045: "invalid card_action",
        42046: "invalid submit_button.key",
        42047: "invalid select_list size",
        42049: "invalid submit_button.text",
        42050: "invalid userid in horizontal_content_list",
        42051: "action_list.key conflict",
        42052: "msgid expired",
        43012: "callback url not set",
    }
)

Part = dict[str, Any]


def check_card(card: Part, *, update: bool = False) -> None:
    """Raise what the platform answers to this card; an update needs no task id."""
    kind = card.get("card_type")
    if kind not in TYPES:
        raise ApiError(42031)
    _CHECKS[kind](card, update)
    _check_rows(card)
    _check_jumps(card)
    _check_menu(card)
    needs_task = kind in INTERACTIVE or bool(card.get("action_menu"))
    if needs_task and not update:
        _check_task_id(card)


def changeable(card: Part) -> bool:
    """Whether the platform hands out a response code for the card."""
    return card.get("card_type") in INTERACTIVE or bool(card.get("action_menu"))


def keys_of(card: Part) -> set[str]:
    """The keys a press on the card itself can carry."""
    keys = {str(button.get("key")) for button in _list(card, "button_list")}
    if submit := card.get("submit_button"):
        keys.add(str(submit.get("key")))
    return keys


def menu_keys_of(card: Part) -> set[str]:
    """The keys of the menu in the card's corner."""
    return {str(row.get("key")) for row in _list(card.get("action_menu") or {}, "action_list")}


def questions_of(card: Part) -> dict[str, tuple[set[str], bool]]:
    """Each question with its options, and whether several may be chosen."""
    found: dict[str, tuple[set[str], bool]] = {}
    if box := card.get("checkbox"):
        found[str(box["question_key"])] = (_option_ids(box), box.get("mode") == 1)
    singles = [card["button_selection"]] if card.get("button_selection") else []
    for part in (*singles, *_list(card, "select_list")):
        found[str(part["question_key"])] = (_option_ids(part), False)
    return found


def _text_notice(card: Part, update: bool) -> None:
    _check_action(card)
    if not (_title(card) or card.get("sub_title_text")):
        raise ApiError(42033)


def _news_notice(card: Part, update: bool) -> None:
    _need_title(card)
    _check_action(card)
    image = card.get("card_image")
    if not image and not card.get("image_text_area"):
        raise ApiError(42044)
    if image and not image.get("url"):
        raise ApiError(42044)
    ratio = (image or {}).get("aspect_ratio", FLATTEST)
    if not isinstance(ratio, int | float) or not FLATTEST <= ratio <= WIDEST:
        raise ApiError(40058)
    rows = _list(card, "vertical_content_list")
    if len(rows) > VERTICAL:
        raise ApiError(42036)
    if not all(row.get("title") for row in rows):
        raise ApiError(42033)


def _button_interaction(card: Part, update: bool) -> None:
    _need_title(card)
    buttons = _list(card, "button_list")
    if not 1 <= len(buttons) <= BUTTONS:
        raise ApiError(42038)
    for button in buttons:
        if not button.get("text"):
            raise ApiError(42038)
        # A button of type 1 opens an address and carries no key.
        if button.get("type") == 1:
            _need(button, "url", 42028)
        elif not _key(button.get("key")):
            raise ApiError(42039)
    _need_distinct((b["key"] for b in buttons if b.get("key")), 42039)
    if selection := card.get("button_selection"):
        _check_question(selection, SELECT_OPTIONS, update)


def _vote_interaction(card: Part, update: bool) -> None:
    _need_title(card)
    box = card.get("checkbox")
    if not isinstance(box, dict):
        raise ApiError(42043)
    _check_question(box, VOTE_OPTIONS, update)
    _check_submit(card)


def _multiple_interaction(card: Part, update: bool) -> None:
    _need_title(card)
    selects = _list(card, "select_list")
    if not 1 <= len(selects) <= SELECTS:
        raise ApiError(42047)
    for select in selects:
        _check_question(select, SELECT_OPTIONS, update)
    _need_distinct((select["question_key"] for select in selects), 42043)
    _check_submit(card)


_CHECKS = {
    "text_notice": _text_notice,
    "news_notice": _news_notice,
    "button_interaction": _button_interaction,
    "vote_interaction": _vote_interaction,
    "multiple_interaction": _multiple_interaction,
}


def _check_question(part: Part, most: int, update: bool) -> None:
    if not _key(part.get("question_key")):
        raise ApiError(42043)
    if part.get("disable") and not update:
        raise ApiError(40058)
    options = _list(part, "option_list")
    if not 1 <= len(options) <= most:
        raise ApiError(42037)
    for option in options:
        if not option.get("text"):
            raise ApiError(42041)
        if not 1 <= len(str(option.get("id") or "").encode()) <= OPTION_BYTES:
            raise ApiError(42040)
    _need_distinct((option["id"] for option in options), 42040)


def _check_submit(card: Part) -> None:
    submit = card.get("submit_button")
    if not isinstance(submit, dict) or not submit.get("text"):
        raise ApiError(42049)
    if not _key(submit.get("key")):
        raise ApiError(42046)


def _check_action(card: Part) -> None:
    action = card.get("card_action")
    kind = action.get("type") if isinstance(action, dict) else None
    if kind not in (1, 2):
        raise ApiError(42045)
    _need(card["card_action"], "url" if kind == 1 else "appid", 42028 if kind == 1 else 42030)


def _check_rows(card: Part) -> None:
    rows = _list(card, "horizontal_content_list")
    if len(rows) > ROWS:
        raise ApiError(42035)
    wanted = {1: ("url", 42028), 2: ("media_id", 42029), 3: ("userid", 42050)}
    for row in rows:
        _need(row, "keyname", 42027)
        if row.get("type") in wanted:
            _need(row, *wanted[row["type"]])


def _check_jumps(card: Part) -> None:
    jumps = _list(card, "jump_list")
    if len(jumps) > JUMPS:
        raise ApiError(42042)
    wanted = {1: ("url", 42028), 2: ("appid", 42030), 3: ("question", 40058)}
    for jump in jumps:
        _need(jump, "title", 42033)
        if jump.get("type") in wanted:
            _need(jump, *wanted[jump["type"]])
        if len(str(jump.get("question", "")).encode()) > QUESTION_BYTES:
            raise ApiError(40058)


def _check_menu(card: Part) -> None:
    menu = card.get("action_menu")
    if not menu:
        return
    actions = _list(menu, "action_list")
    if not 1 <= len(actions) <= MENU:
        raise ApiError(40058)
    if not all(action.get("text") and _key(action.get("key")) for action in actions):
        raise ApiError(42039)
    _need_distinct((action["key"] for action in actions), 42051)


def _check_task_id(card: Part) -> None:
    task_id = card.get("task_id")
    if not isinstance(task_id, str) or not re.fullmatch(r"[0-9A-Za-z_\-@]{1,128}", task_id):
        raise ApiError(42014)


def _need_title(card: Part) -> None:
    if not _title(card):
        raise ApiError(42033)


def _title(card: Part) -> str:
    heading = card.get("main_title")
    return str(heading.get("title") or "") if isinstance(heading, dict) else ""


def _need(part: Part, name: str, errcode: int) -> None:
    if not part.get(name):
        raise ApiError(errcode)


def _need_distinct(values: Iterable[Any], errcode: int) -> None:
    listed = list(values)
    if len(set(listed)) != len(listed):
        raise ApiError(errcode)


def _key(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value.encode()) <= KEY_BYTES


def _option_ids(part: Part) -> set[str]:
    return {str(option["id"]) for option in _list(part, "option_list")}


def _list(part: Part, name: str) -> list[Part]:
    value = part.get(name) or []
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise ApiError(40058)
    return value

"""What a member sees of a template card, and what can be pressed on it, as plain values."""

from typing import Any

from wecom.simulator.api_cards import current_card
from wecom.simulator.platform import Platform
from wecom.simulator.state import AppMessage


def card_view(platform: Platform, message: AppMessage) -> dict[str, Any] | None:
    """The card as it is now; nothing for messages of another kind."""
    if message.msgtype != "template_card":
        return None
    face = platform.world.cards.faces.get(f"{message.msgid}/{message.userid}")
    return card_parts(current_card(platform, message), face.replace_name if face else "")


def card_parts(card: dict[str, Any], replaced: str = "") -> dict[str, Any]:
    """The parts of a card in the order they are read; `replaced` stands in for its buttons."""
    heading = card.get("main_title") or {}
    return {
        "kind": card.get("card_type", ""),
        "source": (card.get("source") or {}).get("desc", ""),
        "title": heading.get("title", ""),
        "desc": heading.get("desc", ""),
        "emphasis": card.get("emphasis_content") or {},
        "text": card.get("sub_title_text", ""),
        "quote": card.get("quote_area") or {},
        "image": (card.get("card_image") or {}).get("url", ""),
        "aside": card.get("image_text_area") or {},
        "paragraphs": card.get("vertical_content_list") or [],
        "rows": card.get("horizontal_content_list") or [],
        "jumps": [jump for jump in card.get("jump_list") or [] if jump.get("url")],
        "url": (card.get("card_action") or {}).get("url", ""),
        "buttons": card.get("button_list") or [],
        "questions": _questions(card),
        "submit": card.get("submit_button") or None,
        "menu": (card.get("action_menu") or {}).get("action_list") or [],
        "task_id": card.get("task_id", ""),
        "replaced": replaced,
    }


def _questions(card: dict[str, Any]) -> list[dict[str, Any]]:
    box, single = card.get("checkbox"), card.get("button_selection")
    rows = [_question(box, several=box.get("mode") == 1, shown=True)] if box else []
    rows += [_question(single, several=False, shown=False)] if single else []
    rows += [_question(s, several=False, shown=False) for s in card.get("select_list") or []]
    return rows


def _question(part: dict[str, Any], *, several: bool, shown: bool) -> dict[str, Any]:
    """`shown`: the options stand open on the card instead of in a list that unfolds."""
    options = part.get("option_list") or []
    chosen = [o["id"] for o in options if o.get("is_checked") or o["id"] == part.get("selected_id")]
    return {
        "key": part["question_key"],
        "title": part.get("title", ""),
        "several": several,
        "shown": shown,
        "disabled": bool(part.get("disable")),
        "options": [{"id": o["id"], "text": o["text"]} for o in options],
        "chosen": chosen,
    }

"""Reads what members write to the app and do with it."""

from typing import Final, TypeVar
from xml.etree.ElementTree import Element

from wecom.event_kinds import (
    AppEntered,
    AppSubscribed,
    AppUnsubscribed,
    CardMenuPressed,
    CardPressed,
    FileMessage,
    ImageMessage,
    LinkMessage,
    LocationMessage,
    MemberAction,
    MemberLocated,
    MenuPressed,
    Selection,
    TextMessage,
    VideoMessage,
    VoiceMessage,
)
from wecom.event_xml import Envelope, Reader, decimal, number, text, texts

A = TypeVar("A", bound=MemberAction)


class _Sender(Envelope):
    userid: str
    agent_id: str


class _Message(_Sender):
    message_id: str


# What members write to the app.


def _message(xml: Element, envelope: Envelope) -> _Message | None:
    """What every message says; None without its sender or its number."""
    userid, message_id = text(xml, "FromUserName"), text(xml, "MsgId")
    if not userid or not message_id:
        return None
    return {
        **envelope,
        "userid": userid,
        "agent_id": text(xml, "AgentID"),
        "message_id": message_id,
    }


def _text_message(xml: Element, envelope: Envelope) -> TextMessage | None:
    head = _message(xml, envelope)
    return head and TextMessage(**head, text=text(xml, "Content"))


def _image_message(xml: Element, envelope: Envelope) -> ImageMessage | None:
    head = _message(xml, envelope)
    return head and ImageMessage(
        **head, media_id=text(xml, "MediaId"), picture_url=text(xml, "PicUrl")
    )


def _voice_message(xml: Element, envelope: Envelope) -> VoiceMessage | None:
    head = _message(xml, envelope)
    return head and VoiceMessage(**head, media_id=text(xml, "MediaId"), format=text(xml, "Format"))


def _video_message(xml: Element, envelope: Envelope) -> VideoMessage | None:
    head = _message(xml, envelope)
    return head and VideoMessage(
        **head, media_id=text(xml, "MediaId"), thumb_media_id=text(xml, "ThumbMediaId")
    )


def _location_message(xml: Element, envelope: Envelope) -> LocationMessage | None:
    head = _message(xml, envelope)
    return head and LocationMessage(
        **head,
        latitude=decimal(xml, "Location_X"),
        longitude=decimal(xml, "Location_Y"),
        scale=number(xml, "Scale"),
        label=text(xml, "Label"),
    )


def _link_message(xml: Element, envelope: Envelope) -> LinkMessage | None:
    head = _message(xml, envelope)
    return head and LinkMessage(
        **head,
        title=text(xml, "Title"),
        description=text(xml, "Description"),
        url=text(xml, "Url"),
        picture_url=text(xml, "PicUrl"),
    )


def _file_message(xml: Element, envelope: Envelope) -> FileMessage | None:
    head = _message(xml, envelope)
    return head and FileMessage(
        **head, media_id=text(xml, "MediaId"), filename=text(xml, "FileName")
    )


# What members do with the app.


def _sender(xml: Element, envelope: Envelope) -> _Sender:
    return {
        **envelope,
        "userid": text(xml, "FromUserName"),
        "agent_id": text(xml, "AgentID"),
    }


def _plain(kind: type[A]) -> Reader:
    """A reader of events that say nothing but who did it."""
    return lambda xml, envelope: kind(**_sender(xml, envelope))


def _member_located(xml: Element, envelope: Envelope) -> MemberLocated:
    return MemberLocated(
        **_sender(xml, envelope),
        latitude=decimal(xml, "Latitude"),
        longitude=decimal(xml, "Longitude"),
        precision=decimal(xml, "Precision"),
    )


def _menu_pressed(xml: Element, envelope: Envelope) -> MenuPressed:
    return MenuPressed(**_sender(xml, envelope), key=text(xml, "EventKey"))


def _card_pressed(xml: Element, envelope: Envelope) -> CardPressed | None:
    if not text(xml, "FromUserName") or not text(xml, "TaskId"):
        return None
    return CardPressed(
        **_sender(xml, envelope),
        button=text(xml, "EventKey"),
        task_id=text(xml, "TaskId"),
        card_type=text(xml, "CardType"),
        response_code=text(xml, "ResponseCode"),
        selections=tuple(_selection(item) for item in xml.findall("SelectedItems/SelectedItem")),
    )


def _selection(item: Element) -> Selection:
    return Selection(text(item, "QuestionKey"), texts(item, "OptionIds/OptionId"))


def _card_menu_pressed(xml: Element, envelope: Envelope) -> CardMenuPressed | None:
    if not text(xml, "FromUserName") or not text(xml, "TaskId"):
        return None
    return CardMenuPressed(
        **_sender(xml, envelope),
        button=text(xml, "EventKey"),
        task_id=text(xml, "TaskId"),
        card_type=text(xml, "CardType"),
        response_code=text(xml, "ResponseCode"),
    )


MESSAGES: Final[dict[str, Reader]] = {
    "text": _text_message,
    "image": _image_message,
    "voice": _voice_message,
    "video": _video_message,
    "location": _location_message,
    "link": _link_message,
    "file": _file_message,
}
ACTIONS: Final[dict[str, Reader]] = {
    "subscribe": _plain(AppSubscribed),
    "unsubscribe": _plain(AppUnsubscribed),
    "enter_agent": _plain(AppEntered),
    "LOCATION": _member_located,
    "click": _menu_pressed,
    "view": _menu_pressed,
    "view_miniprogram": _menu_pressed,
    "template_card_event": _card_pressed,
    "template_card_menu_event": _card_menu_pressed,
}

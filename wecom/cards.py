"""Template cards (模板卡片) for members: notices, buttons, votes and choices.

    TextNotice · NewsNotice              shown, with one place a tap leads to
    ButtonCard · VoteCard · ChoiceCard   pressed: WeCom calls back with `task_id` and the key

Lengths are held to before anything is sent. The three that are pressed need the app's callback.
"""

import re
from dataclasses import dataclass
from typing import Final

from wecom.attachments import Payload
from wecom.card_parts import (
    KEY_BYTES,
    Action,
    Button,
    Fact,
    Frame,
    Jump,
    Option,
    Page,
    Select,
    Title,
    filled,
)
from wecom.limits import present, some, unique, within

__all__ = [
    "Action",
    "Button",
    "ButtonCard",
    "ChoiceCard",
    "Fact",
    "Frame",
    "Jump",
    "NewsNotice",
    "Option",
    "Page",
    "Select",
    "TemplateCard",
    "TextNotice",
    "Title",
    "VoteCard",
    "replacing",
]

MAX_BUTTONS: Final = 6
MAX_SELECTS: Final = 3
MAX_CHECK_OPTIONS: Final = 20
MAX_NEWS_LINES: Final = 4
_TASK_ID: Final = re.compile(r"[0-9A-Za-z_\-@]{1,128}")
PLAIN: Final = Frame()


@dataclass(frozen=True, slots=True)
class TextNotice:
    """A notice with a page behind it; a title or, in its frame, a subtitle."""

    title: Title
    page: Page
    frame: Frame = PLAIN
    figure: str = ""
    figure_note: str = ""
    task_id: str = ""

    def __post_init__(self) -> None:
        if not self.title.title and not self.frame.subtitle:
            raise ValueError("a text notice needs a title or a subtitle")
        _task_id(self.task_id, needed=bool(self.frame.menu))

    def payload(self) -> Payload:
        """As WeCom takes it."""
        own: Payload = {"card_action": self.page.payload()}
        if self.figure:
            own["emphasis_content"] = filled(title=self.figure, desc=self.figure_note)
        return _card("text_notice", self.title, self.frame, own, self.task_id)


@dataclass(frozen=True, slots=True)
class NewsNotice:
    """A notice with a picture, `aspect` wide to high from 1.3 to 2.25, and a page behind it."""

    title: Title
    page: Page
    picture_url: str
    frame: Frame = PLAIN
    aspect: float = 1.3
    lines: tuple[Title, ...] = ()
    task_id: str = ""

    def __post_init__(self) -> None:
        present("news notice title", self.title.title)
        present("news notice picture_url", self.picture_url)
        if not 1.3 <= self.aspect <= 2.25:
            raise ValueError(f"aspect takes 1.3 to 2.25, got {self.aspect}")
        some("news notice lines", self.lines, MAX_NEWS_LINES, least=0)
        _task_id(self.task_id, needed=bool(self.frame.menu))

    def payload(self) -> Payload:
        """As WeCom takes it."""
        own: Payload = {
            "card_action": self.page.payload(),
            "card_image": {"url": self.picture_url, "aspect_ratio": self.aspect},
        }
        if self.lines:
            own["vertical_content_list"] = [line.payload() for line in self.lines]
        return _card("news_notice", self.title, self.frame, own, self.task_id)


@dataclass(frozen=True, slots=True)
class ButtonCard:
    """A card with one to six buttons, one of which may be pressed once."""

    title: Title
    buttons: tuple[Button, ...]
    task_id: str
    frame: Frame = PLAIN
    select: Select | None = None
    page: Page | None = None

    def __post_init__(self) -> None:
        present("button card title", self.title.title)
        some("buttons", self.buttons, MAX_BUTTONS)
        unique("buttons", [button.key for button in self.buttons])
        _task_id(self.task_id, needed=True)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        own: Payload = {"button_list": [button.payload() for button in self.buttons]}
        if self.select:
            own["button_selection"] = self.select.payload()
        if self.page:
            own["card_action"] = self.page.payload()
        return _card("button_interaction", self.title, self.frame, own, self.task_id)


@dataclass(frozen=True, slots=True)
class VoteCard:
    """A question with up to twenty answers to tick, one or several."""

    title: Title
    key: str
    options: tuple[Option, ...]
    task_id: str
    several: bool = False
    submit: str = "提交"
    submit_key: str = "submit"
    frame: Frame = PLAIN

    def __post_init__(self) -> None:
        present("vote card title", self.title.title)
        within("vote key", self.key, KEY_BYTES)
        some("vote options", self.options, MAX_CHECK_OPTIONS)
        unique("vote options", [option.id for option in self.options])
        within("submit key", self.submit_key, KEY_BYTES)
        _task_id(self.task_id, needed=True)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        options = [
            {"id": option.id, "text": option.text, "is_checked": option.checked}
            for option in self.options
        ]
        own: Payload = {
            "checkbox": {
                "question_key": self.key,
                "option_list": options,
                "mode": int(self.several),
            },
            "submit_button": {"text": self.submit, "key": self.submit_key},
        }
        return _card("vote_interaction", self.title, self.frame, own, self.task_id)


@dataclass(frozen=True, slots=True)
class ChoiceCard:
    """Up to three drop-downs and one button."""

    title: Title
    selects: tuple[Select, ...]
    task_id: str
    submit: str = "提交"
    submit_key: str = "submit"
    frame: Frame = PLAIN

    def __post_init__(self) -> None:
        present("choice card title", self.title.title)
        some("selects", self.selects, MAX_SELECTS)
        unique("selects", [select.key for select in self.selects])
        within("submit key", self.submit_key, KEY_BYTES)
        _task_id(self.task_id, needed=True)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        own: Payload = {
            "select_list": [select.payload() for select in self.selects],
            "submit_button": {"text": self.submit, "key": self.submit_key},
        }
        return _card("multiple_interaction", self.title, self.frame, own, self.task_id)


TemplateCard = TextNotice | NewsNotice | ButtonCard | VoteCard | ChoiceCard


def replacing(card: TemplateCard) -> Payload:
    """The card as an update takes it: its task id counts only when sending."""
    fields = card.payload()["template_card"]
    assert isinstance(fields, dict)
    return {name: value for name, value in fields.items() if name != "task_id"}


def _card(kind: str, title: Title, frame: Frame, own: Payload, task_id: str) -> Payload:
    fields: Payload = {"card_type": kind}
    if title.payload():
        fields["main_title"] = title.payload()
    fields |= frame.payload() | own
    if task_id:
        fields["task_id"] = task_id
    return {"msgtype": "template_card", "template_card": fields}


def _task_id(task_id: str, *, needed: bool) -> None:
    if (task_id or needed) and not _TASK_ID.fullmatch(task_id):
        raise ValueError("a card's task_id has 1 to 128 of 0-9 A-Z a-z _ - @")

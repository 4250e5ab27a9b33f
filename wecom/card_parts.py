"""The parts template cards (模板卡片) are made of; `cards` puts them together."""

from dataclasses import dataclass
from typing import Final

from wecom.attachments import Payload
from wecom.limits import present, some, unique, within

KEY_BYTES: Final = 1024
OPTION_BYTES: Final = 128
MAX_FACTS: Final = 6
MAX_JUMPS: Final = 3
MAX_SELECT_OPTIONS: Final = 10


@dataclass(frozen=True, slots=True)
class Title:
    """The head of a card; one line each."""

    title: str
    description: str = ""

    def payload(self) -> Payload:
        """As WeCom takes it."""
        return filled(title=self.title, desc=self.description)


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of two columns: what, and how much; with a url the value is a link."""

    name: str
    value: str
    url: str = ""
    userid: str = ""

    def __post_init__(self) -> None:
        present("card fact name", self.name)
        if self.url and self.userid:
            raise ValueError("a card fact leads to a page or to a member, not to both")

    def payload(self) -> Payload:
        """As WeCom takes it."""
        kind = {"type": 1} if self.url else {"type": 3} if self.userid else {}
        return {
            **kind,
            **filled(keyname=self.name, value=self.value, url=self.url, userid=self.userid),
        }


@dataclass(frozen=True, slots=True)
class Page:
    """Where a tap leads: a page, or a page of a mini program."""

    url: str = ""
    app_id: str = ""
    path: str = ""

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.app_id):
            raise ValueError("a tap leads to a page or to a mini program")
        within("card url", self.url, 2048, least=0)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        if self.url:
            return {"type": 1, "url": self.url}
        return {"type": 2, **filled(appid=self.app_id, pagepath=self.path)}


@dataclass(frozen=True, slots=True)
class Jump:
    """A line at the foot of a card that leads somewhere."""

    title: str
    page: Page

    def __post_init__(self) -> None:
        present("card jump title", self.title)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        return {"title": self.title, **self.page.payload()}


@dataclass(frozen=True, slots=True)
class Button:
    """A button; `style` is 1 blue, 2 grey-blue, 3 red, 4 grey. The key comes back when pressed."""

    text: str
    key: str
    style: int = 1

    def __post_init__(self) -> None:
        present("button text", self.text)
        within("button key", self.key, KEY_BYTES)
        if self.style not in (1, 2, 3, 4):
            raise ValueError(f"button style is 1 to 4, got {self.style}")

    def payload(self) -> Payload:
        """As WeCom takes it."""
        return {"text": self.text, "style": self.style, "key": self.key}


@dataclass(frozen=True, slots=True)
class Option:
    """Something to choose."""

    id: str
    text: str
    checked: bool = False

    def __post_init__(self) -> None:
        within("option id", self.id, OPTION_BYTES)
        present("option text", self.text)


@dataclass(frozen=True, slots=True)
class Select:
    """A question with a drop-down of up to ten answers."""

    key: str
    title: str
    options: tuple[Option, ...]

    def __post_init__(self) -> None:
        within("select key", self.key, KEY_BYTES)
        some("select options", self.options, MAX_SELECT_OPTIONS)
        unique("select options", [option.id for option in self.options])

    def payload(self) -> Payload:
        """As WeCom takes it; the one that is checked is shown."""
        shown = next((option.id for option in self.options if option.checked), self.options[0].id)
        return {
            "question_key": self.key,
            "title": self.title,
            "selected_id": shown,
            "option_list": [{"id": option.id, "text": option.text} for option in self.options],
        }


@dataclass(frozen=True, slots=True)
class Action:
    """An entry of the menu at a card's corner."""

    text: str
    key: str

    def __post_init__(self) -> None:
        present("action text", self.text)
        within("action key", self.key, KEY_BYTES)


@dataclass(frozen=True, slots=True)
class Frame:
    """What any card may have around its own part."""

    source: str = ""
    source_icon: str = ""
    facts: tuple[Fact, ...] = ()
    jumps: tuple[Jump, ...] = ()
    quote: str = ""
    subtitle: str = ""
    menu_hint: str = ""
    menu: tuple[Action, ...] = ()

    def __post_init__(self) -> None:
        some("card facts", self.facts, MAX_FACTS, least=0)
        some("card jumps", self.jumps, MAX_JUMPS, least=0)
        some("card menu", self.menu, 3, least=0)
        unique("card menu", [action.key for action in self.menu])

    def payload(self) -> Payload:
        """As WeCom takes it; what is empty is left out."""
        fields: Payload = {}
        if self.source or self.source_icon:
            fields["source"] = filled(icon_url=self.source_icon, desc=self.source)
        if self.facts:
            fields["horizontal_content_list"] = [fact.payload() for fact in self.facts]
        if self.jumps:
            fields["jump_list"] = [jump.payload() for jump in self.jumps]
        if self.quote:
            fields["quote_area"] = {"type": 0, "quote_text": self.quote}
        if self.subtitle:
            fields["sub_title_text"] = self.subtitle
        if self.menu:
            actions = [{"text": action.text, "key": action.key} for action in self.menu]
            fields["action_menu"] = {"desc": self.menu_hint, "action_list": actions}
        return fields


def filled(**fields: str) -> Payload:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value}

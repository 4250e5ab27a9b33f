"""Messages from the app to members; nothing here ever reaches a customer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from wecom.answer import Answer
from wecom.attachments import Payload
from wecom.calls import Calls
from wecom.cards import TemplateCard, replacing
from wecom.error_codes import error_for
from wecom.limits import present, some, within

MEMBER_TEXT: Final = 2048
MAX_MEMBERS: Final = 1000
NOBODY: Final = 81013


class Content(Protocol):
    """What an app can say to members."""

    def payload(self) -> Payload:
        """As WeCom takes it."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A text from the app to a member, at most 2048 bytes."""

    content: str = field(repr=False)

    def __post_init__(self) -> None:
        within("text", self.content, MEMBER_TEXT)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        return {"msgtype": "text", "text": {"content": self.content}}


@dataclass(frozen=True, slots=True)
class Markdown:
    """A text in WeCom's Markdown, at most 2048 bytes; shown in WeCom, not in WeChat."""

    content: str = field(repr=False)

    def __post_init__(self) -> None:
        within("markdown", self.content, MEMBER_TEXT)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        return {"msgtype": "markdown", "markdown": {"content": self.content}}


@dataclass(frozen=True, slots=True)
class TextCard:
    """A card from the app to a member: title, description, and where a tap leads."""

    title: str
    description: str
    url: str

    def __post_init__(self) -> None:
        within("card title", self.title, 128)
        within("card description", self.description, 512)
        within("card url", self.url, 2048)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        card = {"title": self.title, "description": self.description, "url": self.url}
        return {"msgtype": "textcard", "textcard": card}


@dataclass(frozen=True, slots=True)
class MessageSent:
    """The message went out; `invalid` are those it could not reach, spelt as they were given.

    `response_code` changes a sent card once, within 72 hours; only cards have one.
    """

    msgid: str
    invalid: tuple[str, ...]
    response_code: str = field(default="", repr=False)


class Messages:
    """Sends, changes and recalls what the app says to members."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def send(self, userids: Sequence[str], content: Content) -> MessageSent:
        """Send members a message; MessageRefused if it reaches none of them.

        More than 30 a minute or 1000 an hour to one member are dropped by WeCom without a word.
        """
        some("message members", userids, MAX_MEMBERS)
        for userid in userids:
            present("message userid", userid)
            if "|" in userid or userid == "@all":
                raise ValueError("a message names members one by one")
        payload = content.payload()
        sent = await self._calls.create(
            "message/send",
            {"touser": "|".join(userids), "agentid": self._calls.agent_id, **payload},
            lambda answer: _sent(answer, userids),
            facts={"members": list(userids), "kind": payload["msgtype"]},
            result=lambda made: made.msgid,
        )
        if len(sent.invalid) == len(userids):
            raise error_for(NOBODY, "", call="message/send")
        return sent

    async def update_card(
        self,
        userids: Sequence[str],
        response_code: str,
        *,
        button: str = "",
        card: TemplateCard | None = None,
    ) -> tuple[str, ...]:
        """Change a sent card for these members and return those it did not reach.

        Either all its buttons become one that says `button`, or `card` takes its place. The code
        of the message or of the press works once, within 72 hours.
        """
        if bool(button) == (card is not None):
            raise ValueError("a card is changed by one button text or by another card")
        some("card members", userids, MAX_MEMBERS)
        fields: Payload = {
            "userids": list(userids),
            "agentid": self._calls.agent_id,
            "response_code": response_code,
        }
        if card is None:
            fields["button"] = {"replace_name": button}
        else:
            fields["template_card"] = replacing(card)
        answer = await self._calls.post("message/update_template_card", fields, once=True)
        return tuple(answer.texts("invaliduser"))

    async def recall(self, msgid: str) -> None:
        """Take a message back, within 24 hours of sending it."""
        present("msgid", msgid)
        await self._calls.post("message/recall", {"msgid": msgid})


def _sent(answer: Answer, userids: Sequence[str]) -> MessageSent:
    # WeCom writes them back in lower case, whatever their spelling.
    lost = {
        userid
        for name in ("invaliduser", "unlicenseduser")
        for userid in answer.text(name, "").lower().split("|")
    }
    return MessageSent(
        msgid=answer.text("msgid", ""),
        invalid=tuple(userid for userid in userids if userid.lower() in lost),
        response_code=answer.text("response_code", ""),
    )

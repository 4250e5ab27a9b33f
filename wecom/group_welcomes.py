"""Welcomes for customer groups (入群欢迎语): templates an owner enables in a group by hand."""

from dataclasses import dataclass, field
from typing import Final

from wecom.answer import Answer
from wecom.attachments import Attachment, File, Image, Link, MiniProgram, Payload, Video
from wecom.calls import Calls
from wecom.limits import within

TEXT_LIMIT: Final = 3000
NICKNAME: Final = "%NICKNAME%"
FOLDER: Final = "externalcontact/group_welcome_template"


@dataclass(frozen=True, slots=True)
class GroupWelcome:
    """A text of at most 3000 bytes and one attachment; %NICKNAME% becomes the newcomer."""

    text: str = field(repr=False)
    attachment: Attachment | None = None

    def __post_init__(self) -> None:
        if not self.text and self.attachment is None:
            raise ValueError("a group welcome needs a text or an attachment")
        within("group welcome text", self.text, TEXT_LIMIT, least=0)

    def payload(self) -> Payload:
        """As WeCom takes it: the attachment lies beside the text, without its kind."""
        fields: Payload = {"text": {"content": self.text}} if self.text else {}
        if self.attachment is None:
            return fields
        beside = self.attachment.payload()
        return fields | {name: value for name, value in beside.items() if name != "msgtype"}


class GroupWelcomes:
    """Reads and ends templates; a hundred a company. `to_customers` writes them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def get(self, template_id: str) -> GroupWelcome:
        """Return a template."""
        return _welcome_of(await self._calls.post(f"{FOLDER}/get", {"template_id": template_id}))

    async def delete(self, template_id: str) -> None:
        """End a template."""
        fields = {"template_id": template_id, "agentid": self._calls.agent_id}
        await self._calls.post(f"{FOLDER}/del", fields)


def _welcome_of(answer: Answer) -> GroupWelcome:
    text = answer.part_or_none("text")
    try:
        return GroupWelcome(text.text("content", "") if text else "", _attachment_of(answer))
    except ValueError as impossible:
        raise answer.unreadable("template") from impossible


def _attachment_of(answer: Answer) -> Attachment | None:
    if link := answer.part_or_none("link"):
        return Link(
            link.text("title"), link.text("url"), link.text("desc", ""), link.text("picurl", "")
        )
    if card := answer.part_or_none("miniprogram"):
        return MiniProgram(
            card.text("title"), card.text("pic_media_id"), card.text("appid"), card.text("page")
        )
    for name, kind in (("image", Image), ("video", Video), ("file", File)):
        uploaded = answer.part_or_none(name)
        # A picture given by its address has no media id.
        if uploaded and uploaded.text("media_id", ""):
            return kind(uploaded.text("media_id"))
    return None

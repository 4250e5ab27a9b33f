"""Takes cleared words to the platform; nothing else in the product can (see the import contract).

Every function asks for `Cleared`: the row of what is said was committed before the call.
"""

from collections.abc import Sequence

from content.sendable import Shape
from outbound.attachments import Attached
from outbound.check import Cleared
from outbound.media import MediaIds, kind_of
from wecom import chat_messages
from wecom.attachments import Attachment, File, Image, Link, MiniProgram, Payload, Video
from wecom.client import WeComClient
from wecom.mass_sends import MassSend, MassSendCreated
from wecom.service_messages import ServiceText
from wecom.to_customers import ToCustomers

NO_MEDIA: MediaIds = {}


class NotOneText(ValueError):
    """A task carries one text and its attachments; these clearances have several."""


async def hand_task(
    wecom: WeComClient,
    sender: str,
    contacts: Sequence[str],
    cleared: Sequence[Cleared],
    media: MediaIds = NO_MEDIA,
) -> MassSendCreated:
    """Hand an RM the task to send this to these customers, each of them cleared for it."""
    messages = {(one.text, one.attachments) for one in cleared}
    if len(messages) != 1 or len(cleared) != len(contacts):
        raise NotOneText(NotOneText.__doc__)
    text, attached = messages.pop()
    carried = tuple(_attachment(one, media) for one in attached)
    return await ToCustomers(wecom).mass_send(MassSend(sender, tuple(contacts), text, carried))


async def welcome(
    wecom: WeComClient, code: str, cleared: Cleared, media: MediaIds = NO_MEDIA
) -> None:
    """Welcome a new customer with these words."""
    carried = tuple(_attachment(one, media) for one in cleared.attachments)
    await ToCustomers(wecom).welcome(code, cleared.text, carried)


async def answer(
    wecom: WeComClient, open_kfid: str, external_userid: str, cleared: Cleared, msgid: str
) -> None:
    """Say this in 微信客服; the same `msgid` is sent once."""
    text = ServiceText(cleared.text)
    await ToCustomers(wecom).answer(open_kfid, external_userid, text, msgid)


async def answer_event(wecom: WeComClient, code: str, cleared: Cleared, msgid: str) -> None:
    """Say this to whoever has just entered 微信客服."""
    await ToCustomers(wecom).answer_event(code, ServiceText(cleared.text), msgid)


def bubbles(cleared: Cleared, media: MediaIds) -> list[Payload]:
    """What the RM's page hands to the JS bridge, bubble by bubble, the text first."""
    said = [chat_messages.text(cleared.text)] if cleared.text else []
    return said + [_bubble(one, media) for one in cleared.attachments]


def _bubble(one: Attached, media: MediaIds) -> Payload:
    if one.shape is Shape.LINK:
        return chat_messages.news(one.url, one.title, one.note, one.picture_url)
    if one.shape is Shape.MINI_PROGRAM:
        return chat_messages.mini_program(one.app_id, one.title, one.picture_url, one.page)
    return chat_messages.media(kind_of(one), media[one.sha256])


def _attachment(one: Attached, media: MediaIds) -> Attachment:
    if one.shape is Shape.LINK:
        return Link(one.title, one.url, one.note, one.picture_url)
    if one.shape is Shape.MINI_PROGRAM:
        return MiniProgram(one.title, media[one.sha256], one.app_id, one.page)
    if one.shape is Shape.IMAGE:
        return Image(media[one.sha256])
    return (Video if one.shape is Shape.VIDEO else File)(media[one.sha256])

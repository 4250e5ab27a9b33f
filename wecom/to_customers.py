"""Everything by which our words reach a customer: one door, that only `outbound` may open.

A mass send, a moment and a group's welcome are handed to members, who confirm; a welcome and an
answer in 微信客服 reach the customer at once. Members' own messages are in `messages`.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from wecom.attachments import Attachment, Image, Payload, Video
from wecom.client import WeComClient
from wecom.errors import MediaExpired, OutcomeUnknown, UnreadableAnswer
from wecom.group_welcomes import FOLDER, GroupWelcome
from wecom.limits import present
from wecom.mass_sends import MassSend, MassSendCreated
from wecom.media import AttachmentKind
from wecom.moments import Moment, MomentLink
from wecom.service_messages import Menu, ServiceContent, ServiceText
from wecom.welcomes import Welcome

MASS_SEND: Final = "externalcontact/add_msg_template"
WELCOME: Final = "externalcontact/send_welcome_msg"
MOMENT: Final = "externalcontact/add_moment_task"
SERVICE: Final = "kf/send_msg"
SERVICE_EVENT: Final = "kf/send_msg_on_event"

_MSGID: Final = re.compile(r"[0-9a-zA-Z_-]{1,32}")


class ToCustomers:
    """What one client may put before customers."""

    def __init__(self, client: WeComClient) -> None:
        self._calls, self._media, self._service = client.calls, client.media, client.service

    async def mass_send(self, message: MassSend) -> MassSendCreated:
        """Hand the sender a task to send this to the customers; nothing is sent until they confirm.

        OutcomeUnknown if it may have been created: look for it with `mass_sends.listed`.
        """

        async def create(usable: tuple[Attachment, ...]) -> MassSendCreated:
            fields = replace(message, attachments=usable).payload()
            answer = await self._calls.post(MASS_SEND, fields, once=True)
            try:
                return MassSendCreated(answer.text("msgid"), tuple(answer.texts("fail_list")))
            except UnreadableAnswer as unreadable:
                raise OutcomeUnknown(call=MASS_SEND, reason="created without an id") from unreadable

        return await self._media.with_usable(message.attachments, create)

    async def welcome(self, code: str, text: str, attachments: Sequence[Attachment] = ()) -> None:
        """Welcome a new customer, within 20 seconds of the event and once.

        After OutcomeUnknown or WelcomeBeingSent it may be called again: the code works once.
        """
        Welcome(text, tuple(attachments))

        async def send(usable: tuple[Attachment, ...]) -> None:
            fields = {"welcome_code": code, **Welcome(text, usable).payload()}
            await self._calls.post(WELCOME, fields, once=True)

        await self._media.with_usable(tuple(attachments), send)

    async def answer(
        self, open_kfid: str, external_userid: str, content: ServiceContent, msgid: str
    ) -> str:
        """Send a customer of 微信客服 a message and return its id; the same `msgid` is sent once.

        ServiceWindowClosed after 48 hours or five messages, ServiceStateWrong while a person has
        the conversation. OutcomeUnknown may be followed by the same call with the same `msgid`.
        """
        fields = {"touser": external_userid, "open_kfid": open_kfid, **_named(msgid)}
        told = await self._service.calls.post(SERVICE, {**fields, **content.payload()}, once=True)
        return told.text("msgid", msgid)

    async def answer_event(self, code: str, content: ServiceText | Menu, msgid: str) -> str:
        """Answer an event by its welcome or message code, once, and return the message's id."""
        present("code", code)
        fields = {"code": code, **_named(msgid), **content.payload()}
        told = await self._service.calls.post(SERVICE_EVENT, fields, once=True)
        return told.text("msgid", msgid)

    async def moment(self, moment: Moment) -> str:
        """Hand the members a task and return its job id, good for a day; ten a minute.

        OutcomeUnknown if it may exist: look for it with `moments.listed`. A dead media id whose
        source is given is uploaded again, once.
        """
        try:
            return await self._moment(moment)
        except MediaExpired:
            if not any(one.source for one in moment.attachments):
                raise
        fresh = tuple([await self._uploaded(one) for one in moment.attachments])
        return await self._moment(replace(moment, attachments=fresh))

    async def _moment(self, moment: Moment) -> str:
        return await self._calls.create(
            MOMENT,
            moment.payload(),
            lambda answer: answer.text("jobid"),
            facts={"text": moment.text, "senders": list(moment.senders)},
        )

    async def _uploaded(self, one: Image | Video | MomentLink) -> Image | Video | MomentLink:
        if one.source is None:
            return one
        kind: AttachmentKind = "video" if isinstance(one, Video) else "image"
        source = one.source
        uploaded = await self._media.upload_attachment(kind, source.filename, source.data)
        return replace(one, media_id=uploaded)

    async def group_welcome(self, welcome: GroupWelcome, *, notify: bool = False) -> str:
        """Create a group's welcome and return its id; `notify` tells the owners.

        OutcomeUnknown if it may exist: WeCom lists no templates, so a person has to decide.
        """

        async def create(usable: tuple[Attachment, ...]) -> str:
            return await self._calls.create(
                f"{FOLDER}/add",
                {**self._template(welcome, usable), "notify": int(notify)},
                lambda answer: answer.text("template_id"),
                facts={"text": welcome.text},
            )

        return await self._media.with_usable(_attached(welcome), create)

    async def edit_group_welcome(self, template_id: str, welcome: GroupWelcome) -> None:
        """Replace a group's welcome."""

        async def edit(usable: tuple[Attachment, ...]) -> None:
            fields = {"template_id": template_id, **self._template(welcome, usable)}
            await self._calls.post(f"{FOLDER}/edit", fields)

        await self._media.with_usable(_attached(welcome), edit)

    def _template(self, welcome: GroupWelcome, usable: tuple[Attachment, ...]) -> Payload:
        written = GroupWelcome(welcome.text, usable[0] if usable else None)
        return {**written.payload(), "agentid": self._calls.agent_id}


def _attached(welcome: GroupWelcome) -> tuple[Attachment, ...]:
    return () if welcome.attachment is None else (welcome.attachment,)


def _named(msgid: str) -> dict[str, object]:
    if not _MSGID.fullmatch(msgid):
        raise ValueError("a service msgid has 1 to 32 of 0-9 a-z A-Z _ -")
    return {"msgid": msgid}

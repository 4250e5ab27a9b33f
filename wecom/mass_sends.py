"""Mass sends (企业群发): a task for a member, who has to confirm it before anything is sent."""

import enum
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from wecom.answer import Answer
from wecom.attachments import Attachment, Payload, content, something_to_say
from wecom.calls import Calls
from wecom.errors import MassSendCancelled
from wecom.limits import present, some, span

MAX_RECEIVERS: Final = 10_000
MAX_GROUPS: Final = 2000
MAX_TAGS: Final = 100
LISTED_SPAN: Final = timedelta(days=31)

ChatType = Literal["single", "group"]


@dataclass(frozen=True, slots=True)
class MassSend:
    """A message for some of a member's customers, or for groups they own.

    The receivers are always named: WeCom takes an empty list for *all* customers of the sender.
    `tags` narrows named customers: one of each inner tuple.
    """

    sender: str
    external_userids: tuple[str, ...]
    text: str = field(repr=False)
    attachments: tuple[Attachment, ...] = ()
    chat_ids: tuple[str, ...] = ()
    tags: tuple[tuple[str, ...], ...] = ()
    allow_select: bool = False

    def __post_init__(self) -> None:
        present("mass send sender", self.sender)
        if self.chat_ids:
            self._for_groups()
        elif not 1 <= len(self.external_userids) <= MAX_RECEIVERS:
            raise ValueError(
                f"mass send takes 1 to {MAX_RECEIVERS} customers, got {len(self.external_userids)}"
            )
        for group in self.tags:
            some("mass send tags", group, MAX_TAGS)
        something_to_say(self.text, self.attachments)

    def _for_groups(self) -> None:
        if self.external_userids or self.tags or self.allow_select:
            raise ValueError("a mass send names groups or customers; make one for each")
        some("mass send groups", self.chat_ids, MAX_GROUPS)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        fields: Payload = {
            "chat_type": "group" if self.chat_ids else "single",
            "sender": self.sender,
        }
        if self.chat_ids:
            fields["chat_id_list"] = list(self.chat_ids)
        else:
            fields["external_userid"] = list(self.external_userids)
        if self.tags:
            fields["tag_filter"] = {"group_list": [{"tag_list": list(tags)} for tags in self.tags]}
        if self.allow_select:
            fields["allow_select"] = True
        return {**fields, **content(self.text, self.attachments)}


class SendStatus(enum.StrEnum):
    """What became of a mass send for one customer."""

    UNSENT = "unsent"
    SENT = "sent"
    NOT_FRIEND = "not_friend"
    QUOTA_USED = "quota_used"


@dataclass(frozen=True, slots=True)
class MassSendCreated:
    """The task was created; `failed` are the customers who cannot receive it."""

    msgid: str
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MassSendRecord:
    """A mass send as WeCom lists it; `creator` is empty for those created by an app."""

    msgid: str
    created_at: datetime
    text: str = field(repr=False)
    creator: str


@dataclass(frozen=True, slots=True)
class MassSendTask:
    """One member's part of a mass send; confirmed says nothing about delivery."""

    userid: str
    confirmed: bool
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class MassSendResult:
    """What one customer, or one group, received: the only truth about delivery."""

    external_userid: str
    userid: str
    status: SendStatus
    sent_at: datetime | None
    chat_id: str = ""


class MassSends:
    """Asks what became of tasks; there is no callback for that. `to_customers` creates them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def listed(
        self,
        start: datetime,
        end: datetime,
        creator: str | None = None,
        *,
        chat_type: ChatType = "single",
    ) -> list[MassSendRecord]:
        """Return the mass sends created from `start` to `end`, at most 31 days apart, both aware.

        Without `creator` those of members and of apps alike.
        """
        span("mass_sends.listed", start, end, LISTED_SPAN)
        asked: dict[str, object] = {
            "chat_type": chat_type,
            "start_time": int(start.timestamp()),
            "end_time": int(end.timestamp()),
            "filter_type": 2,
            "limit": 100,
        }
        if creator:
            asked["creator"] = creator
        pages = self._calls.pages("externalcontact/get_groupmsg_list_v2", asked)
        return [_record_of(row) async for page in pages for row in page.parts("group_msg_list")]

    async def tasks(self, msgid: str) -> list[MassSendTask]:
        """Return who was asked to send a mass send and who confirmed."""
        asked = {"msgid": msgid, "limit": 1000}
        pages = self._calls.pages("externalcontact/get_groupmsg_task", asked)
        return [_task_of(row) async for page in pages for row in page.parts("task_list")]

    async def results(self, msgid: str, userid: str) -> list[MassSendResult]:
        """Return what became of one member's part of a mass send, receiver by receiver."""
        asked = {"msgid": msgid, "userid": userid, "limit": 1000}
        pages = self._calls.pages("externalcontact/get_groupmsg_send_result", asked)
        return [_result_of(row) async for page in pages for row in page.parts("send_list")]

    async def cancel(self, msgid: str) -> None:
        """Stop what is not yet sent; what is sent stays, and cancelling twice is no error."""
        try:
            await self._calls.post("externalcontact/cancel_groupmsg_send", {"msgid": msgid})
        except MassSendCancelled:
            return

    async def remind(self, msgid: str) -> None:
        """Nudge the members who have not confirmed; WeCom allows three a day for each mass send."""
        path = "externalcontact/remind_groupmsg_send"
        await self._calls.post(path, {"msgid": msgid}, once=True)


def _record_of(row: Answer) -> MassSendRecord:
    text = row.part_or_none("text")
    return MassSendRecord(
        msgid=row.text("msgid"),
        created_at=row.moment("create_time"),
        text=text.text("content", "") if text else "",
        creator=row.text("creator", ""),
    )


def _task_of(row: Answer) -> MassSendTask:
    confirmed = row.number("status") == 2
    return MassSendTask(row.text("userid"), confirmed, row.moment_or_none("send_time"))


def _result_of(row: Answer) -> MassSendResult:
    status = _SEND_STATUS.get(row.number("status"))
    if status is None:
        raise row.unreadable("status")
    chat_id = row.text("chat_id", "")
    return MassSendResult(
        external_userid=row.text("external_userid", "" if chat_id else None),
        userid=row.text("userid", ""),
        status=status,
        sent_at=row.moment_or_none("send_time"),
        chat_id=chat_id,
    )


_SEND_STATUS = dict(enumerate(SendStatus))  # 0 to 3, in the order WeCom numbers them

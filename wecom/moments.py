"""Moments (客户朋友圈): a task for members, who have to confirm before anything is published."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from wecom.answer import Answer
from wecom.attachments import Image, Payload, Source, Video
from wecom.calls import Calls
from wecom.limits import characters, present, some, span, within

MAX_IMAGES: Final = 9
MAX_SENDERS: Final = 100_000
LISTED_SPAN: Final = timedelta(days=30)
STARTED, RUNNING, FINISHED = 1, 2, 3


@dataclass(frozen=True, slots=True)
class MomentLink:
    """A page in a moment; its picture comes from `media.upload_attachment`."""

    title: str
    url: str
    media_id: str
    source: Source | None = None

    def __post_init__(self) -> None:
        within("moment link title", self.title, 64)
        within("moment link url", self.url, 2048)
        present("moment link media_id", self.media_id)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        link = {"title": self.title, "url": self.url, "media_id": self.media_id}
        return {"msgtype": "link", "link": link}


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of these members, for their customers with one of these tags or for all of them.

    Nine images, or one video, or one link; each uploaded with `media.upload_attachment`.
    """

    text: str = field(repr=False)
    attachments: tuple[Image | Video | MomentLink, ...] = ()
    senders: tuple[str, ...] = ()
    departments: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.text and not self.attachments:
            raise ValueError("a moment needs a text or an attachment")
        characters("moment text", self.text, 2000, least=0)
        within("moment text", self.text, 4000, least=0)
        some("moment senders", self.senders, MAX_SENDERS, least=0)
        images = all(isinstance(one, Image) for one in self.attachments)
        some("moment attachments", self.attachments, MAX_IMAGES if images else 1, least=0)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        fields: Payload = {}
        if self.text:
            fields["text"] = {"content": self.text}
        if self.attachments:
            fields["attachments"] = [one.payload() for one in self.attachments]
        seen: Payload = {}
        if self.senders or self.departments:
            seen["sender_list"] = {
                "user_list": list(self.senders),
                "department_list": list(self.departments),
            }
        if self.tags:
            seen["external_contact_list"] = {"tag_list": list(self.tags)}
        return fields | ({"visible_range": seen} if seen else {})


@dataclass(frozen=True, slots=True)
class MomentJob:
    """How far a task has come; once finished, its moment or the number that refused it."""

    status: int
    moment_id: str
    errcode: int
    invalid_senders: tuple[str, ...]
    invalid_tags: tuple[str, ...]

    @property
    def finished(self) -> bool:
        return self.status == FINISHED


@dataclass(frozen=True, slots=True)
class MomentRecord:
    """A moment as WeCom lists it; `by_member` is true where a member made it alone."""

    moment_id: str
    creator: str
    created_at: datetime
    by_member: bool
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MomentTask:
    """One member's part of a moment."""

    userid: str
    published: bool


@dataclass(frozen=True, slots=True)
class MomentCustomer:
    """A customer a member's moment is visible to."""

    userid: str
    external_userid: str


@dataclass(frozen=True, slots=True)
class Reaction:
    """A like or a comment, by a customer or by a member."""

    external_userid: str
    userid: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Reactions:
    """Comments and likes under one member's moment."""

    comments: tuple[Reaction, ...]
    likes: tuple[Reaction, ...]


class Moments:
    """Asks what became of tasks; `to_customers` creates them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def job(self, jobid: str) -> MomentJob:
        """Return how far a task has come."""
        path = "externalcontact/get_moment_task_result"
        answer = await self._calls.get(path, {"jobid": jobid})
        result = answer.part_or_none("result")
        return MomentJob(
            status=answer.number("status"),
            moment_id=result.text("moment_id", "") if result else "",
            errcode=result.number("errcode", 0) if result else 0,
            invalid_senders=_lost(result, "invalid_sender_list", "user_list"),
            invalid_tags=_lost(result, "invalid_external_contact_list", "tag_list"),
        )

    async def cancel(self, moment_id: str) -> None:
        """Stop what is not yet published; what is published stays."""
        await self._calls.post("externalcontact/cancel_moment_task", {"moment_id": moment_id})

    async def listed(
        self, start: datetime, end: datetime, creator: str | None = None
    ) -> list[MomentRecord]:
        """Return the moments created from `start` to `end`, at most 30 days apart, both aware."""
        span("moments.listed", start, end, LISTED_SPAN)
        asked: dict[str, object] = {
            "start_time": int(start.timestamp()),
            "end_time": int(end.timestamp()),
            "filter_type": 2,
            "limit": 20,
        }
        if creator:
            asked["creator"] = creator
        pages = self._calls.pages("externalcontact/get_moment_list", asked)
        return [_record_of(row) async for page in pages for row in page.parts("moment_list")]

    async def tasks(self, moment_id: str) -> list[MomentTask]:
        """Return who was asked to publish a moment and who did."""
        asked = {"moment_id": moment_id, "limit": 1000}
        pages = self._calls.pages("externalcontact/get_moment_task", asked)
        return [
            MomentTask(row.text("userid"), row.truth("publish_status"))
            async for page in pages
            for row in page.parts("task_list")
        ]

    async def customers(self, moment_id: str, userid: str) -> AsyncIterator[MomentCustomer]:
        """Yield the customers one member's moment is visible to."""
        asked = {"moment_id": moment_id, "userid": userid, "limit": 1000}
        path = "externalcontact/get_moment_customer_list"
        async for page in self._calls.pages(path, asked):
            for row in page.parts("customer_list"):
                yield MomentCustomer(row.text("userid", userid), row.text("external_userid"))

    async def results(self, moment_id: str, userid: str) -> AsyncIterator[str]:
        """Yield the customers one member's moment has reached."""
        asked = {"moment_id": moment_id, "userid": userid, "limit": 5000}
        path = "externalcontact/get_moment_send_result"
        async for page in self._calls.pages(path, asked):
            for row in page.parts("customer_list"):
                yield row.text("external_userid")

    async def comments(self, moment_id: str, userid: str) -> Reactions:
        """Return who commented and who liked under one member's moment."""
        asked = {"moment_id": moment_id, "userid": userid}
        answer = await self._calls.post("externalcontact/get_moment_comments", asked)
        return Reactions(_reactions(answer, "comment_list"), _reactions(answer, "like_list"))


def _lost(result: Answer | None, name: str, inside: str) -> tuple[str, ...]:
    lost = result.part_or_none(name) if result else None
    return tuple(lost.texts(inside)) if lost else ()


def _record_of(row: Answer) -> MomentRecord:
    text = row.part_or_none("text")
    return MomentRecord(
        moment_id=row.text("moment_id"),
        creator=row.text("creator", ""),
        created_at=row.moment("create_time"),
        by_member=row.truth("create_type"),
        text=text.text("content", "") if text else "",
    )


def _reactions(answer: Answer, name: str) -> tuple[Reaction, ...]:
    return tuple(
        Reaction(row.text("external_userid", ""), row.text("userid", ""), row.moment("create_time"))
        for row in answer.parts(name)
    )

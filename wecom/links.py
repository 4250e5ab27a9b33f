"""Links that bring customers (获客链接, 获客助手): a paid quota, and who came by which link."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from wecom.answer import Answer
from wecom.calls import Calls
from wecom.limits import characters, some, span, within

CHANNEL_LIMIT: Final = 64
NAME_LIMIT: Final = 30
MAX_MEMBERS: Final = 500
STATISTIC_SPAN: Final = timedelta(days=30)
FOLDER: Final = "externalcontact/customer_acquisition"


@dataclass(frozen=True, slots=True)
class Link:
    """A link as WeCom keeps it."""

    link_id: str
    name: str
    url: str
    created_at: datetime | None
    skip_verify: bool
    members: tuple[str, ...] = ()
    departments: tuple[int, ...] = ()

    def for_channel(self, channel: str) -> str:
        """The address whose customers carry `channel`, at most 64 bytes, as their `state`."""
        within("customer channel", channel, CHANNEL_LIMIT)
        sign = "&" if "?" in self.url else "?"
        return f"{self.url}{sign}customer_channel={quote(channel, safe='')}"


@dataclass(frozen=True, slots=True)
class LinkCustomer:
    """Somebody who came by a link; `chat_status` is 0 silent, 1 has written, 2 unknown."""

    external_userid: str
    userid: str
    chat_status: int
    state: str


@dataclass(frozen=True, slots=True)
class Quota:
    """How many customers were bought and how many are left."""

    total: int
    balance: int


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """How often a link was opened and how many came by it."""

    clicks: int
    customers: int


@dataclass(frozen=True, slots=True)
class ChatInfo:
    """That a customer wrote: how often, and by which link they came; never what."""

    userid: str
    external_userid: str
    messages: int
    link_id: str
    state: str


class Links:
    """Reads, creates and changes links."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def all(self) -> list[str]:
        """Return the ids of all links."""
        pages = self._calls.pages(f"{FOLDER}/list_link", {"limit": 100})
        return [link_id async for page in pages for link_id in page.texts("link_id_list")]

    async def get(self, link_id: str) -> Link:
        """Return a link with its members."""
        answer = await self._calls.post(f"{FOLDER}/get", {"link_id": link_id})
        return _link_of(answer.part("link"), answer.part_or_none("range"))

    async def create(
        self,
        name: str,
        members: Sequence[str],
        *,
        departments: Sequence[int] = (),
        skip_verify: bool = True,
    ) -> Link:
        """Create a link to these members; OutcomeUnknown if it may exist: find it by its name."""
        return await self._calls.create(
            f"{FOLDER}/create_link",
            _fields(name, members, departments, skip_verify),
            lambda answer: _link_of(answer.part("link"), None),
            facts={"name": name, "members": list(members)},
            result=lambda made: made.link_id,
        )

    async def update(
        self,
        link_id: str,
        name: str,
        members: Sequence[str],
        *,
        departments: Sequence[int] = (),
        skip_verify: bool = True,
    ) -> None:
        """Replace name and members of a link; its address stays."""
        fields = {"link_id": link_id, **_fields(name, members, departments, skip_verify)}
        await self._calls.post(f"{FOLDER}/update_link", fields)

    async def delete(self, link_id: str) -> None:
        """End a link."""
        await self._calls.post(f"{FOLDER}/delete_link", {"link_id": link_id})

    async def customers(self, link_id: str) -> AsyncIterator[LinkCustomer]:
        """Yield who came by a link, page by page."""
        asked = {"link_id": link_id, "limit": 1000}
        async for page in self._calls.pages(f"{FOLDER}/customer", asked):
            for row in page.parts("customer_list"):
                yield LinkCustomer(
                    row.text("external_userid"),
                    row.text("userid", ""),
                    row.number("chat_status", 0),
                    row.text("state", ""),
                )

    async def quota(self) -> Quota:
        """Return what is left of the bought quota."""
        answer = await self._calls.get("externalcontact/customer_acquisition_quota")
        return Quota(answer.number("total", 0), answer.number("balance", 0))

    async def statistic(self, link_id: str, start: datetime, end: datetime) -> LinkFigures:
        """Return the figures of a link from `start` to `end`, at most 30 days apart, both aware."""
        span("links.statistic", start, end, STATISTIC_SPAN)
        asked = {
            "link_id": link_id,
            "start_time": int(start.timestamp()),
            "end_time": int(end.timestamp()),
        }
        answer = await self._calls.post(f"{FOLDER}/statistic", asked)
        return LinkFigures(
            answer.number("click_link_customer_cnt", 0), answer.number("new_customer_cnt", 0)
        )

    async def chat_info(self, chat_key: str) -> ChatInfo:
        """Spend the key of a `message_from_customer` event, within 30 minutes."""
        answer = await self._calls.post(f"{FOLDER}/get_chat_info", {"chat_key": chat_key})
        chat = answer.part("chat_info")
        return ChatInfo(
            userid=answer.text("userid"),
            external_userid=answer.text("external_userid"),
            messages=chat.number("recv_msg_cnt", 0),
            link_id=chat.text("link_id", ""),
            state=chat.text("state", ""),
        )


def _fields(
    name: str, members: Sequence[str], departments: Sequence[int], skip_verify: bool
) -> dict[str, object]:
    characters("link name", name, NAME_LIMIT)
    if not members and not departments:
        raise ValueError("a link needs a member or a department")
    some("link members", members, MAX_MEMBERS, least=0)
    reached: dict[str, object] = {"user_list": list(members)}
    if departments:
        reached["department_list"] = list(departments)
    return {"link_name": name, "range": reached, "skip_verify": skip_verify}


def _link_of(row: Answer, reached: Answer | None) -> Link:
    return Link(
        link_id=row.text("link_id"),
        name=row.text("link_name", ""),
        url=row.text("url", ""),
        created_at=row.moment_or_none("create_time"),
        skip_verify=row.truth("skip_verify"),
        members=tuple(reached.texts("user_list")) if reached else (),
        departments=tuple(reached.numbers("department_list")) if reached else (),
    )

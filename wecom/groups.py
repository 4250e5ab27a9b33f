"""Customer groups (客户群): who owns them, who is in them, and the codes that lead into them.

There is no call to create a group, to add or remove anybody, or to write into it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from wecom.answer import Answer
from wecom.calls import Calls
from wecom.group_figures import GroupFigures, figures_by_day, figures_by_owner, period
from wecom.join_ways import JoinWay, JoinWayFound, found
from wecom.limits import present, some

MAX_OWNERS: Final = 100
MAX_MOVED: Final = 100
MEMBER, CUSTOMER = 1, 2


@dataclass(frozen=True, slots=True)
class GroupListed:
    """A group and how its owner stands: 0 normal, 1 left, 2 being handed over, 3 handed over."""

    chat_id: str
    status: int


@dataclass(frozen=True, slots=True)
class GroupMember:
    """Somebody in a group; `kind` is 1 a member of the company, 2 anybody else.

    `scene` is 1 invited, 2 by an invitation link, 3 by a code; `state` is the code's.
    """

    userid: str
    kind: int
    joined_at: datetime
    scene: int
    invited_by: str
    state: str
    name: str = field(default="", repr=False)
    nickname: str = field(default="", repr=False)
    unionid: str = field(default="", repr=False)

    @property
    def is_customer(self) -> bool:
        return self.kind == CUSTOMER


@dataclass(frozen=True, slots=True)
class Group:
    """A customer group as it is now; `member_version` is that of the last change of members."""

    chat_id: str
    name: str = field(repr=False)
    owner: str
    created_at: datetime
    notice: str = field(repr=False)
    members: tuple[GroupMember, ...]
    admins: tuple[str, ...]
    member_version: str


@dataclass(frozen=True, slots=True)
class NotMoved:
    """A group that was not handed over, and WeCom's number for why."""

    chat_id: str
    errcode: int


class Groups:
    """Asks about customer groups, their codes and their figures, and hands them over."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def listed(self, owners: Sequence[str] = (), status: int = 0) -> list[GroupListed]:
        """Return the groups of these owners, or of all in the app's range.

        Groups of owners out of range are missing without a word; without owners a range of more
        than a thousand members is refused (81017). `status` 0 is all.
        """
        some("groups.listed owners", owners, MAX_OWNERS, least=0)
        asked: dict[str, object] = {"status_filter": status, "limit": 1000}
        if owners:
            asked["owner_filter"] = {"userid_list": list(owners)}
        pages = self._calls.pages("externalcontact/groupchat/list", asked)
        return [
            GroupListed(row.text("chat_id"), row.number("status", 0))
            async for page in pages
            for row in page.parts("group_chat_list")
        ]

    async def get(self, chat_id: str) -> Group:
        """Return a group with its members; it follows an event by about two seconds."""
        asked = {"chat_id": chat_id, "need_name": 1}
        answer = await self._calls.post("externalcontact/groupchat/get", asked)
        return _group_of(answer.part("group_chat"))

    async def id_of_opengid(self, opengid: str) -> str:
        """Return the chat id of the group a mini program was opened in."""
        answer = await self._calls.post("externalcontact/opengid_to_chatid", {"opengid": opengid})
        return answer.text("chat_id")

    async def create_join_way(self, way: JoinWay) -> str:
        """Create a code for up to five groups and return its config id; keep it.

        OutcomeUnknown if it may exist: WeCom lists no join ways, so a person has to decide.
        """
        return await self._calls.create(
            "externalcontact/groupchat/add_join_way",
            way.payload(),
            lambda answer: answer.text("config_id"),
            facts={"state": way.state, "chat_ids": list(way.chat_ids), "remark": way.remark},
        )

    async def join_way(self, config_id: str) -> JoinWayFound:
        """Return a code with the address of its picture."""
        asked = {"config_id": config_id}
        answer = await self._calls.post("externalcontact/groupchat/get_join_way", asked)
        return found(answer.part("join_way"), config_id)

    async def update_join_way(self, config_id: str, way: JoinWay) -> None:
        """Replace everything about a code but its picture."""
        fields = {"config_id": config_id, **way.payload()}
        await self._calls.post("externalcontact/groupchat/update_join_way", fields)

    async def delete_join_way(self, config_id: str) -> None:
        """End a code."""
        asked = {"config_id": config_id}
        await self._calls.post("externalcontact/groupchat/del_join_way", asked)

    async def statistics(
        self, start: datetime, end: datetime, owners: Sequence[str]
    ) -> list[GroupFigures]:
        """Return the figures of each owner over the days from `start` to `end`.

        At most 30 days, within the last 180; `owner` is set, `day` is not.
        """
        return await figures_by_owner(self._calls, period(start, end, owners))

    async def statistics_by_day(
        self, start: datetime, end: datetime, owners: Sequence[str]
    ) -> list[GroupFigures]:
        """Return the figures of all these owners together, day by day; `day` is set."""
        return await figures_by_day(self._calls, period(start, end, owners))

    async def transfer(self, chat_ids: Sequence[str], new_owner: str) -> list[NotMoved]:
        """Hand groups of members who left to a new owner; return those that stayed."""
        return await self._move("externalcontact/groupchat/transfer", chat_ids, new_owner)

    async def transfer_in_service(self, chat_ids: Sequence[str], new_owner: str) -> list[NotMoved]:
        """Hand groups of serving members to a new owner, twice in 90 days at most."""
        return await self._move("externalcontact/groupchat/onjob_transfer", chat_ids, new_owner)

    async def _move(self, path: str, chat_ids: Sequence[str], new_owner: str) -> list[NotMoved]:
        some("groups to hand over", chat_ids, MAX_MOVED)
        present("new owner", new_owner)
        fields = {"chat_id_list": list(chat_ids), "new_owner": new_owner}
        answer = await self._calls.post(path, fields, once=True)
        return [
            NotMoved(row.text("chat_id"), row.number("errcode", 0))
            for row in answer.parts("failed_chat_list")
        ]


def _group_of(row: Answer) -> Group:
    return Group(
        chat_id=row.text("chat_id"),
        name=row.text("name", ""),
        owner=row.text("owner", ""),
        created_at=row.moment("create_time"),
        notice=row.text("notice", ""),
        members=tuple(_member_of(member) for member in row.parts("member_list")),
        admins=tuple(admin.text("userid") for admin in row.parts("admin_list")),
        member_version=row.text("member_version", ""),
    )


def _member_of(row: Answer) -> GroupMember:
    invitor = row.part_or_none("invitor")
    return GroupMember(
        userid=row.text("userid"),
        kind=row.number("type"),
        joined_at=row.moment("join_time"),
        scene=row.number("join_scene", 0),
        invited_by=invitor.text("userid", "") if invitor else "",
        state=row.text("state", ""),
        name=row.text("name", ""),
        nickname=row.text("group_nickname", ""),
        unionid=row.text("unionid", ""),
    )

"""Customers (客户联系): who they are, who serves them, and since when."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from wecom.answer import Answer
from wecom.calls import Calls
from wecom.errors import RelationGone
from wecom.limits import characters, present

NO_CONTACT: Final = 84061
AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag a member put on a customer; personal tags have no id."""

    id: str
    name: str
    group: str


@dataclass(frozen=True, slots=True)
class Follow:
    """A member who serves a customer: since when, how they met (`add_way`, `state`), and tags."""

    userid: str
    remark: str = field(repr=False)
    added_at: datetime
    state: str
    add_way: int
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Contact:
    """A customer and every member in the app's range who serves them.

    `gender` is 0 unknown, 1 male, 2 female; `unionid` is empty unless the company bound a WeChat
    developer account.
    """

    external_userid: str
    name: str = field(repr=False)
    gender: int
    avatar: str = field(repr=False)
    follows: tuple[Follow, ...]
    unionid: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Relation:
    """One member and one customer, as the list of a member's customers says it.

    Only the ids of company tags are given; personal ones are left out by WeCom.
    """

    external_userid: str
    name: str = field(repr=False)
    userid: str
    remark: str = field(repr=False)
    added_at: datetime
    state: str
    add_way: int
    tag_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remark:
    """What a member notes about a customer; what is None stays as it is, "" clears it."""

    userid: str
    external_userid: str
    remark: str | None = field(default=None, repr=False)
    description: str | None = field(default=None, repr=False)
    company: str | None = field(default=None, repr=False)
    mobiles: tuple[str, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        present("remark userid", self.userid)
        present("remark external_userid", self.external_userid)
        limits = (("remark", 20), ("description", 150), ("company", 20))
        for name, limit in limits:
            characters(f"remark {name}", getattr(self, name) or "", limit, least=0)
        changed = (self.remark, self.description, self.company, self.mobiles)
        if all(value is None for value in changed):
            raise ValueError("a remark changes at least one field")

    def payload(self) -> dict[str, object]:
        """As WeCom takes it; one empty number clears all of them."""
        fields: dict[str, object] = {
            "userid": self.userid,
            "external_userid": self.external_userid,
            "remark": self.remark,
            "description": self.description,
            "remark_company": self.company,
        }
        if self.mobiles is not None:
            fields["remark_mobiles"] = list(self.mobiles) or [""]
        return {name: value for name, value in fields.items() if value is not None}


class Contacts:
    """Asks about customers and their members."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def follow_users(self) -> list[str]:
        """Return the members in the app's range who may serve customers."""
        answer = await self._calls.get("externalcontact/get_follow_user_list")
        return answer.texts("follow_user")

    async def of_member(self, userid: str) -> list[str]:
        """Return the customers of a member; none is an empty list."""
        try:
            answer = await self._calls.get("externalcontact/list", {"userid": userid})
        except RelationGone as gone:
            if gone.errcode == NO_CONTACT:
                return []
            raise
        return answer.texts("external_userid")

    async def get(self, external_userid: str) -> Contact:
        """Return a customer with all who serve them; RelationGone if nobody in range does."""
        asked = {"external_userid": external_userid}
        pages = [page async for page in self._calls.get_pages("externalcontact/get", asked)]
        return contact_of(pages)

    async def relations(self, userids: Sequence[str]) -> AsyncIterator[Relation]:
        """Yield the customers of these members, page by page, a hundred members at a time."""
        path = "externalcontact/batch/get_by_user"
        for start in range(0, len(userids), AT_ONCE):
            some_of_them = list(userids[start : start + AT_ONCE])
            asked: dict[str, object] = {"userid_list": some_of_them, "limit": AT_ONCE}
            async for page in self._calls.pages(path, asked):
                for row in page.parts("external_contact_list"):
                    yield _relation_of(row, some_of_them)

    async def set_remark(self, remark: Remark) -> None:
        """Change what a member noted about a customer."""
        await self._calls.post("externalcontact/remark", remark.payload())


def contact_of(pages: Sequence[Answer]) -> Contact:
    """Read a customer from the pages of `externalcontact/get`."""
    person = pages[0].part("external_contact")
    return Contact(
        external_userid=person.text("external_userid"),
        name=person.text("name", ""),
        gender=person.number("gender", 0),
        avatar=person.text("avatar", ""),
        follows=tuple(_follow_of(row) for page in pages for row in page.parts("follow_user")),
        unionid=person.text("unionid", ""),
    )


def _follow_of(row: Answer) -> Follow:
    return Follow(
        userid=row.text("userid"),
        remark=row.text("remark", ""),
        added_at=row.moment("createtime"),
        state=row.text("state", ""),
        add_way=row.number("add_way", 0),
        tags=tuple(
            Tag(tag.text("tag_id", ""), tag.text("tag_name"), tag.text("group_name", ""))
            for tag in row.parts("tags")
        ),
    )


def _relation_of(row: Answer, asked: list[str]) -> Relation:
    person, follow = row.part("external_contact"), row.part("follow_info")
    # Older tenants leave the member out; it can be known only when one was asked about.
    only = asked[0] if len(asked) == 1 else None
    return Relation(
        external_userid=person.text("external_userid"),
        name=person.text("name", ""),
        userid=follow.text("userid", only),
        remark=follow.text("remark", ""),
        added_at=follow.moment("createtime"),
        state=follow.text("state", ""),
        add_way=follow.number("add_way", 0),
        tag_ids=tuple(follow.texts("tag_id")),
    )

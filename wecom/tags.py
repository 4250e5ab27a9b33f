"""Company tags (企业标签): their groups, and which of them a member put on a customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wecom.answer import Answer
from wecom.calls import Calls
from wecom.limits import characters, present, some, unique

NAME_LIMIT: Final = 30
MAX_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class CompanyTag:
    """A tag of the company; a greater `order` stands further up."""

    id: str
    name: str
    created_at: datetime | None
    order: int
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class TagGroup:
    """A group of tags."""

    id: str
    name: str
    created_at: datetime | None
    order: int
    tags: tuple[CompanyTag, ...]
    deleted: bool = False


class Tags:
    """Reads and changes the company's tags, and puts them on customers."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def all(
        self, *, tag_ids: Sequence[str] = (), group_ids: Sequence[str] = ()
    ) -> list[TagGroup]:
        """Return all groups with their tags, or those of these ids; groups go before tags."""
        asked: dict[str, object] = {}
        if group_ids:
            asked["group_id"] = list(group_ids)
        elif tag_ids:
            asked["tag_id"] = list(tag_ids)
        answer = await self._calls.post("externalcontact/get_corp_tag_list", asked)
        return [_group_of(row) for row in answer.parts("tag_group")]

    async def create(
        self,
        names: Sequence[str],
        *,
        group_id: str = "",
        group_name: str = "",
        order: int | None = None,
    ) -> TagGroup:
        """Create tags in a group, which is made if none has that name; return it with them.

        TagNameTaken if one exists; OutcomeUnknown if they may: look with `all`.
        """
        if bool(group_id) == bool(group_name):
            raise ValueError("tags are created in a group named by its id or by its name")
        some("tag names", names, MAX_AT_ONCE)
        unique("tag names", names)
        for name in names:
            characters("tag name", name, NAME_LIMIT)
        characters("tag group name", group_name, NAME_LIMIT, least=0)
        fields: dict[str, object] = {
            **({"group_id": group_id} if group_id else {"group_name": group_name}),
            "tag": [{"name": name} for name in names],
            "agentid": self._calls.agent_id,
        }
        if order is not None:
            fields["order"] = order
        return await self._calls.create(
            "externalcontact/add_corp_tag",
            fields,
            lambda answer: _group_of(answer.part("tag_group")),
            facts={"group_id": group_id, "group_name": group_name, "names": list(names)},
            result=lambda made: made.id,
        )

    async def rename(self, tag_id: str, name: str, order: int | None = None) -> None:
        """Rename a tag, or a group by its id; TagNameTaken if another has that name."""
        present("tag id", tag_id)
        characters("tag name", name, NAME_LIMIT)
        fields: dict[str, object] = {"id": tag_id, "name": name, "agentid": self._calls.agent_id}
        if order is not None:
            fields["order"] = order
        await self._calls.post("externalcontact/edit_corp_tag", fields)

    async def delete(self, tag_ids: Sequence[str] = (), group_ids: Sequence[str] = ()) -> None:
        """Delete tags and groups; a group takes its tags with it."""
        if not tag_ids and not group_ids:
            raise ValueError("nothing to delete: name tags or groups")
        fields = {
            "tag_id": list(tag_ids),
            "group_id": list(group_ids),
            "agentid": self._calls.agent_id,
        }
        await self._calls.post("externalcontact/del_corp_tag", fields)

    async def mark(
        self,
        userid: str,
        external_userid: str,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
    ) -> None:
        """Put tags on a customer for one member, and take others off; no callback follows."""
        if not add and not remove:
            raise ValueError("nothing to mark: name tags to add or to remove")
        fields = {"userid": userid, "external_userid": external_userid}
        lists = {"add_tag": list(add), "remove_tag": list(remove)}
        chosen = {name: tags for name, tags in lists.items() if tags}
        await self._calls.post("externalcontact/mark_tag", {**fields, **chosen})


def _group_of(row: Answer) -> TagGroup:
    return TagGroup(
        id=row.text("group_id"),
        name=row.text("group_name", ""),
        created_at=row.moment_or_none("create_time"),
        order=row.number("order", 0),
        tags=tuple(
            CompanyTag(
                tag.text("id"),
                tag.text("name", ""),
                tag.moment_or_none("create_time"),
                tag.number("order", 0),
                tag.truth("deleted"),
            )
            for tag in row.parts("tag")
        ),
        deleted=row.truth("deleted"),
    )

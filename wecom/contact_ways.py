"""Contact ways (联系我): QR codes that add a member, and tell by their `state` where they hung.

They are not shown in WeCom's console, so whoever creates one keeps its config id.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from wecom.answer import Answer
from wecom.calls import Calls
from wecom.limits import characters, some, span

MAX_MEMBERS: Final = 100
LISTED_SPAN: Final = timedelta(days=90)
MINI_PROGRAM, QR_CODE = 1, 2
ONE_MEMBER, SEVERAL = 1, 2


@dataclass(frozen=True, slots=True)
class ContactWay:
    """A code that adds one of these members; `state` has at most 30 characters.

    `mark_source` lets WeCom mark the source in the member's client.
    """

    members: tuple[str, ...]
    state: str
    remark: str = ""
    skip_verify: bool = True
    departments: tuple[int, ...] = ()
    in_mini_program: bool = False
    style: int = 0
    is_exclusive: bool = False
    mark_source: bool | None = None

    def __post_init__(self) -> None:
        if not self.members and not self.departments:
            raise ValueError("a contact way needs a member or a department")
        some("contact way members", self.members, MAX_MEMBERS, least=0)
        characters("contact way state", self.state, 30, least=0)
        characters("contact way remark", self.remark, 30, least=0)

    def payload(self) -> dict[str, object]:
        """As WeCom takes it."""
        alone = len(self.members) == 1 and not self.departments
        fields: dict[str, object] = {
            "type": ONE_MEMBER if alone else SEVERAL,
            "scene": MINI_PROGRAM if self.in_mini_program else QR_CODE,
            **self.changeable(),
        }
        if self.is_exclusive:
            fields["is_exclusive"] = True
        return fields

    def changeable(self) -> dict[str, object]:
        """The fields that may be changed later; type and scene may not."""
        fields: dict[str, object] = {
            "remark": self.remark,
            "skip_verify": self.skip_verify,
            "state": self.state,
            "user": list(self.members),
        }
        if self.departments:
            fields["party"] = list(self.departments)
        if self.style:
            fields["style"] = self.style
        if self.mark_source is not None:
            fields["mark_source"] = self.mark_source
        return fields


@dataclass(frozen=True, slots=True)
class ContactWayCreated:
    """A new contact way; `qr_code` is the picture's address, empty in a mini program."""

    config_id: str
    qr_code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ContactWayFound:
    """A contact way as WeCom keeps it."""

    config_id: str
    way: ContactWay
    qr_code: str = field(repr=False)


class ContactWays:
    """Creates, reads, changes and ends contact ways; 500,000 a company, join ways included."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def create(self, way: ContactWay) -> ContactWayCreated:
        """Create a contact way; OutcomeUnknown if it may exist: find it by its `state`."""
        return await self._calls.create(
            "externalcontact/add_contact_way",
            way.payload(),
            lambda answer: ContactWayCreated(answer.text("config_id"), answer.text("qr_code", "")),
            facts={"state": way.state, "members": list(way.members), "remark": way.remark},
            result=lambda made: made.config_id,
        )

    async def get(self, config_id: str) -> ContactWayFound:
        """Return a contact way; ContactWayRefused if there is none of this id."""
        asked = {"config_id": config_id}
        answer = await self._calls.post("externalcontact/get_contact_way", asked)
        return _found(answer.part("contact_way"), config_id)

    async def update(self, config_id: str, way: ContactWay) -> None:
        """Replace members, state, remark and style; type and scene stay as they were created."""
        fields = {"config_id": config_id, **way.changeable()}
        await self._calls.post("externalcontact/update_contact_way", fields)

    async def delete(self, config_id: str) -> None:
        """End a contact way: its code adds nobody any more."""
        await self._calls.post("externalcontact/del_contact_way", {"config_id": config_id})

    async def listed(self, start: datetime, end: datetime) -> list[str]:
        """Return the config ids created from `start` to `end`, aware, at most 90 days apart."""
        span("contact_ways.listed", start, end, LISTED_SPAN)
        asked = {
            "start_time": int(start.timestamp()),
            "end_time": int(end.timestamp()),
            "limit": 1000,
        }
        pages = self._calls.pages("externalcontact/list_contact_way", asked)
        return [row.text("config_id") async for page in pages for row in page.parts("contact_way")]


def _found(row: Answer, config_id: str) -> ContactWayFound:
    try:
        way = ContactWay(
            members=tuple(row.texts("user")),
            state=row.text("state", ""),
            remark=row.text("remark", ""),
            skip_verify=row.truth("skip_verify", default=True),
            departments=tuple(row.numbers("party")),
            in_mini_program=row.number("scene", QR_CODE) == MINI_PROGRAM,
            style=row.number("style", 0),
            is_exclusive=row.truth("is_exclusive"),
            mark_source=row.truth("mark_source") if "mark_source" in row.fields else None,
        )
    except ValueError as impossible:
        raise row.unreadable("contact_way") from impossible
    return ContactWayFound(row.text("config_id", config_id), way, row.text("qr_code", ""))

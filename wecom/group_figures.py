"""Figures of customer groups, by owner or by day."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from wecom.answer import Answer
from wecom.calls import Calls
from wecom.errors import UnreadableAnswer
from wecom.limits import some, span

LONGEST: Final = timedelta(days=30)
MAX_OWNERS: Final = 100


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """Counts of the groups of one owner over some days, or of all owners on one day."""

    owner: str
    day: datetime | None
    new_groups: int
    groups: int
    active_groups: int
    new_members: int
    members: int
    active_members: int
    messages: int


def period(start: datetime, end: datetime, owners: Sequence[str]) -> dict[str, object]:
    """The question about these owners and days; at most 100 owners and 30 days."""
    span("group statistics", start, end, LONGEST)
    some("group statistics owners", owners, MAX_OWNERS)
    return {
        "day_begin_time": int(start.timestamp()),
        "day_end_time": int(end.timestamp()),
        "owner_filter": {"userid_list": list(owners)},
    }


async def figures_by_owner(calls: Calls, asked: Mapping[str, object]) -> list[GroupFigures]:
    """Ask for the figures of each owner; this call counts offsets where others have cursors."""
    path = "externalcontact/groupchat/statistic"
    return [_figures(row) async for row in _rows(calls, path, asked)]


async def figures_by_day(calls: Calls, asked: Mapping[str, object]) -> list[GroupFigures]:
    """Ask for the figures of each day."""
    answer = await calls.post("externalcontact/groupchat/statistic_group_by_day", asked)
    return [_figures(row) for row in answer.parts("items")]


async def _rows(calls: Calls, path: str, asked: Mapping[str, object]) -> AsyncIterator[Answer]:
    offset = 0
    while True:
        page = await calls.post(path, {**asked, "offset": offset, "limit": 1000})
        for row in page.parts("items"):
            yield row
        following = page.number("next_offset", 0)
        if not page.parts("items") or following >= page.number("total", 0):
            return
        if following <= offset:
            raise UnreadableAnswer(call=path, reason="the offset does not move")
        offset = following


def _figures(row: Answer) -> GroupFigures:
    data = row.part("data")
    return GroupFigures(
        owner=row.text("owner", ""),
        day=row.moment_or_none("stat_time"),
        new_groups=data.number("new_chat_cnt", 0),
        groups=data.number("chat_total", 0),
        active_groups=data.number("chat_has_msg", 0),
        new_members=data.number("new_member_cnt", 0),
        members=data.number("member_total", 0),
        active_members=data.number("member_has_msg", 0),
        messages=data.number("msg_total", 0),
    )

"""What was said in the demo bank's groups these days, as the archive would have told it.

Nobody has looked through it yet: the running product finds the questions itself, as in a bank.
"""

from collections.abc import Iterator, Sequence
from datetime import date, time, timedelta
from typing import Any

from bank.calendar import at_local
from bot.demo.groups import script
from bot.demo.rows import Rows, ident, row
from bot.groups.models import GroupMessage
from customers.models import CustomerGroup, GroupMember


def group_talk(rows: Rows, today: date) -> None:
    """Every message in the living groups until yesterday evening."""
    living = [group for group in rows.of(CustomerGroup) if group.dismissed_at is None]
    for number, group in enumerate(living):
        for place, told in enumerate(_told(group, number)):
            rows.add(_message(rows, group, number, place, told, today))


def _told(group: CustomerGroup, number: int) -> Sequence[dict[str, Any]]:
    """One group talks at length, the others take turns with the same few words."""
    talks = script()["talks"]
    found: Sequence[dict[str, Any]] = script()["asked"].get(group.name, talks[number % len(talks)])
    return found


def _message(
    rows: Rows, group: CustomerGroup, number: int, place: int, told: dict[str, Any], today: date
) -> GroupMessage:
    at = at_local(today - timedelta(days=told["days"]), time.fromisoformat(told["at"]))
    customers = list(_customers(rows, group))
    asks = told["by"] == "customer"
    speaker = customers[(number + told.get("who", 0)) % len(customers)] if asks else None
    return row(
        GroupMessage,
        id=ident("group message", group.chat_id, place),
        msgid=ident("archived group message", group.chat_id, place).hex,
        group_id=group.id,
        member_id=speaker.member_id if speaker else group.owner_userid,
        is_staff=speaker is None,
        customer_id=speaker.customer_id if speaker else None,
        text=told["text"],
        sent_at=at,
        stored_at=at,
    )


def _customers(rows: Rows, group: CustomerGroup) -> Iterator[GroupMember]:
    """Who is there and not one of us, in the order they came; whoever came this week only reads."""
    here = (
        seat
        for seat in rows.of(GroupMember)
        if seat.group_id == group.id and seat.left_at is None and not seat.is_staff
    )
    yield from sorted(here, key=lambda seat: (seat.joined_at, seat.member_id))

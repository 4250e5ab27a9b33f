"""What a few of the demo bank's customers wrote yesterday that a person must look at."""

from datetime import date, datetime, time, timedelta
from uuid import UUID

from bank.calendar import at_local
from bank.models import Role
from bot.demo.answers import Asked, Book
from bot.demo.people import Bond, Client, People
from bot.demo.rows import Rows, ident, row
from bot.models import Message
from customers.models import CareAlert, CareKind, CareState
from knowledge.intents import reader

# Who complains, refuses, needs care; the last of each kind has been looked at.
SAID = (
    (CareKind.COMPLAINT, "上周约好给我回电话，到现在也没人联系，你们得给个说法", ""),
    (CareKind.VULNERABLE, "我今年76岁了，老伴住院急用钱，那笔还没到期的能不能先取", ""),
    (CareKind.REFUSAL, "以后别再给我群发这些了", ""),
    (
        CareKind.COMPLAINT,
        "短信写的费用和柜台说的不一样，我要投诉",
        "已核对并致电说明，客户认可。",
    ),
    (CareKind.REFUSAL, "最近不需要，先别发了", "已与客户核实，确实不希望再收到营销信息。"),
)
FIRST = time(14, 10)
APART = timedelta(minutes=23)


def moments(today: date) -> list[datetime]:
    """When each of them wrote: yesterday afternoon."""
    first = at_local(today - timedelta(days=1), FIRST)
    return [first + n * APART for n in range(len(SAID))]


def speakers(cast: People, at: datetime) -> list[tuple[Client, Bond]]:
    """Customers of different RMs who are still followed and had agreed to no marketing."""
    found: dict[UUID, tuple[Client, Bond]] = {}
    for client in cast.clients:
        bond = client.first
        if bond.removed_at is None and not client.agrees(at):
            found.setdefault(bond.rm.id, (client, bond))
    return list(found.values())[: len(SAID)]


def alert(
    rows: Rows, cast: People, message: Message, kind: CareKind, reason: str, book: Book
) -> None:
    """The alert the product would have raised, and the suggestion it held back."""
    read = reader().read(message.text)
    client = next(c for c in cast.clients if c.id == message.customer_id)
    managers = cast.having(Role.BRANCH_MANAGER)
    branch = client.first.rm.branch_id
    manager = next((one for one in managers if one.branch_id == branch), managers[0])
    rows.add(
        row(
            CareAlert,
            id=ident("care", message.id),
            kind=kind,
            customer_id=client.id,
            staff_id=message.staff_id,
            source=f"message:{message.id}",
            sentence=message.text,
            because=list(read.reasons),
            raised_at=message.sent_at + timedelta(seconds=2),
            told_at=message.sent_at + timedelta(seconds=9),
            state=CareState.CONFIRMED if reason else CareState.OPEN,
            reason=reason,
            decided_by=manager.userid if reason else "",
            decided_at=message.sent_at + timedelta(hours=1) if reason else None,
        )
    )
    asked = Asked(
        f"message:{message.id}", message.text, client, client.first,
        message.sent_at + timedelta(seconds=4),
    )  # fmt: skip
    if held := book.held(asked):
        rows.add(held)

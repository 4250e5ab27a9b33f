"""What follows when relations between customers and RMs begin, change or end.

In one transaction: the relation itself (`customers/follows.py`), the RM's enrolments and planned
touches with that customer, open sidebars, and, where the customer left, a note to tell the RM.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from bank import staff as people
from bank.calendar import local
from bank.database import Sessions, ring
from bank.models import Staff
from bot import member_cards
from bot.inbound import inbox
from bot.models import CardKind
from customers import book, follows
from customers.follows import Aligned, Ended
from customers.models import Customer, Follow, FollowState
from knowledge import suggestions
from scheduler import enrolment
from scheduler.models import Trigger
from wecom.cards import Button, ButtonCard, Fact, Frame, Title
from wecom.client import WeComClient
from wecom.contacts import Contact
from wecom.errors import RelationGone
from wecom.events import ContactChange, ContactChanged

OVER = "客户关系已解除"
# Who is first noticed later than this is no new customer: the bank has only now begun to look.
NEW_FOR = timedelta(days=2)
BY_TRANSFER = "DELETE_BY_TRANSFER"
# Begins the note that an RM is to be told of a customer who left; the relation's id follows.
CHURN = "churn:"
CHURN_KIND = "note.churn"
STRANGER = "not handled: member is not on our staff list"


async def on_contact_changed(
    session: AsyncSession, event: ContactChanged, wecom: WeComClient, now: datetime
) -> str:
    """Something happened between a customer and a member; says what was done."""
    rm = await people.by_userid(session, event.userid)
    if rm is None:
        return STRANGER
    await follows.take_turn(session, event.external_userid)
    if how := _how_it_ended(event):
        return await _left(session, event, Ended(rm, event.created_at, how), wecom, now)
    aligned = await _ask(session, wecom, event.external_userid, now)
    enrols = event.change is not ContactChange.HALF_ADDED
    entered = await _follow_up(session, aligned, now, enrols=enrols)
    if event.change is ContactChange.TRANSFER_FAILED:
        return await _transfer_failed(session, event, rm, now)
    return await _came(session, event, rm, aligned, now, has_entered=rm.id in entered)


def looked(event: ContactChanged, outcome: str) -> bool:
    """Whether WeCom was asked about the customer, as a mere edit would have it asked."""
    return outcome != STRANGER and _how_it_ended(event) is None


def _how_it_ended(event: ContactChanged) -> FollowState | None:
    if event.change is ContactChange.DELETED_BY_CUSTOMER:
        return FollowState.REMOVED_BY_CUSTOMER
    if event.change is ContactChange.DELETED_BY_MEMBER:
        moved = event.source == BY_TRANSFER
        return FollowState.TRANSFERRED if moved else FollowState.REMOVED_BY_RM
    return None


async def _ask(
    session: AsyncSession,
    wecom: WeComClient,
    external_userid: str,
    now: datetime,
    ended: Ended | None = None,
    grace: timedelta = timedelta(),
) -> Aligned:
    try:
        contact = await wecom.contacts.get(external_userid)
    except RelationGone:
        return await follows.nobody(session, external_userid, now, ended)
    if any(now - link.added_at < grace for link in contact.follows):
        return Aligned()
    return await follows.align(session, contact, now, ended)


async def _left(
    session: AsyncSession,
    event: ContactChanged,
    ended: Ended,
    wecom: WeComClient,
    now: datetime,
) -> str:
    aligned = await _ask(session, wecom, event.external_userid, now, ended)
    await _follow_up(session, aligned, now)
    follow = await follows.told_ended(session, event.external_userid, ended, now)
    if follow is None:
        return await _why_not_told(session, event, ended.rm)
    if follow not in aligned.left:
        await _ended(session, follow, now)
    if ended.how is FollowState.REMOVED_BY_CUSTOMER:
        body = f"{CHURN}{follow.id}:{ended.at.isoformat()}"
        await inbox.put_own(session, body, "", now, kind=CHURN_KIND)
    return "relation ended"


async def _why_not_told(session: AsyncSession, event: ContactChanged, rm: Staff) -> str:
    customer = await follows.by_contact(session, event.external_userid)
    if customer is None:
        return "not handled: nobody of ours serves this contact any more"
    if await book.active_follow(session, rm.id, customer.id) is not None:
        return "overtaken: customer and RM are connected again"
    return "relation was over already"


async def _came(
    session: AsyncSession,
    event: ContactChanged,
    rm: Staff,
    aligned: Aligned,
    now: datetime,
    *,
    has_entered: bool,
) -> str:
    customer = aligned.customer
    if customer is None:
        return "not handled: nobody of ours serves this contact any more"
    if rm.id not in aligned.serving:
        return "not handled: the relation is over already"
    if event.change is ContactChange.ARCHIVE_AGREED:
        at = event.created_at
        agreed = await follows.agreed_to_archive(session, rm, event.external_userid, at)
        return "archive agreed" if agreed else "overtaken: an earlier relation's agreement"
    if event.change is ContactChange.ADDED and not has_entered:
        # Customers added by half were not enrolled; entering twice is refused.
        await enrolment.on_trigger(session, Trigger.FOLLOW_ADDED, customer.id, rm.id, now)
    return "relation updated" if event.change is ContactChange.EDITED else "customer adopted"


async def _transfer_failed(
    session: AsyncSession, event: ContactChanged, rm: Staff, now: datetime
) -> str:
    noted = await follows.transfer_failed(
        session, rm, event.external_userid, event.fail_reason, event.created_at, now
    )
    if not noted:
        return "not handled: nobody of ours serves this contact any more"
    return "transfer failure noted"


async def mend(
    session: AsyncSession,
    wecom: WeComClient,
    external_userid: str,
    now: datetime,
    grace: timedelta = timedelta(),
) -> Aligned:
    """Make our relations with this contact what WeCom says, though no event told us to.

    Nothing is done while one of them is younger than `grace`: its event is on the way.
    """
    await follows.take_turn(session, external_userid)
    aligned = await _ask(session, wecom, external_userid, now, grace=grace)
    await _follow_up(session, aligned, now)
    return aligned


async def take_in(session: AsyncSession, contact: Contact, now: datetime) -> Aligned:
    """As `mend`, with what WeCom has just said of the contact."""
    await follows.take_turn(session, contact.external_userid)
    aligned = await follows.align(session, contact, now)
    await _follow_up(session, aligned, now)
    return aligned


async def _follow_up(
    session: AsyncSession, aligned: Aligned, now: datetime, *, enrols: bool = True
) -> set[UUID]:
    """What ended stops at once; who is new enters the SOPs for new customers, once in all.

    Returns the RMs with whom the customer has entered them.
    """
    for follow in aligned.left:
        await _ended(session, follow, now)
    new = [follow for follow in aligned.came if now - follow.added_at <= NEW_FOR]
    if not enrols:
        return set()
    for follow in new:
        await enrolment.on_trigger(
            session, Trigger.FOLLOW_ADDED, follow.customer_id, follow.staff_id, now
        )
    return {follow.staff_id for follow in new}


async def _ended(session: AsyncSession, follow: Follow, now: datetime) -> None:
    """Nothing of this RM goes to the customer any more, and open sidebars notice."""
    await enrolment.leave_all(session, follow.customer_id, follow.staff_id, OVER, now)
    await ring(session, suggestions.BELL, f"{follow.customer_id}:{follow.staff_id}")


async def tell_of_churn(
    session: AsyncSession, sessions: Sessions, note: str, wecom: WeComClient, now: datetime
) -> str:
    """A card tells the RM that a customer left: after the commit that ended it, and once.

    WeCom takes a task id once, so a try after a lost answer shows nothing twice.
    """
    follow = await session.get(Follow, UUID(note.removeprefix(CHURN)[:36]))
    if follow is None or follow.state is FollowState.ACTIVE or follow.removed_at is None:
        return "overtaken: customer and RM are connected again"
    rm = await session.get_one(Staff, follow.staff_id)
    customer = await session.get_one(Customer, follow.customer_id)
    card = _churn_card(follow, customer, follow.removed_at)
    sent = await member_cards.send(
        sessions, wecom, CardKind.CHURN, str(customer.id), [rm.userid], card, now
    )
    return "RM was told" if sent else "not handled: WeCom did not take the message to the RM"


def _churn_card(follow: Follow, customer: Customer, at: datetime) -> ButtonCard:
    facts = (
        Fact("客户", customer.name[:26]),
        Fact("时间", f"{local(at):%Y-%m-%d %H:%M}"),
        Fact("触达计划", "已全部停止"),
    )
    return ButtonCard(
        Title("客户删除了您的企业微信", "客户流失提醒"),
        (Button("知道了", "seen"),),
        task_id=f"churn-{follow.id}-{int(at.timestamp())}",
        frame=Frame(facts=facts),
    )

"""Due touches become WeCom tasks: the intent is committed before the call, the outcome after it.

    transaction  claim, gates, intent         a crash here leaves the touches planned
    call         version held live, task made a crash here leaves an intent
    transaction  handed, failed or unknown    a crash before it leaves an intent

Creating a task has no idempotency key, so an intent is never called twice: `reconcile` looks it
up (docs/decisions/0003).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import func, select

from bank.database import Sessions
from bank.metrics import TOUCHES
from bank.settings import Settings
from content.files import FileMissing, FileStore, LocalFileStore
from outbound import addressing, check, media, records
from outbound import sending as outgoing
from outbound.attachments import Stock
from outbound.media import MediaIds
from scheduler import enrolment, gates, reminders, touch_reading, touches
from scheduler.models import SendTask, TaskState, Touch
from wecom.client import WeComClient
from wecom.errors import (
    Busy,
    CredentialWrong,
    MediaExpired,
    NetworkNotTrusted,
    OutcomeUnknown,
    RateLimited,
    TokenDead,
    WeComError,
)
from wecom.mass_sends import MassSendCreated

log = structlog.get_logger("scheduler")

AT_ONCE = 200
FIRST_WAIT = timedelta(minutes=1)

# Nothing was created, and the fault is not in the message: it may go out later.
NOT_NOW = (Busy, MediaExpired, RateLimited, TokenDead, CredentialWrong, NetworkNotTrusted)


# One RM, one SOP, one version, one text; and a touch with the words that passed for it.
Load = tuple[UUID, UUID, UUID, str]
Said = tuple[gates.Case, check.Passed]


@dataclass(frozen=True)
class Order:
    """A task written as an intent, and what WeCom is to be told."""

    task_id: UUID
    staff_id: UUID
    userid: str
    contacts: tuple[str, ...]
    cleared: tuple[check.Cleared, ...]
    touches: tuple[UUID, ...]
    enrolments: tuple[UUID, ...]
    deferrals: int


@dataclass
class Sent:
    """What became of the touches of one round."""

    claimed: int = 0
    refused: int = 0
    deferred: int = 0
    ghosts: int = 0
    handed: int = 0
    failed: int = 0
    unknown: int = 0


async def send_due(
    sessions: Sessions,
    wecom: WeComClient,
    settings: Settings,
    now: datetime,
    limit: int = AT_ONCE,
    files: FileStore | None = None,
) -> Sent:
    """Hand what is due and passes the gates to its RMs; any number of processes may do so.

    `files` is where attachments come from, the bank's own without it.
    """
    files = files or LocalFileStore(settings.home / "files")
    sent = Sent()
    async with sessions.begin() as session:
        await tidy(session, now)
    async with sessions.begin() as session:
        orders = await prepare(session, settings, now, limit, sent, files)
    reached: Counter[reminders.RM] = Counter()
    for order in orders:
        if await _hand_over(sessions, wecom, files, order, now, sent):
            reached[reminders.RM(order.staff_id, order.userid)] += len(order.contacts)
    await reminders.tell(sessions, wecom, settings, reached, now)
    for outcome, number in asdict(sent).items():
        TOUCHES.labels(outcome).inc(number)
    return sent


async def tidy(session: AsyncSession, now: datetime) -> None:
    """End what must not wait for its due time: dead material, customers who converted."""
    if await alone(session, "scheduler.tidy"):
        refused = await touches.cancel_for_dead_material(session, now)
        await enrolment.complete(session, refused, now)
        await enrolment.exit_converted(session, now)


async def alone(session: AsyncSession, work: str) -> bool:
    """Whether no other process is at this work; it stays ours until the transaction ends."""
    ours = select(func.pg_try_advisory_xact_lock(func.hashtextextended(work, 0)))
    return bool((await session.execute(ours)).scalar_one())


async def take_turns(session: AsyncSession, customer_ids: Collection[UUID]) -> None:
    """Wait until no other sender counts these customers' messages; held until the commit."""
    keys = sorted({customer_id.int % (1 << 63) for customer_id in customer_ids})
    turns = "SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key"
    await session.execute(text(turns), {"keys": keys})


async def prepare(
    session: AsyncSession,
    settings: Settings,
    now: datetime,
    limit: int,
    sent: Sent,
    files: FileStore,
) -> list[Order]:
    """Claim, judge, and write the intents; all in the caller's transaction."""
    claimed = await touches.claim_due(session, now, limit)
    sent.claimed = len(claimed)
    if not claimed:
        return []
    await take_turns(session, [touch.customer_id for touch in claimed])
    loads: dict[Load, list[Said]] = defaultdict(list)
    under_way: dict[UUID, list[datetime]] = defaultdict(list)
    for case in await gates.cases_of(session, claimed):
        earlier = await touch_reading.marketing_moments(session, case.customer.id, now)
        marketing = [*earlier, *under_way[case.customer.id]]
        verdict = await gates.judge(session, case, settings, marketing, now, files)
        if isinstance(verdict, gates.Passed):
            key = (case.staff.id, case.sop.id, verdict.version_id, verdict.said.text)
            loads[key].append((case, verdict.said))
            under_way[case.customer.id] += [now] if case.sop.marketing else []
        else:
            _settle(case.touch, verdict, now, sent)
    await session.flush()
    await enrolment.complete(session, [touch.enrolment_id for touch in claimed], now)
    stock = gates.stock_of(settings, files)
    orders = [await _intend(session, stock, key, load, now, sent) for key, load in loads.items()]
    return [order for order in orders if order is not None]


def _settle(touch: Touch, verdict: gates.Verdict, now: datetime, sent: Sent) -> None:
    if isinstance(verdict, gates.Ghost):
        touches.ghost(touch, verdict.version_id, now)
        sent.ghosts += 1
    elif isinstance(verdict, gates.No):
        touches.refuse(touch, verdict.reasons, now)
        sent.refused += 1
    elif isinstance(verdict, gates.Later):
        later = touches.defer(touch, verdict.until, verdict.reason, now)
        sent.deferred += later
        sent.refused += not later


async def _intend(
    session: AsyncSession,
    stock: Stock,
    key: Load,
    load: Sequence[Said],
    now: datetime,
    sent: Sent,
) -> Order | None:
    """The task of one text, for everybody it could be written down for."""
    _, _, version_id, body = key
    cases, cleared = [], []
    for case, said in await _addressed(session, stock, load, now):
        answer = await check.record(session, said, case.touch.id, now)
        if isinstance(answer, check.Cleared):
            cases.append(case)
            cleared.append(answer)
        else:
            _settle(case.touch, gates.Later(now + gates.ONCE_MORE, answer.reasons[0]), now, sent)
    if not cases:
        return None
    task = await touches.intend(session, [case.touch for case in cases], version_id, body, now)
    return Order(
        task_id=task.id,
        staff_id=task.staff_id,
        userid=cases[0].staff.userid,
        contacts=tuple(case.customer.external_userid or "" for case in cases),
        cleared=tuple(cleared),
        touches=tuple(case.touch.id for case in cases),
        enrolments=tuple(case.enrolment.id for case in cases),
        deferrals=max(case.touch.deferrals for case in cases),
    )


async def _addressed(
    session: AsyncSession, stock: Stock, load: Sequence[Said], now: datetime
) -> list[Said]:
    """A task for one customer carries links of their own; one for many carries shared ones."""
    if len(load) == 1:
        [(case, said)] = load
        return [(case, await addressing.addressed_to_one(session, stock, said, case.touch.id, now))]
    found = []
    for case, said in load:
        whose = f"{case.sop.id}/{case.staff.id}"
        shared = await addressing.addressed_to_many(session, stock, said, whose, now)
        found.append((case, shared))
    return found


async def _hand_over(
    sessions: Sessions,
    wecom: WeComClient,
    files: FileStore,
    order: Order,
    now: datetime,
    sent: Sent,
) -> bool:
    """Call WeCom and write down what came of it; whether WeCom has it.

    Files are at WeCom before anything else: without them there is no call.

    The version is held for the call: a withdrawal commits before it, and then there is none, or
    after it (F-20). What came of the call is written in a transaction of its own.
    """
    ids = await _uploaded(sessions, wecom, files, order, now)
    async with sessions.begin() as holding:
        if not await _still_intended(holding, order.task_id):
            return False
        live = await touches.hold_live(holding, order.task_id, now)
        answer = await _called(wecom, order, ids) if live else None
    if isinstance(answer, MediaExpired):
        await _forget(sessions, ids)
    if answer is None:
        async with sessions.begin() as session:
            await touches.call_off(session, order.task_id, now)
            await records.unsent(session, "touch", order.touches, now)
            await enrolment.complete(session, order.enrolments, now)
        sent.refused += len(order.contacts)
        log.info("touch_sent", task=str(order.task_id), outcome="refused")
        return False
    if isinstance(answer, WeComError):
        async with sessions.begin() as session:
            outcome = await _not_handed(session, order, answer, now, sent)
        log.warning("touch_sent", task=str(order.task_id), outcome=outcome, error=repr(answer))
        return False
    return await _written(sessions, wecom, order, answer, now, sent)


async def _uploaded(
    sessions: Sessions, wecom: WeComClient, files: FileStore, order: Order, now: datetime
) -> MediaIds | WeComError:
    """The media ids of what goes beside the text, or why WeCom has not taken the files."""
    attached = order.cleared[0].attachments
    if not attached:
        return {}
    try:
        async with sessions.begin() as session:
            return await media.ready(session, files, wecom, attached, now, pictures=True)
    except WeComError as error:
        # Nothing was sent for certain, whatever became of the file.
        return Busy(call="media/upload", errcode=error.errcode)
    except (FileMissing, media.NotAsApproved) as error:
        return Busy(call="media/upload", reason=type(error).__name__)


async def _forget(sessions: Sessions, ids: MediaIds | WeComError) -> None:
    """WeCom has lost files before their time: the next try uploads them anew."""
    if isinstance(ids, dict):
        async with sessions.begin() as session:
            await media.forget(session, list(ids.values()))


async def _called(
    wecom: WeComClient, order: Order, ids: MediaIds | WeComError
) -> MassSendCreated | WeComError:
    if isinstance(ids, WeComError):
        return ids
    try:
        return await outgoing.hand_task(wecom, order.userid, order.contacts, order.cleared, ids)
    except WeComError as error:
        return error


async def _written(
    sessions: Sessions,
    wecom: WeComClient,
    order: Order,
    created: MassSendCreated,
    now: datetime,
    sent: Sent,
) -> bool:
    async with sessions.begin() as session:
        ours = await _handed(session, order, created, now)
    if not ours:
        # Somebody gave the call up for lost and planned its touches again.
        await wecom.mass_sends.cancel(created.msgid)
        log.warning("touch_sent", task=str(order.task_id), outcome="recalled")
        return False
    sent.handed += len(order.contacts) - len(created.failed)
    sent.failed += len(created.failed)
    log.info("touch_sent", task=str(order.task_id), rm=order.userid, outcome="handed")
    return True


async def _still_intended(session: AsyncSession, task_id: UUID) -> bool:
    """Whether the task is still waiting for its call; reconciling may have taken it away."""
    query = select(SendTask.state).where(SendTask.id == task_id)
    return (await session.execute(query)).scalar_one() == TaskState.INTENT


async def _handed(
    session: AsyncSession, order: Order, created: MassSendCreated, now: datetime
) -> bool:
    ours = await touches.handed(session, order.task_id, created.msgid, created.failed, now, now)
    await session.flush()
    await enrolment.complete(session, order.enrolments, now)
    return ours


async def _not_handed(
    session: AsyncSession, order: Order, error: WeComError, now: datetime, sent: Sent
) -> str:
    reason = in_words(error)
    if isinstance(error, OutcomeUnknown):
        await touches.unknown(session, order.task_id, reason, now)
        sent.unknown += len(order.contacts)
        return "unknown"
    if isinstance(error, NOT_NOW):
        until = now + waiting(error, order.deferrals)
        await touches.release(session, order.task_id, reason, until, now)
        sent.deferred += len(order.contacts)
        return "later"
    await touches.failed(session, order.task_id, reason, now)
    await records.unsent(session, "touch", order.touches, now)
    sent.failed += len(order.contacts)
    await session.flush()
    await enrolment.complete(session, order.enrolments, now)
    return "failed"


def waiting(error: WeComError, tries: int) -> timedelta:
    """How long to leave WeCom alone: as long as it says, and twice as long after each try."""
    asked = timedelta(seconds=error.retry_after or 0)
    return max(asked, FIRST_WAIT * (1 << tries))


def in_words(error: WeComError) -> str:
    """Why WeCom did not take a task, as staff read it."""
    if isinstance(error, OutcomeUnknown):
        return "提交后没有收到企业微信的明确答复，正在核对"
    if isinstance(error, RateLimited):
        return "企业微信接口限流，稍后自动重试"
    if isinstance(error, Busy):
        return "暂时连不上企业微信，稍后自动重试"
    if isinstance(error, MediaExpired):
        return "素材文件在企业微信已过期，重新上传后自动重试"
    if isinstance(error, NOT_NOW):
        return f"企业微信应用配置异常（{error.errcode}），请联系系统管理员"
    return f"企业微信拒绝了这条群发（{error.errcode}）"

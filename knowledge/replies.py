"""What the RM makes of a suggestion: cleared for sending, sent, or turned down."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution import touchpoints
from attribution.models import TouchpointKind
from bank import audit
from bank.database import ring
from bank.metrics import SUGGESTIONS
from bank.models import Staff
from compliance.imprint import AI_CONFIRMED
from compliance.normalise import as_seen
from content import library, sendable
from content.models import PROMOTING
from customers.models import Customer
from knowledge.finding import LONGEST
from knowledge.models import Suggestion, SuggestionState
from knowledge.picking import PICKED
from knowledge.suggestions import BELL, Refused, attached_versions, cited_versions
from outbound import records
from outbound.addressing import addressed
from outbound.attachments import Attached, Stock, Unfit, prepare
from outbound.check import Cause, Cleared, check_and_record
from outbound.facts import Policy, Saying
from outbound.models import Door
from outbound.reasons import ABOVE_CEILING, TOO_MANY
from wecom.attachments import MAX_ATTACHMENTS

OPEN = (SuggestionState.OFFERED, SuggestionState.NO_MATCH, SuggestionState.BLOCKED)
SENDABLE = (SuggestionState.OFFERED, SuggestionState.WITHDRAWN)
TOO_LONG = f"回复不能超过 {LONGEST:,} 字，请删减后再发送。"
# How long a cleared text may be on its way through the bridge; longer, and it was not sent.
SENDING = timedelta(seconds=30)
NO_STOCK = "这里不能发送带附件的回复，请在侧边栏发送。"
BEGUN = "这条回复已有一部分发给客户，不能再改附件。"


async def clear(
    session: AsyncSession,
    suggestion: Suggestion,
    text: str,
    policy: Policy,
    now: datetime,
    opened_page: str = "",
    *,
    stock: Stock | None = None,
    notice: bool = False,
) -> Cleared | Refused:
    """May the RM send this text now? Everything is asked again, and what is said is written down.

    The suggestion must be locked by the caller. What was cleared for one open page is not cleared
    for another one while the first may be sending it; the same page may try again. `stock` is where
    attachments come from; `notice` that the RM ticked the special notice to an elderly customer.
    """
    if suggestion.state is not SuggestionState.OFFERED or suggestion.version_id is None:
        return Refused((f"这条推荐当前状态为“{suggestion.state.label}”，不能发送。",))
    if _on_its_way(suggestion, opened_page, now):
        return Refused(("这条回复刚刚已在另一个页面提交发送，请先查看聊天窗口，避免重复发送。",))
    if len(text) > 2 * LONGEST or len(text := as_seen(text)) > LONGEST:
        return Refused((TOO_LONG,))
    if not text and not suggestion.attached:
        return Refused(("回复内容不能为空。",))
    attached = await _attached(session, suggestion, stock, now)
    if isinstance(attached, Unfit):
        return Refused(attached.reasons)
    saying = await _saying(session, suggestion, text)
    saying = replace(saying, attachments=attached, notice_given=notice)
    if stock is not None:
        saying = await addressed(session, stock, saying, suggestion.id, now)
    answer = await check_and_record(session, saying, suggestion.id, policy, now)
    if isinstance(answer, Cleared):
        suggestion.sent_text = answer.text
        suggestion.cleared_at, suggestion.cleared_in = now, opened_page
        return answer
    if answer.cause is Cause.MATERIAL or answer.reasons == (ABOVE_CEILING,):
        suggestion.state, suggestion.decided_at = SuggestionState.WITHDRAWN, now
        SUGGESTIONS.labels(suggestion.state.value).inc()
        await ring(session, BELL, f"{suggestion.customer_id}:{suggestion.staff_id}")
        return Refused(("引用的素材已下线、过期或不再适合该客户，请换一条。",))
    return Refused(answer.reasons)


async def _attached(
    session: AsyncSession, suggestion: Suggestion, stock: Stock | None, now: datetime
) -> tuple[Attached, ...] | Unfit:
    """What goes beside the text; without files at hand nothing can be vouched for."""
    wanted = attached_versions(suggestion)
    if not wanted:
        return ()
    if stock is None:
        return Unfit((NO_STOCK,))
    rm = await session.get_one(Staff, suggestion.staff_id)
    return await prepare(session, stock, wanted, rm, now)


async def _saying(session: AsyncSession, suggestion: Suggestion, text: str) -> Saying:
    """The RM's words as the check wants them: what they are made of, and what had been drafted."""
    customer = await session.get_one(Customer, suggestion.customer_id)
    cited = cited_versions(suggestion)
    picked = suggestion.tier == PICKED
    by_hand = cited if picked else set(attached_versions(suggestion))
    return Saying(
        door=Door.SIDEBAR,
        text=text,
        version_ids=frozenset(cited),
        staff_id=suggestion.staff_id,
        customer_id=suggestion.customer_id,
        contact=customer.external_userid or "",
        suggested=as_seen(suggestion.draft),
        known=(
            *(citation["passage"] for citation in suggestion.citations),
            *(figures["sentence"] for figures in suggestion.figures),
            *(" ".join(figures.values()) for figures in suggestion.figures),
        ),
        writer=suggestion.writer,
        prompt_hash=suggestion.prompt_hash,
        passages=tuple(f"{c['version_id']}#{c['position']}" for c in suggestion.citations),
        marketing=bool(by_hand) and await _promotes(session, by_hand),
        ai_assisted=not picked,
    )


async def _promotes(session: AsyncSession, version_ids: Collection[UUID]) -> bool:
    """Whether an RM who sends this unasked is advertising: it arouses a need, or sells."""
    documents = await library.documents(session, version_ids)
    return any(document.use in PROMOTING for document in documents)


def _on_its_way(suggestion: Suggestion, opened_page: str, now: datetime) -> bool:
    if suggestion.cleared_at is None or now - suggestion.cleared_at > SENDING:
        return False
    return not opened_page or opened_page != suggestion.cleared_in


async def mark_sent(
    session: AsyncSession,
    suggestion: Suggestion,
    *,
    by: str,
    now: datetime,
    parts: int | None = None,
) -> None:
    """The RM sent it, or the first `parts` bubbles of it: the customer has really seen this.

    Nothing happens without a clearance before it, or the second time. A source withdrawn between
    clearance and this word does not unsay what the customer saw. What is sent in part stays open,
    so that the rest can follow.
    """
    if suggestion.state not in SENDABLE or suggestion.cleared_at is None or parts == 0:
        return
    said = await records.sent(session, "suggestion", suggestion.id, now)
    total = bool(suggestion.sent_text) + len(suggestion.attached)
    delivered = total if parts is None else min(parts, total)
    if said is not None:
        said.delivered = delivered = max(said.delivered, delivered)
    await _seen(session, suggestion, delivered, now)
    if delivered >= total:
        edited = said.edited if said else suggestion.sent_text != as_seen(suggestion.draft)
        suggestion.state = SuggestionState.EDITED if edited else SuggestionState.SENT
        suggestion.decided_at = now
        suggestion.edit_share = changed(suggestion.draft, suggestion.sent_text)
        SUGGESTIONS.labels(suggestion.state.value).inc()
        audit.record(
            session, "knowledge:suggestion:send", suggestion.id, by=by, now=now, edited=edited
        )
    await ring(session, BELL, f"{suggestion.customer_id}:{suggestion.staff_id}")


def changed(draft: str, sent: str) -> float:
    """How much of a draft an RM changed: 0 none of it, 1 all of it; our own AI mark is no edit."""
    sent = sent.removesuffix(f"\n{AI_CONFIRMED}")
    return round(1 - SequenceMatcher(None, as_seen(draft), sent, autojunk=False).ratio(), 4)


async def take(session: AsyncSession, suggestion: Suggestion, number: int) -> Refused | None:
    """The RM takes another of the variants; what was shown before becomes one of them."""
    if suggestion.state is not SuggestionState.OFFERED or await _begun(session, suggestion):
        return Refused((f"这条推荐当前状态为“{suggestion.state.label}”，不能再换写法。",))
    if not 0 <= number < len(suggestion.variants):
        return Refused(("这种写法已不在，请刷新后再选。",))
    variants = [dict(each) for each in suggestion.variants]
    taken, variants[number] = variants[number], _as_variant(suggestion)
    for name in ("draft", "citations", "verdict", "writer", "prompt_hash"):
        setattr(suggestion, name, taken[name])
    suggestion.version_id, suggestion.variants = UUID(taken["version_id"]), variants
    return None


def _as_variant(suggestion: Suggestion) -> dict[str, Any]:
    return {
        "draft": suggestion.draft,
        "citations": suggestion.citations,
        "verdict": suggestion.verdict,
        "writer": suggestion.writer,
        "prompt_hash": suggestion.prompt_hash,
        "version_id": str(suggestion.version_id),
    }


async def _seen(
    session: AsyncSession, suggestion: Suggestion, delivered: int, now: datetime
) -> None:
    """A touchpoint for each material the customer has now."""
    beside = attached_versions(suggestion)[: delivered - bool(suggestion.sent_text)]
    for version_id in dict.fromkeys([suggestion.version_id, *beside]):
        main = version_id == suggestion.version_id
        seen = touchpoints.Seen(
            customer_id=suggestion.customer_id,
            staff_id=suggestion.staff_id,
            kind=TouchpointKind.REPLY_SENT,
            channel=suggestion.channel,
            at=now,
            source="suggestion",
            source_id=str(suggestion.id) if main else f"{suggestion.id}/{version_id}",
            version_id=version_id,
        )
        await touchpoints.record(session, seen)


async def attach(session: AsyncSession, suggestion: Suggestion, version_id: UUID) -> Refused | None:
    """The RM puts a picture, file or card beside the text; whether it may go is asked at sending.

    What a customer has part of already is not changed any more.
    """
    if suggestion.state is not SuggestionState.OFFERED or suggestion.version_id is None:
        return Refused((f"这条推荐当前状态为“{suggestion.state.label}”，不能再附素材。",))
    if await _begun(session, suggestion):
        return Refused((BEGUN,))
    if str(version_id) in suggestion.attached:
        return Refused(("这份素材已经附上了。",))
    if len(suggestion.attached) >= MAX_ATTACHMENTS:
        return Refused((TOO_MANY.format(most=MAX_ATTACHMENTS),))
    if version_id not in await sendable.of_versions(session, [version_id]):
        return Refused(("这份素材只有文字，请直接写进回复。",))
    suggestion.attached = [*suggestion.attached, str(version_id)]
    return None


async def detach(session: AsyncSession, suggestion: Suggestion, version_id: UUID) -> Refused | None:
    """The RM takes an attachment off again."""
    if suggestion.state is not SuggestionState.OFFERED:
        return Refused((f"这条推荐当前状态为“{suggestion.state.label}”，不能再改附件。",))
    if await _begun(session, suggestion):
        return Refused((BEGUN,))
    suggestion.attached = [one for one in suggestion.attached if one != str(version_id)]
    return None


async def _begun(session: AsyncSession, suggestion: Suggestion) -> bool:
    said = await records.cleared(session, "suggestion", suggestion.id)
    return said is not None and said.delivered > 0


async def reject(
    session: AsyncSession, suggestion: Suggestion, reason: str, *, by: str, now: datetime
) -> Refused | None:
    """The RM says it does not fit, and why."""
    if suggestion.state not in OPEN:
        return Refused((f"这条推荐当前状态为“{suggestion.state.label}”。",))
    if not reason.strip():
        return Refused(("请选择不合适的原因。",))
    suggestion.state, suggestion.decided_at = SuggestionState.REJECTED, now
    suggestion.reject_reason = reason.strip()
    SUGGESTIONS.labels(suggestion.state.value).inc()
    audit.record(
        session, "knowledge:suggestion:reject", suggestion.id, by=by, now=now, reason=reason
    )
    await ring(session, BELL, f"{suggestion.customer_id}:{suggestion.staff_id}")
    return None


async def recognise_sent(
    session: AsyncSession, staff_id: UUID, customer_id: UUID, text: str, now: datetime
) -> None:
    """The archive shows a cleared text in the chat: sent, even if the browser never told us."""
    query = select(Suggestion).where(
        Suggestion.staff_id == staff_id,
        Suggestion.customer_id == customer_id,
        col(Suggestion.state).in_(SENDABLE),
        Suggestion.sent_text == text,
    )
    for suggestion in (await session.execute(query.with_for_update())).scalars():
        # It shows the text alone: what goes beside it, the page tells.
        parts = 1 if suggestion.attached else None
        await mark_sent(session, suggestion, by=audit.SYSTEM, now=now, parts=parts)

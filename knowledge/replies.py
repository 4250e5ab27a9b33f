"""What the RM makes of a suggestion: cleared for sending, sent, or turned down."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution import touchpoints
from attribution.models import TouchpointKind
from bank import audit
from bank.database import ring
from bank.metrics import SUGGESTIONS
from compliance import citations
from compliance.guard import checked
from compliance.normalise import as_seen
from compliance.verdict import Role as Speaker
from content import library, products
from customers.book import CustomerFacts
from knowledge.models import Suggestion, SuggestionState
from knowledge.suggestions import (
    BELL,
    LONGEST,
    Refused,
    blocked_by,
    cited_versions,
    with_reminder,
)

OPEN = (SuggestionState.OFFERED, SuggestionState.NO_MATCH, SuggestionState.BLOCKED)
SENDABLE = (SuggestionState.OFFERED, SuggestionState.WITHDRAWN)
TOO_LONG = f"回复不能超过 {LONGEST:,} 字，请删减后再发送。"
# How long a cleared text may be on its way through the bridge; longer, and it was not sent.
SENDING = timedelta(seconds=30)


@dataclass(frozen=True)
class Cleared:
    """The exact text that may be sent now."""

    text: str


async def clear(
    session: AsyncSession,
    suggestion: Suggestion,
    text: str,
    facts: CustomerFacts,
    now: datetime,
    opened_page: str = "",
) -> Cleared | Refused:
    """May the RM send this text now? Liveness, suitability and wording are asked again.

    The suggestion must be locked by the caller. What was cleared for one open page is not cleared
    for another one while the first may be sending it; the same page may try again.
    """
    if suggestion.state is not SuggestionState.OFFERED or suggestion.version_id is None:
        return Refused((f"这条推荐当前状态为“{suggestion.state.label}”，不能发送。",))
    if _on_its_way(suggestion, opened_page, now):
        return Refused(("这条回复刚刚已在另一个页面提交发送，请先查看聊天窗口，避免重复发送。",))
    cited = cited_versions(suggestion)
    live = await library.only_live(
        session,
        cited,
        now=now,
        channel=suggestion.channel,
        branch_id=facts.branch_id,
        risk_ceiling=facts.risk_ceiling,
    )
    if live < cited:
        suggestion.state, suggestion.decided_at = SuggestionState.WITHDRAWN, now
        SUGGESTIONS.labels(suggestion.state.value).inc()
        await ring(session, BELL, f"{suggestion.customer_id}:{suggestion.staff_id}")
        return Refused(("引用的素材已下线、过期或不再适合该客户，请换一条。",))
    if len(text) > 2 * LONGEST:
        return Refused((TOO_LONG,))
    documents = await library.documents(session, cited)
    text = as_seen(text)
    reasons = _objections(text, suggestion, documents)
    unlisted = await products.unlisted_in(session, text, now)
    reasons += [
        f"“{product.name}”不在总行今天的产品名单内，不得向客户提及。" for product in unlisted
    ]
    if reasons:
        return Refused(tuple(reasons))
    text = await with_reminder(session, text, {document.material_id for document in documents})
    suggestion.sent_text, suggestion.cleared_at, suggestion.cleared_in = text, now, opened_page
    return Cleared(text)


def _on_its_way(suggestion: Suggestion, opened_page: str, now: datetime) -> bool:
    if suggestion.cleared_at is None or now - suggestion.cleared_at > SENDING:
        return False
    return not opened_page or opened_page != suggestion.cleared_in


def _objections(
    text: str, suggestion: Suggestion, documents: Sequence[library.LibraryDocument]
) -> list[str]:
    """What stands against a text the RM may have edited."""
    if not text:
        return ["回复内容不能为空。"]
    if len(text) > LONGEST:
        return [TOO_LONG]
    reasons = blocked_by(checked(text, Speaker.RM))
    known = [c["passage"] for c in suggestion.citations] + [suggestion.draft]
    known += [passage.text for document in documents for passage in document.passages]
    for start, end in citations.untraceable_numbers(text, known):
        reasons.append(f"数字“{text[start:end]}”在引用素材中找不到出处，请删除或改回原文。")
    return reasons


async def mark_sent(
    session: AsyncSession, suggestion: Suggestion, *, by: str, now: datetime
) -> None:
    """The RM sent it: the customer has really seen this content.

    Nothing happens without a clearance before it, or the second time. A source withdrawn between
    clearance and this word does not unsay what the customer saw.
    """
    if suggestion.state not in SENDABLE or not suggestion.sent_text:
        return
    edited = suggestion.sent_text != as_seen(suggestion.draft)
    suggestion.state = SuggestionState.EDITED if edited else SuggestionState.SENT
    suggestion.decided_at = now
    SUGGESTIONS.labels(suggestion.state.value).inc()
    await touchpoints.record(
        session,
        touchpoints.Seen(
            customer_id=suggestion.customer_id,
            staff_id=suggestion.staff_id,
            kind=TouchpointKind.REPLY_SENT,
            channel=suggestion.channel,
            at=now,
            source="suggestion",
            source_id=str(suggestion.id),
            version_id=suggestion.version_id,
        ),
    )
    audit.record(session, "knowledge:suggestion:send", suggestion.id, by=by, now=now, edited=edited)
    await ring(session, BELL, f"{suggestion.customer_id}:{suggestion.staff_id}")


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
        await mark_sent(session, suggestion, by=audit.SYSTEM, now=now)

"""The RM picks a material by hand: a suggestion like any other, quoted and judged."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from bank.database import ring
from bank.metrics import SUGGESTIONS
from content import library
from content.sendable import SHAPES
from customers.book import CustomerFacts
from knowledge.cases import Question
from knowledge.finding import masked_question, source
from knowledge.hybrid import Audience
from knowledge.models import Suggestion, SuggestionState
from knowledge.suggestions import BELL, Refused
from knowledge.wording import citations_of, judge, stored, with_reminder
from knowledge.writer import QUOTING, quote

PICKED = "picked"
NOT_FIT = "这份素材已下线、过期或不适合该客户。"


async def pick(
    session: AsyncSession,
    version_id: UUID,
    question: Question,
    facts: CustomerFacts,
    now: datetime,
    generation: str,
) -> Suggestion | Refused:
    """Make a reply of a chosen material, if this customer may get it now."""
    audience = Audience(now, question.channel.value, facts.branch_id, facts.risk_ceiling)
    found = await library.usable(
        session,
        [version_id],
        now=now,
        channel=audience.channel,
        branch_id=audience.branch,
        risk_ceiling=audience.risk_ceiling,
    )
    if not found:
        return Refused((NOT_FIT,))
    [document] = found
    suggestion = _quoted(question, facts, document, now, generation)
    if document.kind in SHAPES:
        suggestion.attached = [str(version_id)]
    suggestion.draft = with_reminder(suggestion.draft, [document], [document.material_id])
    session.add(suggestion)
    await session.flush()
    SUGGESTIONS.labels(suggestion.state.value).inc()
    await ring(session, BELL, f"{facts.customer_id}:{question.staff_id}")
    return suggestion


def _quoted(
    question: Question,
    facts: CustomerFacts,
    document: library.LibraryDocument,
    now: datetime,
    generation: str,
) -> Suggestion:
    draft = quote([source(document, document.passages[0])])
    verdict, reasons = judge(draft)
    return Suggestion(
        question_key=question.key,
        customer_id=facts.customer_id,
        staff_id=question.staff_id,
        channel=question.channel.value,
        question=masked_question(question.text),
        created_at=now,
        state=SuggestionState.BLOCKED if reasons else SuggestionState.OFFERED,
        tier=PICKED,
        confidence=1.0,
        draft=draft.text,
        citations=citations_of(draft),
        verdict=stored(verdict),
        reasons=["客户经理从素材库选用", *reasons],
        writer=QUOTING,
        generation=generation,
        version_id=document.version_id,
    )

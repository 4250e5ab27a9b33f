"""From passages to a reply that may be offered: drafted, judged, or else quoted word for word."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from bank.metrics import SUGGESTION_SECONDS
from compliance import citations, disclosures
from compliance.guard import checked
from compliance.verdict import Level, Verdict
from compliance.verdict import Role as Speaker
from content import products
from content.library import LibraryDocument
from knowledge.writer import QUOTING, Draft, QuotingWriter, Source, Writer, quote
from outbound import stops

log = structlog.get_logger("knowledge")


async def worded(
    session: AsyncSession, question: str, sources: Sequence[Source], writer: Writer
) -> tuple[Draft, Verdict, tuple[str, ...]]:
    """A draft with its judgement; one that strays or is refused gives way to quoting."""
    if writer.name != QUOTING and await stops.current(session) is not None:
        writer = QuotingWriter()
    with SUGGESTION_SECONDS.labels("draft").time():
        draft = await writer.draft(question, sources)
    # Stopped while the model was writing: what it wrote is dropped (C-42).
    if draft.writer != QUOTING and await stops.current(session) is not None:
        draft = quote(sources)
    verdict, reasons = judge(draft)
    by_model = draft.writer != QUOTING
    if not (by_model and (reasons or _leaves_out(draft, sources) or await _strays(session, draft))):
        return draft, verdict, reasons
    log.warning("draft_refused", writer=draft.writer, rules=len(reasons))
    return (draft := quote(sources)), *judge(draft)


def _leaves_out(draft: Draft, sources: Sequence[Source]) -> bool:
    """Whether one of several questions is passed over."""
    said = {sentence.source.part for sentence in draft.sentences}
    return said != {source.part for source in sources}


async def _strays(session: AsyncSession, draft: Draft) -> bool:
    """Whether a model's sentence says more than its own passage, or names another product."""
    named = await products.named_in(session, draft.text)
    return any(
        not citations.stays_within(sentence.text, sentence.source.text)
        or any(
            name in sentence.text and name not in f"{sentence.source.title}{sentence.source.text}"
            for product in named
            for name in (product.name, product.code)
        )
        for sentence in draft.sentences
    )


@SUGGESTION_SECONDS.labels("check").time()
def judge(draft: Draft, speaker: Speaker = Speaker.RM) -> tuple[Verdict, tuple[str, ...]]:
    """What the rules say of a draft: wording, and every number found in the passage it cites."""
    verdict = checked(draft.text, speaker)
    reasons = blocked_by(verdict)
    cited = [sentence.source.text for sentence in draft.sentences]
    if not cited:
        reasons.append("没有引用任何已审批段落")
    pairs = [(sentence.text, [sentence.source.text]) for sentence in draft.sentences]
    for text, sources in [(draft.text, cited), *pairs]:
        for start, end in citations.untraceable_numbers(text, sources):
            reasons.append(f"数字“{text[start:end]}”在引用段落中找不到出处")
    return verdict, tuple(dict.fromkeys(reasons))


def with_reminder(
    text: str, documents: Iterable[LibraryDocument], material_ids: Collection[UUID]
) -> str:
    """The text with the statutory reminders of the products these materials speak of (C-17)."""
    cited = [document for document in documents if document.material_id in material_ids]
    every = {product.id: product for document in cited for product in document.products}
    return disclosures.append(text, list(every.values()))


def blocked_by(verdict: Verdict) -> list[str]:
    """Why a text may not go; what only warns is left to the RM, who reads before sending."""
    if verdict.level is not Level.BLOCK:
        return []
    return [finding.reason for finding in verdict.findings]


def citations_of(draft: Draft) -> list[dict[str, Any]]:
    """Each sentence with the passage it comes from, as stored with a suggestion."""
    return [_citation(sentence.text, sentence.source) for sentence in draft.sentences]


def _citation(text: str, source: Source) -> dict[str, Any]:
    return {
        "text": text,
        "version_id": str(source.version_id),
        "material_id": str(source.material_id),
        "title": source.title,
        "number": source.number,
        "position": source.position,
        "passage": source.text,
    }


def stored(verdict: Verdict) -> dict[str, Any]:
    """A verdict as stored with a suggestion."""
    findings = [
        {"category": str(f.category), "reason": f.reason, "rule": f.rule} for f in verdict.findings
    ]
    return {"level": verdict.level.value, "findings": findings}

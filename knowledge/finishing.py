"""What code adds to a draft after the wording: own figures, the RM's style, reminders."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Staff
from compliance.guard import checked
from compliance.verdict import Role as Speaker
from compliance.verdict import Verdict
from content.library import LibraryDocument
from customers.models import Customer
from knowledge import slots, styles
from knowledge.cases import Case
from knowledge.matching import Match
from knowledge.models import ReplyStyle
from knowledge.wording import blocked_by, citations_of, judge, stored, with_reminder
from knowledge.writer import QUOTING, Draft, Source, quote

# Another material is worth offering beside the first one when it fits nearly as well.
NEARLY = 0.8
OPEN_SLOTS = "本人数据没有填全（{slots}），请换一条或向客户核实"
FIGURES_REFUSED = "行内数据没有通过合规检查，未放入回复，可在画像中查看"


@dataclass(frozen=True)
class Finishing:
    """What code adds to a draft for this customer and this RM; no model sees any of it."""

    style: ReplyStyle
    customer: Customer
    rm: Staff
    figures: list[slots.OwnFigures]
    tells: bool  # whether the figures are told in a sentence
    documents: tuple[LibraryDocument, ...]  # what drafts may be made of
    notes: tuple[str, ...] = ()


async def of(
    session: AsyncSession, case: Case, draft: Draft, documents: Iterable[LibraryDocument]
) -> Finishing:
    """What is to be added to this draft: figures only where they are asked for or left open."""
    asks = slots.asks_about_own(case.what.text)
    rm, style = await styles.with_rm(session, case.question.staff_id)
    customer = await session.get_one(Customer, case.facts.customer_id)
    figures: list[slots.OwnFigures] = []
    if asks or slots.SLOT.search(draft.text):
        figures = await slots.figures_of(
            session,
            customer.id,
            case.facts.risk_ceiling,
            case.now,
            about=case.what.about,
            question=case.what.text,
        )
    told = "".join(each.sentence for each in figures)
    if asks and told and blocked_by(checked(told, Speaker.RM)):
        return Finishing(style, customer, rm, figures, False, tuple(documents), (FIGURES_REFUSED,))
    return Finishing(style, customer, rm, figures, asks, tuple(documents))


def names_of(rm: str, customer: Customer) -> dict[str, str]:
    """What the slots of names are filled with: who writes, and how this customer is addressed."""
    return {slots.RM: rm, slots.ADDRESS: styles.named(customer)}


def named(text: str, names: Mapping[str, str], figures: Sequence[slots.OwnFigures] = ()) -> str:
    """The text with its slots filled; where the customer has no name, no comma opens it."""
    return slots.fill(text, figures, names).lstrip("，, ")


def finished(draft: Draft, touch: Finishing) -> tuple[str, tuple[str, ...]]:
    """The text as offered, and what stands against it: a slot that stayed open."""
    text = named(draft.text, names_of(touch.rm.name, touch.customer), touch.figures)
    if touch.tells:
        text += "".join(figures.sentence for figures in touch.figures)
    text = styles.dressed(text, touch.style, touch.customer)
    left = dict.fromkeys(slots.SLOT.findall(text))
    against = (OPEN_SLOTS.format(slots="、".join(left)),) if left else ()
    cited = {sentence.source.material_id for sentence in draft.sentences}
    return with_reminder(text, touch.documents, cited), against


def others(draft: Draft, sources: Sequence[Source], matches: Sequence[Match]) -> list[Draft]:
    """The passage as it stands where a model worded it, and the next material if it is near."""
    found = [] if draft.writer == QUOTING else [quote(sources)]
    if any(source.part for source in sources):
        return found
    if len(matches) > 1 and matches[1].score >= NEARLY * matches[0].score:
        found.append(quote(sources[1:]))
    return found


def variants(drafts: Sequence[Draft], touch: Finishing) -> list[dict[str, Any]]:
    """Other drafts the RM may take instead; those the rules are against are left out."""
    found = []
    for draft in drafts:
        verdict, reasons = judge(draft)
        text, against = finished(draft, touch)
        if not (reasons or against):
            found.append(_variant(draft, text, verdict))
    return found


def _variant(draft: Draft, text: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "draft": text,
        "citations": citations_of(draft),
        "verdict": stored(verdict),
        "writer": draft.writer,
        "prompt_hash": draft.prompt_hash,
        "version_id": str(draft.sentences[0].source.version_id),
    }

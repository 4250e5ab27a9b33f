"""`siyu judge`: would today's index and writer offer what RMs accepted? Nothing is stored.

Each accepted suggestion is asked again as it was asked then, with its turns, for the same customer
as they are today. Material that is not live any more cannot be offered and is counted apart.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from content import library
from content.models import Version
from customers import book
from customers.models import Customer
from knowledge import steering
from knowledge.candidates import ACCEPTED
from knowledge.cases import Case, Question, answers_to, case_of
from knowledge.conversation import Turn
from knowledge.indexing import LibraryIndex
from knowledge.models import Suggestion
from knowledge.picking import PICKED
from knowledge.wording import worded
from knowledge.writer import Writer
from wecom.channels import Channel

TOP = 3


@dataclass
class Tally:
    """How the accepted suggestions of one intent fare today."""

    asked: int = 0
    gone: int = 0  # their material is live no more, for this customer or at all
    held: int = 0  # no reply would be suggested now
    first: int = 0  # offered first
    top: int = 0  # among the first three
    worded: int = 0  # and the reply to it would pass the rules

    def figures(self) -> dict[str, Any]:
        """Counts, and shares of those whose material is live."""
        live = self.asked - self.gone
        share = {"rank_1": self.first, "rank_3": self.top, "worded": self.worded}
        shares = {name: round(count / live, 4) if live else None for name, count in share.items()}
        counts = {"asked": self.asked, "gone": self.gone, "held": self.held}
        return counts | {f"{name}_count": count for name, count in share.items()} | shares


@dataclass
class Judged:
    """The tallies by intent, and which suggestions would not be offered again."""

    by_intent: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    missed: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """As printed: everything together, then intent by intent."""
        total = Tally()
        for tally in self.by_intent.values():
            for name in vars(total):
                setattr(total, name, getattr(total, name) + getattr(tally, name))
        intents = {name: tally.figures() for name, tally in sorted(self.by_intent.items())}
        return {"total": total.figures(), "by_intent": intents, "missed": self.missed}


async def judge(
    session: AsyncSession, index: LibraryIndex, writer: Writer, now: datetime, limit: int
) -> Judged:
    """Ask the newest accepted suggestions again."""
    judged = Judged()
    for suggestion, material_id in await _accepted(session, limit):
        case = await _case(session, suggestion, now)
        tally = judged.by_intent[case.read.intent.value]
        tally.asked += 1
        if not await _usable(session, material_id, case):
            tally.gone += 1
        elif steering.held(case.read):
            tally.held += 1
        elif not await _again(session, index, writer, case, material_id, tally):
            judged.missed.append(str(suggestion.id))
    return judged


async def _accepted(session: AsyncSession, limit: int) -> Sequence[tuple[Suggestion, UUID]]:
    query = (
        select(Suggestion, col(Version.material_id))
        .join(Version, col(Version.id) == col(Suggestion.version_id))
        .where(
            col(Suggestion.state).in_(ACCEPTED),
            col(Suggestion.tier) != PICKED,
            col(Suggestion.question) != "",
        )
        .order_by(col(Suggestion.created_at).desc(), col(Suggestion.id))
        .limit(limit)
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def _case(session: AsyncSession, suggestion: Suggestion, now: datetime) -> Case:
    customer = await session.get_one(Customer, suggestion.customer_id)
    facts = await book.facts_of(session, customer, now)
    turns = tuple(Turn(**turn) for turn in suggestion.conversation.get("turns", []))
    question = Question(
        suggestion.question_key,
        suggestion.question,
        suggestion.staff_id,
        Channel(suggestion.channel),
        turns=turns,
    )
    return await case_of(session, question, facts, now)


async def _usable(session: AsyncSession, material_id: UUID, case: Case) -> bool:
    versions = select(col(Version.id)).where(col(Version.material_id) == material_id)
    live = await library.only_live(
        session,
        set((await session.execute(versions)).scalars()),
        now=case.now,
        channel=case.audience.channel,
        branch_id=case.audience.branch,
        risk_ceiling=case.audience.risk_ceiling,
    )
    return bool(live)


async def _again(
    session: AsyncSession,
    index: LibraryIndex,
    writer: Writer,
    case: Case,
    material_id: UUID,
    tally: Tally,
) -> bool:
    """Whether the material stands among the first three today; its place is tallied."""
    answers = await answers_to(session, case, index)
    offered = [match.candidate.material_id for match in answers.matches[:TOP]]
    if answers.is_none or material_id not in offered:
        return False
    tally.top += 1
    tally.first += offered[0] == material_id
    _, _, reasons = await worded(session, case.what.text, answers.sources(), writer)
    tally.worded += not reasons
    return True

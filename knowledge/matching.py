"""From hits to an ordered choice with reasons anyone can read. Pure: facts in, matches out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from knowledge import merit
from knowledge.merit import UNKNOWN, Merit


@dataclass(frozen=True)
class Candidate:
    """A live material that the search found, with what ranking may look at."""

    version_id: UUID
    material_id: UUID
    title: str
    kind: str
    score: float
    lexical: float
    dense: float
    matched_text: str
    matched_role: str
    passage_position: int
    risk: int
    product_codes: frozenset[str]
    named: bool = False  # the question names a product it is about
    merit: Merit = UNKNOWN

    @property
    def passage(self) -> tuple[UUID, int]:
        """The passage a reply would quote."""
        return self.version_id, self.passage_position


@dataclass(frozen=True)
class Match:
    """A candidate in its place, and why it stands there."""

    candidate: Candidate
    score: float
    reasons: tuple[str, ...]


# A held product is what the customer most likely means; small, so that it only breaks near ties.
HELD_PRIOR = 0.05
# Content the RM turned down for this customer before comes later.
REJECTED_PRIOR = -0.10


def rank(
    candidates: Iterable[Candidate],
    *,
    held: frozenset[str],
    turned_down: frozenset[UUID] = frozenset(),
) -> list[Match]:
    """Order candidates by fused score and small documented priors; ties by title, so stable."""
    matches = [_match(candidate, held, turned_down) for candidate in candidates]
    return sorted(matches, key=lambda m: (-m.score, m.candidate.title))


def _match(candidate: Candidate, held: frozenset[str], turned_down: frozenset[UUID]) -> Match:
    score = candidate.score + merit.prior(candidate.merit)
    reasons = [_likeness(candidate)]
    if candidate.named:
        reasons.append("客户提到了文中产品")
    if candidate.product_codes & held:
        score += HELD_PRIOR
        reasons.append("客户持有文中产品")
    if candidate.version_id in turned_down:
        score += REJECTED_PRIOR
        reasons.append("此前对该客户标记过不合适，已后移")
    reasons += merit.reasons(candidate.merit)
    if candidate.risk:
        reasons.append(f"风险等级 R{candidate.risk} 在客户可接受范围内")
    return Match(candidate, score, tuple(reasons))


def _likeness(candidate: Candidate) -> str:
    if candidate.matched_role == "question":
        return f"与常见问法“{candidate.matched_text}”意思相近"
    if candidate.matched_role == "title":
        return f"与标题《{candidate.title}》相符"
    return "与正文段落内容相关"


def others(matches: Sequence[Match], chosen: UUID | None) -> list[Match]:
    """The matches besides the chosen one."""
    return [match for match in matches if match.candidate.version_id != chosen]

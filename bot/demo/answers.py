"""Suggestions as the product would have made them: passages, sources, candidates, reasons."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from bot.demo.library import Paper, Shelf
from bot.demo.people import Bond, Client
from bot.demo.rows import ident, row
from compliance import disclosures
from compliance.guard import checked
from compliance.verdict import Level, Role
from knowledge import steering
from knowledge.intents import Intent, reader
from knowledge.models import Suggestion, SuggestionState
from knowledge.writer import sentences_of
from wecom.channels import Channel

CANDIDATES = 5
SLOT = "{"  # material to be filled in is sent by SOPs, never quoted
GENERATION = "demo-history"
FORECAST = {
    "category": "market_prediction",
    "reason": "对行情走势的表述可能被理解为预测，请由内容团队改写后再用",
    "rule": "market_prediction.outlook",
}


@dataclass(frozen=True)
class Asked:
    """A question of a customer as it reached us."""

    key: str
    text: str
    client: Client
    bond: Bond
    at: datetime


@lru_cache(maxsize=10_000)
def _pairs(text: str) -> frozenset[str]:
    return frozenset(text[i : i + 2] for i in range(len(text) - 1))


def likeness(one: str, other: str) -> float:
    """How many pairs of characters two texts share, 0 to 1."""
    mine, theirs = _pairs(one), _pairs(other)
    return len(mine & theirs) / len(mine | theirs) if mine and theirs else 0.0


def best_passage(question: str, passages: Sequence[str]) -> int:
    """The passage that shares most with the question, the earliest of equals."""
    shared = [len(_pairs(question) & _pairs(text)) for text in passages]
    return shared.index(max(shared))


@dataclass(frozen=True)
class Near:
    """A paper and the example question of it that is nearest to what was asked."""

    paper: Paper
    example: str
    likeness: float


def nearest(question: str, paper: Paper) -> Near:
    """How near a paper comes to a question, by its example questions."""
    near, example = max((likeness(question, e), e) for e in paper.version.questions)
    return Near(paper, example, near)


@lru_cache(maxsize=10_000)
def intent_of(question: str) -> Intent:
    """What a question is, read as the product reads it."""
    return reader().read(question).intent


class Book:
    """Looks questions up in the demo's library, as it was at a moment."""

    def __init__(self, shelf: Shelf) -> None:
        self._papers = [
            paper
            for versions in shelf.papers.values()
            for paper in versions
            if paper.version.valid_from is not None and SLOT not in paper.version.body
        ]
        self._ranked: dict[str, list[Near]] = {}
        self._judged: dict[str, tuple[dict[str, Any], list[str]]] = {}

    def answer(self, asked: Asked, paper: Paper, rng: random.Random) -> Suggestion:
        """A suggestion quoting that paper, offered, or blocked where the rules refuse it."""
        position = best_passage(asked.text, paper.passages)
        text = paper.passages[position]
        verdict, against = self._judge(text)
        sure = round(rng.uniform(0.52, 0.95), 4)
        candidates = self._candidates(asked, paper, sure)
        suggestion = self._blank(asked, "answer" if sure > 0.62 else "candidates", sure)
        suggestion.filters = _filters(asked, len(candidates))
        suggestion.candidates = candidates
        suggestion.draft = disclosures.append(text, paper.about) if paper.about else text
        suggestion.citations = [_citation(s, paper, position) for s in sentences_of(text)]
        suggestion.verdict = verdict
        suggestion.reasons = [*candidates[0]["reasons"], *against]
        suggestion.writer = "quoting"
        suggestion.version_id = paper.version.id
        suggestion.state = SuggestionState.BLOCKED if against else SuggestionState.OFFERED
        return suggestion

    def hold_back(self, suggestion: Suggestion) -> None:
        """The rules of that day saw a forecast in what was quoted; the RM could not send it."""
        suggestion.verdict = {"level": Level.WARN.value, "findings": [FORECAST]}
        suggestion.reasons = [*suggestion.reasons, FORECAST["reason"]]
        suggestion.state = SuggestionState.BLOCKED

    def held(self, asked: Asked) -> Suggestion | None:
        """What stands beside a complaint or a refusal; None where a reply would be suggested."""
        why = steering.held(reader().read(asked.text))
        if not why:
            return None
        suggestion = self._blank(asked, "none", 0.0)
        suggestion.filters = _filters(asked, 0)
        suggestion.state, suggestion.reasons = SuggestionState.HELD, list(why)
        return suggestion

    def nothing_found(self, asked: Asked, rng: random.Random) -> Suggestion:
        """The library has nothing that answers this."""
        suggestion = self._blank(asked, "none", round(rng.uniform(0.03, 0.24), 4))
        suggestion.filters = _filters(asked, 0)
        suggestion.state = SuggestionState.NO_MATCH
        suggestion.unanswered = suggestion.question
        return suggestion

    def _blank(self, asked: Asked, tier: str, confidence: float) -> Suggestion:
        return row(
            Suggestion,
            id=ident("suggestion", asked.key),
            question_key=asked.key,
            customer_id=asked.client.id,
            staff_id=asked.bond.rm.id,
            channel=Channel.SINGLE_CHAT.value,
            question=asked.text,
            intent=intent_of(asked.text),
            conversation={},
            created_at=asked.at,
            tier=tier,
            confidence=confidence,
            draft="",
            writer="",
            generation=GENERATION,
        )

    def _judge(self, text: str) -> tuple[dict[str, Any], list[str]]:
        """What the rules say of a quoted passage; asked once for each passage."""
        if text not in self._judged:
            verdict = checked(text, Role.RM)
            findings = [
                {"category": str(f.category), "reason": f.reason, "rule": f.rule}
                for f in verdict.findings
            ]
            against = [] if verdict.level is Level.PASS else [f.reason for f in verdict.findings]
            self._judged[text] = {"level": verdict.level.value, "findings": findings}, against
        return self._judged[text]

    def _candidates(self, asked: Asked, chosen: Paper, sure: float) -> list[dict[str, Any]]:
        """The chosen paper first, then what else was near and allowed at that moment."""
        branch, ceiling = asked.client.row.branch_id, asked.client.ceiling(asked.at)
        shown = [_candidate(asked, nearest(asked.text, chosen), sure)]
        for near in self._near(asked.text):
            if len(shown) == CANDIDATES:
                break
            if near.paper is not chosen and near.paper.usable(asked.at, ceiling, branch):
                shown.append(_candidate(asked, near, sure * 0.8 ** len(shown)))
        return shown

    def _near(self, question: str) -> list[Near]:
        if question not in self._ranked:
            found = [nearest(question, paper) for paper in self._papers]
            found.sort(key=lambda n: (-n.likeness, n.paper.version.title, n.paper.version.number))
            self._ranked[question] = found[:40]
        return self._ranked[question]


def _candidate(asked: Asked, near: Near, score: float) -> dict[str, Any]:
    paper = near.paper
    reasons = [f"与常见问法“{near.example}”意思相近"]
    if paper.codes & asked.client.held:
        reasons.append("客户持有文中产品")
    if paper.version.risk:
        reasons.append(f"风险等级 R{paper.version.risk} 在客户可接受范围内")
    return {
        "title": paper.version.title,
        "kind": paper.material.kind.value,
        "matched_text": near.example,
        "risk": paper.version.risk,
        "lexical": round(near.likeness, 4),
        "dense": round(min(0.98, 0.35 + 0.6 * score), 4),
        "version_id": str(paper.version.id),
        "material_id": str(paper.material.id),
        "score": round(score, 4),
        "reasons": reasons,
    }


def _citation(sentence: str, paper: Paper, position: int) -> dict[str, Any]:
    return {
        "text": sentence,
        "version_id": str(paper.version.id),
        "material_id": str(paper.material.id),
        "title": paper.version.title,
        "number": paper.version.number,
        "position": position,
        "passage": paper.passages[position],
    }


def _filters(asked: Asked, live: int) -> dict[str, Any]:
    branch = asked.client.row.branch_id
    return {
        "channel": Channel.SINGLE_CHAT.value,
        "branch": str(branch) if branch else None,
        "risk_ceiling": asked.client.ceiling(asked.at),
        "at": asked.at.isoformat(),
        "found": live,
        "live": live,
    }

"""May this material be put before this customer at all. Pure: facts in, reasons or a mask out.

One rule in two forms: `against` names every reason for a pair, `Shelf.allowed` answers for all
materials at once; a test holds them equal. Nothing that is not allowed is ever scored.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from compliance.suitability import ADULT_AGE, SENIOR_AGE, needs_notice
from content.models import Kind, Use
from content.particulars import Persona

Mask = NDArray[np.bool_]
T = TypeVar("T")

NEWCOMER_DAYS, YOUNG_UNTIL, RETIRED_FROM = 90, 35, 60
WEALTHY_TIERS = frozenset({"私行", "高净值"})
OWNERS = frozenset({"企业主", "私营企业主", "个体工商户", "个体经营者"})


class Exclusion(StrEnum):
    """Why a customer is not shown a material."""

    MINOR = "minor"
    COMPLAINT = "complaint"
    NO_CONSENT = "no_consent"
    RISK = "risk"
    SENIOR = "senior"
    BRANCH = "branch"
    PERSONA = "persona"
    SEEN = "seen"

    @property
    def label(self) -> str:
        """As staff read it beside a count."""
        return {
            "minor": "未满 18 周岁，不做营销",
            "complaint": "投诉还没有办结，暂停营销",
            "no_consent": "没有营销授权",
            "risk": "风险承受能力不够，或测评失效",
            "senior": "满 65 周岁，R3 及以上须先做特别提示",
            "branch": "不在适用支行",
            "persona": "不属于素材的客群，或未开启个性化推荐",
            "seen": "近期收到过",
        }[self]


class Age(StrEnum):
    """How old, as far as the rules ask; who is not known to be otherwise counts as an adult."""

    MINOR = "minor"
    ADULT = "adult"
    SENIOR = "senior"


@dataclass(frozen=True, slots=True)
class Standing:
    """All that decides what a customer may be shown; many customers share one."""

    branch_id: UUID | None
    ceiling: int
    age: Age
    consents: bool
    personas: frozenset[str]
    complains: bool = False  # a complaint is open: nobody advertises to them (C-44)


@dataclass(frozen=True, slots=True)
class Piece:
    """A live material as matching sees it; `marketing` material needs consent."""

    version_id: UUID
    material_id: UUID
    code: str
    title: str
    kind: Kind
    use: Use
    risk: int
    branches: frozenset[UUID] | None
    personas: frozenset[str]
    marketing: bool
    products: frozenset[str]
    trust: int = 1
    expertise: int = 1


def age_of(years: int | None) -> Age:
    """The band of an age in full years."""
    if years is None:
        return Age.ADULT
    if years < ADULT_AGE:
        return Age.MINOR
    return Age.SENIOR if years >= SENIOR_AGE else Age.ADULT


def personas_of(
    years: int | None, tier: str, occupation: str, followed_days: int | None
) -> frozenset[str]:
    """The personas somebody surely belongs to; what is not known makes nobody one."""
    found = {
        Persona.NEWCOMER: followed_days is not None and followed_days < NEWCOMER_DAYS,
        Persona.YOUNG: years is not None and ADULT_AGE <= years <= YOUNG_UNTIL,
        Persona.FAMILY: years is not None and YOUNG_UNTIL < years < RETIRED_FROM,
        Persona.RETIRED: years is not None and years >= RETIRED_FROM,
        Persona.OWNER: occupation in OWNERS,
        Persona.WEALTHY: tier in WEALTHY_TIERS,
    }
    return frozenset(persona.value for persona, belongs in found.items() if belongs)


def is_marketing(kind: Kind, use: Use, products: Iterable[str]) -> bool:
    """Whether putting it before somebody unasked is marketing (C-21, C-23).

    It speaks of a product, or is there to arouse or to convert; education never is.
    """
    if any(products):
        return True
    return kind is not Kind.EDUCATION and use in (Use.AROUSE, Use.CONVERT)


def against(who: Standing, piece: Piece) -> tuple[Exclusion, ...]:
    """Everything that stands against this pair, in the order it is counted by; nothing: it fits."""
    senior = SENIOR_AGE if who.age is Age.SENIOR else None
    found = {
        Exclusion.BRANCH: piece.branches is not None and who.branch_id not in piece.branches,
        Exclusion.MINOR: who.age is Age.MINOR and piece.marketing,
        Exclusion.COMPLAINT: piece.marketing and who.complains,
        Exclusion.NO_CONSENT: piece.marketing and not who.consents,
        Exclusion.RISK: piece.risk > who.ceiling,
        Exclusion.SENIOR: needs_notice(senior, piece.risk),
        Exclusion.PERSONA: bool(piece.personas) and not piece.personas & who.personas,
    }
    return tuple(reason for reason, stands in found.items() if stands)


class Shelf:
    """The materials of a moment in the order of their codes, with what the filter reads of them."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        """Pieces that may be recommended by themselves; who may see each, `allowed` says."""
        self.pieces = tuple(pieces)
        self._risks = np.array([piece.risk for piece in pieces], dtype=np.int8)
        self._marketing = np.array([piece.marketing for piece in pieces], dtype=bool)
        self._branches = _Sets([piece.branches for piece in pieces])
        self._personas = _Sets([piece.personas for piece in pieces])

    def __len__(self) -> int:
        return len(self.pieces)

    def allowed(self, who: Standing) -> Mask:
        """Which pieces may be shown to a customer who stands so."""
        of_branch = self._branches.where(lambda one: one is None or who.branch_id in one)
        of_persona = self._personas.where(lambda one: not one or bool(one & who.personas))
        mask: Mask = of_branch & of_persona & (self._risks <= who.ceiling)
        if not who.consents or who.complains or who.age is Age.MINOR:
            mask &= ~self._marketing
        if who.age is Age.SENIOR:
            mask &= np.array([not needs_notice(SENIOR_AGE, risk) for risk in range(6)])[self._risks]
        return mask


class _Sets(Generic[T]):
    """Which set each piece has, where many have the same: asked once a set, answered for all."""

    def __init__(self, sets: Sequence[T]) -> None:
        self._different = list(dict.fromkeys(sets))
        places = {one: place for place, one in enumerate(self._different)}
        self._place = np.array([places[one] for one in sets], dtype=np.int64)

    def where(self, fits: Callable[[T], bool]) -> Mask:
        """The pieces whose set fits."""
        answers: Mask = np.array([fits(one) for one in self._different], dtype=bool)
        return answers[self._place]

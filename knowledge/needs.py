"""What a customer needs now, as far as it shows. Pure: facts and the day in, numbers out.

A need is the sum of its signals, each a text with a weight, brought to length 1; a material is near
it as the cosine says. On top of that come small priors, documented here and nowhere else: they
decide between materials that are about equally near, never against the meaning.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from content.models import Use
from customers.models import Stage
from knowledge.fitting import Piece, Standing

Vectors = NDArray[np.float32]

# Half of what a question or a read material says is gone after so many days.
HALF_LIFE_DAYS = 14
LOOK_BACK_DAYS = 90
# As far back as readings of a topic are counted for an RM to read.
LATELY_DAYS = 7
MATURES_WITHIN = 30
# The same material again is a nuisance before, and stale for a while after.
SEEN_DAYS, STALE_DAYS = 30, 60
NEW_DAYS, SILENT_DAYS, ASSESSMENT_DAYS = 14, 30, 30

SOON = "产品快到期了，到期的资金怎么安排，到期后本金和收益什么时候到账，到期后可以接着做什么"

# Priors, in units of the cosine.
HELD, MATURING, STALE, TURNED_DOWN = 0.05, 0.08, -0.08, -0.10
# A marketing message lately makes the next one less welcome, each one more.
TIRED, TIRED_MOST = -0.02, 4
LEVEL_FITS, LEVEL_BELOW, LEVEL_ABOVE = 0.03, 0.0, -0.05
# What a relation can bear at its stage: 需求激发, 信任, 转化, 陪伴.
OF_STAGE: dict[Stage, dict[Use, float]] = {
    Stage.NEW: {Use.TRUST: 0.06, Use.AROUSE: 0.03, Use.CONVERT: -0.03, Use.ACCOMPANY: 0.02},
    Stage.FOLLOWING: {Use.TRUST: 0.03, Use.AROUSE: 0.06, Use.CONVERT: 0.03, Use.ACCOMPANY: 0.0},
    Stage.CLOSED: {Use.TRUST: 0.0, Use.AROUSE: 0.02, Use.CONVERT: 0.0, Use.ACCOMPANY: 0.06},
    Stage.UNINTERESTED: {Use.TRUST: 0.05, Use.AROUSE: 0.0, Use.CONVERT: -0.10, Use.ACCOMPANY: 0.03},
    Stage.LOST: {Use.TRUST: 0.05, Use.AROUSE: 0.0, Use.CONVERT: -0.10, Use.ACCOMPANY: 0.05},
}
USES, LEVELS = tuple(Use), (1, 2, 3)


class Sign(StrEnum):
    """What shows a need."""

    ASKED = "asked"
    READ = "read"
    OPENED = "opened"
    HOLDS = "holds"
    MATURES = "matures"
    TAGGED = "tagged"


WEIGHTS = {
    Sign.ASKED: 1.0,
    Sign.MATURES: 0.6,
    # Five seconds of reading say more than a title that was answered to, less than a question.
    Sign.OPENED: 0.5,
    Sign.READ: 0.4,
    Sign.HOLDS: 0.3,
    Sign.TAGGED: 0.3,
}


# What was done fades; what is goes on.
FADES = (Sign.ASKED, Sign.READ, Sign.OPENED)


@dataclass(frozen=True, slots=True)
class Signal:
    """One sign of a need: the text that stands for it, what it is about, and when it was."""

    sign: Sign
    text: str
    about: str = ""  # suggestion id, product code, title, tag, or how often of which topic
    on: date | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What matching may know of a customer at a moment 画像; no name, no number.

    Without consent to profiling there are no signals, no holdings and no level: such a customer
    gets what everybody of the same standing gets, in the same order (C-25, C-26).
    """

    customer_id: UUID
    standing: Standing
    stage: Stage = Stage.NEW
    profiled: bool = False
    signals: tuple[Signal, ...] = ()
    held: frozenset[str] = frozenset()
    matures: dict[str, date] = field(default_factory=dict)
    trust: int = 1
    expertise: int = 1
    marketing_lately: int = 0
    seen: dict[UUID, date] = field(default_factory=dict)  # material → last time
    turned_down: frozenset[UUID] = frozenset()  # versions
    added_on: date | None = None
    last_contact: date | None = None
    assessed_until: date | None = None


def weight(signal: Signal, today: date) -> float:
    """How much a signal counts today; what was said or read fades, what is goes on."""
    strength = WEIGHTS[signal.sign]
    if signal.sign not in FADES or signal.on is None:
        return strength
    fades: float = 0.5 ** (max(0, (today - signal.on).days) / HALF_LIFE_DAYS)
    return strength * fades


def leanings(profile: Profile) -> Vectors:
    """What the customer's stage, levels and fatigue add to materials of each trait."""
    if not profile.profiled:
        return np.zeros(len(traits_of(None)), dtype=np.float32)
    stage = OF_STAGE[profile.stage]
    tired = TIRED * min(profile.marketing_lately, TIRED_MOST)
    told = [
        *(stage[use] for use in USES),
        *(_level(profile.trust, level) for level in LEVELS),
        *(_level(profile.expertise, level) for level in LEVELS),
        tired,
    ]
    return np.array(told, dtype=np.float32)


def _level(mine: int, theirs: int) -> float:
    if theirs > mine:
        return LEVEL_ABOVE
    return LEVEL_FITS if theirs == mine else LEVEL_BELOW


def traits_of(piece: Piece | None) -> Vectors:
    """Which leanings apply to a material: its use, its trust and expertise level, marketing."""
    if piece is None:
        return np.zeros(len(USES) + 2 * len(LEVELS) + 1, dtype=np.float32)
    told = [
        *(piece.use is use for use in USES),
        *(piece.trust == level for level in LEVELS),
        *(piece.expertise == level for level in LEVELS),
        piece.marketing,
    ]
    return np.array(told, dtype=np.float32)


def spots_of(profile: Profile, places: "Places", today: date) -> Iterator[tuple[int, float]]:
    """Materials that score otherwise for this customer, by their place; minus infinity: never."""
    found: dict[int, float] = {}
    for material, on in profile.seen.items():
        days = (today - on).days
        for place in places.of_material.get(material, ()):
            found[place] = -np.inf if days < SEEN_DAYS else STALE if days < STALE_DAYS else 0.0
    for code in profile.held if profile.profiled else ():
        more = HELD + (MATURING if code in profile.matures else 0.0)
        for place in places.of_product.get(code, ()):
            found[place] = found.get(place, 0.0) + more
    for version in profile.turned_down:
        if (place := places.of_version.get(version, -1)) >= 0:
            found[place] = found.get(place, 0.0) + TURNED_DOWN
    yield from sorted(found.items())


@dataclass(frozen=True)
class Places:
    """Where pieces stand on the shelf, by what they are looked up by."""

    of_version: dict[UUID, int]
    of_material: dict[UUID, list[int]]
    of_product: dict[str, list[int]]

    @classmethod
    def on(cls, pieces: tuple[Piece, ...]) -> "Places":
        """The places of these pieces."""
        of_material: dict[UUID, list[int]] = {}
        of_product: dict[str, list[int]] = {}
        for place, piece in enumerate(pieces):
            of_material.setdefault(piece.material_id, []).append(place)
            for code in piece.products:
                of_product.setdefault(code, []).append(place)
        return cls(
            {piece.version_id: place for place, piece in enumerate(pieces)},
            of_material,
            of_product,
        )


def was_seen(profile: Profile, material_id: UUID, today: date) -> bool:
    """Whether the customer got this material so lately that it is not shown again."""
    on = profile.seen.get(material_id)
    return on is not None and (today - on).days < SEEN_DAYS

"""From profiles and a shelf to matches: needs into numbers, the best of them, why. No I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from bank.calendar import local_day
from knowledge import blocks
from knowledge.blocks import NOBODY, Best, Crowd, Materials, Portion, Spots
from knowledge.encoder import Encoder, Vectors, unit
from knowledge.fitting import Standing
from knowledge.match_reasons import kept, reasons_for, urgency
from knowledge.match_shelf import Stocked
from knowledge.models import CustomerMatch
from knowledge.needs import Profile, leanings, spots_of, weight

KEPT = 10


@dataclass(frozen=True)
class Scored:
    """A portion of customers with their needs made into numbers."""

    profiles: tuple[Profile, ...]
    signals: list[Vectors]  # for each profile a row a signal
    portion: Portion


def made_of(
    profiles: Sequence[Profile],
    stocked: Stocked,
    materials: Materials,
    crowd: Crowd,
    encoder: Encoder,
    now: datetime,
) -> list[CustomerMatch]:
    """The best materials of each of these customers with their reasons; generation 0, not kept."""
    if not len(stocked.shelf):
        return []
    scored = scored_of(profiles, stocked, encoder, local_day(now))
    [best] = blocks.blocks([scored.portion], materials, crowd, KEPT)
    return list(_rows(scored, best, stocked, now))


def scored_of(
    profiles: Sequence[Profile], stocked: Stocked, encoder: Encoder, today: date
) -> Scored:
    """Needs, groups and single pairs of these customers; groups stand together."""
    standings = list(dict.fromkeys(profile.standing for profile in profiles))
    numbers = {standing: number for number, standing in enumerate(standings)}
    ordered = sorted(profiles, key=lambda profile: numbers[profile.standing])
    signals = _signals(ordered, encoder)
    needs = [_need(p, rows, today) for p, rows in zip(ordered, signals, strict=True)]
    return Scored(
        profiles=tuple(ordered),
        signals=signals,
        portion=Portion(
            needs=np.array(needs, dtype=np.float32),
            groups=np.array([numbers[one.standing] for one in ordered], dtype=np.int32),
            shut=_shut(standings, stocked),
            spots=_spots(ordered, stocked, today),
        ),
    )


def _signals(profiles: Sequence[Profile], encoder: Encoder) -> list[Vectors]:
    """The vectors of each profile's signals; every text is encoded once."""
    texts = list(dict.fromkeys(one.text for profile in profiles for one in profile.signals))
    rows = {text: row for row, text in enumerate(texts)}
    vectors = encoder.encode(texts)
    return [vectors[[rows[one.text] for one in profile.signals]] for profile in profiles]


def _need(profile: Profile, signals: Vectors, today: date) -> Vectors:
    weights = np.array([weight(one, today) for one in profile.signals], dtype=np.float32)
    meaning = unit((weights @ signals)[None, :])[0]
    return np.concatenate([meaning, leanings(profile)])


def _shut(standings: Sequence[Standing], stocked: Stocked) -> Vectors:
    allowed = [stocked.shelf.allowed(standing) for standing in standings]
    return np.where(np.array(allowed), np.float32(0), blocks.NEVER)


def _spots(profiles: Sequence[Profile], stocked: Stocked, today: date) -> Spots:
    found = [
        (row, place, value)
        for row, profile in enumerate(profiles)
        for place, value in spots_of(profile, stocked.places, today)
    ]
    if not found:
        return Spots()
    rows, places, values = zip(*found, strict=True)
    return Spots(np.array(rows), np.array(places), np.array(values, dtype=np.float32))


def _rows(scored: Scored, best: Best, stocked: Stocked, now: datetime) -> Iterator[CustomerMatch]:
    today = local_day(now)
    for row, profile in enumerate(scored.profiles):
        columns = best.columns[row][best.columns[row] != NOBODY]
        near = scored.signals[row] @ stocked.meanings[columns].T
        for place, column in enumerate(columns):
            piece = stocked.shelf.pieces[column]
            reasons = reasons_for(profile, piece, near[:, place].tolist(), today)
            yield CustomerMatch(
                customer_id=profile.customer_id,
                place=place + 1,
                version_id=piece.version_id,
                score=float(best.scores[row, place]),
                urgency=urgency(reasons, today),
                reasons=kept(reasons),
                made_at=now,
                generation=0,
            )

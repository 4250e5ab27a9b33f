"""What speaks for a material besides its words: how fresh it is, what became of it. Pure."""

import math
from dataclasses import dataclass

# Each is small beside a score of 0 to about 1: it decides between materials that fit alike.
FRESH_PRIOR, FRESH_HALF_DAYS = 0.02, 90.0
TAKEN_PRIOR = 0.03
CREDITED_PRIOR, CREDITED_FULL = 0.02, 20
# Before so many decisions the share taken is mostly the guess of one half.
DOUBT = 10


@dataclass(frozen=True)
class Merit:
    """Days since it went live, RMs' decisions of late and how many took it, conversions it earned.

    None of it is about a customer: the same material stands the same for everybody.
    """

    days: float = math.inf
    decided: int = 0
    taken: int = 0
    credited: int = 0


UNKNOWN = Merit()


def prior(merit: Merit) -> float:
    """What it adds to a score, at most 0.07 and at least -0.03; nothing for an unknown one."""
    fresh: float = FRESH_PRIOR * 0.5 ** (max(0.0, merit.days) / FRESH_HALF_DAYS)
    share = (merit.taken + DOUBT / 2) / (merit.decided + DOUBT)
    liked = TAKEN_PRIOR * (2 * share - 1)
    worth = math.log1p(merit.credited) / math.log1p(CREDITED_FULL)
    return fresh + liked + CREDITED_PRIOR * min(1.0, worth)


def reasons(merit: Merit) -> tuple[str, ...]:
    """The same in words, where it says anything."""
    told = []
    if merit.decided >= DOUBT:
        told.append(f"近期客户经理采用 {merit.taken}/{merit.decided} 次")
    if merit.credited:
        told.append(f"近期带来 {merit.credited} 笔转化")
    return tuple(told)

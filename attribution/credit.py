"""Dividing a conversion over what led to it. Pure: positions in, integer cents out.

Definitions: first = all to the first touchpoint, last = all to the last, linear = the same share
to each touchpoint, repeated content counting each time. Cents are shared out by largest remainder,
so that the parts add up to the amount exactly.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction

Shares = list[Fraction]


def shares(model: str, touchpoints: int) -> Shares:
    """The share of each of that many touchpoints, in time order; they add up to exactly 1.

    Raises ValueError without touchpoints (nothing can be divided over nobody) or for an unknown
    model.
    """
    if touchpoints < 1:
        raise ValueError("a conversion without touchpoints has nobody to credit")
    if model not in MODELS:
        raise ValueError(f"model is one of {', '.join(MODELS)}; got {model}")
    return MODELS[model](touchpoints)


def _first(n: int) -> Shares:
    return [Fraction(1)] + [Fraction(0)] * (n - 1)


def _last(n: int) -> Shares:
    return [Fraction(0)] * (n - 1) + [Fraction(1)]


def _linear(n: int) -> Shares:
    return [Fraction(1, n)] * n


MODELS: dict[str, Callable[[int], Shares]] = {"first": _first, "last": _last, "linear": _linear}


def allocate(amount_cents: int, parts: Sequence[Fraction]) -> list[int]:
    """Integer cents by largest remainder; they add up to the amount, earlier parts win ties.

    Works for reversals too: a negative amount gives the exact mirror of the positive one.
    """
    if sum(parts) != 1 or min(parts) < 0:
        raise ValueError(f"shares are not negative and add up to 1; got {list(parts)}")
    sign, amount = (-1, -amount_cents) if amount_cents < 0 else (1, amount_cents)
    exact = [amount * part for part in parts]
    floors = [int(share) for share in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: (floors[i] - exact[i], i))
    for i in by_remainder[: amount - sum(floors)]:
        floors[i] += 1
    return [sign * cents for cents in floors]

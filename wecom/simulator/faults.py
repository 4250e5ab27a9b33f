"""What goes wrong on purpose: callbacks lost, doubled, reordered, late; calls that fail or hang."""

import dataclasses
import random
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Kind = Literal["drop", "duplicate", "reorder", "delay"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Answer = Literal["500", "502", "503", "hang", "lost", "half", "reset"]
ANSWERS: tuple[str, ...] = get_args(Answer)
UNTIL_CLEARED = -1


@dataclass
class CallbackFault:
    """One kind of callback fault: so many still to come, and a share of all others."""

    times: int = 0
    rate: float = 0.0

    def strikes(self, dice: random.Random) -> bool:
        """Whether the next callback suffers it; uses up one of the counted ones."""
        if self.times > 0:
            self.times -= 1
            return True
        return self.rate > 0 and dice.random() < self.rate


@dataclass
class ApiFault:
    """Calls whose path ends with `path` (empty: every call) get this answer.

    The next `times` of them (-1: until cleared), or each with probability `rate` when it is set.
    """

    path: str
    times: int
    answer: Answer | int
    rate: float = 0.0
    seconds: float = 60.0

    def strikes(self, path: str, dice: random.Random) -> bool:
        """Whether this call suffers it."""
        if not path.endswith(self.path) or self.times == 0:
            return False
        if self.rate and dice.random() >= self.rate:
            return False
        if self.times > 0:
            self.times -= 1
        return True


def _no_callback_faults() -> dict[Kind, CallbackFault]:
    return {kind: CallbackFault() for kind in KINDS}


@dataclass
class Faults:
    """The faults still to come."""

    callbacks: dict[Kind, CallbackFault] = field(default_factory=_no_callback_faults)
    copies: int = 2
    delay_seconds: float = 0.0
    delay_up_to: float = 0.0
    api: list[ApiFault] = field(default_factory=list)
    welcome_races: int = 0
    dice: random.Random = field(default_factory=lambda: random.Random(0), repr=False)

    def arrange(self, wish: dict[str, Any]) -> None:
        """Plan faults from a control request; `{"clear": true}` forgets the earlier ones.

        `callbacks`: `drop`, `duplicate`, `reorder`, `delay` count the next ones; `drop_rate` and so
        on strike each callback with that probability; `copies` is how often a doubled one comes in
        all; `delay_seconds` is how late a late one is (0: until `control/release`), and with
        `delay_up_to` each is late by a time of its own between the two.
        `api`: a list of `{path, times | rate, answer, seconds}` where answer is "500", "502",
        "503", "hang" (no answer for `seconds`), "lost" (done, but the answer never arrives),
        "half" (done, but half of the answer arrives), "reset" (not done, connection reset) or an
        errcode. `welcome_races`: so many welcomes are answered 41096 first.
        `seed` makes what the rates strike repeatable.
        """
        if wish.get("clear"):
            self._forget()
        callbacks = wish.get("callbacks", {})
        seed = wish.get("seed", callbacks.get("seed"))
        if seed is not None:
            self.dice.seed(int(seed))
        for kind in KINDS:
            fault = self.callbacks[kind]
            fault.times += int(callbacks.get(kind, 0))
            fault.rate = float(callbacks.get(f"{kind}_rate", fault.rate))
        self.copies = max(2, int(callbacks.get("copies", self.copies)))
        self.delay_seconds = float(callbacks.get("delay_seconds", self.delay_seconds))
        self.delay_up_to = float(callbacks.get("delay_up_to", self.delay_up_to))
        self.api = [fault for fault in self.api if fault.times]
        self.api += [_api_fault(fault) for fault in wish.get("api", [])]
        self.welcome_races += int(wish.get("welcome_races", 0))

    def strikes(self, kind: Kind) -> bool:
        """Whether the next callback suffers this."""
        return self.callbacks[kind].strikes(self.dice)

    def lateness(self) -> float:
        """How many seconds late the next late callback is; 0: until it is released."""
        if self.delay_up_to > self.delay_seconds:
            return self.dice.uniform(self.delay_seconds, self.delay_up_to)
        return self.delay_seconds

    def spend_on(self, path: str) -> ApiFault | None:
        """The fault this call suffers, if any."""
        return next((fault for fault in self.api if fault.strikes(path, self.dice)), None)

    def spend_welcome_race(self) -> bool:
        """Whether another app is sending this welcome right now (41096)."""
        raced = self.welcome_races > 0
        self.welcome_races -= raced
        return raced

    def _forget(self) -> None:
        self.callbacks = _no_callback_faults()
        self.copies, self.welcome_races = 2, 0
        self.delay_seconds = self.delay_up_to = 0.0
        self.api.clear()

    def facts(self) -> dict[str, Any]:
        """What is planned, for a page or a test."""
        return {
            "callbacks": {
                "copies": self.copies,
                "delay_seconds": self.delay_seconds,
                "delay_up_to": self.delay_up_to,
                **{kind: fault.times for kind, fault in self.callbacks.items()},
                **{f"{kind}_rate": fault.rate for kind, fault in self.callbacks.items()},
            },
            "api": [dataclasses.asdict(fault) for fault in self.api],
            "welcome_races": self.welcome_races,
        }


def _api_fault(wish: dict[str, Any]) -> ApiFault:
    answer = wish["answer"]
    if answer not in ANSWERS:
        answer = int(answer)
    rate = float(wish.get("rate", 0.0))
    if not 0 <= rate <= 1:
        raise ValueError("rate 须在 0 到 1 之间")
    times = int(wish.get("times", UNTIL_CLEARED if rate else 1))
    return ApiFault(wish.get("path", ""), times, answer, rate, float(wish.get("seconds", 60.0)))

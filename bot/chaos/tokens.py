"""F-09: the access token dies under several processes at once."""

import asyncio
import logging
from collections import Counter
from datetime import timedelta
from random import Random

import structlog

from bot.app import open_parts
from bot.chaos.found import Found, share_of
from bot.chaos.ground import Clock, Ground
from bot.chaos.refusals import CONTACT, ask, befriend
from bot.chaos.town import Town, a_town
from wecom.client import WeComClient

DEATHS, WORKERS, CALLS_EACH = 500, 2, 4
LIFE = timedelta(seconds=7201)


class Heard(logging.Handler):
    """Everything that is logged, by either logger."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """A line of the standard library's loggers."""
        self._lines.append(self.format(record))

    def note(self, _logger: object, _method: str, line: structlog.typing.EventDict) -> str:
        """A line of structlog's."""
        self._lines.append(repr(line))
        raise structlog.DropEvent

    def text(self) -> str:
        """All of it."""
        return "\n".join(self._lines)

    def forget(self) -> None:
        """Begin anew."""
        self._lines.clear()


class Listening:
    """Both loggers at their loudest, into `Heard`; then as they were."""

    def __enter__(self) -> Heard:
        heard = Heard()
        self._heard, self._level = heard, logging.root.level
        self._disabled, self._config = logging.root.manager.disable, structlog.get_config()
        logging.disable(logging.NOTSET)
        logging.root.addHandler(heard)
        logging.root.setLevel(logging.DEBUG)
        structlog.configure(
            processors=[heard.note],
            wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        )
        return heard

    def __exit__(self, *failure: object) -> None:
        logging.root.removeHandler(self._heard)
        logging.root.setLevel(self._level)
        logging.disable(self._disabled)
        structlog.configure(**self._config)


async def dead_tokens(ground: Ground, seed: int, share: float) -> Found:
    """F-09: the token dies under two processes at once: one fetch, one more try, no trace of it."""
    found, dice, clock = Found("F-09 dead tokens", seed), Random(seed), Clock()
    rounds = share_of(DEATHS, share, 10)
    with ground.bank() as settings:
        async with a_town(settings, clock) as town:
            befriend(town, ["wmBURST"], town.people.rm.userid, clock())
            async with open_parts(town.settings, now=clock, pace=town.pace) as other:
                workers = [town.parts.wecom, other.wecom]
                with Listening() as heard:
                    for _ in range(rounds):
                        await _one_death(town, clock, found, dice, workers, heard)
    found.runs, found.events = rounds, rounds * WORKERS * CALLS_EACH
    return found


async def _one_death(
    town: Town, clock: Clock, found: Found, dice: Random, workers: list[WeComClient], heard: Heard
) -> None:
    """Everybody calls with a token that has just died."""
    await asyncio.gather(*(ask(worker) for worker in workers))
    known = [str(value) for value in _tokens(town)]
    if dice.random() < 0.5:
        await town.control("invalidate_token")
        found.faults["40014"] += 1
    else:
        clock.forward(LIFE)
        found.faults["42001"] += 1
    before = len(town.asked("gettoken")), len(town.asked(CONTACT))
    answers = await asyncio.gather(*(ask(w) for w in workers for _ in range(CALLS_EACH)))
    fetched = len(town.asked("gettoken")) - before[0]
    asked = len(town.asked(CONTACT)) - before[1]
    found.check(fetched == 1, f"{fetched} fetches for one dead token")
    found.check(set(answers) == {"answered"}, f"calls failed: {Counter(answers)}")
    most = 2 * WORKERS * CALLS_EACH
    found.check(asked <= most, f"{asked} requests for {WORKERS * CALLS_EACH} calls")
    for value in {*known, *(str(value) for value in _tokens(town))}:
        found.check(value not in heard.text(), "a token is in the log")
    heard.forget()


def _tokens(town: Town) -> list[str]:
    return [credential.value for credential in town.world.credentials.values()]

"""Customers who come while a burst pours in, and how long each waits for the welcome."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from bot.bench.mix import rm
from wecom.simulator import control_customers
from wecom.simulator.platform import Platform

# Nobody is welcomed after that.
CODE_SECONDS = 20.0


@dataclass(frozen=True)
class Arrivals:
    """How many came, and for each who was welcomed the seconds from arrival to phone, sorted."""

    came: int
    waits: list[float]


async def come(platform: Platform, per_second: float, seconds: float) -> Arrivals:
    """They come one after another for so long; returns when all are welcomed or no code lives."""
    arrived: dict[str, datetime] = {}
    with platform.live.watch() as news:
        for number in range(round(per_second * seconds)):
            name = f"wmBURSTCOME{number:021d}"
            arrived[name] = platform.now()
            wish = {"userid": rm(number), "external_userid": name, "name": "周女士"}
            await control_customers.add_contact(platform, wish)
            await asyncio.sleep(1 / per_second)
        with suppress(TimeoutError):
            async with asyncio.timeout(CODE_SECONDS):
                while len(_waits(platform, arrived)) < len(arrived):
                    await news.get()
    return Arrivals(len(arrived), _waits(platform, arrived))


def _waits(platform: Platform, arrived: dict[str, datetime]) -> list[float]:
    seen = [bubble for bubble in platform.world.messages if bubble.via == "welcome"]
    return sorted(
        (bubble.at - arrived[bubble.external_userid]).total_seconds()
        for bubble in seen
        if bubble.external_userid in arrived
    )

"""`siyu doctor`: every setting against the outside, and what to click where one is wrong.

inside    what needs nobody: settings, database, schema, keys, clock of the model
address   our callback address, called from here the way WeCom calls it
platform  WeCom itself: secret, trusted address, permitted calls, visible range, archive
"""

from datetime import datetime

from bank.settings import Settings
from bot.doctor import address, inside, platform, refused
from bot.doctor.findings import Finding, Health, Words

__all__ = ["Finding", "Health", "Words", "examine"]


async def examine(settings: Settings, now: datetime) -> list[Finding]:
    """Look at everything; one failure does not hide the next."""
    found = await inside.look(settings)
    found += await address.look(settings, now)
    found += await refused.look(settings, now)
    found += await platform.look(settings, now)
    return found

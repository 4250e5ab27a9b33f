"""Simulated days of one busy RM, with everything going wrong, and the promises checked each night.

A chapter is some days of one small bank; its seed is the run's seed and its number. In every day
things happen at six moments; at night the faults stop, what is left over settles, and `nights`
looks whether everything still holds.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from random import Random
from time import perf_counter, process_time

from sqlmodel import select

from bot.chaos import nights
from bot.chaos.found import Found, share_of
from bot.chaos.ground import Clock, Ground
from bot.chaos.script import Script
from bot.chaos.town import Town, a_town
from bot.models import ContactWay, WayState
from bot.welcoming import contact_ways

DAYS, CHAPTER = 1_000, 20
MOMENTS = 6
ACTS_AT_ONCE = (2, 5)
RESTARTED, CUT_SHORT, LONGEST_WORK = 0.05, 0.06, 0.2
TOKEN_DIES = 0.08
COMPARED = 0.25
CHANNELS = ("大堂易拉宝", "公众号菜单")
SETTLES = timedelta(seconds=3)
NIGHT = (3, 12, 90)
MORNING = 1  # nine o'clock in Shanghai, in UTC


async def days(ground: Ground, seed: int, share: float) -> Found:
    """A thousand days, chapter by chapter."""
    found = Found("days of one RM", seed)
    wanted = share_of(DAYS, share)
    began, used = perf_counter(), process_time()
    chapter = 0
    while found.runs < wanted:
        number = seed + chapter
        with ground.bank() as settings:
            clock = Clock()
            async with a_town(settings, clock) as town:
                await _chapter(town, clock, found, number, min(CHAPTER, wanted - found.runs))
        chapter += 1
        if not found.holds:
            found.figures["failing chapter"] = f"--seed {number}"
            break
    minutes = (perf_counter() - began) / 60
    found.figures["days a minute"] = f"{found.runs / minutes:.0f}"
    found.figures["CPU a day"] = f"{(process_time() - used) / found.runs:.1f} s"
    return found


async def _chapter(town: Town, clock: Clock, found: Found, seed: int, count: int) -> None:
    """Some days of one bank."""
    dice = Random(seed)
    script = Script(town, dice)
    watch = nights.Watch(town)
    script.config_ids = await _codes(town)
    for day in range(count):
        clock.moment = (clock.moment + timedelta(days=1)).replace(hour=MORNING, minute=0)
        await script.things_go_wrong(seed * 1000 + day)
        for _ in range(MOMENTS):
            await _moment(town, script, dice, found)
            watch.note_callbacks()
        await script.all_is_well()
        await _night(town)
        watch.note_callbacks()
        await watch.check(found, f"--seed {seed} day {day + 1}")
        found.runs += 1
        if not found.holds:
            break
    found.events += script.acts
    found.faults.update(watch.faults)
    for reason, times in watch.quarantined.items():
        # A refusal of WeCom's is said with its sentence; a bare name is a fault of ours.
        found.check(":" in reason.partition(": ")[2], f"--seed {seed}: {times} × {reason}")
        found.figures[f"quarantined, {reason}"] = str(times)
    for name, times in town.surprises.items():
        found.check(False, f"--seed {seed}: {times} × {name}")


async def _codes(town: Town) -> list[str]:
    """The RM's contact ways, made by the product."""
    async with town.sessions.begin() as session:
        for channel in CHANNELS:
            await contact_ways.make(
                session, [town.people.rm], channel, None, skip_verify=True, by="hq", now=town.now()
            )
    await town.parts.way_maker.work()
    async with town.sessions() as session:
        query = select(ContactWay.config_id).where(ContactWay.state == WayState.LIVE)
        return [str(config_id) for config_id in (await session.execute(query)).scalars()]


async def _moment(town: Town, script: Script, dice: Random, found: Found) -> None:
    """Some things happen, the product works, time passes; now and then it is restarted."""
    for _ in range(dice.randint(*ACTS_AT_ONCE)):
        await script.act()
        await town.forward(timedelta(seconds=1))
    if dice.random() < TOKEN_DIES:
        await town.control("invalidate_token")
        found.faults["token died"] += 1
    await town.control("settle")
    if dice.random() < CUT_SHORT:
        await _cut_short(town, dice)
        found.faults["stopped in mid-work"] += 1
    else:
        await town.works(all_of_it=False)
    if dice.random() < RESTARTED:
        await _reopen(town)
        found.faults["restarted"] += 1
    await town.forward(SETTLES)
    await town.handle()
    if dice.random() < COMPARED:
        await town.compare()
    await town.forward(timedelta(minutes=dice.randint(30, 110)))


async def _cut_short(town: Town, dice: Random) -> None:
    """The product stops at whatever it was waiting for, and is started again."""
    work = asyncio.create_task(town.works(all_of_it=False))
    await asyncio.sleep(dice.uniform(0, LONGEST_WORK))
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    await _reopen(town)


async def _reopen(town: Town) -> None:
    await town.close()
    await town.open()


async def _night(town: Town) -> None:
    """Nothing goes wrong any more; whatever waits for its time gets it."""
    for minutes in NIGHT:
        await town.forward(timedelta(minutes=minutes))
        await town.control("settle")
        await town.works()
    await town.put_right()
    await town.handle()

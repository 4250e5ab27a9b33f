"""F-18: a burst of callbacks and a backlog: answered in time, handled in each customer's order."""

import asyncio
from collections import defaultdict
from random import Random
from time import perf_counter

import psycopg

from bank.database import utc_now
from bot.app import open_parts
from bot.bench.machine import percentile
from bot.chaos.found import Found, share_of
from bot.chaos.ground import Ground, counted
from bot.chaos.town import Town, a_town
from bot.chaos.wire import Sender, event, letter, paced

BURST, PER_SECOND, EVENTS_EACH = 30_000, 500.0, 6
HANDLERS = 2
RETRY_SECONDS = 1.0
MOST_P99_MS, MOST_MS = 2_000.0, 5_000.0
OPEN = "SELECT count(*) FROM inbound_event WHERE state = 'new'"
STORED = "SELECT count(*) FROM inbound_event"
# The database itself writes down in which order events end.
NOTED = """
CREATE TABLE ended (number bigserial PRIMARY KEY, event_id bigint, order_key text);
CREATE FUNCTION note_end() RETURNS trigger AS $$ BEGIN
    INSERT INTO ended (event_id, order_key) VALUES (new.id, new.order_key); RETURN new;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER note_end AFTER UPDATE OF state ON inbound_event
    FOR EACH ROW WHEN (old.state = 'new' AND new.state <> 'new') EXECUTE FUNCTION note_end();
"""
IN_ORDER = "SELECT order_key, event_id FROM ended ORDER BY number"


async def burst(ground: Ground, seed: int, share: float) -> Found:
    """F-18: five hundred callbacks a second while nobody handles them; then two drain it all."""
    found, dice = Found("F-18 burst, backlog", seed), Random(seed)
    count = share_of(BURST, share, 300)
    with ground.bank() as settings:
        with psycopg.connect(settings.database_url, autocommit=True) as connection:
            connection.execute(NOTED.encode())
        async with a_town(settings, utc_now) as town:
            await _pour(town, found, dice, count)
            stored = counted(settings.database_url, STORED)
            found.lost = max(0, found.events - stored)
            await _drain(town, found)
            _in_order(settings.database_url, found)
    found.runs, found.faults["burst"] = 1, count
    return found


async def _pour(town: Town, found: Found, dice: Random, count: int) -> None:
    """Several events of every customer, mixed."""
    sender = Sender(town.port, RETRY_SECONDS)
    names = iter(dice.sample(range(count), count))

    async def one() -> bool:
        number = next(names, None)
        if number is None:
            return True
        who, at = f"wmBURST{number // EVENTS_EACH:025d}", utc_now()
        plain = event(town.settings, at, who, "nobody", "edit_external_contact", State=str(number))
        sender.send(str(number), lambda: letter(town.settings, plain, utc_now(), dice))
        return False

    began = perf_counter()
    await paced(PER_SECOND, one)
    await sender.settle()
    seconds = perf_counter() - began
    await sender.close()
    found.events = len(sender.acknowledged)
    slowest, p99 = sender.slowest_ms, percentile(sorted(sender.latencies), 0.99)
    found.check(found.events == count, f"{count - found.events} were never answered 200")
    found.check(slowest < MOST_MS, f"an answer took {slowest:.0f} ms")
    found.check(p99 < MOST_P99_MS, f"99 % were answered within {p99:.0f} ms")
    found.figures["answered"] = f"{count / seconds:.0f}/s, p99 {p99:.0f} ms, max {slowest:.0f} ms"


async def _drain(town: Town, found: Found) -> None:
    """Two processes' dispatchers take the backlog together."""
    url, backlog = town.settings.database_url, counted(town.settings.database_url, OPEN)
    began = perf_counter()
    async with open_parts(town.settings) as other:
        dispatchers = [town.parts.dispatcher, other.dispatcher][:HANDLERS]
        await asyncio.gather(*(each.handle_new(utc_now()) for each in dispatchers))
    seconds = perf_counter() - began
    left = counted(url, OPEN)
    found.check(not left, f"{left} of {backlog} are not handled")
    found.figures["backlog"] = f"{backlog:,} in {seconds:.0f} s, {backlog / seconds:.0f}/s"


def _in_order(url: str, found: Found) -> None:
    """Each customer's events ended in the order they were stored in, each once."""
    ended: dict[str, list[int]] = defaultdict(list)
    with psycopg.connect(url) as connection:
        for order_key, event_id in connection.execute(IN_ORDER.encode()):
            ended[order_key].append(event_id)
    wrong = [name for name, ids in ended.items() if name and ids != sorted(ids)]
    found.check(not wrong, f"{len(wrong)} customers' events were handled out of order")
    found.doubled = sum(len(ids) - len(set(ids)) for ids in ended.values())

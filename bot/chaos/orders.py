"""F-05: callbacks doubled, reordered and late end in the same state as in order (I7)."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from sqlmodel import col, select

from bot.chaos.found import Found, share_of
from bot.chaos.ground import Clock, Ground
from bot.chaos.town import Town, a_town
from bot.chaos.wire import letter, send_all
from customers.models import Customer, Follow, FollowState
from scheduler.models import Enrolment

SEEDS = 10_000
AT_ONCE = 100  # stories told side by side in one bank
ACTS_AN_HOUR = 0.25
COPIES = (2, 10)
LATE = timedelta(hours=24)
HOURS = 24
ACTS = ("come", "leave", "dropped", "edit", "edit", "come", "other")


@dataclass
class Story:
    """One customer, and how often they came."""

    seed: int
    contact: str
    came: int = 0


async def orders(ground: Ground, seed: int, share: float) -> Found:
    """F-05: each seed tells one story twice: in order, and as a bad line would."""
    found = Found("F-05 doubled, reordered, late", seed)
    seeds = share_of(SEEDS, share, 20)
    for first in range(0, seeds, AT_ONCE):
        count = min(AT_ONCE, seeds - first)
        with ground.bank() as settings:
            clock = Clock()
            async with a_town(settings, clock) as town:
                # The platform makes its callbacks, and this script is the line that carries them.
                await town.control("faults", callbacks={"drop_rate": 1.0})
                await _tell(town, clock, found, seed + first, count)
    found.runs = seeds
    return found


async def _tell(town: Town, clock: Clock, found: Found, first: int, count: int) -> None:
    """Both tellings of these stories: first in order, then a day later everything is settled."""
    orderly = [Story(s, f"wmORDER{s:025d}") for s in range(first, first + count)]
    unruly = [Story(s, f"wmCHAOS{s:025d}") for s in range(first, first + count)]
    late: list[tuple[int, str]] = []
    for step in range(HOURS):
        clock.forward(timedelta(hours=1))
        # Nobody acts twice in an hour: what all of them did arrives together, and in order.
        told = [plain for story in orderly for plain in await _act(town, story, step)]
        await _deliver(town, clock, Random(step), told)
        await _work(town)
        for story in unruly:
            plains = await _act(town, story, step)
            found.events += len(plains)
            late += _on_a_bad_line(plains, found, step)
        due = [plain for at, plain in late if at <= step]
        late = [(at, plain) for at, plain in late if at > step]
        Random(first + step).shuffle(due)
        await _deliver(town, clock, Random(step), due)
        await _work(town)
    await _deliver(town, clock, Random(first), [plain for _, plain in late])
    await _rest(town, clock)
    await _compare(town, found, orderly, unruly)


async def _rest(town: Town, clock: Clock) -> None:
    """Nothing more comes; what had to be tried again is."""
    for _ in range(4):
        clock.forward(timedelta(minutes=15))
        await _work(town)


async def _work(town: Town) -> None:
    """Welcomes and events, as the product's loops would."""
    await town.greet()
    await town.handle()


async def _act(town: Town, story: Story, step: int) -> list[str]:
    """What the customer does in this hour, on the platform; the callbacks it makes.

    Both tellings have the same seed and so the same acts at the same moments.
    """
    dice = Random(f"{story.seed}/{step}")
    if step and dice.random() > ACTS_AN_HOUR:
        return []
    act = dice.choice(ACTS) if step else "come"
    rm, colleague = town.people.rm.userid, town.people.colleague.userid
    userid = colleague if act == "other" else rm
    friends = town.world.follow(userid, story.contact) is not None
    who = {"userid": userid, "external_userid": story.contact}
    if act in ("come", "other"):
        if friends:
            return []
        story.came += 1
        await town.control("add_contact", **who, name="微信用户", state="lobby")
    elif not friends:
        return []
    elif act == "edit":
        await town.control("edit_remark", **who, remark=f"备注{step}")
    else:
        await town.control("delete_follow", **who, by="member" if act == "dropped" else "")
    return town.heard()


def _on_a_bad_line(plains: list[str], found: Found, step: int) -> list[tuple[int, str]]:
    """Copies of it, some hours late."""
    arriving: list[tuple[int, str]] = []
    for plain in plains:
        dice = Random(plain)
        copies = dice.randint(*COPIES)
        found.faults["copies"] += copies - 1
        for _ in range(copies):
            hours = dice.choice([0, 0, 0, 1, 2, 5, 12, 24])
            found.faults["late"] += hours > 0
            arriving.append((step + hours, plain))
    return arriving


async def _deliver(town: Town, clock: Clock, dice: Random, plains: list[str]) -> None:
    if plains:
        requests = [letter(town.settings, plain, clock(), dice) for plain in plains]
        await send_all(town.port, requests)


async def _compare(town: Town, found: Found, orderly: list[Story], unruly: list[Story]) -> None:
    states, starts = await _states(town), await _starts(town)
    for one, other in zip(orderly, unruly, strict=True):
        for rm in town.people.members:
            truth = town.world.follow(rm.userid, other.contact) is not None
            for story in (one, other):
                active = states.get((rm.userid, story.contact), (False, ""))[0]
                found.check(
                    active == truth, f"seed {story.seed}: {rm.userid} {active}, platform {truth}"
                )
            same = states.get((rm.userid, one.contact)) == states.get((rm.userid, other.contact))
            found.check(same or not truth, f"seed {one.seed}: not as in order, {rm.userid}")
        for story in (one, other):
            found.doubled += max(0, starts[story.contact] - 1)
    welcomes = Counter(
        line["external_userid"] for line in await town.ledger() if line["via"] == "welcome"
    )
    for story in (*orderly, *unruly):
        found.doubled += max(0, welcomes[story.contact] - story.came)
    found.figures["welcomes"] = f"{sum(welcomes.values())}"


async def _states(town: Town) -> dict[tuple[str, str], tuple[bool, str]]:
    """Who serves whom now, and under which remark, as the product has it."""
    names = {who.id: who.userid for who in town.people.members}
    query = select(Customer.external_userid, Follow).join(
        Follow, col(Follow.customer_id) == col(Customer.id)
    )
    async with town.sessions() as session:
        rows = (await session.execute(query)).all()
    return {
        (names[follow.staff_id], str(contact)): (follow.state is FollowState.ACTIVE, follow.remark)
        for contact, follow in rows
    }


async def _starts(town: Town) -> Counter[str]:
    """How often each customer started the SOP with the same RM."""
    query = select(Customer.external_userid).join(
        Enrolment, col(Enrolment.customer_id) == col(Customer.id)
    )
    async with town.sessions() as session:
        return Counter(str(name) for name in (await session.execute(query)).scalars())

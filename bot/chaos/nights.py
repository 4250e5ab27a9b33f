"""What must hold every night of the simulated days.

I1  what was answered 200 is in the table
I2  per step and customer at most one message seen; at most one welcome for each code
I6  a colleague and a former RM see nobody who is not theirs
I7  relations and groups are what the platform says
"""

import hashlib
from collections import Counter
from typing import Any

from sqlmodel import col, select

from bank.models import Role, Staff
from bot.chaos.found import Found
from bot.chaos.ground import words
from bot.chaos.town import Town
from customers import book
from customers.models import Customer, CustomerGroup, Follow, FollowState, GroupMember
from desk.signed import COOKIES, Signed, open_session

STORED = "SELECT encode(digest, 'hex') FROM inbound_event"
LEFT_OPEN = (
    "SELECT kind || ': ' || outcome FROM inbound_event WHERE state NOT IN ('done', 'quarantined')"
)
QUARANTINED = "SELECT kind || ': ' || outcome FROM inbound_event WHERE state = 'quarantined'"
NOT_ENROLLED = (
    "SELECT c.external_userid FROM follow f JOIN customer c ON c.id = f.customer_id"
    " WHERE f.state = 'active' AND NOT EXISTS"
    " (SELECT 1 FROM enrolment e WHERE e.customer_id = c.id)"
)
ENROLLED = "SELECT sop_id || '/' || customer_id FROM enrolment"


class Watch:
    """Looks at both sides at night; remembers what was acknowledged."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.acknowledged: set[str] = set()
        self.faults: Counter[str] = Counter()
        self.quarantined: dict[str, int] = {}
        self._seen = 0

    def note_callbacks(self) -> None:
        """Remember what the platform's callbacks suffered, and which were answered 200."""
        for delivery in self.town.platform.line.log:
            if delivery.outcome == "delivered":
                self.acknowledged.add(hashlib.sha256(delivery.xml.encode()).hexdigest())
            if delivery.id > self._seen:
                self.faults.update(f"callback {word}" for word in delivery.suffered)
                self._seen = delivery.id
        gate = self.town.platform.gate
        for call in gate.log:
            if call.fault:
                self.faults[f"API {call.fault}"] += 1
        gate.log.clear()

    async def check(self, found: Found, when: str) -> None:
        """Everything that must hold."""
        self._nothing_lost(found, when)
        await self._nothing_doubled(found, when)
        await self._as_the_platform_says(found, when)
        await self._groups_as_the_platform_says(found, when)
        await self._nobody_elses(found, when)

    def _nothing_lost(self, found: Found, when: str) -> None:
        url = self.town.settings.database_url
        lost = self.acknowledged - set(words(url, STORED))
        found.lost += len(lost)
        found.check(not lost, f"{when}: {len(lost)} acknowledged callbacks are not in the table")
        forgotten = words(url, NOT_ENROLLED)
        found.lost += len(forgotten)
        found.check(not forgotten, f"{when}: came, and never entered the SOP: {forgotten[:3]}")
        left = Counter(words(url, LEFT_OPEN))
        found.check(not left, f"{when}: not handled by night: {dict(left)}")
        for reason, count in Counter(r.partition(" (")[0] for r in words(url, QUARANTINED)).items():
            self.quarantined[reason] = count

    async def _nothing_doubled(self, found: Found, when: str) -> None:
        ledger = await self.town.ledger()
        touches = Counter(
            (line["external_userid"], line["text"]) for line in ledger if line["via"] == "mass_send"
        )
        twice = [who for (who, _), count in touches.items() if count > 1]
        greeted = Counter(
            (line["userid"], line["external_userid"]) for line in ledger if line["via"] == "welcome"
        )
        codes = Counter(
            (code.userid, code.external_userid) for code in self.town.world.welcome_codes.values()
        )
        again = [pair for pair, count in greeted.items() if count > codes[pair]]
        started = Counter(words(self.town.settings.database_url, ENROLLED))
        entered = [pair for pair, count in started.items() if count > 1]
        for found_twice, what in ((twice, "touched"), (again, "welcomed"), (entered, "enrolled")):
            found.doubled += len(found_twice)
            found.check(not found_twice, f"{when}: {what} twice: {found_twice[:3]}")
        found.figures["touched"] = str(len(touches))
        found.figures["welcomed"] = f"{sum(greeted.values())} of {sum(codes.values())}"

    async def _as_the_platform_says(self, found: Found, when: str) -> None:
        ours, theirs = await self._relations(), self._platforms_relations()
        for pair in ours.keys() | theirs.keys():
            mine, told = ours.get(pair), theirs.get(pair)
            found.check(mine == told, f"{when}: relation {pair}: ours {mine}, platform {told}")

    async def _relations(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        names = {who.id: who.userid for who in self.town.people.members}
        query = (
            select(Customer.external_userid, Follow)
            .join(Follow, col(Follow.customer_id) == col(Customer.id))
            .where(Follow.state == FollowState.ACTIVE)
        )
        async with self.town.sessions() as session:
            rows = (await session.execute(query)).all()
        return {
            (names[follow.staff_id], str(contact)): (follow.remark, follow.source)
            for contact, follow in rows
        }

    def _platforms_relations(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        return {
            (relation.userid, relation.external_userid): (relation.remark, relation.state)
            for relation in self.town.world.follows.values()
            if relation.alive
        }

    async def _groups_as_the_platform_says(self, found: Found, when: str) -> None:
        ours = await self._groups()
        theirs = {
            group.chat_id: (group.name, group.owner, frozenset(group.members))
            for group in self.town.world.groups.values()
            if group.alive
        }
        for chat_id in ours.keys() | theirs.keys():
            mine, told = ours.get(chat_id), theirs.get(chat_id)
            found.check(mine == told, f"{when}: group {chat_id}: ours {mine}, platform {told}")

    async def _groups(self) -> dict[str, tuple[str, str, frozenset[str]]]:
        async with self.town.sessions() as session:
            groups = (await session.execute(select(CustomerGroup))).scalars().all()
            members = (await session.execute(select(GroupMember))).scalars().all()
        inside: dict[Any, set[str]] = {group.id: set() for group in groups}
        for member in members:
            if member.left_at is None:
                inside[member.group_id].add(member.member_id)
        return {
            group.chat_id: (group.name, group.owner_userid, frozenset(inside[group.id]))
            for group in groups
            if group.dismissed_at is None
        }

    async def _nobody_elses(self, found: Found, when: str) -> None:
        for who in self.town.people.members:
            mine = set(self.town.world.customers_of(who.userid))
            visible = await self._visible_to(who)
            found.check(
                visible <= mine, f"{when}: {who.userid} sees {len(visible - mine)} of others"
            )
        await self._refused_a_page(found, when)

    async def _visible_to(self, who: Staff) -> set[str]:
        signed = Signed(who.id, who.userid, who.name, frozenset({Role.RM}), who.branch_id, "")
        query = select(Customer.external_userid).where(book.visible(signed))
        async with self.town.sessions() as session:
            return {str(name) for name in (await session.execute(query)).scalars()}

    async def _refused_a_page(self, found: Found, when: str) -> None:
        """The former RM opens the page of a customer of somebody else."""
        former = self.town.people.former
        async with self.town.sessions.begin() as session:
            ids = (await session.execute(select(Customer.id).limit(1))).scalars().all()
            token, _ = await open_session(session, former, "desk", self.town.now())
        for customer_id in ids:
            address = f"{self.town.settings.public_url}/customers/{customer_id}"
            cookies = {COOKIES["desk"][0]: token}
            async with self.town.http.get(address, cookies=cookies) as answer:
                # 503: on a busy machine pages wait behind callbacks; nothing is shown either way.
                held = answer.status in (404, 503)
                found.check(held, f"{when}: a former RM got {answer.status}")

"""The welcome 欢迎语: one message, once, within 20 seconds of a customer's arrival.

A path of its own beside the ordinary handling of events, which may be busy with slow reads:

    bell ─ take up    the event's code becomes a row, `sending`, committed before any call
           └ greet    the call, again in the time that is left where that helps
             └ settle what became of it, and after how many seconds

A code works once, so calling twice is safe: whoever finds the row of a dead process goes on with
it. Events are only read here and never locked: the ordinary path may hold one for long.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from bank import staff as people
from bank.bells import rung
from bank.database import Sessions
from bank.metrics import WELCOME_SECONDS, WELCOMES
from bank.sealing import Seal
from bot.inbound.right_of_way import RightOfWay
from bot.models import InboundEvent, Welcome, WelcomeState
from bot.welcoming import contact_ways, welcome_rows, welcome_text
from bot.welcoming.welcome_outcomes import LATE, SENT, Ended, Repeat, over, read
from bot.welcoming.welcome_rows import Arrived
from bot.welcoming.welcome_text import NOT_STAFF, NoWords, Words
from outbound import media, records, sending
from outbound.addressing import addressed_to_one
from outbound.attachments import Stock
from outbound.check import Cleared, Refused, record
from outbound.facts import Policy
from wecom.client import WeComClient
from wecom.errors import MediaExpired, WeComError

log = structlog.get_logger("bot")

# WeCom gives 20 seconds; a call that begins in the last two of them only fails later.
LIFE = timedelta(seconds=18)
CALL_SECONDS = 4.0
# Longer than a call and the pause after it; a row left for longer belongs to a dead process.
LEASE = timedelta(seconds=6)
PAUSE_SECONDS = 0.5
PATIENCE_SECONDS = 1.0
AT_ONCE = 16


@dataclass(frozen=True)
class Greeting:
    """A welcome that is ours to send now."""

    id: UUID
    code: str = field(repr=False)
    cleared: Cleared
    created_at: datetime
    unclear: bool  # an earlier call may have reached WeCom

    @property
    def ends_at(self) -> datetime:
        """From this moment on no call begins."""
        return self.created_at + LIFE


@dataclass(frozen=True)
class Greeter:
    """Sends welcomes; any number of processes may run one."""

    sessions: Sessions
    wecom: WeComClient
    seal: Seal
    policy: Policy
    now: Callable[[], datetime]
    stock: Stock
    way: RightOfWay = field(default_factory=RightOfWay)
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def keep_greeting(self, ear: asyncio.Queue[str]) -> None:
        """Send what comes, several at a time, until cancelled; a slow one holds up no other."""
        under_way: set[asyncio.Task[None]] = set()

        def ended(task: asyncio.Task[None]) -> None:
            under_way.discard(task)
            ear.put_nowait("")

        try:
            while True:
                for greeting in await self._due_safely(AT_ONCE - len(under_way)):
                    task = asyncio.create_task(self._greet_safely(greeting))
                    under_way.add(task)
                    task.add_done_callback(ended)
                await rung(ear, PATIENCE_SECONDS)
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def greet_new(self) -> int:
        """Send every welcome that is due; returns how many were tried, all settled by then."""
        tried = 0
        while due := await self.take_up(AT_ONCE):
            await asyncio.gather(*(self._greet_safely(greeting) for greeting in due))
            tried += len(due)
        return tried

    async def _due_safely(self, places: int) -> list[Greeting]:
        try:
            with self.way.taken():
                return await self.take_up(places) if places else []
        except Exception as error:
            log.error("welcomes_not_taken_up", error=type(error).__name__)
            return []

    async def take_up(self, places: int) -> list[Greeting]:
        """At most so many welcomes to send now, each a committed row; none when there are none."""
        due = await self._left_behind(places)
        after = 0
        while len(due) < places:
            async with self.sessions.begin() as session:
                fresh = await welcome_rows.fresh(session, after, places - len(due))
                made = [await self._opened(session, event) for event in fresh]
                await welcome_rows.clear_urgent(session, [event.id or 0 for event in fresh])
            due += [greeting for greeting in made if greeting]
            if not fresh:
                break
            after = fresh[-1].id or 0
        return due

    async def _left_behind(self, places: int) -> list[Greeting]:
        """Welcomes of processes that died; those whose time is over are settled here."""
        due: list[Greeting] = []
        async with self.sessions.begin() as session:
            for row in await welcome_rows.left_behind(session, self.now(), places):
                made = await self._resumed(session, row)
                if isinstance(made, Ended):
                    await self._note(session, row.id, made, row.created_at)
                else:
                    due.append(made)
        return due

    async def _resumed(self, session: AsyncSession, row: Welcome) -> Greeting | Ended:
        now = self.now()
        stored = await session.get(InboundEvent, row.event_id)
        said = welcome_rows.arrived(stored, self.seal) if stored else None
        if said is None or now >= row.created_at + LIFE:
            return over(unclear=True, why=LATE)
        words = await self._words(session, replace(said, channel_key=row.channel_key))
        if isinstance(words, NoWords):
            return await self._unsaid(session, words, row.id)
        cleared = await self._cleared(session, words, row.id)
        if isinstance(cleared, Refused):
            return Ended(WelcomeState.NO_MATERIAL, "；".join(cleared.reasons))
        row.version_id, row.lease_until, row.attempts = (
            words.version_id,
            now + LEASE,
            row.attempts + 1,
        )
        return Greeting(row.id, said.code, cleared, row.created_at, unclear=True)

    async def _cleared(
        self, session: AsyncSession, words: Words, welcome_id: UUID
    ) -> Cleared | Refused:
        """Written down as it will be read: with links of this one welcome."""
        now = self.now()
        passed = await addressed_to_one(session, self.stock, words.passed, welcome_id, now)
        return await record(session, passed, welcome_id, now)

    async def _unsaid(self, session: AsyncSession, words: NoWords, welcome_id: UUID) -> Ended:
        """Why nobody is welcomed; what the check refused is kept."""
        if words.refused is not None:
            await record(session, words.refused, welcome_id, self.now())
        return Ended(WelcomeState.NO_MATERIAL, words.reason)

    async def _opened(self, session: AsyncSession, event: InboundEvent) -> Greeting | None:
        """The welcome of an event, if there is one to send; one that breaks spoils no other."""
        try:
            async with session.begin_nested():
                said = welcome_rows.arrived(event, self.seal)
                return await self._written(session, said) if said else None
        except Exception as error:
            log.warning("welcome_not_opened", event_id=event.id, error=type(error).__name__)
            return None

    async def _written(self, session: AsyncSession, said: Arrived) -> Greeting | None:
        now = self.now()
        said = replace(said, channel_key=await welcome_rows.channel_key_of(session, said))
        if now >= said.created_at + LIFE:
            await self._write_off(session, said, Ended(WelcomeState.EXPIRED, LATE), now)
            return None
        words = await self._words(session, said)
        if isinstance(words, NoWords):
            ended = Ended(WelcomeState.NO_MATERIAL, words.reason)
            written = await self._write_off(session, said, ended, now)
            if written is not None:
                await self._unsaid(session, words, written)
            return None
        welcome_id = await welcome_rows.write(
            session,
            said,
            state=WelcomeState.SENDING,
            reason="",
            version_id=words.version_id,
            attempts=1,
            lease_until=now + LEASE,
        )
        if welcome_id is None:
            return None
        cleared = await self._cleared(session, words, welcome_id)
        if isinstance(cleared, Refused):
            ended = Ended(WelcomeState.NO_MATERIAL, "；".join(cleared.reasons))
            await self._note(session, welcome_id, ended, said.created_at)
            return None
        return Greeting(welcome_id, said.code, cleared, said.created_at, unclear=False)

    async def _write_off(
        self, session: AsyncSession, said: Arrived, ended: Ended, now: datetime
    ) -> UUID | None:
        written = await welcome_rows.write(
            session, said, state=ended.state, reason=ended.reason, attempts=0, settled_at=now
        )
        if written is not None:
            WELCOMES.labels(ended.state.value).inc()
        return written

    async def _words(self, session: AsyncSession, said: Arrived) -> Words | NoWords:
        rm = await people.by_userid(session, said.userid)
        if rm is None:
            return NoWords(NOT_STAFF)
        way = await contact_ways.with_key(session, said.channel_key)
        return await welcome_text.words_for(
            session, rm, way, self.policy, self.now(), said.external_userid, self.stock
        )

    async def _greet_safely(self, greeting: Greeting) -> None:
        """A failed round leaves its row to whoever finds it when its lease is over."""
        try:
            ended = await self._greet(greeting)
            if ended is None:
                return
            async with self.sessions.begin() as session:
                await self._note(session, greeting.id, ended, greeting.created_at)
        except Exception as error:
            log.error("welcome_failed", welcome=str(greeting.id), error=type(error).__name__)

    async def _greet(self, greeting: Greeting) -> Ended | None:
        """Call until it is clear or over; None where another process has settled it meanwhile."""
        ended, unclear = over(greeting.unclear, LATE), greeting.unclear
        while self.now() < greeting.ends_at:
            answer = await self._call(greeting, unclear)
            if isinstance(answer, Ended):
                return answer
            ended, unclear = answer.then, unclear or answer.unclear
            await self.sleep(PAUSE_SECONDS)
            async with self.sessions.begin() as session:
                if not await welcome_rows.extend(session, greeting.id, self.now() + LEASE):
                    return None
        return ended

    async def _call(self, greeting: Greeting, unclear: bool) -> Ended | Repeat:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._say(greeting.code, greeting.cleared)
        except (WeComError, TimeoutError) as failure:
            return read(failure, unclear)
        return SENT

    async def _say(self, code: str, cleared: Cleared) -> None:
        """Once more with new files where WeCom has lost those it had; the code works once."""
        ids = await self._media(cleared)
        try:
            await sending.welcome(self.wecom, code, cleared, ids)
        except MediaExpired:
            async with self.sessions.begin() as session:
                await media.forget(session, list(ids.values()))
            await sending.welcome(self.wecom, code, cleared, await self._media(cleared))

    async def _media(self, cleared: Cleared) -> dict[str, str]:
        if not cleared.attachments:
            return {}
        attached, files = cleared.attachments, self.stock.files
        async with self.sessions.begin() as session:
            return await media.ready(
                session, files, self.wecom, attached, self.now(), pictures=True
            )

    async def _note(
        self, session: AsyncSession, welcome_id: UUID, ended: Ended, created_at: datetime
    ) -> None:
        now = self.now()
        if not await welcome_rows.settle(session, welcome_id, ended, now):
            return
        WELCOMES.labels(ended.state.value).inc()
        if ended.state is WelcomeState.SENT:
            await records.sent(session, "welcome", welcome_id, now)
            WELCOME_SECONDS.observe(max(0.0, (now - created_at).total_seconds()))
        elif ended.state is not WelcomeState.UNKNOWN:
            await records.unsent(session, "welcome", [welcome_id], now)
        log.info("welcome_settled", welcome=str(welcome_id), state=ended.state.value)

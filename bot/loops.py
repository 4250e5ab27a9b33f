"""What a running process does besides answering: follow the library, handle events, keep time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

import structlog

from attribution import openings
from bank.audit_heads import open_heads
from bank.audit_keeping import Keeper, run_asked_check
from bank.bells import rung
from bank.beside import beside
from bank.settings import Settings
from bot import care_cards, conduct, intents
from bot.app import Parts
from bot.chat import customer_chat
from bot.groups import listening, talk
from bot.inbound import held, inbox, rejections, repair, retention
from bot.service import chat as service_chat
from bot.service import rows as service_rows
from bot.service.answers import Assistant
from bot.welcoming import contact_ways, welcome_media, welcome_rows
from customers import care
from knowledge import gaps, indexing
from outbound import alerts
from scheduler import sending
from scheduler.clock import Clockwork

log = structlog.get_logger("bot")

Role = Literal["all", "web", "worker"]
Work = Callable[[Parts], Awaitable[None]]

# How long a loop waits for its bell before it looks anyway, in seconds.
EVENT_PATIENCE = 2.0
ARCHIVE_PATIENCE = 5.0
LIBRARY_PATIENCE = 3.0
TOUCH_PATIENCE = 5.0
LEARNING_PAUSE = 2.0
WAY_PATIENCE = 5.0
SEEN_PAUSE = 10.0
GAP_PAUSE = 5.0
WARM_PAUSE = 300.0
INTENT_PAUSE = 60.0
HELD_PAUSE = 20.0
SERVICE_PAUSE = 10.0
ACCOUNTS_PAUSE = 600.0
CONDUCT_PATIENCE = 10.0
CARE_PATIENCE = 10.0
PAIRS_PAUSE = 30.0
AUDIT_PAUSE = 1.0
CHECK_PAUSE = 5.0
PURGE_PAUSE = 3600.0


@asynccontextmanager
async def running_loops(settings: Settings, parts: Parts, role: Role) -> AsyncIterator[None]:
    """Run the loops of this role: `web` only follows the library, the others do the work too."""
    async with parts.sessions() as session:
        await parts.index.restore(session)
    await catch_up_library(parts)
    clockwork = Clockwork(settings, parts.sessions, parts.wecom, parts.now)
    async with beside(*_loops(settings, parts, role)):
        if role != "web":
            clockwork.start()
        try:
            yield
        finally:
            await clockwork.stop()


def _loops(settings: Settings, parts: Parts, role: Role) -> list[Coroutine[Any, Any, None]]:
    async def forget_texts(parts: Parts) -> None:
        async with parts.sessions.begin() as session:
            await retention.purge(session, settings, parts.now())
            await intents.forget_done(session, parts.now())
            await openings.purge(session, settings, parts.now())

    follow = [
        _every(parts, PAIRS_PAUSE, note_callbacks),
        _on_bell(parts, indexing.BELL, LIBRARY_PATIENCE, catch_up_library),
        _every(parts, LEARNING_PAUSE, learn),
        rebuild_when_asked(parts),
    ]
    if role == "web":
        return follow
    return [
        *follow,
        greet(parts),
        _every(parts, SEEN_PAUSE, note_welcomes_seen),
        _every(parts, WARM_PAUSE, warm_welcomes),
        _on_bell(parts, indexing.BELL, TOUCH_PATIENCE, stop_touches),
        _on_bell(parts, contact_ways.BELL, WAY_PATIENCE, make_contact_ways),
        _every(parts, INTENT_PAUSE, look_up_intents),
        _every(parts, GAP_PAUSE, find_gaps),
        _on_bell(parts, inbox.BELL, EVENT_PATIENCE, handle_events),
        keep_repairing(parts),
        _on_bell(parts, customer_chat.QUESTION_BELL, EVENT_PATIENCE, answer),
        _every(parts, ARCHIVE_PATIENCE, pull_archive),
        _on_bell(parts, talk.BELL, EVENT_PATIENCE, look_through_groups),
        _on_bell(parts, service_rows.BELL, EVENT_PATIENCE, answering_service(settings)),
        _every(parts, SERVICE_PAUSE, pulling_service(settings)),
        _every(parts, ACCOUNTS_PAUSE, learn_service_accounts),
        _every(parts, HELD_PAUSE, release_held),
        _on_bell(parts, alerts.BELL, CONDUCT_PATIENCE, tell_compliance),
        _on_bell(parts, care.BELL, CARE_PATIENCE, tell_superiors),
        _every(parts, PURGE_PAUSE, forget_texts),
        _every(parts, AUDIT_PAUSE, linking_audit_book(settings, parts)),
        _every(parts, CHECK_PAUSE, checking_audit_book(settings)),
    ]


async def catch_up_library(parts: Parts) -> None:
    """Take what changed in the library into this process's index."""
    async with parts.sessions.begin() as session:
        await parts.index.catch_up(session, parts.now())


async def stop_touches(parts: Parts) -> None:
    """Refuse the touches of material that just ended, without waiting for their time (C-37)."""
    async with parts.sessions.begin() as session:
        await sending.tidy(session, parts.now())


async def learn(parts: Parts) -> None:
    """Fit the index to what it took in; searches go on with what was known meanwhile."""
    if parts.index.has_more_to_learn:
        async with parts.sessions.begin() as session:
            await parts.index.learn(session, parts.now())


async def rebuild_when_asked(parts: Parts) -> None:
    """Build the index from the database again whenever an operator says so."""
    with parts.bells.ear(indexing.REBUILD_BELL) as ear:
        while True:
            await ear.get()
            await _safely(parts, rebuild)


async def rebuild(parts: Parts) -> None:
    """Build the index again; what there is serves meanwhile."""
    async with parts.sessions.begin() as session:
        await parts.index.rebuild(session, parts.now())


async def find_gaps(parts: Parts) -> None:
    """Group what nobody could answer, and see what is answered by now."""
    async with parts.sessions.begin() as session:
        level = parts.settings.group_product_level
        await gaps.catch_up(session, parts.index, parts.now(), level)


async def handle_events(parts: Parts) -> None:
    """Handle stored events; a long backlog batch by batch, each at its own moment."""
    while await parts.dispatcher.handle_some(parts.now()):
        pass


async def keep_repairing(parts: Parts) -> None:
    """Compare ourselves with WeCom in its rhythm, and at once what somebody asks for."""
    with parts.bells.ear(repair.BELL) as ear:
        asked: repair.Kind | None = None
        while True:
            await _safely(parts, partial(compare, asked=asked))
            asked = await _asked_for(ear)


async def compare(parts: Parts, asked: repair.Kind | None) -> None:
    """Run the rounds that are due."""
    await repair.run_due(parts.sessions, parts.wecom, parts.now, asked)


async def _asked_for(ear: asyncio.Queue[str]) -> repair.Kind | None:
    """What somebody wants compared now; None when it is only time to look."""
    try:
        async with asyncio.timeout(repair.PATIENCE_SECONDS):
            heard = await ear.get()
    except TimeoutError:
        return None
    return repair.Kind(heard) if heard in list(repair.Kind) else None


async def release_held(parts: Parts) -> None:
    """Let go of events that were held for their time, once WeCom's clock clears them."""
    await held.release_in_time(parts.sessions, parts.wecom)


async def note_callbacks(parts: Parts) -> None:
    """Keep in mind which pair of token and key is in use, and why callbacks were refused."""
    async with parts.sessions.begin() as session:
        await parts.pairs.save(session)
        await rejections.keep(session, parts.rejections.taken(), parts.now())


async def greet(parts: Parts) -> None:
    """Welcome new customers, whatever the handling of events is busy with."""
    with parts.bells.ear(inbox.BELL) as ear:
        await parts.greeter.keep_greeting(ear)


async def warm_welcomes(parts: Parts) -> None:
    """Have the files of welcomes at WeCom before anybody comes."""
    await welcome_media.warm(parts.sessions, parts.wecom, parts.stock, parts.now())


async def note_welcomes_seen(parts: Parts) -> None:
    """Give every welcome its touchpoint once its customer is known."""
    async with parts.sessions.begin() as session:
        await welcome_rows.note_seen(session, parts.now())


async def look_up_intents(parts: Parts) -> None:
    """Find out what became of creations whose answer was lost."""
    await intents.look_up(parts.sessions, parts.wecom, parts.now())


async def make_contact_ways(parts: Parts) -> None:
    """Make and delete contact ways at WeCom."""
    await parts.way_maker.work()


async def pull_archive(parts: Parts) -> None:
    """Look into the archive without a bell."""
    await parts.dispatcher.pull_without_bell(parts.now())


async def answer(parts: Parts) -> None:
    """Suggest replies to what customers wrote."""
    await parts.dispatcher.answer_new(parts.now())


async def look_through_groups(parts: Parts) -> None:
    """Find what was asked and answered in customer groups."""
    # A draft is made once: the index first learns what it took in, or it would guess.
    if parts.index.has_more_to_learn or parts.index.is_learning:
        return
    level = parts.settings.group_product_level
    await listening.catch_up(parts.sessions, parts.index, level, parts.now())


def answering_service(settings: Settings) -> Work:
    """Decide about what customers wrote to 微信客服, and say what was decided."""

    async def answer_service(parts: Parts) -> None:
        await Assistant(parts.sessions, parts.wecom, settings, parts.index).work(parts.now())

    return answer_service


def pulling_service(settings: Settings) -> Work:
    """Look into 微信客服 without a bell."""

    async def pull_service(parts: Parts) -> None:
        await service_chat.pull_without_bell(parts.sessions, parts.wecom, settings, parts.now())

    return pull_service


async def tell_compliance(parts: Parts) -> None:
    """Tell compliance of attempts that were refused for what they were."""
    await conduct.tell(parts.sessions, parts.wecom, parts.settings, parts.now())


async def tell_superiors(parts: Parts) -> None:
    """Tell branch managers of complaints and of customers who need care."""
    await care_cards.tell(parts.sessions, parts.wecom, parts.settings, parts.now())


async def learn_service_accounts(parts: Parts) -> None:
    """Know the accounts of 微信客服 this app may act for."""
    await service_chat.learn_accounts(parts.sessions, parts.wecom)


def linking_audit_book(settings: Settings, parts: Parts) -> Work:
    """Link the lines of the audit book, about a second after they were written."""
    keeper = Keeper(parts.sessions, open_heads(settings))

    async def link_audit_book(parts: Parts) -> None:
        await keeper.link(parts.now())

    return link_audit_book


def checking_audit_book(settings: Settings) -> Work:
    """Check the audit book whenever somebody asked for it."""
    heads = open_heads(settings)

    async def check_audit_book(parts: Parts) -> None:
        await run_asked_check(parts.sessions, settings.database_url, heads, parts.now())

    return check_audit_book


async def _on_bell(parts: Parts, bell: str, patience: float, work: Work) -> None:
    """Do the work at once, at every bell, and after patience without one."""
    with parts.bells.ear(bell) as ear:
        while True:
            await _safely(parts, work)
            await rung(ear, patience)


async def _every(parts: Parts, seconds: float, work: Work) -> None:
    while True:
        await _safely(parts, work)
        await asyncio.sleep(seconds)


async def _safely(parts: Parts, work: Work) -> None:
    """A failed round is logged and tried again; nothing is lost, the tables hold the work."""
    try:
        await work(parts)
    except Exception:
        log.exception("loop_failed", work=getattr(work, "__name__", "work"))

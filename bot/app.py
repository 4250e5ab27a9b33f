"""Builds the product and wires it: the only place where parts meet and the clock is read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

import aiohttp
from aiohttp import web
from pydantic import SecretStr
from threadpoolctl import threadpool_limits

import attribution.pages
import content.pages
import content.product_change_pages
import content.product_import_pages
import content.product_pages
import content.suspension_pages
import customers.care_pages
import customers.group_pages
import customers.hold_pages
import customers.holder_pages
import customers.pages
import desk.components
import desk.signin
import knowledge.candidate_pages
import knowledge.gap_pages
import knowledge.pages
import knowledge.quality_pages
import knowledge.style_pages
import outbound.pages
import scheduler.pages
from attribution import radar
from attribution.leads import LEADS, Leads
from attribution.radar import RADAR, Radar
from bank.bells import BELLS, Bells
from bank.database import Sessions, open_engine, open_sessions, utc_now
from bank.sealing import Seal, open_seal
from bank.settings import Settings
from bot import (
    audit_pages,
    certificate_pages,
    expiring_pages,
    export_pages,
    health,
    holder_export,
    match_pages,
    material_use_pages,
    platform_pages,
    recipient_pages,
    robot,
    script_pages,
    system,
    workbench,
)
from bot.chat import (
    attaching,
    customer_chat,
    group_sidebar,
    series,
    sidebar,
    sidebar_actions,
    sidebar_help,
    sidebar_materials,
    sidebar_profile,
    sidebar_scripts,
    sidebar_stage,
    sidebar_tags,
    sidebar_trail,
)
from bot.demo import guide
from bot.grants import SharedGrants
from bot.groups import pages as group_question_pages
from bot.groups import questions, talk
from bot.groups import sidebar as group_questions
from bot.inbound import inbox, repair, repair_pages, webhook
from bot.inbound import pages as inbound_pages
from bot.inbound.dispatch import DISPATCHER, Dispatcher
from bot.inbound.inbox import INBOX, Inbox
from bot.inbound.keys import KEYS, USED, PairsInUse, accepted_keys
from bot.inbound.rejections import REJECTIONS, Rejections
from bot.inbound.right_of_way import RightOfWay
from bot.inbound.shedding import LOAD, Load, shedding, straight_in, watched
from bot.inbound.spool import Spool
from bot.intents import WrittenIntents
from bot.service import accounts as service_accounts
from bot.service import model_stop
from bot.service import pages as service_pages
from bot.service import rows as service_rows
from bot.welcoming import channel_form, channel_pages, contact_ways, welcome_pages
from bot.welcoming.way_maker import WayMaker
from bot.welcoming.welcome import Greeter
from content.files import FILES, FileStore, LocalFileStore
from customers import care
from desk.keys import NOW, SESSIONS, SETTINGS, WECOM
from desk.render import set_up
from desk.shell import MIDDLEWARES, errors
from knowledge import indexing, suggestions
from knowledge.encoder import load_encoder
from knowledge.indexing import LIBRARY_INDEX, LibraryIndex
from knowledge.match_shelf import STOCKROOM, Stockroom
from knowledge.metering import Meter
from knowledge.vectors import open_store
from knowledge.writer import WRITER, OpenAIWriter, QuotingWriter, Writer
from outbound import alerts
from outbound.attachments import Stock
from outbound.facts import policy_of
from wecom.archive import ArchiveClient
from wecom.archive_consent import ARCHIVE_AGENT_ID
from wecom.client import WeComClient
from wecom.intents import Intents
from wecom.tokens import GrantStore

LARGEST_UPLOAD = 21 << 20
# Callbacks go straight in; a page that is shed still gets its headers from `errors`.
AROUND = (straight_in, errors, shedding, *(each for each in MIDDLEWARES if each is not errors))
HEARD = (
    inbox.BELL,
    indexing.BELL,
    indexing.REBUILD_BELL,
    suggestions.BELL,
    radar.BELL,
    customer_chat.QUESTION_BELL,
    talk.BELL,
    questions.BELL,
    repair.BELL,
    contact_ways.BELL,
    service_rows.BELL,
    alerts.BELL,
    care.BELL,
)


@dataclass(frozen=True)
class Parts:
    """What the application is made of; a test may put a twin in any place."""

    settings: Settings
    sessions: Sessions
    wecom: WeComClient
    archive: ArchiveClient | None
    index: LibraryIndex
    writer: Writer
    files: FileStore
    inbox: Inbox
    bells: Bells
    seal: Seal
    pairs: PairsInUse
    rejections: Rejections
    way: RightOfWay
    radar: Radar
    now: Callable[[], datetime]

    @property
    def dispatcher(self) -> Dispatcher:
        """The handler of stored events, made of these parts."""
        return Dispatcher(
            self.sessions,
            self.wecom,
            self.archive,
            self.index,
            self.writer,
            self.seal,
            self.settings,
            self.way,
        )

    @property
    def greeter(self) -> Greeter:
        """The sender of welcomes, made of these parts."""
        policy = policy_of(self.settings)
        return Greeter(self.sessions, self.wecom, self.seal, policy, self.now, self.stock, self.way)

    @property
    def stock(self) -> Stock:
        """Where attachments come from."""
        return Stock(self.files, self.settings.public_url, self.settings.radar != "off")

    @property
    def way_maker(self) -> WayMaker:
        """The maker of contact ways, made of these parts."""
        return WayMaker(self.sessions, self.wecom, self.now)


@dataclass(frozen=True)
class Ledgers:
    """What calls to WeCom are written down in; without any, a process keeps it to itself."""

    grants: GrantStore | None = None
    intents: Intents | None = None


ALONE = Ledgers()


@dataclass(frozen=True)
class Pace:
    """How calls to WeCom count seconds, wait between tries, and how long one may take."""

    seconds: Callable[[], float] = monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    timeout: float = 10.0


OF_THE_WALL = Pace()


@asynccontextmanager
async def open_parts(
    settings: Settings, *, now: Callable[[], datetime] = utc_now, pace: Pace = OF_THE_WALL
) -> AsyncIterator[Parts]:
    """The real parts, opened on the database of the settings and closed in the end."""
    async with AsyncExitStack() as stack:
        # The matrix product of one question is over before a second thread is awake; without this
        # a suggestion took twice the processor time (`python -m bot.bench --only suggestions`).
        stack.enter_context(threadpool_limits(1, user_api="blas"))
        engine = open_engine(settings.database_url)
        stack.push_async_callback(engine.dispose)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        seal = open_seal(settings)
        bells = Bells(settings.database_url, *HEARD)
        door = Inbox(settings.database_url, seal, Spool(settings.home / "spool"))
        await stack.enter_async_context(bells.running())
        await stack.enter_async_context(door.running())
        encoder = await asyncio.to_thread(load_encoder, settings.encoder)
        store = await asyncio.to_thread(open_store, settings.vectors, settings.database_url)
        stack.callback(store.close)
        sessions = open_sessions(engine)
        listening = Radar(sessions, settings.radar)
        await stack.enter_async_context(listening.running())
        # A page that holds its connection may need a token or a wording: neither waits for a page.
        apart = open_engine(settings.database_url, pool_size=2)
        stack.push_async_callback(apart.dispose)
        words = writer(settings, Meter(open_sessions(apart), settings.llm_tokens_a_day, now))
        if isinstance(words, OpenAIWriter):
            stack.push_async_callback(words.close)
        ledgers = Ledgers(
            grants=SharedGrants(open_sessions(apart), seal, now),
            intents=WrittenIntents(sessions, now),
        )
        yield Parts(
            settings=settings,
            sessions=sessions,
            wecom=wecom_client(settings, http, ledgers, pace),
            archive=archive_client(settings, http),
            index=LibraryIndex(encoder, settings.home / "index", store),
            writer=words,
            files=LocalFileStore(settings.home / "files"),
            inbox=door,
            bells=bells,
            seal=seal,
            pairs=PairsInUse(),
            rejections=Rejections(),
            way=RightOfWay(),
            radar=listening,
            now=now,
        )


def wecom_client(
    settings: Settings,
    http: aiohttp.ClientSession,
    ledgers: Ledgers = ALONE,
    pace: Pace = OF_THE_WALL,
) -> WeComClient:
    """Our app at WeCom; 微信客服 and the archive are asked with the secrets that may do so."""
    agent_id, secret = settings.wecom_agent_id, settings.wecom_secret
    client = _client_of(settings, http, agent_id, secret, ledgers, pace)
    if settings.service_agent_id not in (0, agent_id):
        client.service = _service_client(settings, http, ledgers, pace).service
    if settings.archive_url:
        archive = settings.archive_secret
        as_archive = _client_of(settings, http, ARCHIVE_AGENT_ID, archive, ledgers, pace)
        client.archive_consent = as_archive.archive_consent
    return client


def _service_client(
    settings: Settings, http: aiohttp.ClientSession, ledgers: Ledgers, pace: Pace
) -> WeComClient:
    for app in settings.wecom_more_apps:
        if app.agent_id == settings.service_agent_id:
            return _client_of(settings, http, app.agent_id, app.secret, ledgers, pace)
    raise ValueError("SIYU_SERVICE_AGENT_ID names no app of SIYU_WECOM_MORE_APPS")


def _client_of(
    settings: Settings,
    http: aiohttp.ClientSession,
    agent_id: int,
    secret: SecretStr,
    ledgers: Ledgers,
    pace: Pace,
) -> WeComClient:
    return WeComClient(
        http,
        base_url=settings.wecom_base_url,
        corp_id=settings.wecom_corp_id,
        agent_id=agent_id,
        secret=secret.get_secret_value(),
        now=pace.seconds,
        sleep=pace.sleep,
        timeout=pace.timeout,
        grants=ledgers.grants,
        intents=ledgers.intents,
    )


def archive_client(settings: Settings, http: aiohttp.ClientSession) -> ArchiveClient | None:
    """The conversation archive, where the bank has one."""
    if not settings.archive_url:
        return None
    return ArchiveClient(http, settings.archive_url, settings.archive_secret.get_secret_value())


def writer(settings: Settings, meter: Meter) -> Writer:
    """The wording model of the settings, within its budget; without one, passages are quoted."""
    if not settings.llm_base_url:
        return QuotingWriter()
    # A sixth of the time a process takes to start, and only a bank with a model needs it.
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    key = settings.llm_api_key.get_secret_value() or "none"
    # A redirect would carry the question to an address nobody has allowed.
    http = DefaultAsyncHttpxClient(follow_redirects=False)
    client = AsyncOpenAI(
        base_url=settings.llm_base_url, api_key=key, max_retries=0, http_client=http
    )
    return OpenAIWriter(client, settings.llm_model, meter=meter)


def make_app(settings: Settings, parts: Parts) -> web.Application:
    """The whole web application: every page, every address."""
    app = web.Application(middlewares=AROUND, client_max_size=LARGEST_UPLOAD)
    app[SETTINGS], app[SESSIONS], app[NOW] = settings, parts.sessions, parts.now
    app[WECOM], app[LIBRARY_INDEX], app[WRITER] = parts.wecom, parts.index, parts.writer
    app[STOCKROOM] = Stockroom(parts.index.encoder)
    app[RADAR], app[LEADS] = parts.radar, Leads(parts.sessions, settings.link_hosts)
    app[FILES], app[INBOX], app[BELLS] = parts.files, parts.inbox, parts.bells
    app[DISPATCHER], app[inbound_pages.SEAL] = parts.dispatcher, parts.seal
    app[KEYS], app[USED], app[LOAD] = accepted_keys(settings), parts.pairs, Load()
    app[REJECTIONS] = parts.rejections
    app.cleanup_ctx.append(watched)
    app[robot.ROBOT] = robot.robot_of(settings, parts.sessions, parts.index, parts.writer)
    app.on_cleanup.append(robot.close)
    set_up(app, "bot", "content", "customers", "knowledge", "outbound", "scheduler", "attribution")
    for module in PAGES:
        app.add_routes(module.routes)
    return app


PAGES = (
    health,
    webhook,
    robot,
    service_accounts,
    model_stop,
    service_pages,
    desk.signin,
    group_questions,
    group_sidebar,
    attaching,
    sidebar_actions,
    sidebar_help,
    sidebar_materials,
    sidebar_profile,
    sidebar_scripts,
    sidebar_trail,
    sidebar_stage,
    sidebar_tags,
    series,
    sidebar,
    guide,
    workbench,
    channel_form,
    channel_pages,
    welcome_pages,
    expiring_pages,
    material_use_pages,
    match_pages,
    recipient_pages,
    holder_export,
    export_pages,
    inbound_pages,
    system,
    certificate_pages,
    audit_pages,
    repair_pages,
    platform_pages,
    script_pages,
    group_question_pages,
    content.pages,
    content.suspension_pages,
    content.product_import_pages,
    content.product_change_pages,
    content.product_pages,
    customers.pages,
    customers.care_pages,
    customers.group_pages,
    customers.hold_pages,
    customers.holder_pages,
    knowledge.quality_pages,
    knowledge.style_pages,
    knowledge.pages,
    knowledge.gap_pages,
    knowledge.candidate_pages,
    outbound.pages,
    scheduler.pages,
    attribution.pages,
    desk.components,
)

"""Builds the product and wires it: the only place where parts meet and the clock is read."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

import aiohttp
from aiohttp import web
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

import attribution.pages
import content.pages
import content.product_pages
import content.review_pages
import customers.pages
import desk.components
import desk.signin
import knowledge.pages
import scheduler.pages
from bank.bells import BELLS, Bells
from bank.database import Sessions, open_engine, open_sessions, utc_now
from bank.settings import Settings
from bot import customer_chat, health, inbox, sidebar, sidebar_actions, system, webhook, workbench
from bot.demo import guide
from bot.dispatch import DISPATCHER, Dispatcher
from bot.inbox import INBOX, Inbox
from content.files import FILES, FileStore, LocalFileStore
from desk.keys import NOW, SESSIONS, SETTINGS, WECOM
from desk.render import set_up
from desk.shell import MIDDLEWARES
from knowledge import indexing, suggestions
from knowledge.encoder import load_encoder
from knowledge.indexing import LIBRARY_INDEX, LibraryIndex
from knowledge.writer import WRITER, OpenAIWriter, QuotingWriter, Writer
from wecom.archive import ArchiveClient
from wecom.callback import CallbackKeys
from wecom.client import WeComClient

LARGEST_UPLOAD = 21 << 20
HEARD = (inbox.BELL, indexing.BELL, suggestions.BELL, customer_chat.QUESTION_BELL)


@dataclass(frozen=True)
class Parts:
    """What the application is made of; a test may put a twin in any place."""

    sessions: Sessions
    wecom: WeComClient
    archive: ArchiveClient | None
    index: LibraryIndex
    writer: Writer
    files: FileStore
    inbox: Inbox
    bells: Bells
    now: Callable[[], datetime]

    @property
    def dispatcher(self) -> Dispatcher:
        """The handler of stored events, made of these parts."""
        return Dispatcher(self.sessions, self.wecom, self.archive, self.index, self.writer)


@asynccontextmanager
async def open_parts(
    settings: Settings, *, now: Callable[[], datetime] = utc_now
) -> AsyncIterator[Parts]:
    """The real parts, opened on the database of the settings and closed in the end."""
    async with AsyncExitStack() as stack:
        engine = open_engine(settings.database_url)
        stack.push_async_callback(engine.dispose)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        bells, door = Bells(settings.database_url, *HEARD), Inbox(settings.database_url)
        await stack.enter_async_context(bells.running())
        await stack.enter_async_context(door.running())
        encoder = await asyncio.to_thread(load_encoder, settings.encoder)
        words = writer(settings)
        if isinstance(words, OpenAIWriter):
            stack.push_async_callback(words.close)
        yield Parts(
            sessions=open_sessions(engine),
            wecom=wecom_client(settings, http),
            archive=archive_client(settings, http),
            index=LibraryIndex(encoder, settings.home / "index"),
            writer=words,
            files=LocalFileStore(settings.home / "files"),
            inbox=door,
            bells=bells,
            now=now,
        )


def wecom_client(settings: Settings, http: aiohttp.ClientSession) -> WeComClient:
    """Our app at WeCom."""
    return WeComClient(
        http,
        base_url=settings.wecom_base_url,
        corp_id=settings.wecom_corp_id,
        agent_id=settings.wecom_agent_id,
        secret=settings.wecom_secret.get_secret_value(),
        now=monotonic,
    )


def archive_client(settings: Settings, http: aiohttp.ClientSession) -> ArchiveClient | None:
    """The conversation archive, where the bank has one."""
    if not settings.archive_url:
        return None
    return ArchiveClient(http, settings.archive_url, settings.archive_secret.get_secret_value())


def writer(settings: Settings) -> Writer:
    """The wording model of the settings; without one, passages are quoted."""
    if not settings.llm_base_url:
        return QuotingWriter()
    key = settings.llm_api_key.get_secret_value() or "none"
    # A redirect would carry the question to an address nobody has allowed.
    http = DefaultAsyncHttpxClient(follow_redirects=False)
    client = AsyncOpenAI(
        base_url=settings.llm_base_url, api_key=key, max_retries=0, http_client=http
    )
    return OpenAIWriter(client, settings.llm_model)


def make_app(settings: Settings, parts: Parts) -> web.Application:
    """The whole web application: every page, every address."""
    app = web.Application(middlewares=MIDDLEWARES, client_max_size=LARGEST_UPLOAD)
    app[SETTINGS], app[SESSIONS], app[NOW] = settings, parts.sessions, parts.now
    app[WECOM], app[LIBRARY_INDEX], app[WRITER] = parts.wecom, parts.index, parts.writer
    app[FILES], app[INBOX], app[BELLS] = parts.files, parts.inbox, parts.bells
    app[DISPATCHER] = parts.dispatcher
    app[webhook.KEYS] = callback_keys(settings)
    set_up(app, "bot", "content", "customers", "knowledge", "scheduler", "attribution")
    for module in PAGES:
        app.add_routes(module.routes)
    return app


PAGES = (
    health,
    webhook,
    desk.signin,
    sidebar_actions,
    sidebar,
    guide,
    workbench,
    system,
    content.pages,
    content.review_pages,
    content.product_pages,
    customers.pages,
    knowledge.pages,
    scheduler.pages,
    attribution.pages,
    desk.components,
)


def callback_keys(settings: Settings) -> CallbackKeys:
    """Token and key of the callback; a server without them refuses every callback."""
    return CallbackKeys(
        token=settings.wecom_token.get_secret_value(),
        aes_key=settings.wecom_aes_key.get_secret_value() or "A" * 43,
        corp_id=settings.wecom_corp_id,
    )

"""The internal robot (智能机器人): colleagues ask, approved passages answer.

    POST /wecom/aibot   a question → the beginning of an answer, within five seconds
                        a refresh  → the answer so far, read from its row by whichever process
    GET  /wecom/aibot   the echo that proves the address ours

Quoting is done at once; a model words the answer in the background, and what it has not finished
when its process dies is quoted instead. The robot knows the library alone, and no customer.
"""

import asyncio
import secrets
from datetime import datetime, timedelta

import structlog
from aiohttp import web
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import staff as people
from bank.calendar import local
from bank.database import Sessions
from bank.models import Staff
from bank.settings import Settings
from bot.models import RobotAnswer
from desk.keys import NOW
from desk.permissions import public, streaming
from knowledge import answers
from knowledge.finding import masked_question
from knowledge.hybrid import Audience
from knowledge.indexing import LibraryIndex
from knowledge.suggestions import WORDINGS_A_MINUTE
from knowledge.writer import QuotingWriter, Writer
from wecom.aibot import (
    STREAM_BYTES,
    RobotEvent,
    RobotEventKind,
    RobotMessage,
    RobotReply,
    StreamPoll,
    StreamText,
    WelcomeText,
    open_message,
    seal_reply,
)
from wecom.callback import CallbackKeys, CallbackRejected, open_echo
from wecom.channels import Channel

log = structlog.get_logger("bot")
routes = web.RouteTableDef()

LARGEST = 1 << 20
HIGHEST_RISK = 5
# WeCom waits five seconds for the first answer; the rest is fetched by its refreshes.
FIRST_ANSWER_SECONDS = 3.0
IN_FLIGHT = 3
AT_ONCE = 6
STREAM_LIFE = timedelta(minutes=6)
# Longer than any model is waited for; an answer older than this belongs to a dead process.
LOST_AFTER = timedelta(seconds=45)

THINKING = "正在查找已审核的资料，请稍候……"
WELCOME = (
    "您好，我是内部知识助手。您可以直接问产品、业务流程和常用话术，我只引用已审核、在有效期内的素材，"
    "并注明出处和有效期。请不要在这里输入客户的姓名、手机号、账号等信息。"
)
NOT_STAFF = "您不在本系统的启用员工名单中，暂不能使用。如需开通，请联系系统管理员。"
ONLY_TEXT = "目前只能回答文字问题，请用文字描述。"
TOO_MANY = "您有三个问题正在处理，请等它们答完再提问。"
NOTHING = (
    "素材库里没有合适的已审核资料。\n\n可以换一种说法再问，或联系内容团队补充素材。"
    "这里只回答产品、流程和话术问题，不提供任何客户信息。"
)
REFUSED = "找到的资料未通过合规检查，暂不能引用："
UNKNOWN_STREAM = "没有找到这次提问，请重新提问。"
FOOT = "内部参考。发给客户前，请在侧边栏选用对应素材，并以合规检查结果为准。"


class Robot:
    """Answers colleagues' questions; its tasks end with the application."""

    def __init__(
        self, keys: CallbackKeys, sessions: Sessions, index: LibraryIndex, writer: Writer
    ) -> None:
        self.keys = keys
        self._sessions, self._index, self._writer = sessions, index, writer
        self.patience = FIRST_ANSWER_SECONDS
        # Each holds a connection of the database while it is worded.
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End what is under way; it will be quoted by whoever is asked next."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def reply(
        self, said: RobotMessage | RobotEvent | StreamPoll, now: datetime
    ) -> RobotReply | None:
        """What the robot says to this; nothing where nothing is expected."""
        if isinstance(said, StreamPoll):
            return await self._so_far(said, now)
        if isinstance(said, RobotEvent):
            entered = said.kind is RobotEventKind.ENTERED
            return WelcomeText(WELCOME) if entered else None
        return await self._asked(said, now)

    async def _asked(self, said: RobotMessage, now: datetime) -> RobotReply:
        async with self._sessions.begin() as session:
            staff = await people.by_userid(session, said.asker.userid)
            if staff is None:
                return _at_once(NOT_STAFF)
            if not said.text.strip():
                return _at_once(ONLY_TEXT)
            earlier = await _of_message(session, said.asker.msgid)
            if earlier is None and await _in_flight(session, staff.userid, now) >= IN_FLIGHT:
                return _at_once(TOO_MANY)
            row = earlier or await _begun(session, said, staff, now)
        if earlier is None:
            await self._work(row.stream_id, staff, now)
        return await self._shown(row.stream_id)

    async def _work(self, stream_id: str, staff: Staff, now: datetime) -> None:
        """Quote now, or word in the background and wait for that a little."""
        task = asyncio.create_task(self._answer(stream_id, staff, self._writer, now))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.wait([task], timeout=self.patience)

    async def _answer(self, stream_id: str, staff: Staff, writer: Writer, now: datetime) -> None:
        try:
            async with self._at_once, self._sessions.begin() as session:
                row = await session.get_one(RobotAnswer, stream_id)
                content = await self._content(session, row.question, staff, writer, now)
            await self._finish(stream_id, content)
        except Exception as error:
            # The next refresh finds it unfinished and quotes.
            log.warning("robot_failed", stream=stream_id, error=type(error).__name__)

    async def _content(
        self, session: AsyncSession, question: str, staff: Staff, writer: Writer, now: datetime
    ) -> str:
        channel = Channel.SINGLE_CHAT.value
        audience = Audience(now, channel, staff.branch_id, HIGHEST_RISK)
        found = await answers.look_up(session, question, audience, self._index)
        by = writer if await _may_word(session, staff.userid, now) else QuotingWriter()
        answer = await answers.for_colleague(session, found, by)
        if isinstance(answer, answers.Unanswered):
            refused = f"{REFUSED}{'；'.join(answer.reasons)}"
            return refused if found.tier != "none" else NOTHING
        return rendered(found, answer)

    async def _finish(self, stream_id: str, content: str) -> None:
        async with self._sessions.begin() as session:
            row = await session.get_one(RobotAnswer, stream_id, with_for_update=True)
            if not row.finished:
                row.content, row.finished = content, True
        log.info("robot_answered", stream=stream_id)

    async def _so_far(self, poll: StreamPoll, now: datetime) -> RobotReply:
        async with self._sessions() as session:
            row = await session.get(RobotAnswer, poll.stream_id)
            staff = await people.by_userid(session, poll.asker.userid)
        if row is None or staff is None or staff.userid != row.userid:
            return StreamText(poll.stream_id or "unknown", UNKNOWN_STREAM, finish=True)
        if not row.finished and now - row.asked_at > LOST_AFTER:
            await self._answer(row.stream_id, staff, QuotingWriter(), now)
        return await self._shown(row.stream_id)

    async def _shown(self, stream_id: str) -> RobotReply:
        async with self._sessions() as session:
            row = await session.get_one(RobotAnswer, stream_id)
        return StreamText(stream_id, row.content or THINKING, finish=row.finished)


def rendered(found: answers.Found, answer: answers.Answered) -> str:
    """An answer in Markdown: the words, each source with title and validity, and what it is for."""
    doubt = "" if found.tier == "answer" else "以下资料可能相关，请核对后使用。\n\n"
    documents = {document.version_id: document for document in found.documents}
    lines = [
        f"> 来源：《{source.title}》V{source.number}"
        f"，有效期至 {_day(documents[source.version_id].valid_until)}"
        for source in answer.sources
    ]
    end = "\n".join([*lines, f"> {FOOT}"])
    room = STREAM_BYTES - len(f"{doubt}\n\n{end}".encode())
    return f"{doubt}{_cut(answer.text, room)}\n\n{end}"


def _day(moment: datetime | None) -> str:
    return local(moment).strftime("%Y-%m-%d") if moment else "—"


def _cut(text: str, most: int) -> str:
    if len(text.encode()) <= most:
        return text
    return text.encode()[: most - 3].decode(errors="ignore") + "…"


def _at_once(content: str) -> StreamText:
    return StreamText(secrets.token_urlsafe(16), content, finish=True)


async def _of_message(session: AsyncSession, msgid: str) -> RobotAnswer | None:
    query = select(RobotAnswer).where(RobotAnswer.msgid == msgid)
    return (await session.execute(query)).scalar_one_or_none()


async def _in_flight(session: AsyncSession, userid: str, now: datetime) -> int:
    query = select(func.count(col(RobotAnswer.stream_id))).where(
        RobotAnswer.userid == userid,
        col(RobotAnswer.finished).is_(False),
        col(RobotAnswer.asked_at) > now - STREAM_LIFE,
    )
    return (await session.execute(query)).scalar_one()


async def _may_word(session: AsyncSession, userid: str, now: datetime) -> bool:
    """Whether a model may still word for this colleague this minute (L-07)."""
    query = select(func.count(col(RobotAnswer.stream_id))).where(
        RobotAnswer.userid == userid, col(RobotAnswer.asked_at) > now - timedelta(minutes=1)
    )
    return (await session.execute(query)).scalar_one() <= WORDINGS_A_MINUTE


async def _begun(
    session: AsyncSession, said: RobotMessage, staff: Staff, now: datetime
) -> RobotAnswer:
    """The answer's row, once for the message; of two deliveries at once the second finds it."""
    row = RobotAnswer(
        stream_id=secrets.token_urlsafe(16),
        msgid=said.asker.msgid,
        userid=staff.userid,
        question=masked_question(said.text),
        asked_at=now,
    )
    written = insert(RobotAnswer).values(row.model_dump())
    await session.execute(written.on_conflict_do_nothing(index_elements=["msgid"]))
    found = await _of_message(session, said.asker.msgid)
    if found is None:
        raise LookupError("the answer's row is gone")
    return found


ROBOT: web.AppKey[Robot | None] = web.AppKey("ROBOT")


def robot_of(
    settings: Settings, sessions: Sessions, index: LibraryIndex, writer: Writer
) -> Robot | None:
    """The robot of the settings; None where the bank has none."""
    token = settings.robot_token.get_secret_value()
    if not token:
        return None
    keys = CallbackKeys(token=token, aes_key=settings.robot_aes_key.get_secret_value(), corp_id="")
    return Robot(keys, sessions, index, writer)


async def close(app: web.Application) -> None:
    """End the robot with the application."""
    if robot := app[ROBOT]:
        await robot.close()


def _robot(request: web.Request) -> Robot:
    robot = request.app[ROBOT]
    if robot is None:
        raise web.HTTPNotFound
    return robot


@routes.get("/wecom/aibot")
@streaming
@public
async def echo(request: web.Request) -> web.Response:
    """Prove to WeCom that the address is ours: the decrypted echo, bare."""
    try:
        return web.Response(text=open_echo(_robot(request).keys, request.query))
    except CallbackRejected:
        return web.Response(status=403)


@routes.post("/wecom/aibot")
@streaming
@public
async def receive(request: web.Request) -> web.Response:
    """Answer a colleague's question, a refresh of an answer, or the opening of the chat."""
    robot, now = _robot(request), request.app[NOW]()
    if request.content_length is None or request.content_length > LARGEST:
        return web.Response(status=413)
    try:
        said = open_message(robot.keys, request.query, await request.read())
    except CallbackRejected:
        log.warning("robot_callback_rejected")
        return web.Response(status=403)
    reply = await robot.reply(said, now)
    if reply is None:
        return web.Response()
    sealed = seal_reply(robot.keys, reply, secrets.token_hex(8), int(now.timestamp()))
    return web.json_response(sealed)

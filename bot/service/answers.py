"""Answers in 微信客服 without a person: decided, written down, and only then sent.

    a customer's message, open
      └ decide     state and switches are read; one transaction writes what will be said, or why not
    a message of ours, open
      └ say        everything is looked at again right before it goes; its id is taken once

What is said comes from an approved passage of this moment, word for word, marked as made by a
machine. In every doubt a person answers.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from bank.database import Sessions
from bank.settings import Settings
from bot.models import ServiceMessage, ServiceSession, ServiceSpeaker
from bot.service import caring, saying, words
from bot.service import handover as service_handover
from bot.service import rows as service_rows
from bot.service.greeting import answers_here
from bot.service.rows import Words
from compliance.courtesy import is_courtesy
from knowledge import answers
from knowledge.hybrid import Audience
from knowledge.indexing import LibraryIndex
from knowledge.parts import parts_of
from outbound import records
from outbound.check import Cause, Cleared, Refused
from wecom.channels import Channel
from wecom.client import WeComClient
from wecom.errors import ServiceStateWrong, WeComError
from wecom.service import ServiceStanding
from wecom.service_messages import ServiceState

log = structlog.get_logger("bot")

LONGEST_WAIT = timedelta(minutes=10)
# Nobody knows who asks: material without products only (0), for all branches.
UNKNOWN_CUSTOMER = 0


@dataclass(frozen=True)
class Leave:
    """Nothing is to be said, and why."""

    reason: str


@dataclass(frozen=True)
class HandOver:
    """A person is to answer, and why."""

    reason: str


Decision = Words | Leave | HandOver
_ELSEWHERE = {
    ServiceState.WAITING: words.WAITS,
    ServiceState.SERVICER: words.SERVED,
    ServiceState.ENDED: words.ENDED,
}


@dataclass(frozen=True)
class Assistant:
    """Answers for the accounts that are switched on; any number of processes may run one."""

    sessions: Sessions
    wecom: WeComClient
    settings: Settings
    index: LibraryIndex

    async def work(self, now: datetime) -> int:
        """Decide about every open question, say what was decided; how many rows were handled."""
        async with self.sessions.begin() as session:
            await service_rows.give_up_lost(session, now)
        handled = 0
        while question := await self._claim(ServiceSpeaker.CUSTOMER, now):
            await self._safely(question, now, said=False)
            handled += 1
        while message := await self._claim(ServiceSpeaker.ROBOT, now):
            await self._safely(message, now, said=True)
            handled += 1
        return handled

    async def _claim(self, speaker: ServiceSpeaker, now: datetime) -> UUID | None:
        async with self.sessions.begin() as session:
            return await service_rows.claim(session, speaker, now)

    async def _safely(self, message_id: UUID, now: datetime, *, said: bool) -> None:
        """A failure leaves its reason and comes again; after the last try it is ruled out."""
        try:
            await (self._say(message_id, now) if said else self._decide(message_id, now))
        except Exception as error:
            log.warning("service_failed", message=str(message_id), error=type(error).__name__)
            await self._postpone(message_id, error, now)

    async def _postpone(self, message_id: UUID, error: Exception, now: datetime) -> None:
        pause = (error.retry_after or 0.0) if isinstance(error, WeComError) else 0.0
        async with self.sessions.begin() as session:
            row = await session.get_one(ServiceMessage, message_id, with_for_update=True)
            if not row.answered:
                service_rows.postpone(row, f"{words.UNCLEAR}（{type(error).__name__}）", pause, now)

    async def _decide(self, question_id: UUID, now: datetime) -> None:
        async with self.sessions.begin() as session:
            question = await session.get_one(ServiceMessage, question_id, with_for_update=True)
            chat = await session.get_one(ServiceSession, question.session_id)
            if question.answered:
                return
            on = await answers_here(session, self.settings, chat.id)
            if not on and chat.state != ServiceState.ROBOT:
                service_rows.settle(question, words.OFF)
                return
        standing = await self.wecom.service.standing(chat.open_kfid, chat.external_userid)
        async with self.sessions.begin() as session:
            # The session first, then its messages: whoever pulls takes them in the same order.
            chat = await service_rows.locked(session, chat.id)
            question = await session.get_one(
                ServiceMessage, question_id, with_for_update=True, populate_existing=True
            )
            if not question.answered:
                service_rows.note_state(chat, standing, now)
                decision = await self._decision(session, question, chat, now)
                await _write_down(session, question, chat, decision, now)

    async def _decision(
        self, session: AsyncSession, question: ServiceMessage, chat: ServiceSession, now: datetime
    ) -> Decision:
        if chat.state not in service_rows.ANSWERABLE:
            return Leave(_ELSEWHERE[ServiceState(chat.state)])
        if await service_rows.hands_over(session, chat.id):
            return Leave(words.WAITS)
        if not service_rows.is_open(chat, now):
            return Leave(words.OVERDUE)
        if not await answers_here(session, self.settings, chat.id):
            # The assistant holds the session and may not speak: it must let go of it.
            ours = chat.state == ServiceState.ROBOT
            return HandOver(words.STOPPED_SINCE) if ours else Leave(words.OFF)
        if await caring.needs_person(session, chat):
            return HandOver(words.why_a_person(question.text) or words.CARED_FOR)
        fixed = self._fixed(question, chat, now)
        return fixed or await self._quoted(session, question, chat, now)

    def _fixed(
        self, question: ServiceMessage, chat: ServiceSession, now: datetime
    ) -> Decision | None:
        """What needs no library: who must be answered by a person, who only greets."""
        if question.kind != "text":
            return HandOver(words.NOT_TEXT)
        if reason := words.why_a_person(question.text):
            return HandOver(reason)
        # A machine that answers one of two questions seems to have answered both.
        if parts_of(question.text, (), ()):
            return HandOver(words.SEVERAL)
        if now - question.sent_at > LONGEST_WAIT:
            return HandOver(words.TOO_LATE)
        if chat.sent_since >= service_rows.A_WINDOW - 1:
            return HandOver(words.USED_UP)
        if words.asks_who(question.text):
            said = words.introduction(self.settings.bank_name)
            return Words(service_rows.NOTICE, said, question.msgid)
        return Leave(words.COURTESY) if is_courtesy(question.text) else None

    async def _quoted(
        self, session: AsyncSession, question: ServiceMessage, chat: ServiceSession, now: datetime
    ) -> Decision:
        """An approved passage, sure enough and clean as a whole; else a person."""
        audience = Audience(now, Channel.KF.value, None, UNKNOWN_CUSTOMER)
        found = await answers.look_up(session, question.text, audience, self.index)
        answer = answers.quoted(found, self.settings.service_confidence)
        question.confidence = answer.confidence
        if isinstance(answer, answers.Unanswered):
            return HandOver("；".join(answer.reasons))
        titles = tuple(dict.fromkeys(source.title for source in answer.sources))
        text = words.sourced(answer.text, titles)
        versions = tuple(dict.fromkeys(source.version_id for source in answer.sources))
        said = Words(service_rows.ANSWER, text, question.msgid, versions, answer.confidence)
        judged = await saying.judge(session, self.settings, chat, said, now)
        if isinstance(judged, Refused):
            return HandOver("；".join(judged.reasons))
        return replace(said, text=judged.text)

    async def _say(self, message_id: UUID, now: datetime) -> None:
        async with self.sessions.begin() as session:
            message = await session.get_one(ServiceMessage, message_id)
            chat = await service_rows.locked(session, message.session_id)
            message = await session.get_one(
                ServiceMessage, message_id, with_for_update=True, populate_existing=True
            )
            if message.answered:
                return
            planned = message.kind == service_rows.HANDOVER
            cleared = "" if planned else await self._cleared(session, message, chat, now)
            if not planned and isinstance(cleared, str):
                await _give_up(session, message, chat, cleared, now)
                return
        if isinstance(cleared, str):
            await service_handover.complete(
                self.sessions, self.wecom, self.settings, message_id, now
            )
            return
        await self._become_robot(chat, now)
        failure = await service_handover.tell(self.wecom, chat, message, cleared, now)
        standing = await self._standing_after(chat, failure)
        await self._settle(message_id, failure, standing, now)

    async def _cleared(
        self, session: AsyncSession, message: ServiceMessage, chat: ServiceSession, now: datetime
    ) -> Cleared | str:
        """What may go out now, or what has come between the decision and its sending."""
        if not await answers_here(session, self.settings, chat.id):
            return words.STOPPED
        if chat.state not in service_rows.ANSWERABLE:
            return words.REPLACED
        if await caring.needs_person(session, chat):
            return words.CARED_FOR
        answer = await saying.clear(session, self.settings, chat, message, now)
        if isinstance(answer, Cleared):
            return answer
        gone = answer.cause in (Cause.MATERIAL, Cause.SUITABILITY)
        return words.WITHDRAWN if gone else "；".join(answer.reasons)

    async def _become_robot(self, chat: ServiceSession, now: datetime) -> None:
        """Out of 未处理 the assistant takes the session before it speaks."""
        if chat.state != ServiceState.NEW:
            return
        try:
            await self.wecom.service.move(chat.open_kfid, chat.external_userid, ServiceState.ROBOT)
        except ServiceStateWrong:
            return  # sending says the rest
        async with self.sessions.begin() as session:
            taken = await service_rows.locked(session, chat.id)
            if taken.state == ServiceState.NEW:
                taken.state, taken.changed_at = int(ServiceState.ROBOT), now

    async def _standing_after(self, chat: ServiceSession, failure: str) -> ServiceStanding | None:
        if not failure:
            return None
        return await self.wecom.service.standing(chat.open_kfid, chat.external_userid)

    async def _settle(
        self, message_id: UUID, failure: str, standing: ServiceStanding | None, now: datetime
    ) -> None:
        async with self.sessions.begin() as session:
            message = await session.get_one(ServiceMessage, message_id)
            chat = await service_rows.locked(session, message.session_id)
            await session.refresh(message, with_for_update=True)
            if standing is not None:
                service_rows.note_state(chat, standing, now)
            if message.answered:
                return  # WeCom's note that it did not arrive came first
            if failure:
                await _give_up(session, message, chat, failure, now)
                await records.unsent(session, saying.SOURCE, [message.msgid], now)
            else:
                service_rows.settle(message)
                await records.sent(session, saying.SOURCE, message.msgid, now)
        log.info("service_answered", message=str(message_id), failed=bool(failure))


async def _write_down(
    session: AsyncSession,
    question: ServiceMessage,
    chat: ServiceSession,
    decision: Decision,
    now: datetime,
) -> None:
    """Decision and question in one transaction: whoever dies after it has decided for good."""
    match decision:
        case Words():
            service_rows.settle(question)
            await service_rows.say(session, chat, decision, now)
        case HandOver(reason):
            service_rows.settle(question, reason)
            await service_handover.plan(session, chat, reason, question.msgid, now)
        case Leave(reason):
            service_rows.settle(question, reason)


async def _give_up(
    session: AsyncSession,
    message: ServiceMessage,
    chat: ServiceSession,
    reason: str,
    now: datetime,
) -> None:
    """What cannot be said is not left unsaid: while the session is still ours, a person answers."""
    service_rows.settle(message, reason)
    ours = chat.state == ServiceState.ROBOT
    if ours or (reason != words.STOPPED and chat.state in service_rows.ANSWERABLE):
        await service_handover.plan(session, chat, reason, message.msgid, now)

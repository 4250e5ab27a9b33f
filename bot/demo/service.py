"""微信客服 of the demo bank: one account, the RMs who serve it, the conversations of a week."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import at_local
from bank.models import Role, Staff
from bot.demo.library import Paper, Shelf, line
from bot.demo.people import Client, People
from bot.demo.rows import Rows, ident, row
from bot.demo.said import Spoken, said
from bot.models import ServiceAccount, ServiceMessage, ServiceSession, ServiceSpeaker
from bot.service import rows as service_rows
from bot.service import words
from compliance.imprint import with_ai_mark
from outbound.facts import FIXED, QUOTING
from outbound.models import Door
from wecom.service_messages import ServiceState
from wecom.simulator import service_state as platform

OPEN_KFID = "wkYunzhouService"
NAME = "云州银行客服"
SERVICERS = 4
# Days ago, hour, what the customer asks, and the material that answers; without one, a person does.
TALKS = (
    (6, time(10, 12), "业绩比较基准是什么意思", "FAQ-005"),
    (5, time(15, 40), "风险测评在哪里做", "FAQ-008"),
    (4, time(9, 55), "我的余额怎么少了", ""),
    (4, time(20, 5), "银行理财保不保本", "FAQ-007"),
    (3, time(11, 31), "我要找客户经理", ""),
    (2, time(16, 8), "理财赎回后多久到账", "FAQ-001"),
    (1, time(14, 20), "净值多久更新一次", "FAQ-004"),
    (1, time(16, 47), "帮我把这笔理财赎回", ""),
)
REPLY = "您好，我是{name}。您的问题我来跟进，请您稍等，我核实后在这里回复您。"


@dataclass(frozen=True)
class _Talk:
    """One conversation while it is being written."""

    rows: Rows
    chat: ServiceSession
    client: Client

    def say(
        self,
        speaker: ServiceSpeaker,
        kind: str,
        text: str,
        at: datetime,
        *,
        failure: str = "",
        paper: Paper | None = None,
        confidence: float | None = None,
    ) -> None:
        """Somebody says something."""
        number = len([m for m in self.rows.of(ServiceMessage) if m.session_id == self.chat.id])
        message_id = ident("kf", self.chat.external_userid, number)
        self.rows.add(
            row(
                ServiceMessage,
                id=message_id,
                msgid=message_id.hex,
                session_id=self.chat.id,
                speaker=speaker,
                kind=kind,
                text=text,
                sent_at=at,
                stored_at=at + timedelta(seconds=1),
                answered=True,
                failure=failure,
                version_ids=[str(paper.version.id)] if paper else [],
                confidence=confidence,
            )
        )
        if speaker is ServiceSpeaker.ROBOT:
            spoken = Spoken(Door.SERVICE, message_id.hex, self.client, None, text, at)
            answers = paper is not None
            writer = QUOTING if answers else FIXED
            said(self.rows, spoken, paper, writer=writer, ai_assisted=answers, ai_marked=answers)


def service(rows: Rows, cast: People, shelf: Shelf, today: date, bank_name: str) -> None:
    """The account, switched on by headquarters, and what was said lately."""
    [hq] = cast.having(Role.HQ)
    opened = at_local(today - timedelta(days=7), time(9, 30))
    rows.add(row(ServiceAccount, open_kfid=OPEN_KFID, name=NAME, automatic=True, checked_at=opened))
    act = "bot:service_account:automatic_on"
    rows.add(line(act, OPEN_KFID, hq.userid, opened, name=NAME))
    servicers = _servicers(cast.staff)
    strangers = [client for client in cast.clients if client.row.external_userid][40:]
    for number, (days, hour, question, code) in enumerate(TALKS):
        at = at_local(today - timedelta(days=days), hour)
        client = strangers[number * 7]
        talk = _begun(rows, client, at, bank_name)
        if code:
            _answered(talk, shelf, code, question, at)
        else:
            _handed_over(talk, question, at, servicers[number % len(servicers)])


def _servicers(staff: Sequence[Staff]) -> list[Staff]:
    return [person for person in staff if person.roles == [Role.RM.value]][:SERVICERS]


def _begun(rows: Rows, client: Client, at: datetime, bank_name: str) -> _Talk:
    chat = row(
        ServiceSession,
        id=ident("kf", client.row.external_userid),
        open_kfid=OPEN_KFID,
        external_userid=client.row.external_userid,
        nickname=client.row.name,
        state=int(ServiceState.ROBOT),
        wrote_at=at,
        sent_since=1,
        opened_at=at - timedelta(seconds=20),
        changed_at=at,
    )
    rows.add(chat)
    talk = _Talk(rows, chat, client)
    hello = words.introduction(bank_name)
    talk.say(ServiceSpeaker.ROBOT, service_rows.WELCOME, hello, at - timedelta(seconds=18))
    return talk


def _answered(talk: _Talk, shelf: Shelf, code: str, question: str, at: datetime) -> None:
    paper = shelf.papers[code][-1]
    talk.say(ServiceSpeaker.CUSTOMER, "text", question, at)
    talk.say(
        ServiceSpeaker.ROBOT,
        service_rows.ANSWER,
        with_ai_mark(words.sourced(paper.passages[0], (paper.version.title,)), confirmed=False),
        at + timedelta(seconds=2),
        paper=paper,
        confidence=0.9 + len(question) / 1000,
    )


def _handed_over(talk: _Talk, question: str, at: datetime, servicer: Staff) -> None:
    reason, minute = words.why_a_person(question), timedelta(minutes=1)
    talk.say(ServiceSpeaker.CUSTOMER, "text", question, at, failure=reason)
    talk.say(ServiceSpeaker.ROBOT, service_rows.HANDOVER, words.HANDOVER, at + minute / 30)
    reply = REPLY.format(name=servicer.name)
    talk.say(ServiceSpeaker.SERVICER, "text", reply, at + 3 * minute)
    talk.chat.handover_reason, talk.chat.servicer = reason, servicer.userid
    talk.chat.state, talk.chat.changed_at = int(ServiceState.ENDED), at + 26 * minute
    act = "bot:service:take_over"
    talk.rows.add(line(act, talk.chat.id, servicer.userid, at + 2 * minute))


async def seeded_service(session: AsyncSession) -> platform.ServiceHall:
    """The same account and conversations as the platform remembers them."""
    rms = select(Staff).where(col(Staff.enabled)).order_by(col(Staff.userid))
    servicers = _servicers(list((await session.execute(rms)).scalars()))
    hall = platform.ServiceHall()
    hall.accounts[OPEN_KFID] = platform.ServiceAccount(
        OPEN_KFID, NAME, servicers={person.userid: True for person in servicers}
    )
    said = (
        select(ServiceMessage, ServiceSession)
        .join(ServiceSession, col(ServiceSession.id) == col(ServiceMessage.session_id))
        .order_by(col(ServiceMessage.sent_at), col(ServiceMessage.id))
    )
    for seq, (message, chat) in enumerate(await session.execute(said), 1):
        hall.items.append(_item(seq, message, chat))
        remembered = hall.session(chat.open_kfid, chat.external_userid)
        remembered.state, remembered.wrote_at = chat.state, chat.wrote_at
    return hall


def _item(seq: int, message: ServiceMessage, chat: ServiceSession) -> platform.ServiceItem:
    origins = {
        ServiceSpeaker.CUSTOMER: platform.CUSTOMER,
        ServiceSpeaker.SERVICER: platform.SERVICER,
    }
    origin = origins.get(message.speaker, platform.PRODUCT)
    return platform.ServiceItem(
        seq=seq,
        msgid=message.msgid,
        open_kfid=chat.open_kfid,
        external_userid=chat.external_userid,
        origin=origin,
        msgtype="text",
        body={"content": message.text},
        at=message.sent_at,
        servicer=chat.servicer if origin == platform.SERVICER else "",
    )

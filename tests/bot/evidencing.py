"""A customer with a history for evidence packs: chat, suggestion, touch, approved material."""

from dataclasses import dataclass
from datetime import time, timedelta
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from attribution.models import Touchpoint, TouchpointKind
from bank import audit
from bank.models import Role, Staff
from bot.models import Message, Speaker, Welcome, WelcomeState
from content.files import FileStore
from content.materials import fingerprint
from content.models import StoredFile, Version
from customers.models import Customer, Follow
from knowledge.models import Suggestion, SuggestionState
from outbound import records
from outbound.check import Cleared, Refused, check_and_record
from outbound.facts import Policy, Saying
from outbound.models import Door
from scheduler.models import (
    Arm,
    Enrolment,
    SendTask,
    Sop,
    SopState,
    Step,
    TaskState,
    Touch,
    TouchState,
    Trigger,
)
from tests.builders import MONDAY, a_customer, a_follow, a_staff, an_approved_material

MOBILE = "13812345678"
FILE = b"%PDF-1.7 the exact bytes"


@dataclass
class History:
    """The rows a test asks about."""

    customer: Customer
    rm: Staff
    compliance: Staff
    follow: Follow
    version: Version
    touch: Touch
    suggestion: Suggestion
    other: Customer  # nothing of theirs may be in the pack
    tried: Version  # only an attempt that was refused made use of it


async def a_history(session: AsyncSession, files: FileStore) -> History:
    """A customer who asked, was answered, and got a touch; and another one who did too."""
    rm = await a_staff(session, Role.RM)
    compliance = await a_staff(session, Role.COMPLIANCE, name="周岚")
    customer = await a_customer(session, name="李晓岚")
    follow = await a_follow(session, rm, customer)
    version = await _with_file(session, files, await an_approved_material(session, risk=2))
    suggestion = _answered(session, rm, customer, version)
    touch = await _touched(session, rm, customer, version)
    other = await a_customer(session, name="赵无关")
    tried = await an_approved_material(session, title="申购说明", body="申购当日确认。")
    for who in (customer, other):
        await _spoken(session, rm, who, version, tried, touch)
    _said(session, rm, other, "我是另一位客户")
    _answered(session, rm, other, version)
    audit.record(session, "content:version:approve", version.id, by="qianshen", now=MONDAY)
    audit.record(
        session,
        "customers:customer:stage",
        customer.id,
        by=rm.userid,
        now=MONDAY,
        note=f"客户李晓岚电话{MOBILE}",
    )
    audit.record(session, "customers:customer:stage", other.id, by=rm.userid, now=MONDAY)
    audit.record(session, "scheduler:touch:cancel", touch.id, by=rm.userid, now=MONDAY)
    await session.commit()
    return History(customer, rm, compliance, follow, version, touch, suggestion, other, tried)


async def _with_file(session: AsyncSession, files: FileStore, version: Version) -> Version:
    """The version as if made from an uploaded file."""
    stored = StoredFile(
        id=uuid4(),
        name="赎回说明.pdf",
        media_type="application/pdf",
        size=len(FILE),
        sha256="",
        uploaded_by=version.author_id,
        uploaded_at=MONDAY,
    )
    await files.put(stored.id, FILE)
    session.add(stored)
    await session.flush()
    version.file_id = stored.id
    version.sha256 = fingerprint(version.title, version.body, version.questions, FILE)
    return version


async def _spoken(
    session: AsyncSession, rm: Staff, customer: Customer, version: Version, tried: Version,
    touch: Touch,
) -> None:  # fmt: skip
    """What the touch said when customers could not be known yet, and words of misconduct."""
    own = touch.customer_id == customer.id
    policy = Policy("云州银行", (), ai_label=True)
    greeting = Saying(
        Door.TOUCH, version.body, frozenset({version.id}), rm.id, customer.id,
        str(customer.external_userid), marketing=True,
    )  # fmt: skip
    source = str(touch.id) if own else str(uuid4())
    assert isinstance(await check_and_record(session, greeting, source, policy, MONDAY), Cleared)
    row = (await records.cleared(session, "touch", source)) if own else None
    if row is not None:
        row.customer_id = None
    secret = Saying(
        Door.SIDEBAR, f"{customer.name}，电话{MOBILE}，把钱转到我个人账户，我帮您操作买入。",
        frozenset({tried.id}), rm.id, customer.id, str(customer.external_userid), suggested="x",
    )  # fmt: skip
    refused = await check_and_record(session, secret, f"s-{customer.id}", policy, MONDAY)
    assert isinstance(refused, Refused)


def _said(session: AsyncSession, rm: Staff, customer: Customer, text: str) -> UUID:
    message = Message(
        msgid=str(uuid4()),
        staff_id=rm.id,
        customer_id=customer.id,
        speaker=Speaker.CUSTOMER,
        text=text,
        sent_at=MONDAY,
        stored_at=MONDAY,
    )
    session.add(message)
    return message.id


def _answered(session: AsyncSession, rm: Staff, customer: Customer, version: Version) -> Suggestion:
    asked = _said(session, rm, customer, f"我是{customer.name}，电话{MOBILE}，赎回几天到账")
    suggestion = Suggestion(
        question_key=f"message:{asked}",
        customer_id=customer.id,
        staff_id=rm.id,
        channel="single_chat",
        question="赎回几天到账",
        created_at=MONDAY,
        state=SuggestionState.SENT,
        tier="answer",
        confidence=0.9,
        draft=version.body,
        citations=[{"version_id": str(version.id), "text": version.body}],
        candidates=[{"version_id": str(version.id), "score": 0.9}],
        filters={"risk_ceiling": 3},
        verdict={"level": "pass", "findings": []},
        writer="quoting",
        generation="g1",
        version_id=version.id,
        sent_text=version.body,
        decided_at=MONDAY + timedelta(minutes=2),
    )
    session.add(suggestion)
    return suggestion


async def _touched(session: AsyncSession, rm: Staff, customer: Customer, version: Version) -> Touch:
    sop = Sop(
        code=f"S-{rm.userid}",
        name="新客陪伴",
        kind="新客",
        goal="测评",
        trigger=Trigger.MANUAL,
        control_percent=0,
        marketing=True,
        state=SopState.RUNNING,
        owner_id=rm.id,
        created_at=MONDAY,
    )
    session.add(sop)
    await session.flush()
    step = Step(sop_id=sop.id, position=1, day=0, at=time(10), material_id=version.material_id)
    enrolment = Enrolment(
        sop_id=sop.id,
        customer_id=customer.id,
        staff_id=rm.id,
        arm=Arm.TREATED,
        starts_at=MONDAY,
        enrolled_at=MONDAY,
    )
    task = SendTask(
        staff_id=rm.id,
        version_id=version.id,
        text=version.body,
        state=TaskState.CLOSED,
        msgid="msg-1",
        intent_at=MONDAY,
        handed_at=MONDAY,
    )
    session.add_all([step, enrolment, task])
    await session.flush()
    touch = Touch(
        enrolment_id=enrolment.id,
        step_id=step.id,
        customer_id=customer.id,
        staff_id=rm.id,
        due_at=MONDAY,
        planned_for=MONDAY,
        state=TouchState.DELIVERED,
        task_id=task.id,
        version_id=version.id,
        settled_at=MONDAY + timedelta(hours=1),
    )
    welcome = Welcome(
        code_digest=b"\xff\x00",
        userid=rm.userid,
        external_userid=str(customer.external_userid),
        version_id=version.id,
        state=WelcomeState.SENT,
        created_at=MONDAY,
        received_at=MONDAY,
    )
    session.add_all([touch, welcome])
    await session.flush()
    session.add(
        Touchpoint(
            customer_id=customer.id,
            staff_id=rm.id,
            kind=TouchpointKind.TOUCH_DELIVERED,
            channel="mass_send",
            at=MONDAY,
            version_id=version.id,
            source="touch",
            source_id=str(touch.id),
        )
    )
    return touch

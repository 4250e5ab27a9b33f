"""The story of the product, played over real HTTP without a person.

A material is written and approved, a customer asks, the RM sends, an article is read, a new
customer gets the first touch of a SOP, a conversion arrives and is credited, the material is
withdrawn. Each step looks into the tables for what it should have stored and fails loudly if it is
not there.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

import aiohttp
from sqlalchemy import func
from sqlmodel import col, select

from attribution.models import Conversion, ConversionState, Credit, Touchpoint, TouchpointKind
from bank.calendar import at_local, local_day
from bank.database import utc_now
from bank.models import Role, Staff
from bank.settings import Settings
from bot.app import Parts
from bot.demo import run
from bot.demo.reading import read
from bot.demo.visitor import StepFailed, Visitor
from bot.models import ContactWay, WayState, Welcome, WelcomeState
from content.models import Material, State, Version
from content.roads import BUSINESS
from customers.models import Customer, Follow, FollowState
from knowledge.models import Suggestion, SuggestionState
from outbound.models import OutboundMessage, OutboundState
from scheduler.models import Arm, Enrolment, SendTask, Touch, TouchState

PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.1
CHAT_OPENS = time(9, 40)
AFTER_THE_FIRST_TOUCH = time(10, 5)

TITLE = "大额赎回需要提前预约吗"
BODY = (
    "您好，单日赎回金额较大时，建议您提前一个工作日联系我登记，便于网点安排资金。"
    "是否触发巨额赎回以及如何处理，以产品说明书的约定为准。\n\n"
    "登记时请准备好产品名称、计划赎回的份额和到账账户，我会在当天下班前给您答复。"
)
QUESTIONS = "大额赎回要不要提前预约\n我想一次赎回几百万要先打招呼吗\n赎回金额很大需要预约吗"
ASKED = "我打算一次赎回三百万，需要提前预约吗"
AMOUNT_CENTS = 100_000_01


@dataclass(frozen=True)
class Step:
    """One step and what it stored."""

    name: str
    says: str
    stored: dict[str, Any]
    seconds: float

    def facts(self) -> dict[str, Any]:
        """For machines."""
        return {"step": self.name, "seconds": round(self.seconds, 2), "stored": self.stored}

    def line(self) -> str:
        """For a terminal."""
        return f"{self.says}（{self.seconds:.1f} 秒）{json.dumps(self.stored, ensure_ascii=False)}"


class Clock:
    """The story's time: runs as the real one does, and can be moved to another hour."""

    def __init__(self, start: datetime) -> None:
        self._ahead = start - utc_now()

    def __call__(self) -> datetime:
        return utc_now() + self._ahead

    def at(self, moment: datetime) -> None:
        """It is that moment now."""
        self._ahead = moment - utc_now()


@dataclass
class Scene:
    """What the steps share."""

    base: str
    parts: Parts
    clock: Clock
    http: aiohttp.ClientSession
    userids: dict[Role, str]
    rm: Staff
    customer: Customer
    began: datetime
    version_id: UUID | None = None
    suggestion_id: UUID | None = None
    newcomer: str = ""
    told: list[Step] = field(default_factory=list)

    def desk(self, role: Role) -> Visitor:
        """Somebody of that role at their browser."""
        return Visitor(self.base, self.userids[role])

    async def control(self, verb: str, **wish: Any) -> dict[str, Any]:
        """Make somebody act on the simulated platform."""
        address = f"{self.base}/simulator/control/{verb}"
        async with self.http.post(address, json=wish) as response:
            if response.status != 200:
                raise StepFailed(f"the platform refused {verb}: {await response.text()}")
            answer: dict[str, Any] = await response.json()
            return answer

    async def seen_by(self, external_userid: str) -> list[str]:
        """What this customer really saw."""
        async with self.http.get(f"{self.base}/simulator/control/ledger") as response:
            lines = (await response.json())["ledger"]
        return [line["text"] for line in lines if line["external_userid"] == external_userid]

    async def until(self, what: str, look: Callable[[], Awaitable[Any]]) -> Any:
        """Look again until something is there; too long is a failure."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            if found := await look():
                return found
            if asyncio.get_running_loop().time() > deadline:
                raise StepFailed(f"{what}: not there after {PATIENCE_SECONDS:.0f} s")
            await asyncio.sleep(LOOK_SECONDS)

    async def one(self, query: Any) -> Any:
        """The first row of a query, read afresh."""
        async with self.parts.sessions() as session:
            return (await session.execute(query)).scalars().first()


Play = Callable[[Scene], Awaitable[dict[str, Any]]]


async def play(settings: Settings, port: int, tell: Callable[[Step], None]) -> bool:
    """Play every step; False as soon as one fails, after saying why."""
    clock = Clock(utc_now())
    async with run.demo(settings, port, now=clock) as parts:
        clock.at(await _a_free_morning(parts))
        async with _scene(settings, parts, clock) as scene:
            for name, says, act in STEPS:
                started = asyncio.get_running_loop().time()
                try:
                    stored = await act(scene)
                except (StepFailed, aiohttp.ClientError) as failure:
                    tell(Step(name, f"失败：{says}", {"failed": str(failure)}, 0.0))
                    return False
                tell(Step(name, says, stored, asyncio.get_running_loop().time() - started))
    return True


async def _a_free_morning(parts: Parts) -> datetime:
    """A weekday's morning after everything stored, an earlier telling of the story included."""
    async with parts.sessions() as session:
        newest = (await session.execute(select(func.max(Suggestion.created_at)))).scalar_one()
    day = local_day(max(utc_now(), newest or utc_now())) + timedelta(days=1)
    while day.weekday() > 4:
        day += timedelta(days=1)
    return at_local(day, CHAT_OPENS)


@asynccontextmanager
async def _scene(settings: Settings, parts: Parts, clock: Clock) -> AsyncIterator[Scene]:
    async with parts.sessions() as session, aiohttp.ClientSession() as http:
        staff = (await session.execute(select(Staff).order_by(col(Staff.userid)))).scalars().all()
        userids = {role: next(s.userid for s in staff if s.roles == [role.value]) for role in Role}
        rm = next(s for s in staff if s.userid == userids[Role.RM])
        mine = select(Customer).join(Follow, col(Follow.customer_id) == col(Customer.id))
        mine = mine.where(Follow.staff_id == rm.id, Follow.state == FollowState.ACTIVE)
        mine = mine.where(col(Customer.risk_assessed_at) > clock() - timedelta(days=300))
        customer = (await session.execute(mine.order_by(col(Customer.bank_no)))).scalars().first()
        if customer is None:
            raise StepFailed("the demo bank has no customer to play")
        yield Scene(settings.public_url, parts, clock, http, userids, rm, customer, clock())


async def _write(scene: Scene) -> dict[str, Any]:
    """The editor writes a material and submits it."""
    fields = {
        "kind": "faq",
        "use": "accompany",
        "title": TITLE,
        "body": BODY,
        "questions": QUESTIONS,
        "intent": "submit",
    }
    async with scene.desk(Role.EDITOR) as editor:
        await editor.post("/content/new", fields)
    newest = select(Version).where(Version.title == TITLE).order_by(col(Version.created_at).desc())
    version = await scene.one(newest)
    if version is None or version.state is not State.SUBMITTED:
        raise StepFailed("the material was not submitted")
    scene.version_id = version.id
    return {"version": str(version.id), "state": version.state.value, "sha256": version.sha256}


async def _approve(scene: Scene) -> dict[str, Any]:
    """Another person approves it; the index takes it in."""
    today = local_day(scene.clock())
    form = aiohttp.FormData()
    fields = {
        "decision": "approve",
        "valid_from": today.isoformat(),
        "valid_until": (today + timedelta(days=180)).isoformat(),
        "channels": "single_chat",
        "scope": "all",
    }
    for name, value in fields.items():
        form.add_field(name, value)
    for place, _ in enumerate(BUSINESS.checks):
        form.add_field(f"check-{place}", "yes")
    async with scene.desk(Role.APPROVER) as approver:
        await approver.post(f"/review/{scene.version_id}", form)
    version = await scene.one(select(Version).where(Version.id == scene.version_id))
    if version.state is not State.APPROVED or version.approved_by == version.author_id:
        raise StepFailed("the version was not approved by a second person")
    await scene.until("the approved material in the index", lambda: _holds(scene, version.id))
    return {
        "state": version.state.value,
        "approved_by": str(version.approved_by),
        "searchable": True,
    }


async def _holds(scene: Scene, version_id: UUID) -> bool:
    return scene.parts.index.holds(version_id)


async def _ask(scene: Scene) -> dict[str, Any]:
    """The customer writes; a suggestion with citations is stored."""
    contact = scene.customer.external_userid
    since = scene.clock()
    await scene.control("message", **{"from": contact, "to": scene.rm.userid, "text": ASKED})
    newest = (
        select(Suggestion)
        .where(
            Suggestion.customer_id == scene.customer.id,
            Suggestion.staff_id == scene.rm.id,
            col(Suggestion.created_at) >= since - timedelta(minutes=1),
            col(Suggestion.question_key).startswith("message:"),
        )
        .order_by(col(Suggestion.created_at).desc())
    )
    suggestion = await scene.until("a suggestion", lambda: scene.one(newest))
    if suggestion.state is not SuggestionState.OFFERED or not suggestion.citations:
        raise StepFailed(f"the suggestion is {suggestion.state.value}, without citations to send")
    if suggestion.version_id != scene.version_id:
        raise StepFailed("the suggestion does not quote the material that answers the question")
    scene.suggestion_id = suggestion.id
    return {
        "suggestion": str(suggestion.id),
        "tier": suggestion.tier,
        "citations": len(suggestion.citations),
        "quotes": suggestion.citations[0]["title"],
    }


async def _send(scene: Scene) -> dict[str, Any]:
    """The RM sends it from the sidebar; the customer sees it, once."""
    contact = str(scene.customer.external_userid)
    async with Visitor(scene.base, scene.rm.userid, "sidebar") as rm:
        await rm.text(f"/sidebar/{contact}/suggest")
        draft = (await scene.one(_suggestion(scene))).draft
        path = f"/sidebar/suggestions/{scene.suggestion_id}"
        cleared = await rm.post_json(f"{path}/clear", {"text": draft})
        if "text" not in cleared:
            raise StepFailed(f"not cleared: {cleared}")
        before = (await scene.seen_by(contact)).count(cleared["text"])
        message = {"from": scene.rm.userid, "to": contact, "text": cleared["text"]}
        await scene.control("message", **message)
        await rm.post(f"{path}/sent", {})
    if (await scene.seen_by(contact)).count(cleared["text"]) != before + 1:
        raise StepFailed("the customer did not see the reply exactly once")
    suggestion = await scene.one(_suggestion(scene))
    touchpoint = await scene.one(
        select(Touchpoint).where(Touchpoint.source_id == str(scene.suggestion_id))
    )
    if suggestion.state is not SuggestionState.SENT or touchpoint is None:
        raise StepFailed("sending was not stored with its touchpoint")
    return {
        "state": suggestion.state.value,
        "touchpoint": touchpoint.id,
        "kind": touchpoint.kind.value,
    }


def _suggestion(scene: Scene) -> Any:
    return select(Suggestion).where(Suggestion.id == scene.suggestion_id)


async def _join(scene: Scene) -> dict[str, Any]:
    """Somebody new scans a code and is welcomed; the SOP enrols them, until one is treated."""
    way = await scene.one(
        select(ContactWay).where(*_scannable(scene)).order_by(col(ContactWay.channel))
    )
    for number in range(1, 11):
        contact = await scene.control("scan", config_id=way.config_id, name=f"新客户{number}")
        scene.newcomer = contact["external_userid"]
        welcome = await scene.until("the welcome", lambda: scene.one(_welcome(scene)))
        enrolment = await scene.until("an enrolment", lambda: scene.one(_enrolment(scene)))
        if enrolment.arm is Arm.TREATED:
            break
    planned = select(func.count(col(Touch.id))).where(Touch.enrolment_id == enrolment.id)
    return {
        "enrolment": str(enrolment.id),
        "arm": enrolment.arm.value,
        "touches": await scene.one(planned),
        "channel": way.channel,
        "welcomed_at": welcome.settled_at.isoformat(),
    }


def _scannable(scene: Scene) -> tuple[Any, ...]:
    return ContactWay.staff_id == scene.rm.id, ContactWay.state == WayState.LIVE


def _welcome(scene: Scene) -> Any:
    sent = Welcome.state == WelcomeState.SENT
    return select(Welcome).where(Welcome.external_userid == scene.newcomer, sent)


def _enrolment(scene: Scene) -> Any:
    newcomer = select(Customer.id).where(Customer.external_userid == scene.newcomer)
    return select(Enrolment).where(col(Enrolment.customer_id).in_(newcomer))


async def _touch(scene: Scene) -> dict[str, Any]:
    """The first touch falls due, becomes a task, is confirmed, and its result is polled."""
    day = local_day(scene.clock())
    scene.clock.at(at_local(day, AFTER_THE_FIRST_TOUCH))
    handed = _first_touch(scene).where(Touch.state == TouchState.HANDED)
    touch = await scene.until("a task handed to the RM", lambda: scene.one(handed))
    task = await scene.one(select(SendTask).where(SendTask.id == touch.task_id))
    await scene.control("confirm_task", msgid=task.msgid, userid=scene.rm.userid)
    delivered = _first_touch(scene).where(Touch.state == TouchState.DELIVERED)
    touch = await scene.until("the polled result", lambda: scene.one(delivered))
    if task.text not in await scene.seen_by(scene.newcomer):
        raise StepFailed("the newcomer did not see the touch")
    touchpoint = await scene.one(select(Touchpoint).where(Touchpoint.source_id == str(touch.id)))
    if touchpoint is None or touchpoint.kind is not TouchpointKind.TOUCH_DELIVERED:
        raise StepFailed("the delivered touch left no touchpoint")
    return {"msgid": task.msgid, "state": touch.state.value, "touchpoint": touchpoint.id}


def _first_touch(scene: Scene) -> Any:
    enrolled = _enrolment(scene).with_only_columns(Enrolment.id)
    return select(Touch).where(col(Touch.enrolment_id).in_(enrolled)).order_by(col(Touch.due_at))


async def _convert(scene: Scene) -> dict[str, Any]:
    """The bank reports a purchase; every model divides it to the cent."""
    at = scene.clock() + timedelta(minutes=1)
    scene.clock.at(at + timedelta(minutes=1))
    reference = f"STORY-{int(at.timestamp())}"
    amount = f"{AMOUNT_CENTS // 100}.{AMOUNT_CENTS % 100:02d}"
    line = f"{reference},{scene.customer.bank_no},YZ-TTJ01,{amount},{at.isoformat()}"
    content = f"reference,customer_no,product_code,amount,happened_at\n{line}\n".encode()
    form = aiohttp.FormData()
    form.add_field("source", "story")
    form.add_field("file", content, filename="story.csv", content_type="text/csv")
    async with scene.desk(Role.HQ) as hq:
        await hq.post("/attribution/import", form)
    conversion = await scene.one(select(Conversion).where(Conversion.reference == reference))
    if conversion is None or conversion.state is not ConversionState.CREDITED:
        raise StepFailed("the conversion was not credited")
    sums = await _sums(scene, conversion.id)
    if any(cents != AMOUNT_CENTS for cents in sums.values()):
        raise StepFailed(f"credit does not add up to the amount: {sums}")
    return {"conversion": str(conversion.id), "amount_cents": AMOUNT_CENTS, "credited": sums}


async def _sums(scene: Scene, conversion_id: UUID) -> dict[str, int]:
    query = (
        select(Credit.model, Credit.dimension, func.sum(Credit.cents))
        .where(Credit.conversion_id == conversion_id)
        .group_by(col(Credit.model), col(Credit.dimension))
    )
    async with scene.parts.sessions() as session:
        rows = await session.execute(query)
        return {f"{model}/{dimension}": int(cents) for model, dimension, cents in rows}


async def _withdraw(scene: Scene) -> dict[str, Any]:
    """Compliance withdraws the material; it can be found no more."""
    async with scene.desk(Role.COMPLIANCE) as compliance:
        await compliance.post(
            f"/content/versions/{scene.version_id}/withdraw", {"reason": "演示：口径有变"}
        )
    version = await scene.one(select(Version).where(Version.id == scene.version_id))
    if version.state is not State.WITHDRAWN:
        raise StepFailed("the version was not withdrawn")
    await scene.until("the index without it", lambda: _gone(scene, version.id))
    material = await scene.one(select(Material).where(Material.id == version.material_id))
    return {"material": material.code, "state": version.state.value, "searchable": False}


async def _gone(scene: Scene, version_id: UUID) -> bool:
    return not scene.parts.index.holds(version_id)


async def _account(scene: Scene) -> dict[str, Any]:
    """Everything customers saw since the story began has exactly one row that says why."""
    saw = Counter(await _seen_since(scene))
    sent = select(OutboundMessage).where(
        col(OutboundMessage.at) >= scene.began, OutboundMessage.state == OutboundState.SENT
    )
    async with scene.parts.sessions() as session:
        rows = (await session.execute(sent)).scalars().all()
    if saw != Counter((row.contact, row.text) for row in rows):
        raise StepFailed("what customers saw and what was written down are not the same")
    return {"seen": saw.total(), "rows": len(rows)}


async def _seen_since(scene: Scene) -> list[tuple[str, str]]:
    async with scene.http.get(f"{scene.base}/simulator/control/ledger") as response:
        lines = (await response.json())["ledger"]
    return [
        (line["external_userid"], line["text"])
        for line in lines
        if line["msgtype"] == "text" and datetime.fromisoformat(line["at"]) >= scene.began
    ]


STEPS: tuple[tuple[str, str, Play], ...] = (
    ("write", "内容编辑写好一份素材并提交审批", _write),
    ("approve", "另一位审批人通过，几秒后可被检索", _approve),
    ("ask", "客户发来问题，推荐回复带出处入库", _ask),
    ("send", "客户经理从侧边栏发送，客户看到一次", _send),
    ("read", "客户经理发出图文，客户点开阅读，轨迹实时可见", read),
    ("join", "新客户扫码添加，欢迎语送达，新客陪伴自动入组", _join),
    ("touch", "首个触达到点，客户经理确认，结果收回", _touch),
    ("convert", "行内成交导入，按三种口径归因到分", _convert),
    ("withdraw", "合规下线素材，检索立即不可见", _withdraw),
    ("account", "客户看到的每一条内容都有一条发出记录", _account),
)

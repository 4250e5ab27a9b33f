"""SOP pages: the list, one SOP with its steps and who is in it, starting and stopping."""

from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from bank import audit
from bank.models import Role
from compliance.verdict import Refused
from content.phone import Series
from content.shelf import names_by_userid
from customers import book
from desk.ids import ID, id_of
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed
from scheduler import enrolment, records, sops
from scheduler.models import Sop, SopState, TouchState, Trigger
from scheduler.records import EnrolmentLine, SopLine, StepLine
from scheduler.sop_form import moment, sop_of
from scheduler.touch_pages import READERS, reason_of

routes = web.RouteTableDef()

SOP_TONES = {SopState.DRAFT: "grey", SopState.RUNNING: "green", SopState.STOPPED: "dark"}
COUNTED = (
    TouchState.PLANNED,
    TouchState.HANDED,
    TouchState.DELIVERED,
    TouchState.NOT_REACHED,
    TouchState.REFUSED,
    TouchState.GHOST,
)


@dataclass(frozen=True)
class SopsPage:
    """`/sops`."""

    lines: list[SopLine]  # running first; counts within one's own customers
    tones: dict[SopState, str]
    may_write: bool


@dataclass(frozen=True)
class SopPage:
    """`/sops/{id}`: one SOP."""

    sop: Sop
    tone: str
    steps: list[StepLine]
    counted: tuple[TouchState, ...]  # columns of the step table
    preview: Series  # what a customer gets, step by step
    enrolments: list[EnrolmentLine]
    history: list[tuple[datetime, str, str, str]]  # when, title, text, tone
    choices: list[tuple[str, str]]  # customers to enter by hand
    may_write: bool
    may_start: bool
    may_stop: bool
    may_enrol: bool
    error: str  # why the last act was refused


@routes.get("/sops")
@allow(*READERS)
async def sop_list(request: web.Request) -> web.Response:
    """All SOPs."""
    who = signed(request)
    lines = await records.sop_lines(session_of(request), who)
    return page(request, "scheduler/sops.html", SopsPage(lines, SOP_TONES, who.may(Role.HQ)))


@routes.get(f"/sops/{{sop_id:{ID}}}")
@allow(*READERS)
async def show_sop(request: web.Request) -> web.Response:
    """One SOP with its steps and who is in it."""
    return await _sop_page(request, await sop_of(request))


async def _sop_page(request: web.Request, sop: Sop, error: str = "") -> web.Response:
    session, who, now = session_of(request), signed(request), now_of(request)
    running = sop.state == SopState.RUNNING
    steps = await records.step_lines(session, who, sop.id, now)
    may_enrol = running and sop.trigger == Trigger.MANUAL and who.may(Role.RM)
    context = SopPage(
        sop=sop,
        tone=SOP_TONES[sop.state],
        steps=steps,
        counted=COUNTED,
        preview=_preview(steps),
        enrolments=await records.enrolment_lines(session, who, sop.id),
        history=await _history(request, sop),
        choices=await enrolment.customer_choices(session, sop, who.id) if may_enrol else [],
        may_write=who.may(Role.HQ),
        may_start=who.may(Role.HQ) and not running,
        may_stop=who.may(Role.HQ, Role.COMPLIANCE) and running,
        may_enrol=may_enrol,
        error=error,
    )
    return page(request, "scheduler/sop.html", context, status=422 if error else 200)


def _preview(steps: list[StepLine]) -> Series:
    return [
        (moment(line.step.day, line.step.at.strftime("%H:%M")), line.phone)
        for line in steps
        if line.phone is not None
    ]


VERBS = {
    "create": ("新建", "grey"),
    "revise": ("修改草稿", "grey"),
    "start": ("启动", "green"),
    "stop": ("停止", "red"),
}


async def _history(request: web.Request, sop: Sop) -> list[tuple[datetime, str, str, str]]:
    session = session_of(request)
    entries = await audit.history(session, "sop", sop.id)
    names = await names_by_userid(session, {entry.actor for entry in entries})
    lines: list[tuple[datetime, str, str, str]] = []
    for entry in reversed(entries):
        title, tone = VERBS.get(entry.action.rsplit(":", 1)[-1], (entry.action, "grey"))
        reason = entry.detail.get("reason", "")
        lines.append(
            (entry.at, title, f"{names.get(entry.actor, entry.actor)} {reason}".strip(), tone)
        )
    return lines


@routes.post(f"/sops/{{sop_id:{ID}}}/start")
@allow(Role.HQ)
async def start_sop(request: web.Request) -> web.Response:
    """Publish a draft, or let a stopped SOP run again."""
    sop = await sop_of(request)
    outcome = await sops.start(session_of(request), sop, signed(request), now_of(request))
    if isinstance(outcome, sops.NotStarted):
        return await _sop_page(request, sop, "不能启动：" + "".join(outcome.reasons))
    return see_other(f"/sops/{sop.id}?done=SOP 已启动")


@routes.post(f"/sops/{{sop_id:{ID}}}/stop")
@allow(Role.HQ, Role.COMPLIANCE)
async def stop_sop(request: web.Request) -> web.Response:
    """Stop it at once, with a reason."""
    sop = await sop_of(request)
    reason = await reason_of(request)
    if not reason:
        return await _sop_page(request, sop, "请填写停止原因。")
    left = await sops.stop(session_of(request), sop, reason, signed(request), now_of(request))
    return see_other(f"/sops/{sop.id}?done=已停止，{left} 位客户退出")


@routes.post(f"/sops/{{sop_id:{ID}}}/copy")
@allow(Role.HQ)
async def copy_sop(request: web.Request) -> web.Response:
    """A new draft with the same steps."""
    sop = await sop_of(request)
    copied = await sops.copy(session_of(request), sop, signed(request), now_of(request))
    if isinstance(copied, sops.NotSaved):
        return await _sop_page(request, sop, "".join(copied.errors.values()))
    return see_other(f"/sops/{copied.id}/edit?done=已复制为草稿")


@routes.post(f"/sops/{{sop_id:{ID}}}/enrol")
@allow(Role.RM)
async def enrol_by_hand(request: web.Request) -> web.Response:
    """Enter one of the RM's own customers."""
    session, who, now = session_of(request), signed(request), now_of(request)
    sop = await sop_of(request)
    chosen = id_of(str((await request.post()).get("customer", "")))
    customer = await book.find(session, who, chosen) if chosen else None
    if customer is None:
        raise web.HTTPNotFound
    if sop.trigger != Trigger.MANUAL:
        return await _sop_page(
            request, sop, f"该 SOP 由系统触发（{sop.trigger.label}），不能手动入组。"
        )
    outcome = await enrolment.enrol(session, sop, customer.id, who.id, now, now)
    if isinstance(outcome, Refused):
        said = "；".join(reason.label for reason in outcome.reasons)
        return await _sop_page(request, sop, f"没有入组：{said}。")
    audit.record(
        session, "scheduler:enrolment:by_hand", outcome.id, by=who.userid, now=now, sop=str(sop.id)
    )
    return see_other(f"/sops/{sop.id}?done=客户已入组")

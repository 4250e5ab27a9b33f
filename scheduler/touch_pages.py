"""触达记录: what became of every touch, the tasks that wait, and taking back what is planned."""

import re
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web
from yarl import URL

from bank.models import Role
from desk.ids import ID, id_of
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import Signed, now_of, session_of, signed
from scheduler import enrolment, records, touches
from scheduler.models import TaskState, Touch, TouchState
from scheduler.records import TaskRow, TouchRow, Wanted

routes = web.RouteTableDef()

READERS = (Role.RM, Role.BRANCH_MANAGER, Role.COMPLIANCE, Role.AUDITOR, Role.HQ)
MAY_CANCEL = (Role.RM, Role.BRANCH_MANAGER, Role.COMPLIANCE, Role.HQ)
LONGEST_REASON = 100

TOUCH_TONES = {
    TouchState.PLANNED: "grey",
    TouchState.CLAIMED: "blue",
    TouchState.HANDED: "orange",
    TouchState.DELIVERED: "green",
    TouchState.NOT_REACHED: "red",
    TouchState.REFUSED: "yellow",
    TouchState.GHOST: "blue",
    TouchState.UNKNOWN: "red",
    TouchState.CANCELLED: "dark",
}
TASK_TONES = {
    TaskState.INTENT: "blue",
    TaskState.HANDED: "orange",
    TaskState.CONFIRMED: "green",
    TaskState.UNKNOWN: "red",
}


@dataclass(frozen=True)
class TouchesPage:
    """`/touches`."""

    rows: list[TouchRow]
    tones: dict[TouchState, str]
    tasks: list[TaskRow]  # not settled, doubtful ones first
    task_tones: dict[TaskState, str]
    wanted: Wanted
    states: list[tuple[str, str]]
    sops: list[tuple[str, str]]
    query: str  # the filter for links
    total: int
    pages: int
    may_cancel: bool
    may_settle: bool
    error: str


@routes.get("/touches")
@allow(*READERS)
async def touch_list(request: web.Request) -> web.Response:
    """Touches of one's own customers, and the tasks that wait."""
    return await _touches_page(request)


async def _touches_page(request: web.Request, error: str = "") -> web.Response:
    session, who = session_of(request), signed(request)
    wanted = _wanted(request)
    rows, total = await records.touch_rows(session, who, wanted)
    typed = {
        "sop": str(wanted.sop or ""),
        "step": str(wanted.step or ""),
        "state": wanted.state.value if wanted.state else "",
    }
    known = await records.sop_lines(session, who)
    context = TouchesPage(
        rows=rows,
        tones=TOUCH_TONES,
        tasks=await records.open_tasks(session, who),
        task_tones=TASK_TONES,
        wanted=wanted,
        states=[("", "全部状态"), *((state.value, state.label) for state in TouchState)],
        sops=[("", "全部 SOP"), *((str(line.sop.id), line.sop.name) for line in known)],
        query=URL.build(query={name: value for name, value in typed.items() if value}).query_string,
        total=total,
        pages=max(1, -(-total // records.A_PAGE)),
        may_cancel=who.may(*MAY_CANCEL),
        may_settle=who.may(Role.HQ),
        error=error,
    )
    return page(request, "scheduler/touches.html", context, status=422 if error else 200)


def _wanted(request: web.Request) -> Wanted:
    query = request.query
    state, number = query.get("state", ""), query.get("page", "1")
    return Wanted(
        sop=id_of(query.get("sop", "")),
        step=id_of(query.get("step", "")),
        state=TouchState(state) if state in list(TouchState) else None,
        page=int(number) if re.fullmatch("[1-9][0-9]{0,5}", number) else 1,
    )


@routes.post(f"/touches/{{touch_id:{ID}}}/cancel")
@allow(*MAY_CANCEL)
async def cancel_touch(request: web.Request) -> web.Response:
    """Cancel a planned touch, with a reason."""
    session, who, now = session_of(request), signed(request), now_of(request)
    touch = await records.find_touch(session, who, UUID(request.match_info["touch_id"]))
    if touch is None or not _may_cancel(who, touch):
        raise web.HTTPNotFound
    reason = await reason_of(request)
    if not reason:
        return await _touches_page(request, "请填写取消原因。")
    cancelled = await touches.cancel(session, touch.id, reason, who.userid, now)
    if cancelled is None:
        return await _touches_page(request, "这条触达已经进入发送流程，不能再取消。")
    await session.flush()
    await enrolment.complete(session, [cancelled.enrolment_id], now)
    return see_other("/touches?state=cancelled&done=已取消")


def _may_cancel(who: Signed, touch: Touch) -> bool:
    """An RM cancels what they would send themselves; those above, all they may see."""
    return who.may(Role.BRANCH_MANAGER, Role.COMPLIANCE, Role.HQ) or touch.staff_id == who.id


@routes.post(f"/touches/tasks/{{task_id:{ID}}}/close")
@allow(Role.HQ)
async def close_task(request: web.Request) -> web.Response:
    """A person looked up a doubtful task at WeCom: close it, and send none of it again."""
    reason = await reason_of(request)
    if not reason:
        return await _touches_page(request, "请填写核对结论。")
    session, now = session_of(request), now_of(request)
    task_id = UUID(request.match_info["task_id"])
    said, by = f"人工核对：{reason}", signed(request).userid
    closed = await touches.give_up(session, task_id, said, by, now)
    if closed is None:
        return await _touches_page(request, "这条任务已经有了结果，无需再核对。")
    carried = await touches.carried_by(session, task_id)
    await enrolment.complete(session, [touch.enrolment_id for touch, _ in carried], now)
    return see_other("/touches?done=任务已关闭")


async def reason_of(request: web.Request) -> str:
    """The reason as typed, cut to what is kept."""
    return str((await request.post()).get("reason", "")).strip()[:LONGEST_REASON]

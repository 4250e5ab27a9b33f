"""审批流程: which steps material must pass, edited by head office or compliance."""

from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping

from bank.models import Role
from content import roads
from content.models import Kind
from content.review_models import ReviewDesk, ReviewRisk
from content.roads import PlannedStep, Road
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

SETTERS = (Role.HQ, Role.COMPLIANCE)
READERS = (*SETTERS, Role.EDITOR, Role.APPROVER, Role.AUDITOR)
DESKS = [desk for desk in ReviewDesk if desk is not ReviewDesk.RECHECK]

Options = list[tuple[str, str]]


@dataclass(frozen=True)
class RoadsPage:
    """All roads, and the start of a new one."""

    roads: list[Road]
    kinds: dict[str, str]
    kind_options: Options
    risk_options: Options
    may_set: bool


@dataclass(frozen=True)
class TypedStep:
    """A row of the form, as typed."""

    desk: str
    hours: str
    checks: str


@dataclass(frozen=True)
class RoadPage:
    """The form of one road."""

    kind: str
    kind_label: str
    risk: ReviewRisk
    steps: list[TypedStep]
    desks: Options
    errors: list[str]


@routes.get("/review/roads")
@allow(*READERS)
async def show_roads(request: web.Request) -> web.Response:
    """Every road as it is now."""
    context = RoadsPage(
        roads=await roads.roads(session_of(request)),
        kinds={"": "全部类型", **{kind.value: kind.label for kind in Kind}},
        kind_options=[("", "全部类型"), *((kind.value, kind.label) for kind in Kind)],
        risk_options=[(risk.value, risk.label) for risk in ReviewRisk],
        may_set=signed(request).may(*SETTERS),
    )
    return page(request, "content/roads.html", context)


@routes.get("/review/roads/edit")
@allow(*SETTERS)
async def edit_road(request: web.Request) -> web.Response:
    """The form, filled with the road that holds now."""
    kind, risk = request.query.get("kind", ""), request.query.get("risk", "")
    if (kind and kind not in list(Kind)) or risk not in list(ReviewRisk):
        raise web.HTTPNotFound
    road = await roads.road_of(session_of(request), kind, ReviewRisk(risk))
    typed = [TypedStep(s.desk.value, str(s.hours), "\n".join(s.checks)) for s in road.steps]
    return _form(request, kind, ReviewRisk(risk), typed, [])


@routes.post("/review/roads/edit")
@allow(*SETTERS)
async def save_road(request: web.Request) -> web.Response:
    """From now on what is handed in takes this road; what waits keeps its own."""
    form = await request.post()
    kind, risk = str(form.get("kind", "")), str(form.get("risk", ""))
    typed = _typed(form)
    steps = [_step(row) for row in typed]
    wrong = roads.wrong_with(kind, risk, steps)
    if wrong:
        if risk not in list(ReviewRisk):
            raise web.HTTPNotFound
        return _form(request, kind, ReviewRisk(risk), typed, wrong)
    await roads.set_road(
        session_of(request), kind, ReviewRisk(risk), steps, signed(request), now_of(request)
    )
    return _done("审批流程已保存，新提交的素材按此执行")


@routes.post("/review/roads/reset")
@allow(*SETTERS)
async def reset_road(request: web.Request) -> web.Response:
    """Back to the general road of that risk, or to the usual one."""
    form = await request.post()
    kind, risk = str(form.get("kind", "")), str(form.get("risk", ""))
    if risk not in list(ReviewRisk):
        raise web.HTTPNotFound
    forgotten = await roads.forget_road(
        session_of(request), kind, ReviewRisk(risk), signed(request), now_of(request)
    )
    return _done("已恢复默认流程" if forgotten else "已经是默认流程")


def _done(says: str) -> web.Response:
    return see_other(f"/review/roads?{urlencode({'done': says})}")


def _typed(form: MultiMapping[object]) -> list[TypedStep]:
    """The rows in which a desk was chosen."""
    rows = [
        TypedStep(*(str(form.get(f"{name}-{row}", "")) for name in ("desk", "hours", "checks")))
        for row in range(roads.MOST_STEPS)
    ]
    return [row for row in rows if row.desk in [desk.value for desk in DESKS]]


def _step(row: TypedStep) -> PlannedStep:
    plain = row.hours.isascii() and row.hours.isdigit() and len(row.hours) <= 4
    lines = (line.strip() for line in row.checks.splitlines())
    return PlannedStep(
        ReviewDesk(row.desk), int(row.hours) if plain else 0, tuple(line for line in lines if line)
    )


def _form(
    request: web.Request, kind: str, risk: ReviewRisk, typed: list[TypedStep], errors: list[str]
) -> web.Response:
    empty = TypedStep("", "24", "")
    context = RoadPage(
        kind=kind,
        kind_label=Kind(kind).label if kind in list(Kind) else "全部类型",
        risk=risk,
        steps=typed + [empty] * (roads.MOST_STEPS - len(typed)),
        desks=[("", "（不设）"), *((desk.value, desk.label) for desk in DESKS)],
        errors=errors,
    )
    return page(request, "content/road.html", context, status=422 if errors else 200)

"""The form of a SOP: days, times, approved material, and the phone beside it."""

import re
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from aiohttp import web
from multidict import MultiDictProxy

from bank.models import Role
from content.phone import Phone, Series
from desk.ids import ID
from desk.permissions import allow
from desk.render import fragment, page, see_other
from desk.signed import now_of, session_of, signed
from scheduler import records, sops
from scheduler.models import LatePolicy, Sop, SopState, Trigger
from scheduler.sops import DraftSop, DraftStep

routes = web.RouteTableDef()

EMPTY_STEP = DraftStep("0", "10:00", "")
LATE_LABELS = ((LatePolicy.SEND.value, "补发"), (LatePolicy.SKIP.value, "放弃这一步"))

Options = list[tuple[str, str]]


@dataclass(frozen=True)
class FormPage:
    """`/sops/new` and `/sops/{id}/edit`: what was typed and what to correct."""

    heading: str
    action: str  # where the form goes
    back: str  # where 取消 leads
    draft: DraftSop  # as typed
    errors: dict[str, str]  # by field; "form" stands above all
    kinds: Options
    triggers: Options
    materials: Options  # approved, for single chats, with their last day
    late: tuple[tuple[str, str], ...]
    preview: "PreviewPart"


@dataclass(frozen=True)
class StepPart:
    """One more row of the form."""

    step: DraftStep
    materials: Options
    late: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PreviewPart:
    """What a customer would get, step by step."""

    name: str
    steps: Series


@routes.get("/sops/new")
@allow(Role.HQ)
async def new_form(request: web.Request) -> web.Response:
    """An empty form with one row; `?material=` is chosen in it already."""
    first = replace(EMPTY_STEP, material_id=request.query.get("material", ""))
    return await _form(request, DraftSop(steps=(first,)), {})


@routes.post("/sops/new")
@allow(Role.HQ)
async def save_new(request: web.Request) -> web.Response:
    """Save it as a draft."""
    draft = read_form(await request.post())
    saved = await sops.create(session_of(request), draft, signed(request), now_of(request))
    if isinstance(saved, sops.NotSaved):
        return await _form(request, draft, dict(saved.errors))
    return see_other(f"/sops/{saved.id}?done=草稿已保存")


@routes.get(f"/sops/{{sop_id:{ID}}}/edit")
@allow(Role.HQ)
async def edit_form(request: web.Request) -> web.Response:
    """The form of a draft."""
    sop = await sop_of(request)
    if sop.state != SopState.DRAFT:
        return see_other(f"/sops/{sop.id}")
    return await _form(request, await sops.draft_of(session_of(request), sop), {}, sop)


@routes.post(f"/sops/{{sop_id:{ID}}}/edit")
@allow(Role.HQ)
async def save_draft(request: web.Request) -> web.Response:
    """Write the draft anew."""
    sop = await sop_of(request)
    draft = read_form(await request.post())
    saved = await sops.revise(session_of(request), sop, draft, signed(request), now_of(request))
    if isinstance(saved, sops.NotSaved):
        return await _form(request, draft, dict(saved.errors), sop)
    return see_other(f"/sops/{sop.id}?done=草稿已保存")


@routes.get("/sops/step")
@allow(Role.HQ)
async def one_more_step(request: web.Request) -> web.Response:
    """An empty row."""
    materials = await records.material_choices(session_of(request), now_of(request))
    part = StepPart(EMPTY_STEP, [("", "请选择素材"), *materials], LATE_LABELS)
    return fragment(request, "scheduler/_step.html", part)


@routes.post("/sops/preview")
@allow(Role.HQ)
async def preview(request: web.Request) -> web.Response:
    """The phone, following the form; nothing is saved."""
    draft = read_form(await request.post())
    return fragment(request, "scheduler/_preview.html", await _preview(request, draft))


async def sop_of(request: web.Request) -> Sop:
    """The SOP in the address; 404 without one."""
    sop = await sops.find(session_of(request), UUID(request.match_info["sop_id"]))
    if sop is None:
        raise web.HTTPNotFound
    return sop


def read_form(form: MultiDictProxy[Any]) -> DraftSop:
    """What was typed; rows without material are left out."""

    def text(name: str) -> str:
        return str(form.get(name, "")).strip()

    def column(name: str) -> list[str]:
        return [str(value).strip() for value in form.getall(name, [])]

    rows = zip(column("day"), column("at"), column("material"), column("late"), strict=False)
    return DraftSop(
        name=text("name"),
        kind=text("kind"),
        goal=text("goal"),
        trigger=text("trigger"),
        control_percent=text("control_percent"),
        marketing=text("marketing") == "yes",
        steps=tuple(DraftStep(*row) for row in rows if row[2]),
    )


async def _form(
    request: web.Request, draft: DraftSop, errors: dict[str, str], sop: Sop | None = None
) -> web.Response:
    materials = await records.material_choices(session_of(request), now_of(request))
    context = FormPage(
        heading="编辑 SOP" if sop else "新建 SOP",
        action=request.path,
        back=f"/sops/{sop.id}" if sop else "/sops",
        draft=draft if draft.steps else DraftSop(**{**vars(draft), "steps": (EMPTY_STEP,)}),
        errors=errors,
        kinds=[(kind, kind) for kind in sops.KINDS],
        triggers=[(trigger.value, trigger.label) for trigger in Trigger],
        materials=[("", "请选择素材"), *materials],
        late=LATE_LABELS,
        preview=await _preview(request, draft),
    )
    return page(request, "scheduler/edit.html", context, status=422 if errors else 200)


async def _preview(request: web.Request, draft: DraftSop) -> PreviewPart:
    steps: Series = []
    for step in draft.steps:
        phone = await _phone(request, step)
        if phone is not None:
            day = int(step.day) if re.fullmatch("-?[0-9]{1,3}", step.day) else 0
            steps.append((moment(day, step.at), phone))
    return PreviewPart(draft.name or "SOP 预览", steps)


async def _phone(request: web.Request, step: DraftStep) -> Phone | None:
    try:
        material_id = UUID(step.material_id)
    except ValueError:
        return None
    return await records.phone_of(session_of(request), material_id, now_of(request))


def moment(day: int, at: str) -> str:
    """When a step comes, in words."""
    return f"{when_of(day)} {at}"


def when_of(day: int) -> str:
    """The day of a step in words: counted from the start, which is day 0."""
    if day < 0:
        return f"提前 {-day} 天"
    return f"第 {day} 天" if day else "当天"

"""One version before its reviewer: the text marked, the checklist, comments, the decision."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from multidict import MultiMapping
from sqlalchemy.ext.asyncio import AsyncSession

from bank import staff as people
from bank.calendar import at_local, local_day
from bank.models import Branch, Staff
from content import checks, claims, comments, differences, marking, materials, products, review
from content import steps as ways
from content.differences import Line
from content.files import FILES
from content.material_pages import branch_names
from content.models import Material, Product, State, StoredFile, Version
from content.review_models import ReviewDesk, ReviewStep
from content.review_queue_pages import READERS, USUAL_VALIDITY
from content.shelf import Standing, standing
from content.steps import Way
from desk.ids import ID
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import Signed, now_of, session_of, signed
from wecom.channels import Channel

routes = web.RouteTableDef()

R = review.Reason
BESIDE = {
    R.NO_CHANNEL: "channels",
    R.PRIVATE_IN_PUBLIC: "channels",
    R.NO_BRANCH: "branches",
    R.UNKNOWN_BRANCH: "branches",
    R.ENDS_BEFORE_START: "valid_until",
    R.ENDS_IN_PAST: "valid_until",
    R.TOO_LONG: "valid_until",
    R.LATER_THAN_LIVE: "valid_from",
    R.NO_REASON: "reason",
    R.CHECKS_OPEN: "checked",
}
DONE = {
    "approve": "已通过并上线",
    "pass": "已通过，转入下一环节",
    "reject": "已驳回",
    "changes": "已退回作者修改",
    "uphold": "复审已完成",
    "withdraw": "已下线，不会再被推荐或发送",
}


@dataclass(frozen=True)
class Decision:
    """The form of the reviewer, as typed."""

    checked: dict[str, str]  # place of the point → yes or no
    valid_from: str
    valid_until: str
    channels: tuple[str, ...]
    everywhere: bool
    branch_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Decided:
    """A step that is behind the version."""

    label: str
    verdict: str
    by: str
    step: ReviewStep


@dataclass(frozen=True)
class ReviewPage:
    """One version before its reviewer."""

    material: Material
    version: Version
    standing: Standing
    author: str
    title: list[marking.Segment]
    segments: list[marking.Segment]  # the body with findings and comments marked
    findings: list[checks.Finding]
    automatic: list[tuple[str, bool]]  # what was checked by program, and whether it holds
    products: list[Product]
    file: StoredFile | None
    live: Version | None  # what this one would take the place of
    before: Version | None  # the version before, where it is not the live one
    difference: list[Line]
    earlier_difference: list[Line]
    bar: list[str]  # 提交, the steps, 上线
    at: int  # where the bar stands
    step: ReviewStep | None  # the open one
    last: bool  # whether it puts the version live
    decided: list[Decided]
    holder: str  # who has the open step in hand
    mine: bool  # whether that is the reader
    colleagues: list[Staff]  # to whom the open step may be handed
    may_decide: bool
    why_not: str  # why this reader may not decide
    may_comment: bool
    comments: list[comments.Written]
    places: list[tuple[str, str]]
    me: UUID
    decision: Decision
    errors: dict[str, str]
    refused: str  # what was refused a moment ago
    channels: list[tuple[str, str]]
    branches: list[Branch]
    granted_branches: list[str]


@routes.get(f"/review/{{version_id:{ID}}}")
@allow(*READERS)
async def show_review(request: web.Request) -> web.Response:
    """The version, what was found, and the reviewer's form."""
    now = now_of(request)
    usual = Decision(
        checked={},
        valid_from=local_day(now).isoformat(),
        valid_until=local_day(now + USUAL_VALIDITY).isoformat(),
        channels=(Channel.SINGLE_CHAT.value,),
        everywhere=True,
        branch_ids=(),
        reason="",
    )
    return await _review(request, usual, {})


@routes.post(f"/review/{{version_id:{ID}}}")
@allow(*review.REVIEWERS)
async def decide(request: web.Request) -> web.Response:
    """通过, 驳回 or 要求修改; of a re-review 维持 or 下线."""
    form = await request.post()
    typed, verb = _decision(form), str(form.get("decision", ""))
    errors = _not_filled(typed) if verb == "approve" else {}
    if not errors:
        errors = _errors(await _decided(request, verb, typed))
    if errors:
        return await _review(request, typed, errors)
    return see_other(f"/review?{urlencode({'done': DONE[verb]})}")


async def _decided(
    request: web.Request, verb: str, typed: Decision
) -> review.Moved | review.Refused:
    session, by, now = session_of(request), signed(request), now_of(request)
    version_id, files = _version_id(request), request.app[FILES]
    if verb == "approve":
        return await _approve(request, typed)
    if verb in ("pass", "uphold"):
        passing = review.pass_on if verb == "pass" else review.uphold
        told = _points(typed)
        return await passing(session, files, version_id, by=by, checks=told, now=now)
    back = {
        "reject": review.reject,
        "changes": review.ask_for_changes,
        "withdraw": review.withdraw,
    }.get(verb)
    if back is None:
        raise web.HTTPBadRequest(text="没有这种操作：请返回审批页重新选择。")
    return await back(session, version_id, by=by, reason=typed.reason, now=now)


def _decision(form: MultiMapping[object]) -> Decision:
    return Decision(
        checked={
            name.removeprefix("check-"): str(value)
            for name, value in form.items()
            if re.fullmatch("check-[0-9]", name)
        },
        valid_from=str(form.get("valid_from", "")),
        valid_until=str(form.get("valid_until", "")),
        channels=tuple(str(channel) for channel in form.getall("channels", [])),
        everywhere=form.get("scope", "all") == "all",
        branch_ids=tuple(str(id_) for id_ in form.getall("branches", [])),
        reason=str(form.get("reason", "")),
    )


def _points(typed: Decision) -> list[bool]:
    """The points of the checklist in order, as far as they were answered."""
    return [typed.checked[place] == "yes" for place in sorted(typed.checked)]


def _not_filled(typed: Decision) -> dict[str, str]:
    errors = {}
    for name in ("valid_from", "valid_until"):
        if _day(getattr(typed, name)) is None:
            errors[name] = "请选择日期。"
    if any(not re.fullmatch(ID, id_) for id_ in typed.branch_ids):
        errors["branches"] = R.UNKNOWN_BRANCH.value
    return errors


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


async def _approve(request: web.Request, typed: Decision) -> review.Approved | review.Refused:
    """Days as typed are whole local days: the last one counts to its end."""
    now = now_of(request)
    first, last = date.fromisoformat(typed.valid_from), date.fromisoformat(typed.valid_until)
    start = now if first <= local_day(now) else at_local(first, datetime.min.time())
    return await review.approve(
        session_of(request),
        request.app[FILES],
        _version_id(request),
        by=signed(request),
        checks=_points(typed),
        valid_from=start,
        valid_until=at_local(last + timedelta(days=1), datetime.min.time()),
        channels=typed.channels,
        branch_ids=None if typed.everywhere else [UUID(id_) for id_ in typed.branch_ids],
        now=now,
    )


def _errors(outcome: review.Moved | review.Refused) -> dict[str, str]:
    """Each reason beside the field it speaks of; the others together above the buttons."""
    errors: dict[str, str] = {}
    if isinstance(outcome, review.Refused):
        for reason in outcome.reasons:
            place = BESIDE.get(reason, "form")
            errors[place] = f"{errors[place]}{reason}" if place in errors else reason.value
    return errors


def _version_id(request: web.Request) -> UUID:
    return UUID(request.match_info["version_id"])


async def _review(request: web.Request, typed: Decision, errors: dict[str, str]) -> web.Response:
    session, who, now = session_of(request), signed(request), now_of(request)
    version = await session.get(Version, _version_id(request))
    if version is None or (version.state == State.DRAFT and version.author_id != who.id):
        raise web.HTTPNotFound
    material = await session.get_one(Material, version.material_id)
    about = await products.of_material(session, material.id)
    siblings = await materials.versions_of(session, material.id)
    live = next((v for v in siblings if v.state == State.APPROVED and v.id != version.id), None)
    earlier = next((v for v in siblings if v.number < version.number), None)
    before = None if earlier is live else earlier
    way = await ways.way_of(session, version.id)
    names = await _names(session, version, way)
    why_not = _why_not(version, way, who, now)
    if not why_not and way.open is not None:
        await ways.note_look(session, way.open, who, now)
    written = await comments.of_version(session, version.id)
    noted = [one.comment for one in written if one.comment.resolved_at is None]
    findings = [checks.Finding.read(stored) for stored in version.findings]
    holder = _holder(way, now)
    context = ReviewPage(
        material=material,
        version=version,
        standing=standing(version, now),
        author=names[version.author_id],
        title=marking.segments(version.title, "title", findings, noted),
        segments=marking.segments(version.body, "body", findings, noted),
        findings=checks.for_people(findings),
        automatic=await _automatic(request, version, about),
        products=about,
        file=await session.get(StoredFile, version.file_id) if version.file_id else None,
        live=live,
        before=before,
        difference=differences.between(live, version) if live else [],
        earlier_difference=differences.between(before, version) if before else [],
        bar=_bar(way),
        at=_at(version, way),
        step=way.open,
        last=way.last,
        decided=[
            Decided(s.desk.label, s.verdict.label, names.get(s.decided_by, "—"), s)
            for s in way.steps
            if s.verdict is not None and s.decided_by is not None
        ],
        holder=names[holder] if holder else "",
        mine=holder == who.id,
        colleagues=[] if why_not else await claims.fitting(session, version, way),
        may_decide=not why_not,
        why_not=why_not,
        may_comment=not why_not and who.may(*review.REVIEWERS),
        comments=written,
        places=marking.places(version.title, version.body),
        me=who.id,
        decision=typed,
        errors=errors,
        refused=request.query.get("refused", ""),
        channels=[(channel.value, channel.label) for channel in Channel],
        branches=await people.branches(session),
        granted_branches=await branch_names(session, version.branch_ids),
    )
    return page(request, "content/review.html", context, status=422 if errors else 200)


async def _names(session: AsyncSession, version: Version, way: Way) -> dict[UUID, str]:
    involved = {version.author_id}
    for step in way.steps:
        involved |= {id_ for id_ in (step.decided_by, step.claimed_by) if id_}
    return await people.names(session, list(involved))


def _holder(way: Way, now: datetime) -> UUID | None:
    """Who has the open step in hand at this moment."""
    step = way.open
    if step is None or step.claimed_until is None or step.claimed_until <= now:
        return None
    return step.claimed_by


def _bar(way: Way) -> list[str]:
    road = [step.desk.label for step in way.steps if step.desk is not ReviewDesk.RECHECK]
    return ["提交", *(road or ["审批"]), "上线"]


def _at(version: Version, way: Way) -> int:
    """Drafts stand at the first place, what was live at some time behind the last."""
    road = [step for step in way.steps if step.desk is not ReviewDesk.RECHECK]
    if version.state == State.DRAFT:
        return 0
    if version.state in (State.SUBMITTED, State.REJECTED, State.RETURNED):
        return 1 + sum(str(step.verdict or "") == "passed" for step in road)
    return len(_bar(way))


def _why_not(version: Version, way: Way, who: Signed, now: datetime) -> str:
    """Why this reader finds no form; empty for whoever may decide now."""
    recheck = version.state == State.APPROVED and way.open is not None
    if version.state != State.SUBMITTED and not recheck:
        return f"这个版本{version.state.label}，没有待办的审批。"
    if version.author_id == who.id:
        return "这是您提交的素材，须由另一位审批人处理。"
    if not who.may(*review.REVIEWERS):
        return "您可以查看审批内容，审批由内容审批或合规岗处理。"
    return "".join(claims.against(version, way, who, now))


async def _automatic(
    request: web.Request, version: Version, about: list[Product]
) -> list[tuple[str, bool]]:
    """What the program can tell by itself, looked at anew."""
    session, files = session_of(request), request.app[FILES]
    found = checks.findings_of(version.title, version.body, about)
    few, many = materials.FEWEST_QUESTIONS, materials.MOST_QUESTIONS
    return [
        ("内容与提交时一致（指纹相符）", await review.unchanged(session, files, version)),
        ("没有禁止性用语", not checks.blocking(found)),
        ("必备提示齐全", not any(finding.field == "disclosure" for finding in found)),
        ("常见问法 3–5 条", few <= len(version.questions) <= many),
        ("产品评级未变化", products.highest_rating(about) == version.risk),
    ]

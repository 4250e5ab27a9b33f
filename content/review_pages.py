"""审批: who waits for whom, and one version before its reviewer."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from aiohttp import web
from multidict import MultiMapping
from sqlalchemy.ext.asyncio import AsyncSession

from bank import staff as people
from bank.calendar import at_local, local_day
from bank.models import Branch, Role
from content import checks, differences, materials, products, review, shelf
from content.differences import Line
from content.files import FILES
from content.material_pages import ID, branch_names
from content.models import Material, Product, State, StoredFile, Version
from content.shelf import Standing, Task, standing
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import Signed, now_of, session_of, signed
from wecom.channels import Channel

routes = web.RouteTableDef()

READERS = (Role.EDITOR, Role.APPROVER, Role.COMPLIANCE, Role.AUDITOR)
QUEUE_PAGE = 20
USUAL_VALIDITY = timedelta(days=180)
# What no program can tell; each must be ticked before a version goes live.
CHECKED_BY_HAND = (
    ("facts", "产品要素、费率和规则与说明书一致"),
    ("tone", "表述客观完整，没有诱导、承诺或片面宣传"),
    ("audience", "渠道、支行和有效期与内容相符"),
)
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
}


@dataclass(frozen=True)
class QueuePage:
    """A tab of the review."""

    tab: str  # waiting, started or decided
    tasks: list[Task]
    waiting: int  # how many wait for me
    overdue: int  # of these, longer than 24 hours
    decides: bool  # whether I may decide on any
    total: int
    number: int
    pages: int


@dataclass(frozen=True)
class Decision:
    """The form of the reviewer, as typed."""

    checked: tuple[str, ...]
    valid_from: str
    valid_until: str
    channels: tuple[str, ...]
    everywhere: bool
    branch_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class ReviewPage:
    """One version before its reviewer."""

    material: Material
    version: Version
    standing: Standing
    author: str
    segments: list[checks.Segment]  # the body with findings marked
    findings: list[checks.Finding]
    automatic: list[tuple[str, bool]]  # what was checked by program, and whether it holds
    by_hand: tuple[tuple[str, str], ...]
    products: list[Product]
    file: StoredFile | None
    live: Version | None  # what this one would take the place of
    difference: list[Line]
    step: int  # of 提交 → 审批 → 上线
    may_decide: bool
    why_not: str  # why this reader may not decide
    decision: Decision
    errors: dict[str, str]
    channels: list[tuple[str, str]]
    branches: list[Branch]
    granted_branches: list[str]


@routes.get("/review")
@allow(*READERS)
async def queue(request: web.Request) -> web.Response:
    """待我审批, 我发起的 or 已处理."""
    session, who, now = session_of(request), signed(request), now_of(request)
    decides = who.may(*review.REVIEWERS)
    waiting = await _waiting(session, who, now)
    tab = request.query.get("tab", "")
    if tab not in ("waiting", "started", "decided"):
        tab = "waiting" if decides or not who.may(Role.EDITOR) else "started"
    tasks = waiting
    if tab == "started":
        tasks = await shelf.started_by(session, who.id, now)
    if tab == "decided":
        tasks = await shelf.decided(session, who.userid if decides else None, now)
    overdue = sum(task.overdue for task in waiting)
    number, pages = _page_of(request, len(tasks))
    context = QueuePage(
        tab=tab,
        tasks=tasks[(number - 1) * QUEUE_PAGE : number * QUEUE_PAGE],
        waiting=len(waiting),
        overdue=overdue,
        decides=decides,
        total=len(tasks),
        number=number,
        pages=pages,
    )
    return page(request, "content/queue.html", context)


def _page_of(request: web.Request, total: int) -> tuple[int, int]:
    pages = max(1, -(-total // QUEUE_PAGE))
    asked = request.query.get("page", "1")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
    return min(max(1, number), pages), pages


async def _waiting(session: AsyncSession, who: Signed, now: datetime) -> list[Task]:
    """What waits for this reviewer; auditors see everything that waits, authors nothing."""
    if who.may(*review.REVIEWERS):
        return await shelf.waiting_for(session, who.id, now)
    return await shelf.waiting_for_others(session, now) if who.may(Role.AUDITOR) else []


@routes.get(f"/review/{{version_id:{ID}}}")
@allow(*READERS)
async def show_review(request: web.Request) -> web.Response:
    """The version, what was found, and the reviewer's form."""
    now = now_of(request)
    usual = Decision(
        checked=(),
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
    """通过 or 驳回."""
    form = await request.post()
    typed = _decision(form)
    if form.get("decision") == "reject":
        outcome: review.Moved | review.Refused = await review.reject(
            session_of(request), _version_id(request),
            by=signed(request), reason=typed.reason, now=now_of(request),
        )  # fmt: skip
        errors = _errors(outcome)
    else:
        errors = _not_filled(typed)
        if not errors:
            outcome = await _approve(request, typed)
            errors = _errors(outcome)
    if errors:
        return await _review(request, typed, errors)
    done = "已驳回" if form.get("decision") == "reject" else "已通过并上线"
    return see_other(f"/review?done={done}")


def _decision(form: MultiMapping[object]) -> Decision:
    return Decision(
        checked=tuple(str(name) for name in form.getall("checked", [])),
        valid_from=str(form.get("valid_from", "")),
        valid_until=str(form.get("valid_until", "")),
        channels=tuple(str(channel) for channel in form.getall("channels", [])),
        everywhere=form.get("scope", "all") == "all",
        branch_ids=tuple(str(id_) for id_ in form.getall("branches", [])),
        reason=str(form.get("reason", "")),
    )


def _not_filled(typed: Decision) -> dict[str, str]:
    errors = {}
    if {name for name, _ in CHECKED_BY_HAND} - set(typed.checked):
        errors["checked"] = "请逐项确认后再通过；有一项不符请驳回。"
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
    names = await people.names(session, [version.author_id])
    live = next((v for v in await materials.versions_of(session, material.id)
                 if v.state == State.APPROVED and v.id != version.id), None)  # fmt: skip
    why_not = _why_not(version, who)
    findings = [checks.Finding.read(stored) for stored in version.findings]
    context = ReviewPage(
        material=material,
        version=version,
        standing=standing(version, now),
        author=names[version.author_id],
        segments=checks.marked(version.body, findings),
        findings=checks.for_people(findings),
        automatic=await _automatic(request, version, about),
        by_hand=CHECKED_BY_HAND,
        products=about,
        file=await session.get(StoredFile, version.file_id) if version.file_id else None,
        live=live,
        difference=differences.between(live, version) if live else [],
        step={State.DRAFT: 0, State.SUBMITTED: 1, State.REJECTED: 1}.get(version.state, 3),
        may_decide=not why_not,
        why_not=why_not,
        decision=typed,
        errors=errors,
        channels=[(channel.value, channel.label) for channel in Channel],
        branches=await people.branches(session),
        granted_branches=await branch_names(session, version.branch_ids),
    )
    return page(request, "content/review.html", context, status=422 if errors else 200)


def _why_not(version: Version, who: Signed) -> str:
    if version.state != State.SUBMITTED:
        return f"这个版本{version.state.label}，没有待办的审批。"
    if version.author_id == who.id:
        return "这是您提交的素材，须由另一位审批人处理。"
    if not who.may(*review.REVIEWERS):
        return "您可以查看审批内容，审批由内容审批或合规岗处理。"
    return ""


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

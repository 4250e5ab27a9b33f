"""系统: staff and roles, the audit book."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web
from sqlalchemy import ColumnElement, func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank import staff as people
from bank.models import AuditEntry, Branch, Role, Staff
from bot import audit_words
from bot.audit_search import Wanted, wanted_of
from desk.downloads import ALONE
from desk.permissions import allow
from desk.render import page
from desk.signed import session_of

routes = web.RouteTableDef()

AUDIT_PAGE = 50


@dataclass(frozen=True)
class StaffPage:
    """`/system/staff`: who may do what."""

    staff: list[Staff]
    branches: dict[UUID, Branch]
    labels: dict[str, str]  # role → its Chinese name


@routes.get("/system/staff")
@allow(Role.ADMIN, Role.AUDITOR)
async def staff_list(request: web.Request) -> web.Response:
    """Staff with their roles and branches."""
    session = session_of(request)
    branches = {branch.id: branch for branch in await people.branches(session)}
    labels = {role.value: role.label for role in Role}
    return page(
        request, "bot/staff.html", StaffPage(await people.everyone(session), branches, labels)
    )


@dataclass(frozen=True)
class AuditLine:
    """A line of the audit book in words."""

    entry: AuditEntry
    actor: str
    action: str
    subject: str
    short_id: str
    href: str  # the object's page, empty without one
    details: list[tuple[str, str]]


@dataclass(frozen=True)
class AuditPage:
    """`/system/audit`: the audit book, newest first."""

    lines: list[AuditLine]
    wanted: Wanted
    actions: list[tuple[str, str]]
    actors: list[tuple[str, str]]
    subjects: list[tuple[str, str]]
    alone: int  # as many lines may be exported without a second person
    query: str  # everything but the page, for the pager
    total: int
    number: int
    pages: int


@routes.get("/system/audit")
@allow(Role.COMPLIANCE, Role.AUDITOR)
async def audit_book(request: web.Request) -> web.Response:
    """Who did what, newest first."""
    session, wanted = session_of(request), wanted_of(request.query)
    conditions = wanted.conditions()
    counted = select(func.count(col(AuditEntry.id))).where(*conditions)
    total = (await session.execute(counted)).scalar_one()
    number, pages = _page_of(request, total)
    names = await actor_names(session)
    context = AuditPage(
        lines=await audit_lines(session, names, conditions, AUDIT_PAGE, (number - 1) * AUDIT_PAGE),
        wanted=wanted,
        actions=[("", "全部操作"), *audit_words.ACTIONS.items()],
        actors=[("", "全部人员"), *names.items()],
        subjects=[
            ("", "全部对象"),
            *((s, label) for s, (label, _) in audit_words.SUBJECTS.items()),
        ],
        alone=ALONE,
        query=wanted.query,
        total=total,
        number=number,
        pages=pages,
    )
    return page(request, "bot/audit.html", context)


def _page_of(request: web.Request, total: int) -> tuple[int, int]:
    pages = max(1, -(-total // AUDIT_PAGE))
    asked = request.query.get("page", "1")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
    return min(max(1, number), pages), pages


async def actor_names(session: AsyncSession) -> dict[str, str]:
    """Everyone who may stand in the audit book, by userid."""
    staff = await people.everyone(session)
    return {audit.SYSTEM: "系统"} | {person.userid: person.name for person in staff}


async def audit_lines(
    session: AsyncSession,
    names: dict[str, str],
    wanted: Sequence[ColumnElement[bool]] = (),
    limit: int = AUDIT_PAGE,
    offset: int = 0,
) -> list[AuditLine]:
    """Lines of the audit book in words, newest first."""
    query = select(AuditEntry).where(*wanted).order_by(col(AuditEntry.id).desc())
    found = (await session.execute(query.limit(limit).offset(offset))).scalars()
    return [
        AuditLine(
            entry=entry,
            actor=names.get(entry.actor, entry.actor),
            action=audit_words.action_label(entry.action),
            subject=audit_words.subject_label(entry.subject),
            short_id=audit_words.short_id(entry.subject_id),
            href=audit_words.address_of(entry.subject, entry.subject_id),
            details=audit_words.details(entry.detail),
        )
        for entry in found
    ]

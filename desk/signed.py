"""Who is signed in, and what a request carries: its staff, its transaction, its moment."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from aiohttp import web
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Role, Staff
from desk.keys import NOW
from desk.models import StaffSession

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
COOKIES = {"desk": ("siyu_desk", "/"), "sidebar": ("siyu_sidebar", "/sidebar")}


@dataclass(frozen=True)
class Signed:
    """The member of staff behind a request."""

    id: UUID
    userid: str
    name: str
    roles: frozenset[Role]
    branch_id: UUID | None
    csrf: str
    title: str = ""

    def may(self, *roles: Role) -> bool:
        """Whether any of these roles is held."""
        return bool(self.roles & set(roles))


SESSION = web.RequestKey("SESSION", AsyncSession)
SIGNED = web.RequestKey("SIGNED", Signed)


def session_of(request: web.Request) -> AsyncSession:
    """The transaction of this request."""
    return request[SESSION]


def signed(request: web.Request) -> Signed:
    """The member of staff of this request; the door has made sure there is one."""
    return request[SIGNED]


def now_of(request: web.Request) -> datetime:
    """The moment of this request."""
    return request.app[NOW]()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def open_session(
    session: AsyncSession, staff: Staff, door: str, now: datetime
) -> tuple[str, StaffSession]:
    """Start a sign-in; returns the token for the browser, of which only a hash is kept."""
    token = secrets.token_urlsafe(32)
    opened = StaffSession(
        token_hash=_hash(token),
        staff_id=staff.id,
        csrf=secrets.token_urlsafe(24),
        door=door,
        opened_at=now,
        seen_at=now,
    )
    session.add(opened)
    await session.flush()
    return token, opened


async def who_is(session: AsyncSession, token: str, door: str, now: datetime) -> Signed | None:
    """Whose token this is, if the sign-in still holds: 30 minutes idle, 12 hours at most."""
    rows = (
        select(StaffSession, Staff)
        .join(Staff, col(Staff.id) == col(StaffSession.staff_id))
        .where(StaffSession.token_hash == _hash(token), StaffSession.door == door)
    )
    found = (await session.execute(rows)).one_or_none()
    if found is None:
        return None
    opened, staff = found
    if now - opened.seen_at > IDLE or now - opened.opened_at > ABSOLUTE or not staff.enabled:
        return None
    if now - opened.seen_at > timedelta(minutes=1):
        opened.seen_at = now
    return _signed(staff, opened.csrf)


def _signed(staff: Staff, csrf: str) -> Signed:
    roles = frozenset(Role(role) for role in staff.roles)
    return Signed(staff.id, staff.userid, staff.name, roles, staff.branch_id, csrf, staff.title)


async def end_session(session: AsyncSession, token: str) -> None:
    """Forget this sign-in."""
    opened = await session.get(StaffSession, _hash(token))
    if opened is not None:
        await session.delete(opened)


async def forget_ended(session: AsyncSession, now: datetime) -> None:
    """Delete sign-ins that hold no more."""
    idle, old = col(StaffSession.seen_at) < now - IDLE, col(StaffSession.opened_at) < now - ABSOLUTE
    await session.execute(delete(StaffSession).where(idle | old))


def set_cookie(response: web.StreamResponse, token: str, door: str, secure: bool) -> None:
    """Hand the token to the browser, out of reach of scripts and of other sites."""
    name, path = COOKIES[door]
    response.set_cookie(
        name,
        token,
        path=path,
        httponly=True,
        samesite="Lax",
        secure=secure,
        max_age=int(ABSOLUTE.total_seconds()),
    )

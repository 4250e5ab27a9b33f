"""Who works here: looked up by WeCom userid, by id, by branch."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Branch, Role, Staff


async def by_userid(session: AsyncSession, userid: str) -> Staff | None:
    """The enabled member of staff with this WeCom userid (WeCom may answer in lower case)."""
    # Compared whole: to LIKE, the _ that WeCom allows in a userid is any letter.
    same = func.lower(col(Staff.userid)) == userid.lower()
    found = select(Staff).where(same, Staff.enabled)
    return (await session.execute(found)).scalar_one_or_none()


async def everyone(session: AsyncSession) -> list[Staff]:
    """All staff, by branch and name."""
    rows = await session.execute(select(Staff).order_by(col(Staff.branch_id), col(Staff.name)))
    return list(rows.scalars())


async def relationship_managers(
    session: AsyncSession, branch_id: UUID | None = None
) -> list[Staff]:
    """All RMs, or those of one branch."""
    rms = select(Staff).where(col(Staff.roles).contains([Role.RM.value]))
    if branch_id is not None:
        rms = rms.where(Staff.branch_id == branch_id)
    return list((await session.execute(rms.order_by(col(Staff.userid)))).scalars())


async def names(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Names to show for these ids."""
    if not ids:
        return {}
    rows = await session.execute(select(Staff.id, Staff.name).where(col(Staff.id).in_(set(ids))))
    return dict(rows.all())


async def branches(session: AsyncSession) -> list[Branch]:
    """All branches by code."""
    return list((await session.execute(select(Branch).order_by(col(Branch.code)))).scalars())

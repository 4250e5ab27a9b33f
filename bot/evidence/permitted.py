"""Who may take personal data out of the bank in a pack: compliance; much of it, two persons."""

from sqlalchemy.ext.asyncio import AsyncSession

from bank import staff as people
from bank.models import Role
from desk.downloads import ALONE


async def refusal(session: AsyncSession, rows: int, by: str, second: str) -> str:
    """Why the pack may not hold personal data; empty if it may."""
    taker = await people.by_userid(session, by) if by else None
    if taker is None or Role.COMPLIANCE not in taker.roles:
        return "--with-personal-data needs --by with the userid of an enabled member of compliance"
    if rows <= ALONE:
        return ""
    other = await people.by_userid(session, second) if second else None
    if (
        other is None
        or other.id == taker.id
        or not {Role.COMPLIANCE, Role.AUDITOR} & set(other.roles)
    ):
        return (
            f"{rows} rows: more than {ALONE} with personal data need --second with the userid of"
            " another member of compliance or audit"
        )
    return ""

"""Table of signed-in staff."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field, SQLModel

from bank.database import instant


class StaffSession(SQLModel, table=True):
    """A sign-in; the browser holds the token, we hold its hash."""

    __tablename__ = "staff_session"

    token_hash: str = Field(primary_key=True)
    staff_id: UUID = Field(foreign_key="staff.id", index=True)
    csrf: str
    door: str = Field(description="`desk` for staff pages, `sidebar` inside WeCom")
    opened_at: datetime = instant()
    seen_at: datetime = instant()

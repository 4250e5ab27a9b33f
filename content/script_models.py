"""Tables of the library of scripts 话术库: folders, what lies in them, order and favourites."""

import enum
from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from bank.database import instant, key, word


class ScriptLevel(enum.StrEnum):
    """Whose folder it is; the bank's own tree is made of what was approved with each script."""

    BRANCH = "branch"
    PERSONAL = "personal"

    @property
    def label(self) -> str:
        return {"branch": "支行", "personal": "个人"}[self]


class ScriptFolder(SQLModel, table=True):
    """A folder of scripts 话术文件夹, of a branch or of one member of staff."""

    __tablename__ = "script_folder"
    __table_args__ = (
        CheckConstraint(
            "(level = 'branch') = (branch_id IS NOT NULL)"
            " AND (level = 'personal') = (staff_id IS NOT NULL)",
            name="somebodys",
        ),
        UniqueConstraint(
            "level", "branch_id", "staff_id", "name", postgresql_nulls_not_distinct=True
        ),
    )

    id: UUID = key()
    level: ScriptLevel = word(ScriptLevel)
    branch_id: UUID | None = Field(default=None, foreign_key="branch.id", index=True)
    staff_id: UUID | None = Field(default=None, foreign_key="staff.id", index=True)
    name: str
    series: bool = Field(
        default=False,
        sa_column_kwargs={"server_default": "false"},
        description="组合话术: its scripts are sent one after another, in their order",
    )
    made_at: datetime = instant()

    @property
    def key(self) -> str:
        """Its name in addresses."""
        return f"{'series' if self.series else 'folder'}:{self.id}"


class ScriptPlace(SQLModel, table=True):
    """Where a script stands in a folder; without a folder, in the bank's own tree."""

    __tablename__ = "script_place"
    __table_args__ = (
        UniqueConstraint("folder_id", "material_id", postgresql_nulls_not_distinct=True),
        Index("ix_script_place_material", "material_id"),
    )

    id: UUID = key()
    folder_id: UUID | None = Field(default=None, foreign_key="script_folder.id", ondelete="CASCADE")
    material_id: UUID = Field(foreign_key="material.id")
    position: int


class ScriptFavourite(SQLModel, table=True):
    """A script somebody keeps at hand 收藏."""

    __tablename__ = "script_favourite"

    staff_id: UUID = Field(foreign_key="staff.id", primary_key=True)
    material_id: UUID = Field(foreign_key="material.id", primary_key=True)
    at: datetime = instant()

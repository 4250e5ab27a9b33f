"""Scripts as a sheet that the import reads back: exported and imported, every row is the same."""

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from content import particulars
from content.import_rows import HEADINGS
from content.models import Material, State, Version
from content.particulars import EXPERTISE_LABELS, STRENGTH_LABELS, TRUST_LABELS, Persona, Source
from content.scripts import SCRIPTS
from wecom.channels import Channel

# A script has no file and no card.
COLUMNS = tuple(
    name for name in HEADINGS
    if name not in ("file", "url", "card_title", "card_text", "app_id", "page")
)  # fmt: skip


def headings() -> list[str]:
    """The headings of the sheet, as the import knows them."""
    return [HEADINGS[name] for name in COLUMNS]


async def rows(session: AsyncSession) -> list[list[str]]:
    """The newest version of every script that was not taken out of use."""
    last = select(func.max(Version.number)).where(col(Version.material_id) == Material.id)
    found = (
        select(Material, Version)
        .join(Version, col(Version.material_id) == Material.id)
        .where(
            col(Material.kind).in_(SCRIPTS),
            col(Version.number) == last.correlate(Material).scalar_subquery(),
            col(Version.state) != State.WITHDRAWN,
            col(Version.file_id).is_(None),
        )
        .order_by(col(Material.code))
    )
    return [
        [_cells(material, version)[name] for name in COLUMNS]
        for material, version in (await session.execute(found)).all()
    ]


def _cells(material: Material, version: Version) -> dict[str, str]:
    told = particulars.of_version(material, version)
    return {
        "kind": material.kind.label,
        "category": "/".join(told.category),
        "title": version.title,
        "body": version.body,
        "questions": "\n".join(version.questions),
        "use": particulars.use_of(material, version).label,
        "products": "；".join(f"{code}={STRENGTH_LABELS[s]}" for code, s in told.products),
        "trust": TRUST_LABELS[told.trust],
        "expertise": EXPERTISE_LABELS[told.expertise],
        "personas": "；".join(Persona(each).label for each in told.personas),
        "channels": "；".join(Channel(each).label for each in told.channels),
        "valid_days": str(told.valid_days),
        "source": Source(told.source).label,
        "licence": told.licence,
        "licensed_until": told.licensed_until,
        "ai_made": "是" if told.ai_made else "否",
        "owner": told.owner,
        "branches": "；".join(told.branches),
    }

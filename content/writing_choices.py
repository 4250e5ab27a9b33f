"""What the form of a material offers to choose from."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import staff as people
from bank.models import Role, Staff
from content import particulars, products
from content.models import Kind, Use
from content.particulars import Persona, Source
from wecom.channels import Channel

Options = list[tuple[str, str]]


@dataclass(frozen=True)
class Choices:
    """The lists of the form, each as (value, words)."""

    kinds: Options
    uses: Options
    trust: Options
    expertise: Options
    personas: Options
    channels: Options
    branches: Options
    products: Options
    strengths: Options
    sources: Options
    owners: Options


async def choices(session: AsyncSession) -> Choices:
    """As things stand now."""
    shelf = await products.find(session)
    branches = await people.branches(session)
    return Choices(
        kinds=[("", "请选择"), *((kind.value, kind.label) for kind in Kind)],
        uses=[("", "请选择"), *((use.value, use.label) for use in Use)],
        trust=_levels(particulars.TRUST_LABELS),
        expertise=_levels(particulars.EXPERTISE_LABELS),
        personas=[(persona.value, persona.label) for persona in Persona],
        channels=[(channel.value, channel.label) for channel in Channel],
        branches=[(branch.code, branch.name) for branch in branches],
        products=[(product.code, f"{product.name}（R{product.rating}）") for product in shelf],
        strengths=[(str(s), label) for s, label in particulars.STRENGTH_LABELS.items()],
        sources=[(source.value, source.label) for source in Source],
        owners=[("", "我自己"), *await _editors(session)],
    )


def _levels(labels: dict[int, str]) -> Options:
    return [(str(level), f"{level} {label}") for level, label in labels.items()]


async def _editors(session: AsyncSession) -> Options:
    rows = select(Staff.userid, Staff.name).where(
        col(Staff.enabled), col(Staff.roles).contains([Role.EDITOR.value])
    )
    return [(userid, name) for userid, name in await session.execute(rows.order_by(Staff.name))]

"""Tags 标签 of customers, each with where it comes from."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from customers.models import CustomerTag


async def tags_of(session: AsyncSession, customer_id: UUID) -> list[CustomerTag]:
    """The customer's tags by name."""
    query = select(CustomerTag).where(CustomerTag.customer_id == customer_id)
    return list((await session.execute(query.order_by(col(CustomerTag.name)))).scalars())

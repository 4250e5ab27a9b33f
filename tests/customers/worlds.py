"""Small worlds of customers: holdings, tags, relations that ended."""

from datetime import date

from sqlalchemy.ext.asyncio import AsyncSession

from customers.models import Customer, Holding


async def a_holding(
    session: AsyncSession,
    customer: Customer,
    *,
    yuan: int = 50_000,
    matures_on: date | None = None,
    product: str = "YX90D",
    bought_on: date = date(2026, 9, 1),
) -> Holding:
    """What the customer holds of a product."""
    holding = Holding(
        customer_id=customer.id,
        product_code=product,
        amount_cents=yuan * 100,
        bought_on=bought_on,
        matures_on=matures_on,
    )
    session.add(holding)
    await session.flush()
    return holding

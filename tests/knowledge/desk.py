"""An RM at the sidebar, through its pages."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.models import Role, Staff
from customers.models import Customer
from knowledge.models import Suggestion
from tests.builders import a_customer, a_follow, a_staff
from tests.conftest import Product, Visitor
from tests.knowledge.wire import ASKED


class Desk:
    """An RM at the sidebar of one customer."""

    def __init__(self, product: Product, session: AsyncSession) -> None:
        self.product, self.session = product, session
        self.rm: Staff
        self.customer: Customer
        self.sidebar: Visitor

    async def opens(self, **customer: Any) -> "Desk":
        """The RM opens the chat; the index knows the library."""
        self.rm = await a_staff(self.session, Role.RM)
        self.customer = await a_customer(self.session, **customer)
        await a_follow(self.session, self.rm, self.customer)
        await self.session.commit()
        await self.product.parts.index.catch_up(self.session, self.product.clock())
        await self.session.commit()
        self.sidebar = await self.product.client(self.rm, "sidebar")
        return self

    async def asks(self, question: str = ASKED) -> Suggestion:
        """The RM types the question; the suggestion made for it."""
        path = f"/sidebar/{self.customer.external_userid}/ask"
        answer = await self.sidebar.post(path, {"question": question})
        assert answer.status == 200, await answer.text()
        return (await self.all(Suggestion))[-1]

    async def clears(self, made: Suggestion, text: str, page: str = "") -> dict[str, Any]:
        """The RM presses send; what the product says."""
        path = f"/sidebar/suggestions/{made.id}/clear"
        said: dict[str, Any] = await (
            await self.sidebar.post(path, {"text": text, "page": page})
        ).json()
        return said

    async def says_sent(self, made: Suggestion) -> int:
        """The bridge reports; the answer's status."""
        return (await self.sidebar.post(f"/sidebar/suggestions/{made.id}/sent")).status

    async def now(self, made: Suggestion) -> Suggestion:
        """The suggestion as it stands."""
        return next(s for s in await self.all(Suggestion) if s.id == made.id)

    async def all(self, model: Any) -> list[Any]:
        """Every row of a table, in the order they were made."""
        async with self.product.parts.sessions() as session:
            rows = (await session.execute(select(model))).scalars()
            return sorted(rows, key=lambda row: str(getattr(row, "created_at", row.id)))

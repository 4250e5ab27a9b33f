"""A small town for journeys: the product and the simulated platform under one address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer, unused_port
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.models import Role, Staff
from bank.settings import Settings
from bot.app import make_app, open_parts
from bot.demo.run import CORP, demo_settings
from bot.groups import listening
from customers.models import Customer
from tests.builders import MONDAY, a_branch, a_customer, a_follow, a_staff
from tests.conftest import Clock, Product, Visitor
from wecom.simulator import Contact, FollowRelation, Member, World, make_simulator


class Town(Product):
    """The product, the platform, one RM and one customer."""

    rm: Staff
    customer: Customer
    platform: str
    http: aiohttp.ClientSession

    async def control(self, verb: str, **wish: Any) -> dict[str, Any]:
        """Make somebody act on the platform."""
        async with self.http.post(f"{self.platform}/control/{verb}", json=wish) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status == 200, answer
            return answer

    async def writes(self, text: str) -> None:
        """The customer writes to the RM, and the platform's callbacks have arrived."""
        await self._message(str(self.customer.external_userid), self.rm.userid, text)

    async def rm_says(self, text: str) -> None:
        """The RM writes to the customer in the chat."""
        await self._message(self.rm.userid, str(self.customer.external_userid), text)

    async def _message(self, sender: str, receiver: str, text: str) -> None:
        # The archive's bell rings at most once in 15 s; two in one second would be the same event.
        self.clock.forward(timedelta(seconds=15))
        await self.control("message", **{"from": sender, "to": receiver, "text": text})
        await self.control("settle")

    async def works(self) -> None:
        """One round of the product's loops."""
        async with self.parts.sessions.begin() as session:
            await self.parts.index.catch_up(session, self.clock())
        await self.parts.dispatcher.handle_new(self.clock())
        await self.parts.dispatcher.answer_new(self.clock())
        await listening.catch_up(self.parts.sessions, self.parts.index, 0, self.clock())

    async def seen(self, customer: Customer | None = None) -> list[str]:
        """What the customer really saw."""
        async with self.http.get(f"{self.platform}/control/ledger") as response:
            lines = (await response.json())["ledger"]
        contact = (customer or self.customer).external_userid
        return [line["text"] for line in lines if line["external_userid"] == contact]

    async def sidebar(self, rm: Staff | None = None) -> Visitor:
        """The RM's sidebar."""
        return await self.client(rm or self.rm, "sidebar")

    async def all(self, model: Any) -> list[Any]:
        """Every row of a table."""
        async with self.parts.sessions() as session:
            return list((await session.execute(select(model))).scalars())


async def people(session: AsyncSession) -> tuple[Staff, Customer]:
    """An RM with one customer."""
    branch = await a_branch(session)
    rm = await a_staff(session, Role.RM, branch=branch, name="王敏")
    customer = await a_customer(session, name="李女士", risk=3, branch=branch)
    await a_follow(session, rm, customer)
    await session.commit()
    return rm, customer


@asynccontextmanager
async def a_town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """Product and platform on one address, as the demo has them, knowing RM and customer."""
    rm, customer = await people(session)
    port = unused_port()
    joined = demo_settings(settings, port)
    platform = make_simulator(
        a_world(rm, customer),
        corp=CORP,
        callback_url=f"{joined.public_url}/wecom/callback",
        sidebar_url=f"{joined.public_url}/sidebar?demo={{member}}",
        now=clock,
        archive_bell_seconds=0,
    )
    async with open_parts(joined, now=clock) as parts, aiohttp.ClientSession() as http:
        app = make_app(joined, parts)
        app.add_subapp("/simulator/", platform)
        server = TestServer(app, port=port)
        await server.start_server()
        town = Town(server, parts, clock)
        town.rm, town.customer, town.http = rm, customer, http
        town.platform = joined.wecom_base_url
        yield town
        await town.close()
        await server.close()


def a_world(rm: Staff, customer: Customer) -> World:
    """The platform as it knows the two."""
    contact = str(customer.external_userid)
    return World().seed(
        [Member(rm.userid, rm.name)],
        [Contact(contact, customer.name)],
        [FollowRelation(rm.userid, contact, MONDAY)],
    )

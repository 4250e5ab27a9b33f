"""A 微信客服 counter for tests: an account with one servicer, a customer, the product."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.settings import Settings
from bot.models import MemberCard, ServiceAccount, ServiceMessage, ServiceSession
from bot.service import chat as service_chat
from bot.service.answers import Assistant
from content.models import Version
from tests.builders import an_approved_material
from tests.conftest import Clock
from tests.town import Town, a_town
from wecom.simulator.api_call import PLATFORM
from wecom.simulator.platform import Platform
from wecom.simulator.service_state import PRODUCT, ServiceHall, ServiceItem

DESK = "wkTownDesk"
ROBOT_TOKEN, ROBOT_KEY = "robotToken", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
ASKED = "赎回几天到账"


class Counter:
    """The town with a 微信客服 account that answers without a person."""

    def __init__(self, town: Town, settings: Settings) -> None:
        self.town, self.settings, self.clock = town, settings, town.clock
        self.who = str(town.customer.external_userid)
        self.assistant = Assistant(
            town.parts.sessions, town.parts.wecom, settings, town.parts.index
        )

    @property
    def platform(self) -> Platform:
        """The simulated platform, to look behind its pages."""
        [mounted] = [app for app in self.town.app._subapps if PLATFORM in app]
        return mounted[PLATFORM]

    @property
    def hall(self) -> ServiceHall:
        """All of 微信客服 as the platform remembers it."""
        return self.platform.world.service

    async def hand(self, verb: str, **wish: Any) -> dict[str, Any]:
        """Somebody acts on the platform, and its callbacks have arrived."""
        self.clock.forward(timedelta(seconds=1))
        done = await self.town.control(verb, **{"open_kfid": DESK, **wish})
        assert done["ok"], done
        await self.town.control("settle")
        return done

    async def writes(self, text: str = ASKED, **extra: Any) -> str:
        """The customer writes; returns the message's id."""
        wish = {"external_userid": self.who, "text": text, **extra}
        return str((await self.hand("service_write", **wish))["msgid"])

    async def works(self) -> None:
        """One round of the product's loops."""
        await self.hears()
        await self.assistant.work(self.clock())

    async def hears(self) -> None:
        """What was said is pulled, and nothing is decided about it."""
        async with self.town.parts.sessions.begin() as session:
            await self.town.parts.index.catch_up(session, self.clock())
        await self.town.parts.dispatcher.handle_new(self.clock())

    async def pulls(self) -> int:
        """The account is read without a bell."""
        parts = self.town.parts
        return await service_chat.pull(
            parts.sessions, parts.wecom, self.settings, DESK, "", self.clock()
        )

    def got(self) -> list[str]:
        """What the customer got from the product, oldest first."""
        return [item.text for item in self._ours() if item.delivered]

    def _ours(self) -> list[ServiceItem]:
        chat = self.hall.chat(DESK, self.who)
        return [item for item in chat if item.origin == PRODUCT]

    def state(self) -> int:
        """The session's state on the platform."""
        return self.hall.session(DESK, self.who).state_at(self.clock())

    async def chat(self) -> ServiceSession:
        """The session as the product knows it."""
        async with self.town.parts.sessions() as session:
            return (await session.execute(select(ServiceSession))).scalar_one()

    async def messages(self) -> list[ServiceMessage]:
        """The conversation as the product keeps it."""
        async with self.town.parts.sessions() as session:
            found = await session.execute(select(ServiceMessage))
        return sorted(found.scalars(), key=lambda m: (m.sent_at, m.stored_at))

    async def note(self) -> str:
        """Why the customer's last message was not answered without a person."""
        theirs = [m for m in await self.messages() if m.speaker.value == "customer"]
        return theirs[-1].failure

    async def cards(self) -> list[MemberCard]:
        """The cards members got."""
        return list(await self.town.all(MemberCard))

    async def switch(self, on: bool) -> None:
        """The account answers without a person, or no longer."""
        async with self.town.parts.sessions.begin() as session:
            account = await session.get(ServiceAccount, DESK)
            if account is None:
                account = ServiceAccount(open_kfid=DESK, name="云州银行客服")
            account.automatic = on
            session.add(account)


async def a_kf_material(session: AsyncSession, **facts: Any) -> Version:
    """An approved answer for 微信客服."""
    return await an_approved_material(session, channels=("single_chat", "kf"), **facts)


@asynccontextmanager
async def a_counter(
    settings: Settings, clock: Clock, session: AsyncSession, **wishes: Any
) -> AsyncIterator[Counter]:
    """The counter, open, with one approved answer."""
    given = {
        "service_automatic": True,
        "ai_filing_number": "Test-20261123",
        "robot_token": SecretStr(ROBOT_TOKEN),
        "robot_aes_key": SecretStr(ROBOT_KEY),
        **wishes,
    }
    served = settings.model_copy(update=given)
    async with a_town(served, clock, session) as town:
        counter = Counter(town, served)
        await town.control(
            "service_account", name="云州银行客服", open_kfid=DESK, servicers=[town.rm.userid]
        )
        await counter.switch(on=True)
        await a_kf_material(session)
        await session.commit()
        yield counter

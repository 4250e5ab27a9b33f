"""WeCom's server API, grouped as WeCom groups it: `client.contacts.get(…)`, `client.groups.get(…)`.

How a call is made, repeated, paced and refused is in `calls`; what it takes and gives is in the
file of its group. What puts words before a customer is not here but in `to_customers`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import aiohttp

from wecom.archive_consent import ArchiveConsent
from wecom.behaviour import Behaviour
from wecom.calls import Calls
from wecom.contact_ways import ContactWays
from wecom.contacts import Contacts
from wecom.group_welcomes import GroupWelcomes
from wecom.groups import Groups
from wecom.intents import Intents
from wecom.links import Links
from wecom.mass_sends import MassSends
from wecom.media import MediaStore
from wecom.messages import Messages
from wecom.moments import Moments
from wecom.platform import PlatformFacts
from wecom.rules import Rules
from wecom.service import Service
from wecom.sign_in import SignIn, Tickets
from wecom.tags import Tags
from wecom.tokens import GrantStore
from wecom.traffic import Rate
from wecom.transfers import Transfers


class WeComClient:
    """One app of one company; several of them share nothing.

    `now` counts seconds and only measures; `sleep` waits between repeated calls. `grants` shares
    tokens between processes, `intents` keeps what is about to be created, `rates` replaces the
    pace of a call by its path.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        *,
        base_url: str,
        corp_id: str,
        agent_id: int,
        secret: str,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        timeout: float = 10.0,
        grants: GrantStore | None = None,
        intents: Intents | None = None,
        rates: Mapping[str, Rate] | None = None,
    ) -> None:
        calls = self.calls = Calls(
            http,
            base_url=base_url,
            corp_id=corp_id,
            agent_id=agent_id,
            secret=secret,
            now=now,
            sleep=sleep,
            timeout=timeout,
            grants=grants,
            intents=intents,
            rates=rates,
        )
        self.media = MediaStore(calls)
        self.contacts = Contacts(calls)
        self.tags = Tags(calls)
        self.contact_ways = ContactWays(calls)
        self.links = Links(calls)
        self.group_welcomes = GroupWelcomes(calls)
        self.groups = Groups(calls)
        self.mass_sends = MassSends(calls)
        self.moments = Moments(calls)
        self.rules = Rules(calls)
        self.transfers = Transfers(calls)
        self.behaviour = Behaviour(calls)
        self.messages = Messages(calls)
        self.service = Service(calls)
        self.archive_consent = ArchiveConsent(calls)
        self.sign_in = SignIn(calls)
        self.tickets = Tickets(calls)
        self.platform = PlatformFacts(calls)

    def __repr__(self) -> str:
        return f"<WeComClient corp_id={self.calls.corp_id!r} agent_id={self.calls.agent_id}>"

"""Where tracked links lead: looked up together, however many are opened at once.

Nothing is kept between two look-ups, so a withdrawal ends a link in the moment it commits. Those
who ask while a look-up is under way share the next one: each version is read once for all of them.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution.models import TrackedLink
from bank.database import Sessions
from content import addresses, links, sendable
from content.links import Refused, Shown
from content.sendable import Shape

# More wait only when the database does not answer; they are asked to come back.
MOST = 4_000


class Busy(RuntimeError):
    """Too many links are being opened; try again in a few seconds."""


@dataclass(frozen=True)
class Lead:
    """What a link shows now, and whom it was sent to."""

    shown: Shown | Refused
    contact: str
    to_one: bool
    redirect: str = ""  # an approved address elsewhere, instead of a page of ours


class Leads:
    """Answers where links lead; one for each process."""

    def __init__(self, sessions: Sessions, hosts: Collection[str]) -> None:
        """`hosts` are those a link may lead to outside our own pages."""
        self._sessions = sessions
        self._hosts = tuple(hosts)
        self._waiting: dict[str, asyncio.Future[Lead | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def of(self, code: str, now: datetime) -> Lead | None:
        """Where this link leads now; None where there is no such link."""
        waiting = self._waiting.get(code)
        if waiting is None:
            if len(self._waiting) >= MOST:
                raise Busy(Busy.__doc__)
            waiting = asyncio.get_running_loop().create_future()
            self._waiting[code] = waiting
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(now), name="leads")
        # Whoever gives up leaves the others waiting.
        return await asyncio.shield(waiting)

    async def _ask(self, now: datetime) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting, {}
            try:
                async with self._sessions() as session:
                    found = await _leads(session, asked, self._hosts, now)
            except Exception as error:
                for future in asked.values():
                    future.set_exception(error)
                    future.exception()  # nobody may be left to take it
                continue
            for code, future in asked.items():
                future.set_result(found.get(code))


async def _leads(
    session: AsyncSession, codes: Collection[str], hosts: tuple[str, ...], now: datetime
) -> dict[str, Lead]:
    rows = select(
        TrackedLink.code, TrackedLink.version_id, TrackedLink.contact, TrackedLink.customer_id
    ).where(col(TrackedLink.code).in_(codes))
    found = (await session.execute(rows)).all()
    versions = {version_id for _, version_id, _, _ in found}
    shown = {one: await links.shown_of(session, one, now) for one in versions}
    outside = await _addresses(session, versions)
    return {
        code: Lead(
            shown=_allowed(shown[version_id], outside.get(version_id, ""), hosts),
            contact=contact,
            to_one=customer_id is not None or bool(contact),
            redirect=outside.get(version_id, ""),
        )
        for code, version_id, contact, customer_id in found
    }


async def _addresses(session: AsyncSession, versions: Collection[UUID]) -> dict[UUID, str]:
    """The approved addresses of link cards; a page of ours has none."""
    sent = await sendable.of_versions(session, versions)
    return {key: one.url for key, one in sent.items() if one.shape is Shape.LINK and one.url}


def _allowed(shown: Shown | Refused, address: str, hosts: tuple[str, ...]) -> Shown | Refused:
    """A host that was taken off the list since the approval is led to no more."""
    refusal = addresses.refusal(address, hosts) if address else ""
    return Refused(refusal) if refusal else shown


LEADS = web.AppKey("LEADS", Leads)

"""即将到期: what ends soon or has just ended, where it is used, and what to do about it."""

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from bank.calendar import local_day
from bank.models import Role
from bot import expiry_cards, material_use
from bot.material_use import Place
from bot.material_use_pages import followed
from content import renewals, shelf
from content.files import FILES
from content.house import house_of
from content.material_pages import Options
from content.shelf import Row, Wanted
from content.shelf_filters import VALIDITY
from desk.ids import ID
from desk.keys import SESSIONS, SETTINGS, WECOM
from desk.permissions import SEES_ENDS, allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

ALL_MATERIAL = shelf.Reader(only_live=False, branch_id=None)
WINDOWS = tuple(each for each in VALIDITY if each[0] != "valid")
USUAL, LAPSED = "30", "ended"
PAGE = 20
# A list longer than this is no list of exceptions any more.
MOST = 1000
MAY_REMIND = (Role.EDITOR, Role.APPROVER, Role.COMPLIANCE, Role.HQ)


@dataclass(frozen=True)
class Ending:
    """A material that ends, or has ended."""

    row: Row
    places: list[Place]
    days: int  # left; negative: since it ended
    under_way: str  # the version that is to take its place, in words; empty without one

    @property
    def breaks(self) -> bool:
        """Whether something that runs today loses its text."""
        return any(place.running and place.tone == "red" for place in self.places)


@dataclass(frozen=True)
class ExpiringPage:
    """`/content/expiring`."""

    window: str
    windows: list[tuple[str, str, bool]]  # words with count, address, whether it is this one
    owner: str  # userid
    owners: Options
    rows: list[Ending]  # what breaks something first, then by date
    total: int
    broken: int  # of all of them, how many break something
    number: int
    pages: int
    query: str
    may_renew: bool
    may_remind: bool
    error: str  # why nothing was done


@routes.get("/content/expiring")
@allow(*SEES_ENDS)
async def expiring(request: web.Request) -> web.Response:
    """What ends within the days asked for."""
    return await _shown(request)


async def _shown(request: web.Request, error: str = "") -> web.Response:
    session, who, now = session_of(request), signed(request), now_of(request)
    asked, owner = request.query.get("window", ""), request.query.get("owner", "").replace("\0", "")
    window = asked if asked in dict(WINDOWS) else USUAL
    found = await _endings(session, window, owner, now)
    pages = max(1, -(-len(found) // PAGE))
    number = min(_number(request), pages)
    shown = found[(number - 1) * PAGE : number * PAGE]
    context = ExpiringPage(
        window=window,
        windows=[await _tab(session, each, window, owner, now) for each in WINDOWS],
        owner=owner,
        owners=[("", "全部负责人"), *await shelf.owners(session)],
        rows=[Ending(e.row, followed(e.places, who), e.days, e.under_way) for e in shown],
        total=len(found),
        broken=sum(ending.breaks for ending in found),
        number=number,
        pages=pages,
        query=_query(window, owner),
        may_renew=who.may(Role.EDITOR),
        may_remind=who.may(*MAY_REMIND),
        error=error,
    )
    return page(request, "bot/expiring.html", context, status=422 if error else 200)


def _number(request: web.Request) -> int:
    asked = request.query.get("page", "1")
    return int(asked) if re.fullmatch("[1-9][0-9]{0,4}", asked) else 1


def _query(window: str, owner: str) -> str:
    return urlencode({"window": window} | ({"owner": owner} if owner else {}))


async def _tab(
    session: AsyncSession, each: tuple[str, str], window: str, owner: str, now: datetime
) -> tuple[str, str, bool]:
    name, words = each
    wanted = Wanted(validity=name, owner=owner, size=1)
    total = (await shelf.shelf(session, wanted, ALL_MATERIAL, now)).total
    return f"{words}（{total:,}）", f"/content/expiring?{_query(name, owner)}", name == window


async def _endings(session: AsyncSession, window: str, owner: str, now: datetime) -> list[Ending]:
    sort = "-ends" if window == LAPSED else "ends"
    wanted = Wanted(validity=window, owner=owner, sort=sort, size=MOST)
    rows = (await shelf.shelf(session, wanted, ALL_MATERIAL, now)).rows
    places = await material_use.places_of(session, [row.material.id for row in rows], now)
    found = [_ending(row, places.get(row.material.id, []), now) for row in rows]
    return sorted(found, key=lambda ending: not ending.breaks)


def _ending(row: Row, places: list[Place], now: datetime) -> Ending:
    days = (local_day(row.ends) - local_day(now)).days if row.ends else 0
    newest = row.version
    waits = newest.state in renewals.UNDER_WAY
    return Ending(row, places, days, f"V{newest.number} {row.standing.label}" if waits else "")


@routes.post(f"/content/{{material_id:{ID}}}/renew")
@allow(Role.EDITOR)
async def renew(request: web.Request) -> web.Response:
    """Submit the same words again."""
    outcome = await renewals.renew(
        session_of(request),
        request.app[FILES],
        UUID(request.match_info["material_id"]),
        signed(request),
        now_of(request),
        house=house_of(request.app[SETTINGS]),
    )
    if isinstance(outcome, renewals.Refused):
        await session_of(request).rollback()
        return await _shown(request, outcome.reason)
    done = f"《{outcome.version.title}》V{outcome.version.number} 已送审，通过后有效期更新"
    return _back(request, done)


@routes.post(f"/content/{{material_id:{ID}}}/remind")
@allow(*MAY_REMIND)
async def remind(request: web.Request) -> web.Response:
    """Tell the owner with a card on their desktop, once a day."""
    session, now = session_of(request), now_of(request)
    row = await shelf.row_of(session, UUID(request.match_info["material_id"]), ALL_MATERIAL, now)
    if row is None:
        raise web.HTTPNotFound
    places = (await material_use.places_of(session, [row.material.id], now)).get(
        row.material.id, []
    )
    refused = await expiry_cards.tell_owner(
        request.app[SESSIONS],
        request.app[WECOM],
        request.app[SETTINGS],
        row,
        "、".join(place.name for place in places),
        signed(request),
        now,
    )
    if refused:
        return await _shown(request, refused)
    return _back(request, f"已提醒{row.owner}")


def _back(request: web.Request, done: str) -> web.Response:
    window, owner = request.query.get("window", USUAL), request.query.get("owner", "")
    kept = _query(window if window in dict(WINDOWS) else USUAL, owner)
    return see_other(f"/content/expiring?{kept}&{urlencode({'done': done})}")

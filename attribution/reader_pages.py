"""谁看过: who opened a material, how often and how long; only customers one may see are named."""

from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from attribution import openings, touchpoints
from attribution.chosen import page_of
from attribution.openings import Reader, Readership, length
from content import shelf
from content.material_pages import READERS, SEES_RECIPIENTS, reader_of
from content.models import Material
from customers.book import visible
from desk.ids import ID, id_of
from desk.keys import SETTINGS
from desk.permissions import allow
from desk.render import fragment, page
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

PAGE = 50
MOST_MATERIALS = 100
NOBODY = Readership(0, 0, 0, 0)


@dataclass(frozen=True)
class ReadersPage:
    """`/content/{id}/readers`."""

    material: Material
    readership: Readership
    readers: list[tuple[Reader, str]]  # with how long, in words
    number: int
    pages: int
    logs: bool  # whether openings are logged at all
    identifies: bool  # whether WeChat is asked who opens


@dataclass(frozen=True)
class ReadCells:
    """`/content/readers`: for the cells of a list of materials."""

    cells: list[tuple[UUID, int, Readership]]  # material, how often it was sent, who opened it
    opens_rows: bool


@routes.get(f"/content/{{material_id:{ID}}}/readers")
@allow(*SEES_RECIPIENTS)
async def show_readers(request: web.Request) -> web.Response:
    """Who opened any version of the material, who opened it last first."""
    session, who, now = session_of(request), signed(request), now_of(request)
    material_id, settings = UUID(request.match_info["material_id"]), request.app[SETTINGS]
    material = await session.get(Material, material_id)
    if material is None or not await shelf.visible_versions(
        session, material_id, reader_of(who), now
    ):
        raise web.HTTPNotFound
    scope, mode = visible(who), settings.radar
    found = await openings.readership(session, [material_id], scope, mode, now)
    readership = found.get(material_id, NOBODY)
    number, pages = page_of(request, readership.customers, PAGE)
    readers = await openings.readers(
        session, material_id, scope, mode, now, limit=PAGE, offset=(number - 1) * PAGE
    )
    context = ReadersPage(
        material=material,
        readership=readership,
        readers=[(one, length(one.seconds)) for one in readers],
        number=number,
        pages=pages,
        logs=mode != "off",
        identifies=settings.radar_identify,
    )
    return page(request, "attribution/readers.html", context)


@routes.get("/content/readers")
@allow(*READERS)
async def read_cells(request: web.Request) -> web.Response:
    """How often each of the materials asked for was sent, and how many have opened it."""
    session, who, now = session_of(request), signed(request), now_of(request)
    asked = [id_of(text) for text in request.query.getall("material", [])[:MOST_MATERIALS]]
    wanted = [one for one in asked if one]
    mode = request.app[SETTINGS].radar
    found = await openings.readership(session, wanted, visible(who), mode, now)
    sent = await touchpoints.times_sent(session, wanted)
    cells = [(one, sent.get(one, 0), found.get(one, NOBODY)) for one in dict.fromkeys(wanted)]
    context = ReadCells(cells, opens_rows=who.may(*SEES_RECIPIENTS))
    return fragment(request, "attribution/_read_cells.html", context)

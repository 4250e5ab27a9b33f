"""接收名单: who received a version or a material, on a page and as a file."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aiohttp import web

from attribution.chosen import page_of
from bank import audit
from bank.sheets import csv_more, csv_of
from bot import exports
from bot.models import ExportKind, ExportRequest
from bot.recipients import Recipient, Sent, extent, portions, received
from content.material_pages import SEES_RECIPIENTS, reader_of
from content.models import Material, Version
from content.shelf import Standing, standing, visible_versions
from desk.downloads import ALONE, CSV, attachment
from desk.ids import ID
from desk.permissions import allow
from desk.render import page, when
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

PAGE = 50
HEADINGS = ("客户", "客户编号", "支行", "客户经理", "方式", "时间", exports.MARK)


@dataclass(frozen=True)
class RecipientsPage:
    """Everyone the reader may see who received it."""

    sent: Sent
    standing: Standing | None  # of the version; none for all of them
    recipients: list[Recipient]
    customers: int  # how many different ones
    total: int
    number: int
    pages: int
    alone: int  # as many may be exported without a second person


@routes.get(f"/content/versions/{{version_id:{ID}}}/recipients")
@allow(*SEES_RECIPIENTS)
async def show_recipients(request: web.Request) -> web.Response:
    """Who received this version, newest first, as far as one may see the customers."""
    return await _shown(request, await _version(request))


@routes.get(f"/content/{{material_id:{ID}}}/recipients")
@allow(*SEES_RECIPIENTS)
async def show_all_recipients(request: web.Request) -> web.Response:
    """Who received this material in any of its versions."""
    return await _shown(request, await _material(request))


async def _shown(request: web.Request, sent: Sent) -> web.Response:
    session, who = session_of(request), signed(request)
    there = await extent(session, sent.versions, who)
    number, pages = page_of(request, there.total, PAGE)
    shown = await received(session, sent.versions, who, limit=PAGE, offset=(number - 1) * PAGE)
    context = RecipientsPage(
        sent=sent,
        standing=standing(sent.version, now_of(request)) if sent.version else None,
        recipients=shown,
        customers=there.customers,
        total=there.total,
        number=number,
        pages=pages,
        alone=ALONE,
    )
    return page(request, "bot/recipients.html", context)


@routes.post(f"/content/versions/{{version_id:{ID}}}/recipients/export")
@allow(*SEES_RECIPIENTS)
async def export_recipients(request: web.Request) -> web.Response:
    """The same list as a file; a long one becomes a request for a second person."""
    return await _exported(request, await _version(request))


@routes.post(f"/content/{{material_id:{ID}}}/recipients/export")
@allow(*SEES_RECIPIENTS)
async def export_all_recipients(request: web.Request) -> web.Response:
    """The list of all versions as a file; a long one becomes a request for a second person."""
    return await _exported(request, await _material(request))


async def _exported(request: web.Request, sent: Sent) -> web.Response:
    who, now = signed(request), now_of(request)
    there = await extent(session_of(request), sent.versions, who)
    if there.total <= ALONE:
        return await _taken(request, sent, exports.watermark(who, now))
    which = {"version_id": str(sent.version.id)} if sent.version else {}
    about = f"《{sent.title}》{sent.material.code} {sent.number}"
    wanted = {"material_id": str(sent.material.id), "about": about, **which}
    wish = exports.Wish(ExportKind.RECIPIENTS, there.total, wanted)
    return await exports.asked_for(request, wish, sent.address)


async def agreed(request: web.Request, asked: ExportRequest) -> web.Response | str:
    """The list that was agreed to: who had received it by then; in words why not."""
    session, who, now = session_of(request), signed(request), now_of(request)
    material = await session.get_one(Material, UUID(asked.query["material_id"]))
    which = asked.query.get("version_id")
    sent = Sent(material, await session.get_one(Version, UUID(which)) if which else None)
    there = await extent(session, sent.versions, who, asked.asked_at)
    if there.total > asked.rows:
        return exports.MOVED
    return await _taken(request, sent, exports.watermark(who, now, asked), asked.asked_at)


async def _taken(
    request: web.Request, sent: Sent, mark: str, until: datetime | None = None
) -> web.Response:
    """The file; that somebody took it is in the audit book."""
    session, read = session_of(request), 0
    parts = [csv_of(HEADINGS, ())]
    async for found in portions(session, sent.versions, signed(request), until):
        read += len(found)
        parts.append(csv_more(_cells(one, mark) for one in found))
    what = "version" if sent.version else "material"
    which = {"number": sent.version.number} if sent.version else {}
    audit.record(
        session, f"content:{what}:recipients", (sent.version or sent.material).id,
        by=signed(request).userid, now=now_of(request), read=read, **which,
    )  # fmt: skip
    named = f"V{sent.version.number}" if sent.version else "all"
    return attachment(f"recipients-{sent.material.code}-{named}.csv", b"".join(parts), CSV)


async def _version(request: web.Request) -> Sent:
    session = session_of(request)
    version = await session.get(Version, UUID(request.match_info["version_id"]))
    if version is None or version.approved_at is None:
        raise web.HTTPNotFound
    return Sent(await session.get_one(Material, version.material_id), version)


async def _material(request: web.Request) -> Sent:
    """A material the reader may see now."""
    session, material_id = session_of(request), UUID(request.match_info["material_id"])
    material = await session.get(Material, material_id)
    reader, now = reader_of(signed(request)), now_of(request)
    if material is None or not await visible_versions(session, material_id, reader, now):
        raise web.HTTPNotFound
    return Sent(material, None)


def _cells(one: Recipient, mark: str) -> tuple[str, ...]:
    return one.customer, one.bank_no, one.branch, one.rm, one.way_label, when(one.at), mark

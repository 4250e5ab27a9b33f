"""使用与效果: the part of a material's page and drawer that other books know."""

from dataclasses import dataclass, replace
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web

from attribution.chosen import SEES_ROWS
from attribution.models import Model
from bot import material_use
from bot.material_use import Place, Use
from bot.welcoming import channel_pages
from content import library, shelf
from content.material_pages import READERS, SEES_RECIPIENTS, reader_of
from content.models import Version
from desk.ids import ID
from desk.keys import SETTINGS
from desk.permissions import SEES_CUSTOMERS, allow
from desk.render import count, fragment, yuan
from desk.signed import Signed, now_of, session_of, signed
from knowledge.indexing import LIBRARY_INDEX
from knowledge.pages import SEES_SUGGESTIONS
from wecom.channels import Channel

routes = web.RouteTableDef()

LED_TO = {
    "SOP 步骤": SEES_CUSTOMERS,
    "欢迎语": channel_pages.SEES,
    "渠道欢迎语": channel_pages.SEES,
}
CITES = {
    Channel.SINGLE_CHAT.value: "侧边栏推荐、内部机器人",
    Channel.KF.value: "微信客服自动答复",
}


@dataclass(frozen=True)
class Figure:
    """A number and the rows behind it; without an address for those who may not open them."""

    label: str
    value: str
    href: str


@dataclass(frozen=True)
class UsePart:
    """Fragment: numbers, and the places that use the material."""

    use: Use
    figures: list[Figure]
    searchable: bool
    places: list[Place]


@routes.get(f"/content/{{material_id:{ID}}}/use")
@allow(*READERS)
async def material_use_part(request: web.Request) -> web.Response:
    """What became of a material among the customers one may see, and where it is used."""
    session, who, now = session_of(request), signed(request), now_of(request)
    material_id = UUID(request.match_info["material_id"])
    if not await shelf.visible_versions(session, material_id, reader_of(who), now):
        raise web.HTTPNotFound
    settings = request.app[SETTINGS]
    model = Model(settings.attribution_model)
    use = await material_use.use_of(session, material_id, who, settings, now)
    live = await library.live_version_of(session, material_id, now)
    searchable = live is not None and request.app[LIBRARY_INDEX].holds(live.id)
    places = (await material_use.places_of(session, [material_id], now)).get(material_id, [])
    context = UsePart(
        use=use,
        figures=_figures(use, material_id, who, model),
        searchable=searchable,
        places=[*followed(places, who), *(_citing(live) if live and searchable else [])],
    )
    return fragment(request, "bot/_material_use.html", context)


def _figures(use: Use, material_id: UUID, who: Signed, model: Model) -> list[Figure]:
    of = {"material": str(material_id), "made": "1"}

    def suggestions(label: str, number: int, state: str = "") -> Figure:
        address = f"/suggestions?{urlencode(of | ({'state': state} if state else {}))}"
        return Figure(label, count(number), address if who.may(*SEES_SUGGESTIONS) else "")

    credited = urlencode(
        {"dimension": "content", "subject": str(material_id), "model": model.value,
         "start": f"{material_use.SINCE:%Y-%m-%d}"}
    )  # fmt: skip
    lines = f"/attribution/lines?{credited}" if who.may(*SEES_ROWS) else ""
    received = f"/content/{material_id}/recipients" if who.may(*SEES_RECIPIENTS) else ""
    read = f"/content/{material_id}/readers" if who.may(*SEES_RECIPIENTS) else ""
    return [
        suggestions("被推荐", use.suggested),
        suggestions("原样发送", use.sent, "sent"),
        suggestions("修改后发送", use.edited, "edited"),
        suggestions("不合适", use.rejected, "rejected"),
        Figure("发送次数", count(use.times), received),
        Figure("触达送达", count(use.delivered), received),
        Figure("收到过的客户", count(use.reached), received),
        Figure("查看人数", count(use.readers), read),
        Figure("带来转化", f"{count(use.conversions)} 笔", lines),
        Figure("归因金额", yuan(use.cents, short=True), lines),
    ]


def followed(places: list[Place], who: Signed) -> list[Place]:
    """The places, without the addresses that this reader may not open."""
    return [
        place if who.may(*LED_TO.get(place.what, READERS)) else replace(place, href="")
        for place in places
    ]


def _citing(live: Version) -> list[Place]:
    """What quotes anything that is live in its channel."""
    return [
        Place("可被引用", name, "", "green", running=True)
        for channel, name in CITES.items()
        if channel in live.channels
    ]

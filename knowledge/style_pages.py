"""回复风格: how an RM's drafts begin and end, chosen among the bank's phrases."""

from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from bank.models import Role
from customers.models import Customer
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import session_of, signed
from knowledge import styles
from knowledge.models import Address, Closing, ReplyStyle, Tone

routes = web.RouteTableDef()

EXAMPLE = "赎回申请确认后，资金一般在下一个工作日到账，具体以产品说明书为准。"
UNKNOWN = "请从列出的说法中选择；需要新的说法，请联系内容团队。"
LI = Customer(name="李女士")


@dataclass(frozen=True)
class StylePage:
    """`/style`."""

    style: ReplyStyle
    example: str  # a draft as it would look
    addresses: list[tuple[str, str]]
    tones: list[tuple[str, str]]
    closings: list[tuple[str, str]]
    error: str


@routes.get("/style")
@allow(Role.RM)
async def style_form(request: web.Request) -> web.Response:
    """One's own style."""
    return await _shown(request)


@routes.post("/style")
@allow(Role.RM)
async def choose(request: web.Request) -> web.Response:
    """From the next suggestion on."""
    form = await request.post()
    typed = [str(form.get(name, "")) for name in ("address", "tone", "closing")]
    choice = styles.read_choice(*typed)
    if choice is None:
        return await _shown(request, UNKNOWN)
    await styles.choose(session_of(request), signed(request).id, choice)
    return see_other(f"/style?{urlencode({'done': '已保存，从下一条推荐起生效'})}")


async def _shown(request: web.Request, error: str = "") -> web.Response:
    style = await styles.of(session_of(request), signed(request).id)
    context = StylePage(
        style=style,
        example=styles.dressed(EXAMPLE, style, LI),
        addresses=[(each.value, each.label) for each in Address],
        tones=[(each.value, each.label) for each in Tone],
        closings=[(each.value, each.label) for each in Closing],
        error=error,
    )
    return page(request, "knowledge/style.html", context, status=422 if error else 200)

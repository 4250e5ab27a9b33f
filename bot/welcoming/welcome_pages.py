"""欢迎语: what became of the last ones, and which text is sent."""

from dataclasses import dataclass

from aiohttp import web

from bank.models import Role
from bot.models import WelcomeState
from bot.welcoming import channel_rows, welcome_text
from bot.welcoming.channel_form import PreviewPart, phone_of
from bot.welcoming.channel_pages import SEES, WELCOME_TONES
from bot.welcoming.channel_rows import WelcomeRow
from bot.welcoming.welcome_text import Host, NoWords
from content.models import Material
from desk.ids import id_of
from desk.keys import SETTINGS
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import Signed, now_of, session_of, signed
from outbound.facts import policy_of

routes = web.RouteTableDef()

FOLLOWS_BANK = "跟随全行默认"
NOTHING = "不发送默认欢迎语"
SAMPLE_NAME = "（客户经理姓名）"

Options = list[tuple[str, str]]


@dataclass(frozen=True)
class Choice:
    """A choice the reader may make: the bank's welcome, or their own."""

    title: str
    hint: str
    action: str
    options: Options
    chosen: str


@dataclass(frozen=True)
class WelcomesPage:
    """`/welcomes`: the last welcomes, and the texts they are sent from."""

    state: str
    rows: list[WelcomeRow]
    counts: dict[str, int]
    states: list[WelcomeState]
    tones: dict[WelcomeState, str]
    bank_title: str  # of the bank's own material; empty without one
    choices: list[Choice]
    preview: PreviewPart
    limit: int


@routes.get("/welcomes")
@allow(*SEES)
async def welcome_list(request: web.Request) -> web.Response:
    """What became of the last welcomes, and which text is sent."""
    session, who = session_of(request), signed(request)
    state = request.query.get("state", "")
    default = await welcome_text.chosen(session, None)
    material = await session.get(Material, default) if default else None
    context = WelcomesPage(
        state=state,
        rows=await channel_rows.welcomes(session, who, state=state),
        counts=await channel_rows.welcome_counts(session, who),
        states=list(WelcomeState),
        tones=WELCOME_TONES,
        bank_title=material.title if material else "",
        choices=await _choices(request, who),
        preview=await _preview(request, who),
        limit=channel_rows.LATEST,
    )
    return page(request, "bot/welcomes.html", context)


async def _choices(request: web.Request, who: Signed) -> list[Choice]:
    session, now = session_of(request), now_of(request)
    found = []
    if who.may(Role.HQ):
        offered = await welcome_text.choices(session, None, now)
        chosen = await welcome_text.chosen(session, None)
        hint = "客户添加任何一位客户经理时发送；活码或客户经理另有设置的除外。"
        options = [("", NOTHING), *offered]
        found.append(
            Choice("全行默认欢迎语", hint, "/welcomes/default", options, str(chosen or ""))
        )
    if who.may(Role.RM):
        offered = await welcome_text.choices(session, who.branch_id, now)
        chosen = await welcome_text.chosen(session, who.id)
        hint = "客户添加您时发送；渠道活码另有设置的除外。"
        options = [("", FOLLOWS_BANK), *offered]
        found.append(Choice("我的欢迎语", hint, "/welcomes/mine", options, str(chosen or "")))
    return found


async def _preview(request: web.Request, who: Signed) -> PreviewPart:
    """What a customer of the reader, or of any RM, would get now."""
    session, now = session_of(request), now_of(request)
    own = await welcome_text.chosen(session, who.id) if who.may(Role.RM) else None
    material_id = own or await welcome_text.chosen(session, None)
    name = who.name if who.may(Role.RM) else SAMPLE_NAME
    if material_id is None:
        return phone_of(name, NoWords(welcome_text.NOT_CHOSEN))
    branch_id = who.branch_id if who.may(Role.RM) else None
    host, texts = Host(name, branch_id), policy_of(request.app[SETTINGS])
    words = await welcome_text.words_of(session, material_id, host, texts, now)
    return phone_of(name, words)


@routes.post("/welcomes/default")
@allow(Role.HQ)
async def choose_default(request: web.Request) -> web.Response:
    """The bank's own welcome."""
    return await _choose(request, whole_bank=True)


@routes.post("/welcomes/mine")
@allow(Role.RM)
async def choose_mine(request: web.Request) -> web.Response:
    """The RM's own welcome."""
    return await _choose(request, whole_bank=False)


async def _choose(request: web.Request, *, whole_bank: bool) -> web.Response:
    session, who, now = session_of(request), signed(request), now_of(request)
    staff_id, branch_id = (None, None) if whole_bank else (who.id, who.branch_id)
    material_id = id_of(str((await request.post()).get("welcome", "")))
    offered = dict(await welcome_text.choices(session, branch_id, now))
    if material_id and str(material_id) not in offered:
        return see_other("/welcomes?done=这份素材已不能用作欢迎语，没有保存")
    await welcome_text.choose(session, staff_id, material_id, by=who.userid, now=now)
    return see_other("/welcomes?done=欢迎语已更新")

"""Nothing found, or nothing that may be sent: 转人工 tells a colleague, 提需求 the content team."""

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select
from yarl import URL

from bank.models import Staff
from bot import care_cards
from bot.chat.sidebar import SIDEBAR, suggest_context
from bot.chat.sidebar_actions import own_suggestion, says
from customers.models import Customer
from desk.keys import SETTINGS, WECOM
from desk.render import fragment
from desk.signed import now_of, session_of, signed
from knowledge import helping
from knowledge.helping import Help
from knowledge.models import Suggestion
from wecom.errors import WeComError
from wecom.messages import TextCard

routes = web.RouteTableDef()

NOBODY = "没有可以转交的同事：本支行没有登记支行管理，总行也没有合规同事。请联系系统管理员。"
UNTOLD = "企业微信没有发出通知，还没有转给同事。请稍后再试，或直接联系同事。"
# WeCom takes 512 bytes; a Chinese character is three.
LONGEST_QUESTION = 80


@routes.post("/sidebar/suggestions/{id}/help")
@SIDEBAR
async def ask_for_help(request: web.Request) -> web.Response:
    """A colleague is told by WeCom at once, or the content team sees it with the gap; once each."""
    suggestion, chat = await own_suggestion(request)
    form, session, who = await request.post(), session_of(request), signed(request)
    kind = str(form.get("what", ""))
    if kind not in list(Help):
        raise web.HTTPNotFound
    what, to = Help(kind), list[Staff]()
    if what is Help.PERSON:
        to = await _colleagues(session, chat.customer, who.id)
        if not to:
            return says([NOBODY])
    refused = await helping.ask(
        session,
        suggestion,
        what,
        str(form.get("note", "")),
        of=[one.name for one in to],
        by=who.userid,
        now=now_of(request),
    )
    if refused is not None:
        return says(list(refused.reasons))
    if to and not await _told(request, suggestion, chat.customer, to):
        return says([UNTOLD])
    done = f"已转{'、'.join(one.name for one in to)}协助" if to else "已提需求"
    context = await suggest_context(request, chat)
    return fragment(request, "sidebar/_suggestions.html", context, done=done)


async def _colleagues(session: AsyncSession, customer: Customer, rm_id: object) -> list[Staff]:
    rm = await session.get_one(Staff, rm_id)
    userids = await care_cards.superiors(session, customer, rm)
    query = select(Staff).where(col(Staff.userid).in_(userids)).order_by(Staff.userid)
    return list((await session.execute(query)).scalars())


async def _told(
    request: web.Request, suggestion: Suggestion, customer: Customer, to: list[Staff]
) -> bool:
    """Whether WeCom took the card; where it did not, nothing is kept of it."""
    note = suggestion.help[Help.PERSON]["note"]
    question = suggestion.question[:LONGEST_QUESTION]
    card = TextCard(
        f"{signed(request).name}请您协助答复客户",
        "\n".join(
            line
            for line in (
                f"客户：{customer.name[:20]}",
                f"问题：{question}",
                f"说明：{note[:40]}" if note else "",
            )
            if line
        ),
        str(URL(request.app[SETTINGS].public_url) / "suggestions" / str(suggestion.id)),
    )
    try:
        await request.app[WECOM].messages.send([one.userid for one in to], card)
    except WeComError:
        return False
    return True

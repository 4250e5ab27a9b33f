"""标签 beside a chat: the company's are put on and taken off at WeCom, personal ones only shown."""

from dataclasses import dataclass

from aiohttp import web

from bot.chat.sidebar import SIDEBAR, chat_of, not_yours
from bot.chat.sidebar_actions import says
from customers import follows, tags
from customers.models import CustomerTag
from customers.tags import NamedGroup
from desk.keys import WECOM
from desk.render import fragment
from desk.signed import now_of, session_of, signed
from wecom.errors import WeComError

routes = web.RouteTableDef()

UNREACHED = "企业微信没有接受这次修改，标签没有变。请稍后再试；若一直不行，请联系系统管理员。"
UNREAD = "暂时读不到企业微信里的个人标签"


@dataclass(frozen=True)
class TagSheet:
    """Fragment: the sheet with the company's tags in their groups."""

    here: str
    groups: list[NamedGroup]
    worn: frozenset[str]  # names


@dataclass(frozen=True)
class TagsNow:
    """Fragment: the company tags the customer wears after a change."""

    worn: list[CustomerTag]
    others: list[str]  # taken off by this RM, and still worn because of a colleague


@dataclass(frozen=True)
class OwnTags:
    """Fragment: the RM's personal tags, as WeCom tells them now; nothing of it is kept."""

    names: list[str]


@routes.get("/sidebar/{contact}/tags")
@SIDEBAR
async def tag_sheet(request: web.Request) -> web.Response:
    """The company's tags by group, those of this customer ticked."""
    chat = await chat_of(request, "profile")
    if chat is None:
        return not_yours(request)
    session = session_of(request)
    worn = await tags.worn_from_wecom(session, chat.customer.id)
    here = f"/sidebar/{request.match_info['contact']}"
    sheet = TagSheet(here, await tags.groups(session), frozenset(tag.name for tag in worn))
    return fragment(request, "sidebar/_tags_sheet.html", sheet)


@routes.post("/sidebar/{contact}/tags")
@SIDEBAR
async def mark(request: web.Request) -> web.Response:
    """These tags and no others: put on and taken off at WeCom, then read back from there."""
    chat = await chat_of(request, "profile")
    if chat is None:
        raise web.HTTPNotFound
    session, customer, who = session_of(request), chat.customer, signed(request)
    contact = str(customer.external_userid)
    wanted = {str(one) for one in (await request.post()).getall("tag", [])}
    await follows.take_turn(session, contact)
    change = await tags.change_to(session, customer.id, wanted)
    if change.on or change.off:
        try:
            await request.app[WECOM].tags.mark(
                who.userid, contact, sorted(change.on), sorted(change.off)
            )
            told = await request.app[WECOM].contacts.get(contact)
        except WeComError:
            return says([UNREACHED])
        # Only the tags: relations and what follows from them are the inbox's to change.
        await tags.wear(session, customer.id, follows.tag_names(told.follows), now_of(request))
        tags.note(session, customer.id, change, by=who.userid, now=now_of(request))
    worn = await tags.worn_from_wecom(session, customer.id)
    others = sorted(change.taken & {tag.name for tag in worn})
    done = "标签已保存到企业微信" if change.on or change.off else "标签没有变化"
    return fragment(request, "sidebar/_tags_done.html", TagsNow(worn, others), done=done)


@routes.get("/sidebar/{contact}/own-tags")
@SIDEBAR
async def own_tags(request: web.Request) -> web.Response:
    """The personal tags of this RM on this customer, asked of WeCom at this moment."""
    chat = await chat_of(request, "profile")
    if chat is None:
        return not_yours(request)
    try:
        told = await request.app[WECOM].contacts.get(str(chat.customer.external_userid))
    except WeComError:
        return web.Response(status=503, text=UNREAD)
    me = signed(request).userid.lower()
    mine = [link for link in told.follows if link.userid.lower() == me]
    names = [tag.name for link in mine for tag in link.tags if not tag.id]
    return fragment(request, "sidebar/_own_tags.html", OwnTags(names))

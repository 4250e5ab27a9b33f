"""Customers as the corp's members know them, and the one automatic greeting."""

from typing import Any

from aiohttp import web

from wecom.simulator.api_call import ApiError, Call, page_of
from wecom.simulator.attachments import checked_content
from wecom.simulator.platform import WELCOME_LIFE
from wecom.simulator.state import Contact, FollowRelation

FOLLOWERS_A_PAGE = 500


async def get_follow_user_list(call: Call) -> dict[str, Any]:
    """The members in the app's range who may follow customers."""
    return {"follow_user": list(call.world.members)}


async def list_contacts(call: Call) -> dict[str, Any]:
    """A member's customers; 84061 when there are none."""
    userid = call.query("userid")
    if userid not in call.world.members:
        raise ApiError(60111)
    customers = call.world.customers_of(userid)
    if not customers:
        raise ApiError(84061)
    return {"external_userid": customers}


async def get_contact(call: Call) -> dict[str, Any]:
    """A customer with the members who follow him, 500 followers a page."""
    contact = call.world.contacts.get(call.query("external_userid"))
    if contact is None:
        raise ApiError(40096)
    followers = call.world.followers_of(contact.external_userid)
    if not followers:
        raise ApiError(84061)
    page, following = page_of(followers, call.query("cursor"), FOLLOWERS_A_PAGE)
    answer = {
        "external_contact": _external_contact(call.request, contact),
        "follow_user": [{**_follow(follow), "tags": []} for follow in page],
    }
    return {**answer, "next_cursor": following} if following else answer


async def batch_get_by_user(call: Call) -> dict[str, Any]:
    """The customers of up to a hundred members, with each relation, a page at a time."""
    userids = call.body.get("userid_list")
    if not isinstance(userids, list) or not 1 <= len(userids) <= 100:
        raise ApiError(40058)
    relations = [
        follow
        for userid in userids
        for external_userid in call.world.customers_of(str(userid))
        if (follow := call.world.follow(str(userid), external_userid))
    ]
    limit = call.limit(default=50, most=100)
    page, following = page_of(relations, call.text("cursor"), limit)
    rows = [
        {
            "external_contact": _external_contact(
                call.request, call.world.contacts[follow.external_userid]
            ),
            "follow_info": {**_follow(follow), "tag_id": []},
        }
        for follow in page
    ]
    return {"external_contact_list": rows, "next_cursor": following}


async def remark(call: Call) -> dict[str, Any]:
    """Change what a member noted about a customer; done by API, so without a callback."""
    follow = call.world.follow(call.text("userid"), call.text("external_userid"))
    if follow is None:
        raise ApiError(84061)
    limits = {"remark": 20, "description": 150, "remark_company": 20}
    given = {name: call.text(name) for name in limits if name in call.body}
    mobiles = call.body.get("remark_mobiles")
    if not any(given.values()) and mobiles is None and "remark_pic_mediaid" not in call.body:
        raise ApiError(40058)
    if any(len(value) > limits[name] for name, value in given.items()):
        raise ApiError(40058)
    for name, value in given.items():
        setattr(follow, name, value)
    if mobiles is not None:
        # A list with one empty string is how the platform is told to forget the numbers.
        follow.remark_mobiles = [str(mobile) for mobile in mobiles if mobile]
    call.platform.live.announce("follow", follow.userid, follow.external_userid)
    return {}


async def send_welcome_msg(call: Call) -> dict[str, Any]:
    """Greet a new customer: once, within twenty seconds, before anybody has spoken."""
    if not call.text("welcome_code"):
        raise ApiError(41049)
    welcome = call.world.welcome_codes.get(call.text("welcome_code"))
    if welcome is None or call.now() - welcome.issued_at > WELCOME_LIFE:
        raise ApiError(41050)
    talked = any(
        message.at >= welcome.issued_at
        for message in call.world.chat(welcome.userid, welcome.external_userid)
    )
    if welcome.used or talked:
        raise ApiError(41051)
    text, attachments = checked_content(call)
    welcome.used = True
    call.platform.put_bubbles(welcome.userid, welcome.external_userid, text, attachments, "welcome")
    return {}


def _external_contact(request: web.Request, contact: Contact) -> dict[str, Any]:
    avatar = request.app.router["avatar"].url_for(name=contact.external_userid)
    return {
        "external_userid": contact.external_userid,
        "name": contact.name,
        "avatar": str(request.url.origin().join(avatar)),
        "type": 1,
        "gender": contact.gender,
    }


def _follow(follow: FollowRelation) -> dict[str, Any]:
    row: dict[str, Any] = {
        "userid": follow.userid,
        "remark": follow.remark,
        "description": follow.description,
        "createtime": int(follow.created_at.timestamp()),
        "remark_mobiles": follow.remark_mobiles,
        "add_way": follow.add_way,
        "oper_userid": follow.userid,
    }
    if follow.remark_company:
        row["remark_corp_name"] = follow.remark_company
    if follow.state:
        row["state"] = follow.state
    return row

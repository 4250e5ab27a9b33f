"""Customers as the corp's members know them, with remarks and tags."""

from typing import Any

from aiohttp import web

from wecom.simulator.api_call import Action, ApiError, Call, page_of
from wecom.simulator.state import Contact, FollowRelation

FOLLOWERS_A_PAGE = 500


async def get_follow_user_list(call: Call) -> dict[str, Any]:
    """The members in the app's range who may follow customers."""
    return {"follow_user": call.visible_members()}


async def list_contacts(call: Call) -> dict[str, Any]:
    """A member's customers; 84061 when there are none."""
    userid = call.member(call.query("userid"))
    world = call.world
    everybody = ((c, world.follow(userid, c)) for c in world.customers_of(userid))
    customers = [customer for customer, follow in everybody if follow and not follow.half]
    if not customers:
        raise ApiError(84061)
    return {"external_userid": customers}


async def get_contact(call: Call) -> dict[str, Any]:
    """A customer with the members who follow him, 500 followers a page."""
    contact = call.world.contacts.get(call.query("external_userid"))
    if contact is None:
        raise ApiError(40096)
    followers = [
        follow
        for follow in call.world.followers_of(contact.external_userid)
        if call.sees(follow.userid) and not follow.half
    ]
    if not followers:
        raise ApiError(84061)
    page, following = page_of(followers, call.query("cursor"), FOLLOWERS_A_PAGE)
    answer = {
        "external_contact": _external_contact(call.request, contact),
        "follow_user": [{**_follow(follow), "tags": _tags(call, follow)} for follow in page],
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
        if call.sees(str(userid))
        for external_userid in call.world.customers_of(str(userid))
        if (follow := call.world.follow(str(userid), external_userid)) and not follow.half
    ]
    limit = call.limit(default=50, most=100)
    page, following = page_of(relations, call.text("cursor"), limit)
    rows = [
        {
            "external_contact": _external_contact(
                call.request, call.world.contacts[follow.external_userid]
            ),
            "follow_info": {**_follow(follow), "tag_id": list(follow.tags)},
        }
        for follow in page
    ]
    return {"external_contact_list": rows, "next_cursor": following}


async def remark(call: Call) -> dict[str, Any]:
    """Change what a member noted about a customer; done by API, so without a callback."""
    follow = _follow_of(call)
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


async def mark_tag(call: Call) -> dict[str, Any]:
    """Tag a customer for one member, or untag him; done by API, so without a callback."""
    follow = _follow_of(call)
    add = call.texts("add_tag", most=100)
    remove = call.texts("remove_tag", most=100)
    if not add and not remove:
        raise ApiError(40063)
    known = {tag for group in call.world.tag_groups.values() for tag in group.tags}
    if not {*add, *remove} <= known:
        raise ApiError(40068)
    kept = [tag for tag in follow.tags if tag not in remove]
    follow.tags = list(dict.fromkeys([*kept, *add]))
    call.platform.live.announce("follow", follow.userid, follow.external_userid)
    return {}


def _external_contact(request: web.Request, contact: Contact) -> dict[str, Any]:
    avatar = request.app.router["avatar"].url_for(name=contact.external_userid)
    return {
        "external_userid": contact.external_userid,
        "name": contact.name,
        "avatar": str(request.url.origin().join(avatar)),
        "type": contact.kind,
        "gender": contact.gender,
        **({"unionid": contact.unionid} if contact.unionid else {}),
        **({"corp_name": contact.corp_name} if contact.corp_name else {}),
    }


def _follow_of(call: Call) -> FollowRelation:
    external_userid = call.text("external_userid")
    if external_userid not in call.world.contacts:
        raise ApiError(40096)
    follow = call.world.follow(call.member(call.text("userid")), external_userid)
    if follow is None:
        raise ApiError(84061)
    return follow


def _tags(call: Call, follow: FollowRelation) -> list[dict[str, Any]]:
    corp = [
        {"group_name": group.name, "tag_name": tag.name, "tag_id": tag.tag_id, "type": 1}
        for group in call.world.tag_groups.values()
        for tag in group.tags.values()
        if tag.tag_id in follow.tags
    ]
    return corp + [{"tag_name": name, "type": 2} for name in follow.personal_tags]


def _follow(follow: FollowRelation) -> dict[str, Any]:
    row: dict[str, Any] = {
        "userid": follow.userid,
        "remark": follow.remark,
        "description": follow.description,
        "createtime": int(follow.created_at.timestamp()),
        "remark_mobiles": follow.remark_mobiles,
        "add_way": follow.add_way,
        "oper_userid": follow.oper_userid or follow.userid,
    }
    if follow.remark_company:
        row["remark_corp_name"] = follow.remark_company
    if follow.state:
        row["state"] = follow.state
    return row


GETS: dict[str, Action] = {
    "externalcontact/get_follow_user_list": get_follow_user_list,
    "externalcontact/list": list_contacts,
    "externalcontact/get": get_contact,
}
POSTS: dict[str, Action] = {
    "externalcontact/batch/get_by_user": batch_get_by_user,
    "externalcontact/remark": remark,
    "externalcontact/mark_tag": mark_tag,
}

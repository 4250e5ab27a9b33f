"""获客链接 by API: made, listed, counted; and what a chat key tells about a customer."""

import secrets
from datetime import timedelta
from typing import Any

from wecom.simulator.acquisition import KEY_LIFE, link_balance
from wecom.simulator.api_call import Action, ApiError, Call, page_of
from wecom.simulator.channels import AcquisitionLink

USERS = 100
LONGEST_SPAN = timedelta(days=30)


async def list_link(call: Call) -> dict[str, Any]:
    """The ids of the links, a page at a time."""
    links = [link.link_id for link in call.world.links.values() if link.deleted_at is None]
    page, following = page_of(links, call.text("cursor"), call.limit(default=100, most=100))
    return {"link_id_list": page, "next_cursor": following}


async def get_link(call: Call) -> dict[str, Any]:
    """A link with its members."""
    link = _link(call)
    return {
        "link": _row(call, link),
        "range": {"user_list": link.users, "department_list": []},
        "priority_option": {"priority_type": 0},
        "skip_verify": link.skip_verify,
    }


async def create_link(call: Call) -> dict[str, Any]:
    """A new link; the system app's own secret would be refused, a self-built app's is not."""
    link = AcquisitionLink("ca" + secrets.token_hex(16), "", call.now(), [])
    _fill(call, link)
    call.world.links[link.link_id] = link
    call.platform.live.announce("ways")
    return {"link": _row(call, link)}


async def update_link(call: Call) -> dict[str, Any]:
    """Change name or members."""
    _fill(call, _link(call))
    return {}


async def delete_link(call: Call) -> dict[str, Any]:
    """The link leads nowhere from now on; done by API, so without a callback."""
    _link(call).deleted_at = call.now()
    call.platform.live.announce("ways")
    return {}


async def customer(call: Call) -> dict[str, Any]:
    """The customers who came by the link: chat status 0 silent, 1 has written."""
    link = _link(call)
    rows = [
        {
            "external_userid": one.external_userid,
            "userid": one.userid,
            "chat_status": one.chat_status,
            "state": one.state,
        }
        for one in link.customers
    ]
    page, following = page_of(rows, call.text("cursor"), call.limit(default=1000, most=1000))
    return {"customer_list": page, "next_cursor": following}


async def quota(call: Call) -> dict[str, Any]:
    """How many customers the links may still bring."""
    total = call.world.settings.link_quota
    return {"total": total, "balance": link_balance(call.platform), "quota_list": []}


async def statistic(call: Call) -> dict[str, Any]:
    """Taps and new customers of a link in a period of at most 30 days."""
    link = _link(call)
    start, end = call.number("start_time"), call.number("end_time")
    if not 0 < start <= end or end - start > LONGEST_SPAN.total_seconds():
        raise ApiError(40058)
    return {
        "click_link_customer_cnt": sum(start <= at.timestamp() <= end for at in link.clicks),
        "new_customer_cnt": sum(start <= c.came_at.timestamp() <= end for c in link.customers),
    }


async def get_chat_info(call: Call) -> dict[str, Any]:
    """How often a customer has written, for the key of his last event: once, for 30 minutes."""
    key = call.world.chat_keys.pop(call.text("chat_key"), None)
    if key is None or call.now() - key.issued_at > KEY_LIFE:
        raise ApiError(40058)
    link = call.world.links[key.link_id]
    came = next(c for c in link.customers if c.external_userid == key.external_userid)
    return {
        "userid": key.userid,
        "external_userid": key.external_userid,
        "chat_info": {
            "recv_msg_cnt": came.received,
            "link_id": key.link_id,
            "state": came.state,
        },
    }


def _link(call: Call) -> AcquisitionLink:
    link = call.world.links.get(call.text("link_id"))
    if link is None or link.deleted_at:
        raise ApiError(40058)
    return link


def _fill(call: Call, link: AcquisitionLink) -> None:
    name = call.text("link_name") or link.name
    reach = call.body.get("range") or {"user_list": link.users}
    users = reach.get("user_list") if isinstance(reach, dict) else None
    if not name or len(name) > 30 or not isinstance(users, list) or not users:
        raise ApiError(40058)
    if len(users) > USERS:
        raise ApiError(41041)
    link.users = [call.member(str(userid)) for userid in users]
    link.name = name
    link.skip_verify = bool(call.body.get("skip_verify", link.skip_verify))
    link.mark_source = bool(call.body.get("mark_source", link.mark_source))


def _row(call: Call, link: AcquisitionLink) -> dict[str, Any]:
    return {
        "link_id": link.link_id,
        "link_name": link.name,
        "url": f"https://work.weixin.qq.com/ca/{link.link_id}",
        "create_time": int(link.created_at.timestamp()),
        "skip_verify": link.skip_verify,
        "mark_source": link.mark_source,
    }


GETS: dict[str, Action] = {"externalcontact/customer_acquisition_quota": quota}
POSTS: dict[str, Action] = {
    "externalcontact/customer_acquisition/list_link": list_link,
    "externalcontact/customer_acquisition/get": get_link,
    "externalcontact/customer_acquisition/create_link": create_link,
    "externalcontact/customer_acquisition/update_link": update_link,
    "externalcontact/customer_acquisition/delete_link": delete_link,
    "externalcontact/customer_acquisition/customer": customer,
    "externalcontact/customer_acquisition/statistic": statistic,
    "externalcontact/customer_acquisition/get_chat_info": get_chat_info,
}

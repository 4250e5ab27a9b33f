"""Customers handed from member to member, in service and after one has left."""

from datetime import timedelta
from typing import Any

from wecom.simulator.api_call import Action, ApiError, Call, page_of
from wecom.simulator.channels import DONE, WAITING, Transfer
from wecom.simulator.relations import HANDOVER

CUSTOMERS, WORDS = 100, 200
TRANSFERS, WITHIN = 2, timedelta(days=90)


async def transfer_customer(call: Call) -> dict[str, Any]:
    """Ask to hand customers over; each is answered on its own, 0 means it is under way."""
    return _request(call, resigned=False)


async def transfer_resigned(call: Call) -> dict[str, Any]:
    """Hand over the customers of a member who has left (40097 while he is still here)."""
    return _request(call, resigned=True)


async def transfer_result(call: Call) -> dict[str, Any]:
    """Each customer of the two: 1 done 2 waiting 3 refused 4 the taker has too many."""
    return _results(call, resigned=False)


async def resigned_result(call: Call) -> dict[str, Any]:
    """The same for a member who has left."""
    return _results(call, resigned=True)


async def get_unassigned_list(call: Call) -> dict[str, Any]:
    """The customers whose member has left and whom nobody has taken over, a page at a time."""
    rows = [
        {
            "handover_userid": userid,
            "external_userid": external_userid,
            "dimission_time": int(left.timestamp()),
        }
        for userid, left in call.world.resigned.items()
        for external_userid in call.world.customers_of(userid)
        if not _under_way(call, userid, external_userid)
    ]
    size = call.number("page_size", 1000)
    if not 1 <= size <= 1000:
        raise ApiError(40058)
    page, following = page_of(rows, call.text("cursor"), size)
    return {"info": page, "is_last_page": not following, "next_cursor": following}


def _request(call: Call, *, resigned: bool) -> dict[str, Any]:
    handover, takeover = call.text("handover_userid"), call.text("takeover_userid")
    customers = call.texts("external_userid", most=CUSTOMERS)
    words = call.text("transfer_success_msg")
    if not customers or len(words) > WORDS:
        raise ApiError(40058)
    if handover not in call.world.members:
        raise ApiError(40003)
    if resigned and handover not in call.world.resigned:
        raise ApiError(40097)
    if not resigned and handover in call.world.resigned:
        raise ApiError(40131)
    if not call.world.members[call.member(takeover)].activated:
        raise ApiError(40098)
    if handover == takeover:
        raise ApiError(40130)
    rows = [
        {"external_userid": one, "errcode": _start(call, handover, takeover, one, words, resigned)}
        for one in customers
    ]
    return {"customer": rows}


def _start(
    call: Call, handover: str, takeover: str, customer: str, words: str, resigned: bool
) -> int:
    world = call.world
    if customer not in world.contacts:
        return 40096
    if world.follow(handover, customer) is None:
        return 40131
    if _under_way(call, handover, customer):
        return 40129
    since = call.now() - WITHIN
    recent = [
        transfer
        for transfer in world.transfers
        if transfer.external_userid == customer
        and not transfer.resigned
        and transfer.asked_at > since
    ]
    if not resigned and len(recent) >= TRANSFERS:
        return 40128
    world.transfers.append(
        Transfer(handover, takeover, customer, call.now(), resigned=resigned, words=words)
    )
    call.platform.live.announce("follow", takeover, customer)
    return 0


def _results(call: Call, *, resigned: bool) -> dict[str, Any]:
    pair = call.text("handover_userid"), call.text("takeover_userid")
    rows = [
        {
            "external_userid": transfer.external_userid,
            "status": transfer.status,
            "takeover_time": _takeover_time(transfer),
        }
        for transfer in call.world.transfers
        if (transfer.handover, transfer.takeover) == pair and transfer.resigned == resigned
    ]
    page, following = page_of(rows, call.text("cursor"), 1000)
    return {"customer": page, "next_cursor": following}


def _takeover_time(transfer: Transfer) -> int:
    if transfer.status == WAITING:
        return int((transfer.asked_at + HANDOVER).timestamp())
    done = transfer.status == DONE and transfer.ended_at
    return int(transfer.ended_at.timestamp()) if done and transfer.ended_at else 0


def _under_way(call: Call, userid: str, external_userid: str) -> bool:
    return any(
        (t.handover, t.external_userid, t.status) == (userid, external_userid, WAITING)
        for t in call.world.transfers
    )


POSTS: dict[str, Action] = {
    "externalcontact/transfer_customer": transfer_customer,
    "externalcontact/transfer_result": transfer_result,
    "externalcontact/resigned/transfer_customer": transfer_resigned,
    "externalcontact/resigned/transfer_result": resigned_result,
    "externalcontact/get_unassigned_list": get_unassigned_list,
}

"""Members and customers become friends, part, and are handed over; each with its callback."""

import secrets
from datetime import timedelta

from wecom.simulator.channels import DONE, LIMIT, REFUSED, WAITING, Transfer
from wecom.simulator.platform import ImpossibleError, Platform
from wecom.simulator.state import Contact, FollowRelation, WelcomeCode, pair

HANDOVER = timedelta(hours=24)
REFUSALS = {"customer_refused": REFUSED, "customer_limit_exceed": LIMIT}


def befriend(
    platform: Platform,
    userid: str,
    contact: Contact,
    *,
    state: str = "",
    add_way: int = 1,
    half: bool = False,
    with_welcome: bool = True,
) -> str:
    """The customer adds the member: they are friends now. Returns the welcome code.

    `half`: the member has not added him back yet. No code is given to contacts of WeCom, when the
    console has its own welcome, or when the half-add already gave one.
    """
    world = platform.world
    if userid not in world.members or userid in world.resigned:
        raise ImpossibleError(f"没有这个成员：{userid}")
    known = world.follow(userid, contact.external_userid)
    if known and not (known.half and not half):
        raise ImpossibleError("双方已经是好友")
    if len(world.customers_of(userid)) >= world.settings.customers_a_member:
        raise ImpossibleError("成员的客户数已达上限")
    people = userid, contact.external_userid
    world.contacts.setdefault(contact.external_userid, contact)
    if known:
        known.half = False
    relation = known or FollowRelation(
        *people,
        platform.now(),
        state=state,
        add_way=add_way,
        oper_userid=contact.external_userid if add_way == 1 else userid,
        half=half,
    )
    world.follows[pair(*people)] = relation
    consoled = userid in world.settings.console_welcomes
    greets = with_welcome and not consoled and contact.kind == 1 and known is None
    code = _welcome_code(platform, *people) if greets else ""
    change = "add_half_external_contact" if half else "add_external_contact"
    _tell(platform, change, *people, State=relation.state, WelcomeCode=code)
    return code


def part(platform: Platform, userid: str, external_userid: str, *, by_member: bool) -> None:
    """One of the two deletes the other; the chat stays readable, nothing more goes through."""
    follow = friends(platform, userid, external_userid)
    follow.deleted_at = platform.now()
    change = "del_external_contact" if by_member else "del_follow_user"
    _tell(platform, change, userid, external_userid)


def friends(platform: Platform, userid: str, external_userid: str) -> FollowRelation:
    """The living relation of the two, or ImpossibleError."""
    follow = platform.world.follow(userid, external_userid)
    if follow is None:
        raise ImpossibleError("双方不是好友")
    return follow


def edited(platform: Platform, follow: FollowRelation) -> None:
    """Tell that the member changed remark or tags in the client (by API there is no callback)."""
    change = "edit_external_contact"
    _tell(platform, change, follow.userid, follow.external_userid, State=follow.state)


def agree(platform: Platform, userid: str, external_userid: str, *, agrees: bool = True) -> str:
    """The customer answers whether the chat may be archived; a yes brings a welcome code."""
    follow = friends(platform, userid, external_userid)
    follow.consent, follow.consent_at = agrees, platform.now()
    platform.live.announce("follow", userid, external_userid)
    if not agrees:
        return ""
    talked = any(
        message.at >= follow.created_at for message in platform.world.chat(userid, external_userid)
    )
    greets = not talked and userid not in platform.world.settings.console_welcomes
    code = _welcome_code(platform, userid, external_userid) if greets else ""
    _tell(platform, "msg_audit_approved", userid, external_userid, WelcomeCode=code)
    return code


def resign(platform: Platform, userid: str) -> None:
    """The member leaves the bank; his customers and groups wait to be handed over."""
    world = platform.world
    if userid not in world.members or userid in world.resigned:
        raise ImpossibleError("没有这个成员")
    world.resigned[userid] = platform.now()
    for group in world.groups.values():
        if group.owner == userid and group.alive:
            group.status = 1
    platform.live.announce("follow", userid)


def complete_due_transfers(platform: Platform) -> None:
    """Customers who did not refuse within 24 hours now belong to the member who took over."""
    now = platform.now()
    for transfer in platform.world.transfers:
        if transfer.status == WAITING and now - transfer.asked_at >= HANDOVER:
            complete(platform, transfer)


def complete(platform: Platform, transfer: Transfer) -> None:
    """The handover happens: the old relation ends, the new one starts with its remarks."""
    world = platform.world
    taken = len(world.customers_of(transfer.takeover))
    if taken >= world.settings.customers_a_member:
        fail(platform, transfer, "customer_limit_exceed")
        return
    transfer.status, transfer.ended_at = DONE, platform.now()
    old = world.follows[pair(transfer.handover, transfer.external_userid)]
    if old.alive:
        old.deleted_at = platform.now()
        source = {"Source": "DELETE_BY_TRANSFER"}
        _tell(platform, "del_external_contact", old.userid, old.external_userid, **source)
    if world.follow(transfer.takeover, transfer.external_userid) is None:
        world.follows[pair(transfer.takeover, transfer.external_userid)] = FollowRelation(
            transfer.takeover,
            transfer.external_userid,
            platform.now(),
            state=old.state,
            remark=old.remark,
            description=old.description,
            remark_mobiles=list(old.remark_mobiles),
            add_way=202,
            tags=list(old.tags),
        )
        _tell(platform, "add_external_contact", transfer.takeover, transfer.external_userid)
        if transfer.words:
            text = {"content": transfer.words}
            people = transfer.takeover, transfer.external_userid
            platform.put_bubble(*people, "text", text, "transfer")


def fail(platform: Platform, transfer: Transfer, reason: str) -> None:
    """The handover fails; the event names the member who was to take over."""
    transfer.status, transfer.ended_at = REFUSALS[reason], platform.now()
    people = transfer.takeover, transfer.external_userid
    _tell(platform, "transfer_fail", *people, FailReason=reason)


def _welcome_code(platform: Platform, userid: str, external_userid: str) -> str:
    code = secrets.token_urlsafe(32)
    issued = WelcomeCode(code, userid, external_userid, platform.now())
    platform.world.welcome_codes[code] = issued
    return code


def _tell(platform: Platform, change: str, userid: str, external_userid: str, **extra: str) -> None:
    given = {name: value for name, value in extra.items() if value}
    platform.line.contact_changed(change, userid, external_userid, **given)
    platform.live.announce("follow", userid, external_userid)

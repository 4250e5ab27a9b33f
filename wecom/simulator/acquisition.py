"""Customers who come by a code (联系我) or a link (获客助手), and what the links' events tell."""

import secrets
from datetime import timedelta

from wecom.simulator import relations
from wecom.simulator.channels import AcquisitionLink, ChatKey, ContactWay, LinkCustomer
from wecom.simulator.platform import ImpossibleError, Platform
from wecom.simulator.state import Contact, Message

CHANNEL_BYTES = 64
LOW_BALANCE = 20
BY_CODE, BY_LINK = 1, 16
KEY_LIFE = timedelta(minutes=30)
EVENTS = (
    "balance_low",
    "balance_exhausted",
    "balance_increased",
    "quota_expire_soon",
    "link_unavailable",
    "delete_link",
    "open_profile",
    "friend_request",
    "customer_start_chat",
    "message_from_customer",
)


def scan(
    platform: Platform, config_id: str, contact: Contact, *, half: bool = False
) -> tuple[str, str]:
    """The customer scans a code and adds its next member: (userid, welcome code)."""
    way = platform.world.contact_ways.get(config_id)
    if way is None:
        raise ImpossibleError("二维码已失效")
    userid = _next_member(platform, way, contact.external_userid)
    code = relations.befriend(
        platform, userid, contact, state=way.state, add_way=BY_CODE, half=half
    )
    return userid, code


def tap(
    platform: Platform, link_id: str, contact: Contact, channel: str, *, accept: bool = True
) -> tuple[str, str]:
    """The customer taps a link and asks to be friends: (userid, welcome code).

    Only half of it when the member has not accepted. The channel is cut to 64 bytes.
    """
    link = platform.world.links.get(link_id)
    if link is None or link.deleted_at:
        raise ImpossibleError("获客链接不可用")
    if link_balance(platform) <= 0:
        raise ImpossibleError("获客额度已用尽")
    link.clicks.append(platform.now())
    tell(platform, "open_profile", LinkId=link_id)
    userid = _next_member(platform, link, contact.external_userid)
    state = channel.encode()[:CHANNEL_BYTES].decode(errors="ignore")
    if not (link.skip_verify and accept):
        tell(platform, "friend_request", userid=userid, LinkId=link_id, State=state)
    if not accept:
        return userid, ""
    code = relations.befriend(platform, userid, contact, state=state, add_way=BY_LINK)
    came = LinkCustomer(contact.external_userid, userid, state, platform.now())
    link.customers.append(came)
    _warn_of_balance(platform)
    return userid, code


def heard(platform: Platform, message: Message) -> None:
    """A link's customer has written: the first time and every further time is an event."""
    if not message.from_customer:
        return
    people = message.userid, message.external_userid
    relation = platform.world.follow(*people)
    if relation is None or relation.add_way != BY_LINK:
        return
    for link in platform.world.links.values():
        for customer in link.customers:
            if (customer.userid, customer.external_userid) == people:
                _count(platform, link, customer)


def link_balance(platform: Platform) -> int:
    """How many more customers the links may bring."""
    used = sum(len(link.customers) for link in platform.world.links.values())
    return platform.world.settings.link_quota - used


def tell(platform: Platform, change: str, *, userid: str = "", **fields: str) -> None:
    """Queue a `customer_acquisition` event; `userid` decides which apps may hear it."""
    whole = {"ChangeType": change, **fields}
    platform.line.system_event("customer_acquisition", whole, member=userid)


def _count(platform: Platform, link: AcquisitionLink, customer: LinkCustomer) -> None:
    customer.received += 1
    first = customer.chat_status == 0
    customer.chat_status = 1
    people = {"UserID": customer.userid, "ExternalUserID": customer.external_userid}
    if first:
        fields = {**people, "LinkId": link.link_id}
        tell(platform, "customer_start_chat", userid=customer.userid, **fields)
        return
    key = ChatKey(
        secrets.token_urlsafe(32),
        link.link_id,
        customer.external_userid,
        customer.userid,
        platform.now(),
    )
    platform.world.chat_keys[key.key] = key
    named = platform.world.settings.link_events_name_people
    who = {**people, "ChatSeq": str(customer.received)} if named else {}
    fields = {**who, "LinkId": link.link_id, "ChatKey": key.key}
    tell(platform, "message_from_customer", userid=customer.userid, **fields)


def _next_member(platform: Platform, way: ContactWay | AcquisitionLink, customer: str) -> str:
    world = platform.world
    users = [userid for userid in way.users if userid not in world.resigned]
    if not users:
        raise ImpossibleError("没有可添加的成员")
    if isinstance(way, ContactWay) and way.is_exclusive:
        known = [userid for userid in users if world.follow(userid, customer)]
        if known:
            raise ImpossibleError("已添加过其中一位成员")
    way.turn += 1
    free = [userid for userid in users if not world.follow(userid, customer)]
    return free[(way.turn - 1) % len(free)] if free else users[0]


def _warn_of_balance(platform: Platform) -> None:
    left = link_balance(platform)
    if left == 0:
        tell(platform, "balance_exhausted")
    elif left == LOW_BALANCE - 1:
        tell(platform, "balance_low")

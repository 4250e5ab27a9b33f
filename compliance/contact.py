"""May a customer be contacted now: consent, quiet hours, holidays, caps; and words that say stop.

Sources: 个人信息保护法 13–16, 广告法 43, 消费者权益保护法 29. No national rule fixes hours for
wealth marketing; 21:00–09:00 is the bank's own, wider than the collection standard of 22:00–08:00.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from enum import StrEnum

from compliance.normalise import normalise
from compliance.verdict import Allowed, Refused

SHANGHAI = timezone(timedelta(hours=8))
_OPENS, _CLOSES = time(9), time(21)
_SEARCH_DAYS = 400


class Purpose(StrEnum):
    """Marketing needs consent, hours and caps; a service notice the customer relies on does not."""

    MARKETING = "marketing"
    SERVICE = "service"


class NoContact(StrEnum):
    """Why a customer may not be contacted now."""

    NO_CONSENT = "no_consent"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    QUIET_HOURS = "quiet_hours"
    HOLIDAY = "holiday"
    DAILY_CAP = "daily_cap"
    MONTHLY_CAP = "monthly_cap"

    @property
    def label(self) -> str:
        """The reason as staff read it."""
        return _LABELS[self]


_LABELS = {
    NoContact.NO_CONSENT: "客户未授权接收营销信息",
    NoContact.CONSENT_WITHDRAWN: "客户已撤回营销授权",
    NoContact.QUIET_HOURS: "免打扰时段，暂不触达",
    NoContact.HOLIDAY: "节假日不做营销触达",
    NoContact.DAILY_CAP: "今日营销触达次数已满",
    NoContact.MONTHLY_CAP: "本月营销触达次数已满",
}


class HoursTooWide(ValueError):
    """Contact hours may be narrowed within 09:00–21:00, never widened."""


class NoOpenTime(ValueError):
    """No time within the next 400 days is open for contact."""


@dataclass(frozen=True, slots=True)
class ConsentFacts:
    """When marketing consent was given and, if so, withdrawn."""

    given_at: datetime
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ContactPolicy:
    """A bank's hours (local time in Shanghai, opening included, closing not) and caps."""

    opens: time = _OPENS
    closes: time = _CLOSES
    per_day: int = 1
    per_month: int = 4

    def __post_init__(self) -> None:
        if self.opens < _OPENS or self.closes > _CLOSES or self.opens >= self.closes:
            raise HoursTooWide(HoursTooWide.__doc__)


DEFAULT_POLICY = ContactPolicy()


def may_contact(
    consent: ConsentFacts | None,
    recent: Sequence[datetime],
    now: datetime,
    holidays: Collection[date] = (),
    *,
    policy: ContactPolicy = DEFAULT_POLICY,
    purpose: Purpose = Purpose.MARKETING,
) -> Allowed | Refused[NoContact]:
    """Whether a customer may be contacted at `now`, with every reason against it.

    `recent` are earlier marketing messages, `holidays` local dates; both caps count by the
    local calendar. Withdrawing consent never stops a service notice.
    """
    if purpose is Purpose.SERVICE:
        return Allowed()
    reasons = [*_consent_reasons(consent, now), *_time_reasons(recent, now, holidays, policy)]
    return Refused(tuple(reasons)) if reasons else Allowed()


def next_allowed_time(
    now: datetime,
    recent: Sequence[datetime] = (),
    holidays: Collection[date] = (),
    *,
    policy: ContactPolicy = DEFAULT_POLICY,
) -> datetime:
    """The first whole second after `now` that hours, holidays and caps leave open, in UTC.

    Raises `NoOpenTime` when nothing is open within 400 days.
    """
    candidate = now.astimezone(SHANGHAI).replace(microsecond=0) + timedelta(seconds=1)
    for _ in range(_SEARCH_DAYS):
        opening = datetime.combine(candidate.date(), policy.opens, SHANGHAI)
        candidate = max(candidate, opening)
        if not _time_reasons(recent, candidate, holidays, policy):
            return candidate.astimezone(now.tzinfo)
        candidate = opening + timedelta(days=1)
    raise NoOpenTime(NoOpenTime.__doc__)


def _consent_reasons(consent: ConsentFacts | None, now: datetime) -> list[NoContact]:
    if consent is None or consent.given_at > now:
        return [NoContact.NO_CONSENT]
    if consent.withdrawn_at is not None and consent.withdrawn_at <= now:
        return [NoContact.CONSENT_WITHDRAWN]
    return []


def _time_reasons(
    recent: Sequence[datetime], now: datetime, holidays: Collection[date], policy: ContactPolicy
) -> list[NoContact]:
    local = now.astimezone(SHANGHAI)
    days = [moment.astimezone(SHANGHAI).date() for moment in recent]
    reasons: list[NoContact] = []
    if not policy.opens <= local.time() < policy.closes:
        reasons.append(NoContact.QUIET_HOURS)
    if local.date() in holidays:
        reasons.append(NoContact.HOLIDAY)
    if days.count(local.date()) >= policy.per_day:
        reasons.append(NoContact.DAILY_CAP)
    if sum(_same_month(day, local.date()) for day in days) >= policy.per_month:
        reasons.append(NoContact.MONTHLY_CAP)
    return reasons


def _same_month(one: date, other: date) -> bool:
    return (one.year, one.month) == (other.year, other.month)


_STOP_WORDS = re.compile(
    r"退订|拒收|拉黑|取消订阅|取消关注|勿扰|别再?(?:给我)?(?:发|推|打|找|联系|烦|骚扰|打扰|群发)"
    r"|(?:不要|不用|不必|停止|请勿|不许|不想)再?(?:给我|向我|跟我)?"
    r"(?:发|推|推送|推销|推荐|收到|打扰|骚扰|联系|打电话|群发|看到这)"
    r"|(?:不想|不愿意|拒绝)(?:再)?(?:收到|接收|接到)|不(?:需要|用)(?:了|再|谢谢|,|。|!|$)"
    r"|不需要(?:这|理财|推销|推荐|广告|产品|你们)|(?:没|不感)兴趣|没有兴趣|删了?我|把我删"
    r"|烦不烦|别烦|骚扰"
)
_BARE_STOP = re.compile(
    r"\s{0,3}(?:回复)?(?:td|t|n|退|停|unsubscribe|stop)\s{0,3}[。.!]?\s{0,3}", re.ASCII
)
_ASKS = re.compile(r"(?:吗|么|嘛)\s{0,3}[?。]?\s{0,3}$|什么时候|怎么|如何|多久")

_COMPLAINT = re.compile(
    r"投诉|举报|信访|维权|起诉|要告|告你们|告到|上法院|打官司|律师函|找律师|曝光|找媒体|找记者"
    r"|(?<!\d)(?:12378|12363|12345|12315)(?!\d)|(?:找|向|去|给|打)(?:金融)?(?:监管|银保监|金监|证监)"
    r"|(?:被|在)(?:你们|你|骗|坑|误导)?(?:骗|坑|误导|忽悠)了|骗(?:子|人|我|钱)|欺诈|误导我"
    r"|给(?:我)?(?:个|一个)?(?:说法|交代|解释)|(?:亏|赔)了.{0,4}(?:你|银行|你们).{0,3}(?:赔|补|负责|承担)"
    r"|退(?:我)?(?:钱|款)(?:给我)?[,。!]|还我(?:的)?(?:钱|本金)|太差劲|什么态度|没人管|黑心|报警"
    r"|当初.{0,12}(?:不是说|说好|承诺|保证|答应)|上次.{0,8}(?:说|承诺|保证).{0,6}(?:赔|保本|补)"
    r"|你上次说.{0,8}(?:赔|保本|补|稳)"
)


def recognise_refusal(text: str) -> bool:
    """Whether a customer's message asks us to stop writing; asking how or whether is not asking."""
    plain = normalise(text).text
    if _BARE_STOP.fullmatch(plain):
        return True
    return bool(_STOP_WORDS.search(plain)) and not _ASKS.search(plain)


def recognise_complaint(text: str) -> bool:
    """Whether a customer's message must become a complaint ticket; in doubt it does."""
    return bool(_COMPLAINT.search(normalise(text).text))

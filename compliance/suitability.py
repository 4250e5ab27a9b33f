"""May this product be recommended to this customer: risk level, its age, the customer's age.

Sources: 理财公司理财产品销售管理暂行办法 (a product's level must not exceed the customer's),
金融机构产品适当性管理办法 2026 (special care for the elderly). C1 may see R1 … C5 may see R1–R5.
"""

from calendar import monthrange
from datetime import datetime, timedelta, timezone
from enum import StrEnum

from compliance.verdict import Allowed, Refused

EDUCATION_ONLY = 0
# Whose suitability rules a product follows; of any other nobody knows whom it suits.
REGIMES = frozenset({"NFRA", "CSRC"})
SENIOR_AGE = 65
SENIOR_NOTICE_FROM = 3
ADULT_AGE = 18
_LEVELS = range(1, 6)
_SHANGHAI = timezone(timedelta(hours=8))


class Unsuitable(StrEnum):
    """Why a product may not be recommended."""

    NOT_ASSESSED = "not_assessed"
    ASSESSMENT_EXPIRED = "assessment_expired"
    PRODUCT_UNRATED = "product_unrated"
    RISK_ABOVE_CUSTOMER = "risk_above_customer"
    MINOR = "minor"
    SENIOR_NEEDS_NOTICE = "senior_needs_notice"

    @property
    def label(self) -> str:
        """The reason as an RM reads it."""
        return _LABELS[self]


_LABELS = {
    Unsuitable.NOT_ASSESSED: "客户尚未做风险测评，只能发送投教内容",
    Unsuitable.ASSESSMENT_EXPIRED: "客户风险测评已超过12个月，请先邀请客户重新测评",
    Unsuitable.PRODUCT_UNRATED: "产品没有风险等级，不能推荐",
    Unsuitable.RISK_ABOVE_CUSTOMER: "产品风险等级高于客户风险承受能力",
    Unsuitable.MINOR: "客户未满18周岁，不能推荐产品",
    Unsuitable.SENIOR_NEEDS_NOTICE: "客户已满65周岁，推荐R3及以上产品前须完成特别提示",
}


def may_recommend(
    customer_level: int | None,
    assessed_at: datetime | None,
    product_level: int | None,
    now: datetime,
    age: int | None,
    *,
    notice_given: bool = False,
) -> Allowed | Refused[Unsuitable]:
    """Whether a product may be put before a customer at `now`, with every reason against it.

    `notice_given` says that the special notice to a customer of 65 or more has been completed.
    """
    reasons: list[Unsuitable] = []
    ceiling = customer_ceiling(customer_level, assessed_at, now)
    if age is not None and age < ADULT_AGE:
        reasons.append(Unsuitable.MINOR)
    if product_level is None or product_level not in _LEVELS:
        reasons.append(Unsuitable.PRODUCT_UNRATED)
    if ceiling == EDUCATION_ONLY:
        reasons.append(_why_no_level(customer_level, assessed_at))
    elif product_level is not None and product_level > ceiling:
        reasons.append(Unsuitable.RISK_ABOVE_CUSTOMER)
    if needs_notice(age, product_level) and not notice_given:
        reasons.append(Unsuitable.SENIOR_NEEDS_NOTICE)
    return Refused(tuple(reasons)) if reasons else Allowed()


def customer_ceiling(level: int | None, assessed_at: datetime | None, now: datetime) -> int:
    """The highest product level a customer may be shown; 0 is education content only.

    An assessment counts up to and including the same moment twelve months later, and never
    before it was made.
    """
    if level is None or level not in _LEVELS or assessed_at is None:
        return EDUCATION_ONLY
    if now < assessed_at or now > expires_at(assessed_at):
        return EDUCATION_ONLY
    return level


def expires_at(assessed_at: datetime) -> datetime:
    """The last moment an assessment counts: twelve months later by the Shanghai calendar."""
    local = assessed_at.astimezone(_SHANGHAI)
    last_day = monthrange(local.year + 1, local.month)[1]
    return local.replace(year=local.year + 1, day=min(local.day, last_day))


def _why_no_level(level: int | None, assessed_at: datetime | None) -> Unsuitable:
    if level is None or level not in _LEVELS or assessed_at is None:
        return Unsuitable.NOT_ASSESSED
    return Unsuitable.ASSESSMENT_EXPIRED


def needs_notice(age: int | None, product_level: int | None) -> bool:
    """Whether a customer of that age must get the special notice before this product."""
    return (
        age is not None
        and age >= SENIOR_AGE
        and product_level is not None
        and product_level >= SENIOR_NOTICE_FROM
    )

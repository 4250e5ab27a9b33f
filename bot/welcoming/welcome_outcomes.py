"""What an answer to a welcome means: it is over, or worth another call while the time lasts."""

from dataclasses import dataclass

from bot.models import WelcomeState
from wecom.errors import (
    CredentialWrong,
    NetworkNotTrusted,
    NotConnected,
    NotPermitted,
    OutcomeUnknown,
    RateLimited,
    RelationGone,
    TokenDead,
    TooManyAtOnce,
    WeComError,
    WelcomeAwaitsConsent,
    WelcomeBeingSent,
    WelcomeExpired,
    WelcomeTaken,
)

LATE = "收到添加事件时，20 秒的发送时限已过"
NO_ANSWER = "调用没有收到明确回答，时限内也没有得到结果"
PROBABLY_OURS = (
    "前一次调用没有收到回答；再次调用时企业微信答复已欢迎过或会话已开始，多半已由本系统送达"
)
ANOTHER_APP = "另一个应用一直占用这次欢迎，20 秒内没有轮到本系统"
NOT_REACHED = "20 秒内没有连接上企业微信"
WORDS: tuple[tuple[type[WeComError], str], ...] = (
    (WelcomeAwaitsConsent, "客户同意会话存档之后才能发送，届时自动补发"),
    (WelcomeTaken, "其他应用已经欢迎过，或双方已开始聊天"),
    (WelcomeExpired, "企业微信答复欢迎凭证已失效"),
    (CredentialWrong, "应用的凭证不被企业微信接受，请管理员检查应用配置"),
    (TokenDead, "应用的凭证不被企业微信接受，请管理员检查应用配置"),
    (NetworkNotTrusted, "本系统的出口 IP 不在企业可信 IP 中，请管理员添加"),
    (NotPermitted, "应用或成员没有客户联系权限，请管理员检查可见范围与接口权限"),
    (RelationGone, "双方已不是好友"),
    (RateLimited, "企业微信限制了调用频率"),
)


@dataclass(frozen=True)
class Ended:
    """Nothing more will be tried."""

    state: WelcomeState
    reason: str = ""


@dataclass(frozen=True)
class Repeat:
    """Another call may help; `then` is what it comes to when there is no time for one."""

    then: Ended
    unclear: bool = False  # this call may have reached WeCom


SENT = Ended(WelcomeState.SENT)


def read(failure: Exception, unclear: bool) -> Ended | Repeat:
    """What a failed call means; `unclear` says that an earlier one may have reached WeCom.

    41050 and 41051 end it, 41053 waits for the customer's consent, 41096 and everything that may
    pass is worth another call (docs 92599).
    """
    match failure:
        case OutcomeUnknown() | TimeoutError():
            return Repeat(Ended(WelcomeState.UNKNOWN, NO_ANSWER), unclear=True)
        case WelcomeBeingSent():
            return Repeat(over(unclear, ANOTHER_APP))
        case NotConnected() | TooManyAtOnce():
            return Repeat(over(unclear, NOT_REACHED))
        case WelcomeTaken() | WelcomeExpired() if unclear:
            return Ended(WelcomeState.UNKNOWN, PROBABLY_OURS)
        case WelcomeTaken():
            return Ended(WelcomeState.TAKEN, in_words(failure))
        case WelcomeExpired():
            return Ended(WelcomeState.EXPIRED, in_words(failure))
        case WelcomeAwaitsConsent():
            return Ended(WelcomeState.AWAITING_CONSENT, in_words(failure))
        case _:
            return Ended(WelcomeState.REFUSED, in_words(failure))


def over(unclear: bool, why: str) -> Ended:
    """The time is over; what may have been sent is not called expired."""
    return Ended(WelcomeState.UNKNOWN, NO_ANSWER) if unclear else Ended(WelcomeState.EXPIRED, why)


def in_words(failure: Exception) -> str:
    """Why, for whoever looks at the page."""
    said = next((words for kind, words in WORDS if isinstance(failure, kind)), "")
    if isinstance(failure, WeComError):
        number = f"错误码 {failure.errcode}" if failure.errcode else type(failure).__name__
        return f"{said}（{number}）" if said else f"企业微信拒绝了发送（{number}）"
    return f"发送时出错（{type(failure).__name__}）"

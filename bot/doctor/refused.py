"""What WeCom itself tried on our callback address, and why it was turned away."""

from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from bank.database import open_engine, open_sessions
from bank.settings import Settings
from bot.doctor.findings import Finding, Words, ill, well, worth_knowing
from bot.inbound import rejections
from bot.models import CallbackRejection
from wecom.callback import Reason

SUBJECT = Words("callbacks refused", "被拒绝的回调")
A_DAY = timedelta(days=1)


async def look(settings: Settings, now: datetime) -> list[Finding]:
    """Of the last day, reason by reason: only who knows our Token can come past the signature."""
    engine = open_engine(settings.database_url, pool_size=1)
    try:
        async with open_sessions(engine)() as session:
            rows = await rejections.since(session, now - A_DAY)
    except (SQLAlchemyError, OSError):
        return []
    finally:
        await engine.dispose()
    if not rows:
        return [well(SUBJECT, "none in the last day", "最近一天没有")]
    return [_finding(row) for row in rows]


def _finding(row: CallbackRejection) -> Finding:
    if row.reason == Reason.AES_KEY:
        return ill(SUBJECT, *AES_KEY)
    if row.reason == Reason.RECEIVER:
        says, todo = RECEIVER
        return ill(
            SUBJECT,
            Words(f"{says.en}: {row.receiver}", f"{says.zh}：{row.receiver}"),
            todo,
        )
    return worth_knowing(
        SUBJECT,
        f"{row.times} with another signature or none so far; scanners do that, and so does a wrong"
        " Token: if 保存 fails in the console, copy the Token again",
        f"累计 {row.times} 次签名不符或不是加密消息；扫描器会这样，Token 填错也会这样："
        "若在后台保存失败，"
        "请重新复制 Token",
    )


AES_KEY = (
    Words("the signature fits but the message cannot be opened", "签名正确，但消息无法解密"),
    Words(
        "SIYU_WECOM_AES_KEY is not the EncodingAESKey of this Token: copy it again from 应用管理 →"
        " 自建应用 → 接收消息 → 设置API接收, restart, press 保存.",
        "SIYU_WECOM_AES_KEY 与该 Token 的 EncodingAESKey 不一致：请到「应用管理 → 自建应用 →"
        " 接收消息 →"
        " 设置API接收」重新复制，重启后点击保存。",
    ),
)
RECEIVER = (
    Words("messages are meant for another receiver", "消息的接收方是另一个企业或应用"),
    Words(
        "SIYU_WECOM_CORP_ID must be the 企业ID of 我的企业 → 企业信息. A ww… of a service"
        " provider's"
        " suite, or an empty receiver, means the URL was entered for a third-party app or for the"
        " internal robot, whose address is /wecom/aibot.",
        "SIYU_WECOM_CORP_ID 须为「我的企业 → 企业信息」中的企业ID。若接收方是服务商套件或为空，"
        "说明该地址被"
        "填到了第三方应用或智能机器人；智能机器人的地址是 /wecom/aibot。",
    ),
)

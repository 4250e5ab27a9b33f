"""What 微信客服 says in the bank's fixed words, and which questions only a person may answer."""

import re

from compliance.contact import recognise_complaint
from compliance.normalise import normalise
from compliance.vulnerable import recognise_vulnerable

HANDOVER = "智能助手：这个问题需要由人工客服为您解答，已为您转接，请稍候，客服人员会在这里回复您。"

OFF = "自动答复未开启"
STOPPED = "自动答复已停用，未发送"
STOPPED_SINCE = "自动答复已停用，由人工接续"
WITHDRAWN = "引用的素材已下线或失效，未发送"
RECALLED = "客户撤回了这条消息"
COURTESY = "客户致谢或寒暄，不需要答复"
SERVED = "会话已由人工处理，不再自动答复"
ENDED = "会话已结束"
WAITS = "正在等待人工接待，不再自动答复"
CARED_FOR = "客户有投诉或需要特别照顾，由人工答复"
NOT_TEXT = "客户发来的不是文字，智能助手无法判断"
SEVERAL = "客户一次问了不止一件事，由人工逐一答复"
TOO_LATE = "客户等待已超过 10 分钟，改由人工答复"
USED_UP = "本轮可发送的 5 条消息将用完，保留最后一条用于转接"
OVERDUE = "客户最后一次发言已超过 48 小时，消息无法发出"
REPLACED = "会话状态已变化，未发送"
MALFORMED = "企业微信认为消息格式有误，未发送"
REFUSED = "企业微信拒绝了这次操作"
REPLACED_MEANWHILE = "会话状态刚刚发生变化，请刷新后重试"
UNCLEAR = "多次尝试后仍未完成"
LATE_WELCOME = "超过 20 秒未能发出欢迎语"

FAILURES = {
    0: "企业微信未说明原因",
    1: "客服账号已被删除",
    2: "应用已关闭",
    4: "会话已超过 48 小时",
    5: "会话已关闭",
    6: "超过 5 条消息的上限",
    7: "未绑定视频号",
    8: "主体未验证",
    9: "未绑定视频号且主体未验证",
    10: "客户拒收",
}


def introduction(bank_name: str) -> str:
    """Who answers here: said in the welcome, to a greeting, and to whoever asks (C-43)."""
    return (
        f"您好，我是{bank_name}智能助手，由人工智能程序自动答复，不是真人客服。"
        "您可以直接输入想了解的问题；需要人工服务时，请回复“转人工”。"
    )


def sourced(text: str, titles: tuple[str, ...]) -> str:
    """An answer with its sources named; that a machine wrote it is put in where it goes out."""
    named = "、".join(f"《{title}》" for title in titles)
    return f"{text}\n\n以上内容摘自本行已审核资料{named}。需要人工服务时，请回复“转人工”。"


def failure_label(fail_type: int) -> str:
    """Why a message of ours did not reach the customer."""
    return f"未送达：{FAILURES.get(fail_type, f'企业微信原因代码 {fail_type}')}"


def why_a_person(text: str) -> str:
    """Why only a person may answer this, in words; empty when nothing speaks against a machine.

    In doubt a person answers: a word too many here costs a colleague a minute.
    """
    if recognise_complaint(text):
        return "客户投诉或表达不满"
    if recognise_vulnerable(text):
        return "客户可能需要特别照顾"
    plain = normalise(text).text
    return next((reason for reason, pattern in _PERSONS.items() if pattern.search(plain)), "")


def asks_who(text: str) -> bool:
    """Whether the customer only greets, or asks whether a machine is answering."""
    plain = normalise(text).text.strip()
    return bool(_GREETING.fullmatch(plain) or _WHO.search(plain))


ADVICE = "涉及投资建议或市场判断"
_PERSONS = {
    "客户要求人工服务": re.compile(
        r"人工(?!智能)|(?<!还是)真人(?![吗啊呢?])|转接|(?:找|叫|换|要|让|请)(?:个|一个|一位|你们)?(?:的)?"
        r"(?:人|经理|客户经理|理财经理|客服|工作人员|负责人|领导)(?:来|跟|和|给|帮|吧|$|[,。!?])"
        r"|(?:打|回)(?:个)?电话给我|给我(?:回)?(?:个)?电话|^客户经理$|^客服$"
    ),
    "涉及账户安全": re.compile(
        r"挂失|冻结|解冻|盗刷|盗用|被盗|密码|验证码|诈骗|被骗|骗子|电信诈骗|陌生(?:转账|扣款)|转错|扣错|多扣"
        r"|(?:钱|款|存款|余额)(?:不见|没了|少了|丢了|不对)|银行卡(?:丢|掉|被|不见)|卡(?:丢了|被吞|不见)"
    ),
    "涉及资金操作": re.compile(
        r"(?:帮|替|给|请|麻烦|我要|我想|想要|现在|马上|立刻|立即|赶紧|今天就?)[^。!?;\n]{0,8}?"
        r"(?:转账|转钱|汇款|转出|转入|打款|赎回|申购|认购|购买|买入|买点|买一|卖出|卖掉|下单|提现|取钱|取款|存钱|还款"
        r"|撤单|撤销|取消|解约|销户|开户|办理|扣款|划款|充值|缴费|定投)(?!.{0,8}(?:几天|多久|怎么|如何|什么|哪|吗|手续费|到账))"
        r"|(?:转|汇|打|付)[^。!?;\n]{0,4}?\d+(?:元|块|万)"
    ),
    "涉及客户本人的账户信息": re.compile(
        r"(?:我的|我名下|我卡里|我账户|我账上)(?:的)?(?:余额|持仓|收益|账户|账单|订单|流水|明细|额度|征信|贷款|本金|盈亏|密码|资料)"
        r"|(?:查|看)(?:一下|下)?我(?:的|买|持|账|卡)|我(?:买的|持有的)[^。!?]{0,12}(?:亏|赚|跌|涨|多少|怎么样)"
        r"|(?:我的)?(?:钱|款|资金)(?:怎么|为什么|咋)?(?:还)?(?:没有?|未|不)到"
    ),
    ADVICE: re.compile(
        r"(?:推荐|介绍)(?:一|几|个|款|只|点|下|支|我|些|哪)|买(?:哪|什么|啥)|哪(?:个|款|只|支)(?:好|产品|理财|基金|收益)"
        r"|(?:该不该|要不要|能不能|可以|适合)(?:买|投|加仓|补仓|卖|赎)|会(?:涨|跌|亏|赚)|还会(?:涨|跌)|抄底|保本吗|会不会(?:亏|涨|跌|赚)"
    ),
}
_GREETING = re.compile(
    r"(?:你好|您好|哈喽|hello|hi|嗨|在吗|在不在|在么|有人吗|早上好|上午好|下午好|晚上好|请问|客服|[,。!?~\s啊呀呢])+"
)
_WHO = re.compile(
    r"你(?:到底)?(?:是|叫)(?:谁|什么名字|不是人|人吗|人还是|不是机器|机器|真人|ai|智能)|(?:是不是|是)(?:个)?(?:机器人|机器|真人|ai|自动回复|智能助手)(?:吗|呢|啊|$|\?|。|吧)"
)

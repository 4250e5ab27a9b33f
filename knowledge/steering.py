"""What an intent does to a suggestion: none at all, another question first, or no selling. Pure."""

from knowledge.conversation import Understood
from knowledge.intents import Intent, Read

HELD = {
    Intent.COMPLAINT: (
        "客户在投诉：不推荐任何产品，营销已暂停，提醒已交支行管理处理",
        "请先倾听并致歉，如实记录诉求，不要承诺赔付，不要与客户争辩",
    ),
    Intent.REFUSAL: (
        "客户不希望再收到营销信息：已停止营销触达，由支行管理或合规复核",
        "可以简短致歉，不要再推荐产品，也不要追问原因",
    ),
    Intent.THANKS: ("客户在致谢或应答，不需要推荐素材，简短回应即可",),
    Intent.SMALL_TALK: ("客户在问候、闲聊，或只发了标点、表情，不需要推荐素材，自然回应即可",),
}
ASSESSMENT = "风险测评在哪里做，测评过期了怎么办"
BUYING = "怎么购买，在手机银行买理财的流程是什么"
NO_ORDERS = "聊天中不接受下单、不代客操作，请客户本人在手机银行或网点办理"
UNASSESSED = "客户想购买，但没有有效的风险测评：先请客户完成测评"
ASSESSED = "客户想购买：先核对适当性，客户风险承受能力 C{level}，产品不得高于 R{level}"
WORRIED = "客户有担忧：先安抚并说明事实，不推荐产品，不预测走势"
SPECIAL_CARE = "客户可能需要特别照顾：请亲自沟通，不推荐产品，不承诺收益或赔付，提醒已交支行管理"


def held(read: Read) -> tuple[str, ...]:
    """Why no reply is suggested to this, with what to do; empty where one is."""
    if read.complains:
        return HELD[Intent.COMPLAINT]
    return HELD[Intent.REFUSAL] if read.refuses else HELD.get(read.intent, ())


def sought(read: Read, what: Understood, ceiling: int) -> str:
    """What is searched for: before anybody buys, whether it suits them."""
    if read.intent is not Intent.BUY:
        return what.text
    return f"{what.about}{BUYING}" if ceiling else ASSESSMENT


def without_selling(read: Read) -> bool:
    """Whether material that arouses a need or sells is left out."""
    return read.intent is Intent.WORRY or read.vulnerable


def without_products(read: Read) -> bool:
    """Whether even a mention of a product is left out (L-09)."""
    return read.vulnerable


def notes(read: Read, ceiling: int) -> list[str]:
    """What the RM should know before answering."""
    told = []
    if read.vulnerable:
        told.append(SPECIAL_CARE)
    if read.intent is Intent.WORRY:
        told.append(WORRIED)
    if read.intent is Intent.BUY:
        told += [ASSESSED.format(level=ceiling) if ceiling else UNASSESSED, NO_ORDERS]
    return told

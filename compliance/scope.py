"""What makes forbidden words harmless where they stand: negation, warning, question, deposit, fact.

Every test works on one sentence of the normalised text and the place of a hit in it. A contrast
(但, 其实, 私下 …) between the excuse and the hit, or a wink after it (您懂的), cancels the excuse.
"""

import re
from dataclasses import dataclass
from enum import Enum

PROMISES = frozenset(
    {"guarantee_principal", "guarantee_return", "zero_risk", "deposit_confusion",
     "benchmark_misuse", "past_performance", "market_prediction"}
)  # fmt: skip


class Excuse(Enum):
    """Why a hit is no violation."""

    NEGATED = "negated"
    WARNING = "warning"
    QUESTION = "question"
    DEPOSIT = "deposit"
    REALISED = "realised"
    WISH = "wish"
    ANNOUNCED = "announced"


@dataclass(frozen=True, slots=True)
class Place:
    """A hit inside its sentence and its clause."""

    sentence: str
    start: int
    end: int
    clause_start: int
    clause_end: int

    @property
    def before_in_clause(self) -> str:
        return self.sentence[self.clause_start : self.start]

    @property
    def before(self) -> str:
        return self.sentence[: self.start]

    @property
    def after(self) -> str:
        return self.sentence[self.end :]

    @property
    def after_in_clause(self) -> str:
        return self.sentence[self.end : self.clause_end]


_SENTENCE_ENDS = "。!?;\n"
_CLAUSE_ENDS = _SENTENCE_ENDS + ",:"

_NEGATION = re.compile(
    r"不(?:是|会|能|得|可|要|准|许|应|宜|该|构成|代表|承诺|保证|存在|提供|等于|等同|作|做|建议|推荐|属|含|支持|允许"
    r"|具有|具备|再|敢|方便|可能|意味|设|对|适合|适用|接受|涉及|必然|一定|参与|予|鼓励|赞成|诱导|宣传|夸大|使用|出现"
    r"|写|说|提|讲|保|收|送|搞|荐|预测|受|享|视为|把|将|以|开展|办理|经营|销售|卖|评价|比较|传|信谣|轻信|便|泄露"
    r"|透露|查|帮|代|替|碰|接|催|强制|捆绑|默认|骚扰|打扰|收取|承担|兜|垫|像|同于|打|给|用于|愿意承诺|发|推|搭售|设置|改)"
    r"(?!不|错过|犹豫|等了|怕|亏|跌|赔|少|了事|磨|担心|是问题|过时|说(?:了|您|你)|瞒|骗|吹|起您)"
    r"|不用(?=私|个人|小号|客户|红包|礼)|并非|绝非|非(?=保|刚|固|承诺|预期|实际|存款)"
    r"|无(?:法|权|保|刚|兜|担保|政府|任何(?:承诺|保证|担保|机构))|没(?:有|法|人|办法|说|承诺|答应|讲)"
    r"(?!之一|比|更|问题|风险|任何风险|亏|跑|错|不|一个不|一期|什么)|未(?:承诺|保证|经|设|提供|约定|获|作|做|能|被|必|达|曾)"
    r"|打破|破除|严禁|请勿|禁止|切勿|勿|杜绝|避免|谢绝|拒绝|拒不|抵制|取消|告别|难以|很难|难(?=测|料|保证|说)|别(?=信|说|提|写|用|把|承诺|宣传"
    r"|发|轻信|听|跟客户|对客户|向客户|拿|给客户|让|在|随便|乱|盲目|想|指望|被)|甭(?=信|指望)|莫信|休想|谨防|警惕|防范|远离|当心|小心|慎|防止|纠正|清理|整治"
)
# 是不是 asks and does not deny.
_EITHER_OR = re.compile(r"是不是|能不能|会不会|要不要|有没有|可不可以|对不对|好不好|行不行|该不该")
_PROHIBITION = re.compile(
    r"(?:请勿|切勿|不要|不得|严禁|禁止|不能|不可(?!能)|不会|不应|不允许|杜绝|千万别|不许|不准|拒绝|不建议|谢绝|无权|不便|绝不|决不|从不|不该|避免)"
    r"(?!错过|犹豫|等|再等|再犹豫|担心|怕|磨|浪费|拖|辜负|小看|多想|亏|跌|赔|少|有风险|有损失|有任何|丢|缩水|损失|让您亏|让您失望|出事|不|小瞧|想太多|跟行里|告诉|让领导|让行里|说是ai|看合同|有亏|比)"
)
_WARNING_BEFORE = re.compile(
    r"谨防|警惕|防范|当心|反诈|防骗|诈骗|骗局|骗子|骗取|套路|陷阱|非法|不法|违规|违法|违反|处罚|通报|禁止|严禁|不得|不准|不许|不允许"
    r"|禁用|红线|负面清单|审核意见|驳回|整改|话术(?:里|中)?不|合规要求|监管要求|监管规定|警示|误区|误解|误导|谣言|辟谣|澄清|不实|如果有人|若有人|如有人"
    r"|有人(?:说|跟您|向您|对您|承诺|自称|冒充|让|要求|以|推销|告诉|找|打电话|拉|邀)|遇到|凡是|凡|所谓|声称|号称|宣称|自称|打着|冒充|对方|(?:不要|别|勿|切勿|不可)(?:轻)?信|案例|教训|提醒(?:您|大家|各位|客户)?[,:]?"
    r"(?:请勿|不要|警惕|谨防|当心|远离|勿)|自查|禁语|敏感词|不能(?:说|写|讲|用|出现)|不会(?:说|写|讲|承诺)|不要(?:说|写|讲|提|用)|千万别(?:提|说|写|讲|信|用)|广告法|管理办法|规定"
)
_RIVAL_WARNING = re.compile(r"谨防|警惕|反诈|案例|不得|禁止|严禁|请勿|不要|切勿|不评价|合规")
_WARNING_AFTER = re.compile(
    r"诈骗|骗局|骗术|骗子|多为|都是(?:骗|假)|违规|违法|违反|不可信|(?:不要|别|勿|切勿|不可|都不能)(?:轻)?(?:相)?信|报警|举报|当心|警惕|请勿|一律(?:不|无效|禁止|拒绝|视为)"
    r"|不能(?:说|写|用|发|出现|这么|这样|承诺|信|碰|做|当|作为|宣传|有)|不得|不可以|不允许|不合规|不准确|被(?:处罚|问责|开除|罚|查|通报|骗|骗了)|追责|问责|驳回|红线|禁用|不实|不属实|误导|误区|误解"
    r"|(?:请|要|应|马上|立即|立刻)~?(?:拒绝|核实|删除|改掉|挂断|举报|报警|警惕|远离|小心)|请核实|多半是骗|(?<!说)(?<!别)是骗|(?<!说)是假|不予|不成立|不存在|无效|行不通|字样|等表述|等词|等用语|的说法|的话术|这类话|这种话|千万别(?:碰|信|买)|远离|谨慎|判刑|判处|引以为戒|开除|追究|警方|警察|立案|被抓|获刑|退赔".replace(
        "~?", "[^。]{0,4}"
    )
)
_CONTRAST = re.compile(
    r"但|可是|不过|实际上?(?!兑付|到账|净值)|其实|私下|说白了|话说回来|然而|反正|只是|倒是|可我|可咱"
)
_WINK = re.compile(
    r"懂[得的]都懂|[您你]懂[的得]|心照不宣|怎么了|怕什么|怕啥|又如何|而已|摆设|都在做|大家都这|心里有数|意思意思"
    r"|(?:其实|实际|私下|但|不过|可是|可)[^。!?\n]{0,12}?(?:都一样|从来没|从没|没亏|没让|照样|照给|肯定|一定会|稳|都兑|都给|放心|保本|保底|没问题|不会亏|兜|差不多就|跑不了|拿得到|给到)"
)
_DENIED_AFTER = re.compile(
    r"(?:的)?(?:说法|话|承诺|情况|行为|做法|事|字样|字眼|表述|词|条款|协议|理财|产品|字|两字|两个字|四个字|这回事|宣传|概念|时代|之说)?[”\"]?(?:并|都|均|是|也|就|,|一律|已|早已|已经)?"
    r"(?:不(?:存在|可能|可信|成立|允许|可以|合规|准确|属实|实|符合|行|对)|没有|无效|违规|违法|禁止|误解|误区|骗|假的|做不到|谁也|被打破|打破|终结|成为历史|一去|不是(?!问题|梦|吹|盖|难|事|说))"
    r"|(?:的)?(?:说法|话|承诺|行为|做法|字样|字眼|表述|词|协议|宣传)[^。!?]{0,4}(?:不|勿|别|禁|违|删|骗|假)"
)
_ASKED = re.compile(
    r"是否|是不是|能不能|会不会|有没有|可不可以|保不保|问(?!题)|询问|咨询|想知道|为什么|为何|如何(?:判断|看待|理解|区分|识别|防)|怎么(?:判断|看待|理解|区分|识别)|区别|不同|区分|不一样"
)
_QUESTION_AFTER = re.compile(r"(?:吗|么)\s?\?|是否|还是|吗[,，]?(?:怎么|如何)")
_RHETORICAL = re.compile(
    r"难道|香吗|不香|还怕|不心动|不是(?:更|挺|很)|能不|想不想|要不要|不好吗|不行吗|怕什么|何乐|还能.{0,6}吗|您说是|对吧|心动"
)
_DIFFERENCE = re.compile(r"区别|不同|不是一|区分|不一样|两回事|不能混|不可混|分清|不覆盖|不受")
_DEPOSIT = re.compile(
    r"存款|存单|国债|储蓄|定存|定期|活期|零存整取|整存整取|协定|通知存|公积金|年金转移|保证金账户|房贷|贷款|央行|lpr|准备金率"
)
_MIXED = re.compile(
    r"理财|基金|保险(?!保护|条例|覆盖|制度|机构|保障|标识)|这款|一样|像|当成|当作|类似(?!国债)|堪比|信托|净值|替代|存款级|类存款|升级|相当|等于|比存|比定|媲美|胜过|差不多|一回事|(?<!存款)产品|打底|底层|投向|主投|配置|为主|就当|当买|当是|理解成|理解为|看成|看作|分红险|年金险|保单|寿险|当(?=存|定|活|零)"
)
_DONE = re.compile(
    r"已(?:经|于)?[^。!?,]{0,8}(?:到账|入账|兑付|结清|结算|派发|分配|划|支付|发放|计入|办理|转入|结息|到期|完成|退)|实际(?:兑付|到账|收益|年化|净值|结算)|(?:到账|入账|结息|派息|兑付)(?:通知|提醒|成功|完成)|已到账|实得"
)
_FUTURE = re.compile(
    r"这期|下期|下次|还会|一定|继续|放心|以后|肯定|也能|照样|保证(?!金)|稳|妥|下一|今后|每期|期期|再买|再来|跟上|必"
)
_WISH = re.compile(
    r"(?:追求|看重|偏好|想要|希望|要的是|盲目|一味|幻想|在意|注重|关心|担心|如果您要|若您要|需要|图|贪图|诱惑|面对)[^,。]{0,6}$"
)
_TRADE_OFF = re.compile(
    r"高风险|风险(?:也|就|往往|越|较|更|相对|随)|收益(?:越|与|和)~?风险|风险(?:与|和)收益|匹配|并存|相伴|背后"
)
_SOURCE = re.compile(
    r"(?:来源|出处)|统计(?:口径|区间|期)|口径|截至\d|据.{0,12}(?:数据|统计|年报|公告)|注明|审核"
)
_ANNOUNCEMENT = re.compile(
    r"(?:我|咱|我们)?(?:绝|决|从来?|肯定)?(?:不会|不能|不敢|不方便|没|不)(?:再)?(?:跟您|和您|对您|跟客户|给您)?(?:说|讲|提|承诺|告诉您)(?:的是|过)?:"
)


def excuse(text: str, start: int, end: int, category: str) -> Excuse | None:
    """Why the hit text[start:end] is no violation; None when it stands.

    `ANNOUNCED` is no full excuse: 我绝不会说： followed by the promise itself still needs a person.
    """
    if announced(text, start):
        return Excuse.ANNOUNCED
    place = _locate(text, start, end)
    if winked(text, end):
        return None
    if _negated(place):
        return Excuse.NEGATED
    if _warned(place, category):
        return Excuse.WARNING
    if category in PROMISES:
        return _plain_fact(place, category)
    if category == "endorsement" and about_deposits(place.sentence):
        return Excuse.DEPOSIT
    if category == "superlative" and _SOURCE.search(place.sentence):
        return Excuse.REALISED
    return None


def announced(text: str, start: int) -> bool:
    """Whether what begins here stands behind 我绝不会说：, which says it all the same."""
    return bool(_ANNOUNCEMENT.search(text, _last_of(text, _SENTENCE_ENDS, start), start))


def without_announcements(text: str) -> str:
    """The text as it reads without 我绝不会说：, place by place."""
    return _ANNOUNCEMENT.sub(lambda words: " " * len(words[0]), text)


def winked(text: str, end: int) -> bool:
    """Whether what follows takes back every excuse before it: 按规定不能承诺，您懂的."""
    return bool(_WINK.search(text, end))


def about_deposits(sentence: str) -> bool:
    """Whether a sentence speaks of deposits or treasury bonds only, where principal is a fact."""
    return bool(_DEPOSIT.search(sentence)) and not _MIXED.search(sentence)


def realised(sentence: str) -> bool:
    """Whether a sentence states what has been paid, without a hint at what will be."""
    return bool(_DONE.search(sentence)) and not _FUTURE.search(sentence)


def _locate(text: str, start: int, end: int) -> Place:
    left = _last_of(text, _SENTENCE_ENDS, start)
    right = _next_of(text, _SENTENCE_ENDS, end)
    right = right + 1 if right < len(text) else right
    return Place(
        sentence=text[left:right],
        start=start - left,
        end=end - left,
        clause_start=max(_last_of(text, _CLAUSE_ENDS, start) - left, 0),
        clause_end=_next_of(text, _CLAUSE_ENDS, end) - left,
    )


_REACH = 400


def _last_of(text: str, ends: str, at: int) -> int:
    """Just behind the last of `ends` before `at`, looking back no further than a long sentence."""
    for index in range(at - 1, max(at - _REACH, 0) - 1, -1):
        if text[index] in ends:
            return index + 1
    return max(at - _REACH, 0)


def _next_of(text: str, ends: str, at: int) -> int:
    for index in range(at, min(at + _REACH, len(text))):
        if text[index] in ends:
            return index
    return min(at + _REACH, len(text))


def _negated(place: Place) -> bool:
    left = max(place.clause_start, place.start - 14)
    window = _EITHER_OR.sub(_blank, place.sentence[left : place.start + 6])
    border = place.start - left
    negations = [one for one in _NEGATION.finditer(window) if one.start() < border]
    if negations and not _CONTRAST.search(window, negations[-1].end(), border):
        return True
    prohibition = _PROHIBITION.search(_EITHER_OR.sub(_blank, place.before_in_clause))
    if prohibition and not _CONTRAST.search(place.before_in_clause, prohibition.end()):
        return True
    return bool(_DENIED_AFTER.match(place.after_in_clause))


def _blank(match: re.Match[str]) -> str:
    return "□" * len(match.group())


def _warned(place: Place, category: str) -> bool:
    if category == "disparagement":
        return bool(_RIVAL_WARNING.search(place.before))
    before = list(_WARNING_BEFORE.finditer(place.before))
    if before and not _CONTRAST.search(place.before, before[-1].end()):
        return True
    after = _WARNING_AFTER.search(place.after)
    return after is not None and not _CONTRAST.search(place.after, 0, after.start())


def _plain_fact(place: Place, category: str) -> Excuse | None:
    if _asked(place):
        return Excuse.QUESTION
    if category == "deposit_confusion":
        if _DIFFERENCE.search(place.sentence):
            return Excuse.NEGATED
        return Excuse.DEPOSIT if about_deposits(place.sentence) else None
    if about_deposits(place.sentence):
        return Excuse.DEPOSIT
    if category != "market_prediction" and realised(place.sentence):
        return Excuse.REALISED
    if _WISH.search(place.before_in_clause) or _TRADE_OFF.search(place.sentence):
        return Excuse.WISH
    return None


def _asked(place: Place) -> bool:
    if _RHETORICAL.search(place.sentence):
        return False
    return bool(_ASKED.search(place.before_in_clause)) or bool(_QUESTION_AFTER.search(place.after))

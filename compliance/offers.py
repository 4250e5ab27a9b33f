# ruff: noqa: E501 - a pattern is one expression.
"""Messages that name a product or a figure and leave out what must stand beside it.

Sources: 信息披露管理办法 and 令2021年第4号 (benchmark with its notice in the same message), 过往业绩展示
行为准则 2023 (both dates and the notice), 理财销售 annex (risk reminder).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from compliance.phrases import compiled
from compliance.scope import about_deposits, realised


@dataclass(frozen=True, slots=True)
class Lack:
    """Something said without its company; `doubtful` when a person should decide."""

    category: str
    name: str
    reason: str
    start: int
    end: int
    suggestion: str
    doubtful: bool = False


_NOTICE = re.compile(
    r"不构成|不代表|不等同|不等于|不预示|非(?:实际|预期|保本)|不是(?:承诺|预期|实际|保证|到手)|不作(?:为)?(?:承诺|保证)|仅供参考|不保证|不承诺|可能低于|以实际|净值计算|以.{0,6}净值为准|不确定|不是到手|不能当|有可能达不到|未达到?|没达到?|达不到"
)
_BENCHMARK_FIGURE = compiled(
    r"(?:业绩(?:比较)?|比较|这期|参考)?基准(?!利率|日|点)[^。!?;\n]{0,14}?<pct>"
)
_NEUTRAL_BENCHMARK = re.compile(
    r"低于|未达|没达|下调|上调|调整|说明书|依据|由.{0,10}(?:至|到|变)|公告|贷款|央行|lpr|指数|利率|复合|含义"
)
_PAST_FIGURE = compiled(
    r"(?:近[一二三四五六七两几\d]{1,2}个?(?:月|年|周|日)|过去|成立以来|上一?期|前[一二三四五两几\d]个?(?:期|月|年)|去年|今年以来|今年|往期|历史|上个?月|上季度|同系列|七日|7日|本月)"
    r"[^。!?;\n]{0,12}?(?:年化|涨|赚|收益|回报|盈利|上涨|兑付|做到|给了|跑出|拿到)[^。!?;\n]{0,6}?<pct>"
)
_PAST_NOTICE = re.compile(r"过往业绩|历史业绩|不代表(?:其)?未来|不预示|不代表以后|不代表今后")
_DATES = re.compile(r"(?:19|20)\d\d[-./年]\d{1,2}")
_LOSS = re.compile(r"亏(?!不)|跌(?!不)|回撤|下跌|-\d|负收益|低于|浮亏|下降")
_RETURN_FIGURE = compiled(
    r"(?:年化(?:收益率?|回报率?)?|收益率?|回报率?|业绩|利息|分红)[^。!?;\n不没未勿×x*]{0,6}?<pct>(?!的?(?:税|费|概率|仓位))|<pct>(?:的)?(?:年化|收益|回报|利息)"
)
_NOT_RETURN = re.compile(
    r"费|税|测算|演示|举例|假设|案例|概念|骗|国债|存款|定存|存单|贷款|房贷|公告|利率为|通知|折扣|央行|占比|调整|说明|问卷|波动|回撤|亏|上限|下限|公式|计算方法|什么是|指的是|意思是|含义|不能|不得|请勿|收取|计提|浮动管理费|超额"
)
_BARE_FIGURE = compiled(
    r"<pct>[^\w。,]{0,4}(?:就问|你|您|冲|来|速|抢|限|!|就这|还|香|要吗|了解|看|戳|~|$)|^[^\w]{1,6}<pct>[^\w]{1,6}"
)
_HYPE = re.compile(
    r"[👉👈🔥💥❗‼📣🚀✨🎉⚡💎🌟⭐]|!!|香|冲|抢|心动|爆|速|等你|等您|就问|惊|震撼|大字|看这里|数字说话|这个数|来了"
)

_SPECIFIC = re.compile(
    r"[\u4e00-\u9fff]{1,8}(?:\d{1,4}|[一二三四五六七八九十]{1,3})(?:号|期)|[\u4e00-\u9fff]{2,8}[a-e](?:份额|类|款)|(?:日|周|月|季|年|半年|双周|双月|天天|月月|季季|年年)(?:增|升|添|泰|利|盈|鑫|享|开|添利|增利|宝|丰|定开|悦|安|聚)(?!会|了|心|受|始|放)"
    r"|(?:混合|债基|纯债|短债|中短债|指数增强|联接|fof|etf|增利|添利|稳利|天利|添益|稳健增|优选混|灵活配置|货币基金|现金管理类?|固收\+|同业存单)|[\u4e00-\u9fff]{2,6}(?:混合|债券|股票|灵活)(?:型|[a-c])|(?:鑫|盈|享|悦|添|聚|安|稳|丰|利|启航|领航|臻)[\u4e00-\u9fff]{0,2}(?:宝|计划|系列)|年金险|分红险|增额寿|增额终身寿|终身寿|万能险|重疾险|医疗险|两全险|养老年金|投连险"
)
_GENERIC = re.compile(
    r"理财(?!经理|师|知识|讲座|课|规划|教育|节|观|到期|非存款|顾问|子公司|公司|沙龙|中心|室|习惯|需求|目标|小课堂|产品到期)|基金(?!经理|公司|从业|知识|业协会|管理人)|新基|保险(?!箱|柜|公司|条例|制度|知识)|信托|净值型|年金|资管计划|私募|结构化|黄金积存|固收"
)
_LAUNCH = re.compile(
    r"上新|首发|发售|开售|在售|热销|热卖|主推|力推|新品|新发|新款|起购|元起|万起|块起|起投|上线|上架|来袭|来啦|重磅|推荐|精选|闲钱|好去处|安排|火热|今日开|今天起|开放认购|开放申购|开放购买|募集中|发行中|值得|首选|好选择|就选|就买|选它|火热|抢先|来了"
)
_CALL = re.compile(
    r"认购|申购|购买|下单|投保|抢|扫码|扫一扫|扫描|长按|识别|点(?:图|进|一下)|点击|点下方|点这里|点链接|点开|戳|链接|http|小程序|私信|预约|(?<!随时)(?<!可以)(?<!可)(?:找我|联系我)|加我|咨询我|来电|回复1|回复数字|一键|直达|入手|上车|马上买|随时买|就能买|买入|想要的|要的|带走|来一份|报名认购|滑动|进店|下方|立即|赶快|快来|速来|了解详情|了解更多|留言|打给我|订阅|参与认购|登录.{0,8}(?:买|购)"
)
_REMINDER = re.compile(
    r"投资(?:须|需|要|应|请)?谨慎|有风险|非存款|不是存款|风险自担|不保本|非保本|可能(?:亏|损失|发生)|(?:阅读|查看|了解|看)(?:清|懂)?[^。]{0,10}(?:说明书|风险揭示|合同|条款|免责)|净值(?:会|可能|有)?波动|不确定|退保(?:可能|会|有)"
)
_SERVICE = re.compile(
    r"到期(?!日|后).{0,10}(?:操作|如何|登录|办理|资金|提醒|通知|到账)|已到期|赎回|维护|暂停|公告|查询|如何|怎么|讲座|投教|课堂|沙龙|知识|不推荐|不构成|已成功|办理成功|您(?:购买|持有|认购|申购|投保)的|您(?:名下|的保单|的理财|的基金)|区别|请勿|谨防|警惕|诈骗|骗|不得|禁止|不能|无法|不建议|不要|不在|反假|测评|问卷|客户经理(?:不|没)|确认函|扣款|缴费|理赔|保单(?:贷款|号|服务|年检|变更)|回访|犹豫期|变更|撤单|资金到账|截止时间|确认时间|时间为|t\+\d|分红方式|预约号|合格投资者|匹配|合同|协议|费率|费用|亏|封闭期|锁定期|公示|清单|答疑|流程|说明|如需|若需|分红到账|净值(?:更新|披露)|资产配置|先(?:完成|做)"
)


def lacks(text: str) -> Iterator[Lack]:
    """What the normalised message ought to say and does not."""
    yield from _benchmark_without_notice(text)
    yield from _past_without_period(text)
    yield from _bare_figures(text)
    yield from _offer_without_reminder(text)


def _benchmark_without_notice(text: str) -> Iterator[Lack]:
    for match in _BENCHMARK_FIGURE.finditer(text):
        sentence = _sentence(text, match.start(), match.end())
        if _NOTICE.search(text) or _NEUTRAL_BENCHMARK.search(sentence) or realised(sentence):
            continue
        yield Lack(
            "benchmark_misuse", "no_notice", "展示业绩比较基准却没有依据和提示语", *match.span(),
            "业绩比较基准不等同于预期收益率，不代表未来表现和实际收益，不构成收益承诺",
        )  # fmt: skip


def _past_without_period(text: str) -> Iterator[Lack]:
    for match in _PAST_FIGURE.finditer(text):
        sentence = _sentence(text, match.start(), match.end())
        if _LOSS.search(sentence) or about_deposits(sentence) or realised(sentence):
            continue
        noticed = bool(_PAST_NOTICE.search(text)) or bool(_NOTICE.search(text))
        if noticed and len(_DATES.findall(text)) >= 2:
            continue
        yield Lack(
            "past_performance", "no_period", "展示过往业绩却没有起止日期或提示语", *match.span(),
            "写明区间起止日期，并附“过往业绩不代表其未来表现，不等于实际收益，投资须谨慎”", noticed,
        )  # fmt: skip


def _bare_figures(text: str) -> Iterator[Lack]:
    if _NOTICE.search(text) or _PAST_NOTICE.search(text) or "基准" in text:
        return
    for match in _RETURN_FIGURE.finditer(text):
        sentence = _sentence(text, match.start(), match.end())
        if _NOT_RETURN.search(sentence) or realised(sentence) or _PAST_FIGURE.search(sentence):
            continue
        yield Lack(
            "guarantee_return", "bare_figure", "只给收益数字，易被理解为收益承诺", *match.span(),
            "删去收益数字，或改为业绩比较基准并附依据和提示语",
        )  # fmt: skip
    alone = _BARE_FIGURE.search(text)
    if alone and len(text) <= 40 and _HYPE.search(text) and not _NOT_RETURN.search(text):
        yield Lack(
            "benchmark_misuse", "isolated_figure", "孤立突出收益数字", *alone.span(),
            "业绩比较基准须与测算依据和提示语放在同一条消息里，不单独突出",
        )  # fmt: skip


def _offer_without_reminder(text: str) -> Iterator[Lack]:
    if _REMINDER.search(text) or _SERVICE.search(text) or about_deposits(text):
        return
    named = _SPECIFIC.search(text)
    known = named or _GENERIC.search(text)
    call, launch = _CALL.search(text), _LAUNCH.search(text)
    if known is None or (call is None and not (named and launch)):
        return
    if named is None and launch is None:
        return
    yield Lack(
        "missing_disclosure", "no_reminder", "介绍产品并邀请购买，却没有风险提示语", *known.span(),
        "理财非存款，产品有风险，投资须谨慎。",
    )  # fmt: skip


def _sentence(text: str, start: int, end: int) -> str:
    left = max(text.rfind(mark, 0, start) for mark in "。!?;\n") + 1
    rights = [at for at in (text.find(mark, end) for mark in "。!?;\n") if at >= 0]
    return text[left : min(rights, default=len(text))]

"""What is wrong with each category in a sentence, and what may be said instead."""

from typing import NamedTuple


class Advice(NamedTuple):
    """Why the words may not be sent, and a compliant way to say it, where there is one."""

    reason: str
    suggestion: str


ADVICE = {
    "guarantee_principal": Advice(
        "读起来像是承诺本金不受损失", "理财非存款，产品有风险，本金可能受损，投资须谨慎"
    ),
    "guarantee_return": Advice(
        "读起来像是承诺或预测收益", "收益不确定，以到期实际净值为准；如需展示，请引用说明书原文"
    ),
    "zero_risk": Advice("淡化或否认了产品风险", "写明产品风险等级，并说明可能亏损的情形"),
    "superlative": Advice("使用了绝对化用语", "改为可以核实的事实，并注明来源与口径"),
    "benchmark_misuse": Advice(
        "把业绩比较基准当作收益，或突出、比较基准",
        "业绩比较基准不等同于预期收益率，不代表未来表现和实际收益，不构成收益承诺",
    ),
    "past_performance": Advice(
        "用过往业绩招揽或推断未来", "写明区间起止日期，并附“过往业绩不代表其未来表现，投资须谨慎”"
    ),
    "deposit_confusion": Advice("容易与存款混淆", "理财非存款，存款保险不覆盖理财产品"),
    "endorsement": Advice(
        "借机构、专家或他人为产品背书", "登记、备案或托管不代表对产品的认可，请删去背书内容"
    ),
    "pressure_inducement": Advice(
        "催促或以利益诱导购买", "说明募集期与额度以系统为准，请客户考虑清楚再决定"
    ),
    "misconduct": Advice(
        "涉及私下交易、代客操作或逃避留痕", "请客户本人通过本行官方渠道办理，沟通在企业微信留痕"
    ),
    "suitability_evasion": Advice(
        "规避风险测评或适当性要求", "请客户如实完成测评，只介绍风险等级匹配的产品"
    ),
    "privacy_leak": Advice("透露或索取他人信息", "不便透露其他客户的信息，如需办理请本人授权"),
    "disparagement": Advice("贬低其他机构或产品", "各有特点，请以对方公告和产品说明书为准"),
    "concealment": Advice(
        "隐瞒或淡化费用、期限、损失等要素", "如实列明费用、封闭期和可能的损失，请客户通读合同"
    ),
    "market_prediction": Advice(
        "对行情作确定性判断", "市场走势难以预测，观点仅供参考，不构成投资建议"
    ),
    "missing_disclosure": Advice(
        "介绍产品并邀请购买，却没有风险提示语", "理财非存款，产品有风险，投资须谨慎。"
    ),
    "consent_dnd": Advice(
        "违背客户的拒收意愿、免打扰时段或授权", "尊重客户意愿：停止营销信息，只保留必要的服务通知"
    ),
    "ai_disclosure": Advice(
        "隐瞒AI身份、去除标识或伪造真人内容", "保留“AI生成”标识，如实说明智能助手身份"
    ),
}

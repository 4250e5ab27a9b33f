"""Who needs a person's care before anything else: old or young, ill, in distress, in need of money.

Sources: 消费者权益保护管理办法 (elderly and disabled customers), 未成年人保护法. In doubt a
person looks; a word too many here costs a colleague a minute.
"""

import re

from compliance.normalise import normalise


def recognise_vulnerable(text: str) -> bool:
    """Whether a customer's message speaks of age, illness, distress or money that must not fail."""
    return bool(_VULNERABLE.search(normalise(text).text))


_VULNERABLE = re.compile(
    r"(?:我|本人)(?:今年|都|已经|快)?(?:[6-9]\d|1[01]\d|[六七八九]十[一二三四五六七八九]?|[七八九]旬)(?:多|来)?岁?(?:了|的人|,|。|$)"
    r"|老人|老年|年纪大|岁数大|老伴|退休金|养老钱|救命钱|看病|住院|绝症|癌|残疾|看不清|看不见|听不清|听不见|不识字|不会用手机"
    r"|未成年|(?:我|本人)(?:今年|才|只有)?(?:1[0-7]|十[一二三四五六七])岁|(?:我|本人)(?:还)?是(?:初中|高中|小学|中学)?学生"
    r"|不想活|活不下去|自杀|轻生|跳楼|想死|走投无路|抑郁|崩溃|精神(?:病|问题)"
    r"|失业|破产|还不起|欠债|高利贷|借钱(?:买|投)|贷款(?:买|投)|去世|过世|遗产|继承"
)

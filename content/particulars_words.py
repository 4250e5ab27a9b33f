"""Particulars in words, as author and reviewer read them."""

from content import particulars
from content.models import Kind
from content.particulars import Particulars, Persona, Source
from wecom.channels import Channel


def words_of(told: Particulars) -> list[tuple[str, str]]:
    """Label and words, in the order of the form; what says nothing is left out."""
    lines = [
        ("信任程度", _level(told.trust, particulars.TRUST_LABELS)),
        ("专业程度", _level(told.expertise, particulars.EXPERTISE_LABELS)),
        ("客群", "、".join(_known(told.personas, Persona)) or "不限"),
        ("希望的渠道", "、".join(_known(told.channels, Channel))),
        ("希望的支行", "、".join(told.branches)),
        ("希望的有效期", f"{told.valid_days} 天"),
        ("分类", " / ".join(told.category)),
        ("来源", _source(told)),
        ("AI 生成", "是" if told.ai_made else ""),
        *_card(told),
    ]
    return [(label, words) for label, words in lines if words]


def _level(level: int, labels: dict[int, str]) -> str:
    return f"{level} {labels[level]}" if level in labels else ""


def _known(values: tuple[str, ...], kind: type[Persona] | type[Channel]) -> list[str]:
    return [kind(value).label for value in values if value in set(kind)]


def _source(told: Particulars) -> str:
    if told.source not in set(Source):
        return ""
    until = f"，授权至 {told.licensed_until}" if told.licensed_until else ""
    licence = f"：{told.licence}" if told.licence else ""
    return f"{Source(told.source).label}{licence}{until}"


def _card(told: Particulars) -> list[tuple[str, str]]:
    card = told.card
    if told.kind == Kind.LINK:
        return [("链接", card.url), ("卡片标题", card.title), ("卡片描述", card.text)]
    if told.kind == Kind.MINI_PROGRAM:
        return [("卡片标题", card.title), ("小程序 AppID", card.app_id), ("小程序页面", card.page)]
    return []

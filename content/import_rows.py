"""Rows of a list of materials: headings as people write them, one draft a row."""

import re
from collections.abc import Mapping
from datetime import datetime

from content import particulars
from content.drafts import DraftMaterial, category_of
from content.models import KIND_LABELS, Use
from content.particulars import Card, Particulars, Persona, Source
from wecom.channels import Channel

HEADINGS = {
    "file": "文件",
    "kind": "类型",
    "category": "分类",
    "title": "标题",
    "body": "正文",
    "questions": "常见问法",
    "use": "用途",
    "products": "产品代码",
    "trust": "信任程度",
    "expertise": "专业程度",
    "personas": "客群",
    "channels": "渠道",
    "valid_days": "有效天数",
    "source": "来源",
    "licence": "授权依据",
    "licensed_until": "授权到期日",
    "ai_made": "AI生成",
    "url": "链接",
    "card_title": "卡片标题",
    "card_text": "卡片描述",
    "app_id": "小程序AppID",
    "page": "小程序页面",
    "owner": "负责人账号",
    "branches": "支行代码",
}
NEEDED = ("title",)
ALSO = {"文件名": "file", "问法": "questions", "产品": "products", "内容": "body", "话术": "body",
        "AI 生成": "ai_made", "有效期（天）": "valid_days"}  # fmt: skip
NAMES = {**{heading: name for name, heading in HEADINGS.items()}, **ALSO}
SHORT_USES = {"激发": "arouse", "信任": "trust", "转化": "convert", "陪伴": "accompany"}
YES = frozenset({"是", "yes", "y", "true", "1"})
NO = frozenset({"", "否", "no", "n", "false", "0"})
SEPARATORS = re.compile(r"[;；\n|]+")
KINDS = {
    **{kind.value: kind for kind in KIND_LABELS},
    **{label: kind for kind, label in KIND_LABELS.items()},
    "图片": "image",
    "海报": "image",
    "小程序": "mini_program",
    "faq": "faq",
}


class Unreadable(ValueError):
    """A cell that says nothing we know; the message says what to write instead."""


def known(row: Mapping[str, str]) -> dict[str, str]:
    """The cells of a row by our own names."""
    return {NAMES.get(name, name): cell for name, cell in row.items()}


def missing(row: Mapping[str, str]) -> str:
    """Which heading a list cannot do without."""
    names = set(known(row))
    lacking = [HEADINGS[name] for name in NEEDED if name not in names]
    return f"表头缺少：{'、'.join(lacking)}" if lacking else ""


def draft_of(row: Mapping[str, str], usual_kind: str) -> DraftMaterial:
    """The draft a row describes; raises `Unreadable`."""
    cells = known(row)
    kind = str(_choice(cells, "kind", KINDS, usual_kind))
    use = str(_choice(cells, "use", _by_label(Use) | SHORT_USES, Use.ACCOMPANY.value))
    codes, strengths = _products(cells.get("products", ""))
    return DraftMaterial(
        kind=kind,
        title=cells.get("title", ""),
        use=use,
        body=cells.get("body", "").replace("\r\n", "\n"),
        questions=tuple(_several(cells.get("questions", ""))),
        product_codes=codes,
        told=_told(cells, kind, use, strengths),
    )


def _told(
    cells: Mapping[str, str], kind: str, use: str, strengths: tuple[tuple[str, int], ...]
) -> Particulars:
    return Particulars(
        kind=kind,
        use=use,
        trust=_level(cells, "trust", particulars.TRUST_LABELS),
        expertise=_level(cells, "expertise", particulars.EXPERTISE_LABELS),
        personas=_listed(cells, "personas", _by_label(Persona)),
        channels=_listed(cells, "channels", _by_label(Channel)),
        products=strengths,
        category=category_of(cells.get("category", "")),
        valid_days=_whole(cells, "valid_days", particulars.USUAL_VALIDITY),
        source=str(_choice(cells, "source", _by_label(Source), Source.OWN.value)),
        licence=cells.get("licence", ""),
        licensed_until=_day(cells.get("licensed_until", "")),
        ai_made=_yes(cells, "ai_made"),
        owner=cells.get("owner", "").strip(),
        branches=tuple(_several(cells.get("branches", ""))),
        card=Card(
            url=cells.get("url", ""),
            title=cells.get("card_title", ""),
            text=cells.get("card_text", ""),
            app_id=cells.get("app_id", ""),
            page=cells.get("page", ""),
        ),
    )


def _by_label(kind: "type[Use] | type[Persona] | type[Source] | type[Channel]") -> dict[str, str]:
    return {
        **{each.value: each.value for each in kind},
        **{each.label: each.value for each in kind},
    }


def _choice(cells: Mapping[str, str], name: str, of: Mapping[str, object], usual: str) -> object:
    typed = cells.get(name, "").strip()
    if not typed:
        return usual
    found = of.get(typed) or of.get(typed.lower())
    if found is None:
        raise Unreadable(f"{HEADINGS[name]}“{typed}”不认识：可填写{_labels(of)}。")
    return found


def _labels(of: Mapping[str, object]) -> str:
    return "、".join(dict.fromkeys(word for word in of if not word.isascii()))


def _listed(cells: Mapping[str, str], name: str, of: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(str(_choice({name: each}, name, of, "")) for each in _several(cells.get(name, "")))


def _several(cell: str) -> list[str]:
    return [part.strip() for part in SEPARATORS.split(cell) if part.strip()]


def _level(cells: Mapping[str, str], name: str, labels: Mapping[int, str]) -> int:
    by_word = {**{str(level): level for level in labels}, **{v: k for k, v in labels.items()}}
    return int(str(_choice(cells, name, by_word, "1")))


def _whole(cells: Mapping[str, str], name: str, usual: int) -> int:
    typed = cells.get(name, "").strip().removesuffix(".0")
    if not typed:
        return usual
    if not (typed.isascii() and typed.isdigit() and len(typed) < 6):
        raise Unreadable(f"{HEADINGS[name]}“{typed}”不是整数：请填写 1–365 的天数。")
    return int(typed)


def _day(typed: str) -> str:
    """A day as Excel or a person writes it."""
    text = typed.strip().removesuffix(" 00:00:00").replace("/", "-").replace(".", "-")
    if not text:
        return ""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date().isoformat()  # noqa: DTZ007 (a day)
    except ValueError:
        raise Unreadable(
            f"{HEADINGS['licensed_until']}“{typed}”不是日期：请写成 2027-03-31。"
        ) from None


def _yes(cells: Mapping[str, str], name: str) -> bool:
    typed = cells.get(name, "").strip().lower()
    if typed not in YES | NO:
        raise Unreadable(f"{HEADINGS[name]}“{typed}”不认识：请填写“是”或“否”。")
    return typed in YES


def _products(cell: str) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
    """`P001;P002=主讲`: codes, and how much the material speaks of each."""
    words = {label: level for level, label in particulars.STRENGTH_LABELS.items()}
    words |= {str(level): level for level in particulars.STRENGTH_LABELS}
    linked = []
    for part in _several(cell):
        code, _, strength = part.partition("=")
        if strength and strength.strip() not in words:
            raise Unreadable(f"产品“{part}”的关联程度不认识：可填写主讲、解释、提及。")
        linked.append((code.strip(), words.get(strength.strip(), particulars.USUAL_STRENGTH)))
    return tuple(code for code, _ in linked), tuple(linked)

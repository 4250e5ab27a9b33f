"""What a version says of itself beside its text: purpose, levels, audience, links, card, licence.

Part of the immutable version and of its SHA-256 (`materials.fingerprint`).
"""

import enum
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, Self

from content.models import Kind, Material, Use, Version

LONGEST_VALIDITY = 365
USUAL_VALIDITY = 180
LONGEST_LICENCE = 200
LEVELS = (1, 2, 3)
TRUST_LABELS = {1: "初识", 2: "熟悉", 3: "深度信任"}
EXPERTISE_LABELS = {1: "入门", 2: "进阶", 3: "专业"}
STRENGTH_LABELS = {3: "主讲", 2: "解释", 1: "提及"}
USUAL_STRENGTH = 2

# What each kind is made of, beside title, text and questions.
DOCUMENTS = frozenset({"txt", "md", "html", "docx", "pptx", "xlsx", "pdf"})
NEEDS_FILE: dict[Kind, frozenset[str]] = {
    Kind.IMAGE: frozenset({"png", "jpg"}),
    Kind.VIDEO: frozenset({"mp4"}),
    Kind.FILE: DOCUMENTS - {"txt", "md", "html"},
    Kind.MINI_PROGRAM: frozenset({"png", "jpg"}),
}
MAY_HAVE_FILE: dict[Kind, frozenset[str]] = {
    **NEEDS_FILE,
    Kind.LINK: frozenset({"png", "jpg"}),
    Kind.ARTICLE: DOCUMENTS | {"png", "jpg"},
}
FILE_WORDS = {
    Kind.IMAGE: "一张 .png 或 .jpg 图片",
    Kind.VIDEO: "一段 .mp4 视频",
    Kind.FILE: "要发给客户的文件（.pdf、.docx、.pptx 或 .xlsx）",
    Kind.LINK: "一张 .png 或 .jpg 封面图",
    Kind.MINI_PROGRAM: "一张 .png 或 .jpg 封面图",
}
# The customer gets the file itself: what stands in it is shown, not only the text beside it.
FILE_IS_SHOWN = frozenset({Kind.IMAGE, Kind.VIDEO, Kind.FILE, Kind.LINK, Kind.MINI_PROGRAM})


class Persona(enum.StrEnum):
    """Whom a material speaks to 客群."""

    NEWCOMER = "newcomer"
    YOUNG = "young"
    FAMILY = "family"
    RETIRED = "retired"
    OWNER = "owner"
    WEALTHY = "wealthy"

    @property
    def label(self) -> str:
        return {
            "newcomer": "新客户",
            "young": "职场新人",
            "family": "家庭主理人",
            "retired": "退休人群",
            "owner": "企业主",
            "wealthy": "高净值客户",
        }[self]


class Source(enum.StrEnum):
    """Where a material comes from 来源."""

    OWN = "own"
    BOUGHT = "bought"
    ISSUER = "issuer"

    @property
    def label(self) -> str:
        return {"own": "本行自制", "bought": "外购内容", "issuer": "产品管理人提供"}[self]


@dataclass(frozen=True)
class Card:
    """What a link or a mini-program card shows and opens."""

    url: str = ""
    title: str = ""
    text: str = ""
    app_id: str = ""
    page: str = ""


@dataclass(frozen=True)
class Particulars:
    """What a version says of itself; with the text it is what is approved."""

    kind: str
    use: str
    owner: str = ""  # userid
    trust: int = 1
    expertise: int = 1
    personas: tuple[str, ...] = ()  # none: everyone
    channels: tuple[str, ...] = ()  # wished; the reviewer decides
    branches: tuple[str, ...] = ()  # codes, wished; none: all
    products: tuple[tuple[str, int], ...] = ()  # code and strength
    category: tuple[str, ...] = ()  # where it stands in the tree of scripts
    valid_days: int = USUAL_VALIDITY
    source: str = Source.OWN.value
    licence: str = ""
    licensed_until: str = ""  # a day, where the content was bought
    ai_made: bool = False
    card: Card = Card()

    def stored(self) -> dict[str, Any]:
        """As kept on the version."""
        told = asdict(self)
        return {name: _plain(value) for name, value in told.items()}

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Self:
        """As kept on the version; a version from before says nothing of itself."""
        known = {name: value for name, value in stored.items() if name in cls.__dataclass_fields__}
        for name in ("personas", "channels", "branches", "category"):
            known[name] = tuple(known.get(name, ()))
        known["products"] = tuple((code, strength) for code, strength in known.get("products", ()))
        known["card"] = Card(**known.get("card", {}))
        return cls(**{"kind": "", "use": "", **known})


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


def of_version(material: Material, version: Version) -> Particulars:
    """The particulars of this version; older ones know only what the material says."""
    told = Particulars.read(version.particulars)
    return told if told.kind else replace(told, kind=material.kind.value, use=material.use.value)


def use_of(material: Material, version: Version) -> Use:
    """What this version is for: as approved, whatever a later draft says."""
    return Use(of_version(material, version).use)


def wrong(told: Particulars, suffix: str, today: date) -> dict[str, str]:
    """What to correct before this can be saved, by field of the form."""
    errors = _wrong_levels(told) | _wrong_licence(told, today)
    if told.kind in set(Kind):
        kind = Kind(told.kind)
        errors |= _wrong_file(kind, suffix) | _wrong_card(kind, told.card)
    return errors


def _wrong_levels(told: Particulars) -> dict[str, str]:
    errors = {}
    if told.trust not in LEVELS:
        errors["trust"] = "请选择信任程度。"
    if told.expertise not in LEVELS:
        errors["expertise"] = "请选择专业程度。"
    if not set(told.personas) <= set(Persona):
        errors["personas"] = "请从列表中选择客群。"
    if not 1 <= told.valid_days <= LONGEST_VALIDITY:
        errors["valid_days"] = f"请填写 1–{LONGEST_VALIDITY} 天：素材不能长期有效。"
    if any(strength not in STRENGTH_LABELS for _, strength in told.products):
        errors["products"] = "请选择产品的关联程度。"
    if len(told.category) > 4 or any(len(part) > 20 for part in told.category):
        errors["category"] = "分类最多四级，每级不超过 20 个字。"
    return errors


def _wrong_licence(told: Particulars, today: date) -> dict[str, str]:
    """Bought content has a licence that ends; what is approved must end with it."""
    if told.source not in set(Source):
        return {"source": "请选择来源。"}
    if told.source == Source.OWN:
        return {}
    errors = {}
    if not told.licence or len(told.licence) > LONGEST_LICENCE:
        errors["licence"] = (
            f"请写明提供方和授权依据（合同或许可编号），不超过 {LONGEST_LICENCE} 个字。"
        )
    if told.licensed_until or told.source == Source.BOUGHT:
        errors |= _wrong_end(told, today)
    return errors


def _wrong_end(told: Particulars, today: date) -> dict[str, str]:
    try:
        ends = date.fromisoformat(told.licensed_until)
    except ValueError:
        return {"licensed_until": "外购内容请填写授权到期日，例如 2027-03-31。"}
    left = (ends - today).days
    if left < 1:
        return {"licensed_until": "授权已到期：请续约后更新到期日，或更换内容。"}
    if told.valid_days > left:
        return {"valid_days": f"有效期不能超过授权到期日：最多填写 {left} 天。"}
    return {}


def _wrong_file(kind: Kind, suffix: str) -> dict[str, str]:
    allowed = MAY_HAVE_FILE.get(kind, DOCUMENTS)
    if suffix and suffix not in allowed:
        words = FILE_WORDS.get(kind, "文字类文件（.docx、.pptx、.xlsx、.pdf、.html、.md 或 .txt）")
        return {"file": f"“{kind.label}”只能上传{words}：请更换文件，或改选类型。"}
    if not suffix and kind in NEEDS_FILE:
        return {"file": f"“{kind.label}”需要上传{FILE_WORDS[kind]}。"}
    return {}


def _wrong_card(kind: Kind, card: Card) -> dict[str, str]:
    errors = {}
    if kind not in (Kind.LINK, Kind.MINI_PROGRAM):
        return {}
    if not card.title:
        errors["card_title"] = "请填写卡片标题。"
    if kind == Kind.MINI_PROGRAM:
        if not _is_app_id(card.app_id):
            errors["app_id"] = "请填写小程序 AppID：wx 开头的 18 位字母和数字。"
        if not card.page or len(card.page) > 256 or not _is_page(card.page):
            errors["page"] = "请填写小程序页面路径，例如 pages/product/index.html。"
    return errors


def _is_app_id(text: str) -> bool:
    return len(text) == 18 and text.startswith("wx") and text.isascii() and text.isalnum()


def _is_page(text: str) -> bool:
    known = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./?=&%")
    return set(text) <= known and ".." not in text and not text.startswith("/")


def shown_words(told: Particulars) -> Sequence[str]:
    """Words of the card that a customer reads beside the text: they are checked with it."""
    return [each for each in (told.card.title, told.card.text) if each]

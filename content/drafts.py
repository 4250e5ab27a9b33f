"""A draft as typed: read from a form, and what to correct before it can be saved."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from multidict import MultiMapping
from sqlalchemy.ext.asyncio import AsyncSession

from content import addresses, checks, particulars, products, sizes
from content.house import House
from content.models import Kind, Product, Use
from content.particulars import Card, Particulars
from content.uploads import Upload
from desk.ids import id_of

FEWEST_QUESTIONS, MOST_QUESTIONS = 3, 5
LONGEST_TITLE, LONGEST_BODY, LONGEST_QUESTION = 60, 20_000, 80
NOTHING_TOLD = Particulars(kind="", use="")


@dataclass(frozen=True)
class DraftMaterial:
    """What the author wrote, as typed."""

    kind: str
    title: str
    use: str
    body: str
    questions: tuple[str, ...] = ()
    product_codes: tuple[str, ...] = ()
    file_id: UUID | None = None
    told: Particulars = NOTHING_TOLD
    gap_id: UUID | None = None  # the content gap it is written for


@dataclass(frozen=True)
class Refused:
    """Nothing was saved: what to correct, by field of the form."""

    errors: dict[str, str] = field(default_factory=dict)


def read_form(form: MultiMapping[object]) -> DraftMaterial:
    """The draft of a submitted form; one example question a line."""
    lines = _typed(form, "questions").splitlines()
    kind, use = _typed(form, "kind"), _typed(form, "use")
    return DraftMaterial(
        kind=kind,
        title=_typed(form, "title"),
        use=use,
        body=_typed(form, "body").replace("\r\n", "\n"),
        questions=tuple(line.strip() for line in lines if line.strip()),
        product_codes=tuple(_all(form, "products")),
        file_id=id_of(_typed(form, "file_id")),
        told=_told(form, kind, use),
        gap_id=id_of(_typed(form, "gap")),
    )


def _told(form: MultiMapping[object], kind: str, use: str) -> Particulars:
    codes = _all(form, "products")
    source = _typed(form, "source") or particulars.Source.OWN.value
    own = source == particulars.Source.OWN
    return Particulars(
        kind=kind,
        use=use,
        owner=_typed(form, "owner"),
        trust=_number(form, "trust", 1),
        expertise=_number(form, "expertise", 1),
        personas=tuple(_all(form, "personas")),
        channels=tuple(_all(form, "channels")),
        branches=tuple(_all(form, "branches")),
        products=tuple((code, _number(form, f"strength-{code}", 2)) for code in codes),
        category=category_of(_typed(form, "category")),
        valid_days=_number(form, "valid_days", particulars.USUAL_VALIDITY),
        source=source,
        licence="" if own else _typed(form, "licence"),
        licensed_until="" if own else _typed(form, "licensed_until"),
        ai_made=_typed(form, "ai_made") == "yes",
        card=_card(form, kind),
    )


def _card(form: MultiMapping[object], kind: str) -> Card:
    """Only what belongs to the kind: a field left over from another kind says nothing."""
    if kind == Kind.LINK:
        return Card(
            url=_typed(form, "url"),
            title=_typed(form, "card_title"),
            text=_typed(form, "card_text"),
        )
    if kind == Kind.MINI_PROGRAM:
        return Card(
            title=_typed(form, "card_title"),
            app_id=_typed(form, "app_id"),
            page=_typed(form, "page"),
        )
    return Card()


def category_of(text: str) -> tuple[str, ...]:
    """The way through the tree of scripts, written 开户/首次沟通."""
    return tuple(part.strip() for part in text.replace("／", "/").split("/") if part.strip())


def _typed(form: MultiMapping[object], name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _all(form: MultiMapping[object], name: str) -> list[str]:
    return [value for value in form.getall(name, []) if isinstance(value, str) and value]


def _number(form: MultiMapping[object], name: str, usual: int) -> int:
    """The number typed, the usual one where nothing is, 0 for what is no number."""
    typed = _typed(form, name)
    if not typed:
        return usual
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 6 else 0


async def errors_of(
    session: AsyncSession,
    draft: DraftMaterial,
    about: Sequence[Product],
    upload: Upload | str | None,
    house: House,
    today: date,
) -> dict[str, str]:
    """What to correct before this can be saved as a draft."""
    suffix = upload.suffix if isinstance(upload, Upload) else ""
    told = draft.told
    errors = particulars.wrong(_with_kind(draft), suffix, today) | _wrong_words(draft)
    if draft.kind in set(Kind):
        size = upload.stored.size if isinstance(upload, Upload) else 0
        errors = sizes.over(Kind(draft.kind), draft.title, told.card, size) | errors
    if len(about) < len(set(draft.product_codes)):
        errors["products"] = "有产品已不在产品库中，请重新选择。"
    if isinstance(upload, str):
        errors["file"] = upload
    if draft.kind == Kind.LINK and (against := addresses.refusal(told.card.url, house.link_hosts)):
        errors["url"] = against
    errors |= _blocked_words(told.card, upload)
    if draft.kind == Kind.EDUCATION:
        errors |= await _selling(session, draft, about)
    return errors


def _with_kind(draft: DraftMaterial) -> Particulars:
    return Particulars(**{**draft.told.__dict__, "kind": draft.kind, "use": draft.use})


def _wrong_words(draft: DraftMaterial) -> dict[str, str]:
    """What to correct in kind, title, text and questions."""
    errors: dict[str, str] = {}
    if draft.kind not in list(Kind):
        errors["kind"] = "请选择素材类型。"
    if draft.use not in list(Use):
        errors["use"] = "请选择用途。"
    if not draft.title or len(draft.title) > LONGEST_TITLE:
        errors["title"] = f"请填写标题，不超过 {LONGEST_TITLE} 个字。"
    if not draft.body or len(draft.body) > LONGEST_BODY:
        errors["body"] = "请填写正文或上传文件，不超过 2 万字；更长的文件请改写成摘要。"
    if len(draft.questions) > MOST_QUESTIONS:
        errors["questions"] = f"常见问法最多 {MOST_QUESTIONS} 条，请保留最有代表性的。"
    elif any(len(question) > LONGEST_QUESTION for question in draft.questions):
        errors["questions"] = f"每条常见问法不超过 {LONGEST_QUESTION} 个字。"
    elif len(set(draft.questions)) < len(draft.questions):
        errors["questions"] = "常见问法有重复，请改成不同的说法。"
    return errors


def _blocked_words(card: Card, upload: Upload | str | None) -> dict[str, str]:
    """Card and file name are read by the customer too, and are short: they must be right (C-11)."""
    errors = {}
    name = upload.stored.name.rpartition(".")[0] if isinstance(upload, Upload) else ""
    for field_name, words in (("card_title", card.title), ("card_text", card.text), ("file", name)):
        found = [f for f in checks.findings_of(words, "", ()) if f.level == "block"]
        if found:
            what = "文件名" if field_name == "file" else "卡片文字"
            errors[field_name] = f"{what}不合规：{found[0].reason} 请修改后再保存。"
    return errors


async def _selling(
    session: AsyncSession, draft: DraftMaterial, about: Sequence[Product]
) -> dict[str, str]:
    """Investor education must not sell (金融产品网络营销管理办法 art. 21(2))."""
    if about:
        return {"products": "投资者教育不得关联具体产品：请去掉产品，或改为“产品说明”。"}
    named = await products.named_in(session, f"{draft.title}\n{draft.body}")
    if named:
        return {"body": f"投资者教育不得出现具体产品“{named[0].name}”：请删去，或改为“产品说明”。"}
    return {}

"""Writing a material: a draft from a form, versions that never change, what a version's hash is."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from multidict import MultiMapping
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from content import comments, passages, products
from content.extract import Extracted, text_of
from content.files import FileStore
from content.models import (
    Kind,
    Material,
    MaterialProduct,
    Passage,
    Product,
    State,
    StoredFile,
    Use,
    Version,
)
from content.people import Person as Person

FEWEST_QUESTIONS, MOST_QUESTIONS = 3, 5
LONGEST_TITLE, LONGEST_BODY, LONGEST_QUESTION = 60, 20_000, 80
CODE_LETTERS = {
    Kind.FAQ: "FAQ",
    Kind.SCRIPT: "SCR",
    Kind.PRODUCT_NOTE: "PRD",
    Kind.EDUCATION: "EDU",
    Kind.MARKET_NOTE: "MKT",
}


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


@dataclass(frozen=True)
class Refused:
    """Nothing was saved: what to correct, by field of the form."""

    errors: dict[str, str] = field(default_factory=dict)


def read_form(form: MultiMapping[object]) -> DraftMaterial:
    """The draft of a submitted form; one example question a line."""
    lines = _typed(form, "questions").splitlines()
    return DraftMaterial(
        kind=_typed(form, "kind"),
        title=_typed(form, "title"),
        use=_typed(form, "use"),
        body=_typed(form, "body").replace("\r\n", "\n"),
        questions=tuple(line.strip() for line in lines if line.strip()),
        product_codes=tuple(str(code) for code in form.getall("products", [])),
        file_id=_uuid(_typed(form, "file_id")),
    )


def _typed(form: MultiMapping[object], name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


async def create(
    session: AsyncSession, files: FileStore, draft: DraftMaterial, by: Person, now: datetime
) -> Version | Refused:
    """A new material with its first version, state draft."""
    about = await products.by_codes(session, draft.product_codes)
    source = await _source(session, files, draft.file_id, owners=[by.id])
    errors = await _errors(session, draft, about, source)
    if errors:
        return Refused(errors)
    material = Material(
        code=await _next_code(session, Kind(draft.kind)),
        kind=Kind(draft.kind),
        title=draft.title,
        use=Use(draft.use),
        owner_id=by.id,
        created_at=now,
    )
    session.add(material)
    await session.flush()
    session.add_all(MaterialProduct(material_id=material.id, product_id=p.id) for p in about)
    audit.record(session, "content:material:create", material.id, by=by.userid, now=now)
    return await _add_version(session, material, 1, draft, about, source, by, now)


async def revise(
    session: AsyncSession,
    files: FileStore,
    material_id: UUID,
    draft: DraftMaterial,
    by: Person,
    now: datetime,
) -> Version | Refused:
    """The next version of a material, state draft; what is live stays live until it is approved.

    Kind and products belong to the material and stay: another product is another material.
    """
    locked = select(Material).where(Material.id == material_id).with_for_update()
    material = (await session.execute(locked)).scalar_one()
    about = await products.of_material(session, material_id)
    before = await versions_of(session, material_id)
    owners = [by.id, *(version.author_id for version in before)]
    source = await _source(session, files, draft.file_id, owners=owners)
    errors = await _errors(session, draft, about, source)
    if before and not errors and _same(before[0], draft, source):
        errors["body"] = "内容与上一版本相同，没有需要保存的修改。"
    if errors:
        return Refused(errors)
    material.title, material.use = draft.title, Use(draft.use)
    number = max((version.number for version in before), default=0) + 1
    version = await _add_version(session, material, number, draft, about, source, by, now)
    if before:
        await comments.carry(session, before[0], version)
    return version


@dataclass(frozen=True)
class _Source:
    """The uploaded file behind a body."""

    stored: StoredFile
    data: bytes
    text: Extracted


async def _source(
    session: AsyncSession, files: FileStore, file_id: UUID | None, owners: Sequence[UUID]
) -> _Source | str | None:
    """The file, nothing where there is none, or why it cannot be used."""
    if file_id is None:
        return None
    stored = await session.get(StoredFile, file_id)
    if stored is None or stored.uploaded_by not in owners:
        return "没有找到上传的文件：请重新上传。"
    data = await files.read(stored.id)
    text = await text_of(data, stored.name)
    return _Source(stored, data, text) if isinstance(text, Extracted) else text.reason


async def _errors(
    session: AsyncSession, draft: DraftMaterial, about: list[Product], source: _Source | str | None
) -> dict[str, str]:
    """What to correct before this can be saved as a draft."""
    errors: dict[str, str] = {}
    if draft.kind not in list(Kind):
        errors["kind"] = "请选择素材类型。"
    if draft.use not in list(Use):
        errors["use"] = "请选择用途。"
    if not draft.title or len(draft.title) > LONGEST_TITLE:
        errors["title"] = f"请填写标题，不超过 {LONGEST_TITLE} 个字。"
    if not draft.body or len(draft.body) > LONGEST_BODY:
        errors["body"] = "请填写正文或上传文件，不超过 2 万字。"
    if len(draft.questions) > MOST_QUESTIONS:
        errors["questions"] = f"常见问法最多 {MOST_QUESTIONS} 条，请保留最有代表性的。"
    elif any(len(question) > LONGEST_QUESTION for question in draft.questions):
        errors["questions"] = f"每条常见问法不超过 {LONGEST_QUESTION} 个字。"
    elif len(set(draft.questions)) < len(draft.questions):
        errors["questions"] = "常见问法有重复，请改成不同的说法。"
    if len(about) < len(set(draft.product_codes)):
        errors["products"] = "有产品已不在产品库中，请重新选择。"
    if isinstance(source, str):
        errors["file"] = source
    if draft.kind == Kind.EDUCATION:
        errors |= await _selling(session, draft, about)
    return errors


async def _selling(
    session: AsyncSession, draft: DraftMaterial, about: list[Product]
) -> dict[str, str]:
    """Investor education must not sell (金融产品网络营销管理办法 art. 21(2))."""
    if about:
        return {"products": "投资者教育不得关联具体产品：请去掉产品，或改为“产品说明”。"}
    named = await products.named_in(session, f"{draft.title}\n{draft.body}")
    if named:
        return {"body": f"投资者教育不得出现具体产品“{named[0].name}”：请删去，或改为“产品说明”。"}
    return {}


def _same(before: Version, draft: DraftMaterial, source: _Source | str | None) -> bool:
    data = source.data if isinstance(source, _Source) else None
    return before.sha256 == fingerprint(draft.title, draft.body, draft.questions, data)


async def _next_code(session: AsyncSession, kind: Kind) -> str:
    letters = CODE_LETTERS[kind]
    # Two authors saving at the same moment must not get one number.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"code:{letters}"))))
    codes = select(Material.code).where(col(Material.code).regexp_match(f"^{letters}-[0-9]+$"))
    taken = [int(code.rpartition("-")[2]) for code in (await session.execute(codes)).scalars()]
    return f"{letters}-{max(taken, default=0) + 1:03d}"


async def _add_version(
    session: AsyncSession,
    material: Material,
    number: int,
    draft: DraftMaterial,
    about: list[Product],
    source: _Source | str | None,
    by: Person,
    now: datetime,
) -> Version:
    file = source if isinstance(source, _Source) else None
    version = Version(
        material_id=material.id,
        number=number,
        title=draft.title,
        body=draft.body,
        questions=list(draft.questions),
        file_id=file.stored.id if file else None,
        sha256=fingerprint(draft.title, draft.body, draft.questions, file.data if file else None),
        risk=products.highest_rating(about),
        state=State.DRAFT,
        author_id=by.id,
        created_at=now,
    )
    session.add(version)
    await session.flush()
    source_text = file.text.paragraphs if file else []
    cut = passages.split(passages.of_body(draft.body, source_text))
    session.add_all(
        Passage(version_id=version.id, position=position, text=part.text, place=part.place)
        for position, part in enumerate(cut)
    )
    audit.record(
        session, "content:version:draft", version.id, by=by.userid, now=now,
        number=number, sha256=version.sha256,
    )  # fmt: skip
    await session.flush()
    return version


def fingerprint(title: str, body: str, questions: Sequence[str], data: bytes | None) -> str:
    """SHA-256 over title, body, questions and file bytes, each told apart from the next."""
    file = hashlib.sha256(data).hexdigest() if data is not None else None
    told = json.dumps([title, body, list(questions), file], ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()


async def fingerprint_of(session: AsyncSession, files: FileStore, version: Version) -> str:
    """The hash computed again from what is stored now."""
    data = await files.read(version.file_id) if version.file_id else None
    return fingerprint(version.title, version.body, version.questions, data)


async def passages_fit(session: AsyncSession, version: Version) -> bool:
    """Whether the passages to be quoted say nothing that the version's body does not."""
    rows = select(Passage.text).where(Passage.version_id == version.id)
    texts = (await session.execute(rows.order_by(col(Passage.position)))).scalars()
    return _letters("".join(texts)) == _letters(version.body)


def _letters(text: str) -> str:
    return "".join(text.split())


async def versions_of(session: AsyncSession, material_id: UUID) -> list[Version]:
    """All versions of a material, newest first."""
    rows = select(Version).where(Version.material_id == material_id)
    return list((await session.execute(rows.order_by(col(Version.number).desc()))).scalars())


async def draft_of(session: AsyncSession, material: Material, version: Version) -> DraftMaterial:
    """The form of a revision, filled with this version."""
    about = await products.of_material(session, material.id)
    return DraftMaterial(
        kind=material.kind,
        title=version.title,
        use=material.use,
        body=version.body,
        questions=tuple(version.questions),
        product_codes=tuple(product.code for product in about),
        file_id=version.file_id,
    )

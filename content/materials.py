"""Saving a material: its versions, which never change, and what a version's hash is."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.calendar import local_day
from bank.models import Staff
from content import comments, flags, particulars, passages, products, uploads
from content.drafts import (
    FEWEST_QUESTIONS as FEWEST_QUESTIONS,
)
from content.drafts import (
    MOST_QUESTIONS as MOST_QUESTIONS,
)
from content.drafts import DraftMaterial as DraftMaterial
from content.drafts import Refused, errors_of
from content.drafts import read_form as read_form
from content.files import FileStore
from content.house import PLAIN, House
from content.models import Kind, Material, MaterialProduct, Passage, Product, State, Use, Version
from content.people import Person as Person
from content.uploads import Upload

CODE_LETTERS = {
    Kind.FAQ: "FAQ",
    Kind.SCRIPT: "SCR",
    Kind.PRODUCT_NOTE: "PRD",
    Kind.EDUCATION: "EDU",
    Kind.MARKET_NOTE: "MKT",
    Kind.ARTICLE: "ART",
    Kind.IMAGE: "IMG",
    Kind.VIDEO: "VID",
    Kind.FILE: "DOC",
    Kind.LINK: "LNK",
    Kind.MINI_PROGRAM: "MIN",
}


@dataclass(frozen=True)
class _Writing:
    """A draft with what it speaks of, what it carries and who writes it now."""

    draft: DraftMaterial
    about: list[Product]
    upload: Upload | None
    owner: Staff | None
    by: Person
    now: datetime


async def create(
    session: AsyncSession,
    files: FileStore,
    draft: DraftMaterial,
    by: Person,
    now: datetime,
    *,
    house: House = PLAIN,
) -> Version | Refused:
    """A new material with its first version, state draft."""
    about = await products.by_codes(session, draft.product_codes)
    writing = await _writing(session, files, draft, about, by, now, house, owners=[by.id])
    if isinstance(writing, Refused):
        return writing
    draft = writing.draft
    material = Material(
        code=await _next_code(session, Kind(draft.kind)),
        kind=Kind(draft.kind),
        title=draft.title,
        use=Use(draft.use),
        owner_id=writing.owner.id if writing.owner else by.id,
        created_at=now,
        gap_id=draft.gap_id,
    )
    session.add(material)
    await session.flush()
    strengths = dict(draft.told.products)
    session.add_all(
        MaterialProduct(
            material_id=material.id,
            product_id=product.id,
            strength=strengths.get(product.code, particulars.USUAL_STRENGTH),
        )
        for product in about
    )
    await session.flush()
    audit.record(session, "content:material:create", material.id, by=by.userid, now=now)
    return await _add_version(session, material, 1, writing)


async def revise(
    session: AsyncSession,
    files: FileStore,
    material_id: UUID,
    draft: DraftMaterial,
    by: Person,
    now: datetime,
    *,
    house: House = PLAIN,
) -> Version | Refused:
    """The next version of a material, state draft; what is live stays live until it is approved.

    Kind and products belong to the material and stay: another product is another material.
    """
    material = await _locked(session, material_id)
    before = await versions_of(session, material_id)
    writing = await _next(session, files, material, before, draft, by, now, house)
    if isinstance(writing, Refused):
        return writing
    if before and before[0].sha256 == _fingerprint(writing):
        return Refused({"body": "内容与上一版本相同，没有需要保存的修改。"})
    return await _appended(session, material, before, writing)


async def repeat(
    session: AsyncSession,
    files: FileStore,
    version: Version,
    by: Person,
    now: datetime,
    *,
    house: House = PLAIN,
) -> Version | Refused:
    """The next version with the words of this one, state draft: what ends is reviewed anew."""
    material = await _locked(session, version.material_id)
    before = await versions_of(session, material.id)
    draft = await draft_of(session, material, version)
    writing = await _next(session, files, material, before, draft, by, now, house)
    if isinstance(writing, Refused):
        return writing
    return await _appended(session, material, before, writing)


async def _locked(session: AsyncSession, material_id: UUID) -> Material:
    locked = select(Material).where(Material.id == material_id).with_for_update()
    return (await session.execute(locked)).scalar_one()


async def _next(
    session: AsyncSession,
    files: FileStore,
    material: Material,
    before: list[Version],
    draft: DraftMaterial,
    by: Person,
    now: datetime,
    house: House,
) -> "_Writing | Refused":
    """What the next version is made of, or what to correct first."""
    draft = await _of_material(session, material, draft)
    about = await products.of_material(session, material.id)
    owners = [by.id, *(version.author_id for version in before)]
    return await _writing(session, files, draft, about, by, now, house, owners=owners)


async def _appended(
    session: AsyncSession, material: Material, before: list[Version], writing: "_Writing"
) -> Version:
    draft = writing.draft
    material.title, material.use = draft.title, Use(draft.use)
    if writing.owner is not None:
        material.owner_id = writing.owner.id
    number = max((version.number for version in before), default=0) + 1
    version = await _add_version(session, material, number, writing)
    if before:
        await comments.carry(session, before[0], version)
    return version


async def _of_material(
    session: AsyncSession, material: Material, draft: DraftMaterial
) -> DraftMaterial:
    """The draft with the kind and the products that stay."""
    linked = await _as_linked(session, material)
    told = replace(draft.told, products=tuple((code, s) for code, s in linked["products"]))
    codes = tuple(code for code, _ in told.products)
    return replace(draft, kind=material.kind.value, product_codes=codes, told=told)


async def _writing(
    session: AsyncSession,
    files: FileStore,
    draft: DraftMaterial,
    about: list[Product],
    by: Person,
    now: datetime,
    house: House,
    *,
    owners: Sequence[UUID],
) -> "_Writing | Refused":
    """Everything to be saved, or what to correct first."""
    upload = await uploads.of_draft(session, files, draft.file_id, owners)
    owner = await _owner(session, draft.told.owner)
    errors = await errors_of(session, draft, about, upload, house, local_day(now))
    if draft.told.owner and owner is None:
        errors["owner"] = "没有找到这位负责人：请从列表中选择在职的内容编辑。"
    if errors or isinstance(upload, str):
        return Refused(errors)
    if upload is not None and upload.made_by_ai:
        draft = replace(draft, told=replace(draft.told, ai_made=True))
    if upload is not None and draft.told.ai_made and house.label_pictures:
        upload = await uploads.labelled(session, files, upload, house, now)
    if isinstance(upload, str):
        return Refused({"file": upload})
    told = replace(
        draft.told,
        kind=draft.kind,
        use=draft.use,
        owner=owner.userid if owner else by.userid,
        products=_with_strengths(draft),
    )
    return _Writing(replace(draft, told=told), about, upload, owner, by, now)


def _with_strengths(draft: DraftMaterial) -> tuple[tuple[str, int], ...]:
    given = dict(draft.told.products)
    codes = sorted(set(draft.product_codes))
    return tuple((code, given.get(code, particulars.USUAL_STRENGTH)) for code in codes)


async def _owner(session: AsyncSession, userid: str) -> Staff | None:
    if not userid:
        return None
    rows = select(Staff).where(Staff.userid == userid, col(Staff.enabled))
    return (await session.execute(rows)).scalar_one_or_none()


async def _next_code(session: AsyncSession, kind: Kind) -> str:
    letters = CODE_LETTERS[kind]
    # Two authors saving at the same moment must not get one number.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"code:{letters}"))))
    codes = select(Material.code).where(col(Material.code).regexp_match(f"^{letters}-[0-9]+$"))
    taken = [int(code.rpartition("-")[2]) for code in (await session.execute(codes)).scalars()]
    return f"{letters}-{max(taken, default=0) + 1:03d}"


async def _add_version(
    session: AsyncSession, material: Material, number: int, writing: _Writing
) -> Version:
    draft, upload = writing.draft, writing.upload
    version = Version(
        material_id=material.id,
        number=number,
        title=draft.title,
        body=draft.body,
        questions=list(draft.questions),
        file_id=upload.stored.id if upload else None,
        sha256=_fingerprint(writing),
        particulars=draft.told.stored(),
        flags=[flag.stored() for flag in flags_of(draft, upload)],
        risk=products.highest_rating(writing.about),
        state=State.DRAFT,
        author_id=writing.by.id,
        created_at=writing.now,
    )
    session.add(version)
    await session.flush()
    source_text = upload.text.paragraphs if upload else []
    cut = passages.split(passages.of_body(draft.body, source_text))
    session.add_all(
        Passage(version_id=version.id, position=position, text=part.text, place=part.place)
        for position, part in enumerate(cut)
    )
    audit.record(
        session, "content:version:draft", version.id, by=writing.by.userid, now=writing.now,
        number=number, sha256=version.sha256,
    )  # fmt: skip
    await session.flush()
    return version


def flags_of(draft: DraftMaterial, upload: Upload | None) -> list[flags.Flag]:
    """What a second person must look at: in the file, in the text, and in what a file shows."""
    more = [*draft.questions, *particulars.shown_words(draft.told)]
    typed = flags.flags_of_words(draft.title, draft.body, more)
    if upload is None:
        return typed
    shown = draft.kind in particulars.FILE_IS_SHOWN
    wording = flags.flags_of_wording(upload.text) if shown else []
    return flags.together(flags.flags_of(upload.text), typed, wording)


def _fingerprint(writing: _Writing) -> str:
    draft = writing.draft
    data = writing.upload.data if writing.upload else None
    return fingerprint(draft.title, draft.body, draft.questions, data, draft.told.stored())


def fingerprint(
    title: str,
    body: str,
    questions: Sequence[str],
    data: bytes | None,
    told: dict[str, Any] | None = None,
) -> str:
    """SHA-256 over title, body, questions, file bytes and particulars, each told apart.

    A version older than particulars has none, and the hash it was approved with.
    """
    file = hashlib.sha256(data).hexdigest() if data is not None else None
    parts: list[object] = [title, body, list(questions), file]
    if told:
        parts.append(told)
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


async def fingerprint_of(session: AsyncSession, files: FileStore, version: Version) -> str:
    """The hash computed again from what is stored now, kind and products as linked included."""
    data = await files.read(version.file_id) if version.file_id else None
    return await fingerprint_with(session, version, data)


async def fingerprint_with(session: AsyncSession, version: Version, data: bytes | None) -> str:
    """The same with these bytes as its file."""
    told = dict(version.particulars)
    material = await session.get(Material, version.material_id)
    if told and material is not None:
        told |= await _as_linked(session, material)
    return fingerprint(version.title, version.body, version.questions, data, told)


async def _as_linked(session: AsyncSession, material: Material) -> dict[str, Any]:
    """Kind and products with their strength, as the tables say now."""
    rows = (
        select(Product.code, MaterialProduct.strength)
        .join(MaterialProduct, col(MaterialProduct.product_id) == Product.id)
        .where(MaterialProduct.material_id == material.id)
        .order_by(col(Product.code))
    )
    linked = [[code, strength] for code, strength in await session.execute(rows)]
    return {"kind": material.kind.value, "products": sorted(linked)}


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
        use=particulars.use_of(material, version),
        body=version.body,
        questions=tuple(version.questions),
        product_codes=tuple(product.code for product in about),
        file_id=version.file_id,
        told=particulars.of_version(material, version),
    )

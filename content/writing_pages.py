"""Writing material: the form, the file's text in it, the findings beside it, save and submit."""

import asyncio
from dataclasses import dataclass, replace
from uuid import UUID

from aiohttp import web
from aiohttp.web_request import FileField
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from content import checks, drafts, extract, materials, particulars, products, review, shelf
from content.files import FILES, receive
from content.flags import Flag, flags_of
from content.house import House, house_of
from content.materials import DraftMaterial
from content.models import Material, StoredFile, Version
from content.phone import Phone, phone_of
from content.writing_choices import Choices, choices
from desk.ids import ID, id_of
from desk.keys import SETTINGS
from desk.permissions import allow
from desk.render import fragment, page, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

BESIDE = {
    review.Reason.TOO_FEW_QUESTIONS: "questions",
    review.Reason.NO_PRODUCT: "products",
    review.Reason.NO_RATING: "products",
    review.Reason.PRODUCT_CLOSED: "products",
    review.Reason.EDUCATION_SELLS: "products",
}
EMPTY = DraftMaterial(kind="", title="", use="", body="")


@dataclass(frozen=True)
class WritingPage:
    """The form of a material: what was typed, what to correct, what the check found."""

    heading: str
    action: str  # where the form goes
    back: str  # where 取消 leads
    draft: DraftMaterial  # as typed
    errors: dict[str, str]  # by field; "form" stands above all
    findings: list[checks.Finding]
    file: StoredFile | None  # kept from before
    flags: list[Flag]  # what a reviewer will have to look at
    phone: Phone
    choices: Choices
    questions: str  # one a line
    strengths: dict[str, int]  # by product code
    fixed: bool  # a revision keeps kind and products
    material: Material | None


@dataclass(frozen=True)
class PreviewPart:
    """What follows the typing: the phone and the findings."""

    phone: Phone
    findings: list[checks.Finding]
    flags: list[Flag]
    length: int


@dataclass(frozen=True)
class FileTextPart:
    """The body field after a file was chosen."""

    body: str
    file: StoredFile | None
    error: str
    note: str  # what the author should know about the file
    flags: list[Flag]


@routes.get("/content/new")
@allow(Role.EDITOR)
async def new_form(request: web.Request) -> web.Response:
    """An empty form; questions nobody could answer yet come along as its examples."""
    asked = [
        text.strip()[: drafts.LONGEST_QUESTION] for text in request.query.getall("question", [])
    ]
    questions = tuple(dict.fromkeys(text for text in asked if text))[: drafts.MOST_QUESTIONS]
    gap = request.query.get("gap", "")
    gap_id = id_of(gap)
    return await _form(request, replace(EMPTY, questions=questions, gap_id=gap_id), {})


@routes.post("/content/new")
@allow(Role.EDITOR)
async def save_new(request: web.Request) -> web.Response:
    """Save as draft, or save and submit."""
    session, who, now = session_of(request), signed(request), now_of(request)
    draft, errors = await _typed(request)
    if not errors:
        saved = await materials.create(
            session, request.app[FILES], draft, who, now, house=_house(request)
        )
        if isinstance(saved, Version):
            return await _saved(request, draft, saved)
        errors = saved.errors
    return await _form(request, draft, errors)


@routes.get(f"/content/{{material_id:{ID}}}/revise")
@allow(Role.EDITOR)
async def revise_form(request: web.Request) -> web.Response:
    """The form filled with the newest version."""
    session = session_of(request)
    material = await _material(request)
    newest = (await materials.versions_of(session, material.id))[0]
    draft = await materials.draft_of(session, material, newest)
    return await _form(request, draft, {}, material)


@routes.post(f"/content/{{material_id:{ID}}}/revise")
@allow(Role.EDITOR)
async def save_revision(request: web.Request) -> web.Response:
    """Save the next version; the live one stays live until this one is approved."""
    session, who, now = session_of(request), signed(request), now_of(request)
    material = await _material(request)
    draft, errors = await _typed(request)
    about = await products.of_material(session, material.id)
    codes = tuple(product.code for product in about)
    draft = replace(draft, kind=material.kind, product_codes=codes)
    if not errors:
        files = request.app[FILES]
        saved = await materials.revise(
            session, files, material.id, draft, who, now, house=_house(request)
        )
        if isinstance(saved, Version):
            return await _saved(request, draft, saved, material)
        errors = saved.errors
    return await _form(request, draft, errors, material)


async def _material(request: web.Request) -> Material:
    material = await session_of(request).get(Material, UUID(request.match_info["material_id"]))
    if material is None:
        raise web.HTTPNotFound
    return material


def _house(request: web.Request) -> House:
    return house_of(request.app[SETTINGS])


async def _typed(request: web.Request) -> tuple[DraftMaterial, dict[str, str]]:
    """What was typed; a file sent along fills an empty body and hangs on the draft."""
    form = await request.post()
    draft = materials.read_form(form)
    upload = form.get("file")
    if not isinstance(upload, FileField) or not upload.filename:
        return draft, {}
    received = await _received(request, upload)
    if isinstance(received, extract.Refused):
        return draft, {"file": received.reason}
    stored, text = received
    return replace(draft, file_id=stored.id, body=draft.body or text.text), {}


async def _received(
    request: web.Request, upload: FileField
) -> tuple[StoredFile, extract.Extracted] | extract.Refused:
    data = await asyncio.to_thread(upload.file.read)
    return await receive(
        session_of(request), request.app[FILES], upload.filename, data,
        by=signed(request).id, now=now_of(request),
    )  # fmt: skip


async def _saved(
    request: web.Request, draft: DraftMaterial, saved: Version, material: Material | None = None
) -> web.Response:
    """Submit too where the author asked for it; a refusal saves nothing and keeps the form."""
    done = "草稿已保存"
    if (await request.post()).get("intent") == "submit":
        session, who, now = session_of(request), signed(request), now_of(request)
        outcome = await review.submit(session, saved.id, by=who, now=now)
        if isinstance(outcome, review.Refused):
            errors: dict[str, str] = {}
            for reason in outcome.reasons:
                errors.setdefault(BESIDE.get(reason, "form"), reason.value)
            return await _form(request, draft, errors, material)
        done = "已提交审批"
    return see_other(f"/content/{saved.material_id}?done={done}")


async def _form(
    request: web.Request,
    draft: DraftMaterial,
    errors: dict[str, str],
    material: Material | None = None,
) -> web.Response:
    session = session_of(request)
    if errors and draft.file_id and await _came_along(request):
        # The answer rolls back, and the file of this request with it; its text stays in the form.
        draft = replace(draft, file_id=None)
        errors.setdefault("file", "文件的文字已填入正文：请重新选择文件，以便随素材存档。")
    file = await session.get(StoredFile, draft.file_id) if draft.file_id else None
    context = WritingPage(
        heading="修订素材" if material else "新建素材",
        action=request.path,
        back=f"/content/{material.id}" if material else "/content",
        draft=draft,
        errors=errors,
        findings=await _findings(session, draft),
        file=file,
        flags=materials.flags_of(draft, None),
        phone=phone_of(draft, file),
        choices=await choices(session),
        questions="\n".join(draft.questions),
        strengths=dict(draft.told.products),
        fixed=material is not None,
        material=material,
    )
    return page(request, "content/write.html", context, status=422 if errors else 200)


async def _came_along(request: web.Request) -> bool:
    upload = (await request.post()).get("file")
    return isinstance(upload, FileField) and bool(upload.filename)


async def _findings(session: AsyncSession, draft: DraftMaterial) -> list[checks.Finding]:
    if not draft.body:
        return []
    about = await products.by_codes(session, draft.product_codes)
    found = checks.findings_of(draft.title, draft.body, about)
    for words in particulars.shown_words(draft.told):
        found += checks.findings_of(words, "", ())
    return checks.for_people(found)


@routes.post("/content/preview")
@allow(Role.EDITOR)
async def preview(request: web.Request) -> web.Response:
    """Phone and findings of what is typed so far; nothing is saved."""
    session, draft = session_of(request), materials.read_form(await request.post())
    file = await session.get(StoredFile, draft.file_id) if draft.file_id else None
    if file is not None and not await shelf.may_read_file(session, file, signed(request).id):
        file = None
    context = PreviewPart(
        phone=phone_of(draft, file),
        findings=await _findings(session, draft),
        flags=materials.flags_of(draft, None),
        length=len(draft.body),
    )
    return fragment(request, "content/_preview.html", context)


@routes.post("/content/files")
@allow(Role.EDITOR)
async def take_file(request: web.Request) -> web.Response:
    """Keep a chosen file at once and put its text into the form."""
    return fragment(request, "content/_text.html", await _taken(request))


async def _taken(request: web.Request) -> FileTextPart:
    form = await request.post()
    draft, upload = materials.read_form(form), form.get("file")
    if not isinstance(upload, FileField) or not upload.filename:
        return FileTextPart(draft.body, None, "请选择文件。", "", [])
    received = await _received(request, upload)
    if isinstance(received, extract.Refused):
        return FileTextPart(draft.body, None, received.reason, "", [])
    stored, text = received
    long = len(text.text) > drafts.LONGEST_BODY
    body = draft.body or ("" if long else text.text)
    return FileTextPart(body, stored, "", _note(text, long), flags_of(text))


def _note(text: extract.Extracted, long: bool) -> str:
    """What was read of the file, and what is left to the author."""
    if text.picture is not None and not text.picture.read:
        return (
            "本机没有安装文字识别：请把图中的文字抄录到正文，便于合规检查和检索"
            "（系统管理员可安装 siyu[ocr]）。"
        )
    if text.kind == "mp4":
        return "视频内容无法自动读取：请在正文写明视频讲了什么，便于合规检查和检索。"
    if long:
        return "文件文字超过 2 万字，没有填入正文：请在正文写一份摘要，原文件随素材存档。"
    if not text.paragraphs:
        return "没有读到文字：请在正文写明内容，便于合规检查和检索。"
    return "文字在下方正文中，请核对后再提交。"

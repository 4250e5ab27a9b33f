"""Changing a product: the form, the second person's word, and the files it speaks of."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode
from uuid import UUID

from aiohttp import web
from aiohttp.web import FileField
from multidict import MultiMapping

from content import product_changes, product_history
from content.extract import Refused as Unreadable
from content.files import FILES, receive
from content.material_pages import READERS, SEE_ALL
from content.models import Product, ProductChange, StoredFile
from content.product_changes import CONFIRMERS, PROPOSERS, Confirmed, Refused
from content.product_pages import asked_product, product_page
from content.product_rows import FACTS, FILE_LABELS, Fact, tidied, written
from desk.ids import ID
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

LONG = frozenset({"open_rule", "fees", "benchmark_basis", "redemption", "description"})
GROUPS = (
    ("风险与适当性", ("issuer_rating", "bank_rating", "regime", "offering")),
    ("基本信息", ("name", "kind", "issuer", "agency", "inception", "term_days")),
    ("交易规则", ("open_rule", "redemption", "min_amount_cents", "fees")),
    ("业绩比较基准", ("benchmark", "benchmark_basis")),
    ("销售", ("sale_status", "listed_from", "listed_until", "description")),
)
USUAL = {"regime": "NFRA", "offering": "public", "sale_status": "on_sale"}
DAYS = frozenset({"inception", "listed_from", "listed_until"})


@dataclass(frozen=True)
class EditPage:
    """The form of a change, or of a new product where there is none yet."""

    product: Product | None
    code: str
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    facts: dict[str, Fact]
    long: frozenset[str]
    days: frozenset[str]
    files: dict[str, str]
    typed: dict[str, str]
    reason: str
    errors: dict[str, str]


@routes.get("/products/new")
@allow(*PROPOSERS)
async def new_form(request: web.Request) -> web.Response:
    """The form of a new product, with what most products have."""
    return _shown(request, None, "", {**dict.fromkeys(FACTS, ""), **USUAL}, "", {})


@routes.post("/products/new")
@allow(*PROPOSERS)
async def introduce(request: web.Request) -> web.Response:
    """Add a product; its place on head office's list waits for a second person."""
    form = await request.post()
    code, reason = str(form.get("code", "")).strip(), str(form.get("reason", ""))
    typed = {name: tidied(name, str(form.get(name, ""))) for name in FACTS}
    files, errors = await _files(request, form)
    outcome = await product_changes.introduce(
        session_of(request), code, typed | files,
        by=signed(request), reason=reason, now=now_of(request),
    )  # fmt: skip
    if isinstance(outcome, Refused):
        errors = outcome.errors | errors
    if errors or isinstance(outcome, Refused):
        return _shown(request, None, code, typed, reason, errors)
    waits = typed["listed_from"] or files
    return _back(outcome, "产品已新建，上架另一人确认后生效" if waits else "产品已新建，尚未上架")


@routes.get("/products/{code}/edit")
@allow(*PROPOSERS)
async def edit_form(request: web.Request) -> web.Response:
    """The form, filled with the product as it is."""
    product = await asked_product(request)
    return _shown(request, product, product.code, written(product), "", {})


def _shown(
    request: web.Request, product: Product | None, code: str, typed: dict[str, str], reason: str,
    errors: dict[str, str],
) -> web.Response:  # fmt: skip
    context = EditPage(product, code, GROUPS, FACTS, LONG, DAYS, FILE_LABELS, typed, reason, errors)
    status = 422 if errors else 200
    return page(request, "content/product_edit.html", context, status=status)


@routes.post("/products/{code}/edit")
@allow(*PROPOSERS)
async def propose(request: web.Request) -> web.Response:
    """Hand the change to a second person."""
    product, form = await asked_product(request), await request.post()
    typed = {name: tidied(name, str(form.get(name, ""))) for name in FACTS}
    reason = str(form.get("reason", ""))
    files, errors = await _files(request, form)
    outcome = await product_changes.propose(
        session_of(request), product.id, typed | files,
        by=signed(request), reason=reason, now=now_of(request),
    )  # fmt: skip
    if isinstance(outcome, Refused):
        errors = outcome.errors | errors
    if errors:
        return _shown(request, product, product.code, typed, reason, errors)
    return _back(product, "变更已提交，另一人确认后生效")


async def _files(
    request: web.Request, form: MultiMapping[object]
) -> tuple[dict[str, str], dict[str, str]]:
    """Files sent along, kept, by fact; and what stands against any of them."""
    kept, errors = {}, {}
    for name in FILE_LABELS:
        upload = form.get(name)
        if not isinstance(upload, FileField) or not upload.filename:
            continue
        received = await receive(
            session_of(request), request.app[FILES], upload.filename, upload.file.read(),
            by=signed(request).id, now=now_of(request),
        )  # fmt: skip
        if isinstance(received, Unreadable):
            errors[name] = received.reason
        else:
            kept[name] = str(received[0].id)
    return kept, errors


def _back(product: Product, done: str) -> web.Response:
    return see_other(f"/products/{product.code}?{urlencode({'done': done})}")


def _change(request: web.Request) -> UUID:
    return UUID(request.match_info["change_id"])


@routes.post(f"/products/{{code}}/changes/{{change_id:{ID}}}/confirm")
@allow(*CONFIRMERS)
async def confirm(request: web.Request) -> web.Response:
    """In force from this moment."""
    outcome = await product_changes.confirm(
        session_of(request), _change(request), by=signed(request), now=now_of(request)
    )
    done = "变更已生效"
    if isinstance(outcome, Confirmed) and outcome.suspended:
        done = f"变更已生效，{len(outcome.suspended)} 份素材已暂停使用"
    return await _after(request, outcome, done)


@routes.post(f"/products/{{code}}/changes/{{change_id:{ID}}}/reject")
@allow(*CONFIRMERS)
async def reject(request: web.Request) -> web.Response:
    """Not like this, and why."""
    note = str((await request.post()).get("note", ""))
    outcome = await product_changes.reject(
        session_of(request), _change(request), by=signed(request), note=note, now=now_of(request)
    )
    return await _after(request, outcome, "变更已驳回", note)


@routes.post(f"/products/{{code}}/changes/{{change_id:{ID}}}/cancel")
@allow(*PROPOSERS)
async def cancel(request: web.Request) -> web.Response:
    """The proposer takes it back."""
    outcome = await product_changes.cancel(
        session_of(request), _change(request), by=signed(request), now=now_of(request)
    )
    return await _after(request, outcome, "变更已撤回")


async def _after(
    request: web.Request, outcome: Confirmed | ProductChange | Refused, done: str, note: str = ""
) -> web.Response:
    if not isinstance(outcome, Refused):
        return _back(await asked_product(request), done)
    context = await product_page(request, outcome.errors, note)
    return page(request, "content/product.html", context, status=422)


@routes.get(f"/products/{{code}}/files/{{file_id:{ID}}}")
@allow(*READERS)
async def download(request: web.Request) -> web.Response:
    """A document of the product, or one a change speaks of, always as an attachment."""
    product, session = await asked_product(request), session_of(request)
    wanted = UUID(request.match_info["file_id"])
    known = {getattr(product, name) for name in FILE_LABELS}
    if signed(request).may(*SEE_ALL):
        known |= await product_history.files_of(session, product.id)
    stored = await session.get(StoredFile, wanted) if wanted in known else None
    if stored is None:
        raise web.HTTPNotFound
    return web.Response(
        body=await request.app[FILES].read(stored.id),
        headers={
            "Content-Type": stored.media_type,
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(stored.name, safe='')}",
            "X-Content-Type-Options": "nosniff",
        },
    )

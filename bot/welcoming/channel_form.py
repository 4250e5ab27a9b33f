"""The form of 渠道活码: a channel, for whom, with which welcome, and the phone beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web

from bank import staff as people
from bank.models import Role, Staff
from bot.welcoming import channel_rows, contact_ways, welcome_text
from bot.welcoming.contact_ways import LONGEST_CHANNEL, NotMade
from bot.welcoming.welcome_text import Host, NoWords, Words
from content.models import Material
from content.phone import Phone, as_sent
from desk.ids import id_of
from desk.keys import SETTINGS
from desk.permissions import allow
from desk.render import fragment, page, see_other
from desk.signed import Signed, now_of, session_of, signed
from outbound.facts import policy_of

routes = web.RouteTableDef()

MAKES = (Role.BRANCH_MANAGER, Role.HQ)
PICKED, EVERYONE = "picked", "all"
FOLLOWS_RM = "跟随客户经理的欢迎语，没有则用全行默认"

Options = list[tuple[str, str]]


@dataclass(frozen=True)
class Draft:
    """The form as typed."""

    channel: str = ""
    scope: str = PICKED
    rms: tuple[str, ...] = ()
    welcome: str = ""
    skip_verify: bool = True


@dataclass(frozen=True)
class PreviewPart:
    """The phone of a customer who has just come."""

    phone: Phone
    refusal: str  # why nothing would be sent


@dataclass(frozen=True)
class NewPage:
    """`/channels/new`: a channel, for whom, with which welcome."""

    draft: Draft
    errors: dict[str, str]
    scopes: Options
    groups: list[tuple[str, list[Staff]]]  # branch → its RMs
    welcomes: Options
    longest: int
    preview: PreviewPart


@routes.get("/channels/new")
@allow(*MAKES)
async def new_form(request: web.Request) -> web.Response:
    """An empty form."""
    return await _form(request, Draft(), {})


@routes.post("/channels/new")
@allow(*MAKES)
async def make(request: web.Request) -> web.Response:
    """Make the codes of the form; they exist at WeCom a moment later."""
    session, who, now = session_of(request), signed(request), now_of(request)
    draft = await _draft(request)
    chosen = _chosen(draft, await channel_rows.staff_of_reader(session, who))
    material_id = id_of(draft.welcome)
    if material_id and str(material_id) not in dict(
        await welcome_text.choices(session, _branch_of(who), now)
    ):
        return await _form(request, draft, {"welcome": "这份素材已不能用作欢迎语，请重新选择。"})
    made = await contact_ways.make(
        session, chosen, draft.channel, material_id,
        skip_verify=draft.skip_verify, by=who.userid, now=now,
    )  # fmt: skip
    if isinstance(made, NotMade):
        return await _form(request, draft, made.errors)
    kept = len(chosen) - made
    done = f"已提交 {made} 枚活码" if made else "没有新的活码"
    if kept:
        done += f"，{kept} 位客户经理在这个渠道已有活码，沿用原码"
    return see_other(f"/channels?{urlencode({'channel': draft.channel.strip(), 'done': done})}")


@routes.post("/channels/preview")
@allow(*MAKES)
async def preview(request: web.Request) -> web.Response:
    """The phone, following the form; nothing is saved."""
    return fragment(
        request, "bot/_welcome_phone.html", await _preview(request, await _draft(request))
    )


async def _draft(request: web.Request) -> Draft:
    form = await request.post()
    return Draft(
        channel=str(form.get("channel", "")).replace("\0", "").strip(),
        scope=str(form.get("scope", PICKED)),
        rms=tuple(str(value) for value in form.getall("rms", [])),
        welcome=str(form.get("welcome", "")),
        skip_verify=form.get("skip_verify") == "yes",
    )


def _chosen(draft: Draft, rms: Sequence[Staff]) -> list[Staff]:
    """Of those the reader may choose, those the form names."""
    if draft.scope == EVERYONE:
        return list(rms)
    if draft.scope == PICKED:
        return [rm for rm in rms if str(rm.id) in draft.rms]
    return [rm for rm in rms if str(rm.branch_id) == draft.scope]


def _branch_of(who: Signed) -> UUID | None:
    """For which branch a text must be approved; head office needs one for all branches."""
    return None if who.may(Role.HQ) else who.branch_id


async def _form(request: web.Request, draft: Draft, errors: dict[str, str]) -> web.Response:
    session, who, now = session_of(request), signed(request), now_of(request)
    rms = await channel_rows.staff_of_reader(session, who)
    names = {branch.id: branch.name for branch in await people.branches(session)}
    groups: dict[UUID | None, list[Staff]] = {}
    for rm in rms:
        groups.setdefault(rm.branch_id, []).append(rm)
    named = {key: names[key] if key else "未分配支行" for key in groups}
    scopes = [(PICKED, "指定客户经理（在下面勾选）")]
    scopes += [
        (str(key), f"{named[key]}全部客户经理（{len(of)} 位）") for key, of in groups.items()
    ]
    if len(groups) > 1:
        scopes.append((EVERYONE, f"全行全部客户经理（{len(rms)} 位）"))
    context = NewPage(
        draft=draft,
        errors=errors,
        scopes=scopes,
        groups=[(named[key], of) for key, of in groups.items()],
        welcomes=[
            ("", FOLLOWS_RM),
            *await welcome_text.choices(session, _branch_of(who), now),
        ],
        longest=LONGEST_CHANNEL,
        preview=await _preview(request, draft),
    )
    return page(request, "bot/channel_new.html", context, status=422 if errors else 200)


async def _preview(request: web.Request, draft: Draft) -> PreviewPart:
    session, who, now = session_of(request), signed(request), now_of(request)
    chosen = _chosen(draft, await channel_rows.staff_of_reader(session, who))
    name = chosen[0].name if chosen else "（客户经理姓名）"
    texts = policy_of(request.app[SETTINGS])
    material_id = id_of(draft.welcome)
    if material_id is None and chosen:
        return phone_of(name, await welcome_text.words_for(session, chosen[0], None, texts, now))
    material_id = material_id or await welcome_text.chosen(session, None)
    if material_id is None or await session.get(Material, material_id) is None:
        return phone_of(name, NoWords(welcome_text.NOT_CHOSEN))
    host = Host(name, _branch_of(who))
    words = await welcome_text.words_of(session, material_id, host, texts, now)
    return phone_of(name, words)


def phone_of(name: str, words: Words | NoWords) -> PreviewPart:
    """What the customer's phone would show, or why nothing."""
    if isinstance(words, NoWords):
        return PreviewPart(Phone(name, []), words.reason)
    return PreviewPart(as_sent(name, words.text, words.beside), "")

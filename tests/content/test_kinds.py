"""Materials of every kind: what each needs, and what of it is bound into the hash."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from content import materials, particulars, review
from content.drafts import NOTHING_TOLD, DraftMaterial, Refused
from content.extract import Refused as FileRefused
from content.files import receive
from content.house import House
from content.models import Kind, MaterialProduct, StoredFile, Use, Version
from content.particulars import Card, Particulars
from content.phone import phone_of
from content.readers.aigc import label_in
from tests.builders import MONDAY, a_product
from tests.content import papers
from tests.content.worlds import A_DRAFT, Office
from wecom.media import MEDIA_LIMIT

HOUSE = House("云州银行", ("www.yunzhou.example",))
LINK = Card(url="https://www.yunzhou.example/a", title="赎回规则", text="一图看懂")
APP = Card(title="查看进度", app_id="wx" + "a1" * 8, page="pages/redeem/index.html")
FILES = {
    Kind.IMAGE: ("海报.png", papers.a_picture()),
    Kind.VIDEO: ("讲解.mp4", papers.a_film()),
    Kind.FILE: ("说明.pdf", papers.a_pdf()),
    Kind.MINI_PROGRAM: ("封面.jpg", papers.a_picture("jpg")),
}
CARDS = {Kind.LINK: LINK, Kind.MINI_PROGRAM: APP}


async def kept(office: Office, name: str, data: bytes) -> StoredFile:
    received = await receive(
        office.session, office.files, name, data, by=office.author.id, now=MONDAY
    )
    assert not isinstance(received, FileRefused), received
    return received[0]


async def a_draft(office: Office, kind: Kind, **told: Any) -> DraftMaterial:
    """A draft of this kind with all it needs."""
    draft = replace(A_DRAFT, kind=kind.value, title=f"{kind.label}一则")
    if kind in FILES:
        draft = replace(draft, file_id=(await kept(office, *FILES[kind])).id)
    return replace(draft, told=replace(NOTHING_TOLD, card=CARDS.get(kind, Card()), **told))


async def create(office: Office, draft: DraftMaterial, house: House = HOUSE) -> Version | Refused:
    return await materials.create(
        office.session, office.files, draft, office.author, MONDAY, house=house
    )


async def errors(office: Office, draft: DraftMaterial, house: House = HOUSE) -> dict[str, str]:
    outcome = await create(office, draft, house)
    assert isinstance(outcome, Refused), outcome
    return outcome.errors


@pytest.mark.parametrize("kind", Kind)
async def test_every_kind_is_saved_with_all_it_needs_and_its_hash_holds(
    office: Office, kind: Kind
) -> None:
    version = await create(office, await a_draft(office, kind))
    assert isinstance(version, Version), version
    assert version.particulars["kind"] == kind.value
    assert await materials.fingerprint_of(office.session, office.files, version) == version.sha256
    file = await office.session.get(StoredFile, version.file_id) if version.file_id else None
    shape = phone_of(await a_draft(office, kind), file).shape
    assert shape == (kind.value if kind in {*FILES, Kind.LINK} else "text")


@pytest.mark.parametrize(
    ("kind", "changed", "field", "says"),
    [
        (Kind.LINK, Card(), "url", "https://"),
        (Kind.LINK, replace(LINK, url="https://evil.example/"), "url", "不在允许的链接域名"),
        (Kind.LINK, replace(LINK, url="https://127.0.0.1/"), "url", "不能使用 IP"),
        (Kind.LINK, replace(LINK, title=""), "card_title", "请填写卡片标题"),
        (Kind.LINK, replace(LINK, title="本产品保本保收益"), "card_title", "卡片文字不合规"),
        (Kind.MINI_PROGRAM, replace(APP, app_id="wx1"), "app_id", "AppID"),
        (Kind.MINI_PROGRAM, replace(APP, page="../secret"), "page", "页面路径"),
    ],
)
async def test_a_card_is_complete_and_leads_where_it_may(
    office: Office, kind: Kind, changed: Card, field: str, says: str
) -> None:
    draft = await a_draft(office, kind)
    draft = replace(draft, told=replace(draft.told, card=changed))
    assert says in (await errors(office, draft))[field]


@pytest.mark.parametrize(
    ("kind", "card", "field", "says"),
    [
        (Kind.LINK, replace(LINK, title="赎" * 43), "card_title", "最长 128 字节（约 42 个汉字）"),
        (Kind.LINK, replace(LINK, text="图" * 171), "card_text", "最长 512 字节（约 170 个汉字）"),
        (Kind.MINI_PROGRAM, replace(APP, title="赎" * 22), "card_title", "最长 64 字节"),
    ],
)
async def test_what_a_card_says_fits_what_wecom_takes_of_it(
    office: Office, kind: Kind, card: Card, field: str, says: str
) -> None:
    draft = await a_draft(office, kind)
    draft = replace(draft, told=replace(draft.told, card=card))
    assert says in (await errors(office, draft))[field]
    shorter = replace(card, title=card.title[:21], text=card.text[:170])
    fits = replace(draft, told=replace(draft.told, card=shorter))
    assert isinstance(await create(office, fits), Version)


async def test_the_title_of_an_article_fits_the_card_it_is_sent_as(office: Office) -> None:
    draft = replace(await a_draft(office, Kind.ARTICLE), title="赎" * 43)
    assert "图文标题就是卡片标题，最长 128 字节" in (await errors(office, draft))["title"]
    assert isinstance(await create(office, replace(draft, title="赎" * 42)), Version)
    assert isinstance(await create(office, replace(draft, kind=Kind.FAQ.value)), Version)


async def test_a_picture_larger_than_wecom_takes_is_refused_and_one_grown_by_its_mark_too(
    office: Office,
) -> None:
    draft = await a_draft(office, Kind.IMAGE)
    stored = await office.session.get_one(StoredFile, draft.file_id)
    version = await create(office, draft)
    assert isinstance(version, Version)
    stored.size = MEDIA_LIMIT["image"] + 1
    await office.session.flush()
    assert (await errors(office, draft))[
        "file"
    ] == "企业微信的图片海报不超过 10 MB：请压缩后再上传。"
    outcome = await review.submit(office.session, version.id, by=office.author, now=MONDAY)
    assert isinstance(outcome, review.Refused)
    assert review.Reason.OVER_LIMIT in outcome.reasons


@pytest.mark.parametrize(
    ("changed", "field", "says"),
    [
        ({"valid_days": 0}, "valid_days", "不能长期有效"),
        ({"valid_days": 366}, "valid_days", "不能长期有效"),
        ({"trust": 4}, "trust", "信任程度"),
        ({"expertise": 0}, "expertise", "专业程度"),
        ({"personas": ("king",)}, "personas", "客群"),
        ({"category": ("一", "二", "三", "四", "五")}, "category", "最多四级"),
        ({"source": "bought"}, "licence", "授权依据"),
        ({"source": "bought", "licence": "合同 7 号"}, "licensed_until", "授权到期日"),
        (
            {"source": "bought", "licence": "合同 7 号", "licensed_until": "2026-11-01"},
            "licensed_until",
            "授权已到期",
        ),
        (
            {"source": "bought", "licence": "合同 7 号", "licensed_until": "2026-12-23"},
            "valid_days",
            "最多填写 30 天",
        ),
        ({"owner": "nobody"}, "owner", "没有找到这位负责人"),
    ],
)
async def test_particulars_are_complete_and_end(
    office: Office, changed: dict[str, Any], field: str, says: str
) -> None:
    assert says in (await errors(office, await a_draft(office, Kind.FAQ, **changed)))[field]


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Kind.IMAGE, "说明.pdf"), (Kind.FAQ, "海报.png"), (Kind.FILE, "讲解.mp4"), (Kind.VIDEO, "")],
)
async def test_a_kind_takes_only_its_own_files(office: Office, kind: Kind, name: str) -> None:
    draft = replace(await a_draft(office, kind), file_id=None)
    if name:
        data = next(data for known, data in FILES.values() if known == name)
        draft = replace(draft, file_id=(await kept(office, name, data)).id)
    assert "请更换文件" in (e := (await errors(office, draft))["file"]) or "需要上传" in e


async def test_a_file_whose_name_promises_is_refused(office: Office) -> None:
    stored = await kept(office, "保本保收益.pdf", papers.a_pdf())
    draft = replace(await a_draft(office, Kind.FILE), file_id=stored.id)
    assert "文件名不合规" in (await errors(office, draft))["file"]


async def test_every_particular_is_bound_into_the_hash(office: Office) -> None:
    told = Particulars(kind="faq", use="accompany")
    other = {
        "kind": "script", "use": "trust", "owner": "x", "trust": 2, "expertise": 3,
        "personas": ("young",), "channels": ("group",), "branches": ("B1",),
        "products": (("P1", 3),), "category": ("一",), "valid_days": 30, "source": "issuer",
        "licence": "合同", "licensed_until": "2027-01-01", "ai_made": True, "card": LINK,
    }  # fmt: skip
    assert set(other) == set(Particulars.__dataclass_fields__)
    hashes = {_hash(told)} | {_hash(replace(told, **{name: v})) for name, v in other.items()}
    assert len(hashes) == len(other) + 1
    cards = {_hash(replace(told, card=Card(**{name: "x"}))) for name in Card.__dataclass_fields__}
    assert len(cards | {_hash(told)}) == len(Card.__dataclass_fields__) + 1
    assert Particulars.read(replace(told, **other).stored()) == replace(told, **other)


def _hash(told: Particulars) -> str:
    return materials.fingerprint("标题", "正文", ["问"], None, told.stored())


async def test_a_version_from_before_keeps_the_hash_it_was_approved_with() -> None:
    without = materials.fingerprint("标题", "正文", ["问"], b"x")
    assert without == materials.fingerprint("标题", "正文", ["问"], b"x", {})


async def test_products_are_linked_with_strength_and_a_changed_link_breaks_the_hash(
    office: Office,
) -> None:
    product = await a_product(office.session)
    draft = replace(
        await a_draft(office, Kind.PRODUCT_NOTE, products=((product.code, 3),)),
        product_codes=(product.code,),
    )
    version = await create(office, draft)
    assert isinstance(version, Version)
    link = (await office.session.execute(select(MaterialProduct))).scalar_one()
    assert link.strength == 3
    link.strength = 1
    await office.session.flush()
    assert await materials.fingerprint_of(office.session, office.files, version) != version.sha256
    link.strength = 4
    with pytest.raises(IntegrityError, match="ck_material_product_strength"):
        await office.session.flush()


async def test_a_later_draft_does_not_change_what_is_live_for(office: Office) -> None:
    live = await office.live()
    await office.revise(live.material_id, use="convert", body=papers.SECOND)
    material = await office.session.get(materials.Material, live.material_id)
    assert material is not None
    assert material.use == Use.CONVERT
    assert particulars.use_of(material, live) == Use.ACCOMPANY


# ----------------------------------------------------------------------------------------- AI


async def label_of(office: Office, version: Version | Refused) -> dict[str, str]:
    assert isinstance(version, Version), version
    assert version.file_id is not None
    return label_in(await office.files.read(version.file_id))


async def test_a_picture_made_by_ai_is_labelled_when_it_is_saved(office: Office) -> None:
    draft = await a_draft(office, Kind.IMAGE, ai_made=True)
    version = await create(office, draft)
    label = await label_of(office, version)
    assert draft.file_id is not None
    assert label["Label"] == "1"
    assert label["ContentProducer"] == label["ContentPropagator"] == "云州银行"
    assert label["ProduceID"] == label["PropagateID"] == draft.file_id.hex
    assert isinstance(version, Version)
    assert await materials.fingerprint_of(office.session, office.files, version) == version.sha256


async def test_a_labelled_picture_is_not_labelled_twice(office: Office) -> None:
    version = await create(office, await a_draft(office, Kind.IMAGE, ai_made=True))
    assert isinstance(version, Version)
    material = await office.session.get(materials.Material, version.material_id)
    assert material is not None
    draft = await materials.draft_of(office.session, material, version)
    again = await materials.revise(
        office.session, office.files, material.id, replace(draft, body=papers.FIRST),
        office.author, MONDAY, house=HOUSE,
    )  # fmt: skip
    assert isinstance(again, Version)
    assert again.file_id == version.file_id


async def test_what_another_maker_said_of_a_picture_stays_and_counts(office: Office) -> None:
    from content import extract

    theirs = {"Label": "1", "ContentProducer": "别家模型", "ProduceID": "X-1"}
    made = await extract.marked(papers.a_picture("jpg"), "jpg", theirs, visible=False)
    assert isinstance(made, bytes)
    stored = await kept(office, "海报.jpg", made)
    draft = replace(await a_draft(office, Kind.IMAGE), file_id=stored.id)
    version = await create(office, draft)
    label = await label_of(office, version)
    assert (label["ContentProducer"], label["ProduceID"]) == ("别家模型", "X-1")
    assert label["ContentPropagator"] == "云州银行"
    assert isinstance(version, Version)
    assert version.particulars["ai_made"] is True


async def test_the_bank_may_switch_the_label_off_but_never_takes_one_away(office: Office) -> None:
    draft = await a_draft(office, Kind.IMAGE, ai_made=True)
    off = replace(HOUSE, label_pictures=False)
    assert await label_of(office, await create(office, draft, off)) == {}

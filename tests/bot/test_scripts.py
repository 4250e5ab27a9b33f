"""话术库: the tree, folders and whose they are, order, favourites, the sheet that comes back."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.models import Role, Staff
from bank.settings import Settings
from content.files import LocalFileStore
from content.models import Kind, Material, MaterialImport, Version
from content.script_models import ScriptFavourite, ScriptFolder
from tests.builders import a_branch, a_customer, a_follow, a_staff, an_approved_material
from tests.conftest import Product, Visitor
from tests.content.test_pages import form
from tests.content.worlds import A_DRAFT, an_office
from tests.sendables import an_office_of, live


async def a_script(session: AsyncSession, title: str, *category: str, **more: object) -> Version:
    """A live script in this category."""
    version = await an_approved_material(session, title=title, kind=Kind.SCRIPT, **more)  # type: ignore[arg-type]
    version.particulars = {"kind": "script", "use": "accompany", "category": list(category)}
    await session.flush()
    return version


def order(page: str, *titles: str) -> list[str]:
    """The titles in the order in which the page lists them."""
    shown = {title: page.find(f">{title}</a>") for title in titles}
    return sorted((t for t in titles if shown[t] >= 0), key=lambda title: shown[title])


async def at_desk(product: Product, session: AsyncSession, staff: Staff) -> Visitor:
    await session.commit()
    return await product.client(staff)


async def test_the_banks_tree_is_what_was_approved_and_counts_what_one_may_use(
    product: Product, session: AsyncSession
) -> None:
    mine, other = await a_branch(session), await a_branch(session, "城西支行")
    await a_script(session, "首次沟通话术", "开户", "首次")
    await a_script(session, "再次沟通话术", "开户", "再次", branch_ids=[other.id])
    await a_script(session, "没有分类的话术")
    rm = await a_staff(session, Role.RM, branch=mine)
    desk = await at_desk(product, session, rm)
    page = await desk.text("/scripts?shelf=category:开户")
    assert order(page, "首次沟通话术", "再次沟通话术", "没有分类的话术") == ["首次沟通话术"]
    assert 'href="/scripts?shelf=category%3A%E5%BC%80%E6%88%B7/%E9%A6%96%E6%AC%A1"' in page
    assert "没有分类的话术" in await desk.text("/scripts?shelf=unsorted")
    assert "再次沟通话术" not in await desk.text("/scripts")


async def test_folders_are_kept_by_whom_they_belong_to_and_seen_by_no_other(
    product: Product, session: AsyncSession
) -> None:
    mine, other = await a_branch(session), await a_branch(session, "城西支行")
    script = await a_script(session, "感谢转介绍")
    manager = await a_staff(session, Role.BRANCH_MANAGER, branch=mine)
    rm = await a_staff(session, Role.RM, branch=mine)
    stranger = await a_staff(session, Role.RM, branch=other)
    boss, seller = await at_desk(product, session, manager), await product.client(rm)
    away = await product.client(stranger)
    assert (
        await boss.post("/scripts/folders", {"level": "branch", "name": "本行常用"})
    ).status == 303
    refused = await seller.post("/scripts/folders", {"level": "branch", "name": "我建的"})
    assert refused.status == 422
    assert (
        await seller.post("/scripts/folders", {"level": "personal", "name": "我的"})
    ).status == 303
    twice = await seller.post("/scripts/folders", {"level": "personal", "name": "我的"})
    assert "已有文件夹“我的”" in await twice.text()
    rows = (await session.execute(select(ScriptFolder))).scalars()
    keys = {folder.name: f"folder:{folder.id}" for folder in rows}
    put = f"/scripts/{script.material_id}/put"
    assert (await boss.post(put, {"folder": keys["本行常用"]})).status == 303
    assert (await seller.post(put, {"folder": keys["本行常用"]})).status == 422
    assert (await boss.post(put, {"folder": keys["我的"]})).status == 422
    page = await seller.text(f"/scripts?shelf={keys['本行常用']}")
    assert order(page, "感谢转介绍") == ["感谢转介绍"]
    assert "移出</button>" not in page
    assert "本行常用" not in await away.text("/scripts")
    assert (await seller.post(f"/scripts/folders/delete?shelf={keys['本行常用']}")).status == 422
    assert (await boss.post(f"/scripts/folders/delete?shelf={keys['本行常用']}")).status == 303
    assert "感谢转介绍" in await seller.text("/scripts")


async def test_a_series_is_numbered_beside_the_chat_in_its_order(
    product: Product, session: AsyncSession
) -> None:
    branch = await a_branch(session)
    rm = await a_staff(session, Role.RM, branch=branch)
    customer = await a_customer(session, branch=branch)
    await a_follow(session, rm, customer)
    hello, offer = await a_script(session, "先问候"), await a_script(session, "再说明")
    desk = await at_desk(product, session, rm)
    made = await desk.post(
        "/scripts/folders", {"level": "personal", "name": "首次联系", "series": "yes"}
    )
    assert made.status == 303
    key = (await session.execute(select(ScriptFolder))).scalar_one().key
    assert key.startswith("series:")
    for version in (offer, hello):
        put = await desk.post(f"/scripts/{version.material_id}/put", {"folder": key})
        assert put.status == 303
    assert await moved(desk, hello.material_id, "up", key) == 303
    beside = await product.client(rm, "sidebar")
    tab = await beside.text(f"/sidebar/{customer.external_userid}/scripts?shelf={key}")
    assert tab.index("1. 先问候") < tab.index("2. 再说明")
    assert "首次联系（组合） 2" in await beside.text(
        f"/sidebar/{customer.external_userid}/script-tree"
    )


async def a_series(desk: Visitor, session: AsyncSession, name: str = "首次联系") -> str:
    """A new series of one's own; its key."""
    form = {"level": "personal", "name": name, "series": "yes"}
    assert (await desk.post("/scripts/folders", form)).status == 303
    found = select(ScriptFolder).where(ScriptFolder.name == name)
    return (await session.execute(found)).scalar_one().key


async def test_a_series_takes_pictures_links_and_files_and_a_folder_does_not(
    product: Product, session: AsyncSession, settings: Settings
) -> None:
    rm = await a_staff(session, Role.RM, branch=await a_branch(session))
    office = await an_office_of(session, LocalFileStore(settings.home / "files"))
    made = {kind: await live(office, kind) for kind in (Kind.IMAGE, Kind.LINK, Kind.FILE)}
    hello = await a_script(session, "先问候")
    desk = await at_desk(product, session, rm)
    key = await a_series(desk, session)
    offered = await desk.text(f"/scripts/addable?shelf={key}")
    assert all(f"放入《{version.title}》" in offered for version in made.values())
    only = await desk.text(f"/scripts/addable?shelf={key}&q=图片")
    assert ("赎回图片海报" in only, "赎回链接" in only) == (True, False)
    await desk.post(f"/scripts/{hello.material_id}/put", {"folder": key})
    for version in made.values():
        form = {"material": str(version.material_id)}
        assert (await desk.post(f"/scripts/add?shelf={key}", form)).status == 303
        assert (await desk.post(f"/scripts/add?shelf={key}", form)).status == 422
    page = await desk.text(f"/scripts?shelf={key}")
    titles = ("先问候", *(version.title for version in made.values()))
    assert order(page, *titles) == list(titles)
    # Outside the series they are no scripts.
    assert order(await desk.text("/scripts"), *titles) == ["先问候"]
    folder = {"level": "personal", "name": "常用"}
    assert (await desk.post("/scripts/folders", folder)).status == 303
    plain = (
        await session.execute(select(ScriptFolder).where(ScriptFolder.name == "常用"))
    ).scalar_one()
    put = await desk.post(f"/scripts/{made[Kind.IMAGE].material_id}/put", {"folder": plain.key})
    assert (put.status, "只能放进组合话术" in await put.text()) == (422, True)
    assert "没有可以放入" in await desk.text(f"/scripts/addable?shelf={plain.key}")


async def test_nobody_fills_the_series_of_another(product: Product, session: AsyncSession) -> None:
    branch = await a_branch(session)
    mine, other = (
        await a_staff(session, Role.RM, branch=branch),
        await a_staff(session, Role.RM, branch=branch),
    )
    picture = await an_approved_material(session, title="海报", kind=Kind.IMAGE)
    key = await a_series(await at_desk(product, session, mine), session)
    stranger = await product.client(other)
    assert "没有可以放入" in await stranger.text(f"/scripts/addable?shelf={key}")
    form = {"material": str(picture.material_id)}
    assert (await stranger.post(f"/scripts/add?shelf={key}", form)).status == 422


async def moved(desk: Visitor, material_id: UUID, to: str, shelf: str) -> int:
    answer = await desk.post(f"/scripts/{material_id}/move?shelf={shelf}", {"to": to})
    return answer.status


async def test_the_order_of_the_bank_is_set_by_editors_and_kept(
    product: Product, session: AsyncSession
) -> None:
    first, second, third = [await a_script(session, f"话术{n}", "开户") for n in "甲乙丙"]
    editor, rm = await a_staff(session, Role.EDITOR), await a_staff(session, Role.RM)
    desk = await at_desk(product, session, editor)
    shelf, titles = "category:开户", ("话术甲", "话术乙", "话术丙")
    assert await moved(desk, third.material_id, "0", shelf) == 303
    assert order(await desk.text(f"/scripts?shelf={shelf}"), *titles) == [
        "话术丙",
        "话术甲",
        "话术乙",
    ]
    assert await moved(desk, first.material_id, "down", shelf) == 303
    assert order(await desk.text(f"/scripts?shelf={shelf}"), *titles) == [
        "话术丙",
        "话术乙",
        "话术甲",
    ]
    assert await moved(desk, second.material_id, "99999", shelf) == 303
    seller = await product.client(rm)
    assert await moved(seller, first.material_id, "up", shelf) == 422
    assert order(await seller.text(f"/scripts?shelf={shelf}"), *titles) == [
        "话术丙", "话术甲", "话术乙",
    ]  # fmt: skip


async def test_a_favourite_is_at_hand_beside_the_chat_until_it_ends(
    product: Product, session: AsyncSession
) -> None:
    branch = await a_branch(session)
    rm = await a_staff(session, Role.RM, branch=branch)
    customer = await a_customer(session, branch=branch)
    await a_follow(session, rm, customer)
    kept, other = await a_script(session, "常用话术"), await a_script(session, "别的话术")
    await session.commit()
    beside = await product.client(rm, "sidebar")
    chat = f"/sidebar/{customer.external_userid}"
    star = await beside.post(f"{chat}/favourite", {"material": str(kept.material_id)})
    assert 'aria-pressed="true"' in await star.text()
    assert "我的收藏 1" in await beside.text(f"{chat}/script-tree")
    tab = await beside.text(f"{chat}/scripts?shelf=favourites")
    assert "选用《常用话术》" in tab
    assert "别的话术" not in tab
    assert f'{chat}/script-tree?shelf=favourites"' in tab
    missing = await beside.post(f"{chat}/favourite", {"material": str(rm.id)})
    assert missing.status == 404
    desk = await product.client(rm)
    assert (await desk.post(f"/scripts/{kept.material_id}/favourite")).status == 303
    assert (await session.execute(select(ScriptFavourite))).all() == []
    assert "别的话术" in await beside.text(f"{chat}/scripts")
    assert other.material_id != kept.material_id


async def test_a_search_that_finds_nothing_says_so_and_one_that_does_does_not(
    product: Product, session: AsyncSession
) -> None:
    rm, customer = await a_staff(session, Role.RM), await a_customer(session)
    await a_follow(session, rm, customer)
    await a_script(session, "赎回多久到账")
    await session.commit()
    await product.parts.index.catch_up(session, product.clock())
    beside = await product.client(rm, "sidebar")
    chat = f"/sidebar/{customer.external_userid}/scripts"
    nothing = await beside.text(f"{chat}?q=停车场收费吗")
    assert "没有找到“停车场收费吗”" in nothing
    assert "最相关的" not in nothing
    for words in ("赎回几天到账", "多久到账"):
        found = await beside.text(f"{chat}?q={words}")
        assert "最相关的 1 份" in found, words
        assert "没有找到" not in found, words


async def test_a_row_reads_as_it_is_sent_with_both_names(
    product: Product, session: AsyncSession
) -> None:
    rm = await a_staff(session, Role.RM, name="王敏")
    lady = await a_customer(session, name="李女士")
    nickname = await a_customer(session, name="Sunny")
    await a_script(session, "问候", body="{客户称呼}，您好，我是{客户经理}，您{到期日}到期。")
    for customer in (lady, nickname):
        await a_follow(session, rm, customer)
    await session.commit()
    beside = await product.client(rm, "sidebar")
    row = await beside.text(f"/sidebar/{lady.external_userid}/scripts")
    assert "李女士，您好，我是王敏，您{到期日}到期。" in row
    row = await beside.text(f"/sidebar/{nickname.external_userid}/scripts")
    assert ">您好，我是王敏，您{到期日}到期。" in row


async def test_a_list_that_is_cut_says_so(product: Product, session: AsyncSession) -> None:
    rm, customer = await a_staff(session, Role.RM), await a_customer(session)
    await a_follow(session, rm, customer)
    for number in range(30):
        await a_script(session, f"话术{number}", "服务")
    await session.commit()
    beside = await product.client(rm, "sidebar")
    chat = f"/sidebar/{customer.external_userid}/scripts"
    assert "只列出前" not in await beside.text(chat)
    await a_script(session, "又一条", "服务")
    await session.commit()
    for shelf in ("", "?shelf=category:服务"):
        page = await beside.text(chat + shelf)
        assert "只列出前 30 份" in page, shelf
        assert page.count('class="cell cell-item"') == 30, shelf


async def test_what_is_exported_and_imported_again_is_all_the_same(
    product: Product, session: AsyncSession
) -> None:
    office = await an_office(session, product.parts.settings.home / "files")
    other = await a_staff(session, Role.EDITOR, name="沈悦")
    await office.live()
    await office.write(
        A_DRAFT, kind="script", title="=感谢转介绍", questions=("怎么说谢谢", "转介绍")
    )
    desk = await at_desk(product, session, other)
    sheet = await (await desk.get("/scripts/export.xlsx")).read()
    answer = await desk.post("/content/imports", form({}, file=("话术库.xlsx", sheet)))
    assert answer.status == 303, await answer.text()
    report = (await session.execute(select(MaterialImport))).scalar_one()
    assert report.counts == {"read": 2, "new": 0, "changed": 0, "same": 2, "rejected": 0}
    assert len((await session.execute(select(Material))).all()) == 2

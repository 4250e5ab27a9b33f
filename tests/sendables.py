"""Approved material that is more than words, for tests: written, reviewed and live."""

from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role, Staff
from content import materials
from content.drafts import NOTHING_TOLD
from content.extract import Refused as FileRefused
from content.files import FileStore, receive
from content.house import House
from content.models import Kind, Version
from content.particulars import Card
from content.review import Approved
from tests.builders import MONDAY, a_staff
from tests.content import papers
from tests.content.worlds import A_DRAFT, Office

HOUSE = House("云州银行", ("www.yunzhou.example",))
POSTER, FILM, PAPER = papers.a_picture(), papers.a_film(), papers.a_pdf()
COVER = papers.a_picture("jpg")
FILES = {
    Kind.IMAGE: ("赎回规则海报.png", POSTER),
    Kind.VIDEO: ("赎回讲解.mp4", FILM),
    Kind.FILE: ("赎回说明.pdf", PAPER),
    Kind.MINI_PROGRAM: ("封面.jpg", COVER),
    Kind.LINK: ("卡片封面.jpg", COVER),
}
CARDS = {
    Kind.LINK: Card(
        url="https://www.yunzhou.example/redeem", title="赎回规则一图看懂", text="三步看懂到账时间"
    ),
    Kind.MINI_PROGRAM: Card(
        title="查看赎回进度", app_id="wx" + "a1" * 8, page="pages/redeem/index.html"
    ),
}
BODY = "您好，这份资料讲清楚了赎回申请确认后多久到账，供您参考。"


async def an_office_of(session: AsyncSession, files: FileStore) -> Office:
    """An editorial office over these files."""
    names = {"author": Role.EDITOR, "approver": Role.APPROVER, "compliance": Role.COMPLIANCE}
    people: dict[str, Staff] = {name: await a_staff(session, role) for name, role in names.items()}
    head_office = await a_staff(session, Role.COMPLIANCE)
    return Office(session=session, files=files, head_office=head_office, **people)


async def live(office: Office, kind: Kind, *, title: str = "", **changed: Any) -> Version:
    """One approved material of this kind, with the file or card it is sent as."""
    draft = replace(
        A_DRAFT, kind=kind.value, title=title or f"赎回{kind.label}", body=BODY, **changed
    )
    if kind in FILES:
        kept = await receive(
            office.session, office.files, *FILES[kind], by=office.author.id, now=MONDAY
        )
        assert not isinstance(kept, FileRefused), kept
        draft = replace(draft, file_id=kept[0].id)
    draft = replace(draft, told=replace(NOTHING_TOLD, card=CARDS.get(kind, Card())))
    made = await materials.create(
        office.session, office.files, draft, office.author, MONDAY, house=HOUSE
    )
    assert isinstance(made, Version), made
    approved = await office.approve(await office.submit(made))
    assert isinstance(approved, Approved), approved
    return made

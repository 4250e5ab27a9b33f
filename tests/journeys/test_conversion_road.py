"""Path (iv): what the customer saw, what the bank booked, and who is credited for it."""

from datetime import timedelta

import aiohttp
from sqlalchemy.ext.asyncio import AsyncSession

from attribution.models import Dimension, Model, Touchpoint
from bank.models import Role
from knowledge.models import Suggestion, SuggestionState
from tests.attribution.reading import cents, sum_of, table
from tests.attribution.worlds import a_row, csv_of, sums
from tests.builders import a_staff, an_approved_material
from tests.conftest import Visitor
from tests.town import Town

FIRST = "我赎回的钱几天能到账啊"
SECOND = "赎回到账进度在哪查"
AMOUNT = 10_000_001
CHOSEN = 2  # the column of the chosen model


async def replied(town: Town, question: str) -> Suggestion:
    """The customer asks, the RM sends what is suggested, the archive shows it."""
    await town.writes(question)
    await town.works()
    made = max(await town.all(Suggestion), key=lambda s: s.created_at)
    assert isinstance(made, Suggestion)
    rm = await town.sidebar()
    path = f"/sidebar/suggestions/{made.id}"
    cleared = await (await rm.post(f"{path}/clear", {"text": made.draft})).json()
    await town.rm_says(cleared["text"])
    await rm.post(f"{path}/sent")
    await town.works()
    return made


def file_of(data: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("source", "理财系统")
    form.add_field("file", data, filename="buys.csv", content_type="text/csv")
    return form


async def credited(desk: Visitor, model: Model, dimension: str) -> dict[str, int]:
    """What each row of the overview says of a model, each number opened and added up."""
    page = await desk.text(f"/attribution?model={model.value}&start=2026-11-01&end=2026-12-31")
    *rows, total = table(page, f"by-{dimension}")
    shares: dict[str, int] = {}
    for row in rows:
        said = cents(row[CHOSEN].text)
        if said:
            lines = await desk.text(row[CHOSEN].href)
            opened = sum(cents(line[-1].text) for line in table(lines, "lines"))
            assert said == opened == sum_of(lines)
            shares[row[0].text.strip("《》")] = said
    assert cents(total[CHOSEN].text) == sum(shares.values())
    return shares


async def test_a_conversion_is_credited_to_what_the_customer_saw_to_the_cent(
    town: Town, session: AsyncSession
) -> None:
    first = await an_approved_material(session)
    second = await an_approved_material(
        session,
        title="赎回到账进度查询",
        body="您可以在手机银行的交易记录里查看赎回的处理进度和到账情况。",
        questions=("赎回到账进度在哪查", "赎回的钱到账没有怎么看", "查赎回到账"),
    )
    hq = await a_staff(session, Role.HQ, name="高总")
    await session.commit()
    made = await replied(town, FIRST)
    assert made.version_id == first.id
    town.clock.forward(timedelta(hours=3))
    made = await replied(town, SECOND)
    assert made.version_id == second.id
    sent = [s for s in await town.all(Suggestion) if s.state is SuggestionState.SENT]
    assert len(sent) == 2
    seen = [t for t in await town.all(Touchpoint) if t.version_id]
    assert len(seen) == 2
    town.clock.forward(timedelta(hours=1))

    desk = await town.client(hq)
    at = town.clock()
    rows = [a_row(town.customer, reference="B1", amount="100000.01", at=at)]
    for _ in range(2):
        answer = await desk.post("/attribution/import", file_of(csv_of(rows)))
        assert answer.status == 200, await answer.text()

    totals = await sums(session)
    for model in (Model.FIRST, Model.LAST, Model.LINEAR):
        for dimension in (Dimension.CONTENT, Dimension.RM):
            assert totals[model, dimension] == AMOUNT, "imported twice, credited once"
    assert await credited(desk, Model.FIRST, "content") == {first.title: AMOUNT}
    assert await credited(desk, Model.LAST, "content") == {second.title: AMOUNT}
    halves = await credited(desk, Model.LINEAR, "content")
    assert sorted(halves.values()) == [AMOUNT // 2, AMOUNT // 2 + 1]
    for model in (Model.FIRST, Model.LAST, Model.LINEAR):
        assert await credited(desk, model, "rm") == {town.rm.name: AMOUNT}

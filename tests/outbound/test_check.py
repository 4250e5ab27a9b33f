"""One check for every word: what it asks, what it puts in, and that in doubt it says no."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text as sql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from compliance import wording
from compliance.disclosures import WEALTH
from compliance.imprint import AI_CONFIRMED, AI_MARK, STOP
from content.models import Kind, State
from customers.models import Consent
from outbound import reasons, records
from outbound.check import Cause, Cleared, check
from outbound.models import Door, OutboundMessage, OutboundState
from tests.builders import a_product
from tests.outbound.worlds import World, a_world


@pytest.fixture
async def world(session: AsyncSession) -> World:
    """Everything in order."""
    return await a_world(session)


async def test_what_passes_is_written_down_with_all_that_decided_it(world: World) -> None:
    cleared = await world.cleared(passages=(f"{world.version.id}#0",), ai_assisted=True)
    row = await world.row()
    assert (row.id, row.text) == (cleared.message_id, cleared.text)
    assert row.state is OutboundState.CLEARED
    assert row.text_hash == records.hash_of(world.version.body) == row.suggested_hash
    assert not row.edited
    assert (row.staff_id, row.customer_id) == (world.rm.id, world.customer.id)
    assert row.contact == world.customer.external_userid
    [version] = row.versions
    assert version["version_id"] == str(world.version.id)
    assert version["sha256"] == world.version.sha256
    assert row.passages == [f"{world.version.id}#0"]
    assert (row.customer_level, row.customer_ceiling, row.product_level) == (3, 3, 0)
    assert row.consent_id is not None
    assert row.verdict["level"] == "pass"
    assert row.ai_assisted
    why = await records.why(world.session, row.id)
    assert why is not None
    assert why.rm is not None
    assert why.customer is not None
    assert why.consent is not None
    assert (why.rm.id, why.customer.id, why.consent.id) == (
        world.rm.id,
        world.customer.id,
        row.consent_id,
    )


async def test_a_refusal_is_kept_too_with_its_reasons(world: World) -> None:
    answer = await world.refused("您好，这款产品保本保息，您放心买。")
    row = await world.row()
    assert row.state is OutboundState.REFUSED
    assert row.reasons == list(answer.reasons)
    assert row.verdict["findings"]
    assert answer.cause is Cause.WORDS


async def test_dead_material_is_refused(world: World) -> None:
    world.version.state = State.WITHDRAWN
    await world.session.flush()
    assert (await world.refused()).reasons == (reasons.DEAD,)


async def test_words_without_material_are_refused(world: World) -> None:
    assert (await world.refused(version_ids=frozenset())).reasons == (reasons.NO_SOURCE,)


async def test_material_above_the_customers_level_is_refused(session: AsyncSession) -> None:
    product = await a_product(session, rating=4)
    world = await a_world(session, products=[product], risk=4)
    answer = await world.refused()
    assert answer.cause is Cause.SUITABILITY
    assert (await world.row()).product_level == 4


async def test_a_product_named_in_an_edit_counts_for_suitability(world: World) -> None:
    await a_product(world.session, rating=5, name="进取指数一号")
    answer = await world.refused(f"{world.version.body}进取指数一号也可以看看。")
    assert answer.cause is Cause.SUITABILITY


async def test_a_product_the_bank_does_not_know_is_pointed_out(world: World) -> None:
    edit = f"{world.version.body}也推荐您看看恒泰稳盈三号，{WEALTH}"
    assert await pointed_out(world, edit, "s1")
    await a_product(world.session, rating=1, name="恒泰稳盈三号")
    assert not await pointed_out(world, edit, "s2")


async def pointed_out(world: World, text: str, source: str) -> bool:
    await world.says(text, source)
    [row] = [one for one in await world.rows() if one.source_id == source]
    return "unlisted_product.name" in {one["rule"] for one in row.verdict["findings"]}


async def test_a_product_no_source_speaks_of_is_refused_in_an_edit(world: World) -> None:
    await a_product(world.session, rating=1, name="现金管理一号")
    answer = await world.refused(f"{world.version.body}现金管理一号也可以看看。")
    assert answer.reasons == (reasons.OTHER_PRODUCT.format(name="现金管理一号"),)


# ---------------------------------------------------------------- what is put in (C-17, C-27, C-40)


async def test_the_reminder_of_its_product_comes_back_however_it_is_edited(
    session: AsyncSession,
) -> None:
    product = await a_product(session, rating=2)
    body = "您好，安心添利90天每个工作日开放赎回。"
    world = await a_world(session, body=body, products=[product], risk=2)
    for edit in (body, "李女士，" + body, body + WEALTH[:6]):
        cleared = await world.cleared(edit)
        assert cleared.text.endswith(WEALTH)
        assert "云州理财有限责任公司" in cleared.text


async def test_marketing_needs_consent_and_says_who_sends_it_and_how_to_stop(
    world: World,
) -> None:
    cleared = await world.cleared(marketing=True, source="s1")
    assert cleared.text.endswith(f"【云州银行 {world.rm.name}】{STOP}")
    await world.session.execute(sql("UPDATE consent SET withdrawn_at = :now"), {"now": world.now})
    assert (await world.refused(marketing=True, source="s2")).cause is Cause.CONSENT
    # Withdrawing it stops no service (C-24).
    assert isinstance(await world.says(source="s3"), Cleared)


@pytest.mark.parametrize("edit", ["", "{}", "{}\n以上为个人原创", "人工撰写：{}"])
async def test_what_a_model_drafted_carries_its_mark_whatever_the_edit(
    world: World, edit: str
) -> None:
    text = edit.format(world.version.body) if edit else world.version.body
    cleared = await world.cleared(text.replace(AI_CONFIRMED, ""), writer="openai:qwen")
    assert cleared.text.endswith(AI_CONFIRMED)
    assert (await world.row()).ai_marked


async def test_the_policy_decides_about_the_mark_of_a_confirmed_draft(world: World) -> None:
    world.policy = replace(world.policy, ai_label=False)
    assert AI_CONFIRMED not in (await world.cleared(writer="openai:qwen")).text


async def test_a_quoted_passage_is_not_made_by_ai_and_an_automatic_answer_always_is(
    world: World,
) -> None:
    assert "AI" not in (await world.cleared(source="s1")).text
    world.policy = replace(world.policy, ai_label=False)
    world.version.channels = ["kf"]
    await world.session.flush()
    said = await world.cleared(
        source="k1", door=Door.SERVICE, staff_id=None, customer_id=None, suggested=""
    )
    assert said.text.startswith(AI_MARK)


# ------------------------------------------------------------------------ who speaks (C-34), links


@pytest.mark.parametrize("until", [None, date(2026, 11, 22)])
async def test_without_a_certificate_only_education_goes_out_as_it_stands(
    session: AsyncSession, until: date | None
) -> None:
    world = await a_world(session)
    world.rm.certified_until = until
    await session.flush()
    answer = await world.refused()
    assert answer.cause is Cause.STAFF
    assert "从业资格" in answer.reasons[0]
    lesson = await a_world(session, kind=Kind.EDUCATION)
    lesson.rm = world.rm
    assert isinstance(await lesson.says(source="s2"), Cleared)
    edited = await lesson.says(lesson.version.body + "您可以联系我。", source="s3")
    assert not isinstance(edited, Cleared)


async def test_the_last_day_of_a_certificate_counts(world: World) -> None:
    world.rm.certified_until = date(2026, 11, 23)
    await world.session.flush()
    assert isinstance(await world.says(), Cleared)


async def test_a_link_in_an_edit_must_be_ours_or_approved(world: World) -> None:
    bad = await world.refused(f"{world.version.body}详情见 https://evil.example.com/x")
    assert any("evil.example.com" in reason for reason in bad.reasons)
    assert isinstance(
        await world.says(f"{world.version.body}详情见 https://www.yzbank.cn/help"), Cleared
    )


# ----------------------------------------------------------------------------- in doubt: no (S-21)


def broken(*args: Any, **options: Any) -> Any:
    """Whatever it was, it does not work."""
    raise RuntimeError("out of order")


@pytest.mark.parametrize(
    "part",
    [
        "customers.book.consent_of",
        "customers.book.facts_of",
        "content.library.only_live",
        "content.library.documents",
        "content.products.of_materials",
        "content.products.named_in",
        "compliance.disclosures.append",
        "compliance.citations.untraceable_numbers",
        "outbound.check.strangers",
        "outbound.check.may_recommend",
    ],
)
async def test_whatever_fails_on_the_way_is_a_refusal(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    product = await a_product(session, rating=2)
    world = await a_world(session, products=[product], risk=2)
    monkeypatch.setattr(part, broken)
    answer = await world.refused()
    assert answer.cause is Cause.UNABLE
    assert "内容没有发出" in answer.reasons[0]
    assert all(row.state is OutboundState.REFUSED for row in await world.rows())


async def test_rules_that_raise_block(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compliance.guard.check", broken)
    answer = await world.refused()
    assert "合规检查未能完成" in answer.reasons[0]
    assert wording.check is not broken


async def test_a_table_that_is_gone_is_a_refusal_and_the_transaction_lives(world: World) -> None:
    await world.session.execute(sql("ALTER TABLE consent RENAME TO lost"))
    assert (await world.refused()).cause is Cause.UNABLE
    await world.session.execute(sql("ALTER TABLE lost RENAME TO consent"))
    assert isinstance(await world.says(), Cleared)


async def test_words_that_cannot_be_written_down_do_not_go_out(world: World) -> None:
    await world.session.execute(sql("ALTER TABLE outbound_message RENAME TO lost"))
    assert (await world.refused()).cause is Cause.UNABLE
    await world.session.execute(sql("ALTER TABLE lost RENAME TO outbound_message"))


async def test_judging_alone_writes_nothing(world: World) -> None:
    await check(world.session, world.saying(), world.policy, world.now)
    assert await world.rows() == []


# ------------------------------------------------------------------------------------- the rows


async def test_the_same_words_again_are_the_same_row(world: World) -> None:
    one, two = await world.cleared(), await world.cleared()
    assert one.message_id == two.message_id


async def test_other_words_take_the_place_of_what_was_not_sent(world: World) -> None:
    await world.cleared()
    await world.cleared("李女士，" + world.version.body)
    states = sorted(row.state.value for row in await world.rows())
    assert states == ["cleared", "unsent"]


async def test_what_was_sent_is_never_said_again_in_other_words(world: World) -> None:
    await world.cleared()
    row = await records.sent(world.session, "suggestion", "s1", world.now)
    assert row is not None
    answer = await world.refused("李女士，" + world.version.body)
    assert answer.reasons == (reasons.SAID_ALREADY,)


async def test_the_platforms_word_counts_more_than_ours(world: World) -> None:
    await world.cleared()
    assert await records.unsent(world.session, "suggestion", ["s1"], world.now) == 1
    world.session.expire_all()
    row = await records.sent(world.session, "suggestion", "s1", world.now)
    assert row is not None
    assert row.state is OutboundState.SENT


async def test_the_database_lets_nothing_blocked_through(world: World) -> None:
    await world.refused("您好，这款产品保本保息，您放心买。")
    await world.session.commit()
    with pytest.raises(IntegrityError):
        await world.session.execute(sql("UPDATE outbound_message SET state = 'cleared'"))


async def test_the_database_keeps_one_open_text_for_each_thing(world: World) -> None:
    await world.cleared()
    row = await world.row()
    fields = row.model_dump(exclude={"id"})
    world.session.add(OutboundMessage(**fields))
    with pytest.raises(IntegrityError):
        await world.session.flush()


# ------------------------------------------------------------------------------------ alerts (C-33)


async def test_misconduct_raises_one_alert_however_often_it_is_pressed(world: World) -> None:
    for _ in range(3):
        await world.refused("您把钱转到我个人账户，我帮您代为操作。")
    assert len(await world.rows()) == 3
    [alert] = await world.alerts()
    assert alert.categories == ["misconduct"]
    assert alert.raised_at == world.now


async def test_an_ordinary_refusal_raises_none(world: World) -> None:
    await world.refused("您好，这款产品保本保息，您放心买。")
    assert await world.alerts() == []


async def test_misconduct_is_told_even_where_something_else_refused_it(world: World) -> None:
    world.version.valid_until = world.now - timedelta(hours=1)
    await world.session.flush()
    answer = await world.refused("您把钱转到我个人账户，我帮您代为操作。")
    assert answer.cause is Cause.MATERIAL
    assert len(await world.alerts()) == 1


async def test_consent_of_another_purpose_is_no_consent(world: World) -> None:
    await world.session.execute(sql("UPDATE consent SET purpose = 'profiling'"))
    assert (await world.refused(marketing=True)).cause is Cause.CONSENT
    assert Consent.__tablename__ == "consent"

"""`siyu evidence`: the pack is complete, masked, and no byte of it changes unnoticed."""

import asyncio
import json
import random
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner, Result

from attribution.models import Device, Opener, Opening, TrackedLink
from bank import audit
from bank.audit_heads import open_heads
from bank.models import Role
from bank.settings import Settings
from bank.signing import open_signer
from bot.cli import app
from bot.evidence.checking import faults_of
from bot.evidence.making import NoSuchSubject, NotPermitted, Order, make_pack
from bot.evidence.pack import OutNotEmpty
from content.files import LocalFileStore
from content.models import Version
from customers import holds
from customers.models import FollowState
from tests.bot.evidencing import FILE, MOBILE, History, a_history
from tests.builders import MONDAY, a_staff, an_approved_material
from tests.journeys.test_killed import environment

LATER = MONDAY + timedelta(days=1)
run = CliRunner()


@pytest.fixture
async def history(session: AsyncSession, settings: Settings) -> History:
    """A customer with a history."""
    return await a_history(session, LocalFileStore(settings.home / "files"))


async def packed(settings: Settings, history: History, out: Path, **options: Any) -> Path:
    """A pack about the customer."""
    order = Order("customer", history.customer.id, out, **options)
    await make_pack(settings, order, LATER)
    return out


def rows(pack: Path, name: str) -> Any:
    """A file of the pack."""
    return json.loads((pack / name).read_text(encoding="utf-8"))


def of_version(pack: Path, version: Version) -> Any:
    """What the pack holds of a version."""
    named = [rows(pack, f"versions/{path.name}") for path in (pack / "versions").glob("*.json")]
    [found] = [row for row in named if row["id"] == str(version.id)]
    return found


def everything(pack: Path) -> str:
    """All of the pack's text."""
    files = [path for path in pack.rglob("*") if path.suffix in (".json", ".html")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


async def test_a_pack_holds_the_links_the_customer_was_sent_and_what_was_opened(
    session: AsyncSession, settings: Settings, history: History, tmp_path: Path
) -> None:
    article, contact = await an_approved_material(session), str(history.customer.external_userid)
    for customer, code in ((history.customer, "a" * 32), (history.other, "b" * 32)):
        session.add(
            TrackedLink(
                code=code, source="suggestion", source_id=code, version_id=article.id,
                customer_id=customer.id, contact=str(customer.external_userid),
                channel="single_chat", made_at=MONDAY,
            )
        )  # fmt: skip
        await session.flush()
        session.add(
            Opening(
                code=code, version_id=article.id, material_id=article.material_id, at=MONDAY,
                customer_id=customer.id, device=Device.PHONE, opener=Opener.PRESUMED, timed=True,
                seconds=42,
            )
        )  # fmt: skip
    await session.commit()
    pack = await packed(settings, history, tmp_path / "pack")
    [link], [opening] = rows(pack, "tracked_links.json"), rows(pack, "openings.json")
    assert (link["code"], opening["code"], opening["seconds"]) == ("a" * 32, "a" * 32, 42)
    assert contact not in everything(pack)


async def test_a_pack_holds_what_was_kept_about_the_customer_and_of_nobody_else(
    settings: Settings, history: History, tmp_path: Path
) -> None:
    pack = await packed(settings, history, tmp_path / "pack")
    assert [row["id"] for row in rows(pack, "suggestions.json")] == [str(history.suggestion.id)]
    assert rows(pack, "suggestions.json")[0]["candidates"]
    assert [row["id"] for row in rows(pack, "touches.json")] == [str(history.touch.id)]
    assert rows(pack, "attempts.json")[0]["msgid"] == "msg-1"
    assert len(rows(pack, "touchpoints.json")) == len(rows(pack, "welcomes.json")) == 1
    assert rows(pack, "consents.json")[0]["text_version"] == "2026-01"
    assert str(history.other.id) not in everything(pack)
    assert "赵无关" not in everything(pack)
    assert faults_of(pack, open_signer(settings)) == []


async def test_versions_are_kept_to_the_byte_with_their_hash_computed_again(
    settings: Settings, history: History, tmp_path: Path
) -> None:
    pack = await packed(settings, history, tmp_path / "pack")
    assert of_version(pack, history.tried)["body"] == history.tried.body
    version = of_version(pack, history.version)
    assert version["body"] == history.version.body
    assert version["sha256"] == version["sha256_now"] == history.version.sha256
    assert version["unchanged"] is True
    assert (pack / version["file"]).read_bytes() == FILE


async def test_a_version_whose_file_was_exchanged_says_so(
    settings: Settings, history: History, tmp_path: Path
) -> None:
    assert history.version.file_id is not None
    await LocalFileStore(settings.home / "files").put(history.version.file_id, b"other")
    pack = await packed(settings, history, tmp_path / "pack")
    assert of_version(pack, history.version)["unchanged"] is False
    assert "不一致" in (pack / "index.html").read_text()
    shutil.rmtree(settings.home / "files")
    again = await packed(settings, history, tmp_path / "again")
    assert "没有这个文件的原件" in of_version(again, history.version)["file"]


async def test_moments_tell_levels_consent_and_relation_as_they_were(
    settings: Settings, history: History, session: AsyncSession, tmp_path: Path
) -> None:
    pack = await packed(settings, history, tmp_path / "pack")
    suggestion, touch = [r for r in rows(pack, "moments.json") if r["what"] != "outbound"]
    assert (suggestion["what"], suggestion["verdict"]) == ("suggestion", "pass")
    assert suggestion["ceiling_recorded"] == 3
    assert (touch["what"], touch["customer_level"], touch["product_level"]) == ("touch", 3, 2)
    assert len(touch["consents"]) == 1
    assert touch["followed"] is True
    history.customer.risk_assessed_at = LATER
    history.follow.state, history.follow.removed_at = FollowState.GONE, MONDAY
    await session.commit()
    later = rows(await packed(settings, history, tmp_path / "later"), "moments.json")
    [touch] = [row for row in later if row["what"] == "touch"]
    assert (touch["customer_level"], touch["ceiling"], touch["followed"]) == (None, None, False)
    assert "重新测评" in touch["level_source"]


async def test_what_was_said_and_refused_is_a_chapter_with_its_alerts_and_levels_of_then(
    settings: Settings, history: History, session: AsyncSession, tmp_path: Path
) -> None:
    history.customer.risk_level, history.customer.risk_assessed_at = 5, LATER
    await session.commit()
    pack = await packed(settings, history, tmp_path / "pack")
    said = {row["source"]: row for row in rows(pack, "outbound.json")}
    assert {source: row["state"] for source, row in said.items()} == {
        "touch": "cleared", "suggestion": "refused",
    }  # fmt: skip
    assert said["touch"]["versions"][0]["version_id"] == str(history.version.id)
    [alert] = rows(pack, "conduct_alerts.json")
    assert alert["message_id"] == said["suggestion"]["id"]
    moments = {r["id"]: r for r in rows(pack, "moments.json") if r["what"] == "outbound"}
    then = moments[said["suggestion"]["id"]]
    assert (then["customer_level"], then["ceiling_recorded"], then["verdict"]) == (3, 3, "block")
    assert said["touch"]["consent_id"] in moments[said["touch"]["id"]]["consents"]
    page = (pack / "index.html").read_text()
    assert "已拦截" in page
    assert "行为风险（飞单、资金往来、私下承诺等）" in page
    await make_pack(settings, Order("touch", history.touch.id, tmp_path / "touch"), LATER)
    assert [row["source"] for row in rows(tmp_path / "touch", "outbound.json")] == ["touch"]
    assert rows(tmp_path / "touch", "conduct_alerts.json") == []


async def test_personal_data_is_masked_and_the_book_still_fits(
    settings: Settings, history: History, tmp_path: Path
) -> None:
    pack = await packed(settings, history, tmp_path / "pack")
    told = everything(pack)
    customer = history.customer
    for secret in (MOBILE, "李晓岚", customer.bank_no, customer.external_userid):
        assert str(secret) not in told
    assert "李**" in told
    [stage] = [r for r in rows(pack, "audit.json") if r["action"] == "customers:customer:stage"]
    assert stage["masked"] is True
    assert "[" in stage["detail"]["note"]
    assert faults_of(pack, open_signer(settings)) == []


async def test_audit_lines_carry_their_links(
    settings: Settings, history: History, tmp_path: Path
) -> None:
    pack = await packed(settings, history, tmp_path / "pack")
    lines = rows(pack, "audit.json")
    assert {line["action"] for line in lines} == {
        "content:version:approve", "customers:customer:stage", "scheduler:touch:cancel",
    }  # fmt: skip
    assert all(line["position"] and len(line["chain"]) == 64 for line in lines)
    assert str(history.other.id) not in {line["subject_id"] for line in lines}


async def test_a_pack_about_a_touch_holds_that_touch_alone(
    settings: Settings, history: History, tmp_path: Path
) -> None:
    await make_pack(settings, Order("touch", history.touch.id, tmp_path / "pack"), LATER)
    pack = tmp_path / "pack"
    assert rows(pack, "manifest.json")["about"] == {"touch": str(history.touch.id)}
    assert [row["id"] for row in rows(pack, "touches.json")] == [str(history.touch.id)]
    assert not (pack / "messages.json").exists()
    assert len(list((pack / "versions").glob("*.json"))) == 1
    assert faults_of(pack, open_signer(settings)) == []


async def test_no_byte_of_any_file_changes_unnoticed(
    settings: Settings, history: History, tmp_path: Path
) -> None:
    pack, signer, dice = tmp_path / "pack", open_signer(settings), random.Random(5)
    await packed(settings, history, pack)
    for path in sorted(p for p in pack.rglob("*") if p.is_file()):
        before = path.read_bytes()
        for _ in range(12):
            changed = bytearray(before)
            changed[dice.randrange(len(before))] ^= 1 << dice.randrange(8)
            path.write_bytes(changed)
            assert faults_of(pack, signer), path.name
        path.write_bytes(before[:-2])
        assert faults_of(pack, signer), path.name
        path.unlink()
        assert faults_of(pack, signer), path.name
        path.write_bytes(before)
    (pack / "planted.json").write_text("[]")
    assert faults_of(pack, signer) == ["planted.json 不在清单中"]
    (pack / "planted.json").unlink()
    assert faults_of(pack, signer) == []


async def test_a_pack_signed_anew_by_somebody_else_is_refused_unless_their_key_is_trusted(
    settings: Settings, history: History, tmp_path: Path
) -> None:
    pack = await packed(settings, history, tmp_path / "pack")
    theirs = open_signer(settings.model_copy(update={"home": tmp_path / "elsewhere"}))
    [fault] = faults_of(pack, theirs)
    assert "未知密钥" in fault
    public = open_heads(settings).signer.public_text
    assert faults_of(pack, theirs.trusting(public)) == []


async def test_taking_a_pack_is_a_line_of_the_book(
    settings: Settings, history: History, session: AsyncSession, tmp_path: Path
) -> None:
    await packed(settings, history, tmp_path / "pack")
    [line] = await audit.history(session, "evidence", history.customer.id)
    assert (line.action, line.actor) == ("bot:evidence:pack", audit.SYSTEM)
    assert line.detail["personal"] is False


async def test_personal_data_needs_compliance_and_a_lot_of_it_a_second_person(
    settings: Settings, history: History, session: AsyncSession, tmp_path: Path
) -> None:
    zhoulan, auditor = history.compliance, await a_staff(session, Role.AUDITOR)
    await session.commit()

    async def take(name: str, **who: str) -> Path:
        return await packed(settings, history, tmp_path / name, personal=True, **who)

    for by in ("", "nobody", history.rm.userid, auditor.userid):
        with pytest.raises(NotPermitted, match="compliance"):
            await take("refused", by=by)
    pack = await take("few", by=zhoulan.userid)
    assert MOBILE in everything(pack)
    assert "李晓岚" in everything(pack)
    assert faults_of(pack, open_signer(settings)) == []
    for _ in range(100):
        audit.record(session, "customers:customer:stage", history.customer.id, by="a", now=MONDAY)
    await session.commit()
    for second in ("", zhoulan.userid, history.rm.userid):
        with pytest.raises(NotPermitted, match="second"):
            await take("refused", by=zhoulan.userid, second=second)
    assert not (tmp_path / "refused").exists()
    pack = await take("many", by=zhoulan.userid, second=auditor.userid)
    assert rows(pack, "manifest.json")["second"] == auditor.userid


async def test_the_pack_says_how_long_it_must_be_kept(
    settings: Settings, history: History, session: AsyncSession, tmp_path: Path
) -> None:
    pack = await packed(settings, history, tmp_path / "lasting")
    terms = {"relation_ended": None, "kept_until": None, "legal_hold": False}
    assert rows(pack, "manifest.json")["terms"] == terms
    history.follow.state, history.follow.removed_at = FollowState.GONE, MONDAY
    await holds.place(session, history.customer, "案件", by="zhoulan", now=MONDAY)
    await session.commit()
    told = rows(await packed(settings, history, tmp_path / "ended"), "manifest.json")["terms"]
    assert (told["kept_until"], told["legal_hold"]) == ("2046-11-23", True)


async def test_a_pack_is_never_mixed_with_other_files(
    settings: Settings, history: History, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(OutNotEmpty):
        await packed(settings, history, tmp_path / "full")
    nobody = Order("customer", history.touch.id, tmp_path / "pack")
    with pytest.raises(NoSuchSubject):
        await make_pack(settings, nobody, LATER)


async def test_the_page_of_a_pack_runs_nothing_that_a_customer_wrote(
    settings: Settings, history: History, session: AsyncSession, tmp_path: Path
) -> None:
    history.customer.name = "<script>alert(1)</script>"
    await session.commit()
    page = (await packed(settings, history, tmp_path / "pack") / "index.html").read_text()
    assert "<script" not in page
    assert "证据包" in page


async def siyu(settings: Settings, *command: str) -> Result:
    """The command, as an operator types it."""
    arguments = ["evidence", *command]
    return await asyncio.to_thread(run.invoke, app, arguments, env=environment(settings))


async def test_from_the_command_line_it_is_made_and_checked(
    settings: Settings, history: History, tmp_path: Path
) -> None:
    out = tmp_path / "pack"
    made = await siyu(settings, "--customer", str(history.customer.id), "--out", str(out))
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["files"] == len([p for p in out.rglob("*") if p.is_file()])
    checked = await siyu(settings, "--verify", str(out))
    assert (checked.exit_code, "完好" in checked.stdout) == (0, True)
    (out / "touches.json").write_text("[]")
    checked = await siyu(settings, "--verify", str(out))
    assert checked.exit_code == 1
    assert "touches.json 被改动" in checked.stdout


async def test_odd_usage_is_told_apart(settings: Settings, tmp_path: Path) -> None:
    assert (await siyu(settings)).exit_code == 2
    assert (await siyu(settings, "--customer", "x", "--out", "y")).exit_code == 2
    missing = await siyu(settings, "--verify", str(tmp_path))
    assert missing.exit_code == 1
    assert "manifest.json 缺失" in missing.stdout

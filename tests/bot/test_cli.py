"""`siyu` from outside: exit codes, one line of reason, JSON in and out."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from bank.settings import Settings
from bot.cli import app
from tests.builders import a_customer, an_approved_material
from tests.journeys.test_killed import environment

run = CliRunner()


def test_guard_judges_line_by_line_in_order() -> None:
    lines = [
        {"text": "这款理财保本保息，您放心买"},
        {"text": "理财非存款，产品有风险，投资须谨慎。"},
        {"text": "请问你们保本吗", "role": "customer"},
    ]
    told = run.invoke(app, ["guard"], input="\n".join(json.dumps(line) for line in lines))
    assert told.exit_code == 0
    verdicts = [json.loads(line) for line in told.stdout.splitlines()]
    assert [v["verdict"] for v in verdicts] == ["block", "pass", "pass"]
    finding = verdicts[0]["findings"][0]
    assert {"category", "start", "end", "reason", "rule"} <= finding.keys()


def test_guard_refuses_an_unknown_role_as_wrong_usage() -> None:
    assert run.invoke(app, ["guard", "--role", "king"], input="").exit_code == 2


def test_guard_points_out_products_that_are_not_in_the_file_and_without_one_looks_for_none(
    tmp_path: Path,
) -> None:
    sold = tmp_path / "products.txt"
    sold.write_text("\ufeff安鑫月享37号\n\n远航均衡配置混合型基金A\n", encoding="utf-8")
    lines = [{"text": "推荐您看看安鑫月享37号"}, {"text": "推荐您看看恒泰稳盈3号"}]
    stdin = "\n".join(json.dumps(line) for line in lines)

    def unlisted(*options: str) -> list[list[str]]:
        told = run.invoke(app, ["guard", *options], input=stdin)
        assert told.exit_code == 0
        found = [json.loads(line)["findings"] for line in told.stdout.splitlines()]
        return [[f["rule"] for f in of if f["category"] == "unlisted_product"] for of in found]

    assert unlisted("--products", str(sold)) == [[], ["unlisted_product.name"]]
    assert unlisted() == [[], []]


def test_guard_says_that_a_missing_or_foreign_list_is_wrong_usage(tmp_path: Path) -> None:
    foreign = tmp_path / "gbk.txt"
    foreign.write_bytes("安鑫月享37号".encode("gbk"))
    for path in (foreign, tmp_path / "nowhere.txt"):
        assert run.invoke(app, ["guard", "--products", str(path)], input="").exit_code == 2


def test_retrieve_answers_each_query(tmp_path: Path) -> None:
    corpus = [{"id": "a", "text": "赎回多久到账"}, {"id": "b", "text": "怎么修改交易密码"}]
    queries = [{"id": "q", "text": "我的密码想改一下"}]
    for name, rows in (("c", corpus), ("q", queries)):
        text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    out = tmp_path / "run.jsonl"
    files = ["--corpus", str(tmp_path / "c.jsonl"), "--queries", str(tmp_path / "q.jsonl")]
    assert run.invoke(app, ["retrieve", *files, "--out", str(out)]).exit_code == 0
    [row] = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert row["hits"][0]["id"] == "b"
    assert 0 <= row["confidence"] <= 1
    assert row["tier"] in ("answer", "candidates", "none")


async def test_importing_twice_changes_nothing(
    settings: Settings, session: AsyncSession, tmp_path: Path
) -> None:
    customer = await a_customer(session)
    await session.commit()
    file = tmp_path / "november.csv"
    file.write_text(
        "reference,customer_no,product_code,amount,happened_at\n"
        f"T1,{customer.bank_no},P1,100.01,2026-11-20 10:30:00\n"
        f"T2,{customer.bank_no},P1,abc,2026-11-20 10:30:00\n",
        encoding="utf-8",
    )
    counts, said = await _import(settings, file)
    assert (counts["read"], counts["new"], counts["rejected"]) == (2, 1, 1)
    beside = tmp_path / "november.csv.rejects.csv"
    assert "abc" in beside.read_text(encoding="utf-8-sig")
    assert said.endswith(f"1 rows not taken, why: {beside}\n")
    counts, _ = await _import(settings, file)
    assert (counts["new"], counts["same"]) == (0, 1)


async def _import(settings: Settings, file: Path) -> tuple[dict[str, int], str]:
    import asyncio

    command = ["import", "conversions", str(file)]
    told = await asyncio.to_thread(run.invoke, app, command, env=environment(settings))
    assert told.exit_code == 0, told.output
    counts: dict[str, int] = json.loads(told.stdout)
    return counts, told.stderr


async def test_matching_does_what_is_left_and_all_only_when_asked(
    settings: Settings, session: AsyncSession
) -> None:
    import asyncio

    await a_customer(session)
    await an_approved_material(session, now=datetime.now(UTC))
    await session.commit()

    async def matched(*flags: str) -> dict[str, int]:
        command = ["match", *flags]
        told = await asyncio.to_thread(run.invoke, app, command, env=environment(settings))
        assert told.exit_code == 0, told.output
        counts: dict[str, int] = json.loads(told.stdout)
        return counts

    assert await matched() == {
        "generation": 1, "matched_now": 1, "customers": 1, "materials": 1, "matches": 1,
    }  # fmt: skip
    assert (await matched())["matched_now"] == 0
    assert (await matched("--all"))["matched_now"] == 1


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "serve",
        "migrate",
        "doctor",
        "import",
        "guard",
        "retrieve",
        "tune",
        "replay",
        "judge",
        "match",
        "evidence",
    ],
)
def test_every_verb_has_help_with_an_example(command: str) -> None:
    told = run.invoke(app, [command, "--help"])
    assert told.exit_code == 0
    assert "Example" in told.stdout


def test_replay_of_nothing_says_so(settings: Settings) -> None:
    missing = "00000000-0000-4000-8000-000000000000"
    told = run.invoke(app, ["replay", missing], env=environment(settings))
    assert told.exit_code == 1
    assert "no suggestion" in told.stderr


def test_doctor_says_what_to_do(settings: Settings) -> None:
    told = run.invoke(app, ["doctor"], env=environment(settings))
    assert told.exit_code == 1
    assert "ok   schema: current" in told.stdout
    assert "FAIL public address: http://127.0.0.1:8800 cannot be reached by WeCom" in told.stdout
    assert "→ WeCom needs a public https address" in told.stdout
    assert "→ 请把 SIYU_PUBLIC_URL 设为反向代理对外的 https 地址" in told.stdout

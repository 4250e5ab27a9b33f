"""`siyu tune` from outside: taught phrasings, measured on others, loaded by a setting."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
import structlog
import yaml
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner, Result

from bank.database import utc_now
from bank.settings import Settings
from bot.app import open_parts
from bot.cli import app
from bot.demo import library as demo
from bot.loops import catch_up_library
from content.models import State
from knowledge.contrastive import Schedule
from knowledge.encoder import StaticEncoder, open_encoder
from knowledge.hybrid import HybridIndex
from knowledge.index import IndexDamaged
from knowledge.sentence_training import batches
from knowledge.training.intents import read_intents
from knowledge.tuning import LEAST_MATERIALS, TooFewPhrasings, lesson, reminders
from tests.builders import an_approved_material
from tests.journeys.test_killed import ROOT, environment

run = CliRunner()
needs_models = pytest.mark.skipif(
    find_spec("sentence_transformers") is None, reason="needs the models extra"
)
QUICK = ("--steps", "12")
# A rate at which nothing is learnt and much is forgotten.
RUINOUS = ("--steps", "3", "--rate", "9")


def library() -> dict[str, list[str]]:
    """Material code → its example questions, as the demo has them."""
    files = sorted((Path(demo.__file__).parent / "materials").glob("*.yaml"))
    rows = [row for file in files for row in yaml.safe_load(file.read_text(encoding="utf-8"))]
    return {row["code"]: row["questions"] for row in rows if len(row["questions"]) > 3}


LIBRARY = dict(list(library().items())[:30])


@pytest.fixture
def phrasings(tmp_path: Path) -> Path:
    """Their phrasings as a file."""
    return written(tmp_path / "phrasings.jsonl", LIBRARY)


def written(file: Path, phrasings: Mapping[str, list[str]]) -> Path:
    rows = [{"id": name, "text": text} for name, texts in phrasings.items() for text in texts]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def tune(*options: object, **around: str) -> Result:
    """The command, as an operator types it."""
    return run.invoke(app, ["tune", *map(str, options)], env=around)


def told(*options: object, **around: str) -> dict[str, object]:
    """The same as JSON; it must have worked."""
    result = tune(*options, "--json", **around)
    assert result.exit_code == 0, (result.output, result.exception)
    facts: dict[str, object] = json.loads(result.stdout)
    return facts


# ------------------------------------------------------------------------------- the table


def test_a_table_is_taught_measured_and_written_with_its_card(
    phrasings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "ours.npz"
    result = tune("--phrasings", phrasings, "--out", out, "--seed", 3, "--anyway", *QUICK)
    assert result.exit_code == 0, result.output
    assert "30 materials: 90 phrasings learnt, 30 held back" in result.stdout
    assert f"SIYU_ENCODER={out}" in result.stdout
    card = (tmp_path / "ours.md").read_text(encoding="utf-8")
    for fact in ("builtin-", "phrasings.jsonl", "| 90 |", "| 30 |", "3, 12, 0.005", "search after"):
        assert fact in card, fact
    assert not any(text in card for texts in LIBRARY.values() for text in texts)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "ours.md", "ours.npz", "phrasings.jsonl",
    ]  # fmt: skip


def test_it_finds_what_was_held_back_better_than_before(tmp_path: Path) -> None:
    everything = written(tmp_path / "all.jsonl", library())
    facts = told("--phrasings", everything, "--out", tmp_path / "a.npz", "--steps", 200)
    was, now = facts["alone_before"], facts["alone_after"]
    assert now["mrr"] > was["mrr"] + 0.03  # type: ignore[index]
    assert facts["search_after"]["mrr"] >= facts["search_before"]["mrr"]  # type: ignore[index]
    assert facts["better"] >= facts["worse"]  # type: ignore[operator]


def test_the_same_seed_writes_the_same_file_and_another_seed_another(
    phrasings: Path, tmp_path: Path
) -> None:
    def made(name: str, seed: int) -> bytes:
        out = tmp_path / f"{name}.npz"
        told("--phrasings", phrasings, "--out", out, "--seed", seed, "--anyway", *QUICK)
        return out.read_bytes()

    assert made("one", 1) == made("again", 1) != made("other", 2)


def test_a_tuned_table_can_be_tuned_on(phrasings: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    told("--phrasings", phrasings, "--out", first, "--anyway", *QUICK)
    facts = told("--phrasings", phrasings, "--base", first, "--out", second, "--anyway", *QUICK)
    assert facts["base"] == open_encoder(str(first)).name
    assert open_encoder(str(second)).name not in (facts["base"], open_encoder("builtin").name)


def test_what_makes_searches_worse_is_not_written_unless_it_is_wished(
    phrasings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "worse.npz"
    refused = siyu("--phrasings", phrasings, "--out", out, *RUINOUS)
    assert refused.returncode == 1
    assert refused.stderr.startswith("siyu: not written: searches got worse on the 30 phrasings")
    assert "--anyway" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert "search after" in refused.stdout
    assert list(tmp_path.iterdir()) == [phrasings]
    facts = told("--phrasings", phrasings, "--out", out, *RUINOUS, "--anyway")
    assert facts["search_after"]["mrr"] < facts["search_before"]["mrr"]  # type: ignore[index]
    assert out.exists()


def siyu(*options: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "bot", "tune", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_on_a_terminal_a_bar_shows_how_far_it_is(phrasings: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bot", "tune", "--phrasings", str(phrasings), *QUICK]
    command += ["--out", str(tmp_path / "bar.npz"), "--anyway", "--json"]
    ours, theirs = pty.openpty()
    wide = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        command, cwd=ROOT, env=wide, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b"".join(_until_closed(ours))
        stdout, _ = process.communicate()
    os.close(ours)
    assert process.returncode == 0, shown
    assert "12/12" in shown.decode()
    assert json.loads(stdout)["steps"] == 12


def _until_closed(terminal: int) -> Iterator[bytes]:
    with suppress(OSError):
        while part := os.read(terminal, 4096):
            yield part


# --------------------------------------------------------------------------- what is refused


def test_too_few_phrasings_are_refused_with_how_many_are_needed(tmp_path: Path) -> None:
    few = {name: texts[:3] for name, texts in list(LIBRARY.items())[: LEAST_MATERIALS - 1]}
    few["pairs only"] = ["怎么买", "哪里买"]
    with pytest.raises(TooFewPhrasings, match=r"20 materials with 3 different phrasings.*19 have"):
        lesson([(name, text) for name, texts in few.items() for text in texts], seed=1)
    file = written(tmp_path / "few.jsonl", few)
    refused = siyu("--phrasings", file, "--out", tmp_path / "x.npz")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("siyu: tuning needs 20 materials with 3 different phrasings")


def test_an_encoder_that_is_there_is_never_replaced(phrasings: Path, tmp_path: Path) -> None:
    out = tmp_path / "ours.npz"
    out.write_bytes(b"in use")
    refused = tune("--phrasings", phrasings, "--out", out)
    assert refused.exit_code == 1
    assert "is there already" in str(refused.exception)
    assert out.read_bytes() == b"in use"


@pytest.mark.parametrize(
    "options",
    [
        ("--out", "table"),
        ("--out", "model.npz", "--base", "some/model"),
        ("--phrasings", "nowhere.jsonl", "--out", "x.npz"),
        ("--out", "x.npz", "--seed", "-1"),
        (),
    ],
)
def test_wrong_usage_is_told_at_once(options: tuple[str, ...], tmp_path: Path) -> None:
    assert tune(*options).exit_code == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": "A"}', "phrasing 1: needs an id and a text"),
        ('{"id": "A", "text": 5}', "phrasing 1: its text is no string"),
        ("[1]", "phrasing 1: needs an id and a text"),
    ],
)
def test_a_row_that_is_no_phrasing_is_named(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "odd.jsonl"
    file.write_text(line, encoding="utf-8")
    refused = tune("--phrasings", file, "--out", tmp_path / "x.npz")
    assert refused.exit_code == 1
    assert reason in str(refused.exception)


# ------------------------------------------------------------------------ what is held back


def phrasings_of(size: int) -> list[tuple[str, str]]:
    rows = [(name, text) for name, texts in LIBRARY.items() for text in texts]
    return rows[: 4 * size]


def test_one_phrasing_of_each_material_is_held_back_and_not_learnt() -> None:
    known = lesson(phrasings_of(25), seed=1)
    assert [name for name, _ in known.asked] == sorted(list(LIBRARY)[:25])
    for name, text in known.asked:
        assert text in LIBRARY[name]
        assert sorted([text, *known.taught[name]]) == sorted(LIBRARY[name])
    assert lesson(reversed(phrasings_of(25)), seed=1) == known
    assert lesson(phrasings_of(25), seed=2).asked != known.asked


def test_what_two_materials_have_and_what_is_said_twice_is_left_out() -> None:
    rows = phrasings_of(25)
    shared, twice = rows[0], rows[4]
    known = lesson([*rows, (rows[-1][0], f"{shared[1]}？"), (twice[0], f" {twice[1]}！")], seed=1)
    everything = [*known.asked, *((n, t) for n, texts in known.taught.items() for t in texts)]
    assert known.unclear == 1
    assert sorted(everything) == sorted(rows[1:])


def test_no_sentence_of_the_table_is_learnt_that_is_a_phrasing_of_the_bank_or_held_back() -> None:
    theirs = next(iter(read_intents().values()))[:2]
    rows = [
        *phrasings_of(25),
        ("OURS", theirs[0]),
        ("OURS", f"{theirs[1]}？"),
        ("OURS", "别的问法"),
    ]
    known = lesson(rows, seed=1)
    learnt = {text for texts in reminders(known) for text in texts}
    everything = {text for texts in read_intents().values() for text in texts}
    assert set(theirs) <= everything - learnt
    assert len(everything - learnt) < 30


def test_no_batch_has_two_pairs_of_a_material() -> None:
    meanings = list(LIBRARY.values())
    drawn = batches(meanings, Schedule(steps=9, batch=8, seed=4))
    assert len(drawn) == 9
    assert drawn == batches(meanings, Schedule(steps=9, batch=8, seed=4))
    owner = {text: number for number, texts in enumerate(meanings) for text in texts}
    for batch in drawn:
        pairs = [(owner[first], owner[second]) for first, second in batch]
        assert all(first == second for first, second in pairs)
        assert len({first for first, _ in pairs}) == len(batch) >= 7
        assert all(first != second for first, second in batch)
    # In a round of four batches every material comes once.
    assert len({owner[first] for batch in drawn[:4] for first, _ in batch}) == 30


# ---------------------------------------------------------------- the library, and its index


async def a_library(session: AsyncSession) -> None:
    """Twenty-two live materials; one withdrawn, one at its end, one that waits for review."""
    now = utc_now()
    for name, questions in list(LIBRARY.items())[:22]:
        await an_approved_material(session, title=name, questions=questions, now=now)
    others = iter(list(LIBRARY.values())[22:])
    for state in (State.WITHDRAWN, State.SUBMITTED):
        await an_approved_material(session, questions=next(others), now=now, state=state)
    long_ago = now - timedelta(days=400)
    await an_approved_material(session, questions=next(others), now=long_ago)
    await session.commit()


async def test_the_librarys_own_phrasings_are_learnt_and_the_index_is_built_again(
    settings: Settings, session: AsyncSession, tmp_path: Path
) -> None:
    await a_library(session)
    around, out = environment(settings), tmp_path / "ours.npz"

    async def index(verb: str, **more: str) -> Result:
        command = ["index", verb, "--json"] if verb == "status" else ["index", verb]
        return await asyncio.to_thread(run.invoke, app, command, env=around | more)

    assert (await index("rebuild")).exit_code == 0
    old = json.loads((await index("status")).stdout)
    facts = await asyncio.to_thread(told, "--out", out, "--anyway", *QUICK, **around)
    assert (facts["materials"], facts["held_back"], facts["taught"]) == (22, 22, 66)
    ours = {"SIYU_ENCODER": str(out)}
    stale = await index("status", **ours)
    assert stale.exit_code == 1
    assert "encoder differs" in stale.stdout
    # What the verbs logged to is closed by now.
    structlog.reset_defaults()
    async with open_parts(settings.model_copy(update={"encoder": str(out)})) as parts:
        await catch_up_library(parts)
        assert len(parts.index.hybrid) == 23
        assert parts.index.hybrid.generation != old["generation"]
    assert (await index("rebuild", **ours)).exit_code == 0
    built = json.loads((await index("status", **ours)).stdout)
    assert (built["damage"], built["documents"]) == ("", 23)
    assert built["generation"] != old["generation"]
    assert (await index("status")).exit_code == 1


# -------------------------------------------------------------------------- sentence models


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A real sentence-transformers model, untrained and tiny: one layer of 32 numbers."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers import BertConfig, BertModel, BertTokenizer

    letters = sorted({letter for texts in LIBRARY.values() for letter in "".join(texts).lower()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    torch.manual_seed(1)
    words, bare = tmp_path / "vocab.txt", tmp_path / "bert"
    words.write_text("\n".join(vocabulary), encoding="utf-8")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 64}
    heads = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_dropout_prob": 0.0}
    BertModel(BertConfig(vocab_size=len(vocabulary), **sizes, **heads)).save_pretrained(bare)
    BertTokenizer(str(words)).save_pretrained(bare)
    made = tmp_path / "model"
    SentenceTransformer(str(bare), device="cpu").save_pretrained(str(made), create_model_card=False)
    return made


@pytest.mark.extras
@needs_models
@pytest.mark.filterwarnings("default")
def test_a_sentence_model_is_tuned_with_its_own_trainer_and_loads(
    model: Path, phrasings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tuned"
    learn = ("--steps", "40", "--rate", "0.01", "--anyway")
    facts = told("--phrasings", phrasings, "--base", model, "--out", out, *learn)
    assert facts["alone_after"]["mrr"] > facts["alone_before"]["mrr"] + 0.2  # type: ignore[index]
    assert f"SIYU_ENCODER={out}" in (out / "README.md").read_text(encoding="utf-8")
    before, after = open_encoder(str(model)), open_encoder(str(out))
    assert not isinstance(after, StaticEncoder)
    assert before.name != after.name
    again = tmp_path / "again"
    told("--phrasings", phrasings, "--base", model, "--out", again, *learn)
    assert open_encoder(str(again)).name.removeprefix("again") == after.name.removeprefix("tuned")


@pytest.mark.extras
@needs_models
@pytest.mark.filterwarnings("default")
def test_another_model_in_the_same_folder_is_another_encoder(model: Path, tmp_path: Path) -> None:
    index = HybridIndex(open_encoder(str(model)))
    index.save(tmp_path / "index")
    HybridIndex(open_encoder(str(model))).load(tmp_path / "index")
    (model / "README.md").write_text("read me", encoding="utf-8")
    HybridIndex(open_encoder(str(model))).load(tmp_path / "index")
    trained_elsewhere(model)
    with pytest.raises(IndexDamaged, match="encoder differs"):
        HybridIndex(open_encoder(str(model))).load(tmp_path / "index")


def trained_elsewhere(model: Path) -> None:
    """One number of its weights is another."""
    from sentence_transformers import SentenceTransformer

    loaded = SentenceTransformer(str(model), device="cpu")
    next(loaded.parameters()).data[7] += 1
    loaded.save_pretrained(str(model), create_model_card=False)


def test_without_the_extra_packages_it_says_what_to_install(
    phrasings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    refused = tune("--phrasings", phrasings, "--base", "/models/any", "--out", tmp_path / "x")
    assert refused.exit_code == 1
    assert "pip install siyu[models]" in str(refused.exception)

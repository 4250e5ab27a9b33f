"""The docs are complete: every setting, verb, page, metric and word of the glossary."""

import enum
import inspect
import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram
from sqlmodel import SQLModel

from bank import metrics
from bank.settings import Settings
from bot.app import PAGES
from bot.cli import app as cli
from wecom.simulator import app as simulator

ROOT = Path(__file__).parents[2]


def read(name: str) -> str:
    """A page of the docs."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_with_its_sentence(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    assert f"| `SIYU_{name.upper()}` |" in read("reference/settings.md")
    assert description in read("reference/settings.md")


def test_no_setting_is_documented_that_is_not_there() -> None:
    documented = re.findall(r"^\| `SIYU_(\w+)`", read("reference/settings.md"), re.M)
    assert [name.lower() for name in documented] == list(Settings.model_fields)


@pytest.mark.parametrize(
    "command", cli.registered_commands, ids=lambda c: c.name or c.callback.__name__
)
def test_every_verb_is_documented_and_shows_an_example(command) -> None:  # type: ignore[no-untyped-def]
    name = command.name or command.callback.__name__
    assert f"`siyu {name}" in read("reference/cli.md")
    assert "Example: " in inspect.getdoc(command.callback)


def addresses() -> list[str]:
    """Every address of the product, as its route is written."""
    found = set()
    for module in PAGES:
        for route in module.routes:
            found.add(re.sub(r"\{(\w+):[^/]*\}", r"{\1}", route.path))
    return sorted(found)


@pytest.mark.parametrize("address", addresses())
def test_every_page_is_documented(address: str) -> None:
    assert f"`{address}`" in read("reference/pages.md")


def words() -> list[str]:
    """The nouns of the data model."""
    return sorted(re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower() for name in _tables())


def _tables() -> list[str]:
    mappers = SQLModel._sa_registry.mappers  # type: ignore[attr-defined]
    return [mapper.class_.__name__ for mapper in mappers]


GLOSSARY = {
    row.split("|")[1].strip().lower()
    for row in read("glossary.md").splitlines()
    if row.startswith("| ")
}


@pytest.mark.parametrize("word", words())
def test_every_table_is_made_of_words_of_the_glossary(word: str) -> None:
    known = GLOSSARY | {
        "cursor",
        "message",
        "library change",
        "stored file",
        "index state",
        "staff session",
    }
    parts = word.split()
    assert word in known or any(
        " ".join(parts[i:]) in known or parts[i] in known for i in range(len(parts))
    )


def test_every_label_on_screen_is_chinese() -> None:
    for mapper in SQLModel._sa_registry.mappers:  # type: ignore[attr-defined]
        module = inspect.getmodule(mapper.class_)
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, enum.StrEnum) and hasattr(kind, "label"):
                for member in kind:
                    assert re.search(r"[一-鿿]", member.label), f"{kind.__name__}.{member.name}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: p.name)
def test_links_between_docs_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), f"{page.name} → {link}"


METRICS = [each for each in vars(metrics).values() if isinstance(each, Counter | Gauge | Histogram)]


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_documented(metric: Counter | Gauge | Histogram) -> None:
    described = next(iter(metric.collect()))
    page = read("reference/metrics.md")
    assert described.documentation in page
    assert f"`{described.name}" in page


@pytest.mark.parametrize("verb", simulator.offered("CONTROLS"))
def test_every_hand_of_the_simulator_is_documented(verb: str) -> None:
    assert f"| `{verb}` |" in read("reference/simulator.md")

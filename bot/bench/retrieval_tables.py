"""Retrieval figures as people read them."""

from rich.console import Console
from rich.table import Table

from bot.bench.questions import Questions
from bot.bench.retrieval import Ranked, Retrieval

COLUMNS = ("questions", "R@1", "R@5", "R@10", "MRR@10", "nDCG@10")


def show_retrieval(console: Console, found: Retrieval) -> None:
    """Method by method, suite by suite; then what is known about silence."""
    table = _table(f"Retrieval among {found.documents:,} documents, %", "", *COLUMNS)
    for method, suites in found.methods.items():
        for suite, figures in suites.items():
            table.add_row(method, suite, *_row(figures))
        table.add_section()
    console.print(table)
    quiet = _table(
        "Silence, half of the documents taken away, mean of draws",
        "small talk AUROC", "near-domain AUROC", "covered at 95 %", "… with as many unanswerable",
    )  # fmt: skip
    for count, silence in found.quiet.items():
        areas = (f"{silence.small_talk:.3f}", f"{silence.near_domain:.3f}")
        shares = (f"{silence.coverage:.1%}", f"{silence.coverage_mixed:.1%}")
        quiet.add_row(f"{count} phrasings", *areas, *shares)
    console.print(quiet)


def show_questions(console: Console, found: Questions) -> None:
    """The demo library, asked what customers ask."""
    table = _table(f"Customers' questions about {found.materials} materials, %", *COLUMNS)
    table.add_row("", *_row(found.found))
    console.print(table)
    for tier, offered in found.tiers.items():
        console.print(
            f"{tier}: {offered.questions} questions, {offered.answerable} with an answer in the "
            f"library, right first {offered.right}"
        )
    console.print(f"AUROC of confidence, with an answer against without: {found.absent:.3f}")
    pairs = found.pairs
    console.print(
        f"two questions in one message: {pairs.messages}, read as two {pairs.apart}, right first "
        f"for both {pairs.both}, for one {pairs.one}; "
        f"both among three of one search {pairs.whole}\n"
    )


def _row(figures: Ranked) -> list[str]:
    shares = (figures.r1, figures.r5, figures.r10, figures.mrr, figures.ndcg)
    return [f"{figures.questions:,}", *(f"{share * 100:.1f}" for share in shares)]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    return table

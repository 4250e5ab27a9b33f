"""保存期限: each class has a floor, and no setting goes below it."""

from datetime import date

import pytest
from pydantic import ValidationError

from bank.retention import TERMS, Keeping, Term, kept_until
from bank.settings import Settings
from bot import cli


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.keeping.value)
def test_the_floor_is_the_default_longer_is_fine_and_shorter_is_refused(term: Term) -> None:
    assert getattr(Settings(_env_file=None), term.setting) == term.floor  # type: ignore[call-arg]
    longer = Settings(_env_file=None, **{term.setting: term.floor + 1})  # type: ignore[arg-type]
    assert getattr(longer, term.setting) == term.floor + 1
    with pytest.raises(ValidationError, match=term.basis[:6]):
        Settings(_env_file=None, **{term.setting: term.floor - 1})  # type: ignore[arg-type]


def test_every_class_has_its_term() -> None:
    assert {term.keeping for term in TERMS} == set(Keeping)


def test_the_product_does_not_start_and_says_which_rule_it_would_break(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIYU_RETENTION_IDENTITY_YEARS", "5")
    monkeypatch.setattr("sys.argv", ["siyu", "doctor"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "SIYU_RETENTION_IDENTITY_YEARS is 5, at least 10 years are required" in line
    assert "反洗钱法（2024 修订）第 34 条" in line


@pytest.mark.parametrize(
    ("keeping", "length", "ended", "until"),
    [
        (Keeping.EVIDENCE, 20, date(2026, 11, 23), date(2046, 11, 23)),
        (Keeping.EVIDENCE, 21, date(2024, 2, 29), date(2045, 2, 28)),
        (Keeping.LOG, 6, date(2026, 8, 31), date(2027, 2, 28)),
        (Keeping.LOG, 13, date(2026, 12, 31), date(2028, 1, 31)),
        (Keeping.IDENTITY, 10, None, None),
    ],
)
def test_a_term_runs_from_the_end_to_the_same_day(
    keeping: Keeping, length: int, ended: date | None, until: date | None
) -> None:
    assert kept_until(keeping, length, ended) == until

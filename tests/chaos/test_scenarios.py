"""Every scenario of `python -m bot.chaos`, at a small share of its counts."""

import gc
from pathlib import Path

import pytest

from bot.chaos.found import hushed
from bot.chaos.ground import Ground
from bot.chaos.scenarios import SCENARIOS
from bot.chaos.tables import again

# At most a twentieth; less where that would take longer than the rest of the suite likes.
SHARES = {
    "F-01": 0.003,
    "F-05": 0.003,
    "F-06": 0.05,
    "F-07": 0.02,
    "F-08": 0.02,
    "F-09": 0.05,
    "F-11": 0.02,
    "F-17": 0.02,
    "F-18": 0.03,
    "S-01": 0.05,
    "S-02": 0.05,
    "S-03": 0.05,
    "S-04": 0.05,
    "days": 0.02,
}


@pytest.fixture
def ground(template: str, tmp_path: Path) -> Ground:
    """The suite's own server, where every scenario gets a fresh bank."""
    return Ground(template, tmp_path)


def test_no_scenario_is_left_out() -> None:
    assert set(SHARES) == set(SCENARIOS)


# A product stopped in mid-work leaves open connections behind; they go with the test that did it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("name", SCENARIOS)
async def test_what_is_promised_holds_under_faults(name: str, ground: Ground) -> None:
    hushed()
    scenario, share = SCENARIOS[name], SHARES[name]
    found = await scenario(ground, 1, share)
    gc.collect()
    assert found.events > 0
    assert found.holds, "\n".join([again(scenario, found, share), *found.broken])

"""Every scenario of `python -m bot.chaos`, at a small share of its counts."""

import gc
from pathlib import Path

import pytest

from bot.chaos.found import hushed
from bot.chaos.ground import Ground
from bot.chaos.scenarios import SCENARIOS
from bot.chaos.tables import again

# A twentieth of the full counts, but for what takes longest: five kills of F-01, two of F-03, ten
# stories of F-05 beside the sixty of tests/bot/test_effects.py, ten of F-20's withdrawals,
# five days, everything that is wrong in L-01 once in each index, three outages of F-11 under a
# quarter of the load, and of L-02 and L-08 what shows the road.
SHARES = dict.fromkeys(SCENARIOS, 0.05) | {
    "F-01": 0.005,
    "F-03": 0.01,
    "F-05": 0.001,
    "F-20": 0.02,
    "L-01": 0.01,
    "L-02": 0.005,
    "L-08": 0.1,
    "days": 0.005,
}


@pytest.fixture
def ground(template: str, tmp_path: Path) -> Ground:
    """The suite's own server, where every scenario gets a fresh bank."""
    return Ground(template, tmp_path)


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

"""No other way leads to a customer: checked in the source, so that a new one shows up here."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from wecom import to_customers
from wecom.group_welcomes import GroupWelcomes
from wecom.mass_sends import MassSends
from wecom.moments import Moments
from wecom.service import Service

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
IMPORTS = PROJECT["tool"]["importlinter"]
OURS = set(IMPORTS["root_packages"])
PATHS = {
    to_customers.MASS_SEND,
    to_customers.WELCOME,
    to_customers.MOMENT,
    to_customers.SERVICE,
    to_customers.SERVICE_EVENT,
}
# Names of calls in tables of words, rates and faults; nothing there calls anything.
TABLES = {
    "bot/chaos/refusals.py",
    "bot/intents.py",
    "bot/platform_pages.py",
    "wecom/to_customers.py",
    "wecom/traffic.py",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the product, without the simulated platform."""
    for package in sorted(OURS):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("wecom/simulator/"):
                yield name, ast.parse(path.read_text("utf-8"))


def test_the_contract_holds_for_every_module_but_the_one_that_sends() -> None:
    [contract] = [c for c in IMPORTS["contracts"] if c["name"].startswith("Only outbound")]
    own = {f"outbound.{path.stem}" for path in (ROOT / "outbound").glob("*.py")}
    kept = {"outbound.sending", "outbound.__init__", "outbound.models", "outbound.reasons"}
    assert contract["forbidden_modules"] == ["wecom.to_customers"]
    assert set(contract["source_modules"]) == (OURS - {"outbound", "wecom"}) | (own - kept)


def test_only_one_module_knows_the_calls_that_reach_customers() -> None:
    naming = {
        name
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in PATHS
    }
    assert naming <= TABLES


def test_only_one_module_imports_them() -> None:
    importing = {
        name
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "wecom.to_customers"
    }
    assert importing == {"outbound/sending.py"}


def test_clearances_are_made_in_one_place() -> None:
    making = {
        name
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
        and (node.func.id if isinstance(node.func, ast.Name) else node.func.attr) == "Cleared"
    }
    assert making == {"outbound/check.py"}


def test_the_sidebar_puts_into_the_chat_only_what_the_server_cleared() -> None:
    scripts = [*(ROOT / "desk" / "static").glob("*.js")]
    calling = [path.name for path in scripts if "sendChatMessage" in path.read_text("utf-8")]
    assert calling == ["sidebar.js"]
    script = (ROOT / "desk" / "static" / "sidebar.js").read_text("utf-8")
    assert script.count('sendChatMessage"') == 1
    before = script[: script.index('invoke("sendChatMessage"')]
    assert re.search(
        r"const said = await cleared\(at, card\);\s+if \(said === null\) return[^}]*"
        r"for \(const message of said\.messages\.slice\(done\)\) \{\s+const result = await $",
        before,
    )
    assert 'invoke("sendChatMessage", message)' in script


@pytest.mark.parametrize("name", ["create", "send", "send_on_event", "edit"])
def test_the_groups_of_the_client_have_no_sending_left(name: str) -> None:
    for group in (GroupWelcomes, MassSends, Moments, Service):
        assert not hasattr(group, name)

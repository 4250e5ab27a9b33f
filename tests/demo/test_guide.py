"""The first page of the demo: its numbers are counted, and what it links to opens."""

import asyncio
import re
from datetime import timedelta

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from yarl import URL

from bank.settings import Settings
from bot.app import make_app, open_parts
from bot.demo import files
from bot.demo.run import demo_settings
from tests.demo.looking import MIDNIGHT

MORNING = MIDNIGHT + timedelta(hours=9)


@pytest.fixture(scope="module")
def page(full: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The guide of a bank loaded a moment ago, opened once."""
    home = tmp_path_factory.mktemp("guide")
    settings = Settings(_env_file=None, home=home, database_url=full)  # type: ignore[call-arg]
    return asyncio.run(opened(demo_settings(settings, 1)))


async def opened(settings: Settings) -> str:
    async with open_parts(settings, now=lambda: MORNING) as parts:
        server = TestServer(make_app(settings, parts))
        await server.start_server()
        async with aiohttp.ClientSession() as http, http.get(server.make_url("/guide")) as answer:
            assert answer.status == 200
            text = await answer.text()
        await server.close()
    return text


async def test_the_first_sentence_counts_what_is_there(page: str) -> None:
    counted = "3 家支行、12 位客户经理、400 位客户、10 个客户群、160 份素材"
    assert counted in page


async def test_it_says_how_to_send_more_than_words_by_a_title_that_is_there(page: str) -> None:
    assert "不只发文字" in page
    assert "赎回到账一图看懂" in {raw["title"] for raw in files.listed()}
    assert "赎回到账一图看懂" in page


async def test_eleven_steps_lead_to_codes_groups_and_faults(page: str) -> None:
    assert re.findall(r"<strong>(\d+)　", page) == [str(number) for number in range(1, 12)]
    links = [URL(link.replace("&amp;", "&")) for link in re.findall(r'href="([^"]+)"', page)]
    leads_to = {link.query.get("next", link.path) for link in links}
    assert {"/channels", "/sops", "/groups", "/system/repairs", "/simulator/faults"} <= leads_to

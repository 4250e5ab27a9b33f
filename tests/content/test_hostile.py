"""S-05 … S-10: everything hostile is refused in words, and nothing of it comes near the process."""

import zlib

import psutil
import pytest

from content.extract import Refused
from content.files import wrong_name
from tests.content import hostile
from tests.content.hostile import Hostile

# What offering a whole family may leave in the process that offers it; children have their own.
MOST_MIB = 100


def test_there_are_at_least_two_hundred_of_them_and_no_two_are_the_same() -> None:
    files = hostile.everything()
    assert len({(each.name, each.data, each.road) for each in files}) == len(files) >= 200


def test_what_the_bomb_is_made_of_unpacks_to_its_size() -> None:
    assert zlib.decompress(hostile.blanks(3)) == b" " * (3 << 20)


@pytest.mark.parametrize("family", hostile.FAMILIES)
async def test_all_of_a_family_are_refused_with_what_to_do(family: str) -> None:
    files = hostile.family(family)
    assert {each.family for each in files} == {family}
    before = psutil.Process().memory_info().rss / 2**20
    taken: list[Hostile] = []
    for each in files:
        answer = await hostile.offered(each)
        if not isinstance(answer, Refused):
            taken.append(each)
        else:
            assert "：" in answer.reason or "请" in answer.reason, each.what
            assert answer.reason.endswith("。"), each.what
    assert [(each.what, each.name) for each in taken] == []
    assert psutil.Process().memory_info().rss / 2**20 - before < MOST_MIB


@pytest.mark.parametrize(
    "name", ["报价.exe.docx", "a.js.pdf", "x/y.bat.txt", "a.php.png", "a.SCR.docx", "a.lnk.pdf"]
)
def test_a_name_that_hides_a_program_is_refused(name: str) -> None:
    assert "两个扩展名" in wrong_name(name)


@pytest.mark.parametrize("name", ["赎回说明.docx", "2026.11 市场.pdf", "v1.2.docx", "a.b.png"])
def test_ordinary_names_are_taken(name: str) -> None:
    assert wrong_name(name) == ""

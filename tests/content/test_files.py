"""Uploaded files: bytes kept under random names, nothing trusted from outside."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from content.extract import Refused
from content.files import FILES_PER_DAY, FileMissing, LocalFileStore, plain_name, receive
from content.models import StoredFile
from tests.builders import MONDAY
from tests.content import papers
from tests.content.worlds import Office


def names_under(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def test_bytes_come_back_as_put_under_a_name_that_tells_nothing(tmp_path: Path) -> None:
    store, file_id = LocalFileStore(tmp_path / "files"), uuid4()
    await store.put(file_id, b"abc")
    assert await store.read(file_id) == b"abc"
    assert names_under(tmp_path) == [file_id.hex]


async def test_a_missing_file_is_told_by_its_id(tmp_path: Path) -> None:
    file_id = uuid4()
    with pytest.raises(FileMissing, match=str(file_id)):
        await LocalFileStore(tmp_path).read(file_id)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("说明.docx", "说明.docx"),
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\work\\说明.pdf", "说明.pdf"),
        ("a\u202etxt.exe\x00.txt", "atxt.exe.txt"),
        ("长" * 300 + ".docx", "长" * 110 + ".docx"),
        ("...", "未命名"),
    ],
)
def test_names_are_made_fit_to_show(name: str, shown: str) -> None:
    assert plain_name(name) == shown


async def test_an_upload_is_kept_with_its_hash_and_a_refused_one_is_not(office: Office) -> None:
    kept = await receive(
        office.session, office.files, "a.docx", papers.a_docx(), by=office.author.id, now=MONDAY
    )
    assert not isinstance(kept, Refused)
    stored, text = kept
    assert (stored.name, len(stored.sha256)) == ("a.docx", 64)
    assert text.kind == "docx"
    refused = await receive(
        office.session, office.files, "a.docx", papers.a_docm(), by=office.author.id, now=MONDAY
    )
    assert isinstance(refused, Refused)


async def test_a_day_has_an_end_to_uploads_and_the_next_day_begins_anew(office: Office) -> None:
    office.session.add_all(
        StoredFile(
            name="a.txt",
            media_type="text/plain",
            size=1,
            sha256="",
            uploaded_by=office.author.id,
            uploaded_at=MONDAY,
        )
        for _ in range(FILES_PER_DAY)
    )
    await office.session.flush()

    async def upload(days: int) -> object:
        return await receive(
            office.session,
            office.files,
            "a.txt",
            papers.FIRST.encode(),
            by=office.author.id,
            now=MONDAY + timedelta(days=days),
        )

    refused = await upload(0)
    assert isinstance(refused, Refused)
    assert "今天已上传 200 个文件" in refused.reason
    assert not isinstance(await upload(1), Refused)

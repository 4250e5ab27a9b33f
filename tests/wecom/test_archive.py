"""The archive sidecar's contract, from the side of the reader."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from wecom.archive import UNREADABLE, ArchiveClient, ArchivedMessage
from wecom.errors import (
    ArchiveBatchTooLarge,
    ArchiveRefused,
    CredentialWrong,
    Unreachable,
    UnreadableAnswer,
)

SECRET = "canary-of-the-archive"
AT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def text(seq: int, content: str = "想了解一下稳健理财") -> dict[str, Any]:
    message = {
        "msgid": f"m{seq}",
        "action": "send",
        "from": "wm1",
        "tolist": ["zhangsan"],
        "roomid": "",
        "msgtime": 1700000000000,
        "msgtype": "text",
        "text": {"content": content},
    }
    return {"seq": seq, "msgid": f"m{seq}", "message": message}


@dataclass
class Sidecar:
    """The other side: serves what it holds, refuses what it is told to."""

    held: list[dict[str, Any]] = field(default_factory=list)
    largest: int = 1000
    errcode: int = 0
    ignores_seq: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        seq, limit = int(request.query["seq"]), int(request.query["limit"])
        if request.headers.get("Authorization") != f"Bearer {SECRET}":
            return web.json_response({"errcode": 40001, "errmsg": "invalid secret"})
        if limit > self.largest:
            return web.json_response({"errcode": 301058, "errmsg": "too large"})
        if self.errcode:
            return web.json_response({"errcode": self.errcode, "errmsg": "no"})
        rows = [row for row in self.held if self.ignores_seq or row["seq"] > seq][:limit]
        return web.json_response({"errcode": 0, "errmsg": "ok", "chatdata": rows})


@pytest.fixture
def sidecar() -> Sidecar:
    return Sidecar()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def base_url(sidecar: Sidecar) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/archive/messages", sidecar.handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/archive/"))


@pytest.fixture
def archive(http: aiohttp.ClientSession, base_url: str) -> ArchiveClient:
    return ArchiveClient(http, base_url, SECRET)


async def test_messages_after_a_seq(archive: ArchiveClient, sidecar: Sidecar) -> None:
    sidecar.held = [text(1), text(2), text(5)]
    messages = await archive.messages(1)
    assert messages == [
        ArchivedMessage(
            seq=seq,
            msgid=f"m{seq}",
            action="send",
            sender="wm1",
            recipients=("zhangsan",),
            room_id="",
            sent_at=AT,
            kind="text",
            text="想了解一下稳健理财",
        )
        for seq in (2, 5)
    ]
    assert sidecar.asked == [{"seq": "1", "limit": "500"}]
    assert "理财" not in repr(messages)
    assert await archive.messages(5) == []


async def test_reading_on_from_the_last_seq_misses_nothing(
    archive: ArchiveClient, sidecar: Sidecar
) -> None:
    sidecar.held = [text(seq) for seq in range(1, 8)]
    seqs, after = [], 0
    while batch := await archive.messages(after, limit=3):
        seqs += [message.seq for message in batch]
        after = seqs[-1]
    assert seqs == [1, 2, 3, 4, 5, 6, 7]


async def test_what_is_not_text_has_no_text(archive: ArchiveClient, sidecar: Sidecar) -> None:
    group = text(1)["message"] | {"msgtype": "image", "roomid": "wr1", "image": {"md5sum": "x"}}
    recall = text(2)["message"] | {"action": "recall", "msgtype": "revoke"}
    switch = {"msgid": "m3", "action": "switch", "time": 1700000000000, "user": "zhangsan"}
    for seq, message in enumerate((group, recall, switch), 1):
        message.pop("text", None)
        sidecar.held.append({"seq": seq, "msgid": f"m{seq}", "message": message})
    image, recalled, switched = await archive.messages(0)
    assert (image.kind, image.room_id, image.text) == ("image", "wr1", "")
    assert (recalled.action, recalled.kind) == ("recall", "revoke")
    assert (switched.sender, switched.recipients, switched.sent_at) == ("zhangsan", (), AT)


async def test_a_message_not_as_documented_hides_none_behind_it(
    archive: ArchiveClient, sidecar: Sidecar
) -> None:
    odd = text(2)
    odd["message"] = odd["message"] | {"msgtime": "yesterday"}
    sidecar.held = [text(1), odd, {"seq": 3, "message": None}, text(4)]
    messages = await archive.messages(0)
    assert [message.seq for message in messages] == [1, 2, 3, 4]
    assert [message.kind for message in messages] == ["text", UNREADABLE, UNREADABLE, "text"]


async def test_an_answer_too_large_is_asked_for_by_halves(
    archive: ArchiveClient, sidecar: Sidecar
) -> None:
    sidecar.held, sidecar.largest = [text(seq) for seq in range(1, 200)], 130
    assert len(await archive.messages(0)) == 125
    assert [asked["limit"] for asked in sidecar.asked] == ["500", "250", "125"]
    sidecar.largest = 0
    with pytest.raises(ArchiveBatchTooLarge):
        await archive.messages(0, limit=2)


@pytest.mark.parametrize("seqs", [(3, 2), (2, 2), (0,)])
async def test_a_seq_that_does_not_ascend_is_not_believed(
    archive: ArchiveClient, sidecar: Sidecar, seqs: tuple[int, ...]
) -> None:
    sidecar.held, sidecar.ignores_seq = [text(seq) for seq in seqs], True
    with pytest.raises(UnreadableAnswer, match="ascend"):
        await archive.messages(0)


async def test_a_closed_archive_is_said(archive: ArchiveClient, sidecar: Sidecar) -> None:
    sidecar.errcode = 301053
    with pytest.raises(ArchiveRefused) as caught:
        await archive.messages(0)
    assert (caught.value.errcode, caught.value.call) == (301053, "archive/messages")


async def test_a_wrong_secret_is_said_and_not_shown(
    http: aiohttp.ClientSession, base_url: str
) -> None:
    stranger = ArchiveClient(http, base_url, "canary-of-another")
    with pytest.raises(CredentialWrong) as caught:
        await stranger.messages(0)
    assert "canary" not in f"{caught.value!r} {caught.value} {vars(stranger)}"


async def test_no_sidecar_is_unreachable(http: aiohttp.ClientSession, base_url: str) -> None:
    with pytest.raises(Unreachable):
        await ArchiveClient(http, f"{base_url}nothing-here", SECRET).messages(0)


@pytest.mark.parametrize("limit", [0, 1001])
async def test_a_batch_has_bounds(archive: ArchiveClient, limit: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        await archive.messages(0, limit=limit)

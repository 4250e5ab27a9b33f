"""The conversation archive (会话内容存档), read through a sidecar.

WeCom hands the archive out through a native library only. The bank runs that library, with the
private keys, in a small program beside this one, which pulls, decrypts and serves over HTTP:

    GET {base_url}/messages?seq=N&limit=M
    Authorization: Bearer <archive secret>

    {"errcode": 0, "errmsg": "ok", "chatdata": [
        {"seq": 1, "msgid": "...", "message": {
            "msgid": "...", "action": "send", "from": "wm...", "tolist": ["userid"], "roomid": "",
            "msgtime": 1700000000000, "msgtype": "text", "text": {"content": "..."}}}]}

Every `seq` is greater than N, ascending; M is 1 to 1000; `msgtime` counts milliseconds. `action` is
send, recall or switch (a member changed company; it has `user` and `time` in place of sender and
`msgtime`). Errors use WeCom's numbers. WeCom keeps five days: who pulls later loses messages.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

import aiohttp

from wecom.answer import Answer
from wecom.errors import ArchiveBatchTooLarge, UnreadableAnswer
from wecom.exchange import exchange
from wecom.tokens import Veiled

CALL = "archive/messages"
MAX_BATCH = 1000
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class ArchivedMessage:
    """One message as archived; `text` only where `kind` is text, `room_id` only in a group.

    Where a message is not as documented, `kind` is unreadable and only `seq` means anything.
    """

    seq: int
    msgid: str
    action: str
    sender: str
    recipients: tuple[str, ...]
    room_id: str
    sent_at: datetime
    kind: str
    text: str = field(repr=False)


class ArchiveClient:
    """Reads the archive from the sidecar at `base_url`."""

    def __init__(
        self, http: aiohttp.ClientSession, base_url: str, secret: str, *, timeout: float = 20.0
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._headers = Veiled(Authorization=f"Bearer {secret}")
        self._timeout = timeout

    async def messages(self, after: int, limit: int = 500) -> list[ArchivedMessage]:
        """Return up to `limit` messages with a seq above `after`, ascending.

        Fewer than `limit` does not mean the end: an answer too large is asked for again by halves.
        An empty list does.
        """
        if not 1 <= limit <= MAX_BATCH:
            raise ValueError(f"limit takes 1 to {MAX_BATCH}, got {limit}")
        while True:
            try:
                answer = await self._ask(after, limit)
            except ArchiveBatchTooLarge:
                if limit == 1:
                    raise
                limit //= 2
            else:
                return _ascending([_message(row) for row in answer.parts("chatdata")], after)

    async def _ask(self, after: int, limit: int) -> Answer:
        return await exchange(
            self._http,
            "GET",
            f"{self._base_url}/messages",
            call=CALL,
            timeout=self._timeout,
            query=Veiled(seq=str(after), limit=str(limit)),
            headers=self._headers,
        )


def _ascending(messages: list[ArchivedMessage], after: int) -> list[ArchivedMessage]:
    # The last seq becomes the cursor: out of order it would skip messages or read them for ever.
    seqs = [after, *(message.seq for message in messages)]
    if any(later <= earlier for earlier, later in pairwise(seqs)):
        raise UnreadableAnswer(call=CALL, reason="seq does not ascend")
    return messages


def _message(row: Answer) -> ArchivedMessage:
    seq = row.number("seq")
    try:
        return _as_documented(seq, row)
    except UnreadableAnswer:
        # One odd message must not hide all that come after it.
        never = datetime.fromtimestamp(0, UTC)
        return ArchivedMessage(seq, "", "", "", (), "", never, UNREADABLE, "")


def _as_documented(seq: int, row: Answer) -> ArchivedMessage:
    message = row.part("message")
    kind = message.text("msgtype", "")
    return ArchivedMessage(
        seq=seq,
        msgid=row.text("msgid"),
        action=message.text("action"),
        sender=message.text("from", "") or message.text("user", ""),
        recipients=tuple(message.texts("tolist")),
        room_id=message.text("roomid", ""),
        sent_at=_sent_at(message),
        kind=kind,
        text=message.part("text").text("content", "") if kind == "text" else "",
    )


def _sent_at(message: Answer) -> datetime:
    milliseconds = message.number("msgtime", 0) or message.number("time")
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError) as impossible:
        raise UnreadableAnswer(call=CALL, reason="field msgtime") from impossible

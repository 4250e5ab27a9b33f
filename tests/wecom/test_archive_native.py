"""The native archive library: real pointers, real RSA, a library of the same C functions."""

import base64
import ctypes
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from wecom.archive import UNREADABLE, ArchiveClient
from wecom.archive_native import (
    KeysMissing,
    LibraryMissing,
    NativeArchive,
    load_library,
    read_keys,
)
from wecom.archive_sidecar import make_sidecar
from wecom.errors import (
    ArchiveBatchTooLarge,
    Busy,
    CredentialWrong,
    NetworkNotTrusted,
    WeComError,
)

SECRET = "canary-of-the-archive"
CORP = "ww5823bf96d3bd56c7"
POINTER, TEXT, INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int


class CLibrary:
    """The library's C functions, as C function pointers over slices kept here."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.refuses_with = 0
        self.errcode = 0
        self.slices: dict[int, ctypes.Array[ctypes.c_char]] = {}
        self.sizes: dict[int, int] = {}
        self.freed = self.made = 0
        self.closed = False

    def functions(self) -> SimpleNamespace:
        """What `ctypes.CDLL` would hand out."""
        declared = {
            "NewSdk": (ctypes.CFUNCTYPE(POINTER), lambda: 0x7F00_0000_1234),
            "Init": (ctypes.CFUNCTYPE(INT, POINTER, TEXT, TEXT), self._init),
            "DestroySdk": (ctypes.CFUNCTYPE(None, POINTER), self._destroy),
            "NewSlice": (ctypes.CFUNCTYPE(POINTER), self._new_slice),
            "FreeSlice": (ctypes.CFUNCTYPE(None, POINTER), self._free_slice),
            "GetContentFromSlice": (ctypes.CFUNCTYPE(POINTER, POINTER), self._content),
            "GetSliceLen": (ctypes.CFUNCTYPE(INT, POINTER), lambda slice_: self.sizes[slice_]),
            "GetChatData": (
                ctypes.CFUNCTYPE(
                    INT, POINTER, ctypes.c_ulonglong, ctypes.c_uint, TEXT, TEXT, INT, POINTER
                ),
                self._chat_data,
            ),
            "DecryptData": (ctypes.CFUNCTYPE(INT, TEXT, TEXT, POINTER), self._decrypt),
        }
        return SimpleNamespace(**{name: kind(body) for name, (kind, body) in declared.items()})

    def _init(self, sdk: int, corp_id: bytes, secret: bytes) -> int:
        assert sdk == 0x7F00_0000_1234  # the pointer came back whole
        return 0 if (corp_id.decode(), secret.decode()) == (CORP, SECRET) else 10011

    def _destroy(self, sdk: int) -> None:
        self.closed = True

    def _new_slice(self) -> int:
        self.made += 1
        self.sizes[self.made] = 0
        return self.made

    def _free_slice(self, slice_: int) -> None:
        self.freed += 1
        del self.sizes[slice_]
        self.slices.pop(slice_, None)

    def _write(self, slice_: int, text: bytes) -> int:
        self.slices[slice_] = ctypes.create_string_buffer(text, len(text) + 1)
        self.sizes[slice_] = len(text)
        return 0

    def _content(self, slice_: int) -> int:
        return ctypes.addressof(self.slices[slice_])

    def _chat_data(
        self, sdk: int, seq: int, limit: int, proxy: bytes, word: bytes, timeout: int, slice_: int
    ) -> int:
        if self.refuses_with:
            return self.refuses_with
        rows = [row for row in self.rows if row["seq"] > seq][:limit]
        answer = {"errcode": self.errcode, "errmsg": "ok", "chatdata": rows}
        return self._write(slice_, json.dumps(answer, ensure_ascii=False).encode())

    def _decrypt(self, key: bytes, locked: bytes, slice_: int) -> int:
        # The real cipher is WeCom's; this one shows that the right key reached the right message.
        head, _, body = base64.b64decode(locked).partition(b":")
        return self._write(slice_, body) if head == key else 10006


@pytest.fixture
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def folder(tmp_path: Path, key: rsa.RSAPrivateKey) -> Path:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "3.pem").write_bytes(pem)
    return tmp_path


@pytest.fixture
def library() -> CLibrary:
    return CLibrary()


def row(seq: int, key: rsa.RSAPrivateKey, version: int = 3) -> dict[str, Any]:
    """A message as WeCom hands it out: sealed with a random key, that key with ours."""
    random_key = f"random-{seq}".encode()
    message = {
        "msgid": f"m{seq}",
        "action": "send",
        "from": "wm1",
        "tolist": ["zhangsan"],
        "roomid": "",
        "msgtime": 1700000000000,
        "msgtype": "text",
        "text": {"content": "到期了怎么赎回？"},
    }
    body = json.dumps(message, ensure_ascii=False).encode()
    return {
        "seq": seq,
        "msgid": f"m{seq}",
        "publickey_ver": version,
        "encrypt_random_key": base64.b64encode(
            key.public_key().encrypt(random_key, PKCS1v15())
        ).decode(),
        "encrypt_chat_msg": base64.b64encode(random_key + b":" + body).decode(),
    }


@pytest.fixture
async def reader(library: CLibrary, folder: Path) -> AsyncIterator[ArchiveClient]:
    """The product's reader, through the sidecar's real HTTP, to the library."""
    keys = read_keys(folder)
    app = make_sidecar(lambda: NativeArchive(library.functions(), CORP, SECRET, keys), SECRET)
    server = TestServer(app)
    await server.start_server()
    async with aiohttp.ClientSession() as http:
        yield ArchiveClient(http, str(server.make_url("")), SECRET)
    await server.close()
    assert library.closed


async def test_messages_are_opened_with_the_private_key(
    reader: ArchiveClient, library: CLibrary, key: rsa.RSAPrivateKey
) -> None:
    library.rows = [row(1, key), row(2, key)]
    first, second = await reader.messages(0)
    assert (first.seq, first.text) == (1, "到期了怎么赎回？")
    assert second.recipients == ("zhangsan",)
    assert await reader.messages(2) == []


async def test_a_message_of_a_missing_key_keeps_its_place(
    reader: ArchiveClient, library: CLibrary, key: rsa.RSAPrivateKey
) -> None:
    damaged = row(3, key) | {"encrypt_random_key": "AAAA"}
    library.rows = [row(1, key), row(2, key, version=9), damaged, row(4, key)]
    kinds = [message.kind for message in await reader.messages(0)]
    assert kinds == ["text", UNREADABLE, UNREADABLE, "text"]


async def test_all_memory_is_given_back(
    reader: ArchiveClient, library: CLibrary, key: rsa.RSAPrivateKey
) -> None:
    library.rows = [row(1, key), row(2, key, version=9)]
    await reader.messages(0)
    library.refuses_with = 10001
    with pytest.raises(Busy):
        await reader.messages(0)
    assert library.made == library.freed > 0


@pytest.mark.parametrize(
    ("number", "error"),
    [(10009, NetworkNotTrusted), (10011, CredentialWrong), (10001, Busy), (10003, Busy)],
)
async def test_the_librarys_numbers_say_what_to_do(
    reader: ArchiveClient, library: CLibrary, number: int, error: type[WeComError]
) -> None:
    library.refuses_with = number
    with pytest.raises(error):
        await reader.messages(0)


async def test_an_answer_too_large_is_asked_for_by_halves_down_to_one(
    reader: ArchiveClient, library: CLibrary
) -> None:
    library.errcode = 301058
    with pytest.raises(ArchiveBatchTooLarge):
        await reader.messages(0, 4)


async def test_who_has_not_the_secret_reads_nothing(reader: ArchiveClient) -> None:
    reader._headers["Authorization"] = "Bearer something else"
    with pytest.raises(CredentialWrong):
        await reader.messages(0)


@pytest.mark.parametrize("query", ["seq=-1&limit=1", "seq=0&limit=1001", "seq=0", "limit=5"])
async def test_senseless_questions_are_refused(reader: ArchiveClient, query: str) -> None:
    headers = dict(reader._headers)
    async with reader._http.get(f"{reader._base_url}/messages?{query}", headers=headers) as answer:
        assert answer.status == 400


def test_wrong_credentials_stop_at_the_start(library: CLibrary, folder: Path) -> None:
    with pytest.raises(CredentialWrong):
        NativeArchive(library.functions(), CORP, "another", read_keys(folder))


def test_a_library_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(LibraryMissing, match="SIYU_ARCHIVE_LIBRARY"):
        load_library(str(tmp_path / "libWeWorkFinanceSdk_C.so"))
    (tmp_path / "text.so").write_text("not a library")
    with pytest.raises(LibraryMissing):
        load_library(str(tmp_path / "text.so"))


def test_a_folder_without_keys_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(KeysMissing, match=r"publickey_ver"):
        read_keys(tmp_path)

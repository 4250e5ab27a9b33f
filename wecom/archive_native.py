"""WeCom's own archive library (`libWeWorkFinanceSdk_C.so`), spoken to through ctypes.

    GetChatData(seq, limit)      encrypted rows after `seq`
      └ encrypt_random_key       base64 of RSA PKCS#1 v1.5, for the key of `publickey_ver`
          └ DecryptData          the message as JSON

The library is WeCom's, is handed out in the admin console's documentation only, runs on Linux, and
may be called from the addresses listed under 会话内容存档 → 可信 IP alone. It blocks; whoever uses
this class from an event loop does so in a thread, one call at a time.
"""

import base64
import binascii
import ctypes
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from wecom.error_codes import error_for
from wecom.errors import UnreadableAnswer, WeComError

CALL: Final = "archive/library"
MAX_BATCH: Final = 1000
TIMEOUT_SECONDS: Final = 10

BUSY: Final = -1
# The library has numbers of its own; these of WeCom's mean the same: address not trusted, data
# older than five days, certificate wrong. Any other is worth another try.
MEANING: Final[Mapping[int, int]] = {10009: 301042, 10010: 301052, 10011: 40001}


class LibraryMissing(OSError):
    """The archive library cannot be loaded; check SIYU_ARCHIVE_LIBRARY and the kind of CPU."""


class KeysMissing(ValueError):
    """SIYU_ARCHIVE_KEYS holds no private key; save each as `<publickey_ver>.pem` there."""


def load_library(path: str) -> ctypes.CDLL:
    """The library at that path; LibraryMissing where there is none this machine can run."""
    try:
        return ctypes.CDLL(path)
    except OSError as failure:
        raise LibraryMissing(LibraryMissing.__doc__) from failure


def read_keys(folder: Path) -> dict[int, RSAPrivateKey]:
    """Every private key in the folder by its version; old ones open what was said under them."""
    keys: dict[int, RSAPrivateKey] = {}
    for path in sorted(folder.glob("*.pem")):
        key = load_pem_private_key(path.read_bytes(), password=None)
        if path.stem.isdecimal() and isinstance(key, RSAPrivateKey):
            keys[int(path.stem)] = key
    if not keys:
        raise KeysMissing(KeysMissing.__doc__)
    return keys


class NativeArchive:
    """The archive of one company, opened with its archive secret."""

    def __init__(
        self, library: Any, corp_id: str, secret: str, keys: Mapping[int, RSAPrivateKey]
    ) -> None:
        self._library = _declared(library)
        self._keys = keys
        self._sdk = self._library.NewSdk()
        _check(self._library.Init(self._sdk, corp_id.encode(), secret.encode()))

    def close(self) -> None:
        """Give the library's handle back; nothing may be asked afterwards."""
        self._library.DestroySdk(self._sdk)

    def rows(self, after: int, limit: int) -> list[dict[str, object]]:
        """Up to `limit` rows with a seq above `after`, in the shape the sidecar serves.

        A message that cannot be opened, for want of its key or because it is damaged, has an empty
        `message`: the rows behind it are worth having, and its place is kept.
        """
        answer = self._filled(
            lambda content: self._library.GetChatData(
                self._sdk, after, limit, b"", b"", TIMEOUT_SECONDS, content
            )
        )
        fields = _json(answer)
        if fields.get("errcode", 0) != 0:
            raise error_for(int(fields["errcode"]), str(fields.get("errmsg", "")), call=CALL)
        rows = fields.get("chatdata", [])
        if not isinstance(rows, list):
            raise UnreadableAnswer(call=CALL, reason="field chatdata")
        return [self._row(row) for row in rows]

    def _row(self, row: Mapping[str, Any]) -> dict[str, object]:
        try:
            message = self._opened(row)
        except (WeComError, ValueError, KeyError, TypeError, binascii.Error):
            message = {}
        return {"seq": row["seq"], "msgid": row.get("msgid", ""), "message": message}

    def _opened(self, row: Mapping[str, Any]) -> dict[str, Any]:
        key = self._keys[int(row["publickey_ver"])]
        random_key = key.decrypt(base64.b64decode(row["encrypt_random_key"]), PKCS1v15())
        locked = str(row["encrypt_chat_msg"]).encode()
        opened = self._filled(
            lambda content: self._library.DecryptData(random_key, locked, content)
        )
        return _json(opened)

    def _filled(self, fill: Callable[[Any], int]) -> bytes:
        """What the library wrote; the memory it wrote to is given back whatever happens."""
        content = self._library.NewSlice()
        try:
            _check(fill(content))
            size = self._library.GetSliceLen(content)
            return ctypes.string_at(self._library.GetContentFromSlice(content), size)
        finally:
            self._library.FreeSlice(content)


def _check(number: int) -> None:
    if number != 0:
        raise error_for(MEANING.get(number, BUSY), "", call=CALL)


def _json(raw: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(raw)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise UnreadableAnswer(call=CALL, reason="not an object of JSON")
    return fields


_POINTER, _TEXT, _INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_SIGNATURES: Final[Mapping[str, tuple[Any, tuple[Any, ...]]]] = {
    "NewSdk": (_POINTER, ()),
    "Init": (_INT, (_POINTER, _TEXT, _TEXT)),
    "DestroySdk": (None, (_POINTER,)),
    "NewSlice": (_POINTER, ()),
    "FreeSlice": (None, (_POINTER,)),
    # A pointer and not a char*: ctypes would cut the text at its first NUL and lose the address.
    "GetContentFromSlice": (_POINTER, (_POINTER,)),
    "GetSliceLen": (_INT, (_POINTER,)),
    "GetChatData": (
        _INT,
        (_POINTER, ctypes.c_ulonglong, ctypes.c_uint, _TEXT, _TEXT, _INT, _POINTER),
    ),
    "DecryptData": (_INT, (_TEXT, _TEXT, _POINTER)),
}


def _declared(library: Any) -> Any:
    """Undeclared, ctypes would cut every pointer to 32 bits."""
    for name, (answer, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = answer, arguments
    return library

"""Sealing: what is stored encrypted, under a key that is not in the database.

    sealed = key id (4 bytes) · nonce (12 bytes) · AES-256-GCM of the text

The id comes from the key itself: any process finds the key a row was sealed with, and a key can be
replaced while the old ones still open what they sealed. Four zero bytes mean "in the clear": rows
from before there was sealing.
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bank.settings import Settings

KEY_BYTES = 32
NONCE_BYTES = 12
ID_BYTES = 4
IN_THE_CLEAR = bytes(ID_BYTES)


class UnreadableKey(ValueError):
    """A sealing key is not 32 bytes in base64; make one with `openssl rand -base64 32`."""


class SealBroken(Exception):
    """What is stored was changed, or sealed with a key we have not; set SIYU_SECRET_KEYS_OLD."""


class Seal:
    """Closes with the first key and opens with any."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {_id(key): AESGCM(key) for key in keys}
        self._current = _id(keys[0])
        self._cipher = self._ciphers[self._current]

    def close(self, plain: bytes, context: bytes) -> bytes:
        """Seal the text; it opens only with the same context, such as the name of its table."""
        nonce = os.urandom(NONCE_BYTES)
        return self._current + nonce + self._cipher.encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The text again; SealBroken if one bit of it, or of the context, is another."""
        key_id, rest = sealed[:ID_BYTES], sealed[ID_BYTES:]
        if key_id == IN_THE_CLEAR:
            return rest
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealBroken("the key is unknown")
        try:
            return cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], context)
        except (InvalidTag, ValueError) as changed:
            raise SealBroken("the text was changed") from changed


def open_seal(settings: Settings) -> Seal:
    """The seal of the settings; without a key there, the one of this home, made when missing."""
    return Seal(keys_of(settings))


def keys_of(settings: Settings) -> list[bytes]:
    """The key of the settings or of this home, and after it the old ones."""
    named = settings.secret_key.get_secret_value()
    current = _decoded(named) if named else _key_of(settings.home)
    return [current, *(_decoded(key.get_secret_value()) for key in settings.secret_keys_old)]


def _id(key: bytes) -> bytes:
    return hashlib.sha256(b"siyu seal" + key).digest()[:ID_BYTES]


def _decoded(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise UnreadableKey(UnreadableKey.__doc__)
    return key


def _key_of(home: Path) -> bytes:
    """Made once, readable by its owner alone; two processes that start together agree on one."""
    path = home / "secret.key"
    home.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return _decoded(path.read_text().strip())

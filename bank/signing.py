"""Signing: Ed25519, with a key that comes from the sealing key and is never in the database.

Whoever checks needs the public key alone. A new sealing key makes a new signing key; what the old
one signed stays good while the old sealing key is in `SIYU_SECRET_KEYS_OLD`, or its public key in
`SIYU_AUDIT_PUBLIC_KEYS`.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bank.sealing import KEY_BYTES, keys_of
from bank.settings import Settings


class UnreadablePublicKey(ValueError):
    """SIYU_AUDIT_PUBLIC_KEYS holds a key that is not 32 bytes in base64, as `siyu audit key`
    prints it."""


class Signer:
    """Signs with one key and knows the signatures of every trusted one."""

    def __init__(self, private: Ed25519PrivateKey, trusted: Iterable[bytes]) -> None:
        self._private = private
        self.public = _raw(private.public_key())
        self.key = key_name(self.public)
        self._trusted = {
            key_name(raw): Ed25519PublicKey.from_public_bytes(raw)
            for raw in (self.public, *trusted)
        }

    @property
    def public_text(self) -> str:
        """The public key, to be given to whoever checks."""
        return base64.b64encode(self.public).decode()

    def sign(self, data: bytes) -> str:
        """The signature, in base64."""
        return base64.b64encode(self._private.sign(data)).decode()

    def knows(self, key: str) -> bool:
        """Whether signatures of that key are trusted here."""
        return key in self._trusted

    def signed(self, key: str, signature: str, data: bytes) -> bool:
        """Whether a trusted key of that name really signed it."""
        if key not in self._trusted:
            return False
        try:
            self._trusted[key].verify(base64.b64decode(signature, validate=True), data)
        except (InvalidSignature, ValueError):
            return False
        return True

    def trusting(self, *public_texts: str) -> "Signer":
        """The same, trusting these public keys too."""
        return Signer(
            self._private,
            [*map(_raw, self._trusted.values()), *(_decoded(text) for text in public_texts)],
        )


def open_signer(settings: Settings) -> Signer:
    """The signer of the settings; earlier keys stay trusted."""
    current, *old = [_derived(key) for key in keys_of(settings)]
    public = [_decoded(text) for text in settings.audit_public_keys]
    return Signer(current, [*(_raw(key.public_key()) for key in old), *public])


def key_name(public: bytes) -> str:
    """A short name for a public key, made from it."""
    return hashlib.sha256(public).hexdigest()[:16]


def _derived(key: bytes) -> Ed25519PrivateKey:
    derive = HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=b"siyu audit signing key")
    return Ed25519PrivateKey.from_private_bytes(derive.derive(key))


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _decoded(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise UnreadablePublicKey(UnreadablePublicKey.__doc__)
    return raw

"""The locked envelope: what WeCom seals opens, and nothing else does."""

import base64
import hashlib
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wechatpy.enterprise.crypto import WeChatCrypto

from wecom import callback
from wecom.callback import (
    MAX_BODY,
    CallbackKeys,
    CallbackRejected,
    open_echo,
    open_envelope,
    open_with_any,
    seal,
    seal_bytes,
    seal_echo,
)

# WeCom's own samples, published with the documentation of its encryption.
TOKEN = "QDG6eK"
CORP_ID = "wx5823bf96d3bd56c7"
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
KEYS = CallbackKeys(TOKEN, AES_KEY, CORP_ID)

ECHO_QUERY = {
    "msg_signature": "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3",
    "timestamp": "1409659589",
    "nonce": "263014780",
    "echostr": (
        "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
    ),
}
ECHO_PREFIX = b"c41b64491c2468d0"
ECHO = "1616140317555161061"

POST_QUERY = {
    "msg_signature": "477715d11cdb4164915debcba66cb864d751f3e6",
    "timestamp": "1409659813",
    "nonce": "1372623149",
}
POST_PREFIX = b"0960688932c47ef1"
POST_ENCRYPT = (
    "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUp"
    "j911L3vg3W/sYYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue"
    "06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+"
    "3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH"
    "27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8"
    "R07+qN+E7Q=="
)
POST_PLAINTEXT = """<xml><ToUserName><![CDATA[wx5823bf96d3bd56c7]]></ToUserName>
<FromUserName><![CDATA[mycreate]]></FromUserName>
<CreateTime>1409659813</CreateTime>
<MsgType><![CDATA[text]]></MsgType>
<Content><![CDATA[hello]]></Content>
<MsgId>4561255354251345929</MsgId>
<AgentID>218</AgentID>
</xml>"""

ROBOT_KEYS = CallbackKeys(TOKEN, AES_KEY, "")
ROBOT_MESSAGE = '{"msgtype":"text","text":{"content":"hello"}}'
ROBOT_ENCRYPT = (
    "sKqRbbiSUnDhFHOvPjtUMTi3GzFfektFKvBUNOExSve1xPfcG17FcdPFbWD6lMvhXtsbEYHcgcFv+1lKg/ZwPQDMzTDy"
    "9+AzPm2Vu98WnuNA++V2A1hRbGhADO24sHEC"
)
ROBOT_SIGNATURE = "49e35a9727dc07cecef6b303eb407e96219fea67"
APP_MESSAGE = "<xml><a>1</a></xml>"
APP_ENCRYPT = (
    "sKqRbbiSUnDhFHOvPjtUMTPTmNtN3HdhYYuq+xfO4yHw7fJnQLXlKWVDmc3dCrze5pdIMoO7c/jS0XPEQGIKbg=="
)
APP_SIGNATURE = "12c45eaebcbd67698a467a435b32cdd49cb47064"
SAMPLE_PREFIX = b"0123456789abcdef"


def envelope(encrypted: str) -> bytes:
    return (
        f"<xml><ToUserName><![CDATA[{CORP_ID}]]></ToUserName><AgentID><![CDATA[218]]></AgentID>"
        f"<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    ).encode()


def signed(encrypted: str) -> dict[str, str]:
    """A query whose signature is right for `encrypted`, whatever that holds."""
    parts = sorted([TOKEN, "1409659813", "1372623149", encrypted])
    signature = hashlib.sha1("".join(parts).encode()).hexdigest()
    return {"msg_signature": signature, "timestamp": "1409659813", "nonce": "1372623149"}


def locked(content: bytes, pad: bytes) -> tuple[dict[str, str], bytes]:
    """An envelope with a right key and signature around content of our choosing."""
    ciphertext = KEYS._crypto.cipher.encrypt(content + pad)
    encrypted = base64.b64encode(ciphertext).decode()
    return signed(encrypted), envelope(encrypted)


def rejected(query: dict[str, str], body: bytes, keys: CallbackKeys = KEYS) -> bool:
    with pytest.raises(CallbackRejected) as caught:
        open_envelope(keys, query, body)
    return caught.value.args == ()


class TestOfficialSamples:
    def test_the_echo_opens(self) -> None:
        assert open_echo(KEYS, ECHO_QUERY) == ECHO

    def test_the_message_opens(self) -> None:
        assert open_envelope(KEYS, POST_QUERY, envelope(POST_ENCRYPT)) == POST_PLAINTEXT

    def test_the_echo_seals_to_the_same_letters(self) -> None:
        query, body = seal(KEYS, ECHO, "263014780", 1409659589, prefix=ECHO_PREFIX)
        assert ET.fromstring(body).findtext("Encrypt") == ECHO_QUERY["echostr"]
        assert query["msg_signature"] == ECHO_QUERY["msg_signature"]

    def test_the_message_seals_to_the_same_letters(self) -> None:
        query, body = seal(KEYS, POST_PLAINTEXT, "1372623149", 1409659813, prefix=POST_PREFIX)
        assert ET.fromstring(body).findtext("Encrypt") == POST_ENCRYPT
        assert query == POST_QUERY

    @pytest.mark.parametrize(
        ("keys", "message", "encrypted", "signature"),
        [
            (ROBOT_KEYS, ROBOT_MESSAGE, ROBOT_ENCRYPT, ROBOT_SIGNATURE),
            (KEYS, APP_MESSAGE, APP_ENCRYPT, APP_SIGNATURE),
        ],
        ids=["robot", "app"],
    )
    def test_samples_with_a_known_prefix_both_ways(
        self, keys: CallbackKeys, message: str, encrypted: str, signature: str
    ) -> None:
        query, body = seal(keys, message, "1372623149", 1409659813, prefix=SAMPLE_PREFIX)
        assert ET.fromstring(body).findtext("Encrypt") == encrypted
        assert query["msg_signature"] == signature
        assert open_envelope(keys, query, body) == message


class TestWechatpyAgrees:
    crypto = WeChatCrypto(TOKEN, AES_KEY, CORP_ID)

    def test_it_opens_the_official_samples(self) -> None:
        q = ECHO_QUERY
        opened = self.crypto.check_signature(
            q["msg_signature"], q["timestamp"], q["nonce"], q["echostr"]
        )
        assert opened == ECHO
        assert self.opened_by_wechatpy(POST_QUERY, envelope(POST_ENCRYPT)) == POST_PLAINTEXT

    def test_it_opens_what_we_seal(self) -> None:
        assert self.opened_by_wechatpy(*seal(KEYS, "客户：你好", "n", 1409659813)) == "客户：你好"

    def test_we_open_what_it_seals(self) -> None:
        reply = ET.fromstring(self.crypto.encrypt_message("客户：你好", "nonce", "1409659813"))
        query = {
            "msg_signature": reply.findtext("MsgSignature", ""),
            "timestamp": reply.findtext("TimeStamp", ""),
            "nonce": reply.findtext("Nonce", ""),
        }
        body = envelope(reply.findtext("Encrypt", ""))
        assert open_envelope(KEYS, query, body) == "客户：你好"

    def opened_by_wechatpy(self, query: dict[str, str], body: bytes) -> str:
        opened: str = self.crypto.decrypt_message(
            body, query["msg_signature"], query["timestamp"], query["nonce"]
        )
        return opened


class TestForgery:
    @given(st.text(max_size=2000), st.text("0123456789", min_size=1), st.integers(0, 2**40))
    def test_what_is_sealed_opens(self, text: str, nonce: str, timestamp: int) -> None:
        assert open_envelope(KEYS, *seal(KEYS, text, nonce, timestamp)) == text

    @given(st.integers(0, len(base64.b64decode(POST_ENCRYPT)) * 8 - 1))
    def test_no_flipped_bit_of_the_ciphertext_is_accepted(self, bit: int) -> None:
        ciphertext = bytearray(base64.b64decode(POST_ENCRYPT))
        ciphertext[bit // 8] ^= 1 << bit % 8
        assert rejected(POST_QUERY, envelope(base64.b64encode(ciphertext).decode()))

    @given(st.integers(0, 40 * 7 - 1))
    def test_no_flipped_bit_of_the_signature_is_accepted(self, bit: int) -> None:
        signature = bytearray(POST_QUERY["msg_signature"].encode())
        signature[bit // 7] ^= 1 << bit % 7
        assert rejected({**POST_QUERY, "msg_signature": signature.decode()}, envelope(POST_ENCRYPT))

    @given(st.binary(max_size=300), st.dictionaries(st.text(), st.text()))
    def test_nonsense_is_rejected_and_never_crashes(
        self, body: bytes, query: dict[str, str]
    ) -> None:
        assert rejected(query, body)
        assert rejected({**POST_QUERY, **query}, body)

    @given(st.binary(max_size=200))
    def test_well_signed_nonsense_is_rejected_and_never_crashes(self, content: bytes) -> None:
        assert rejected(*locked(content, b"\x07" * (-len(content) % 16)))
        encrypted = base64.b64encode(content).decode()
        assert rejected(signed(encrypted), envelope(encrypted))

    @pytest.mark.parametrize("missing", ["msg_signature", "timestamp", "nonce"])
    def test_a_missing_parameter_is_rejected(self, missing: str) -> None:
        query = {name: value for name, value in POST_QUERY.items() if name != missing}
        assert rejected(query, envelope(POST_ENCRYPT))
        with pytest.raises(CallbackRejected):
            open_echo(KEYS, {**ECHO_QUERY, missing: ""})

    def test_a_message_for_another_company_is_rejected(self) -> None:
        other = CallbackKeys(TOKEN, AES_KEY, "wwOTHER")
        assert rejected(*seal(other, "hello", "n", 1))

    def test_a_robot_message_is_not_an_app_message(self) -> None:
        assert rejected(*seal(ROBOT_KEYS, "hello", "n", 1))
        assert rejected(*seal(KEYS, "hello", "n", 1), keys=ROBOT_KEYS)

    def test_an_upper_case_signature_is_rejected(self) -> None:
        query = {**POST_QUERY, "msg_signature": POST_QUERY["msg_signature"].upper()}
        assert rejected(query, envelope(POST_ENCRYPT))


class TestPadding:
    @staticmethod
    def content(size: int) -> bytes:
        text = b"x" * (size - 20 - len(CORP_ID))
        return b"p" * 16 + len(text).to_bytes(4, "big") + text + CORP_ID.encode()

    def test_a_full_block_of_padding_is_right(self) -> None:
        query, body = locked(self.content(64), b"\x20" * 32)
        assert open_envelope(KEYS, query, body) == "x" * (64 - 38)

    @pytest.mark.parametrize(
        "pad",
        [
            b"\x00" * 16,
            b"\x21" * 48,
            b"\x20" * 16,
            b"\x01" * 15 + b"\x10",
            b"\x10" * 14 + b"\x0f\x10",
        ],
        ids=["zero", "above-a-block", "longer-than-present", "mixed", "one-byte-off"],
    )
    def test_wrong_padding_is_rejected(self, pad: bytes) -> None:
        assert rejected(*locked(self.content(48 if len(pad) < 33 else 64), pad))

    @pytest.mark.parametrize("length", [0xFFFFFFFF, 27, 25])
    def test_a_length_that_does_not_fit_is_rejected(self, length: int) -> None:
        content = b"p" * 16 + length.to_bytes(4, "big") + b"x" * 26 + CORP_ID.encode()
        assert rejected(*locked(content, b"\x20" * 32))

    def test_text_that_is_not_utf8_is_no_text_but_authentic(self) -> None:
        content = b"p" * 16 + (2).to_bytes(4, "big") + b"\xff\xfe" + CORP_ID.encode()
        query, body = locked(content, bytes([24]) * 24)
        assert rejected(query, body)
        assert open_with_any([KEYS], query, body).plain == b"\xff\xfe"
        assert open_with_any([KEYS], *seal_bytes(KEYS, b"\xff", "n", 1)).plain == b"\xff"


class TestEnvelope:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<xml/>",
            b"<xml><Encrypt/></xml>",
            b"{}",
            b"<html><Encrypt>x</Encrypt></html>",
            envelope(POST_ENCRYPT).replace(b"<xml>", b"<html>").replace(b"</xml>", b"</html>"),
            b'<?xml version="1.0" encoding="no-such"?>' + envelope(POST_ENCRYPT),
            b'<!DOCTYPE x [<!ENTITY a "b">]>' + envelope(POST_ENCRYPT),
            b'<!DOCTYPE x SYSTEM "http://example.com/x.dtd">' + envelope(POST_ENCRYPT),
            envelope(POST_ENCRYPT)[:-1],
        ],
    )
    def test_anything_but_the_documented_xml_is_rejected(self, body: bytes) -> None:
        assert rejected(POST_QUERY, body)

    def test_an_element_given_twice_is_rejected(self) -> None:
        twice = envelope(POST_ENCRYPT).replace(b"</xml>", b"<Encrypt>x</Encrypt></xml>")
        assert rejected(POST_QUERY, twice)

    @pytest.mark.parametrize(
        "body",
        [
            b'<?xml version="1.0" encoding="utf-8"?>' + envelope(POST_ENCRYPT),
            b"\n" + envelope(POST_ENCRYPT) + b"\n",
            envelope(POST_ENCRYPT).replace(b"<![CDATA[", b"").replace(b"]]>", b""),
        ],
        ids=["declared", "spaced", "without CDATA"],
    )
    def test_other_ways_to_write_the_same_are_read(self, body: bytes) -> None:
        assert open_envelope(KEYS, POST_QUERY, body) == POST_PLAINTEXT

    @pytest.mark.parametrize(
        "body",
        [
            envelope(POST_ENCRYPT).decode().encode("utf-16"),
            b'<?xml version="1.0" encoding="gbk"?>' + envelope(POST_ENCRYPT),
            b"<xml><a><Encrypt>" + POST_ENCRYPT.encode() + b"</Encrypt></a></xml>",
            b"<xml>" + b"".join(b"<a%d/>" % n for n in range(99)) + envelope(POST_ENCRYPT)[5:],
        ],
        ids=["utf-16", "a lying declaration", "deeper", "crowded"],
    )
    def test_what_two_readers_could_see_differently_is_rejected(self, body: bytes) -> None:
        assert rejected(POST_QUERY, body)

    def test_an_oversized_body_is_rejected_unread(self) -> None:
        assert rejected(POST_QUERY, envelope(POST_ENCRYPT) + b" " * MAX_BODY)


class TestSeveralPairs:
    OTHER = CallbackKeys("OtherToken", "a" * 43, CORP_ID, "next")
    SAME_TOKEN = CallbackKeys(TOKEN, "b" * 43, CORP_ID, "app 7")
    ALL = (KEYS, OTHER, SAME_TOKEN)

    @pytest.mark.parametrize("keys", ALL, ids=lambda keys: keys.name)
    def test_each_of_them_opens_and_is_named(self, keys: CallbackKeys) -> None:
        opened = open_with_any(self.ALL, *seal(keys, "hello", "n", 1409659813))
        assert (opened.plain, opened.signed_at, opened.keys) == (b"hello", 1409659813, keys)
        query = seal_echo(keys, ECHO, "n", 1409659813)
        assert open_echo(self.ALL, query) == ECHO

    def test_one_that_was_taken_away_opens_nothing(self) -> None:
        with pytest.raises(CallbackRejected):
            open_with_any([KEYS, self.SAME_TOKEN], *seal(self.OTHER, "hello", "n", 1))
        with pytest.raises(CallbackRejected):
            open_with_any([], *seal(KEYS, "hello", "n", 1))

    def test_nobody_can_sign_with_an_empty_token(self) -> None:
        open_to_all = CallbackKeys("", AES_KEY, CORP_ID)
        assert rejected(*seal(open_to_all, "hello", "n", 1), keys=open_to_all)

    @pytest.mark.parametrize("wrong", ["signature", "padding", "receiver", "xml"])
    def test_the_same_work_is_done_whatever_is_wrong(
        self, wrong: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decrypted: list[int] = []
        real = callback._message

        def counting(keys: CallbackKeys, ciphertext: bytes) -> bytes | None:
            decrypted.append(len(ciphertext))
            return real(keys, ciphertext)

        monkeypatch.setattr(callback, "_message", counting)
        query, body = {
            "signature": (POST_QUERY | {"nonce": "1"}, envelope(POST_ENCRYPT)),
            "padding": locked(b"x" * 32, b"\x00" * 16),
            "receiver": seal(CallbackKeys(TOKEN, AES_KEY, "wwOTHER"), "hello", "n", 1),
            "xml": (POST_QUERY, b"<xml>"),
        }[wrong]
        assert rejected(query, body)
        assert len(decrypted) == 1


class TestKeys:
    @pytest.mark.parametrize("aes_key", ["", AES_KEY[:-1], AES_KEY + "=", AES_KEY[:-1] + "!"])
    def test_a_wrong_key_is_said_at_once(self, aes_key: str) -> None:
        with pytest.raises(ValueError, match="43 letters and digits"):
            CallbackKeys(TOKEN, aes_key, CORP_ID)

    def test_keys_are_never_printed(self) -> None:
        assert TOKEN not in repr(KEYS)
        assert AES_KEY not in repr(KEYS)

"""Sealing: what is stored encrypted opens again, and only as it was stored."""

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bank.sealing import IN_THE_CLEAR, Seal, SealBroken, UnreadableKey, open_seal
from bank.settings import Settings

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
SEAL = Seal([OLD])
HERE = b"inbound_event"


def settings_of(home: Path, **more: object) -> Settings:
    return Settings(_env_file=None, home=home, **more)  # type: ignore[arg-type]


@given(st.binary(max_size=2000))
def test_what_is_closed_opens(plain: bytes) -> None:
    assert SEAL.open(SEAL.close(plain, HERE), HERE) == plain


@given(st.integers(0, (32 + 11) * 8 - 1))
def test_no_changed_bit_goes_unnoticed(bit: int) -> None:
    sealed = bytearray(SEAL.close(b"hello women", HERE))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        SEAL.open(bytes(sealed), HERE)


def test_nothing_of_the_text_can_be_seen_and_no_two_look_alike() -> None:
    once, again = SEAL.close("李女士".encode(), HERE), SEAL.close("李女士".encode(), HERE)
    assert "李".encode() not in once
    assert once != again


def test_what_was_sealed_for_one_table_opens_in_no_other() -> None:
    with pytest.raises(SealBroken):
        SEAL.open(SEAL.close(b"hello", HERE), b"spool")


@pytest.mark.parametrize("length", [0, 1, 4, 15, 31])
def test_a_stub_is_broken_and_no_crash(length: int) -> None:
    with pytest.raises(SealBroken):
        SEAL.open(SEAL.close(b"", HERE)[:length], HERE)


def test_rows_from_before_there_was_sealing_open() -> None:
    assert SEAL.open(IN_THE_CLEAR + b"<xml/>", HERE) == b"<xml/>"


def test_a_new_key_closes_while_the_old_one_still_opens() -> None:
    changed = Seal([NEW, OLD])
    assert changed.open(SEAL.close(b"before", HERE), HERE) == b"before"
    with pytest.raises(SealBroken):
        SEAL.open(changed.close(b"after", HERE), HERE)
    with pytest.raises(SealBroken):
        Seal([NEW]).open(SEAL.close(b"before", HERE), HERE)


def test_the_keys_come_from_the_settings(tmp_path: Path) -> None:
    def written(key: bytes) -> SecretStr:
        return SecretStr(base64.b64encode(key).decode())

    settings = settings_of(tmp_path, secret_key=written(NEW), secret_keys_old=[written(OLD)])
    assert open_seal(settings).open(SEAL.close(b"before", HERE), HERE) == b"before"
    assert not (tmp_path / "secret.key").exists()


def test_without_a_key_one_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "home")
    sealed = open_seal(settings).close(b"kept", HERE)
    assert open_seal(settings).open(sealed, HERE) == b"kept"
    assert stat.S_IMODE((tmp_path / "home" / "secret.key").stat().st_mode) == 0o600


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as hands:
        seals = list(hands.map(lambda _: open_seal(settings_of(tmp_path / "home")), range(8)))
    sealed = seals[0].close(b"shared", HERE)
    assert {seal.open(sealed, HERE) for seal in seals} == {b"shared"}
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["secret.key"]


@pytest.mark.parametrize("key", ["short", "not base64 !", base64.b64encode(b"x" * 31).decode()])
def test_an_unusable_key_is_said_at_once(tmp_path: Path, key: str) -> None:
    with pytest.raises(UnreadableKey, match="openssl rand"):
        open_seal(settings_of(tmp_path, secret_key=SecretStr(key)))

"""The spool: what is appended is there after any crash, and nothing half written is."""

import os
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.inbound.spool import HEAD, Spool, SpoolUnavailable


def everything(spool: Spool) -> list[bytes]:
    """Read and drop until nothing is left."""
    found = []
    while spool.pending:
        found += spool.read(3)
        spool.drop()
    return found


def the_file(folder: Path) -> Path:
    [path] = folder.glob("*.spool")
    return path


def test_records_come_out_in_the_order_they_went_in(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"one", b"two"])
    spool.append([b"three", b"four"])
    assert spool.pending == 4
    assert everything(spool) == [b"one", b"two", b"three", b"four"]
    assert the_file(tmp_path).stat().st_size == 0
    spool.append([b"five"])
    assert everything(spool) == [b"five"]


def test_what_is_read_stays_until_it_is_dropped(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"one", b"two", b"three"])
    assert spool.read(2) == spool.read(2) == [b"one", b"two"]
    spool.drop()
    assert spool.read(2) == [b"three"]
    assert spool.pending == 1


def test_it_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    Spool(tmp_path / "spool").append([b"one"])
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0
    assert the_file(tmp_path / "spool").stat().st_mode & 0o077 == 0


def test_what_a_process_leaves_is_taken_over_and_what_it_emptied_is_gone(tmp_path: Path) -> None:
    dead, emptied = Spool(tmp_path), Spool(tmp_path)
    dead.append([b"one", b"two"])
    emptied.append([b"gone"])
    everything(emptied)
    dead.close()
    emptied.close()
    heir = Spool(tmp_path)
    heir.append([b"three"])
    assert heir.adopt() == 2
    assert heir.adopt() == 0
    assert everything(heir) == [b"one", b"two", b"three"]
    heir.close()
    assert list(tmp_path.iterdir()) == []


def test_nobody_takes_over_from_the_living(tmp_path: Path) -> None:
    one, other = Spool(tmp_path), Spool(tmp_path)
    one.append([b"one"])
    other.append([b"other"])
    assert one.adopt() == other.adopt() == 0
    assert (everything(one), everything(other)) == ([b"one"], [b"other"])


@given(torn=st.integers(1, len(b"second record") + HEAD.size))
def test_a_torn_last_record_is_dropped(tmp_path_factory: pytest.TempPathFactory, torn: int) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder)
    spool.append([b"first record", b"second record"])
    spool.close()
    path = the_file(folder)
    os.truncate(path, path.stat().st_size - torn)
    heir = Spool(folder)
    heir.adopt()
    assert everything(heir) == [b"first record"]
    heir.close()


@pytest.mark.parametrize("tail", [bytes(64), b"\xff" * 64, HEAD.pack(3, 1) + b"abc"])
def test_what_a_crash_left_behind_the_last_record_is_dropped(tmp_path: Path, tail: bytes) -> None:
    spool = Spool(tmp_path)
    spool.append([b"kept"])
    spool.close()
    with the_file(tmp_path).open("ab") as file:
        file.write(tail)
    heir = Spool(tmp_path)
    heir.adopt()
    assert everything(heir) == [b"kept"]


def test_a_record_that_rotted_on_disk_takes_no_other_one_with_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"first", b"rotten", b"third"])
    with the_file(tmp_path).open("r+b") as file:
        file.seek(HEAD.size + len(b"first") + HEAD.size)
        file.write(b"R")
    assert everything(spool) == [b"first", b"third"]


def test_a_full_spool_takes_nothing_and_goes_on_once_there_is_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit=100)
    spool.append([b"x" * 60])
    with pytest.raises(SpoolUnavailable):
        spool.append([b"y" * 60])
    assert everything(spool) == [b"x" * 60]
    spool.append([b"y" * 60])
    assert everything(spool) == [b"y" * 60]


def test_without_a_place_to_write_nothing_is_taken(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    with pytest.raises(SpoolUnavailable):
        Spool(tmp_path / "spool").append([b"one"])


def test_a_full_disk_takes_nothing_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"before"])

    def full(descriptor: int, data: memoryview, offset: int) -> int:
        if offset == wrote.get("at"):
            raise OSError(28, "No space left on device")
        wrote["at"] = offset + 4
        return real(descriptor, data[:4], offset)

    real, wrote = os.pwrite, dict[str, int]()
    os.pwrite = full  # type: ignore[assignment]
    try:
        with pytest.raises(SpoolUnavailable):
            spool.append([b"during"])
    finally:
        os.pwrite = real
    spool.append([b"after"])
    assert everything(spool) == [b"before", b"after"]


def test_after_a_failed_flush_the_file_is_never_trusted_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"before"])

    def failing(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    real, os.fsync = os.fsync, failing  # type: ignore[assignment]
    try:
        with pytest.raises(SpoolUnavailable):
            spool.append([b"during"])
    finally:
        os.fsync = real
    with pytest.raises(SpoolUnavailable):
        spool.append([b"after"])
    assert everything(spool) == [b"before"]


def test_the_checksum_is_the_plain_one(tmp_path: Path) -> None:
    Spool(tmp_path).append([b"record"])
    assert the_file(tmp_path).read_bytes() == HEAD.pack(6, zlib.crc32(b"record")) + b"record"

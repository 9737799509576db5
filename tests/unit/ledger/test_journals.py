"""Journals: records over files, what is taken back, what is torn, what is damaged; leaves and payloads as records."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.ledger import files, leaves, payloads
from infra.ledger.errors import LedgerDamagedError, LedgerInUseError, NotCommittedError, StorageUnknownError
from infra.ledger.files import Journal
from infra.ledger.payloads import PayloadError

WRAPPING = bytes(range(32))
LEAF = b"\x01\x03" + bytes(range(32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal's folder."""
    path = tmp_path / "journal"
    path.mkdir()
    return path


def content(folder: Path) -> list[bytes]:
    """The files in order."""
    return [path.read_bytes() for path in files.journal_files(folder)]


@given(st.lists(st.lists(st.binary(min_size=1, max_size=5), max_size=7), max_size=6))
@settings(max_examples=50, deadline=None)
def test_records_over_files(tmp_path_factory: pytest.TempPathFactory, groups: list[list[bytes]]) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder, 3, 0, 0)
    everything: list[bytes] = []
    for group in groups:
        journal.append(group)
        journal.sync()
        everything += group
    assert content(folder) == [b"".join(everything[at : at + 3]) for at in range(0, len(everything), 3)]
    journal.close()
    last = len(content(folder)[-1]) if everything else 0
    again = Journal(folder, 3, len(everything), last if len(everything) % 3 else 0)
    again.append([b"more"])
    again.sync()
    again.close()
    everything.append(b"more")
    assert content(folder) == [b"".join(everything[at : at + 3]) for at in range(0, len(everything), 3)]


@given(st.integers(0, 9), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_what_is_taken_back(tmp_path_factory: pytest.TempPathFactory, kept: int, lost: int) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder, 3, 0, 0)
    journal.append([b"k"] * kept)
    mark = journal.mark
    before = content(folder)
    journal.append([b"lost"] * lost)
    journal.back_to(mark)
    assert content(folder) == before
    journal.append([b"n"])
    journal.sync()
    journal.close()
    assert b"".join(content(folder)) == b"k" * kept + b"n"


def test_a_full_disk_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a record was written, in the second file of the group."""
    journal = Journal(folder, 2, 0, 0)
    journal.append([b"a"])
    real = os.write
    calls = []

    def write(descriptor: int, data: bytes) -> int:
        calls.append(1)
        if len(calls) == 1:
            return real(descriptor, data)
        if len(calls) == 2:
            return real(descriptor, data[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(NotCommittedError, match="No space"):
        journal.append([b"b", b"cc", b"dd"])
    monkeypatch.undo()
    assert content(folder) == [b"a"]
    journal.append([b"b", b"c"])
    assert content(folder) == [b"ab", b"c"]
    journal.close()


def test_what_cannot_be_taken_back_or_synced_is_unknown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    journal = Journal(folder, 2, 0, 0)
    journal.append([b"a"])
    monkeypatch.setattr(os, "fdatasync", fails)
    with pytest.raises(StorageUnknownError):
        journal.sync()
    monkeypatch.setattr(os, "write", fails)
    monkeypatch.setattr(os, "truncate", fails)
    with pytest.raises(StorageUnknownError):
        journal.append([b"b"])
    journal.close()


def test_a_file_too_many_or_too_few(folder: Path) -> None:
    (folder / "0000000001").write_bytes(b"")
    with pytest.raises(LedgerDamagedError, match="0000000000 should be"):
        files.journal_files(folder)
    (folder / "0000000000").write_bytes(b"")
    (folder / "0000000001x").write_bytes(b"")
    with pytest.raises(LedgerDamagedError):
        files.journal_files(folder)


def test_one_holds_a_ledger(folder: Path) -> None:
    assert not files.in_use(folder)
    held = files.lock(folder)
    assert files.in_use(folder)
    with pytest.raises(LedgerInUseError):
        files.lock(folder)
    held.close()
    assert not files.in_use(folder)
    files.lock(folder).close()


def leaf_file(folder: Path, count: int, first: int = 0) -> Path:
    """A file of leaves."""
    path = folder / "0000000000"
    path.write_bytes(b"".join(leaves.encode(first + at, LEAF) for at in range(count)))
    return path


@pytest.mark.parametrize("torn", [b"", b"\x01", LEAF, LEAF + b"abc", bytes(38), LEAF[:20] + bytes(18 + 38 * 3)])
def test_torn_leaves(folder: Path, torn: bytes) -> None:
    """A power cut leaves half of an append, or zeros in its place."""
    path = leaf_file(folder, 5)
    path.write_bytes(path.read_bytes() + torn)
    assert leaves.scan(folder) == leaves.Scan(5, len(torn))


def test_every_changed_bit_of_whole_leaves_is_damage(folder: Path) -> None:
    path = leaf_file(folder, 3)
    data = path.read_bytes()
    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        path.write_bytes(changed)
        with pytest.raises(LedgerDamagedError):
            leaves.scan(folder)
        with pytest.raises(LedgerDamagedError):
            list(leaves.read(folder, 0, 3))


def test_leaves_of_another_place_are_damage(folder: Path) -> None:
    leaf_file(folder, 3, first=1)
    with pytest.raises(LedgerDamagedError):
        leaves.scan(folder)


def test_leaves_over_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaves, "PER_FILE", 4)
    journal = Journal(folder, 4, 0, 0)
    wanted = [b"\x01\x03" + bytes([at]) * 32 for at in range(10)]
    journal.append([leaves.encode(at, one) for at, one in enumerate(wanted)])
    journal.close()
    assert leaves.scan(folder) == leaves.Scan(10, 0)
    assert list(leaves.read(folder, 3, 9)) == wanted[3:9]
    with pytest.raises(LedgerDamagedError):
        list(leaves.read(folder, 8, 11))
    os.truncate(folder / "0000000001", 38 * 3)
    with pytest.raises(LedgerDamagedError):
        leaves.scan(folder)


def sealed(index: int = 7, payload: bytes = b'{"kind":"REFUSED"}') -> bytes:
    """A record."""
    return payloads.seal(WRAPPING, index, b"r" * 16, b"s" * 32 + os.urandom(32), payload)


def test_payloads_there_and_back() -> None:
    (record,) = payloads.walk(sealed())
    assert payloads.unseal(WRAPPING, 7, record) == (b"s" * 32, b'{"kind":"REFUSED"}')
    assert b"REFUSED" not in record.data
    assert sealed() != sealed(), "each has a key of its own"
    for key, index in ((bytes(32), 7), (WRAPPING, 8)):
        with pytest.raises(PayloadError, match="does not open"):
            payloads.unseal(key, index, record)


def test_every_changed_bit_of_a_payload_is_found() -> None:
    data = sealed()
    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        for record in payloads.walk(bytes(changed)):  # none, when the length has become too long
            with pytest.raises(PayloadError):
                payloads.unseal(WRAPPING, 7, record)


def test_erased_payloads_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(sealed(0) + sealed(1) + sealed(2))
    before = payloads.read(path)
    for _ in range(2):
        payloads.erase(path, payloads.read(path)[1])
        first, gone, last = payloads.read(path)
        assert (first, last) == (before[0], before[2])
        assert gone.erased
        gone.check()
        assert not any(gone.data[26:])
        assert not any(gone.request_id)
    changed = bytearray(payloads.blank(before[1]))
    changed[40] = 1
    with pytest.raises(PayloadError):
        next(payloads.walk(bytes(changed))).check()


def test_an_erased_payload_that_is_still_there_is_found() -> None:
    """Whoever only flips the state, and mends the checksum, has erased nothing."""
    import zlib

    data = bytearray(sealed())
    data[1] = payloads.ERASED
    data[22:26] = zlib.crc32(data[26:], zlib.crc32(data[:22])).to_bytes(4, "big")
    with pytest.raises(PayloadError, match="still there"):
        next(payloads.walk(bytes(data))).check()


@given(st.binary(max_size=200))
def test_any_bytes_are_walked(data: bytes) -> None:
    """Whatever stands behind a record, the record itself is found, and nothing is read beyond the end."""
    record = sealed()
    first, *rest = payloads.walk(record + data)
    assert first.data == record
    assert sum(len(one.data) for one in rest) <= len(data)

"""fsck and verify: every byte of a ledger is looked at, and what a kill leaves is told from damage."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date
from pathlib import Path
from typing import Any

import pytest

from infra.ledger import examine, payloads
from infra.ledger.errors import LedgerInUseError
from infra.ledger.examine import NO_CLAIM
from infra.platform.errors import LiucunError, SettingsError
from infra.platform.settings import Ledger
from tests.conftest import LONG
from tests.unit.ledger.ledgers import LATER, append, filled, new, opened

BITS = range(8) if LONG else (None,)  # all eight of every byte, or another one in each


def small(home: Path) -> Ledger:
    """A ledger with every kind of file: several partial tiles, and an erased entry."""
    settings = new(home)
    store = opened(settings)
    store.publish()
    for number in (1, 2):
        append(store, number)
    store.publish()
    store.close()
    later = opened(settings, LATER)
    later.erase(1, "persons/li", "past its term")
    later.publish()
    later.close()
    return settings


def verified(settings: Ledger, folder: Path | None = None, key: str | None = None) -> dict[str, Any]:
    """`audit verify`."""
    return examine.verify(settings, folder=folder, key=key, day=None, zone=UTC)


def files(home: Path) -> list[Path]:
    """Every file of a ledger and of its keys."""
    return sorted(path for path in home.rglob("*") if path.is_file())


def found(check: Any) -> bool:
    """Whether a check finds something, or cannot even begin."""
    try:
        return not check()["ok"]
    except SettingsError:
        return True


def flips(home: Path) -> Iterator[tuple[Path, int, bytes]]:
    """Every byte of every file, changed in one bit (in LONG, in each)."""
    for path in files(home):
        data = path.read_bytes()
        for at in range(len(data)):
            for bit in BITS:
                changed = bytearray(data)
                changed[at] ^= 1 << (at % 8 if bit is None else bit)
                path.write_bytes(changed)
                yield path, at, data
        path.write_bytes(data)


def test_a_bit_in_every_byte_is_found_by_fsck(tmp_path: Path) -> None:
    """Of leaves, payloads, tiles, checkpoint, the public key, and both secret keys."""
    settings = small(tmp_path)
    assert examine.fsck(settings)["ok"]
    missed = [(path.name, at) for path, at, _ in flips(tmp_path) if not found(lambda: examine.fsck(settings))]
    assert missed == []
    assert examine.fsck(settings)["ok"]
    unclaimed = {path.name for path in files(tmp_path) if path.stat().st_size == 0}
    assert unclaimed == NO_CLAIM == {"lock"}


@pytest.mark.parametrize("keys", [True, False], ids=["with keys", "without keys"])
def test_a_bit_in_every_byte_of_a_copy_is_found_by_verify(tmp_path: Path, keys: bool) -> None:
    """Somebody changes a copy; the keys, if there are any, stay where they are."""
    settings = small(tmp_path / "home")
    copy = tmp_path / "copy"
    shutil.copytree(settings.folder, copy)
    trusted = (copy / "log.vkey").read_text().strip()
    if not keys:
        settings = settings.model_copy(update={"keys_dir": tmp_path / "nowhere"})
    report = verified(settings, copy, None if keys else trusted)
    assert report["ok"], report
    assert report["payloads"].startswith("opened" if keys else "checksums only")
    missed = [
        (path.relative_to(copy), at)
        for path, at, _ in flips(copy)
        if not found(lambda: verified(settings, copy, None if keys else trusted))
    ]
    assert missed == []


def test_every_file_that_is_taken_away_is_missed(tmp_path: Path) -> None:
    """But for the lock, and for partial tiles that a wider or newer one has replaced."""
    settings = small(tmp_path)
    head = examine.fsck(settings)["published"]
    replaced = {f"{number}" for number in range(1, head)}
    for path in files(tmp_path):
        data = path.read_bytes()
        path.unlink()
        expected = path.name not in NO_CLAIM and not (path.parent.suffix == ".p" and path.name in replaced)
        assert found(lambda: examine.fsck(settings)) == expected, path
        if path.name != "lock":
            path.write_bytes(data)
            path.chmod(0o600)
    assert examine.fsck(settings)["ok"]


def test_files_that_do_not_belong_are_named(tmp_path: Path) -> None:
    settings = small(tmp_path)
    for name in ("note.txt", "tile/0/001", "tile/5/000", "tile/0/000.p/200", "leaves/0000000009", "tile/leaves/x"):
        path = settings.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        assert not examine.fsck(settings)["ok"], name
        path.unlink()
    lock = settings.folder / "lock"
    lock.write_bytes(b"x")
    assert [one["place"] for one in examine.fsck(settings)["findings"]] == ["lock"]


def test_what_a_kill_leaves_is_noted(tmp_path: Path) -> None:
    settings = filled(tmp_path, 3, publish=False)
    folder = settings.folder
    with (folder / "leaves" / "0000000000").open("ab") as file:
        file.write(b"\x01\x03half")
    path = folder / "payloads" / "0000000000"
    with path.open("ab") as file:
        file.write(payloads.read(path)[0].data)
    (folder / "checkpoint.new").write_bytes(b"half")
    report = examine.fsck(settings)
    assert report["ok"], report
    assert (report["entries"], report["published"], len(report["notes"])) == (4, 1, 3)
    opened(settings).close()
    assert examine.fsck(settings)["notes"] == []
    assert verified(settings)["ok"]


def test_swapped_entries_are_found(tmp_path: Path) -> None:
    """Payloads in each other's place, each whole; leaves in each other's place, each with a right checksum."""
    settings = filled(tmp_path, 4)
    path = settings.folder / "payloads" / "0000000000"
    records = [record.data for record in payloads.read(path)]
    records[1], records[2] = records[2], records[1]
    path.write_bytes(b"".join(records))
    places = {one["place"] for one in examine.fsck(settings)["findings"]}
    assert places == {"entry 1", "entry 2"}


def test_fsck_is_for_a_ledger_at_rest(tmp_path: Path) -> None:
    settings = small(tmp_path)
    store = opened(settings)
    with pytest.raises(LedgerInUseError):
        examine.fsck(settings)
    append(store, 77)
    report = verified(settings)
    assert report["ok"], "while it is in use, what the checkpoint counts is verified"
    assert report["entries"] == report["published"] == store.head.size - 1
    store.close()


def test_no_ledger_is_a_sentence(tmp_path: Path) -> None:
    settings = small(tmp_path / "home")
    with pytest.raises(SettingsError, match="There is no ledger"):
        verified(settings, tmp_path / "nothing")
    with pytest.raises(SettingsError, match="--key is"):
        verified(settings, key="nonsense")
    with pytest.raises(SettingsError, match="There is no ledger"):
        examine.fsck(settings.model_copy(update={"folder": tmp_path / "nothing"}))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert not verified(settings, empty)["ok"]
    lost = settings.model_copy(update={"keys_dir": tmp_path / "nowhere"})
    assert verified(lost, empty)["findings"] == [
        {"place": "log.vkey", "message": "the log's key cannot be read (FileNotFoundError)"}
    ]
    with pytest.raises(LiucunError):
        examine.verify(lost, folder=settings.folder, key=None, day=date(2026, 1, 1), zone=UTC)


def test_another_logs_key_refuses(tmp_path: Path) -> None:
    one, other = small(tmp_path / "one"), small(tmp_path / "other")
    key = (other.folder / "log.vkey").read_text().strip()
    report = verified(one, key=key)
    assert {finding["place"] for finding in report["findings"]} == {"checkpoint", "log.vkey", "entry 0"}


def test_a_day(tmp_path: Path) -> None:
    """Only that day's entries are counted; the tree is checked whole."""
    settings = filled(tmp_path, 3)
    store = opened(settings, LATER)
    append(store, 50)
    store.publish()
    store.close()
    from infra.platform.clock import SystemClock, day_of

    for clock, expected in ((SystemClock(), {"GENESIS": 1, "REFUSED": 3}), (LATER, {"REFUSED": 1})):
        report = examine.verify(settings, folder=None, key=None, day=day_of(clock.now(), UTC), zone=UTC)
        assert (report["ok"], report["kinds"], report["entries"]) == (True, expected, 5)


def test_sentences(tmp_path: Path) -> None:
    settings = small(tmp_path)
    assert "all as written" in examine.sentences(examine.fsck(settings))[-1]
    (settings.folder / "checkpoint").write_bytes(b"")
    assert examine.sentences(examine.fsck(settings))[0].startswith("checkpoint: ")


def test_an_erasure_behind_the_checkpoint_is_no_alarm(tmp_path: Path) -> None:
    """ERASED is COMMITTED and not PUBLISHED yet, and the payload is gone already."""
    settings = filled(tmp_path, 3)
    store = opened(settings, LATER)
    append(store, 9)
    store.erase(1, "persons/li", "past its term")
    assert store.published.size == 4
    with (settings.folder / "leaves" / "0000000000").open("ab") as file:
        file.write(b"half")  # the writer is in the middle of an append
    report = verified(settings)
    assert report["findings"] == []
    assert report["erased"] == 1
    path = settings.folder / "payloads" / "0000000000"
    payloads.erase(path, payloads.read(path)[2])
    assert [one["place"] for one in verified(settings)["findings"]] == ["entry 2"], "gone without a word"
    store.close()


def test_a_payload_read_in_the_middle_of_its_erasure_is_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small(tmp_path)
    real, calls = payloads.read, []

    def read(path: Path) -> list[payloads.Record]:
        calls.append(path)
        records = real(path)
        if len(calls) == 1:
            records[2] = payloads.Record(records[2].offset, records[2].data[:-50] + bytes(50))
        return records

    monkeypatch.setattr(payloads, "read", read)
    assert verified(settings)["findings"] == []


def test_partial_tiles_that_go_meanwhile_are_no_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The running writer publishes the full one between two looks."""
    settings = filled(tmp_path, 299)
    folder = settings.folder / "tile" / "0" / "000.p"
    folder.mkdir()
    real = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path == folder:
            shutil.rmtree(folder, ignore_errors=True)
        return real(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert verified(settings)["findings"] == []

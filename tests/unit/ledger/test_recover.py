"""The crash table of the start, and everything that a writer must not go on from."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.ledger import leaves, payloads
from infra.ledger.errors import EntryRefusedError, ErasureRefusedError, LedgerDamagedError
from infra.ledger.keys import load
from infra.ledger.store import Store
from infra.platform.errors import SettingsError
from infra.platform.settings import Ledger
from infra.proof import checkpoint, leaf
from infra.proof.checkpoint import Checkpoint
from infra.proof.kinds import KINDS, REGISTRY_KINDS
from tests.unit.ledger.ledgers import LATER, append, filled, new, opened

FIRST = "0000000000"


def seal(settings: Ledger, index: int) -> tuple[bytes, bytes]:
    """A payload record and the leaf that belongs to it."""
    keys = load(settings.keys_dir, settings.origin)
    salt, payload = bytes(32), b'{"actor":"x","kind":"REFUSED","time":"2026-01-01T00:00:00.000000Z"}'
    record = payloads.seal(keys.wrapping, index, os.urandom(16), salt + os.urandom(32), payload)
    return record, leaf.encode(KINDS["REFUSED"], leaf.commitment(salt, payload))


def test_payload_without_leaf_is_discarded_and_reported(tmp_path: Path) -> None:
    """Whole, torn, and over the border of a file."""
    settings = filled(tmp_path, 3)
    path = settings.folder / "payloads" / FIRST
    kept = path.read_bytes()
    path.write_bytes(kept + seal(settings, 4)[0] + seal(settings, 5)[0][:50])
    (settings.folder / "payloads" / "0000000001").write_bytes(seal(settings, 256)[0])
    store = opened(settings)
    assert store.discarded_count == 3
    assert store.head.size == 4
    assert path.read_bytes() == kept
    assert not (settings.folder / "payloads" / "0000000001").exists()
    assert append(store, 99) == 4
    store.close()


def test_leaf_without_payload_does_not_start(tmp_path: Path) -> None:
    settings = filled(tmp_path, 3)
    path = settings.folder / "payloads" / FIRST
    records = payloads.read(path)
    path.write_bytes(b"".join(record.data for record in records[:-1]))
    with pytest.raises(LedgerDamagedError, match="Entry 3 has a leaf and no payload"):
        opened(settings)
    path.unlink()
    with pytest.raises(LedgerDamagedError, match="Entry 0 has a leaf and no payload"):
        opened(settings)


def test_a_payload_in_the_middle_of_an_old_file_is_missed(tmp_path: Path) -> None:
    """Not only the tail: every file is walked."""
    settings = filled(tmp_path, 600)
    path = settings.folder / "payloads" / FIRST
    records = payloads.read(path)
    path.write_bytes(b"".join(record.data for record in (*records[:100], *records[101:])))
    with pytest.raises(LedgerDamagedError, match="Entry 255 has a leaf and no payload"):
        opened(settings)


def test_leaves_behind_the_checkpoint_are_taken_over(tmp_path: Path) -> None:
    """COMMITTED and not PUBLISHED: killed in between."""
    settings = filled(tmp_path, 300, publish=False)
    store = opened(settings)
    assert (store.head.size, store.published.size) == (301, 1)
    assert store.publish()
    assert store.published.size == 301
    assert not store.publish()
    store.close()
    again = opened(settings)
    assert again.published.size == 301
    again.close()


def test_a_tree_that_is_shorter_does_not_start(tmp_path: Path) -> None:
    settings = filled(tmp_path, 5)
    os.truncate(settings.folder / "leaves" / FIRST, 5 * leaves.RECORD_BYTES)
    with pytest.raises(LedgerDamagedError, match="shorter than"):
        opened(settings)


@pytest.mark.parametrize("count", [5, 255, 300, 511])
def test_a_tree_that_is_different_does_not_start(tmp_path: Path, count: int) -> None:
    """Another payload and its right leaf in the place of an entry: whole in itself, and not what was signed."""
    settings = filled(tmp_path, count)
    number, offset = divmod(count, payloads.PER_FILE)
    record, one = seal(settings, count)
    path = settings.folder / "payloads" / f"{number:010d}"
    records = [each.data for each in payloads.read(path)]
    records[offset] = record
    path.write_bytes(b"".join(records))
    with (settings.folder / "leaves" / FIRST).open("r+b") as file:
        file.seek(count * leaves.RECORD_BYTES)
        file.write(leaves.encode(count, one))
    with pytest.raises(LedgerDamagedError, match="are not those"):
        opened(settings)


def signed(settings: Ledger, size: int, root: bytes, origin: str | None = None) -> None:
    """Put a checkpoint there, signed by the log's own key."""
    keys = load(settings.keys_dir, settings.origin)
    note = checkpoint.sign(Checkpoint(origin or settings.origin, size, root), keys.log)
    (settings.folder / "checkpoint").write_text(note)


def _longer(settings: Ledger) -> None:
    signed(settings, 99, bytes(32))


def _other_root(settings: Ledger) -> None:
    signed(settings, 4, bytes(32))


def _other_log(settings: Ledger) -> None:
    signed(settings, 4, bytes(32), "another.example/ledger")


def _unsigned(settings: Ledger) -> None:
    path = settings.folder / "checkpoint"
    path.write_text(path.read_text().replace("— ", "— x"))


def _no_tile(settings: Ledger) -> None:
    (settings.folder / "tile" / "0" / "000.p" / "4").unlink()


def _changed_tile(settings: Ledger) -> None:
    path = settings.folder / "tile" / "0" / "000.p" / "4"
    path.write_bytes(bytes(32) + path.read_bytes()[32:])


def _changed_payload(settings: Ledger) -> None:
    path = settings.folder / "payloads" / FIRST
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _no_leaves(settings: Ledger) -> None:
    (settings.folder / "leaves" / FIRST).unlink()


@pytest.mark.parametrize(
    "damage",
    [_longer, _other_root, _other_log, _unsigned, _no_tile, _changed_tile, _changed_payload, _no_leaves],
    ids=lambda damage: damage.__name__,
)
def test_damage_does_not_start(tmp_path: Path, damage: Callable[[Ledger], None]) -> None:
    settings = filled(tmp_path, 3)
    before = {path: path.stat().st_size for path in settings.folder.rglob("*") if path.is_file()}
    opened(settings).close()
    damage(settings)
    after = {path: path.stat().st_size for path in settings.folder.rglob("*") if path.is_file()}
    with pytest.raises(LedgerDamagedError):
        opened(settings)
    assert {path: path.stat().st_size for path in settings.folder.rglob("*") if path.is_file()} == after
    assert before.keys() >= after.keys() - {settings.folder / "lock"}


def test_without_checkpoint_or_keys_there_is_no_ledger(tmp_path: Path) -> None:
    settings = filled(tmp_path, 1)
    (settings.folder / "checkpoint").rename(tmp_path / "aside")
    with pytest.raises(SettingsError, match="There is no ledger"):
        opened(settings)
    (tmp_path / "aside").rename(settings.folder / "checkpoint")
    for name in ("log.key", "wrapping.key"):
        path = settings.keys_dir / name
        path.chmod(0o640)
        with pytest.raises(SettingsError, match="read by others"):
            opened(settings)
        path.chmod(0o600)
        text = path.read_text()
        for wrong in ("", text.strip(), text.upper(), text + "\n", text[:-2] + "\n"):
            path.write_text(wrong)
            with pytest.raises(SettingsError):
                opened(settings)
        path.write_text(text)
    with pytest.raises(SettingsError, match="is the key of"):
        opened(settings.model_copy(update={"origin": "another.example/ledger"}))
    opened(settings).close()


def test_another_wrapping_key_does_not_start(tmp_path: Path) -> None:
    settings = filled(tmp_path, 1)
    (settings.keys_dir / "wrapping.key").write_text(f"liucun-wrapping-key-v1+{bytes(32).hex()}\n")
    with pytest.raises(LedgerDamagedError, match="does not open"):
        opened(settings)


def erase_by_hand(settings: Ledger, index: int) -> None:
    """Destroy a payload without an entry that says so."""
    path = settings.folder / "payloads" / FIRST
    payloads.erase(path, payloads.read(path)[index])


def test_a_payload_that_is_gone_without_a_word_does_not_start(tmp_path: Path) -> None:
    settings = filled(tmp_path, 3)
    erase_by_hand(settings, 2)
    with pytest.raises(LedgerDamagedError, match="entry 2 is gone and no ERASED entry"):
        opened(settings)


def test_an_erasure_is_completed(tmp_path: Path) -> None:
    settings = filled(tmp_path, 3)
    path = settings.folder / "payloads" / FIRST
    kept = path.read_bytes()
    store = opened(settings, LATER)
    assert store.erase(2, "persons/li", "past its term") == 4
    store.close()
    with path.open("r+b") as file:
        file.write(kept)  # as before the erasure; ERASED behind it stays
    assert not payloads.read(path)[2].erased
    again = opened(settings)
    assert payloads.read(path)[2].erased
    assert next(again.read(2, 1)).payload is None
    again.close()


def test_terms(tmp_path: Path) -> None:
    settings = filled(tmp_path, 3)
    now = opened(settings)
    with pytest.raises(ErasureRefusedError, match="kept for 1096 days"):
        now.erase(1, "persons/li", "x")
    now.close()
    longer = opened(settings.model_copy(update={"erase_after_days_min": 2000}), LATER)
    with pytest.raises(ErasureRefusedError, match="kept for 2000 days"):
        longer.erase(1, "persons/li", "x")
    longer.close()
    shorter = opened(settings.model_copy(update={"erase_after_days_min": 0}))
    with pytest.raises(ErasureRefusedError, match="kept for 1096 days"):
        shorter.erase(1, "persons/li", "the genesis says longer than the setting")
    shorter.close()
    later = opened(settings, LATER)
    assert later.erase(1, "persons/li", "x") == 4
    for index, text in ((1, "already"), (0, "never"), (4, "never"), (-1, "no entry"), (9, "no entry")):
        with pytest.raises(ErasureRefusedError, match=text):
            later.erase(index, "persons/li", "x")
    later.close()


def test_who_is_in_force_is_never_forgotten(tmp_path: Path) -> None:
    """A revocation that is erased would be undone at the next start of the query service."""
    settings = filled(tmp_path, 1)
    store = opened(settings)
    kinds = sorted(REGISTRY_KINDS)
    store.commit([store.prepare(bytes([9 + at]) * 16, kind, "persons/li", {}) for at, kind in enumerate(kinds)])
    store.close()
    later = opened(settings, LATER)
    assert [json.loads(one.payload or b"{}")["kind"] for one in later.read(2, 6)] == kinds
    for index in range(2, 8):
        with pytest.raises(ErasureRefusedError, match="never"):
            later.erase(index, "persons/li", "x")
    later.close()


def test_request_ids_are_known_after_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = filled(tmp_path, 300)
    store = opened(settings)
    assert [append(store, number) for number in (1, 255, 300)] == [1, 255, 300]
    assert append(store, 301) == 301
    store.close()
    monkeypatch.setattr("infra.ledger.recover.REQUESTS_KEPT", 10)
    bounded = opened(settings)
    assert append(bounded, 301) == 301
    assert append(bounded, 1) == 302, "an id of long ago is forgotten"
    for number in range(400, 420):
        append(bounded, number)
    assert append(bounded, 400) == 323
    bounded.close()


def test_a_group_with_the_same_request_twice(tmp_path: Path) -> None:
    store = opened(new(tmp_path))
    one, other = (store.prepare(bytes([n]) * 16, "REFUSED", "services/query", {}) for n in (1, 2))
    assert store.commit([one, one, other, one]) == [1, 1, 2, 1]
    assert store.commit([other, one]) == [2, 1]
    assert store.head.size == 3
    store.close()


def test_a_group_larger_than_the_known_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.ledger.recover.REQUESTS_KEPT", 5)
    store = opened(new(tmp_path))
    group = [store.prepare(bytes([n]) * 16, "REFUSED", "services/query", {}) for n in range(20)]
    assert store.commit(group) == list(range(1, 21))
    assert store.commit([group[19], group[18], store.prepare(b"z" * 16, "REFUSED", "x", {})]) == [20, 19, 21]
    store.close()


def test_nothing_is_committed_while_too_much_is_unpublished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.ledger.errors import NotCommittedError

    monkeypatch.setattr("infra.ledger.store.UNPUBLISHED_ENTRIES_MAX", 3)
    store = opened(new(tmp_path))
    store.publish()
    for number in range(1, 5):
        append(store, number)
    with pytest.raises(NotCommittedError, match="Tiles cannot be written"):
        append(store, 5)
    store.publish()
    assert append(store, 5) == 5
    store.close()


def test_a_published_tile_is_never_written_over(tmp_path: Path) -> None:
    settings = filled(tmp_path, 3)
    store = opened(settings)
    append(store, 50)
    path = settings.folder / "tile" / "0" / "000.p" / "5"
    path.write_bytes(b"something else")
    with pytest.raises(LedgerDamagedError, match="not the one that was written"):
        store.publish()
    assert path.read_bytes() == b"something else"
    store.close()


def test_partial_tiles_go_when_the_full_one_is_published(tmp_path: Path) -> None:
    settings = filled(tmp_path, 200)
    folder = settings.folder / "tile" / "0"
    assert (folder / "000.p" / "201").exists()
    store = opened(settings)
    for number in range(300, 360):
        append(store, number)
    store.publish()
    store.close()
    assert sorted(path.name for path in folder.iterdir()) == ["000", "001.p"]


@pytest.mark.parametrize("kind", ["GENESIS", "ERASED", "UNKNOWN", ""])
def test_kinds_that_nobody_may_append(tmp_path: Path, kind: str) -> None:
    store = opened(new(tmp_path))
    with pytest.raises(EntryRefusedError):
        store.prepare(bytes(16), kind, "services/query", {})
    store.close()


def test_a_store_is_closed_when_it_cannot_be_opened(tmp_path: Path) -> None:
    """The lock is let go: a restored ledger can be opened by the same process."""
    settings = filled(tmp_path, 3)
    path = settings.folder / "checkpoint"
    note = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(LedgerDamagedError):
        Store(settings, LATER)
    path.write_bytes(note)
    opened(settings).close()

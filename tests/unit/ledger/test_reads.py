"""What is read, and how much for it."""

import asyncio
import os
from pathlib import Path

import pytest

from infra.ledger import payloads
from infra.ledger.answers import Noted, Reading
from infra.ledger.keys import load
from infra.ledger.users import Users
from infra.proof import checkpoint, leaf, merkle, tiles
from tests.ledgers import ledger_settings
from tests.unit.ledger.ledgers import LATER, append, filled, new, opened


def test_reads_over_files_and_at_the_end(tmp_path: Path) -> None:
    settings = filled(tmp_path, 520)
    store = opened(settings)
    found = list(store.read(250, 300))
    assert [entry.index for entry in found] == list(range(250, 521))
    assert all(leaf.commitment(e.salt or b"", e.payload or b"") == e.leaf[2:] for e in found)
    assert list(store.read(521, 5)) == []
    node = store.node(store.published.size)
    proof = merkle.inclusion_proof(300, 521, node)
    root = merkle.subtree(0, 521, node)
    merkle.verify_inclusion(merkle.leaf_hash(store.leaf(300)), 300, 521, proof, root)
    store.close()


def test_a_read_opens_what_it_answers_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(new(tmp_path))
    text = "x" * 50_000
    store.commit([store.prepare(bytes([n]) * 16, "REFUSED", "services/query", {"text": text}) for n in range(1, 41)])
    real, unsealed = payloads.unseal, list[int]()

    def unseal(key: bytes, index: int, record: payloads.Record) -> tuple[bytes, bytes]:
        unsealed.append(index)
        return real(key, index, record)

    monkeypatch.setattr(payloads, "unseal", unseal)
    noted = Noted(store, Users(ledger_settings(tmp_path)), asyncio.Queue())
    answer = asyncio.run(Reading(store, noted)(os.geteuid(), {"op": "read", "start": 1, "limit": 1000}))
    assert 1 < len(answer["entries"]) < 10
    assert len(unsealed) == len(answer["entries"]) + 1
    store.close()


def test_a_start_reads_each_file_of_erasures_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = filled(tmp_path, 20)
    store = opened(settings, LATER)
    for index in range(1, 20):
        store.erase(index, "persons/li", "past its term")
    store.close()
    real, calls = payloads.read, list[Path]()

    def read(path: Path) -> list[payloads.Record]:
        calls.append(path)
        return real(path)

    monkeypatch.setattr(payloads, "read", read)
    opened(settings).close()
    assert len(calls) < 6


def test_a_proof_goes_on_when_the_full_tile_takes_the_place_of_a_partial_one(tmp_path: Path) -> None:
    settings = filled(tmp_path, 200)
    store = opened(settings)
    root = store.head.note
    node = store.node(201)
    for number in range(300, 360):
        append(store, number)
    store.publish()
    assert not (settings.folder / "tile" / "0" / "000.p").exists()
    proof = merkle.inclusion_proof(7, 201, node)
    keys = load(settings.keys_dir, settings.origin)
    then = checkpoint.verify(root.encode(), settings.origin, [keys.log.verifier])
    merkle.verify_inclusion(merkle.leaf_hash(store.leaf(7)), 7, 201, proof, then.root)
    with pytest.raises(FileNotFoundError):
        store._tile(tiles.Tile(0, 9, 256))
    store.close()

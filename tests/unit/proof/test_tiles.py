"""Tiles: paths in one way only, contents that say what they hold, proofs out of tiles alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.proof import merkle, tiles
from infra.proof.tiles import ENTRIES, Tile
from tests.unit.proof.test_merkle import hashes

PATHS = {
    Tile(0, 0, 256): "tile/0/000",
    Tile(0, 5, 7): "tile/0/005.p/7",
    Tile(1, 1234067, 256): "tile/1/x001/x234/067",
    Tile(63, 999, 255): "tile/63/999.p/255",
    Tile(2, 1000, 1): "tile/2/x001/000.p/1",
    Tile(ENTRIES, 273, 256): "tile/entries/273",
    Tile(ENTRIES, 1000000, 112): "tile/entries/x001/x000/000.p/112",
}
NO_PATHS = [
    "tile/0/00", "tile/0/0000", "tile/00/000", "tile/64/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/07",
    "tile/0/x000/001", "tile/0/001/000", "tile/entries", "tile/0/000/", "tile/0/000.p/1000", "tile/-1/000", "checkpoint",
]  # fmt: skip


def store(size: int) -> dict[Tile, bytes]:
    """Every tile of a tree, made the slow way."""
    all_hashes = hashes(size)
    found = {}
    for tile in tiles.of_size(size):
        first = tile.number * 256
        if tile.level == ENTRIES:
            found[tile] = tiles.encode_entries([b"%d" % at for at in range(first, first + tile.width)])
            continue
        step = 256**tile.level
        tops = [merkle.root(all_hashes[at * step : (at + 1) * step]) for at in range(first, first + tile.width)]
        found[tile] = tiles.encode_hashes(tops)
    return found


@pytest.mark.parametrize("tile", PATHS)
def test_paths_there_and_back(tile: Tile) -> None:
    assert tile.path == PATHS[tile]
    assert tiles.parse(tile.path) == tile


@pytest.mark.parametrize("path", NO_PATHS)
def test_what_is_no_path(path: str) -> None:
    assert tiles.parse(path) is None


@given(st.integers(0, 63), st.integers(0, 10**12), st.integers(1, 256))
def test_every_tile_has_one_path(level: int, number: int, width: int) -> None:
    tile = Tile(level, number, width)
    assert tiles.parse(tile.path) == tile


def test_the_tiles_of_a_size() -> None:
    assert list(tiles.of_size(0)) == []
    assert [tile.path for tile in tiles.of_size(70_000) if tile.level != 0 and tile.level != ENTRIES] == [
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]
    assert sum(tile.width for tile in tiles.of_size(70_000) if tile.level == 0) == 70_000
    assert sum(tile.width for tile in tiles.of_size(70_000) if tile.level == ENTRIES) == 70_000


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 700, 66_000])
def test_proofs_out_of_tiles(size: int) -> None:
    files = store(size)
    node = tiles.reader(size, files.__getitem__)
    all_hashes = hashes(size)
    root = merkle.root(all_hashes)
    assert merkle.subtree(0, size, node) == root
    for index in {0, size // 3, size - 1}:
        proof = merkle.inclusion_proof(index, size, node)
        merkle.verify_inclusion(all_hashes[index], index, size, proof, root)
    for old in {1, size // 2, size - 1} - {0}:
        proof = merkle.consistency_proof(old, size, node)
        merkle.verify_consistency(old, merkle.root(all_hashes[:old]), size, root, proof)


def test_a_node_that_is_not_there() -> None:
    node = tiles.reader(3, store(3).__getitem__)
    with pytest.raises(ValueError, match="no such node"):
        node(2, 0)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_there_and_back(entries: list[bytes]) -> None:
    data = tiles.encode_entries(entries)
    assert tiles.decode_entries(data, len(entries)) == entries
    for wrong, width in ((data + b"\x00", len(entries)), (data, len(entries) + 1), (data[:-1], len(entries))):
        if wrong or width:
            with pytest.raises(ValueError, match="bundle"):
                tiles.decode_entries(wrong, width)


def test_a_tile_of_another_length() -> None:
    with pytest.raises(ValueError, match="length"):
        tiles.decode_hashes(bytes(33), 1)

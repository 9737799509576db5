"""The tree in memory against a naive one, at every size, and restored from its tiles."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.ledger.tree import Tree
from infra.proof import merkle, tiles
from infra.proof.tiles import Tile


def leaf(number: int) -> bytes:
    """A leaf."""
    return b"\x01\x03" + number.to_bytes(32, "big")


def grown(size: int, start: Tree | None = None) -> tuple[Tree, dict[Tile, bytes]]:
    """A tree of this size, and all its files."""
    tree = start or Tree()
    files: dict[Tile, bytes] = {}
    while tree.size < size:
        tree.append(leaf(tree.size))
        while tree.full:
            tile, data = tree.full.popleft()
            assert tile not in files
            files[tile] = data
    return tree, files | dict(tree.partial())


@given(st.integers(0, 900))
@settings(deadline=None, max_examples=40)
def test_files_are_those_of_the_size(size: int) -> None:
    tree, files = grown(size)
    hashes = [merkle.leaf_hash(leaf(at)) for at in range(size)]
    assert tree.root == merkle.root(hashes)
    assert set(files) == set(tiles.of_size(size))
    if size:
        node = tiles.reader(size, files.__getitem__)
        assert merkle.subtree(0, size, node) == tree.root
    entries = [
        one for tile in tiles.of_size(size) if tile.level < 0 for one in tiles.decode_entries(files[tile], tile.width)
    ]
    assert entries == [leaf(at) for at in range(size)]


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537])
def test_restored_from_its_tiles(size: int) -> None:
    tree, files = grown(size)
    restored = Tree.restore(size, files.__getitem__)
    assert restored.root == tree.root
    assert dict(restored.partial()) == dict(tree.partial())
    more, new_files = grown(size + 300, restored)
    wanted, all_files = grown(size + 300)
    assert more.root == wanted.root
    assert all(new_files[tile] == all_files[tile] for tile in new_files)
    assert set(all_files) - set(files) <= set(new_files)


def test_a_tile_of_another_length_is_refused() -> None:
    _, files = grown(5)
    for tile in files:
        with pytest.raises(ValueError, match="width"):
            Tree.restore(5, (files | {tile: files[tile][:-1]}).__getitem__)

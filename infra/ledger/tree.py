"""The tree in memory: only its right edge, so that memory does not grow with it; and tiles that wait to be written."""

from collections import deque
from collections.abc import Callable, Sequence

from infra.proof import merkle, tiles
from infra.proof.tiles import ENTRIES, LEVEL_BITS, TILE_WIDTH, Tile

File = tuple[Tile, bytes]


class Tree:
    """Grows by leaves. Not for use from several threads at once."""

    def __init__(self) -> None:
        self.size = 0
        self.full: deque[File] = deque()  # full tiles that are not published yet, oldest first
        self._frontier: list[bytes] = []
        self._edges: list[list[bytes]] = [[]]  # hashes of the last, partial tile of each level
        self._bundle: list[bytes] = []  # leaves of the last, partial bundle

    @classmethod
    def restore(cls, size: int, read: Callable[[Tile], bytes]) -> "Tree":
        """The tree of this size, from its partial tiles. ValueError when one has another width than its name says."""
        tree = cls()
        tree.size = size
        tree._edges = []
        level = 0
        while size >> (LEVEL_BITS * level):
            number = (size >> (LEVEL_BITS * level)) // TILE_WIDTH
            width = tiles.width_at(size, level, number)
            edge = tiles.decode_hashes(read(Tile(level, number, width)), width) if width else []
            tree._edges.append(edge)
            level += 1
        if width := size % TILE_WIDTH:
            tree._bundle = tiles.decode_entries(read(Tile(ENTRIES, size // TILE_WIDTH, width)), width)
        for edge in reversed(tree._edges):
            tree._frontier += _complete(edge)
        tree._edges = tree._edges or [[]]
        return tree

    def append(self, leaf: bytes) -> None:
        """Put one leaf behind the others."""
        self._bundle.append(leaf)
        number = self.size // TILE_WIDTH
        if len(self._bundle) == TILE_WIDTH:
            self.full.append((Tile(ENTRIES, number, TILE_WIDTH), tiles.encode_entries(self._bundle)))
            self._bundle = []
        completed = merkle.grow(self._frontier, self.size, merkle.leaf_hash(leaf))
        for level, one in enumerate(completed[::LEVEL_BITS]):
            self._put(level, one)
        self.size += 1

    @property
    def root(self) -> bytes:
        """The root over all leaves."""
        return merkle.fold(self._frontier)

    def partial(self) -> list[File]:
        """The tiles that are not full, as they are now."""
        found = []
        if self._bundle:
            tile = Tile(ENTRIES, self.size // TILE_WIDTH, len(self._bundle))
            found.append((tile, tiles.encode_entries(self._bundle)))
        for level, edge in enumerate(self._edges):
            if edge:
                tile = Tile(level, (self.size >> (LEVEL_BITS * level)) // TILE_WIDTH, len(edge))
                found.append((tile, tiles.encode_hashes(edge)))
        return found

    def last_leaf_hashes(self) -> Sequence[bytes]:
        """The hashes of the partial tile of level 0."""
        return self._edges[0]

    def _put(self, level: int, one: bytes) -> None:
        if level == len(self._edges):
            self._edges.append([])
        edge = self._edges[level]
        edge.append(one)
        if len(edge) == TILE_WIDTH:
            number = (self.size >> (LEVEL_BITS * level)) // TILE_WIDTH
            self.full.append((Tile(level, number, TILE_WIDTH), tiles.encode_hashes(edge)))
            self._edges[level] = []


def _complete(edge: list[bytes]) -> list[bytes]:
    """The complete subtrees over the hashes of a partial tile, largest first."""
    found: list[bytes] = []
    for size, one in enumerate(edge):
        merkle.grow(found, size, one)
    return found

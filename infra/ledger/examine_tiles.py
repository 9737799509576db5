"""Tiles against leaves, leaf by leaf, in memory that does not grow with the ledger."""

from pathlib import Path

from infra.ledger.findings import Findings
from infra.ledger.tree import Tree
from infra.proof import tiles
from infra.proof.leaf import LEAF_BYTES
from infra.proof.merkle import HASH_BYTES
from infra.proof.tiles import ENTRIES, TILE_WIDTH, Tile


class TileCheck:
    """Takes all leaves in order; then every tile that the published tree needs was compared, and every other there."""

    def __init__(self, folder: Path, published: int, findings: Findings) -> None:
        """`published`: the checkpoint's size; its tiles must be there."""
        self._folder = folder
        self._published = published
        self._findings = findings
        self._tree = Tree()
        self.seen: set[str] = set()
        self.published_root: bytes | None = self._tree.root if published == 0 else None

    def take(self, leaf: bytes) -> None:
        """The next leaf."""
        self._tree.append(leaf)
        if self._tree.size == self._published:
            self.published_root = self._tree.root
            for tile, data in self._tree.partial():
                self._compare(tile, data, needed=True)
        while self._tree.full:
            tile, data = self._tree.full.popleft()
            self._compare(tile, data, needed=self._covers(tile) <= self._published)
            self._partials(tile, data)

    def end(self) -> None:
        """After the last leaf: the tiles that are still partial, and what they were before."""
        for tile, data in self._tree.partial():
            self._partials(tile, data)

    def _covers(self, tile: Tile) -> int:
        """How many leaves the tree has when this tile becomes full."""
        return (tile.number + 1) * TILE_WIDTH * (1 if tile.level == ENTRIES else TILE_WIDTH**tile.level)

    def _partials(self, tile: Tile, data: bytes) -> None:
        """Every narrower form of a tile that still lies there is its beginning."""
        folder = self._folder / f"{Tile(tile.level, tile.number, TILE_WIDTH).path}.p"
        step = LEAF_BYTES + 2 if tile.level == ENTRIES else HASH_BYTES
        try:
            names = sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):  # never there, or gone since the full one is published
            return
        for path in names:
            found = tiles.parse(path.relative_to(self._folder).as_posix())
            if found is not None and found.width <= tile.width:
                self._compare(found, data[: found.width * step], needed=False)

    def _compare(self, tile: Tile, data: bytes, *, needed: bool) -> None:
        if tile.path in self.seen:
            return
        self.seen.add(tile.path)
        stored = self._read(tile)
        if stored is None and tile.width < TILE_WIDTH:
            # A wider one may have taken its place, as tlog-tiles allows; then that one begins with it.
            wider = self._read(Tile(tile.level, tile.number, TILE_WIDTH))
            stored = None if wider is None else wider[: len(data)]
        if stored is None:
            if needed:
                self._findings.add(tile.path, "is missing")
        elif stored != data:
            self._findings.add(tile.path, "is not what the leaves give")

    def _read(self, tile: Tile) -> bytes | None:
        """What lies there; None when nothing does, and other errors read as nothing that could be right."""
        try:
            return (self._folder / tile.path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError:
            return b""

"""Where a tree lies as static files (C2SP tlog-tiles): paths and contents.

    checkpoint                     signed note, see checkpoint.py
    tile/<level>/<n>[.p/<width>]   up to 256 hashes of 32 bytes: tile n of a level holds the hashes of the tree's
                                   level 8 x <level>, from 256 x n on
    tile/entries/<n>[.p/<width>]   the up to 256 leaves from 256 x n on, each behind its length (2 bytes, big-endian)

<n> is written in groups of three digits, all but the last with an `x` before it: 1234067 is x001/x234/067. A tile with
fewer than 256 hashes is partial and says its width; it never changes either, a wider one lies beside it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from infra.proof import merkle

TILE_WIDTH: Final = 256
LEVEL_BITS: Final = 8
ENTRIES: Final = -1  # the "level" of entry bundles
_PATH: Final = re.compile(r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


class Tile(NamedTuple):
    """One file: a hash tile, or with level ENTRIES a bundle of leaves. Width 256 = full."""

    level: int
    number: int
    width: int

    @property
    def path(self) -> str:
        """Where it lies."""
        if not 0 <= self.level < 64 and self.level != ENTRIES:
            raise ValueError("no such level")
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_groups(self.number)}{partial}"


def parse(path: str) -> Tile | None:
    """The tile that lies at a path; None when the path is none, or not written in the one way."""
    matched = _PATH.fullmatch(path)
    if matched is None:
        return None
    width = int(matched[3]) if matched[3] else TILE_WIDTH
    level = ENTRIES if matched[1] == "entries" else int(matched[1])
    tile = Tile(level, int(re.sub("[x/]", "", matched[2])), width)
    return tile if tile.path == path else None


def of_size(size: int) -> Iterator[Tile]:
    """Every tile that a tree of this size is made of: bundles of leaves, then hashes, each level from the left."""
    yield from _of_level(ENTRIES, size)
    level = 0
    while size >> (LEVEL_BITS * level):
        yield from _of_level(level, size)
        level += 1


def width_at(size: int, level: int, number: int) -> int:
    """How many hashes tile `number` of a level has in a tree of this size; 0 when it is not there."""
    held = size >> (LEVEL_BITS * max(level, 0))
    return max(0, min(TILE_WIDTH, held - number * TILE_WIDTH))


def encode_hashes(hashes: Sequence[bytes]) -> bytes:
    """The contents of a hash tile."""
    return b"".join(hashes)


def decode_hashes(data: bytes, width: int) -> list[bytes]:
    """The hashes of a tile. ValueError when it is not exactly `width` long."""
    if len(data) != width * merkle.HASH_BYTES:
        raise ValueError("a tile has another length than its width says")
    return [data[at : at + merkle.HASH_BYTES] for at in range(0, len(data), merkle.HASH_BYTES)]


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """The contents of an entry bundle."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_entries(data: bytes, width: int) -> list[bytes]:
    """The leaves of a bundle. ValueError when it does not hold exactly `width` of them."""
    found: list[bytes] = []
    at = 0
    while at < len(data) and len(found) < width:
        length = int.from_bytes(data[at : at + 2], "big")
        entry = data[at + 2 : at + 2 + length]
        if len(entry) != length:
            break
        found.append(entry)
        at += 2 + length
    if at != len(data) or len(found) != width:
        raise ValueError("an entry bundle does not hold what its width says")
    return found


def reader(size: int, read: Callable[[Tile], bytes]) -> merkle.Node:
    """`node(level, index)` of merkle.py over the tiles of a tree of this size; `read` gives a tile's contents.

    A proof reads each of its tiles once if `read` remembers; at most one tile a level and side.
    """

    def node(level: int, index: int) -> bytes:
        tile_level, above = divmod(level, LEVEL_BITS)
        first = index << above
        number, offset = divmod(first, TILE_WIDTH)
        width = width_at(size, tile_level, number)
        hashes = decode_hashes(read(Tile(tile_level, number, width)), width)
        found = hashes[offset : offset + (1 << above)]
        if len(found) != 1 << above:
            raise ValueError("the tree of this size has no such node")
        return merkle.root(found)

    return node


def _of_level(level: int, size: int) -> Iterator[Tile]:
    held = size >> (LEVEL_BITS * max(level, 0))
    full, width = divmod(held, TILE_WIDTH)
    for number in range(full):
        yield Tile(level, number, TILE_WIDTH)
    if width:
        yield Tile(level, full, width)


def _groups(number: int) -> str:
    digits = str(number)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])

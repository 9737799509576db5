"""The journal of leaves: what is COMMITTED. An entry exists when its leaf is durable here; tiles are made from it.

A record is the leaf (34 bytes) and the CRC-32 over its index (8 bytes, big-endian) and itself (4 bytes, big-endian).
Each file but the last holds 65,536 of them.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.ledger.errors import LedgerDamagedError
from infra.ledger.files import journal_files, name_of
from infra.proof.leaf import LEAF_BYTES

FOLDER: Final = "leaves"
PER_FILE: Final = 65_536
RECORD_BYTES: Final = LEAF_BYTES + 4
# A power cut may leave a file longer than what was written into it, zeros at its end. A changed bit never does.
_ZEROS: Final = bytes(8)


@dataclass(frozen=True, slots=True)
class Scan:
    """What the journal holds: whole records, and bytes of a torn append behind them."""

    count: int
    torn_bytes: int


def encode(index: int, leaf: bytes) -> bytes:
    """A record."""
    return leaf + _crc(index, leaf)


def scan(folder: Path) -> Scan:
    """Count the records of a journal; the last file is checked whole. LedgerDamagedError."""
    files = journal_files(folder)
    for path in files[:-1]:
        if path.stat().st_size != PER_FILE * RECORD_BYTES:
            raise _damaged(path)
    if not files:
        return Scan(0, 0)
    first = (len(files) - 1) * PER_FILE
    data = files[-1].read_bytes()
    whole = 0
    while (record := data[whole * RECORD_BYTES : (whole + 1) * RECORD_BYTES]) and _good(first + whole, record):
        whole += 1
    rest = data[whole * RECORD_BYTES :]
    if whole > PER_FILE or (len(rest) >= RECORD_BYTES and not rest.endswith(_ZEROS)):
        raise _damaged(files[-1])
    return Scan(first + whole, len(rest))


def read(folder: Path, start: int, end: int) -> Iterator[bytes]:
    """Leaves [start, end), checked. LedgerDamagedError at the first that is missing or wrong."""
    while start < end:
        number, offset = divmod(start, PER_FILE)
        path = folder / name_of(number)
        count = min(end - start, PER_FILE - offset)
        try:
            with path.open("rb") as file:
                file.seek(offset * RECORD_BYTES)
                data = file.read(count * RECORD_BYTES)
        except OSError:
            raise _damaged(path) from None
        for at in range(count):
            record = data[at * RECORD_BYTES : (at + 1) * RECORD_BYTES]
            if not _good(start + at, record):
                raise _damaged(path)
            yield record[:LEAF_BYTES]
        start += count


def _good(index: int, record: bytes) -> bool:
    return len(record) == RECORD_BYTES and _crc(index, record[:LEAF_BYTES]) == record[LEAF_BYTES:]


def _crc(index: int, leaf: bytes) -> bytes:
    return zlib.crc32(leaf, zlib.crc32(index.to_bytes(8, "big"))).to_bytes(4, "big")


def _damaged(path: Path) -> LedgerDamagedError:
    return LedgerDamagedError(
        f"The leaves in {path} are not those that were written.",
        "Run `liucun ledger fsck`; then restore the ledger from its backup.",
    )

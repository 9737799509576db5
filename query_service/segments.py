"""What a lookup found, in numbered, immutable segments: sealed on disk, and each with its root in the ledger.

Pages and streams read nothing else, so the same lookup always gives the same bytes. A segment's plain form is its
records as protobuf, each behind its length (4 bytes, big-endian). The root of its leaf is part of what it is sealed
with: a segment whose records are not those of the leaf does not open.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liucun.lookup.v1 import lookup_pb2

from query_service.state import Lookup, Segment
from query_service.vault import Vault

RECORDS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Part:
    """One record as it was sealed: its number and its bytes."""

    number: int
    data: bytes

    def message(self) -> lookup_pb2.Record:
        """As a message."""
        return lookup_pb2.Record.FromString(self.data)


class Segments:
    """All segments of this service."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made yet."""
        self._vault = Vault(folder / "segments")

    def write(self, lookup: str, number: int, root: str, records: list[lookup_pb2.Record]) -> None:
        """Seal one segment; durable when it returns."""
        data = bytearray()
        for record in records:
            body = record.SerializeToString(deterministic=True)
            data += len(body).to_bytes(4, "big") + body
        self._vault.write(_group(lookup), str(number), bytes(data), _what(lookup, number, root))

    def read(self, lookup: Lookup, behind: int) -> Iterator[Part]:
        """Records behind number `behind`, in order; a segment is opened when its first record is wanted."""
        for segment in lookup.segments:
            last = segment.first_record_number + segment.record_count - 1
            if last > behind:
                yield from (part for part in self._open(lookup.name, segment) if part.number > behind)

    def has(self, lookup: str) -> bool:
        """Whether its segments can still be opened."""
        return self._vault.has(_group(lookup))

    def destroy(self, lookup: str) -> None:
        """The end of its records: the key is removed first."""
        self._vault.destroy(_group(lookup))

    def _open(self, lookup: str, segment: Segment) -> Iterator[Part]:
        number = segment.segment_number
        data = self._vault.read(_group(lookup), str(number), _what(lookup, number, segment.root))
        at, record = 0, segment.first_record_number
        while at < len(data):
            length = int.from_bytes(data[at : at + 4], "big")
            yield Part(record, data[at + 4 : at + 4 + length])
            at, record = at + 4 + length, record + 1


def _group(lookup: str) -> str:
    """A folder's name: the agency's and the lookup's ids, of which neither holds a dot."""
    _, agency, _, identifier = lookup.split("/")
    return f"{agency}.{identifier}"


def _what(lookup: str, number: int, root: str) -> bytes:
    return f"{lookup}/{number}/{root}".encode()

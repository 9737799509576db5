"""What a lookup found, in numbered, immutable segments: sealed on disk, and each with its root in the ledger.

Pages and streams read nothing else, so the same lookup always gives the same bytes. A segment's plain form is its
records as protobuf, each behind its length (4 bytes, big-endian). The key lies beside it, so that it opens proves
nothing. Before its first record is given:

1. It opens, as the segment of this lookup, number and root.
2. It has as many records as its leaf says, and nothing else.
3. Their root is that of the leaf, and they are numbered on from the leaf's first. A segment of 10,000 records costs two
   seconds of computing; so the SHA-256 of what was found right, or was sealed here, is remembered.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError
from liucun.lookup.v1 import lookup_pb2

from infra.proof import requests
from query_service.errors import DeskError
from query_service.records import document_of
from query_service.state import Lookup, Segment
from query_service.vault import Vault

RECORDS_MAX: Final = 10_000
REMEMBERED_MAX: Final = 4096  # segments whose hash is remembered, some 200 bytes each
_LENGTH_BYTES: Final = 4


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
        self._lock = threading.Lock()
        self._right: OrderedDict[bytes, bytes] = OrderedDict()  # what it is -> SHA-256 of its plain form

    def write(self, lookup: str, number: int, root: str, records: list[lookup_pb2.Record]) -> None:
        """Seal one segment; durable when it returns."""
        data = bytearray()
        for record in records:
            body = record.SerializeToString(deterministic=True)
            data += len(body).to_bytes(_LENGTH_BYTES, "big") + body
        what = _what(lookup, number, root)
        self._vault.write(_group(lookup), str(number), bytes(data), what)
        self._remember(what, sha256(data).digest())

    def read(self, lookup: Lookup, behind: int) -> Iterator[Part]:
        """Records behind number `behind`, in order; a segment is opened when its first record is wanted."""
        for segment in lookup.segments:
            last = segment.first_record_number + segment.record_count - 1
            if last > behind:
                yield from (part for part in self._open(lookup, segment) if part.number > behind)

    def lookups(self) -> list[str]:
        """Whose segments lie here, by their folders."""
        parts = (group.partition(".") for group in self._vault.groups())
        return [f"agencies/{agency}/lookups/{identifier}" for agency, _, identifier in parts]

    def has(self, lookup: str) -> bool:
        """Whether its segments can still be opened."""
        return self._vault.has(_group(lookup))

    def destroy(self, lookup: str) -> None:
        """The end of its records: the key is removed first."""
        self._vault.destroy(_group(lookup))

    def _open(self, lookup: Lookup, segment: Segment) -> list[Part]:
        """FAULT when it is not what its leaf says."""
        what = _what(lookup.name, segment.segment_number, segment.root)
        data = self._vault.read(_group(lookup.name), str(segment.segment_number), what)  # 1
        parts = _split(data, segment.first_record_number)
        if len(parts) != segment.record_count:  # 2
            raise DeskError("FAULT")
        digest = sha256(data).digest()
        with self._lock:
            known = self._right.get(what)
        if digest != known:
            _check(parts, segment, lookup.document["field_groups"])  # 3
            self._remember(what, digest)
        return parts

    def _remember(self, what: bytes, digest: bytes) -> None:
        with self._lock:
            self._right[what] = digest
            while len(self._right) > REMEMBERED_MAX:
                self._right.popitem(last=False)


def _split(data: bytes, first: int) -> list[Part]:
    """Its records; FAULT when their lengths do not end where it does."""
    parts, at = list[Part](), 0
    while at < len(data):
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(data[at:begin], "big")
        parts.append(Part(first + len(parts), data[begin:at]))
    if at != len(data):
        raise DeskError("FAULT")
    return parts


def _check(parts: list[Part], segment: Segment, groups: list[str]) -> None:
    """3. FAULT."""
    try:
        records = [part.message() for part in parts]
        root = requests.segment_root(requests.record_hash(document_of(one, groups)) for one in records)
    except (DecodeError, ValueError, KeyError):
        raise DeskError("FAULT") from None
    if root != segment.root or [one.record_number for one in records] != [part.number for part in parts]:
        raise DeskError("FAULT")


def _group(lookup: str) -> str:
    """A folder's name: the agency's and the lookup's ids, of which neither holds a dot."""
    _, agency, _, identifier = lookup.split("/")
    return f"{agency}.{identifier}"


def _what(lookup: str, number: int, root: str) -> bytes:
    return f"{lookup}/{number}/{root}".encode()

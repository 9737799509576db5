"""The ledger on disk, open for writing: group commit, reads, erasure, and what is to be published.

`commit` and `erase` are called by one thread, one at a time; everything else may be called from any.
"""

import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from infra.ledger import keys as key_files
from infra.ledger import leaves, payloads, recover
from infra.ledger.entries import Prepared, prepare, term_ends
from infra.ledger.errors import ErasureRefusedError, LedgerDamagedError, NotCommittedError, StorageUnknownError
from infra.ledger.files import lock, name_of
from infra.ledger.publish import Publication, publish
from infra.platform import logging, metrics
from infra.platform.clock import SECOND, Clock, to_datetime
from infra.platform.settings import Ledger as LedgerSettings
from infra.platform.steps import reached
from infra.proof import canonical, checkpoint, leaf, merkle, tiles
from infra.proof import genesis as genesis_format
from infra.proof.checkpoint import Checkpoint
from infra.proof.kinds import OWN_KINDS, REGISTRY_KINDS, TYPE_NAMES, TYPES

UNPUBLISHED_ENTRIES_MAX: Final = 65_536  # beyond, nothing is committed until tiles can be written again
_LOG = logging.get("ledger")


@dataclass(frozen=True, slots=True)
class Head:
    """A signed tree head."""

    size: int
    note: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An entry, read. `salt` and `payload` are None when it was erased."""

    index: int
    leaf: bytes
    salt: bytes | None
    payload: bytes | None


class Store:
    """An open ledger. `head` = COMMITTED, `published` = in tiles."""

    def __init__(self, settings: LedgerSettings, clock: Clock) -> None:
        """Lock, read and check it (recover.py). LedgerInUseError, LedgerDamagedError or SettingsError."""
        self._settings = settings
        self._clock = clock
        self._folder = settings.folder
        self._keys = key_files.load(settings.keys_dir, settings.origin)
        self._lock = lock(settings.folder)
        try:
            self._state = recover.recover(settings.folder, self._keys)
            self._guard = threading.Lock()  # the tree, between commit and publication
            self._publishing = threading.Lock()  # one publication at a time
            self._payload_guard = threading.Lock()  # payload files, between readers and an erasure
            self.broken: StorageUnknownError | None = None  # set once, and then the writer ends
            self.head = self._signed()
            self.published = Head(self._state.published, "")
            self._terms = self._read_terms()
        except BaseException:
            self._lock.close()
            raise
        if self._state.discarded_count:
            metrics.LEDGER_DISCARDED.inc(self._state.discarded_count)
            _LOG.warning("payloads without a leaf discarded", count=self._state.discarded_count)

    @property
    def discarded_count(self) -> int:
        """Payloads without a leaf that this start has discarded."""
        return self._state.discarded_count

    def close(self) -> None:
        """Let go of the files and the lock. What is not published yet is published by the next start."""
        self._state.leaves.close()
        self._state.payloads.close()
        self._lock.close()

    def prepare(self, request_id: bytes, kind: str, actor: str, members: dict[str, Any]) -> Prepared:
        """An entry to commit, stamped with the time. EntryRefusedError."""
        return prepare(self._clock.now(), request_id, kind, actor, members)

    def commit(self, group: Sequence[Prepared]) -> list[int]:
        """Make a group durable; the index of each. An entry whose request id is known gets the index it has.

        NotCommittedError: none of it is on disk. StorageUnknownError: nothing may be written any more, see `broken`.
        """
        if self.broken is not None:
            raise self.broken
        if self.head.size - self.published.size > UNPUBLISHED_ENTRIES_MAX:
            raise NotCommittedError("Tiles cannot be written.", "Look at the disk of ledger.folder.")
        state = self._state
        placed: OrderedDict[bytes, int] = OrderedDict()
        records, new_leaves = [], []
        random = os.urandom(payloads.SECRET_BYTES * len(group))
        for entry in group:
            if entry.request_id in state.requests or entry.request_id in placed:
                continue
            index = state.tree.size + len(placed)
            secret = random[payloads.SECRET_BYTES * len(placed) :][: payloads.SECRET_BYTES]
            records.append(payloads.seal(self._keys.wrapping, index, entry.request_id, secret, entry.payload))
            committed = leaf.commitment(secret[: leaf.SALT_BYTES], entry.payload)
            new_leaves.append(leaf.encode(entry.type_byte, committed))
            placed[entry.request_id] = index
        known = {entry.request_id: state.requests.get(entry.request_id, -1) for entry in group} | placed
        if placed:
            self._write(records, new_leaves)
            with self._guard:
                for one in new_leaves:
                    state.tree.append(one)
                self.head = self._signed()
            self._remember(placed)
            for type_byte, count in Counter(one[1] for one in new_leaves).items():
                metrics.LEDGER_ENTRIES.labels(TYPE_NAMES[type_byte]).inc(count)
            reached("ledger.signed")
        return [known[entry.request_id] for entry in group]

    def read(self, start: int, limit: int) -> Iterator[Opened]:
        """Committed entries [start, start + limit), fewer at the end, opened as they are taken. LedgerDamagedError."""
        end = min(start + limit, self.head.size)
        records: list[payloads.Record] = []
        for index, one in enumerate(leaves.read(self._folder / leaves.FOLDER, start, end), start):
            number, offset = divmod(index, payloads.PER_FILE)
            if index == start or offset == 0:
                with self._payload_guard:
                    records = payloads.read(self._folder / payloads.FOLDER / name_of(number))
            yield self._open(index, one, records[offset])

    def erase(self, index: int, actor: str, reason: str) -> int:
        """Destroy one payload: ERASED is committed, then key, salt and payload are written over. The index of ERASED.

        ErasureRefusedError before its term. Killed in between, the next start completes it.
        """
        if not 0 <= index < self.head.size:
            raise ErasureRefusedError(f"There is no entry {index}.", "See `liucun audit list`.")
        (entry,) = self.read(index, 1)
        name = TYPE_NAMES[entry.leaf[1]]
        if entry.payload is None:
            raise ErasureRefusedError(f"Entry {index} is erased already.", "")
        payload = canonical.decode(entry.payload)
        if payload["kind"] in OWN_KINDS | REGISTRY_KINDS:
            raise ErasureRefusedError(f"Entry {index} is never erased: others cannot be understood without it.", "")
        days = max(self._terms[name], self._settings.erase_after_days_min)
        ends = term_ends(payload["time"], days)
        if self._clock.now() < ends:
            raise ErasureRefusedError(
                f"Entry {index} is kept for {days} days, until {to_datetime(ends):%Y-%m-%d}.", "Erase it then."
            )
        members = {"index": index, "entry_time": payload["time"], "reason": reason}
        own = prepare(self._clock.now(), os.urandom(payloads.REQUEST_ID_BYTES), "ERASED", actor, members, own=True)
        (erased_by,) = self.commit([own])
        reached("ledger.erased_leaf")
        number, offset = divmod(index, payloads.PER_FILE)
        path = self._folder / payloads.FOLDER / name_of(number)
        try:
            with self._payload_guard:
                payloads.erase(path, payloads.read(path)[offset])
        except OSError as error:
            self.broken = StorageUnknownError(
                f"Entry {index} is ordered to be erased and {path} cannot be written ({error.strerror}).",
                "The next start erases it.",
            )
            raise self.broken from None
        reached("ledger.erased_payload")
        return erased_by

    def publish(self) -> bool:
        """Write tiles and checkpoint for the newest head; False when there is nothing new. OSError, or damage."""
        with self._publishing:
            return self._publish()

    def _publish(self) -> bool:
        with self._guard:
            head, tree = self.head, self._state.tree
            metrics.LEDGER_UNPUBLISHED.set(head.size - self.published.size)
            if head.size == self.published.size and self.published.note:
                return False
            publication = Publication(head.size, head.note, list(tree.full), tree.partial())
        publish(self._folder, publication)
        with self._guard:
            for _ in publication.full:
                tree.full.popleft()
            self.published = head
        metrics.LEDGER_UNPUBLISHED.set(0)
        metrics.LEDGER_PUBLISHED.set(self._clock.now() / SECOND)
        return True

    def node(self, size: int) -> merkle.Node:
        """Hashes of the published tree of this size, for proofs. Each tile is read once."""
        known: dict[tiles.Tile, bytes] = {}

        def read(tile: tiles.Tile) -> bytes:
            if tile not in known:
                known[tile] = self._tile(tile)
            return known[tile]

        return tiles.reader(size, read)

    def _tile(self, tile: tiles.Tile) -> bytes:
        try:
            return (self._folder / tile.path).read_bytes()
        except FileNotFoundError:
            if tile.width == tiles.TILE_WIDTH:
                raise
        # The full one has taken its place since the head was looked at, and begins with it.
        full = tiles.Tile(tile.level, tile.number, tiles.TILE_WIDTH)
        return (self._folder / full.path).read_bytes()[: tile.width * merkle.HASH_BYTES]

    def leaf(self, index: int) -> bytes:
        """A committed leaf."""
        (found,) = leaves.read(self._folder / leaves.FOLDER, index, index + 1)
        return found

    def _write(self, records: list[bytes], new_leaves: list[bytes]) -> None:
        try:
            self._write_in_order(records, new_leaves)
        except StorageUnknownError as error:
            self.broken = error
            raise

    def _write_in_order(self, records: list[bytes], new_leaves: list[bytes]) -> None:
        """Payloads, then leaves, each durable before the next step. All of the group or nothing of it."""
        state = self._state
        first, before = state.tree.size, state.payloads.mark
        state.payloads.append(records)
        reached("ledger.payload_written")
        state.payloads.sync()
        reached("ledger.payload_synced")
        try:
            state.leaves.append([leaves.encode(first + at, one) for at, one in enumerate(new_leaves)])
        except NotCommittedError:
            state.payloads.back_to(before)
            raise
        reached("ledger.leaf_written")
        state.leaves.sync()
        reached("ledger.leaf_synced")

    def _signed(self) -> Head:
        """The head of the tree as it is, signed. Its leaves are durable: callers see to that."""
        tree = self._state.tree
        found = Checkpoint(self._settings.origin, tree.size, tree.root)
        return Head(tree.size, checkpoint.sign(found, self._keys.log))

    def _remember(self, placed: "OrderedDict[bytes, int]") -> None:
        self._state.requests.update(placed)
        while len(self._state.requests) > recover.REQUESTS_KEPT:
            self._state.requests.popitem(last=False)

    def _open(self, index: int, one: bytes, record: payloads.Record) -> Opened:
        if record.erased:
            return Opened(index, one, None, None)
        try:
            salt, payload = payloads.unseal(self._keys.wrapping, index, record)
        except payloads.PayloadError as error:
            raise LedgerDamagedError(f"Entry {index}: {error}.", "Run `liucun ledger fsck`.") from None
        if leaf.commitment(salt, payload) != one[2:]:
            raise LedgerDamagedError(f"The payload of entry {index} is not the one of its leaf.", "Run fsck.")
        return Opened(index, one, salt, payload)

    def _read_terms(self) -> dict[str, int]:
        """Terms of the genesis."""
        (entry,) = self.read(0, 1)
        payload = canonical.decode(entry.payload or b"{}")
        found = genesis_format.parse({name: payload.get(name) for name in ("statement", "signatures")})
        assert set(found.erase_after_days) == set(TYPES) - {"ERASED"}
        return found.erase_after_days

"""The start: what is on disk after a stop, a kill or a power cut, and whether a writer may go on from there.

1. The checkpoint is there, of this log, signed by this key.
2. The leaves are whole and at least as many as the checkpoint says; a torn append behind them is cut off.
3. The tiles give the checkpoint's root, and the leaves under its right edge are those of the journal. So whatever is
   signed from here on is consistent with it.
4. Every leaf has its payload: else the writer does not start.
5. A payload without a leaf was never committed: it is discarded and reported.
6. A payload that is not there any more was erased by an ERASED entry, and by one only; an erasure that was begun is
   completed.
7. The payloads of the leaves behind the last full bundle open, and are what their leaves say.
8. What was read may be in memory only: killed before its sync, or a sync has failed, after which Linux takes its pages
   for written. So what lies behind the checkpoint is written again and synced before anything is signed, answered or
   erased on the strength of it.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.ledger import leaves, payloads
from infra.ledger.errors import LedgerDamagedError, StorageUnknownError
from infra.ledger.files import Journal, journal_files, name_of, write_again
from infra.ledger.keys import Keys
from infra.ledger.payloads import PayloadError, Record
from infra.ledger.publish import CHECKPOINT
from infra.ledger.tree import Tree
from infra.platform.durable import NEW_SUFFIX, sync_folder
from infra.platform.errors import SettingsError
from infra.proof import canonical, checkpoint, leaf, merkle
from infra.proof.checkpoint import Checkpoint
from infra.proof.errors import NoteError
from infra.proof.kinds import TYPES
from infra.proof.tiles import TILE_WIDTH, Tile

REQUESTS_KEPT: Final = 10_000
_ADVICE: Final = "Run `liucun ledger fsck`, and restore the ledger whole from its backup. Nothing was changed."


@dataclass(slots=True)
class State:
    """What a writer goes on from."""

    tree: Tree
    published: int
    leaves: Journal
    payloads: Journal
    requests: "OrderedDict[bytes, int]"  # request id -> index, of the last REQUESTS_KEPT entries
    erased: set[int]
    discarded_count: int


def recover(folder: Path, keys: Keys) -> State:
    """1 to 8, under the lock. LedgerDamagedError, SettingsError: nothing was changed. StorageUnknownError: by 8."""
    published = read_checkpoint(folder, keys)
    scan = leaves.scan(folder / leaves.FOLDER)
    if scan.count < published.size:
        raise LedgerDamagedError(
            f"The checkpoint counts {published.size} leaves and {folder} holds {scan.count}: the tree is shorter than "
            "what was signed.",
            _ADVICE,
        )
    tree = _tree(folder, published, scan.count)
    found = _payloads(folder, keys, scan.count)
    _check_tail(folder, keys, scan.count, found.ordered)
    _cut(folder / leaves.FOLDER, scan.count, leaves.PER_FILE, scan.count % leaves.PER_FILE * leaves.RECORD_BYTES)
    _cut(folder / payloads.FOLDER, scan.count, payloads.PER_FILE, found.length)
    for left in folder.glob(f"**/*{NEW_SUFFIX}"):
        left.unlink()
    _make_durable(folder, published.size)
    _complete_erasures(folder, found.ordered)
    return State(
        tree=tree,
        published=published.size,
        leaves=Journal(
            folder / leaves.FOLDER,
            leaves.PER_FILE,
            scan.count,
            scan.count % leaves.PER_FILE * leaves.RECORD_BYTES,
        ),
        payloads=Journal(folder / payloads.FOLDER, payloads.PER_FILE, scan.count, found.length),
        requests=found.requests,
        erased=found.erased | found.ordered,
        discarded_count=found.discarded_count,
    )


def read_checkpoint(folder: Path, keys: Keys) -> Checkpoint:
    """1. SettingsError without one, LedgerDamagedError when it is not ours."""
    try:
        note = (folder / CHECKPOINT).read_bytes()
    except FileNotFoundError:
        raise SettingsError(
            f"There is no ledger in {folder}.", "Run `liucun ledger init --genesis FILE`, or check ledger.folder."
        ) from None
    except OSError as error:
        raise SettingsError(f"The ledger {folder} cannot be read ({error.strerror}).", "Check its owner.") from None
    try:
        return checkpoint.verify(note, keys.log.name, [keys.log.verifier])
    except NoteError as error:
        raise LedgerDamagedError(f"The checkpoint of {folder} does not verify: {error}.", _ADVICE) from None


def _tree(folder: Path, published: Checkpoint, count: int) -> Tree:
    """3."""
    try:
        tree = Tree.restore(published.size, lambda tile: (folder / tile.path).read_bytes())
    except (OSError, ValueError):
        raise LedgerDamagedError(f"A tile of {folder} is missing or has a wrong length.", _ADVICE) from None
    first = published.size - published.size % TILE_WIDTH
    edge = [merkle.leaf_hash(one) for one in leaves.read(folder / leaves.FOLDER, first, published.size)]
    if tree.root != published.root or edge != list(tree.last_leaf_hashes()):
        raise LedgerDamagedError(f"The tiles or leaves of {folder} are not those of its checkpoint.", _ADVICE)
    if first and not edge:
        _check_last_full(folder, published.size)
    for one in leaves.read(folder / leaves.FOLDER, published.size, count):
        tree.append(one)
    return tree


def _check_last_full(folder: Path, size: int) -> None:
    """3, where the checkpoint ends with a full tile."""
    first = size - TILE_WIDTH
    hashes = [merkle.leaf_hash(one) for one in leaves.read(folder / leaves.FOLDER, first, size)]
    try:
        stored = (folder / Tile(0, first // TILE_WIDTH, TILE_WIDTH).path).read_bytes()
    except OSError:
        stored = b""
    if stored != b"".join(hashes):
        raise LedgerDamagedError(f"The leaves of {folder} are not those of its tiles.", _ADVICE)


@dataclass(slots=True)
class _Found:
    length: int  # bytes of the last file that belong to leaves
    requests: "OrderedDict[bytes, int]"
    erased: set[int]
    ordered: set[int]  # erasures that were begun: ERASED is there, and so is the payload
    discarded_count: int


def _payloads(folder: Path, keys: Keys, count: int) -> _Found:
    """4 to 6."""
    journal = folder / payloads.FOLDER
    found = _Found(0, OrderedDict(), set(), set(), 0)
    files = journal_files(journal)
    for number in range(max(len(files), -(-count // payloads.PER_FILE))):
        records = payloads.read(journal / name_of(number)) if number < len(files) else []
        first = number * payloads.PER_FILE
        held = records[: max(0, min(payloads.PER_FILE, count - first))]
        if len(held) < min(payloads.PER_FILE, count - first):
            raise LedgerDamagedError(f"Entry {first + len(held)} has a leaf and no payload.", _ADVICE)
        found.discarded_count += len(records) - len(held)
        found.discarded_count += _torn(files[number], records) if number < len(files) else 0
        found.length = held[-1].offset + len(held[-1].data) if held else found.length
        for index, record in enumerate(held, first):
            if record.erased:
                found.erased.add(index)
            elif index >= count - REQUESTS_KEPT:
                found.requests[record.request_id] = index
    ordered = {target for _, target in erasures(folder, keys, count)}
    if alone := sorted(found.erased - ordered):
        raise LedgerDamagedError(f"The payload of entry {alone[0]} is gone and no ERASED entry says so.", _ADVICE)
    found.ordered = ordered - found.erased
    return found


def _torn(path: Path, records: list[Record]) -> bool:
    """Whether half a record stands behind the whole ones."""
    end = records[-1].offset + len(records[-1].data) if records else 0
    return path.stat().st_size > end


def _make_durable(folder: Path, published: int) -> None:
    """8. StorageUnknownError."""
    try:
        # Payloads first: a leaf that the disk has without its payload would be damage.
        write_again(folder / payloads.FOLDER, published // payloads.PER_FILE)
        write_again(folder / leaves.FOLDER, published // leaves.PER_FILE)
        sync_folder(folder)
    except OSError as error:
        raise StorageUnknownError(
            f"What {folder} holds on disk is not known ({error.strerror}).", "Look at the disk; then start again."
        ) from None


def _complete_erasures(folder: Path, ordered: set[int]) -> None:
    """6, second half: only once ERASED itself is durable."""
    for target in sorted(ordered):
        number, offset = divmod(target, payloads.PER_FILE)
        path = folder / payloads.FOLDER / name_of(number)
        payloads.erase(path, payloads.read(path)[offset])


def erasures(folder: Path, keys: Keys, count: int) -> Iterator[tuple[int, int]]:
    """Every ERASED entry and the entry that it erased. LedgerDamagedError."""
    held, records = -1, list[Record]()  # the last file: they come in order
    for index, one in enumerate(leaves.read(folder / leaves.FOLDER, 0, count)):
        if one[1] != TYPES["ERASED"]:
            continue
        number, offset = divmod(index, payloads.PER_FILE)
        if number != held:
            held, records = number, payloads.read(folder / payloads.FOLDER / name_of(number))
        _, payload = _unseal(keys, index, records[offset])
        target = canonical.decode(payload).get("index")
        if not isinstance(target, int) or not 0 <= target < index:
            raise LedgerDamagedError(f"Entry {index} erases an entry that is not there.", _ADVICE)
        yield index, target


def _check_tail(folder: Path, keys: Keys, count: int, ordered: set[int]) -> None:
    """7. A payload whose erasure was begun may be half gone."""
    first = (count - 1) // TILE_WIDTH * TILE_WIDTH
    records = payloads.read(folder / payloads.FOLDER / name_of(first // payloads.PER_FILE))
    for index, one in enumerate(leaves.read(folder / leaves.FOLDER, first, count), first):
        record = records[index - first]
        if not record.erased and index not in ordered and one[2:] != leaf.commitment(*_unseal(keys, index, record)):
            raise LedgerDamagedError(f"The payload of entry {index} is not the one of its leaf.", _ADVICE)


def _unseal(keys: Keys, index: int, record: Record) -> tuple[bytes, bytes]:
    try:
        return payloads.unseal(keys.wrapping, index, record)
    except PayloadError as error:
        raise LedgerDamagedError(f"Entry {index}: {error}.", _ADVICE) from None


def _cut(journal: Path, count: int, per_file: int, length: int) -> None:
    """Leave `count` records and nothing behind them."""
    files = journal_files(journal)
    whole, rest = divmod(count, per_file)
    for path in files[whole + (rest > 0) :]:
        path.unlink()
    if rest and files[whole].stat().st_size > length:
        with files[whole].open("r+b") as file:
            file.truncate(length)

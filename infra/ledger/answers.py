"""Requests of both sockets, checked and answered (frames.py has the list)."""

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Any, Final

from infra.ledger.entries import Prepared
from infra.ledger.errors import (
    EntryRefusedError,
    ErasureRefusedError,
    LedgerDamagedError,
    LedgerError,
    LedgerUnavailableError,
)
from infra.ledger.frames import ENTRIES_BYTES_MAX, ENTRIES_MAX
from infra.ledger.payloads import REQUEST_ID_BYTES
from infra.ledger.store import Opened, Store
from infra.ledger.users import Users
from infra.platform import logging, metrics
from infra.proof import merkle

PUBLISHED_SECONDS_MAX: Final = 5.0  # a proof waits so long for the tiles of its entry
REASON_CHARACTERS_MAX: Final = 500
NOTED_SECONDS: Final = 60.0  # one entry a user for so long, however much is read
GROUP_ENTRIES_MAX: Final = 512
GROUP_BYTES_MAX: Final = 4 * 1024**2
_LOG = logging.get("ledger")
_ADVICE: Final = "Use infra.ledger.client of this version."


Waiting = tuple[Prepared, "asyncio.Future[int]"]  # an entry, and what its client waits for


def prepared(store: Store, users: Users, uid: int, request: dict[str, Any]) -> Prepared:
    """An append of this user, checked. NotAllowedError, EntryRefusedError."""
    names = {"op", "request_id", "kind", "actor", "members"}
    if request.keys() != names or request["op"] != "append":
        raise EntryRefusedError("This is not an append.", _ADVICE)
    kind, actor, members = request["kind"], request["actor"], request["members"]
    if not isinstance(kind, str) or not isinstance(actor, str) or not isinstance(members, dict):
        raise EntryRefusedError("A member of the append has the wrong type.", _ADVICE)
    users.check(uid, kind)
    return store.prepare(_request_id(request["request_id"]), kind, actor, members)


def erased(store: Store, uid: int, request: dict[str, Any]) -> int:
    """An erasure; only for the ledger's own user. The index of its ERASED entry."""
    if uid != os.geteuid():
        raise ErasureRefusedError("Only the ledger's own user may erase.", "Run it as that user.")
    if request.keys() != {"op", "index", "actor", "reason"}:
        raise EntryRefusedError("This is not an erasure.", _ADVICE)
    index, actor, reason = request["index"], request["actor"], request["reason"]
    if type(index) is not int or not isinstance(actor, str) or not isinstance(reason, str):
        raise EntryRefusedError("A member of the erasure has the wrong type.", _ADVICE)
    if not 0 < len(reason) <= REASON_CHARACTERS_MAX:
        raise EntryRefusedError("An erasure needs a reason.", f"Of at most {REASON_CHARACTERS_MAX} characters.")
    return store.erase(index, actor, reason)


def group_behind(first: Waiting, queue: "asyncio.Queue[Waiting]") -> list[Waiting]:
    """A group: the first, and all that wait behind it, within bounds."""
    group = [first]
    size = len(first[0].payload)
    while len(group) < GROUP_ENTRIES_MAX and size < GROUP_BYTES_MAX and not queue.empty():
        group.append(queue.get_nowait())
        size += len(group[-1][0].payload)
    return group


def settle(group: list[Waiting], indexes: Sequence[int]) -> None:
    """Give each its index; who has gone meanwhile is not waited for."""
    metrics.LEDGER_GROUP_ENTRIES.observe(len(group))
    for (_, future), index in zip(group, indexes, strict=True):
        if not future.done():
            future.set_result(index)


def fail(group: list[Waiting], error: LedgerError) -> None:
    """Tell each that it has no entry."""
    metrics.LEDGER_FAILURES.labels(error.reason).inc()
    _LOG.error("a group was not committed", reason=error.reason, count=len(group))
    for _, future in group:
        if not future.done():
            future.set_exception(LedgerUnavailableError(error.message, error.advice))


async def committed(waiting: "asyncio.Queue[Waiting]", entry: Prepared) -> int:
    """Wait for its group; the entry's index, once it is on disk. LedgerUnavailableError."""
    answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    try:
        waiting.put_nowait((entry, answered))
    except asyncio.QueueFull:
        raise LedgerUnavailableError("Too many appends wait.", "Look at the ledger's disk.") from None
    return await answered


class Noted:
    """That somebody reads payloads, as an entry of the ledger's own: no entry, no payload (users.py, 3)."""

    def __init__(self, store: Store, users: Users, waiting: "asyncio.Queue[Waiting]") -> None:
        self._store = store
        self._users = users
        self._waiting = waiting
        self._lock = asyncio.Lock()  # who comes while an entry is on its way waits for it
        self._last: dict[int, float] = {}  # no more than there are readers

    async def before(self, uid: int, start: int, limit: int) -> None:
        """Before this user is given a payload. LedgerUnavailableError."""
        if not self._users.is_noted(uid):
            return
        async with self._lock:
            if time.monotonic() - self._last.get(uid, -NOTED_SECONDS) < NOTED_SECONDS:
                return
            members = {"purpose": "read", "start": start, "limit": limit}
            request_id = os.urandom(REQUEST_ID_BYTES)
            entry = self._store.prepare(request_id, "LEDGER_READ", f"users/{uid}", members)
            await committed(self._waiting, entry)
            self._last[uid] = time.monotonic()


class Reading:
    """The handler of the read socket."""

    def __init__(self, store: Store, noted: Noted) -> None:
        self._store = store
        self._noted = noted

    async def __call__(self, uid: int, request: dict[str, Any]) -> dict[str, Any]:
        """One answer. EntryRefusedError for what is no request."""
        match request:
            case {"op": "size", **rest} if not rest:
                return {"size": self._store.head.size}
            case {"op": "checkpoint", **rest} if not rest:
                return {"checkpoint": self._store.head.note}
            case {"op": "read", "start": int(start), "limit": int(limit), **rest} if not rest and start >= 0 < limit:
                await self._noted.before(uid, start, limit)
                return {"entries": await asyncio.to_thread(self._entries, start, min(limit, ENTRIES_MAX))}
            case {"op": "inclusion", "index": int(index), **rest} if not rest:
                return await self._inclusion(index)
            case {"op": "consistency", "old": int(old), **rest} if not rest:
                return await self._consistency(old)
        raise EntryRefusedError("This is not a request of the read socket.", _ADVICE)

    def _entries(self, start: int, limit: int) -> list[dict[str, Any]]:
        """As many as are there and fit into an answer; at least one, if there is one."""
        found: list[dict[str, Any]] = []
        size = 0
        for entry in self._store.read(start, limit):
            size += len(entry.payload or b"")
            if found and size > ENTRIES_BYTES_MAX:
                break
            found.append(_shown(entry))
        return found

    async def _inclusion(self, index: int) -> dict[str, Any]:
        store = self._store
        if not 0 <= index < store.head.size:
            raise EntryRefusedError(f"There is no entry {index}.", "See `liucun audit list`.")
        deadline = time.monotonic() + PUBLISHED_SECONDS_MAX
        while store.published.size <= index:
            if time.monotonic() > deadline:
                raise LedgerUnavailableError(f"Entry {index} is not published yet.", "Look at the ledger's disk.")
            await asyncio.sleep(0.05)
        head = store.published

        def prove() -> dict[str, Any]:
            proof = merkle.inclusion_proof(index, head.size, store.node(head.size))
            return {"leaf": store.leaf(index).hex(), "proof": [one.hex() for one in proof], "checkpoint": head.note}

        return await asyncio.to_thread(_explained, prove)

    async def _consistency(self, old: int) -> dict[str, Any]:
        head = self._store.published
        if not 0 < old <= head.size:
            raise EntryRefusedError(f"The published tree has {head.size} entries, not {old}.", "Ask again later.")

        def prove() -> dict[str, Any]:
            proof = merkle.consistency_proof(old, head.size, self._store.node(head.size))
            return {"proof": [one.hex() for one in proof], "checkpoint": head.note}

        return await asyncio.to_thread(_explained, prove)


def _explained(prove: Any) -> dict[str, Any]:
    """Tiles that are gone or too short are no fault of the request."""
    try:
        answer: dict[str, Any] = prove()
    except (OSError, ValueError):
        raise LedgerDamagedError("The tiles cannot be read.", "Run `liucun ledger fsck`.") from None
    return answer


def _shown(entry: Opened) -> dict[str, Any]:
    return {
        "index": entry.index,
        "leaf": entry.leaf.hex(),
        "salt": None if entry.salt is None else entry.salt.hex(),
        "payload": None if entry.payload is None else entry.payload.decode("utf-8"),
    }


def _request_id(text: Any) -> bytes:
    try:
        found = bytes.fromhex(text)
    except (TypeError, ValueError):
        found = b""
    if len(found) != REQUEST_ID_BYTES or found.hex() != text:
        raise EntryRefusedError(f"A request id is {REQUEST_ID_BYTES} bytes in lower-case hex.", _ADVICE)
    return found

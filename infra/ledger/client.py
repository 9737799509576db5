"""What everybody else writes and reads the ledger with.

An append is sent again, under the same request id, until there is an answer or the time is over; the writer knows the
last 10,000 ids and gives one entry one index, also after a restart.
"""

import getpass
import os
import re
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.ledger import frames
from infra.ledger.errors import LedgerUnavailableError
from infra.ledger.frames import FrameError
from infra.ledger.payloads import REQUEST_ID_BYTES
from infra.platform.settings import Ledger
from infra.proof import canonical
from infra.proof.kinds import TYPE_NAMES

__all__ = ["Entry", "LedgerClient", "LedgerUnavailableError", "OpenedEntry", "actor_of_this_user"]

CONNECTIONS_MAX: Final = 32  # of one client to one socket; further calls wait for one
RETRY_SECONDS: Final = 0.05
# Answers that another try may change soon. A full disk is not among them: the caller is told at once.
_PASSING: Final = frozenset({"STOPPING", "TOO_MANY_CONNECTIONS"})
_OPEN: Final = frozenset({"AUDIT_UNAVAILABLE", "STORAGE_UNKNOWN"})  # a sync may have failed: nobody knows

_USER: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. Erased: `payload` is None, and `kind` is the leaf's coarse type, which no kind but ERASED is named."""

    index: int
    kind: str
    leaf: bytes
    payload: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class OpenedEntry:
    """What proves a payload: commitment(salt, payload bytes) stands in the leaf. Both None when it was erased."""

    index: int
    leaf: bytes
    salt: bytes | None
    payload: bytes | None


class LedgerClient:
    """May be used from several threads; calls of several threads are committed as one group."""

    def __init__(self, settings: Ledger, *, patient: bool = True) -> None:
        """Nothing is connected yet. Not `patient`: one try, for one who only wants to know whether a writer runs."""
        self._settings = settings
        self._others: list[LedgerClient] = []
        self._patient = patient
        self._seconds_max = settings.request_timeout_seconds
        self._appends = _Pool(settings.append_socket)
        self._reads = _Pool(settings.read_socket)

    def within(self, seconds: float) -> "LedgerClient":
        """Another client of the same ledger, for one who waits so long at most; closed with this one."""
        seconds = min(seconds, self._seconds_max)
        other = LedgerClient(self._settings.model_copy(update={"request_timeout_seconds": seconds}))
        self._others.append(other)
        return other

    def append(self, kind: str, actor: str, **members: Any) -> int:
        """Append one entry; its index, once it is COMMITTED. LedgerUnavailableError: it may or may not be there.

        ValueError for members that have no canonical form: that is the caller's fault, and nothing was sent.
        """
        request_id = os.urandom(REQUEST_ID_BYTES).hex()
        request = {"op": "append", "request_id": request_id, "kind": kind, "actor": actor, "members": members}
        index: int = self._ask(self._appends, request)["index"]
        return index

    def erase(self, index: int, actor: str, reason: str) -> int:
        """Destroy the payload of an entry past its term; the index of the ERASED entry. LedgerUnavailableError."""
        request = {"op": "erase", "index": index, "actor": actor, "reason": reason}
        found: int = self._ask(self._appends, request, again=False)["index"]
        return found

    def read(self, start: int, limit: int = 1000) -> list[Entry]:
        """Entries [start, start + limit); fewer at the end. LedgerUnavailableError."""
        found = []
        for entry in self.open(start, limit):
            payload = None if entry.payload is None else canonical.decode(entry.payload)
            kind = TYPE_NAMES[entry.leaf[1]] if payload is None else payload["kind"]
            found.append(Entry(entry.index, kind, entry.leaf, payload))
        return found

    def open(self, start: int, limit: int = 1000) -> list[OpenedEntry]:
        """The same with leaf and salt, for one who checks or hands on proofs. LedgerUnavailableError."""
        found: list[OpenedEntry] = []
        while len(found) < limit:
            request = {"op": "read", "start": start + len(found), "limit": limit - len(found)}
            entries = self._ask(self._reads, request)["entries"]
            if not entries:
                break
            found += [_opened(entry) for entry in entries]
        return found

    def size(self) -> int:
        """Number of COMMITTED leaves. LedgerUnavailableError."""
        size: int = self._ask(self._reads, {"op": "size"})["size"]
        return size

    def ready(self) -> int:
        """The same, asked at the append socket: whether this process may append now. LedgerUnavailableError."""
        size: int = self._ask(self._appends, {"op": "size"})["size"]
        return size

    def checkpoint(self) -> str:
        """The newest signed head: everything COMMITTED so far is under it. LedgerUnavailableError."""
        note: str = self._ask(self._reads, {"op": "checkpoint"})["checkpoint"]
        return note

    def inclusion(self, index: int) -> tuple[bytes, list[bytes], str]:
        """Leaf, inclusion proof and the PUBLISHED checkpoint that it leads to. LedgerUnavailableError."""
        answer = self._ask(self._reads, {"op": "inclusion", "index": index})
        return bytes.fromhex(answer["leaf"]), _hashes(answer), answer["checkpoint"]

    def consistency(self, old: int) -> tuple[list[bytes], str]:
        """Proof that the PUBLISHED tree has that of size `old` in it, and its checkpoint. LedgerUnavailableError."""
        answer = self._ask(self._reads, {"op": "consistency", "old": old})
        return _hashes(answer), answer["checkpoint"]

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._appends.close()
        self._reads.close()
        for other in self._others:
            other.close()

    def _ask(self, pool: "_Pool", request: dict[str, Any], *, again: bool = True) -> dict[str, Any]:
        """One answer. A broken connection, or a writer that is away, is tried again until the time is over."""
        deadline = time.monotonic() + self._seconds_max
        try:
            frame = frames.encode(request)
        except FrameError as error:
            raise LedgerUnavailableError(f"The request is not one: {error}.", "Name less in one entry.") from None
        while True:
            answer = pool.exchange(frame, deadline)
            if answer is not None and answer.get("ok") is True:
                return answer
            passing = answer is None or answer.get("reason") in _PASSING
            if not passing or not (again and self._patient) or time.monotonic() + RETRY_SECONDS > deadline:
                raise _unavailable(answer, pool.path)
            time.sleep(RETRY_SECONDS)


class _Pool:
    """Connections to one socket; each is used by one call at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: deque[socket.socket] = deque()
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)

    def exchange(self, frame: bytes, deadline: float) -> dict[str, Any] | None:
        """One answer; None when there was none."""
        if not self._slots.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return None
        connection: socket.socket | None = None
        try:
            connection = self._idle_one() or self._new(deadline)
            answer = frames.exchange(connection, frame, deadline)
        except (OSError, FrameError):
            if connection is not None:
                connection.close()
            self.close()  # the others lead to the same process, which has probably gone
            return None
        else:
            self._idle.append(connection)
            return answer
        finally:
            self._slots.release()

    def _idle_one(self) -> socket.socket | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _new(self, deadline: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            connection.connect(str(self.path))
        except OSError:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        while (connection := self._idle_one()) is not None:
            connection.close()


def actor_of_this_user() -> str:
    """The Unix user as an actor, for commands that people type; a name that is no resource name becomes the number."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = ""
    return f"users/{name if _USER.fullmatch(name) else os.getuid()}"


def _unavailable(answer: dict[str, Any] | None, path: Path) -> LedgerUnavailableError:
    if answer is None:
        return LedgerUnavailableError(
            f"The ledger does not answer at {path}.", "Check that `liucun ledger run` runs, and ledger.append_socket."
        )
    reason = answer.get("reason")
    advice = "It may be there or not: see the ledger once it answers." if reason in _OPEN else "Nothing was done."
    return LedgerUnavailableError(f"The ledger refused ({reason}): {answer.get('message')}", advice)


def _opened(entry: dict[str, Any]) -> OpenedEntry:
    salt, payload = entry["salt"], entry["payload"]
    return OpenedEntry(
        entry["index"],
        bytes.fromhex(entry["leaf"]),
        None if salt is None else bytes.fromhex(salt),
        None if payload is None else payload.encode("utf-8"),
    )


def _hashes(answer: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(one) for one in answer["proof"]]

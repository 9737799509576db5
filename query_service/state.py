"""What this service knows: a projection of the ledger in memory, made anew at every start and kept nowhere.

What lies on a disk could be altered there while nobody looks; this cannot. Before anything is answered:

1. Entries are applied in leaf order, all that are committed; who must not miss a revocation calls `catch_up` first.
2. The root over the leaves that were applied is the one that the ledger signs. A ledger that is smaller or another one
   (restored from a backup, for instance) is noticed at once: nothing is answered until all is made anew from it.
3. Until it has come to the ledger's end once, nothing is read: a part of the ledger may lack a revocation.
"""

import json
import math
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from infra.platform import logging, metrics
from infra.proof import checkpoint, merkle
from infra.proof.errors import NoteError
from query_service import projection
from query_service.errors import AuditUnavailableError, DeskError
from query_service.identity import Enrolled

ENTRIES_AT_ONCE: Final = 1000
CATCH_UP_SECONDS_MAX: Final = 5.0  # who waits longer for another's catching up is told that the ledger is away
_LOG: Final = logging.get("desk")
Document = dict[str, Any]


class Entry(Protocol):
    """One entry; the payload is None when it was erased."""

    @property
    def index(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def leaf(self) -> bytes: ...
    @property
    def payload(self) -> dict[str, Any] | None: ...


class Readable(Protocol):
    """The ledger, to read from."""

    def read(self, start: int, limit: int = 1000) -> Sequence[Entry]:
        """Entries [start, start + limit), fewer at the end."""
        ...

    def checkpoint(self) -> str:
        """The newest signed note."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """An agency or a person of the registry."""

    name: str
    state: str
    document: Document | None
    pending: Document | None
    entered_by: str
    create_time: str
    statement_time: str  # of the statement that entered or approved it last


@dataclass(frozen=True, slots=True)
class Approval:
    """One signature under an authorization."""

    approver: str
    ledger_index: int
    time: str
    statement: Document
    signature: bytes


@dataclass(frozen=True, slots=True)
class Authorization:
    """An authorization with its signatures."""

    name: str
    agency: str
    requester: str
    document: Document
    request_hash: str
    fingerprint: str
    status: str
    invalid_reason: str
    create_time: str
    termination_time: str | None
    generation: int
    approvals: tuple[Approval, ...]
    hits_used: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment's leaf."""

    segment_number: int
    first_record_number: int
    record_count: int
    root: str
    ledger_index: int


@dataclass(frozen=True, slots=True)
class Lookup:
    """A lookup with its segments."""

    name: str
    agency: str
    authorization: str
    requester: str
    fingerprint: str
    document: Document
    validate_only: bool
    state: str
    status_reason: str
    record_count: int
    truncated: bool
    create_time: str
    end_time: str | None
    intent_index: int
    outcome_index: int
    segments: tuple[Segment, ...]


class State:
    """Thread-safe."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._lock = threading.RLock()  # of the tables
        self._catching = threading.Lock()  # one catches up at a time
        self._used: dict[tuple[str, str], int] = {}
        self.ledgers = 1  # how many were read: another one after each that was found to be exchanged
        self._whole = False
        self._applied = 0
        self._frontier: list[bytes] = []  # complete subtrees over the applied leaves, largest first
        self._database = _tables()

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            self._database.close()

    @property
    def applied_index(self) -> int:
        """How many entries are applied."""
        return self._applied

    @property
    def service(self) -> str:
        """The instance of the query service that has started last, anywhere on this ledger; empty for none."""
        rows = self._rows("SELECT instance FROM service")
        return str(rows[0][0]) if rows else ""

    def catch_up(self, ledger: Readable, seconds_max: float | None = None) -> None:
        """1 and 2: apply all that is committed. The ledger's errors pass, and what was applied stays.

        AuditUnavailableError when it is not the ledger that was applied; the next call begins at its first entry. Also
        when nothing more may be asked after `seconds_max`; the next call goes on from there.
        """
        deadline = time.monotonic() + (math.inf if seconds_max is None else seconds_max)
        if not self._catching.acquire(timeout=CATCH_UP_SECONDS_MAX if seconds_max is None else seconds_max):
            raise AuditUnavailableError
        try:
            head = _head(ledger)
            while self._applied < head.size:
                if time.monotonic() > deadline:
                    raise AuditUnavailableError
                entries = ledger.read(self._applied, min(ENTRIES_AT_ONCE, head.size - self._applied))
                if not entries:
                    break
                self._take(entries)
            if (self._applied, merkle.fold(self._frontier)) != (head.size, head.root):
                metrics.DESK_LEDGER_CHANGED.inc()
                _LOG.error("not the ledger that was read before", applied=self._applied, size=head.size)
                self._forget()
                raise AuditUnavailableError
            self._whole = True
        finally:
            self._catching.release()

    def _forget(self) -> None:
        """3: as at the start."""
        with self._lock:
            self.ledgers += 1
            self._whole, self._applied, self._frontier = False, 0, []
            self._database.close()
            self._database = _tables()

    def _take(self, entries: Sequence[Entry]) -> None:
        """All of these, or none of them: what cannot be kept now (memory) is tried again by the next call."""
        frontier = list(self._frontier)
        try:
            with self._lock, self._database:
                for at, entry in enumerate(entries, self._applied):
                    if not projection.apply(self._database, entry.index, entry.kind, entry.payload):
                        metrics.DESK_ENTRIES_IGNORED.inc()
                        _LOG.warning("an entry has not the shape of its kind", index=entry.index, kind=entry.kind)
                    merkle.grow(frontier, at, merkle.leaf_hash(entry.leaf))
        except sqlite3.OperationalError:
            raise AuditUnavailableError from None
        self._applied, self._frontier = self._applied + len(entries), frontier

    def dump(self) -> list[str]:
        """All tables as text, to compare two projections."""
        with self._lock:
            return list(self._database.iterdump())

    def use_token(self, actor: str, token_id: str, end: int, now: int) -> None:
        """Mark a token as used. TOKEN_REPLAYED when it was, in this process or in any entry of the ledger."""
        key = (actor, token_id)
        with self._lock:
            for old in [old for old, until in self._used.items() if until < now]:
                del self._used[old]
            if self._rows("SELECT 1 FROM token WHERE actor = ? AND token_id = ?", *key) or key in self._used:
                raise DeskError("TOKEN_REPLAYED")
            self._used[key] = end

    def enrolled(self, name: str) -> Enrolled | None:
        """An officer of an agency in force, or a person in force."""
        agency, is_officer, _ = name.partition("/officers/")
        known = self.member(agency)
        if known is None or known.state != "ACTIVE" or known.document is None:
            return None
        if not is_officer:
            if "public_key" not in known.document:
                return None
            return Enrolled(
                bytes.fromhex(known.document["public_key"]), frozenset(role.upper() for role in known.document["roles"])
            )
        for officer in known.document["officers"]:
            if officer["name"] == name:
                return Enrolled(bytes.fromhex(officer["public_key"]), frozenset())
        return None

    def member(self, name: str) -> Member | None:
        """An agency or a person, whatever its state."""
        rows = self._rows(f"{_MEMBER} WHERE name = ?", name)
        return _member(rows[0]) if rows else None

    def members(self, kind: str, skip: int, limit: int) -> list[Member]:
        """Agencies or persons by name, without the first `skip`."""
        rows = self._rows(f"{_MEMBER} WHERE kind = ? ORDER BY name LIMIT ? OFFSET ?", kind, limit, skip)
        return [_member(row) for row in rows]

    def keys(self) -> dict[str, str]:
        """Every public key (hex) that is in force or waits, and whose it is: no two people share one."""
        found = {}
        for document, pending in self._rows("SELECT document, pending FROM member WHERE state != 'REVOKED'"):
            for text in (document, pending):
                for one in _people(json.loads(text)) if text else ():
                    found[one["public_key"]] = one["name"]
        return found

    def authorization(self, name: str) -> Authorization | None:
        """One authorization."""
        rows = self._rows(f"{_AUTHORIZATION} WHERE name = ?", name)
        return self._authorization(rows[0]) if rows else None

    def authorization_of_request(self, agency: str, request_id: str) -> Authorization | None:
        """The one that a request made."""
        rows = self._rows(f"{_AUTHORIZATION} WHERE agency = ? AND request_id = ?", agency, request_id)
        return self._authorization(rows[0]) if rows else None

    def authorizations(self, agency: str, before: int, limit: int) -> list[tuple[int, Authorization]]:
        """(ledger index, authorization), newest first, of one agency or of all ('-')."""
        rows = self._rows(
            "SELECT ledger_index, name FROM authorization WHERE (agency = ?1 OR ?1 = 'agencies/-') "
            "AND ledger_index < ?2 ORDER BY ledger_index DESC LIMIT ?3",
            agency,
            before,
            limit,
        )
        return [(index, one) for index, name in rows if (one := self.authorization(name)) is not None]

    def authorization_names(self) -> list[str]:
        """All of them."""
        return [row[0] for row in self._rows("SELECT name FROM authorization")]

    def lookup(self, name: str) -> Lookup | None:
        """One lookup; validations are none."""
        rows = self._rows(f"{_LOOKUP} WHERE name = ? AND validate_only = 0", name)
        return self._lookup(rows[0]) if rows else None

    def intent(self, name: str) -> Lookup | None:
        """One lookup, or one validation."""
        rows = self._rows(f"{_LOOKUP} WHERE name = ?", name)
        return self._lookup(rows[0]) if rows else None

    def lookup_of_request(self, agency: str, request_id: str) -> Lookup | None:
        """The one that a request made, a validation too."""
        rows = self._rows(f"{_LOOKUP} WHERE agency = ? AND request_id = ?", agency, request_id)
        return self._lookup(rows[0]) if rows else None

    def lookups(self, agency: str, before: int, limit: int) -> list[Lookup]:
        """Newest first."""
        rows = self._rows(
            f"{_LOOKUP} WHERE agency = ? AND ledger_index < ? AND validate_only = 0 ORDER BY ledger_index DESC LIMIT ?",
            agency,
            before,
            limit,
        )
        return [self._lookup(row) for row in rows]

    def open_lookups(self) -> list[Lookup]:
        """Intents without an outcome."""
        return [self._lookup(row) for row in self._rows(f"{_LOOKUP} WHERE outcome_index = 0 ORDER BY ledger_index")]

    def _rows(self, query: str, *values: Any) -> list[Any]:
        """3."""
        with self._lock:
            if not self._whole:
                raise AuditUnavailableError
            return self._database.execute(query, values).fetchall()

    def _authorization(self, row: Any) -> Authorization:
        approvals = self._rows(
            "SELECT approver, ledger_index, time, statement, signature FROM approval WHERE authorization = ? "
            "ORDER BY ledger_index",
            row[0],
        )
        ((hits,),) = self._rows("SELECT coalesce(sum(hits), 0) FROM lookup WHERE authorization = ?", row[0])
        signatures = tuple(
            Approval(who, index, time, json.loads(statement), bytes.fromhex(signature))
            for who, index, time, statement, signature in approvals
        )
        values = [*row[:3], json.loads(row[3]), *row[4:], signatures, hits]
        return Authorization(*values)

    def _lookup(self, row: Any) -> Lookup:
        segments = self._rows(
            "SELECT segment_number, first_record_number, record_count, root, ledger_index FROM segment "
            "WHERE lookup = ? ORDER BY segment_number",
            row[0],
        )
        parts = tuple(Segment(*one) for one in segments)
        values = [*row[:5], json.loads(row[5]), bool(row[6]), *row[7:10], bool(row[10]), *row[11:], parts]
        return Lookup(*values)


_MEMBER: Final = "SELECT name, state, document, pending, entered_by, create_time, statement_time FROM member"
_AUTHORIZATION: Final = (
    "SELECT name, agency, requester, document, request_hash, fingerprint, status, invalid_reason, create_time, "
    "termination_time, generation FROM authorization"
)
_LOOKUP: Final = (
    "SELECT name, agency, authorization, requester, fingerprint, document, validate_only, state, status_reason, "
    "record_count, truncated, create_time, end_time, ledger_index, outcome_index FROM lookup"
)


def _tables() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.executescript(projection.TABLES)
    return database


def _head(ledger: Readable) -> checkpoint.Checkpoint:
    """The newest head. Its signature is for others: it comes over the socket that the entries come from."""
    text, _, _ = ledger.checkpoint().partition("\n\n")
    try:
        return checkpoint.parse(f"{text}\n")
    except NoteError:
        raise AuditUnavailableError from None


def _member(row: Any) -> Member:
    name, state, document, pending, *rest = row
    return Member(name, state, document and json.loads(document), pending and json.loads(pending), *rest)


def _people(document: Document) -> list[Document]:
    """Those in a member's document who have a key."""
    found: list[Document] = document.get("officers", [document])
    return found

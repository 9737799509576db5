"""What this service knows, as a projection of the ledger in SQLite: delete the file, and the next start makes it again.

Entries are applied in leaf order, each run in one transaction with `applied_index`, so a kill between any two steps
leaves a prefix of the ledger. Reads are of what is applied; who must not miss a revocation calls `catch_up` first.
"""

import contextlib
import json
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from infra.platform.errors import LiucunError, SettingsError
from query_service import projection
from query_service.errors import DeskError
from query_service.identity import Enrolled

ENTRIES_AT_ONCE: Final = 1000
FILE_NAME: Final = "projection.sqlite"
Document = dict[str, Any]


class Readable(Protocol):
    """The ledger, to read from."""

    def read(self, start: int, limit: int = 1000) -> list[Any]:
        """Entries [start, start + limit), fewer at the end."""
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

    def __init__(self, folder: Path) -> None:
        """Open the projection below `folder`, or begin an empty one; one of another version is thrown away."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = folder / FILE_NAME
        self._lock = threading.RLock()
        self._used: dict[tuple[str, str], int] = {}
        self._database = self._open()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    @property
    def applied_index(self) -> int:
        """How many entries are applied."""
        with self._lock:
            found: int = self._database.execute("SELECT value FROM meta WHERE key = 'applied_index'").fetchone()[0]
            return found

    @property
    def service(self) -> str:
        """The instance of the query service that has started last, anywhere on this ledger; empty for none."""
        rows = self._rows("SELECT instance FROM service")
        return str(rows[0][0]) if rows else ""

    def catch_up(self, ledger: Readable, size: int) -> None:
        """Apply entries until `size` of them are applied. What was applied stays when it ends in between.

        The ledger's errors pass. A file that cannot be written now (a full disk) is a LiucunError: nobody goes on
        without what the ledger says, and the next one may find it well again.
        """
        try:
            self._catch_up(ledger, size)
        except sqlite3.OperationalError:
            raise LiucunError("The projection cannot be written.", "Check the disk of server.state_dir.") from None

    def _catch_up(self, ledger: Readable, size: int) -> None:
        with self._lock:
            while (applied := self.applied_index) < size:
                entries = ledger.read(applied, min(ENTRIES_AT_ONCE, size - applied))
                if not entries:
                    return
                with self._database:
                    for entry in entries:
                        projection.apply(self._database, entry.index, entry.kind, entry.payload)
                    self._database.execute(
                        "UPDATE meta SET value = ? WHERE key = 'applied_index'", (entries[-1].index + 1,)
                    )

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
            row = self._database.execute("SELECT 1 FROM token WHERE actor = ? AND token_id = ?", key).fetchone()
            if row is not None or key in self._used:
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

    def ended_lookups(self, before: str) -> list[str]:
        """Names of lookups that ended before a time (text), for the end of their segments."""
        return [
            row[0] for row in self._rows("SELECT name FROM lookup WHERE coalesce(end_time, create_time) < ?", before)
        ]

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
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

    def _open(self) -> sqlite3.Connection:
        try:
            database = self._connect()
        except sqlite3.OperationalError:
            raise SettingsError(
                f"The projection {self._path} cannot be opened.", "Another program holds it, or its folder is no good."
            ) from None
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version == projection.VERSION:
            return database
        database.close()
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self._path.with_name(self._path.name + suffix).unlink()
        database = self._connect()
        with database:
            database.executescript(projection.TABLES)
            database.execute("INSERT INTO meta VALUES ('applied_index', 0)")
        database.execute(f"PRAGMA user_version = {projection.VERSION}")
        return database

    def _connect(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        database = sqlite3.connect(self._path, check_same_thread=False)
        database.execute("PRAGMA locking_mode = EXCLUSIVE")  # another program's lock would end the service
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("BEGIN EXCLUSIVE")  # from now on it is ours
        database.execute("COMMIT")
        database.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes away is applied again
        return database


_MEMBER: Final = "SELECT name, state, document, pending, entered_by, create_time FROM member"
_AUTHORIZATION: Final = (
    "SELECT name, agency, requester, document, request_hash, fingerprint, status, invalid_reason, create_time, "
    "termination_time, generation FROM authorization"
)
_LOOKUP: Final = (
    "SELECT name, agency, authorization, requester, fingerprint, document, validate_only, state, status_reason, "
    "record_count, truncated, create_time, end_time, ledger_index, outcome_index FROM lookup"
)


def _member(row: Any) -> Member:
    name, state, document, pending, entered_by, create_time = row
    return Member(
        name, state, document and json.loads(document), pending and json.loads(pending), entered_by, create_time
    )


def _people(document: Document) -> list[Document]:
    """Those in a member's document who have a key."""
    found: list[Document] = document.get("officers", [document])
    return found

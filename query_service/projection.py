"""Entries of the ledger -> tables. One function a kind, applied in leaf order; nothing else ever writes these tables.

The same entries give the same tables, byte for byte: no clock, no randomness, no file is asked here. An entry changes
something only when all of this holds (a broken-into service can lie in entries, not in signatures):

1. It has the shape of its kind (shapes.py); whoever may append can write anything else, and must not stop this service.
2. A key counts only when the signatures of two people lead to it from the genesis.
3. A signature under an authorization is its signer's own, over that very document, and the first of that signer.
4. Who rejects or revokes an authorization was somebody then: an enrolled person, or an officer of its agency.
5. Names lie where they say: an authorization and a lookup in the agency that they name.
6. What enters or approves a member was signed about when it was appended, and after all that was signed about this
   member before: an old entry written again does not bring an old key back.
"""

import json
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from infra.platform.clock import DAY, HOUR
from infra.platform.times import microseconds_of
from infra.proof import canonical, requests, statements
from query_service.shapes import SHAPES, SIGNATURE, fits, is_time

# The service takes a statement that is at most a day old and 5 minutes ahead; the ledger's clock may differ a little.
STATEMENT_AGE_MAX: Final = DAY + HOUR
STATEMENT_AHEAD_MAX: Final = HOUR
TOKEN_KEPT: Final = HOUR  # tokens live 5 minutes; an hour behind an entry none of its time can be valid
Payload = dict[str, Any]

TABLES: Final = """
CREATE TABLE member (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, document TEXT, pending TEXT,
    entered_by TEXT NOT NULL, create_time TEXT NOT NULL, revoke_reason TEXT NOT NULL DEFAULT '',
    statement_time TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE authorization (
    name TEXT PRIMARY KEY, agency TEXT NOT NULL, ledger_index INTEGER NOT NULL UNIQUE, request_id TEXT NOT NULL,
    requester TEXT NOT NULL, document TEXT NOT NULL, request_hash TEXT NOT NULL, fingerprint TEXT NOT NULL,
    status TEXT NOT NULL, invalid_reason TEXT NOT NULL DEFAULT '', create_time TEXT NOT NULL,
    termination_time TEXT, generation INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE UNIQUE INDEX authorization_request ON authorization (agency, request_id);
CREATE TABLE approval (
    authorization TEXT NOT NULL, approver TEXT NOT NULL, ledger_index INTEGER NOT NULL, time TEXT NOT NULL,
    statement TEXT NOT NULL, signature TEXT NOT NULL, PRIMARY KEY (authorization, approver)
) STRICT;
CREATE TABLE lookup (
    name TEXT PRIMARY KEY, agency TEXT NOT NULL, authorization TEXT NOT NULL, ledger_index INTEGER NOT NULL UNIQUE,
    requester TEXT NOT NULL, request_id TEXT NOT NULL, fingerprint TEXT NOT NULL, document TEXT NOT NULL,
    validate_only INTEGER NOT NULL, state TEXT NOT NULL, status_reason TEXT NOT NULL DEFAULT '',
    record_count INTEGER NOT NULL DEFAULT 0, hits INTEGER NOT NULL DEFAULT 0, truncated INTEGER NOT NULL DEFAULT 0,
    create_time TEXT NOT NULL, end_time TEXT, outcome_index INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX lookup_request ON lookup (agency, request_id);
CREATE INDEX lookup_authorization ON lookup (authorization);
CREATE TABLE segment (
    lookup TEXT NOT NULL, segment_number INTEGER NOT NULL, first_record_number INTEGER NOT NULL,
    record_count INTEGER NOT NULL, root TEXT NOT NULL, ledger_index INTEGER NOT NULL,
    PRIMARY KEY (lookup, segment_number)
) STRICT;
CREATE TABLE service (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), instance TEXT NOT NULL) STRICT;
CREATE TABLE token (actor TEXT NOT NULL, token_id TEXT NOT NULL, time INTEGER NOT NULL,
    PRIMARY KEY (actor, token_id)) STRICT;
CREATE INDEX token_time ON token (time);
"""


def apply(database: sqlite3.Connection, index: int, kind: str, payload: Payload | None) -> bool:
    """Take over one entry; False when it has not the shape of its kind, and so changes nothing.

    Kinds of others, and erased entries, change nothing either, and that is as it should be.
    """
    if payload is None:
        return True
    if isinstance(payload.get("token_id"), str):  # also of a refusal: it is used
        _token(database, payload)
    if kind in _APPLY:
        if not fits(SHAPES[kind], payload):  # 1
            return False
        _APPLY[kind](database, index, payload)
    return True


def member(database: sqlite3.Connection, name: str) -> tuple[str, Payload | None, Payload | None] | None:
    """(state, document in force, document that waits) of an agency or person."""
    row = database.execute("SELECT state, document, pending FROM member WHERE name = ?", (name,)).fetchone()
    return None if row is None else (row[0], _loads(row[1]), _loads(row[2]))


def signed_statement(
    database: sqlite3.Connection, payload: Payload, action: str, subject: str, document_hash: str
) -> bool:
    """Whether the entry carries the actor's own signature, as an enrolled person, over this action."""
    expected = requests.registry_statement(
        action=action,
        subject=subject,
        document_hash=document_hash,
        person=payload["actor"],
        time=str(payload["statement"].get("time", "")),
    )
    return _signed(database, payload, expected)


def expected_approval(document: Payload, approver: str, time: str) -> dict[str, str]:
    """What must have been signed under an authorization, from the document itself."""
    return requests.approval_statement(
        authorization=document["name"],
        request_hash=requests.authorization_hash(document),
        instrument_sha256=document["document"]["sha256"],
        policy_version=document["policy_version"],
        approver=approver,
        time=time,
    )


def _signed(database: sqlite3.Connection, payload: Payload, expected: dict[str, str]) -> bool:
    """Whether the actor is an enrolled person whose key has signed just this statement."""
    signer = member(database, payload["actor"])
    if signer is None or signer[0] != "ACTIVE" or signer[1] is None or "public_key" not in signer[1]:
        return False
    statement, public_key = payload["statement"], bytes.fromhex(signer[1]["public_key"])
    return bool(statement == expected and statements.verify(public_key, statement, bytes.fromhex(payload["signature"])))


def _genesis(database: sqlite3.Connection, _index: int, payload: Payload) -> None:
    """2: the first people; each has signed the statement that names them all."""
    persons, signatures = payload["statement"]["persons"], payload["signatures"]
    if not all(fits(SIGNATURE, signatures.get(person["name"])) for person in persons):
        return
    for person in persons:
        signature = bytes.fromhex(signatures[person["name"]])
        if not statements.verify(bytes.fromhex(person["public_key"]), payload["statement"], signature):
            return
    for person in persons:
        document = {name: person[name] for name in ("name", "display_name", "roles", "public_key")}
        database.execute(
            "INSERT OR IGNORE INTO member (name, kind, state, document, entered_by, create_time) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (person["name"], "person", "ACTIVE", _dumps(document), "genesis", payload["time"]),
        )


def _entered(kind: str) -> Callable[[sqlite3.Connection, int, Payload], None]:
    def work(database: sqlite3.Connection, _index: int, payload: Payload) -> None:
        document = payload["document"]
        name = document["name"]
        known = member(database, name)
        if known is not None and known[0] == "REVOKED":
            return
        if not signed_statement(database, payload, "ENTER", name, requests.registry_hash(document)):
            return
        if not _timely(database, payload, name):  # 6
            return
        database.execute(
            "INSERT INTO member (name, kind, state, pending, entered_by, create_time, statement_time) "
            "VALUES (?, ?, 'ENTERED', ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
            "pending = excluded.pending, entered_by = excluded.entered_by, statement_time = excluded.statement_time",
            (name, kind, _dumps(document), payload["actor"], payload["time"], payload["statement"]["time"]),
        )

    return work


def _approved(database: sqlite3.Connection, _index: int, payload: Payload) -> None:
    name = payload["subject"]
    known = member(database, name)
    if known is None or known[2] is None or known[0] == "REVOKED":
        return
    (entered_by,) = database.execute("SELECT entered_by FROM member WHERE name = ?", (name,)).fetchone()
    if payload["actor"] in (entered_by, name):
        return
    if not signed_statement(database, payload, "APPROVE", name, requests.registry_hash(known[2])):
        return
    if _timely(database, payload, name):  # 6
        database.execute(
            "UPDATE member SET document = pending, pending = NULL, state = 'ACTIVE', statement_time = ? WHERE name = ?",
            (payload["statement"]["time"], name),
        )


def _timely(database: sqlite3.Connection, payload: Payload, name: str) -> bool:
    """6. Times have one form, so as texts they stand in their order."""
    signed = payload["statement"]["time"]
    if not is_time(signed):
        return False
    row = database.execute("SELECT statement_time FROM member WHERE name = ?", (name,)).fetchone()
    age = microseconds_of(payload["time"]) - microseconds_of(signed)
    return -STATEMENT_AHEAD_MAX <= age <= STATEMENT_AGE_MAX and (row is None or row[0] < signed)


def _revoked(database: sqlite3.Connection, _index: int, payload: Payload) -> None:
    name = payload["subject"]
    known = member(database, name)
    if known is None:
        return
    document = known[1] or known[2] or {}
    if signed_statement(database, payload, "REVOKE", name, requests.registry_hash(document)):
        database.execute(
            "UPDATE member SET state = 'REVOKED', revoke_reason = ? WHERE name = ?", (_reason(payload), name)
        )


def _authorization_entered(database: sqlite3.Connection, index: int, payload: Payload) -> None:
    document = payload["document"]
    if not document["name"].startswith(f"{document['agency']}/"):  # 5
        return
    database.execute(
        "INSERT OR IGNORE INTO authorization (name, agency, ledger_index, request_id, requester, document, "
        "request_hash, fingerprint, status, create_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'AWAITING_APPROVAL', ?)",
        (document["name"], document["agency"], index, payload["request_id"], payload["actor"], _dumps(document),
         payload["request_hash"], payload["fingerprint"], payload["time"]),
    )  # fmt: skip


def _authorization_approved(database: sqlite3.Connection, index: int, payload: Payload) -> None:
    """3. `enough` was decided by the service at that time; at execution the signatures are verified anew."""
    name, approver = payload["authorization"], payload["actor"]
    row = database.execute("SELECT document FROM authorization WHERE name = ?", (name,)).fetchone()
    time = str(payload["statement"].get("time", ""))
    if row is None or not _signed(database, payload, expected_approval(json.loads(row[0]), approver, time)):
        return
    added = database.execute(
        "INSERT OR IGNORE INTO approval VALUES (?, ?, ?, ?, ?, ?)",
        (name, approver, index, payload["time"], _dumps(payload["statement"]), payload["signature"]),
    )
    if added.rowcount:
        database.execute(
            "UPDATE authorization SET status = ?, generation = generation + 1 "
            "WHERE name = ? AND status = 'AWAITING_APPROVAL'",
            ("APPROVED" if payload["enough"] else "AWAITING_APPROVAL", name),
        )


def _authorization_ended(status: str) -> Callable[[sqlite3.Connection, int, Payload], None]:
    def work(database: sqlite3.Connection, _index: int, payload: Payload) -> None:
        name = payload["authorization"]
        if not _is_somebody(database, payload["actor"], name.partition("/authorizations/")[0]):  # 4
            return
        database.execute(
            "UPDATE authorization SET status = ?, invalid_reason = ?, termination_time = ?, "
            "generation = generation + 1 WHERE name = ? AND status IN ('AWAITING_APPROVAL', 'APPROVED')",
            (status, _reason(payload), payload["time"], name),
        )

    return work


def _is_somebody(database: sqlite3.Connection, actor: str, agency: str) -> bool:
    """An enrolled person, or an officer of this agency in force."""
    who, is_officer, _ = actor.partition("/officers/")
    known = member(database, who)
    if known is None or known[0] != "ACTIVE" or known[1] is None:
        return False
    if not is_officer:
        return "public_key" in known[1]
    return who == agency and any(one["name"] == actor for one in known[1].get("officers", ()))


def _intent(database: sqlite3.Connection, index: int, payload: Payload) -> None:
    """All the hits that it may have count as used until its outcome says how many it had."""
    document = payload["lookup"]
    if not all(document[name].startswith(f"{document['agency']}/") for name in ("name", "authorization")):  # 5
        return
    database.execute(
        "INSERT OR IGNORE INTO lookup (name, agency, authorization, ledger_index, requester, request_id, fingerprint, "
        "document, validate_only, state, hits, create_time) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'AWAITING_DISCLOSURE', ?, ?)",
        (document["name"], document["agency"], document["authorization"], index, payload["actor"],
         payload["request_id"], payload["fingerprint"], _dumps(document), int(payload["validate_only"]),
         0 if payload["validate_only"] else document["max_records"], payload["time"]),
    )  # fmt: skip


def _segment(database: sqlite3.Connection, index: int, payload: Payload) -> None:
    database.execute(
        "INSERT OR IGNORE INTO segment VALUES (?, ?, ?, ?, ?, ?)",
        (payload["lookup"], payload["segment_number"], payload["first_record_number"], payload["record_count"],
         payload["root"], index),
    )  # fmt: skip


def _outcome(database: sqlite3.Connection, index: int, payload: Payload) -> None:
    """Each intent has one outcome; a second one changes nothing."""
    outcome = payload["outcome"]
    state = {"DISCLOSED": "DISCLOSED", "VALIDATED": "DISCLOSURE_NOT_AVAILABLE"}.get(outcome, "ERROR")
    database.execute(
        "UPDATE lookup SET state = iif(state = 'AWAITING_DISCLOSURE', ?, state), status_reason = ?, record_count = ?, "
        "hits = ?, truncated = ?, end_time = ?, outcome_index = ? WHERE name = ? AND outcome_index = 0",
        (state, payload["status_reason"], payload["record_count"], payload["hits"], int(payload["truncated"]),
         payload["time"], index, payload["lookup"]),
    )  # fmt: skip


def _cancelled(database: sqlite3.Connection, _index: int, payload: Payload) -> None:
    database.execute(
        "UPDATE lookup SET state = 'CANCELLED', end_time = coalesce(end_time, ?) WHERE name = ?",
        (payload["time"], payload["lookup"]),
    )


def _service_started(database: sqlite3.Connection, _index: int, payload: Payload) -> None:
    """The newest query service of this ledger is the one that answers; entries of old versions name no instance."""
    if payload["service"] == "query":
        database.execute("INSERT OR REPLACE INTO service VALUES (1, ?)", (str(payload.get("instance", "")),))


def _token(database: sqlite3.Connection, payload: Payload) -> None:
    time = microseconds_of(payload["time"])
    database.execute("INSERT OR IGNORE INTO token VALUES (?, ?, ?)", (payload["actor"], payload["token_id"], time))
    database.execute("DELETE FROM token WHERE time < ?", (time - TOKEN_KEPT,))


def _reason(payload: Payload) -> str:
    """Why something ended; an end without a reason is an end."""
    found = payload.get("reason")
    return found if isinstance(found, str) else ""


def _dumps(value: Any) -> str:
    return canonical.encode(value).decode()


def _loads(text: str | None) -> Payload | None:
    return None if text is None else json.loads(text)


_APPLY: Final[dict[str, Callable[[sqlite3.Connection, int, Payload], None]]] = {
    "GENESIS": _genesis,
    "AGENCY_ENTERED": _entered("agency"),
    "AGENCY_APPROVED": _approved,
    "AGENCY_REVOKED": _revoked,
    "PERSON_ENTERED": _entered("person"),
    "PERSON_APPROVED": _approved,
    "PERSON_REVOKED": _revoked,
    "AUTHORIZATION_ENTERED": _authorization_entered,
    "AUTHORIZATION_APPROVED": _authorization_approved,
    "AUTHORIZATION_REJECTED": _authorization_ended("REJECTED"),
    "AUTHORIZATION_REVOKED": _authorization_ended("CANCELLED"),
    "LOOKUP_INTENT": _intent,
    "LOOKUP_SEGMENT": _segment,
    "LOOKUP_OUTCOME": _outcome,
    "LOOKUP_CANCELLED": _cancelled,
    "SERVICE_STARTED": _service_started,
}

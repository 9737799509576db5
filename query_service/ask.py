"""THE WAY of one question, from the request to the answer. Everything that must hold, in this order:

 1. The authorization is the caller's agency's; another's looks like none.
 2. The caller may ask under it.
 3. Its two signatures hold now: people, keys, roles, document, policy (approvals.verify).
 4. The request is well-formed.
 5. The question lies inside the scope: selector and window.
 6. The same request_id gives the same lookup, and nothing is run twice.
 7. Something of the window is still kept, and hits are left.
 8. LOOKUP_INTENT is committed. Nothing was read from the store before.
 9. The store is read, under the query id of the intent, in what is left of the deadline; hops are followed (hops).
10. Records go into segments of at most 10,000: sealed on disk, then LOOKUP_SEGMENT committed with the root.
11. LOOKUP_OUTCOME is committed over the roots. Only then the answer leaves.
Whatever ends it in between closes it with OUTCOME = ABORTED and the reason; if the ledger is away, or the process is
killed, the janitor does that later. The answer has no records: pages and streams read the segments.
"""

import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Final

from liucun.lookup.v1 import lookup_pb2

from infra.platform.steps import reached
from infra.platform.times import microseconds_of
from infra.proof import requests
from query_service import approvals, hops, names, policy, wire
from query_service.desk import Desk, request_id
from query_service.errors import AuditUnavailableError, DeskError
from query_service.interceptors._wrap import Call
from query_service.records import document_of_row, message_of
from query_service.segments import RECORDS_MAX
from query_service.selectors import Selector
from query_service.state import Authorization, Lookup
from query_service.store import Question
from query_service.wire import name_of
from schemas.field_groups import fields_of

EXISTENCE_HITS: Final = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that may be asked: who, under what, and what exactly will be read."""

    authorization: Authorization
    document: dict[str, Any]  # goes into the intent
    selector: Selector
    fingerprint: str
    request_id: str
    validate_only: bool

    @property
    def name(self) -> str:
        """The lookup's."""
        name: str = self.document["name"]
        return name


def ask(desk: Desk, call: Call, request: lookup_pb2.CreateLookupRequest) -> Lookup | None:
    """The lookup, ended; None when it was only validated and is allowed. DeskError, its entry made."""
    one = _authorised(desk, call, request)
    selector, window = _well_formed(request)
    policy.in_scope(one.document, selector, window)
    with ExitStack() as running:
        with desk.of_agency(one.agency):
            asked = _asked(desk, call, request, desk.authorization(one.name), selector, window)
            known = desk.state.lookup_of_request(one.agency, asked.request_id)
            if known is not None:
                if known.fingerprint != asked.fingerprint:
                    raise DeskError("REQUEST_ID_REUSED")
                return None if known.validate_only else known
            _enough_left(asked)
            # Before the intent: the janitor closes what has an intent and does not run.
            told = running.enter_context(desk.running.one(asked.name, query_id(asked.name)))
            _intend(desk, call, asked)
        call.recorded = True
        reached("desk.intent")
        return _carry_out(desk, call, asked, told)


def close_open(desk: Desk) -> None:
    """The janitor: intents that no process works on any more get their outcome. AuditUnavailableError."""
    for lookup in desk.state.open_lookups():
        if lookup.name not in desk.running:
            with desk.of_agency(lookup.agency):
                _abort(desk, "services/query", lookup.name, "ABORTED")


def query_id(lookup: str) -> str:
    """The id that the store's query of a lookup has, so that its log can be matched with the ledger."""
    return f"liucun-{lookup.rpartition('/')[2]}"


def _authorised(desk: Desk, call: Call, request: lookup_pb2.CreateLookupRequest) -> Authorization:
    """1 to 3."""
    name = request.lookup.authorization
    agency = names.owner("authorization", name)
    policy.may_see(call.caller, agency)
    one = desk.authorization(name)
    if request.parent != agency:
        raise DeskError("NOT_FOUND")
    call.facts["authorization"] = name
    policy.may_ask(call.caller, one.document)
    approvals.verify(desk.state, one, desk.clock.now())
    return one


def _well_formed(request: lookup_pb2.CreateLookupRequest) -> tuple[Selector, tuple[int, int]]:
    """4."""
    lookup = request.lookup
    if lookup.max_records < 0:
        raise wire.invalid("lookup.max_records", "is negative")
    request_id(request.request_id)
    return wire.selector(lookup.selector, "lookup.selector"), wire.window(lookup.window, "lookup.window")


def _asked(
    desk: Desk,
    call: Call,
    request: lookup_pb2.CreateLookupRequest,
    one: Authorization,
    selector: Selector,
    window: tuple[int, int],
) -> Asked:
    """What will be read, as far as the request says it; bounded by what is left and what we allow."""
    lookup = request.lookup
    disclosure = name_of(
        lookup_pb2.Disclosure,
        lookup.disclosure or lookup_pb2.DISCLOSURE_RECORDS,
        "DISCLOSURE_",
        "lookup.disclosure",
    )
    wanted = {
        "agency": one.agency,
        "authorization": one.name,
        "selector": selector.document(),
        "window": wire.window_document(*window),
        "max_records": lookup.max_records,
        "disclosure": disclosure,
        "include_non_final": lookup.include_non_final,
    }
    fingerprint = requests.request_fingerprint(
        {**wanted, "requester": call.caller.actor, "validate_only": request.validate_only}
    )
    left = one.document["scope"]["max_hits"] - one.hits_used
    most = min(left, lookup.max_records or left, desk.settings.server.lookup_records_max)
    document = {
        **wanted,
        "name": f"{one.agency}/lookups/{desk.new_id()}",
        "max_records": EXISTENCE_HITS if disclosure == "EXISTENCE" else most,
        "field_groups": one.document["scope"]["field_groups"],
        "answered_window": wire.window_document(max(window[0], desk.store.cut_off() + 1), window[1]),
    }
    return Asked(one, document, selector, fingerprint, request_id(request.request_id), request.validate_only)


def _enough_left(asked: Asked) -> None:
    """7."""
    one = asked.authorization
    if one.hits_used >= one.document["scope"]["max_hits"] or asked.document["max_records"] <= 0:
        raise DeskError("HITS_EXHAUSTED")
    answered = asked.document["answered_window"]
    if answered["start_time"] >= answered["end_time"]:
        raise DeskError("OUTSIDE_RETENTION", oldest=answered["start_time"])


def _intend(desk: Desk, call: Call, asked: Asked) -> None:
    """8."""
    one = asked.authorization
    desk.audit.append(
        "LOOKUP_INTENT",
        call.caller.actor,
        lookup=asked.document,
        request_id=asked.request_id,
        fingerprint=asked.fingerprint,
        validate_only=asked.validate_only,
        token_id=call.caller.token_id,
        certificate=call.caller.peer.thumbprint,
        request_hash=one.request_hash,
        instrument_sha256=one.document["document"]["sha256"],
        policy_version=policy.matrix().version,
        approvals=[approval.ledger_index for approval in one.approvals],
        query_id=query_id(asked.name),
    )


def _carry_out(desk: Desk, call: Call, asked: Asked, told: threading.Event) -> Lookup | None:
    """9 to 11, or the outcome that says why not."""
    actor, name = call.caller.actor, asked.name
    if asked.validate_only:
        _outcome(desk, actor, name, "VALIDATED")
        return None
    try:
        found, truncated, roots = _read_watched(desk, call, asked, told)
        existence = asked.document["disclosure"] == "EXISTENCE"
        hits = EXISTENCE_HITS if existence else found
        with desk.of_agency(asked.authorization.agency):  # so that a cancel comes before this, or behind the outcome
            if told.is_set():
                raise DeskError("LOOKUP_CANCELLED")
            _outcome(desk, actor, name, "DISCLOSED", record_count=found, hits=hits, truncated=truncated, roots=roots)
    except AuditUnavailableError:
        raise
    except Exception as error:
        _abort(desk, actor, name, error.reason if isinstance(error, DeskError) else "FAULT")
        raise
    reached("desk.outcome")
    return desk.lookup(name)


def _read_watched(desk: Desk, call: Call, asked: Asked, told: threading.Event) -> tuple[int, bool, list[str]]:
    """Read, and kill the query when the caller goes away meanwhile."""
    ended = threading.Event()

    def gone() -> None:
        """grpc calls this when the call ends, in whatever way."""
        if not ended.is_set():
            told.set()
            threading.Thread(target=desk.store.kill, args=(query_id(asked.name),), daemon=True).start()

    if not call.context.add_callback(gone):
        raise DeskError("LOOKUP_CANCELLED")
    try:
        return _read(desk, call, asked, told)
    finally:
        ended.set()


def _read(desk: Desk, call: Call, asked: Asked, told: threading.Event) -> tuple[int, bool, list[str]]:
    """9 and 10: (records, whether there were more, roots)."""
    document = asked.document
    with_records = document["disclosure"] == "RECORDS"
    fields = fields_of(document["field_groups"]) if with_records else ("record_id",)
    most: int = document["max_records"]
    begin, end = (microseconds_of(document["answered_window"][name]) for name in ("start_time", "end_time"))
    question = Question(asked.selector, begin, end, fields, most + 1, document["include_non_final"])
    count, truncated, roots = 0, False, list[str]()
    waiting: list[tuple[int, dict[str, Any]]] = []

    def go_on() -> float:
        if told.is_set():
            raise DeskError("LOOKUP_CANCELLED")
        left = call.seconds_left()
        if left <= 0:
            raise DeskError("DEADLINE_EXCEEDED")
        return left

    with closing(hops.found(desk.store, question, query_id(asked.name), go_on)) as rows:
        for hop, row in rows:
            go_on()
            if count == most:
                truncated = document["disclosure"] != "EXISTENCE"
                break
            count += 1
            if with_records:
                waiting.append((hop, document_of_row(fields, row)))
                if len(waiting) == RECORDS_MAX:
                    roots.append(_seal(desk, call, asked.name, len(roots), waiting))
                    waiting = []
    reached("desk.read")
    if waiting:
        go_on()
        roots.append(_seal(desk, call, asked.name, len(roots), waiting))
    return count, truncated, roots


def _seal(desk: Desk, call: Call, lookup: str, number: int, found: Sequence[tuple[int, dict[str, Any]]]) -> str:
    """10: one segment; its root."""
    first = number * RECORDS_MAX + 1
    root = requests.segment_root(requests.record_hash(document) for _, document in found)
    messages = [message_of(first + at, document, hop) for at, (hop, document) in enumerate(found)]
    desk.segments.write(lookup, number, root, messages)
    reached("desk.sealed")
    desk.audit.append(
        "LOOKUP_SEGMENT",
        call.caller.actor,
        lookup=lookup,
        segment_number=number,
        first_record_number=first,
        record_count=len(found),
        root=root,
    )
    reached("desk.segment")
    return root


def _abort(desk: Desk, actor: str, lookup: str, reason: str) -> None:
    """Close it, once. What its segments hold counts as found, and is not kept."""
    known = desk.state.intent(lookup)
    if known is None or known.outcome_index:
        return
    hits = sum(segment.record_count for segment in known.segments)
    _outcome(desk, actor, lookup, "ABORTED", status_reason=reason, hits=hits)
    reached("desk.aborted")
    desk.segments.destroy(lookup)


def _outcome(
    desk: Desk,
    actor: str,
    lookup: str,
    outcome: str,
    *,
    status_reason: str = "",
    record_count: int = 0,
    hits: int = 0,
    truncated: bool = False,
    roots: Sequence[str] = (),
) -> None:
    desk.audit.append(
        "LOOKUP_OUTCOME",
        actor,
        lookup=lookup,
        outcome=outcome,
        status_reason=status_reason,
        record_count=record_count,
        hits=hits,
        truncated=truncated,
        segment_count=len(roots),
        root=requests.outcome_root(roots),
    )

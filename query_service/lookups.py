"""LookupService: thin. The way of a question is in `ask`, that of its records in `answers`."""

from collections.abc import Iterator
from typing import Final

from liucun.lookup.v1 import lookup_pb2, lookup_pb2_grpc

from infra.platform.steps import reached
from query_service import answers, bounded, names, policy, wire
from query_service.ask import ask
from query_service.desk import Desk
from query_service.errors import DeskError
from query_service.interceptors._wrap import Call
from query_service.state import Lookup
from query_service.streams import Streams

_BEFORE_ALL: Final = 2**62


class LookupService(lookup_pb2_grpc.LookupServiceServicer):
    """A handler gets a `Call` where grpc would give a context."""

    def __init__(self, desk: Desk, streams: Streams) -> None:
        self._desk = desk
        self._streams = streams

    def CreateLookup(  # noqa: N802  (the interface's name)
        self, request: lookup_pb2.CreateLookupRequest, call: Call
    ) -> lookup_pb2.CreateLookupResponse:
        """Ask."""
        lookup = ask(self._desk, call, request)
        if lookup is None:
            return lookup_pb2.CreateLookupResponse(
                lookup=lookup_pb2.Lookup(authorization=request.lookup.authorization, requester=call.caller.actor)
            )
        return lookup_pb2.CreateLookupResponse(lookup=self._message(lookup))

    def GetLookup(self, request: lookup_pb2.GetLookupRequest, call: Call) -> lookup_pb2.GetLookupResponse:  # noqa: N802
        """As it stands."""
        return lookup_pb2.GetLookupResponse(lookup=self._message(self._seen(call, request.name)))

    def ListLookups(self, request: lookup_pb2.ListLookupsRequest, call: Call) -> lookup_pb2.ListLookupsResponse:  # noqa: N802
        """Newest first."""
        if not names.is_name("agency", request.parent):
            raise DeskError("NOT_FOUND")
        policy.may_see(call.caller, request.parent)
        size = self._desk.page_size(request.page_size)
        arguments = ("lookups", request.parent, size)
        before = self._desk.pages.position(request.page_token, *arguments) or _BEFORE_ALL
        found = self._desk.state.lookups(request.parent, before, size + 1)
        shown = bounded.messages((self._message(one) for one in found[:size]), self._desk.settings.server)
        more = len(found) > len(shown)
        return lookup_pb2.ListLookupsResponse(
            lookups=shown,
            next_page_token=self._desk.pages.token(found[len(shown) - 1].intent_index, *arguments) if more else "",
        )

    def CancelLookup(self, request: lookup_pb2.CancelLookupRequest, call: Call) -> lookup_pb2.CancelLookupResponse:  # noqa: N802
        """In the ledger first; then a running query is killed, and segments are destroyed.

        A kill in between, and one who still seals, leave nothing behind: the watch looks after folders (watch.py).
        """
        desk = self._desk
        lookup = self._seen(call, request.name)
        with desk.of_agency(lookup.agency):
            if desk.lookup(lookup.name).state not in ("AWAITING_DISCLOSURE", "DISCLOSED"):
                raise DeskError("STATE_CONFLICT")
            desk.audit.append("LOOKUP_CANCELLED", call.caller.actor, lookup=lookup.name, token_id=call.caller.token_id)
            query = desk.running.stop(lookup.name)  # under the lock: ask looks at it there before the outcome
        reached("desk.cancelled")
        if query is not None:
            desk.store.kill(query)
        desk.segments.destroy(lookup.name)
        return lookup_pb2.CancelLookupResponse(lookup=self._message(desk.lookup(lookup.name)))

    def ListRecords(self, request: lookup_pb2.ListRecordsRequest, call: Call) -> lookup_pb2.ListRecordsResponse:  # noqa: N802
        """One page."""
        return answers.page(self._desk, call, request)

    def StreamRecords(  # noqa: N802
        self, request: lookup_pb2.StreamRecordsRequest, call: Call
    ) -> Iterator[lookup_pb2.StreamRecordsResponse]:
        """All of it from a cursor on."""
        return answers.stream(self._desk, self._streams, call, request)

    def _seen(self, call: Call, name: str) -> Lookup:
        policy.may_see(call.caller, names.owner("lookup", name))
        call.facts["lookup"] = name
        return self._desk.lookup(name)

    def _message(self, lookup: Lookup) -> lookup_pb2.Lookup:
        document = lookup.document
        state, expires = lookup.state, answers.expire_time(self._desk, lookup)
        if state == "DISCLOSED" and self._desk.clock.now() >= expires:
            state = "EXPIRED"
        return lookup_pb2.Lookup(
            name=lookup.name,
            authorization=lookup.authorization,
            selector=wire.selector_message(document["selector"]),
            window=wire.window_message(document["window"]),
            max_records=document["max_records"],
            disclosure=f"DISCLOSURE_{document['disclosure']}",
            include_non_final=document["include_non_final"],
            state=f"STATE_{state}",
            status_reason=lookup.status_reason,
            record_count=lookup.record_count,
            truncated=lookup.truncated,
            answered_window=wire.window_message(document["answered_window"]),
            field_groups=wire.field_group_values(document["field_groups"]),
            segments=[
                lookup_pb2.Segment(
                    segment_number=one.segment_number,
                    first_record_number=one.first_record_number,
                    record_count=one.record_count,
                    root=one.root,
                    ledger_index=one.ledger_index,
                )
                for one in lookup.segments
            ],
            requester=lookup.requester,
            create_time=wire.timestamp(lookup.create_time),
            end_time=wire.timestamp(lookup.end_time),
            expire_time=wire.timestamp(expires),
            intent_ledger_index=lookup.intent_index,
            outcome_ledger_index=lookup.outcome_index,
        )

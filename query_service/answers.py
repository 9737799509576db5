"""Records of a lookup, as pages and as a stream. Both read segments only, and say so in the ledger before they answer.

1. The lookup is the caller's agency's; another's looks like none.
2. The caller may ask under its authorization, which stands as for asking; only its timespan may be over (approvals).
3. It is disclosed, not cancelled, and its segments are still kept.
4. The token or cursor is one for this lookup and these arguments.
5. RECORDS_READ is committed. Only then the first byte leaves.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from liucun.lookup.v1 import lookup_pb2

from infra.platform.clock import DAY
from infra.platform.steps import reached
from infra.platform.times import microseconds_of
from query_service import approvals, bounded, names, policy
from query_service.desk import Desk
from query_service.errors import DeskError
from query_service.interceptors._wrap import Call
from query_service.segments import Part
from query_service.state import Lookup
from query_service.streams import Streams

PROGRESS_EVERY_BATCHES: Final = 16


def page(desk: Desk, call: Call, request: lookup_pb2.ListRecordsRequest) -> lookup_pb2.ListRecordsResponse:
    """One page."""
    lookup = _readable(desk, call, request.parent)
    size = desk.page_size(request.page_size)
    behind = desk.pages.position(request.page_token, "records", lookup.name, size)
    bytes_max = desk.settings.server.message_bytes_max // 2
    parts = bounded.fitting(islice(_parts(desk, lookup, behind), size), lambda part: len(part.data), bytes_max)
    if not parts and behind < _records(lookup):
        raise DeskError("FAULT")  # else the same token would be given without end
    _say(desk, call, lookup, "PAGE", behind, len(parts))
    reached("desk.page")
    last = behind + len(parts)
    more = last < _records(lookup)
    return lookup_pb2.ListRecordsResponse(
        records=[part.message() for part in parts],
        next_page_token=desk.pages.token(last, "records", lookup.name, size) if more else "",
    )


def stream(
    desk: Desk, streams: Streams, call: Call, request: lookup_pb2.StreamRecordsRequest
) -> Iterator[lookup_pb2.StreamRecordsResponse]:
    """Batches, each with the cursor behind it; progress now and then; `done` at the end."""
    lookup = _readable(desk, call, request.parent)
    behind = desk.pages.position(request.cursor, "stream", lookup.name)
    total = _records(lookup)
    with streams.one(call, lookup.name, lookup.authorization) as one:
        _say(desk, call, lookup, "STREAM", behind, max(0, total - behind))
        reached("desk.stream")
        for number, batch in enumerate(_batches(desk, _parts(desk, lookup, behind)), 1):
            one.check()
            last = batch[-1].number
            yield lookup_pb2.StreamRecordsResponse(
                records=lookup_pb2.RecordBatch(
                    records=[part.message() for part in batch], cursor=desk.pages.token(last, "stream", lookup.name)
                )
            )
            if number % PROGRESS_EVERY_BATCHES == 0:
                yield lookup_pb2.StreamRecordsResponse(
                    progress=lookup_pb2.StreamProgress(last_record_number=last, record_count=total)
                )
        one.check()
        yield lookup_pb2.StreamRecordsResponse(done=lookup_pb2.StreamDone(record_count=total))


def expire_time(desk: Desk, lookup: Lookup) -> int:
    """Until when its records can be read (microseconds)."""
    return microseconds_of(lookup.end_time or lookup.create_time) + desk.settings.server.segment_days * DAY


def _readable(desk: Desk, call: Call, name: str) -> Lookup:
    """1 to 3."""
    policy.may_see(call.caller, names.owner("lookup", name))
    lookup = desk.lookup(name)
    call.facts["lookup"] = name
    authorization = desk.authorization(lookup.authorization)
    policy.may_ask(call.caller, authorization.document)
    approvals.stands(desk.state, authorization, desk.clock.now())
    if lookup.state == "CANCELLED":
        raise DeskError("LOOKUP_CANCELLED")
    if lookup.state != "DISCLOSED":
        raise DeskError("STATE_CONFLICT")
    if desk.clock.now() >= expire_time(desk, lookup) or (lookup.segments and not desk.segments.has(name)):
        raise DeskError("LOOKUP_EXPIRED")
    return lookup


def _records(lookup: Lookup) -> int:
    """How many records there are to read; counts and existence checks have none."""
    return sum(segment.record_count for segment in lookup.segments)


def _say(desk: Desk, call: Call, lookup: Lookup, how: str, behind: int, count: int) -> None:
    """5."""
    desk.audit.append(
        "RECORDS_READ",
        call.caller.actor,
        lookup=lookup.name,
        how=how,
        first_record_number=behind + 1,
        record_count=count,
        certificate=call.caller.peer.thumbprint,
    )
    call.recorded = True


def _parts(desk: Desk, lookup: Lookup, behind: int) -> Iterator[Part]:
    """Its records; a lookup that is cancelled meanwhile says so, and not that its segments have gone."""
    try:
        yield from desk.segments.read(lookup, behind)
    except DeskError:
        if desk.lookup(lookup.name).state == "CANCELLED":
            raise DeskError("LOOKUP_CANCELLED") from None
        raise


def _batches(desk: Desk, parts: Iterator[Part]) -> Iterator[list[Part]]:
    server = desk.settings.server
    batch, size = list[Part](), 0
    for part in parts:
        if batch and (
            len(batch) == server.stream_batch_records_max or size + len(part.data) > server.stream_batch_bytes_max
        ):
            yield batch
            batch, size = [], 0
        batch.append(part)
        size += len(part.data)
    if batch:
        yield batch

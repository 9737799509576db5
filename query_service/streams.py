"""Open streams, looked at every second: might it be opened now as it was, and does somebody read?

While the ledger cannot be learned from, nobody knows who was revoked: then they end too, with AUDIT_UNAVAILABLE. That a
ledger hangs is found out within two seconds (audit.LEARN_SECONDS_MAX), so a stream ends at most three after it stopped.

A stream that moves ends itself with the reason at its next batch. One that is stuck in a send, because nobody reads it,
is cancelled by the watch a second later.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from infra.platform import metrics
from infra.platform.clock import Clock
from query_service import approvals, policy
from query_service.authorities import Authorities
from query_service.errors import AuditUnavailableError, DeskError
from query_service.interceptors._wrap import Call
from query_service.state import State

LOOK_SECONDS: Final = 1.0


class Stream:
    """One open stream."""

    def __init__(self, call: Call, lookup: str, authorization: str) -> None:
        self.call = call
        self.lookup = lookup
        self.authorization = authorization
        self.moved_at = time.monotonic()
        self.refusal: DeskError | None = None

    def check(self) -> None:
        """Before each batch: the refusal that the watch found."""
        self.moved_at = time.monotonic()
        if self.refusal is not None:
            raise self.refusal


class Streams:
    """All of them."""

    def __init__(self, state: State, clock: Clock, authorities: Authorities, idle_seconds_max: float) -> None:
        self._state = state
        self._authorities = authorities
        self._clock = clock
        self._idle_seconds_max = idle_seconds_max
        self._lock = threading.Lock()
        self._open: set[Stream] = set()

    @contextmanager
    def one(self, call: Call, lookup: str, authorization: str) -> Iterator[Stream]:
        """While it is open."""
        stream = Stream(call, lookup, authorization)
        with self._lock:
            self._open.add(stream)
        metrics.DESK_STREAMS.inc()
        try:
            yield stream
        finally:
            metrics.DESK_STREAMS.dec()
            with self._lock:
                self._open.discard(stream)

    def look(self, known: bool) -> None:
        """Every second; `known`: the ledger was learned from just now."""
        with self._lock:
            streams = list(self._open)
        for stream in streams:
            if stream.refusal is not None:
                stream.call.context.cancel()
            else:
                try:
                    reason = self._refusal(stream) if known else "AUDIT_UNAVAILABLE"
                except AuditUnavailableError as error:  # it is not known who was revoked
                    reason = error.reason
                if reason is not None:
                    stream.refusal = DeskError(reason)

    def _refusal(self, stream: Stream) -> str | None:
        caller = stream.call.caller
        in_force = caller.peer.begin <= self._clock.now() < caller.peer.end
        if not in_force or not self._authorities.issued(caller.peer):
            return "CERTIFICATE_INVALID"
        known = self._state.enrolled(caller.actor)
        if known is None or known.public_key != caller.public_key:
            return "NOT_ENROLLED"
        authorization = self._state.authorization(stream.authorization)
        if authorization is None:
            return "AUTHORIZATION_REVOKED"
        try:
            policy.may_ask(replace(caller, roles=known.roles), authorization.document)
            approvals.stands(self._state, authorization, self._clock.now())
        except DeskError as error:
            return error.reason
        lookup = self._state.lookup(stream.lookup)
        if lookup is None or lookup.state != "DISCLOSED":
            return "LOOKUP_CANCELLED"
        if time.monotonic() - stream.moved_at > self._idle_seconds_max:
            return "STREAM_IDLE"
        return None

"""Open streams, looked at every second: is the caller still who they were, and does somebody read?

A stream that moves ends itself with the reason at its next batch. One that is stuck in a send, because nobody reads it,
is cancelled by the watch a second later.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from infra.platform import metrics
from infra.platform.clock import Clock
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

    def __init__(self, state: State, clock: Clock, idle_seconds_max: float) -> None:
        self._state = state
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

    def look(self) -> None:
        """Every second."""
        with self._lock:
            streams = list(self._open)
        for stream in streams:
            if stream.refusal is not None:
                stream.call.context.cancel()
            else:
                try:
                    reason = self._refusal(stream)
                except AuditUnavailableError as error:  # it is not known who was revoked
                    reason = error.reason
                if reason is not None:
                    stream.refusal = DeskError(reason)

    def _refusal(self, stream: Stream) -> str | None:
        caller = stream.call.caller
        if not caller.peer.begin <= self._clock.now() < caller.peer.end:
            return "CERTIFICATE_INVALID"
        if self._state.enrolled(caller.actor) is None:
            return "NOT_ENROLLED"
        authorization = self._state.authorization(stream.authorization)
        if authorization is None or authorization.status != "APPROVED":
            return "AUTHORIZATION_REVOKED"
        lookup = self._state.lookup(stream.lookup)
        if lookup is None or lookup.state != "DISCLOSED":
            return "LOOKUP_CANCELLED"
        if time.monotonic() - stream.moved_at > self._idle_seconds_max:
            return "STREAM_IDLE"
        return None

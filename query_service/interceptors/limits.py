"""How much of one caller at once: calls a second (a token bucket), running calls, open streams.

By agency or by provider person. A running call holds a worker from here on, also while its request is waited for.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from infra.platform.settings import Server
from query_service.errors import DeskError
from query_service.interceptors._wrap import Call

_BUCKETS_MAX: Final = 10_000  # callers are enrolled, so there are never so many; a bound all the same


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float


class Limits:
    """RATE_LIMITED."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}
        self._calls: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """A call counts while it runs, a stream while it is open."""
        who = call.caller.agency or call.caller.actor
        self._take(who)
        running = self._streams if call.streaming else self._calls
        with self._lock:
            self._room(who, call.streaming)
            running[who] += 1
        try:
            yield
        finally:
            with self._lock:
                running[who] -= 1
                if not running[who]:
                    del running[who]

    def _take(self, who: str) -> None:
        now = time.monotonic()
        with self._lock:
            if len(self._buckets) >= _BUCKETS_MAX:
                self._buckets.clear()
            bucket = self._buckets.setdefault(who, _Bucket(float(self._server.calls_burst_max), now))
            gained = (now - bucket.at) * self._server.calls_per_second_max
            bucket.level = min(float(self._server.calls_burst_max), bucket.level + gained)
            bucket.at = now
            if bucket.level < 1:
                raise DeskError("RATE_LIMITED")
            bucket.level -= 1

    def _room(self, who: str, streaming: bool) -> None:
        server = self._server
        if not streaming:
            if self._calls[who] >= server.calls_running_max:
                raise DeskError("RATE_LIMITED", limit="calls")
            return
        full = sum(self._streams.values()) >= server.workers // 2  # the other half answers calls
        if full or self._streams[who] >= server.streams_max:
            raise DeskError("RATE_LIMITED", limit="streams")

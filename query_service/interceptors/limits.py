"""How much of one caller at once: calls a second (a token bucket), open streams. By agency or by provider person."""

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
        self._streams: Counter[str] = Counter()

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """A stream counts while it is open."""
        who = call.caller.agency or call.caller.actor
        self._take(who)
        if not call.streaming:
            yield
            return
        self._open(who)
        try:
            yield
        finally:
            with self._lock:
                self._streams[who] -= 1

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

    def _open(self, who: str) -> None:
        with self._lock:
            full = sum(self._streams.values()) >= self._server.workers // 2  # the other half answers calls
            if full or self._streams[who] >= self._server.streams_max:
                raise DeskError("RATE_LIMITED", limit="streams")
            self._streams[who] += 1

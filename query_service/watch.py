"""What happens every second beside the calls: revocations, streams, open intents, counted refusals, ends, health."""

import contextlib
import importlib.metadata
import threading
import time
from collections.abc import Callable
from typing import Final

from infra.platform import logging
from infra.platform.clock import DAY
from infra.platform.times import text_of
from query_service.ask import close_open
from query_service.desk import Desk
from query_service.errors import AuditUnavailableError
from query_service.interceptors.refusals import ACTOR, Refusals
from query_service.streams import LOOK_SECONDS, Streams

HEALTH_SECONDS: Final = 2.0
ENDS_SECONDS: Final = 60.0
_LOG = logging.get("desk")


class Watch:
    """Runs in the main thread of the service."""

    def __init__(self, desk: Desk, streams: Streams, refusals: Refusals, say_health: Callable[[bool], None]) -> None:
        self._desk = desk
        self._streams = streams
        self._refusals = refusals
        self._say_health = say_health
        self._opened = False
        self._serving = False
        self._health_due = 0.0
        self._ends_due = 0.0
        say_health(False)

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        while not stop.is_set():
            self.look()
            stop.wait(LOOK_SECONDS)

    def look(self) -> None:
        """Once; what cannot be done now is done the next time."""
        ledger = self._with_ledger()
        self._streams.look()
        now = time.monotonic()
        if now >= self._health_due or not ledger:
            self._health_due = now + HEALTH_SECONDS
            self._health(ledger and self._desk.store.answers())
        if ledger and now >= self._ends_due:
            self._ends_due = now + ENDS_SECONDS
            with contextlib.suppress(AuditUnavailableError):  # which have ended, only the ledger says
                self._end_segments()

    def close(self) -> None:
        """At the end: what was counted is told, and the files are closed."""
        self._refusals.summary(at_end=True)
        self._desk.store.close()
        self._desk.state.close()

    def _with_ledger(self) -> bool:
        try:
            self._desk.audit.catch_up()
            close_open(self._desk)
            self._refusals.summary()
            if not self._opened:
                version = importlib.metadata.version("liucun")
                self._desk.audit.append("SERVICE_STARTED", ACTOR, service="query", version=version)
                self._opened = True
        except AuditUnavailableError:
            return False
        return True

    def _health(self, serving: bool) -> None:
        if serving != self._serving:
            _LOG.info("health", serving=serving)
        self._serving = serving
        self._say_health(serving)

    def _end_segments(self) -> None:
        """Records of lookups that are past their days: the keys first."""
        limit = self._desk.clock.now() - self._desk.settings.server.segment_days * DAY
        for name in self._desk.state.ended_lookups(text_of(limit)):
            if self._desk.segments.has(name):
                self._desk.segments.destroy(name)
                _LOG.info("segments destroyed")

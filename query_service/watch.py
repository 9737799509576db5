"""What happens every second beside the calls: revocations, streams, open intents, counted refusals, ends, health."""

import importlib.metadata
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from infra.platform import logging
from infra.platform.errors import SettingsError
from query_service.answers import expire_time
from query_service.ask import close_open
from query_service.authorizations import sweep
from query_service.desk import Desk
from query_service.errors import AuditUnavailableError
from query_service.health import Health
from query_service.interceptors.receive import Receive
from query_service.interceptors.refusals import ACTOR, Refusals
from query_service.probe import Probe
from query_service.streams import LOOK_SECONDS, Streams

ENDS_SECONDS: Final = 60.0
_LOG = logging.get("desk")


class Watch:
    """Runs in the main thread of the service."""

    def __init__(self, desk: Desk, streams: Streams, receive: Receive, refusals: Refusals, health: Health) -> None:
        self._desk = desk
        self._streams = streams
        self._receive = receive
        self._refusals = refusals
        self._health = health
        self._probe = Probe(desk.store)
        self._beside = ThreadPoolExecutor(1, "watch")
        self._work: Future[bool] | None = None
        self._ledger = False  # whether it took all that was to be appended the last time
        self._serving = False
        self._ends_due = 0.0

    def begin(self) -> None:
        """Before the first call: learn from the ledger, and claim it, if it is there."""
        self._ledger = self._with_ledger()

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        self._probe.start()
        while not stop.is_set():
            self.look()
            stop.wait(LOOK_SECONDS)

    def look(self) -> None:
        """Once; what cannot be done now is done the next time. SettingsError when another service has taken over.

        Nothing here waits long for anybody: who appends, or removes files, does so beside it, one at a time.
        """
        self._receive.look()
        known = self._known()
        self._streams.look(known)
        if self._work is None or self._work.done():
            if self._work is not None:
                self._ledger = self._work.result()
            self._work = self._beside.submit(self._with_ledger)
        self._say(known and self._ledger and self._probe.good())

    def close(self) -> None:
        """At the end: what was counted is told, and the files are closed."""
        self._probe.stop()
        self._beside.shutdown()
        self._refusals.summary(at_end=True)
        self._desk.store.close()
        self._desk.state.close()

    def _known(self) -> bool:
        """Whether all that is in the ledger is known here now, revocations first of all."""
        try:
            self._desk.audit.learn_soon()
        except AuditUnavailableError:
            return False
        if self._desk.audit.superseded:
            raise SettingsError(
                "Another query service has started on this ledger.", "One is enough: end this one or the other."
            )
        return True

    def _with_ledger(self) -> bool:
        """What takes the time that the ledger takes."""
        try:
            self._desk.audit.learn()
            if not self._desk.audit.claimed:
                self._desk.audit.claim(ACTOR, importlib.metadata.version("liucun"))
            close_open(self._desk)
            self._refusals.summary()
            now = time.monotonic()
            if now >= self._ends_due:
                self._ends_due = now + ENDS_SECONDS
                sweep(self._desk)
                self._end_segments()
        except AuditUnavailableError:
            return False
        return True

    def _say(self, serving: bool) -> None:
        if serving != self._serving:
            _LOG.info("health", serving=serving)
            self._serving = serving
            self._health.say(serving)

    def _end_segments(self) -> None:
        """Only records of disclosed lookups in their days, and of running ones, stay; of others the keys go first.

        So also what a kill, or one who sealed while another cancelled, has left behind.
        """
        desk = self._desk
        for name in desk.segments.lookups():
            if name in desk.running:  # asked before the state: who has ended has written there how
                continue
            known = desk.state.intent(name)
            awaits = known is not None and known.state == "AWAITING_DISCLOSURE"  # close_open ends it
            disclosed = known is not None and known.state == "DISCLOSED" and desk.clock.now() < expire_time(desk, known)
            if not awaits and not disclosed:
                desk.segments.destroy(name)
                _LOG.info("segments destroyed")

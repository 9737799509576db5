"""THE WAY of the desk. Everything that must hold before a byte of a record leaves; the numbers stand in the code below.

 1. The caller's certificate is of our authority and in force, and names one agency or person     (tls, identity)
 2. A token of somebody enrolled there, bound to it, short-lived, single-use for acts             (authenticate)
 3. It is not too much at once, has a deadline, and its request comes in time           (limits, deadline, receive)
 4. The kind of caller may make the call                                                         (authorise)
 5. The thing is theirs; the authorization's signatures hold; the question is inside its scope   (ask)
 6. The intent is committed in the ledger before the store is read                               (ask)
 7. Segments are committed before they leave, the outcome closes over them                       (ask)
 8. Every reading of records is committed before they leave                                      (answers)
 9. Every refusal is in the ledger: one by one, or counted                                       (refusals)
10. The ledger does not commit: nothing is answered                                              (audit)
11. What was revoked ends running streams within a second, and so does a ledger that is away    (watch, streams)
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc

from infra.platform.clock import Clock
from infra.platform.settings import Settings
from query_service import interface
from query_service.audit import Audit, Ledger
from query_service.authorities import Authorities
from query_service.credentials import files, listen, options
from query_service.desk import Desk
from query_service.health import Health
from query_service.interceptors import (
    authenticate,
    authorise,
    deadline,
    errors,
    limits,
    measure,
    receive,
    refusals,
    request_id,
)
from query_service.interceptors._wrap import Chain
from query_service.lock import Lock
from query_service.pages import Pages, page_key
from query_service.segments import Segments
from query_service.state import State
from query_service.store import Store
from query_service.streams import Streams
from query_service.vault import Vault
from query_service.watch import Watch

STOP_SECONDS: Final = 10.0  # how long running calls may go on after SIGTERM


class Service:
    """One query service."""

    def __init__(self, settings: Settings, clock: Clock, ledger: Ledger, store: Store | None = None) -> None:
        """Nothing is answered yet. SettingsError: no certificate, or another's folder. `store`: for measurements."""
        server, folder = settings.server, settings.server.state_dir
        self._lock = Lock(folder)
        state = State()
        audit = Audit(ledger, state)
        store, pages = store or Store(settings, clock), Pages(page_key(folder))
        desk = Desk(settings, clock, audit, state, store, Segments(folder), Vault(folder / "documents"), pages)
        authorities = Authorities(files(server)[-1])
        streams = Streams(state, clock, authorities, server.stream_idle_seconds_max)
        refused = refusals.Refusals(audit, server.refusals_per_minute_max)
        received = receive.Receive()
        self._health = Health()
        self._watch = Watch(desk, streams, received, refused, self._health)  # 11
        chain = Chain(
            [
                request_id.RequestId(),
                measure.Measure(),
                errors.Errors(),
                refused,  # 9, 10
                authenticate.Authenticate(audit, state, clock, authorities, server.trust_domain),  # 1, 2
                limits.Limits(server),  # 3
                deadline.Deadline(server.deadline_seconds_max),  # 3
                received,  # 3
                authorise.Authorise(),  # 4
            ],
            unknown=refused.count_unknown,
        )
        self._server = grpc.server(
            ThreadPoolExecutor(server.workers, "call"),
            interceptors=[chain],
            options=options(server),
            maximum_concurrent_rpcs=server.calls_max,
        )
        interface.add(self._server, desk, streams, self._health, reflection=server.reflection)  # 5 to 8
        listen(self._server, server)  # 1

    def run(self, stop: threading.Event) -> None:
        """Answer until told to stop; then running calls end or are ended, and what is open is closed.

        SettingsError when another service has started on this ledger: then they are ended at once.
        """
        seconds = None
        try:
            self._watch.begin()
            self._server.start()
            self._watch.run(stop)
            seconds = STOP_SECONDS
        finally:
            self._health.say(False)
            self._server.stop(seconds).wait()
            self._watch.close()
            self._lock.release()

"""THE WAY of the desk. Everything that must hold before a byte of a record leaves; the numbers stand in the code below.

 1. The caller's certificate is of our authority and in force, and names one agency or person     (tls, identity)
 2. A token of somebody enrolled there, bound to it, short-lived, single-use for acts             (authenticate)
 3. The kind of caller may make the call                                                         (authorise)
 4. It is not too much at once, and it has a deadline                                            (limits, deadline)
 5. The thing is theirs; the authorization's signatures hold; the question is inside its scope   (ask)
 6. The intent is committed in the ledger before the store is read                               (ask)
 7. Segments are committed before they leave, the outcome closes over them                       (ask)
 8. Every reading of records is committed before they leave                                      (answers)
 9. Every refusal is in the ledger: one by one, or counted                                       (refusals)
10. The ledger does not commit: nothing is answered                                              (audit)
11. What was revoked ends running streams within a second; open intents are closed               (watch)
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from liucun.audit.v1 import audit_pb2, audit_pb2_grpc
from liucun.authorization.v1 import authorization_pb2, authorization_pb2_grpc
from liucun.lookup.v1 import lookup_pb2, lookup_pb2_grpc
from liucun.registry.v1 import registry_pb2, registry_pb2_grpc

from infra.platform.clock import Clock
from infra.platform.settings import Settings
from query_service.audit import Audit, Ledger
from query_service.audit_service import AuditService
from query_service.authorizations import AuthorizationService
from query_service.credentials import listen, options
from query_service.desk import Desk
from query_service.interceptors import authenticate, authorise, deadline, errors, limits, measure, refusals, request_id
from query_service.interceptors._wrap import Chain
from query_service.lookups import LookupService
from query_service.pages import Pages, page_key
from query_service.registry import RegistryService
from query_service.segments import Segments
from query_service.state import State
from query_service.store import Store
from query_service.streams import Streams
from query_service.vault import Vault
from query_service.watch import Watch

SERVICES: Final = tuple(
    module.DESCRIPTOR.services_by_name[name]
    for module, name in (
        (lookup_pb2, "LookupService"),
        (authorization_pb2, "AuthorizationService"),
        (registry_pb2, "RegistryService"),
        (audit_pb2, "AuditService"),
    )
)
STOP_SECONDS: Final = 10.0  # how long running calls may go on after SIGTERM


class Service:
    """One query service."""

    def __init__(self, settings: Settings, clock: Clock, ledger: Ledger, store: Store | None = None) -> None:
        """Nothing listens yet. SettingsError when the certificate cannot be read. `store`: for measurements."""
        server, folder = settings.server, settings.server.state_dir
        state = State()
        audit = Audit(ledger, state)
        store, pages = store or Store(settings, clock), Pages(page_key(folder))
        desk = Desk(settings, clock, audit, state, store, Segments(folder), Vault(folder / "documents"), pages)
        streams = Streams(state, clock, server.stream_idle_seconds_max)
        refused = refusals.Refusals(audit, server.refusals_per_minute_max)
        self._health = health.HealthServicer()
        self._watch = Watch(desk, streams, refused, self._say_health)  # 11
        chain = Chain(
            [
                request_id.RequestId(),
                measure.Measure(),
                errors.Errors(),
                refused,  # 9, 10
                authenticate.Authenticate(audit, state, clock, server.trust_domain),  # 1, 2
                authorise.Authorise(),  # 3
                limits.Limits(server),  # 4
                deadline.Deadline(server.deadline_seconds_max),  # 4
            ]
        )
        self._server = grpc.server(
            ThreadPoolExecutor(server.workers, "call"),
            interceptors=[chain],
            options=options(server),
            maximum_concurrent_rpcs=server.calls_max,
        )
        add: Any = self._server
        lookup_pb2_grpc.add_LookupServiceServicer_to_server(LookupService(desk, streams), add)  # 5 to 8
        authorization_pb2_grpc.add_AuthorizationServiceServicer_to_server(AuthorizationService(desk), add)
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(RegistryService(desk), add)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditService(desk), add)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, add)
        if server.reflection:
            reflection.enable_server_reflection([one.full_name for one in SERVICES], add)
        listen(add, server)  # 1

    def run(self, stop: threading.Event) -> None:
        """Answer until told to stop; then running calls end or are ended, and what is open is closed."""
        self._server.start()
        self._watch.run(stop)
        self._health.enter_graceful_shutdown()
        self._server.stop(STOP_SECONDS).wait()
        self._watch.close()

    def _say_health(self, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *(one.full_name for one in SERVICES)):
            self._health.set(name, status)

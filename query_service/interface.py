"""The services that are offered, and who answers them."""

from typing import Any, Final

import grpc
from grpc_reflection.v1alpha.reflection import enable_server_reflection
from liucun.audit.v1 import audit_pb2, audit_pb2_grpc
from liucun.authorization.v1 import authorization_pb2, authorization_pb2_grpc
from liucun.lookup.v1 import lookup_pb2, lookup_pb2_grpc
from liucun.registry.v1 import registry_pb2, registry_pb2_grpc

from query_service.audit_service import AuditService
from query_service.authorizations import AuthorizationService
from query_service.desk import Desk
from query_service.health import Health
from query_service.lookups import LookupService
from query_service.registry import RegistryService
from query_service.streams import Streams

SERVICES: Final = tuple(
    module.DESCRIPTOR.services_by_name[name]
    for module, name in (
        (lookup_pb2, "LookupService"),
        (authorization_pb2, "AuthorizationService"),
        (registry_pb2, "RegistryService"),
        (audit_pb2, "AuditService"),
    )
)


def add(server: grpc.Server, desk: Desk, streams: Streams, health: Health, *, reflection: bool) -> None:
    """Register them all."""
    to: Any = server  # what is generated has no types
    lookup_pb2_grpc.add_LookupServiceServicer_to_server(LookupService(desk, streams), to)
    authorization_pb2_grpc.add_AuthorizationServiceServicer_to_server(AuthorizationService(desk), to)
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(RegistryService(desk), to)
    audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditService(desk), to)
    to.add_generic_rpc_handlers((health.handler(),))
    if reflection:
        enable_server_reflection([one.full_name for one in SERVICES], to)

"""Whether the service answers now: `Check` of grpc's health protocol, the same for every name that is asked for.

`Watch` is not served: its streams would be open to whoever has a certificate, without a token, a limit or an end, and
the sending to one who does not read would hold up who says that the health has changed.
"""

from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2

SERVICE: Final = "grpc.health.v1.Health"
_SERVING: Final = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
_NOT_SERVING: Final = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.NOT_SERVING)


class Health:
    """Without a lock: nobody who asks can hold up who says."""

    def __init__(self) -> None:
        self._serving = False

    def say(self, serving: bool) -> None:
        """From now on."""
        self._serving = serving

    def handler(self) -> grpc.GenericRpcHandler:
        """For grpc: this method and no other."""
        check: Any = grpc.unary_unary_rpc_method_handler(
            self._check, response_serializer=health_pb2.HealthCheckResponse.SerializeToString
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"Check": check})

    def _check(self, _request: Any, _context: grpc.ServicerContext) -> health_pb2.HealthCheckResponse:
        return _SERVING if self._serving else _NOT_SERVING

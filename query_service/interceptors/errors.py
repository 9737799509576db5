"""What a caller is told: the reason's own sentence and ErrorInfo. Never a driver's text, never a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from infra.platform import logging, metrics
from query_service.errors import DeskError
from query_service.interceptors._wrap import Call
from query_service.reasons import DOMAIN, REASONS

_LOG = logging.get("desk")


class Errors:
    """Second step: everything behind it may raise."""

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """A DeskError becomes its status; anything else is a fault, whose place only our own log tells."""
        try:
            yield
        except DeskError as error:
            metrics.DESK_REFUSALS.labels(call.method, error.reason).inc()
            _abort(call.context, error)
        except Exception as error:
            metrics.DESK_REFUSALS.labels(call.method, "FAULT").inc()
            _LOG.error("fault", kind=type(error).__name__, exc_info=True)
            _abort(call.context, DeskError("FAULT"))


def status_of(error: DeskError) -> status_pb2.Status:
    """The status with its ErrorInfo, and with RetryInfo where waiting helps."""
    entry = REASONS[error.reason]
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.details)
    details = [any_pb2.Any()]
    details[0].Pack(info)
    if error.reason == "RATE_LIMITED":
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(1000)
        details.append(any_pb2.Any())
        details[1].Pack(retry)
    if error.reason == "REQUEST_INVALID" and "field" in error.details:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.details["field"], description=error.message)
        details.append(any_pb2.Any())
        details[-1].Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    code = code_pb2.Code.Value(entry.code.name)
    return status_pb2.Status(code=code, message=str(error), details=details)


def _abort(context: grpc.ServicerContext, error: DeskError) -> NoReturn:
    context.abort_with_status(rpc_status.to_status(status_of(error)))
    raise AssertionError("abort_with_status returns never")

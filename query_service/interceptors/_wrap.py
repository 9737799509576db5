"""The one place that knows how grpc wraps handlers: all steps in one interceptor, for all four kinds of call.

A handler of ours gets a `Call` where grpc gives a context. Health checks pass untouched: they are no lookup traffic and
must answer when nothing else does.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import grpc

from query_service.identity import Caller

UNTOUCHED: Final = ("/grpc.health.v1.Health/",)


@dataclass(slots=True)
class Call:
    """One call on its way through the steps."""

    method: str  # the last part: CreateLookup
    context: grpc.ServicerContext
    request: Any
    streaming: bool
    request_id: str = ""
    caller_or_none: Caller | None = None
    deadline: float = 0.0  # time.monotonic()
    recorded: bool = False  # an entry of the ledger says already what became of it
    facts: dict[str, str] = field(default_factory=dict)  # what the entry of a refusal says besides

    @property
    def caller(self) -> Caller:
        """Who calls; only behind the step that authenticates."""
        assert self.caller_or_none is not None
        return self.caller_or_none

    def seconds_left(self) -> float:
        """Until the deadline."""
        return self.deadline - time.monotonic()


class Step(Protocol):
    """One thing that is done around every call."""

    def around(self, call: Call) -> AbstractContextManager[None]:
        """Enter before the call goes on, leave when it has ended, in whatever way."""
        ...


class Chain(grpc.ServerInterceptor):
    """All steps, the first outermost."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = tuple(steps)

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """grpc asks once a call for its handler; an unknown method has none."""
        handler = continuation(details)
        if handler is None or details.method.startswith(UNTOUCHED):
            return handler
        method = details.method.rpartition("/")[2]
        serializers = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        behavior = _behavior(handler)
        if handler.response_streaming:
            make = grpc.stream_stream_rpc_method_handler if handler.request_streaming else (
                grpc.unary_stream_rpc_method_handler
            )  # fmt: skip
            return make(self._many(behavior, method), **serializers)
        make = grpc.stream_unary_rpc_method_handler if handler.request_streaming else (
            grpc.unary_unary_rpc_method_handler
        )  # fmt: skip
        return make(self._one(behavior, method), **serializers)

    def _one(self, behavior: Callable[[Any, Call], Any], method: str) -> Callable[[Any, Any], Any]:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            call = Call(method, context, request, streaming=False)
            with ExitStack() as stack:
                for step in self._steps:
                    stack.enter_context(step.around(call))
                return behavior(request, call)

        return answer

    def _many(self, behavior: Callable[[Any, Call], Iterator[Any]], method: str) -> Callable[[Any, Any], Iterator[Any]]:
        def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            call = Call(method, context, request, streaming=True)
            with ExitStack() as stack:
                for step in self._steps:
                    stack.enter_context(step.around(call))
                yield from behavior(request, call)

        return answer


def _behavior(handler: Any) -> Callable[[Any, Any], Any]:
    found: Callable[[Any, Any], Any] = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    return found

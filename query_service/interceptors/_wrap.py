"""The one place that knows how grpc wraps handlers: all steps in one interceptor, for all four kinds of call.

A handler of ours gets a `Call` where grpc gives a context. To grpc every call is one with a stream of requests: for
others it holds a worker until the request is there, before any step of ours; so who sends headers and no request would
hold one for nothing, unknown and unbounded. Ours asks for the request in a step of its own (receive.py).

Health checks pass all steps: they are no lookup traffic and must answer when nothing else does. Their request is not
waited for.
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
    incoming: Iterator[Any]  # bytes of one request; messages where the method takes many
    parse: Callable[[bytes], Any] | None  # None: the method takes many
    streaming: bool
    request: Any = None  # behind the step that receives it
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
    """All steps, the first outermost. `unknown` is told of every call whose method there is not; it must not wait."""

    def __init__(self, steps: Sequence[Step], unknown: Callable[[], None]) -> None:
        self._steps = tuple(steps)
        self._unknown = unknown

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """grpc asks once a call for its handler; an unknown method has none."""
        handler = continuation(details)
        if handler is None:
            self._unknown()
            return None
        if details.method.startswith(UNTOUCHED):
            return _at_once(handler)
        method = details.method.rpartition("/")[2]
        behavior = _behavior(handler)
        parse = None if handler.request_streaming else handler.request_deserializer
        make, answer = (
            (grpc.stream_stream_rpc_method_handler, self._many(behavior, method, parse))
            if handler.response_streaming
            else (grpc.stream_unary_rpc_method_handler, self._one(behavior, method, parse))
        )
        return make(
            answer,
            request_deserializer=handler.request_deserializer if handler.request_streaming else None,
            response_serializer=handler.response_serializer,
        )

    def _one(self, behavior: Callable[[Any, Call], Any], method: str, parse: Any) -> Callable[[Any, Any], Any]:
        def answer(incoming: Any, context: grpc.ServicerContext) -> Any:
            call = Call(method, context, incoming, parse, streaming=False)
            with ExitStack() as stack:
                for step in self._steps:
                    stack.enter_context(step.around(call))
                return behavior(call.request, call)

        return answer

    def _many(
        self, behavior: Callable[[Any, Call], Iterator[Any]], method: str, parse: Any
    ) -> Callable[[Any, Any], Iterator[Any]]:
        def answer(incoming: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            call = Call(method, context, incoming, parse, streaming=True)
            with ExitStack() as stack:
                for step in self._steps:
                    stack.enter_context(step.around(call))
                yield from behavior(call.request, call)

        return answer


def _at_once(handler: Any) -> Any:
    """A handler that answers without its request."""
    behavior = _behavior(handler)
    make = grpc.stream_stream_rpc_method_handler if handler.response_streaming else grpc.stream_unary_rpc_method_handler
    return make(lambda _incoming, context: behavior(None, context), response_serializer=handler.response_serializer)


def _behavior(handler: Any) -> Callable[[Any, Any], Any]:
    found: Callable[[Any, Any], Any] = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    return found

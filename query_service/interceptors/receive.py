"""The request, once it is known who sends it and that it is not too much: waited for, for a time that has an end."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc
from google.protobuf.message import DecodeError

from query_service.errors import DeskError
from query_service.interceptors._wrap import Call

REQUEST_SECONDS_MAX: Final = 20.0  # until its last byte: a scan of a megabyte over a line of half a megabit a second


class _Waiting:
    """A call whose request is not there yet."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self.context = context
        self.begun = time.monotonic()
        self.late = False


class Receive:
    """Sets `call.request`. A call whose request does not come is ended by `look`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[_Waiting] = set()

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """REQUEST_INVALID for no request, and for bytes that are none; DEADLINE_EXCEEDED when it does not come."""
        if call.parse is None:
            call.request = call.incoming  # its messages are waited for by the handler
            yield
            return
        data = self._wait(call)
        if data is None:
            raise DeskError("REQUEST_INVALID", "There is no request, or it is too large.")
        try:
            call.request = call.parse(data)
        except DecodeError:
            raise DeskError("REQUEST_INVALID", "The request is no message of this method.") from None
        yield

    def look(self) -> None:
        """Called every second. grpc's wait knows no time-out, and ends when the call is cancelled."""
        oldest = time.monotonic() - REQUEST_SECONDS_MAX
        with self._lock:
            late = [one for one in self._waiting if one.begun < oldest]
        for one in late:
            one.late = True
            one.context.cancel()

    def _wait(self, call: Call) -> bytes | None:
        waiting = _Waiting(call.context)
        with self._lock:
            self._waiting.add(waiting)
        try:
            data: bytes | None = next(call.incoming, None)
        except grpc.RpcError:
            raise DeskError("DEADLINE_EXCEEDED") from None
        finally:
            with self._lock:
                self._waiting.discard(waiting)
        if data is None and waiting.late:
            raise DeskError("DEADLINE_EXCEEDED")
        return data

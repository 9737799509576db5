"""A deadline for every call: the caller's, or ours where theirs is later or missing. Streams have an idle limit."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from query_service.interceptors._wrap import Call


class Deadline:
    """Sets `call.deadline`."""

    def __init__(self, seconds_max: float) -> None:
        self._seconds_max = seconds_max

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """grpc itself ends the call at the caller's deadline; ours is passed to the store with what is left of it."""
        remaining = call.context.time_remaining()
        seconds = self._seconds_max if remaining is None else min(remaining, self._seconds_max)
        call.deadline = time.monotonic() + seconds
        yield

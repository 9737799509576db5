"""An id for every call: in the logs of this process and in the trailing metadata, so that a caller can name it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from query_service.interceptors._wrap import Call


class RequestId:
    """First step."""

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """Nothing of the caller's is taken over: an id of theirs could be an address."""
        call.request_id = uuid.uuid4().hex
        call.context.set_trailing_metadata((("liucun-request-id", call.request_id),))
        with structlog.contextvars.bound_contextvars(request_id=call.request_id, method=call.method):
            yield

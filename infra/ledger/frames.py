"""What goes over the two sockets: frames of canonical JSON, each behind its length (4 bytes, big-endian).

A request is an object with `op`; its answer has `ok`, and `reason` and `message` when that is false.

append socket   append {request_id, kind, actor, members} -> {index}      erase {index, actor, reason} -> {index}
read socket     size -> {size}      checkpoint -> {checkpoint}      read {start, limit} -> {entries}
                inclusion {index} -> {leaf, proof, checkpoint}      consistency {old} -> {proof, checkpoint}

An entry of `read`: {index, leaf, salt, payload}; binary values in lower-case hex, the payload as the text of its
canonical JSON; salt and payload are null when it was erased.
"""

import socket
import time
from typing import Any, Final

from infra.proof import canonical

FRAME_BYTES_MAX: Final = 1024 * 1024
LENGTH_BYTES: Final = 4
ENTRIES_MAX: Final = 1000  # in one answer
ENTRIES_BYTES_MAX: Final = 384 * 1024  # of one answer; quoted in JSON they are at most twice as long
SOCKET_PATH_BYTES_MAX: Final = 107  # Linux: sun_path, less its final zero


class FrameError(Exception):
    """The other side has gone, or does not speak like this."""


def encode(document: dict[str, Any]) -> bytes:
    """A frame. FrameError when it is too long."""
    body = canonical.encode(document)
    if len(body) > FRAME_BYTES_MAX:
        raise FrameError("a frame is too long")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode(body: bytes) -> dict[str, Any]:
    """A frame's object. FrameError when it is none."""
    try:
        document = canonical.decode(body)
    except ValueError as error:
        raise FrameError(str(error)) from None
    if not isinstance(document, dict):
        raise FrameError("a frame is not an object")
    return document


def exchange(connection: socket.socket, frame: bytes, deadline: float) -> dict[str, Any]:
    """Send one request and wait for its answer until `deadline` (time.monotonic). FrameError, OSError."""
    connection.settimeout(_left(deadline))
    connection.sendall(frame)
    length = int.from_bytes(_receive(connection, LENGTH_BYTES, deadline), "big")
    if length > FRAME_BYTES_MAX:
        raise FrameError("a frame is too long")
    return decode(_receive(connection, length, deadline))


def _receive(connection: socket.socket, count: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < count:
        connection.settimeout(_left(deadline))
        part = connection.recv(count - len(data))
        if not part:
            raise FrameError("the connection was closed")
        data += part
    return bytes(data)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left

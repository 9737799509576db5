"""A proxy between the loader and the store that spoils HTTP exchanges as a network does: one mischief an exchange."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

PART_BYTES = 64 * 1024


@dataclass
class Mischief:
    """What is done to requests whose first bytes hold `where`, `times` times.

    cut_body_at      the connection ends when so many bytes of the request went on
    hold_body_at     the request stops there for `hold_seconds`
    lose_answer      the request goes on whole; the connection to the client ends instead of the answer
    at_once          with lose_answer: the client is let go as soon as its request is sent, while the server still works
    twice            the whole request is sent once more on another connection, before its answer goes back
    """

    where: bytes = b"input_format_avro"
    times: int = 1
    cut_body_at: int | None = None
    hold_body_at: int | None = None
    hold_seconds: float = 0.0
    lose_answer: bool = False
    at_once: bool = False
    twice: bool = False
    done: int = field(default=0, init=False)
    reached: threading.Event = field(default_factory=threading.Event, init=False)


class Proxy:
    """Listens on loopback; every connection is one thread and carries its exchanges one after another."""

    def __init__(self, port: int) -> None:
        """To the store at `port`."""
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.mischief: Mischief | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            try:
                while self._exchange(client, server):
                    pass
            except OSError:
                return

    def _exchange(self, client: socket.socket, server: socket.socket) -> bool:
        """One request and its answer; False when the connection is over."""
        head = _until(client, b"\r\n\r\n")
        if not head:
            return False
        length = _length(head)
        mischief = self._mischief(head)
        sent = bytearray()

        def on(data: bytes) -> None:
            sent.extend(data)
            server.sendall(data)

        on(head)
        if mischief is None:
            _body(client, length, on)
            _answer(server, client.sendall)
            return True
        for stop, act in ((mischief.cut_body_at, _cut), (mischief.hold_body_at, _hold)):
            if stop is not None:
                left = _body(client, length, on, stop)
                mischief.reached.set()
                act(mischief)
                if act is _cut:
                    return False
                _body(client, left, on)
                _answer(server, client.sendall)
                return True
        _body(client, length, on)
        mischief.reached.set()
        if mischief.lose_answer:
            if mischief.at_once:
                client.close()
            _answer(server, lambda _data: None)
            return False
        if mischief.twice:
            with socket.create_connection(self._target) as other:
                other.sendall(bytes(sent))
                _answer(other, lambda _data: None)
        _answer(server, client.sendall)
        return True

    def _mischief(self, head: bytes) -> Mischief | None:
        with self._lock:
            one = self.mischief
            if one is None or one.done >= one.times or one.where not in head:
                return None
            one.done += 1
            return one


def _cut(_mischief: Mischief) -> None:
    """The caller ends the connection."""


def _hold(mischief: Mischief) -> None:
    time.sleep(mischief.hold_seconds)


def _until(source: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        part = source.recv(1)
        if not part:
            return b""
        data += part
    return data


def _length(head: bytes) -> int | None:
    """Bytes of the body; None = chunked."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
        if line.startswith(b"transfer-encoding:") and b"chunked" in line:
            return None
    return 0


def _body(source: socket.socket, length: int | None, on: Callable[[bytes], None], stop: int | None = None) -> int:
    """Carry a body on, up to `stop` bytes of it; how many are left."""
    if length is None:
        assert stop is None, "only a body whose length is told can be stopped inside"
        _chunks(source, on)
        return 0
    left = length if stop is None else min(length, stop)
    rest = length - left
    while left:
        part = source.recv(min(left, PART_BYTES))
        if not part:
            raise OSError("the connection ended")
        on(part)
        left -= len(part)
    return rest


def _chunks(source: socket.socket, on: Callable[[bytes], None]) -> None:
    while True:
        line = _until(source, b"\r\n")
        size = int(line.partition(b";")[0], 16)
        data = line
        while len(data) < len(line) + size + 2:
            part = source.recv(len(line) + size + 2 - len(data))
            if not part:
                raise OSError("the connection ended")
            data += part
        on(data)
        if not size:
            return


def _answer(server: socket.socket, on: Callable[[bytes], object]) -> None:
    head = _until(server, b"\r\n\r\n")
    on(head)
    _body(server, _length(head), lambda data: on(data) and None)

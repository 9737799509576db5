"""A content filter on loopback: hands every message on to another port, and may block it or answer with an own id.

It stands before the queue (smtpd_proxy_filter) or after it (content_filter). Commands pass through as they are, so the
server behind it may be told by XFORWARD where mail came from. A message whose text holds BLOCK is refused at its end.
"""

import re
import socket
import socketserver
from itertools import count
from typing import IO, Final, NamedTuple

from infra.local.loopback import LoopbackServer, ThreadingServer

BLOCK: Final = b"X-Filter: block"
REFUSAL: Final = b"550 5.7.1 Blocked: status=sent (250 2.0.0 Ok: queued as 3B4C5D6F70); to=<x@example.com>"
_CODE: Final = re.compile(rb"\d{3} ")


class _Where(NamedTuple):
    port: int  # of the server behind
    own_ids: bool


class ContentFilter(LoopbackServer):
    """The filter. `own_ids`: it answers `OK (F1)`, not what it heard."""

    def __init__(self, behind_port: int, *, own_ids: bool) -> None:
        """As LoopbackServer; `behind_port` = of the server that messages are handed on to."""
        super().__init__(_Session, _Server)
        assert isinstance(self._server, _Server)
        self._server.where = _Where(behind_port, own_ids)


class _Server(ThreadingServer):
    where: _Where
    numbers = count(1)


class _Session(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """One SMTP session: a line to the server behind, its answer back."""
        with socket.create_connection(("127.0.0.1", self.server.where.port), timeout=60) as behind:
            replies = behind.makefile("rb")
            self.wfile.write(_reply(replies))
            for line in self.rfile:
                behind.sendall(line)
                answer = _reply(replies)
                if line.upper().startswith(b"DATA") and answer.startswith(b"354"):
                    self.wfile.write(answer)
                    heard = self._message(behind, replies)
                    if heard is None:
                        self.wfile.write(REFUSAL + b"\r\n")
                        return  # without its end the message is not taken behind
                    answer = heard
                self.wfile.write(answer)
                if line.upper().startswith(b"QUIT"):
                    return

    def _message(self, behind: socket.socket, replies: IO[bytes]) -> bytes | None:
        """Pass a message on; the answer to it. None = it is to be refused, and its end was not passed on."""
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line)
        text = b"".join(lines)
        if BLOCK in text:
            return None
        behind.sendall(text + b".\r\n")
        answer = _reply(replies)
        if self.server.where.own_ids and answer.startswith(b"250"):
            return b"250 2.5.0 OK (F%d)\r\n" % next(self.server.numbers)
        return answer


def _reply(replies: IO[bytes]) -> bytes:
    """One reply, of several lines perhaps."""
    lines = []
    while line := replies.readline():
        lines.append(line)
        if _CODE.match(line):
            break
    return b"".join(lines)

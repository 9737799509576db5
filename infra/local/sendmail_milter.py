"""A milter of ours for the local Sendmail: it refuses, discards, quarantines or changes mail by its envelope.

The protocol is a length of four bytes, a command byte, and arguments that end in NUL. Recipients whose local part is
`milter-refuses`, and messages whose sender's is a key of _AT_END, are treated so; all else passes.
"""

import socketserver
import struct
from typing import Final

from infra.local.loopback import LoopbackServer

_LENGTH: Final = struct.Struct(">I")
_OPTIONS: Final = struct.Struct(">III")
_ACTIONS: Final = 0x6D  # add headers and recipients, remove recipients, quarantine, change the sender
_SILENT: Final = b"DAQ"  # macros, abort, quit: commands without an answer
_AT_END: Final = {
    b"<milter-data@": [(b"y", b"554 5.7.1 No; stat=Sent (this text lies)\0")],
    b"<milter-discards@": [(b"d", b"")],
    b"<milter-quarantines@": [(b"q", b"looks odd, stat=Sent\0"), (b"a", b"")],
    b"<milter-tempfails@": [(b"t", b"")],
    b"<milter-adds@": [(b"+", b"<carol@example.org>\0"), (b"+", b"<archive@far.example.net>\0"), (b"a", b"")],
    b"<milter-removes@": [(b"-", b"<bob@example.org>\0"), (b"a", b"")],
    b"<milter-renames@": [(b"e", b"<renamed@example.net>\0"), (b"a", b"")],
}


class Milter(LoopbackServer):
    """The milter."""

    def __init__(self) -> None:
        """As LoopbackServer."""
        super().__init__(_Session)


class _Session(socketserver.StreamRequestHandler):
    """One connection of the mail server."""

    sender = b""

    def handle(self) -> None:
        while len(head := self.rfile.read(4)) == 4:
            body = self.rfile.read(_LENGTH.unpack(head)[0])
            command, text = body[:1], body[1:]
            if command == b"Q":
                return
            for answer, argument in self._answers(command, text):
                self.wfile.write(_LENGTH.pack(1 + len(argument)) + answer + argument)

    def _answers(self, command: bytes, text: bytes) -> list[tuple[bytes, bytes]]:
        if command in _SILENT:
            return []
        if command == b"O":
            return [(b"O", _OPTIONS.pack(min(_OPTIONS.unpack(text)[0], 2), _ACTIONS, 0))]
        if command == b"M":
            self.sender = text
        if command == b"R" and text.startswith(b"<milter-refuses@"):
            return [(b"y", b"550 5.7.1 <x@y>... No; stat=Sent\0")]
        if command == b"E":
            for beginning, answers in _AT_END.items():
                if self.sender.startswith(beginning):
                    return answers
        return [(b"c", b"")]

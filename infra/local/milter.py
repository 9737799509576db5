"""A milter on loopback that does what a message's own header says: for traces of a real Postfix.

`X-Milter:` and `reject`, `tempfail`, `discard`, `reply CODE TEXT`, `quarantine TEXT`, `add ADDRESS`, `remove ADDRESS`,
`sender ADDRESS`; RCPT or MAIL with a local part of `milter-refuses` is rejected. The protocol is Sendmail's, version 6:
packets of a length (4 bytes), a command byte, and its data.
"""

import socketserver
from typing import Final

from infra.local.loopback import LoopbackServer

_VERSION: Final = 6
_MAY: Final = 0x01 | 0x04 | 0x08 | 0x20 | 0x40  # add headers, add and remove recipients, quarantine, change sender
_PACKET_BYTES_MAX: Final = 1 << 20
_FINAL: Final = {b"reject": b"r", b"tempfail": b"t", b"discard": b"d"}


class Milter(LoopbackServer):
    """The milter."""

    def __init__(self) -> None:
        """As LoopbackServer."""
        super().__init__(_Session)


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """One connection of an smtpd or cleanup."""
        wanted: list[bytes] = []
        while (packet := self._packet()) is not None:
            command, data = packet[:1], packet[1:]
            if command == b"Q":
                return
            if command == b"O":
                steps = 0  # none left out
                parts = (_VERSION, _MAY, steps)
                self._answer(b"O" + b"".join(part.to_bytes(4, "big") for part in parts))
            elif command in (b"M", b"R"):
                wanted = [] if command == b"M" else wanted
                self._answer(b"r" if data.startswith(b"<milter-refuses") else b"c")
            elif command == b"L":
                name, _, value = data.rstrip(b"\0").partition(b"\0")
                if name.lower() == b"x-milter":
                    wanted.append(value.strip())
                self._answer(b"c")
            elif command == b"E":
                self._end_of_message(wanted)
            elif command not in (b"D", b"A", b"K"):
                self._answer(b"c")

    def _end_of_message(self, wanted: list[bytes]) -> None:
        for wish in wanted:
            word, _, rest = wish.partition(b" ")
            if word in _FINAL:
                self._answer(_FINAL[word])
                return
            if word == b"reply":
                self._answer(b"y" + rest + b"\0")
                return
            if word == b"quarantine":
                self._answer(b"q" + rest + b"\0")
            elif word == b"add":
                self._answer(b"+<" + rest + b">\0")
            elif word == b"remove":
                self._answer(b"-<" + rest + b">\0")
            elif word == b"sender":
                self._answer(b"e<" + rest + b">\0")
        self._answer(b"c")

    def _packet(self) -> bytes | None:
        head = self.rfile.read(4)
        length = int.from_bytes(head, "big")
        if len(head) < 4 or not 0 < length <= _PACKET_BYTES_MAX:
            return None
        return self.rfile.read(length)

    def _answer(self, packet: bytes) -> None:
        self.wfile.write(len(packet).to_bytes(4, "big") + packet)

"""A SASL backend on loopback that speaks Dovecot's auth client protocol: any name with the password `right` is let in.

Lines of fields separated by tabs. PLAIN only; the name is given back as it came, whatever it holds.
"""

import base64
import binascii
import os
import socketserver
from typing import Final

from infra.local.loopback import LoopbackServer

PASSWORD: Final = "right"  # noqa: S105  (of a test server)
_GREETING: Final = (
    "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t{pid}\nCUID\t1\nCOOKIE\t00112233445566778899aabbccddeeff\nDONE\n"
)


class AuthServer(LoopbackServer):
    """The backend."""

    def __init__(self) -> None:
        """As LoopbackServer."""
        super().__init__(_Session)


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """One connection of an smtpd."""
        self.wfile.write(_GREETING.format(pid=os.getpid()).encode())
        for line in self.rfile:
            fields = line.decode("utf-8", "replace").rstrip("\n").split("\t")
            if fields[0] == "AUTH":
                self._authenticate(fields)

    def _authenticate(self, fields: list[str]) -> None:
        """`AUTH id PLAIN ... resp=BASE64` of `authorization NUL name NUL password`."""
        given = next((field[5:] for field in fields if field.startswith("resp=")), "")
        try:
            _, name, password = base64.b64decode(given).decode("utf-8").split("\0")
        except (binascii.Error, ValueError):
            name = password = ""
        word = "OK" if password == PASSWORD else "FAIL"
        self.wfile.write(f"{word}\t{fields[1]}\tuser={name}\n".encode())

"""A syslog daemon for one chroot: what a mail server says to /dev/log becomes lines of a file, as rsyslog writes them.

`<PRI>Mmm dd hh:mm:ss tag[pid]: text` comes in without a host; `Mmm dd hh:mm:ss host tag[pid]: text` is written.
Control characters become `#ooo` (octal), as rsyslog's `$EscapeControlCharactersOnReceive` does by default.
"""

import os
import re
import socket
import threading
from pathlib import Path
from typing import Final

DATAGRAM_BYTES_MAX: Final = 64 * 1024
_POLL_SECONDS: Final = 0.2
_PRIORITY: Final = re.compile(rb"<\d{1,3}>")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_STAMP_BYTES: Final = 16  # `Mmm dd hh:mm:ss `


class Syslog:
    """Listens on `<root>/dev/log` in a thread of this process and appends to `log_file`."""

    def __init__(self, root: Path, log_file: Path, host: str) -> None:
        """Nothing listens yet. `host` is written into every line."""
        self.log_file = log_file
        self._path = root / "dev" / "log"
        self._host = host.encode("ascii")
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, before the mail server starts."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # A path of a socket has at most 107 bytes: bound through the folder's descriptor, however deep it lies.
        folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            listening.bind(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)
        self._path.chmod(0o666)
        listening.settimeout(_POLL_SECONDS)
        self._socket = listening
        self._thread = threading.Thread(target=self._run, args=(listening,), name="syslog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what has come, then stop listening. May be repeated."""
        listening, self._socket = self._socket, None
        if listening is None or self._thread is None:
            return
        self._thread.join()
        listening.close()
        self._path.unlink(missing_ok=True)

    def _run(self, listening: socket.socket) -> None:
        with self.log_file.open("ab", buffering=0) as log:
            while True:
                try:
                    datagram = listening.recv(DATAGRAM_BYTES_MAX)
                except TimeoutError:
                    if self._socket is None:
                        return
                    continue
                log.write(line(datagram, self._host))


def line(datagram: bytes, host: bytes) -> bytes:
    """The line of one datagram, with its end."""
    text = _PRIORITY.sub(b"", datagram, count=1).rstrip(b"\n\x00")
    stamp, said = text[:_STAMP_BYTES], text[_STAMP_BYTES:]
    return stamp + host + b" " + _CONTROL.sub(lambda found: b"#%03o" % found[0][0], said) + b"\n"

"""A syslog daemon for chroots: what a mail server says to /dev/log becomes lines of a file, as rsyslog writes them.

`<PRI>Mmm dd hh:mm:ss tag[pid]: text` comes in without a host; `Mmm dd hh:mm:ss host tag[pid]: text` is written.
Control characters become `#ooo` (octal), as rsyslog's `$EscapeControlCharactersOnReceive` does by default.
"""

import os
import re
import select
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

DATAGRAM_BYTES_MAX: Final = 64 * 1024
_POLL_SECONDS: Final = 0.2
_PRIORITY: Final = re.compile(rb"<\d{1,3}>")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_STAMP_BYTES: Final = 16  # `Mmm dd hh:mm:ss `


class Syslog:
    """Listens on `dev/log` below each of `roots` in a thread of this process and appends to `log_file`."""

    def __init__(self, roots: Sequence[Path], log_file: Path, host: str) -> None:
        """Nothing listens yet. `host` is written into every line."""
        self.log_file = log_file
        self._paths = [root / "dev" / "log" for root in roots]
        self._host = host.encode("ascii")
        self._sockets: list[socket.socket] = []
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, before the mail server starts."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self._sockets = [_bound(path) for path in self._paths]
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="syslog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what has come, then stop listening. May be repeated."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        self._thread = None
        for listening, path in zip(self._sockets, self._paths, strict=True):
            listening.close()
            path.unlink(missing_ok=True)

    def _run(self) -> None:
        with self.log_file.open("ab", buffering=0) as log:
            while True:
                ready, _, _ = select.select(self._sockets, [], [], _POLL_SECONDS)
                if not ready and self._stopping.is_set():
                    return
                for listening in ready:
                    log.write(line(listening.recv(DATAGRAM_BYTES_MAX), self._host))


def _bound(path: Path) -> socket.socket:
    """A socket in the file system that everybody may write to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    # A path of a socket has at most 107 bytes: bound through the folder's descriptor, however deep it lies.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        listening.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
    path.chmod(0o666)
    return listening


def line(datagram: bytes, host: bytes) -> bytes:
    """The line of one datagram, with its end."""
    text = _PRIORITY.sub(b"", datagram, count=1).rstrip(b"\n\x00")
    stamp, said = text[:_STAMP_BYTES], text[_STAMP_BYTES:]
    return stamp + host + b" " + _CONTROL.sub(lambda found: b"#%03o" % found[0][0], said) + b"\n"

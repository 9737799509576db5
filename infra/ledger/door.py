"""A Unix socket with bounds: who may speak, how many at once, how long a frame may be and how long it may take.

The kernel says who is at the other end (SO_PEERCRED); file permissions do not decide it. One request at a time on a
connection. Whoever stops in the middle of a frame, or does not take its answer, is cut off; others do not notice.
"""

import asyncio
import os
import socket
import stat
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, Final

from infra.ledger import frames
from infra.ledger.errors import LedgerError
from infra.ledger.frames import FRAME_BYTES_MAX, LENGTH_BYTES, FrameError
from infra.platform import logging, metrics
from infra.platform.errors import LiucunError, SettingsError

CONNECTIONS_MAX: Final = 64  # of one user: nobody takes those of another
IDLE_SECONDS_MAX: Final = 3600.0  # a client opens another connection when it needs one
PEOPLE_IDLE_SECONDS_MAX: Final = 60.0  # of a person, whose commands end soon
BACKLOG: Final = 128
REFUSED_SECONDS_MAX: Final = 1.0
REFUSED_MAX: Final = 16  # who are told why; beyond, a refused connection is closed at once
_UCRED: Final = struct.Struct("3i")  # pid, uid, gid
_LOG = logging.get("ledger")

Handler = Callable[[int, dict[str, Any]], Awaitable[dict[str, Any]]]


class Door:
    """One socket. `handler` gets the caller's uid and a request, and gives the answer's members."""

    def __init__(
        self, path: Path, uids: list[int], handler: Handler, seconds_max: float, people: Collection[int] = ()
    ) -> None:
        """Nothing is opened yet. The process's own uid is always let in. `people`: uids that are no services."""
        self._path = path
        self._uids = {*uids, os.geteuid()}
        self._handler = handler
        self._seconds_max = seconds_max
        self._people = people
        self._connections: set[asyncio.Task[None]] = set()
        self._open: Counter[int] = Counter()  # connections that are served, by uid
        self._refused = 0
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen. SettingsError when the path cannot be had, or another program listens there."""
        path = str(self._path)
        if len(os.fsencode(path)) > frames.SOCKET_PATH_BYTES_MAX:
            raise SettingsError(f"The path {path} is too long for a socket.", "Use one of at most 107 bytes.")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and stat.S_ISSOCK(self._path.stat().st_mode):
                if _answered(path):
                    raise SettingsError(f"Another program listens on {path}.", "Give each ledger its own sockets.")
                self._path.unlink()
            self._server = await asyncio.start_unix_server(self._accept, path, backlog=BACKLOG)
            self._path.chmod(0o666)
        except OSError as error:
            raise SettingsError(
                f"The socket {path} cannot be opened ({error.strerror}).", "Check its folder."
            ) from None

    async def close(self) -> None:
        """Take no more connections and end those there are."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            peer = _uid(writer)
            if peer not in self._uids:
                await self._turn_away(reader, writer, "NOT_ALLOWED", f"User {peer} may not use this socket.")
            elif self._open[peer] >= CONNECTIONS_MAX:
                message = f"{CONNECTIONS_MAX} connections of user {peer} are open."
                await self._turn_away(reader, writer, "TOO_MANY_CONNECTIONS", message)
            else:
                await self._serve(peer, reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
            pass  # gone, too slow, or the ledger stops: there is nobody to tell
        except Exception as error:  # one request must not end the others
            metrics.LEDGER_REFUSED.labels("FAULT").inc()
            _LOG.error("a fault in Liucun itself", error=type(error).__name__)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, peer: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request after the other."""
        self._open[peer] += 1
        try:
            async with asyncio.timeout(None) as guard:
                while await self._one(peer, reader, writer, guard):
                    pass
        finally:
            self._open[peer] -= 1

    async def _turn_away(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reason: str, message: str
    ) -> None:
        """Who may not speak takes nobody's place, and no more descriptors than a few."""
        if self._refused >= REFUSED_MAX:
            metrics.LEDGER_REFUSED.labels(reason).inc()
            return
        self._refused += 1
        try:
            await self._refuse(reader, writer, reason, message)
        finally:
            self._refused -= 1

    async def _one(
        self, peer: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, guard: asyncio.Timeout
    ) -> bool:
        """One request and its answer; whether the connection goes on. `guard` ends a wait that has become too long."""
        clock = asyncio.get_running_loop().time
        guard.reschedule(clock() + (PEOPLE_IDLE_SECONDS_MAX if peer in self._people else IDLE_SECONDS_MAX))
        first = await reader.readexactly(1)
        guard.reschedule(clock() + self._seconds_max)
        length = int.from_bytes(first + await reader.readexactly(LENGTH_BYTES - 1), "big")
        if length > FRAME_BYTES_MAX:
            await self._refuse(reader, writer, "FRAME_TOO_LONG", f"A frame has at most {FRAME_BYTES_MAX} bytes.")
            return False
        body = await reader.readexactly(length)
        guard.reschedule(None)  # the disk may take its time
        try:
            request = frames.decode(body)
        except FrameError as error:
            await self._refuse(reader, writer, "FRAME_MALFORMED", f"Not a request: {error}.")
            return False
        answer = await self._answer(peer, request)
        guard.reschedule(clock() + self._seconds_max)
        await self._send(writer, answer)
        return True

    async def _answer(self, peer: int, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"ok": True, **await self._handler(peer, request)}
        except LiucunError as error:
            if not isinstance(error, LedgerError) or error.reason in ("ENTRY_REFUSED", "NOT_ALLOWED"):
                metrics.LEDGER_REFUSED.labels(error.reason).inc()
            return {"ok": False, "reason": error.reason, "message": str(error)}

    async def _refuse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reason: str, message: str
    ) -> None:
        """Say why, and take what was sent meanwhile: a socket closed on unread bytes would lose the answer."""
        metrics.LEDGER_REFUSED.labels(reason).inc()
        _LOG.warning("refused", socket=self._path.name, reason=reason)
        async with asyncio.timeout(REFUSED_SECONDS_MAX):
            await self._send(writer, {"ok": False, "reason": reason, "message": message})
            writer.write_eof()
            left = FRAME_BYTES_MAX
            while left > 0 and (data := await reader.read(left)):
                left -= len(data)

    async def _send(self, writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
        writer.write(frames.encode(answer))
        await writer.drain()


def _uid(writer: asyncio.StreamWriter) -> int:
    """Whose process is at the other end; the kernel's word."""
    connection: socket.socket = writer.get_extra_info("socket")
    uid: int = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[1]
    return uid


def _answered(path: str) -> bool:
    """Whether a program listens there; a socket left by a killed one refuses."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True

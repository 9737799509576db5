"""A TCP server of ours on a free port of loopback, in threads of this process: filters and milters for mail servers."""

import socketserver
import threading


class ThreadingServer(socketserver.ThreadingTCPServer):
    """Its threads do not keep the process alive."""

    daemon_threads = True


class LoopbackServer:
    """Listens from its making on, answers from `start` on."""

    def __init__(
        self, session: type[socketserver.StreamRequestHandler], server: type[ThreadingServer] = ThreadingServer
    ) -> None:
        """`session` handles one connection; `server` is what it finds as its `server`."""
        self._server = server(("127.0.0.1", 0), session)
        self.port: int = self._server.server_address[1]

    def start(self) -> None:
        """Answer, in a thread."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

"""Where the local Postfix sends mail on: an SMTP server on loopback that remembers envelopes and refuses some."""

import threading
from collections import Counter
from typing import NamedTuple

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from infra.local.process import free_port


class Taken(NamedTuple):
    """One recipient that the sink took."""

    sender: str
    recipient: str
    client_ip: str


class Sink:
    """Takes everything, but `refused@...` never, `later@...` only at the second try, `never@...` always not yet.

    `end@...` is taken, and its message refused; `twice@...` the same, at the first try with a temporary code.
    """

    def __init__(self) -> None:
        """Nothing listens yet."""
        self.port = free_port()
        self.taken: list[Taken] = []
        self._tries: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, ready_timeout=30)

    def start(self) -> None:
        """Listen, in a thread."""
        self._controller.start()

    def stop(self) -> None:
        """Stop listening."""
        self._controller.stop()

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's names)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take or refuse one recipient."""
        if address.startswith("refused@"):
            return "550 5.1.1 No such mailbox; status=sent (this text lies); to=<nobody@example.com>"
        self._tries[address] += 1
        if address.startswith("never@") or (address.startswith("later@") and self._tries[address] == 1):
            return "450 4.2.0 Come again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Remember the envelope; content is dropped."""
        peer = session.peer[0] if session.peer else ""
        if any(recipient.startswith("end@") for recipient in envelope.rcpt_tos):
            return "554 5.6.0 Refused: dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 3B4C5D6F70)"
        if any(recipient.startswith("twice@") and self._tries[recipient] == 1 for recipient in envelope.rcpt_tos):
            return "451 4.3.0 Not now: 250 2.0.0 Ok: queued as 3B4C5D6F71"
        with self._lock:
            self.taken += [Taken(envelope.mail_from or "", recipient, peer) for recipient in envelope.rcpt_tos]
            number = len(self.taken)
        return f"250 2.0.0 Ok: queued as {0xABC0000 + number:X}"

"""The two parties that know the truth about a mail: the SMTP client that hands it in, and the sink that takes it."""

import smtplib
import socket
from collections.abc import Sequence
from typing import Final, NamedTuple

from aiosmtpd.smtp import SMTP, Envelope, Session

from infra.local.sink import Sink

BODY: Final = b"A body that no record may hold.\r\n"
SUBJECT: Final = (
    'a secret that no record may hold; R=x T=y) [6.6.6.6] P=esmtp S=3 id=a@b from <ceo@example.org> for spy@x"'
)


class Client(NamedTuple):
    """Who hands mail in: named to Exim by the PROXY protocol, as a front end would."""

    ip: str
    port: int
    helo: str = "client.example.net"


class Took(NamedTuple):
    """One recipient that the sink took, and the queue id that it told."""

    sender: str
    recipient: str
    queue_id: str


class LyingSink(Sink):
    """As `Sink`; it never takes mail for hopeless.example.net, and its refusals imitate a line of Exim's log."""

    def __init__(self) -> None:
        """Nothing listens yet."""
        super().__init__()
        self.took: list[Took] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take or refuse one recipient."""
        if address.endswith("@hopeless.example.net"):
            return "451 4.3.0 Not now: retry timeout exceeded"
        if address.startswith("refused@"):
            return '550 5.1.1 No such mailbox <"x"@y> F=<ceo@example.org> R=a T=b H=evil [6.6.6.6]: 250 OK id=1aaaaa-0000aa-00'
        return await super().handle_RCPT(server, session, envelope, address, options)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Remember the envelope; content is dropped. Mail for `unwanted@...` is refused only now."""
        if any(recipient.startswith("unwanted@") for recipient in envelope.rcpt_tos):
            return '554 5.7.1 "R=a T=b H=evil [6.6.6.6] C="250 OK id=1aaaaa-0000aa-00'
        reply = await super().handle_DATA(server, session, envelope)
        queue_id = reply.rpartition(" ")[2]
        sender = envelope.mail_from or ""
        self.took += [Took(sender, recipient, queue_id) for recipient in envelope.rcpt_tos]
        return reply + '; "R=a T=b H=evil [6.6.6.6] C=\\'


class Mailer(smtplib.SMTP):
    """An SMTP client that comes from anywhere."""

    def __init__(self, port: int, client: Client | None) -> None:
        """Connects, and says EHLO."""
        self.client = client
        super().__init__("127.0.0.1", port, local_hostname=client.helo if client else "local", timeout=30)
        self.command_encoding = "utf-8"
        self.ehlo()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        if self.client is not None:
            ip, source = self.client.ip, self.client.port
            kind, own = ("TCP6", "2001:db8::25") if ":" in ip else ("TCP4", "192.0.2.25")
            connection.sendall(f"PROXY {kind} {ip} {own} {source} 25\r\n".encode())
        return connection

    def offer(
        self, sender: str, recipients: Sequence[str], data: bytes | None, *, options: str = "", notify: str = ""
    ) -> tuple[int, list[int], int, str]:
        """One transaction as it is told: code of MAIL, codes of RCPT, code and text of the end of data (0 = not asked)."""
        parameters = (" SMTPUTF8" if not (sender + "".join(recipients)).isascii() else "") + options
        self.putcmd_bytes(f"MAIL FROM:<{sender}>{parameters}".encode())
        mail, _ = self.getreply()
        if mail != 250:
            self.docmd("RSET")
            return mail, [], 0, ""
        told = []
        for recipient in recipients:
            self.putcmd_bytes(f"RCPT TO:<{recipient}>{notify}".encode())
            told.append(self.getreply()[0])
        if data is None or 250 not in told:
            self.docmd("RSET")
            return mail, told, 0, ""
        code, text = self.docmd("DATA")
        if code != 354:
            self.docmd("RSET")
            return mail, told, code, text.decode()
        self.send(data + b".\r\n")
        code, text = self.getreply()
        return mail, told, code, text.decode()

    def putcmd_bytes(self, command: bytes) -> None:
        """A command with any bytes."""
        self.send(command + b"\r\n")


def message(message_id: str | None = None, *headers: str, size: int = 0) -> bytes:
    """A message with a subject and a body that no record may hold."""
    lines = [f"Subject: {SUBJECT}", "From: Header Sender <header@example.com>", "To: header-recipient@example.com"]
    if message_id is not None:
        lines.append(f"Message-ID: {message_id}")
    return (
        ("\r\n".join([*lines, *headers]) + "\r\n\r\n").encode() + BODY + b"x" * 70 * (size // 72) + b"\r\n" * bool(size)
    )

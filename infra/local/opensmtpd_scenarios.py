"""Mail for a local OpenSMTPD, named scenario by scenario, and the truth about it.

The truth is what the SMTP client was told, what the next hop took under which id, and what stands in the mailboxes. It
is not read from the log, so records made from the log can be compared with it. Two things no log of OpenSMTPD holds are
left out of it: the sender of a recipient that was refused, and the recipients of a message refused at its end.
"""

import smtplib
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import Callable
from email import message_from_bytes
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from infra.local.opensmtpd import HOST, PASSWORD, USERS, LocalOpenSmtpd, certificate
from infra.local.process import LocalEngineError
from infra.local.sink import Sink
from schemas import envelope as records_of

QUIET_SECONDS_MAX: Final = 90.0
BODY: Final = b"Subject: a secret that no record may hold\r\n\r\nA body that no record may hold.\r\n"
_PROXY_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"


class Truth(NamedTuple):
    """What must be recorded of one recipient. None = not to be known from a log of OpenSMTPD, or there is none."""

    scenario: str
    event: str
    outcome: str
    sender: str | None
    recipient: str | None
    original_recipient: str | None
    client_ip: str | None
    user: str | None
    smtp_code: int | None
    next_queue_id: str | None


class Client(NamedTuple):
    """Who hands mail in; its address is told to OpenSMTPD by the PROXY protocol."""

    ip: str
    name: str | None


OUTSIDE: Final = Client("203.0.113.9", None)
INSIDE: Final = Client("192.0.2.11", "client1.example.net")
OUTSIDE_6: Final = Client("2001:db8::1", "six.example.net")
LOOPBACK: Final = Client("127.0.0.1", "localhost")
HOST_NAMES: Final = {client.ip: client.name for client in (INSIDE, OUTSIDE_6) if client.name}


class NumberingSink(Sink):
    """A next hop that also remembers the id it gave each recipient; it offers STARTTLS when it has a certificate."""

    def __init__(self, certificate_folder: Path | None = None) -> None:
        """Nothing listens yet."""
        super().__init__()
        self.ids: list[str] = []
        self._listens = False
        if certificate_folder is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate(certificate_folder))
            self._controller = Controller(
                self, hostname="127.0.0.1", port=self.port, ready_timeout=30, tls_context=context
            )

    def start(self) -> None:
        """Listen, in a thread."""
        super().start()
        self._listens = True

    def stop(self) -> None:
        """Stop listening. May be repeated."""
        if self._listens:
            super().stop()
        self._listens = False

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Remember the envelope and its id; content is dropped."""
        before = len(self.taken)
        reply = await super().handle_DATA(server, session, envelope)
        self.ids += [reply.rpartition(" ")[2]] * (len(self.taken) - before)
        return reply


class Run:
    """One OpenSMTPD, one next hop, and the truth so far."""

    def __init__(self, mta: LocalOpenSmtpd, sink: NumberingSink) -> None:
        """Both run."""
        self.mta = mta
        self.sink = sink
        self.truth: list[Truth] = []
        self.sent_as: dict[str, str] = {}  # reverse-path under which the next hop must see mail for a recipient
        self._scenario = ""

    def play(self, scenarios: list[Callable[["Run"], None]]) -> list[Truth]:
        """All of them, and the truth when all mail has left the queue. LocalEngineError when it does not in time."""
        for scenario in scenarios:
            self._scenario = scenario.__name__
            scenario(self)
        self.wait_until(lambda: not self.mta.queue(), schedule=True)
        time.sleep(1)  # what was delivered last is still to be logged
        return self._checked()

    def connect(self, client: Client) -> smtplib.SMTP:
        """An SMTP session of a client, greeted."""
        smtp = smtplib.SMTP(timeout=30)
        if client is LOOPBACK:
            smtp.connect("127.0.0.1", self.mta.smtp_port)
        else:
            smtp.sock = socket.create_connection(("127.0.0.1", self.mta.proxy_port), timeout=30)
            smtp.sock.sendall(_proxy_header(client.ip))
            smtp.getreply()
        smtp.ehlo("client.example.net")
        return smtp

    def send(
        self,
        client: Client,
        sender: str,
        recipients: list[str],
        outcomes: list[tuple[Any, ...]],
        body: bytes = BODY,
    ) -> None:
        """One message in a session of its own that is taken in; `outcomes` as for `expect`."""
        with self.connect(client) as smtp:
            assert smtp.sendmail(sender, recipients, body) == {}
        self.expect(client.ip, sender, outcomes)

    def expect(self, ip: str | None, sender: str, outcomes: list[tuple[Any, ...]], user: str | None = None) -> None:
        """What becomes of a message that was taken in: (outcome, recipient[, original[, code]])."""
        for outcome, recipient, *more in outcomes:
            original, code = (*more, None, None)[:2]
            code = 250 if outcome == "SENT" else code
            self._add("DELIVERY", outcome, sender, recipient, original, ip, user, code)

    def refused(self, ip: str | None, code: int, sender: str | None = None, recipient: str | None = None) -> None:
        """The client was told so."""
        self._add("REFUSAL", "REFUSED", sender, recipient, None, ip, None, code)

    def wait_until(self, done: Callable[[], bool], *, schedule: bool = False) -> None:
        """Until `done`; with `schedule`, OpenSMTPD is told every second not to wait before it tries again."""
        deadline = time.monotonic() + QUIET_SECONDS_MAX
        while not done():
            if time.monotonic() > deadline:
                raise LocalEngineError("OpenSMTPD did not come to an end in time.", f"Look at {self.mta.log_file}.")
            time.sleep(1)
            if schedule:
                self.mta.control("schedule", "all")

    def _add(self, *values: Any) -> None:
        self.truth.append(Truth._make((self._scenario, *values, None)))

    def _checked(self) -> list[Truth]:
        """The truth, with the next hop's ids, where it agrees with the next hop and the mailboxes."""
        ids: dict[tuple[str, str], list[str]] = {}
        for taken, number in zip(self.sink.taken, self.sink.ids, strict=True):
            ids.setdefault((taken.sender.strip("<>"), taken.recipient), []).append(number)
        truth = []
        for row in self.truth:
            recipient = row.recipient or ""
            sender = self.sent_as.get(recipient, row.sender or "")
            numbers = ids.get((sender, recipient), []) if row.outcome == "SENT" else [""]
            if not numbers:
                raise _disagreement(f"the next hop never took {row}")
            truth.append(row._replace(next_queue_id=numbers.pop(0) or None))
        if left := [key for key, numbers in ids.items() if numbers]:
            raise _disagreement(f"the next hop took also {left}")
        stored = Counter(_stored(content) for user in USERS for content in self.mta.mailbox(user))
        told = Counter(
            (row.sender or "", row.original_recipient or row.recipient or "")
            for row in truth
            if row.outcome == "DELIVERED"
        )
        if stored != told:
            raise _disagreement(f"mailboxes: {(stored - told) + (told - stored)}")
        return truth


def from_records(envelopes: list[records_of.Envelope]) -> Counter[tuple[Any, ...]]:
    """What records say, in the form of `without_scenario`; non-final records left out."""
    return Counter(
        (
            envelope["event"],
            envelope["outcome"],
            envelope["sender"],
            envelope["recipient"],
            envelope["original_recipient"],
            None if envelope["sender_ip"] is None else records_of.ip_text(envelope["sender_ip"]),
            envelope["authenticated_user"],
            envelope["smtp_code"],
            envelope["next_queue_id"],
        )
        for envelope in envelopes
        if envelope["is_final"]
    )


def without_scenario(truth: list[Truth]) -> Counter[tuple[Any, ...]]:
    """The truth as records could tell it."""
    return Counter(tuple(row[1:]) for row in truth)


def log_in(run: Run, user: str, password: str = PASSWORD) -> tuple[smtplib.SMTP, int]:
    """A session on the port for users, under TLS, and the code of the reply to AUTH PLAIN.

    Debian's 6.8 cannot use its key with OpenSSL 3 (its own RSA method is not asked), so TLS is anonymous here.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("aNULL:@SECLEVEL=0")
    smtp = smtplib.SMTP("127.0.0.1", run.mta.auth_port, timeout=30)
    smtp.ehlo("client.example.net")
    smtp.starttls(context=context)
    smtp.ehlo("client.example.net")
    smtp.user, smtp.password = user, password
    return smtp, smtp.auth("PLAIN", smtp.auth_plain)[0] if password == PASSWORD else _failed(smtp)


def _failed(smtp: smtplib.SMTP) -> int:
    try:
        smtp.auth("PLAIN", smtp.auth_plain)
    except smtplib.SMTPAuthenticationError as error:
        return error.smtp_code
    raise LocalEngineError("OpenSMTPD took a wrong password.", "Look at its table of logins.")


def _proxy_header(ip: str) -> bytes:
    """PROXY protocol, version 2, TCP over IPv4 or IPv6."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    there, here = ip, "2001:db8::99" if ":" in ip else "192.0.2.99"
    addresses = socket.inet_pton(family, there) + socket.inet_pton(family, here) + struct.pack(">HH", 40_001, 25)
    kind = 0x21 if ":" in ip else 0x11
    return _PROXY_V2 + struct.pack(">BBH", 0x21, kind, len(addresses)) + addresses


def _stored(content: bytes) -> tuple[str, str]:
    """Reverse-path and recipient of a message in a mailbox, as its first lines tell."""
    message = message_from_bytes(content)
    return (message["Return-Path"] or "").strip("<>"), message["Delivered-To"]


def _disagreement(what: str) -> LocalEngineError:
    return LocalEngineError(
        f"The scenarios, the next hop and the mailboxes do not agree: {what}",
        "This is a fault of the test, not of a record.",
    )


def to_json(truth: list[Truth]) -> list[dict[str, Any]]:
    """For a committed trace."""
    return [row._asdict() for row in truth]


def from_json(document: list[dict[str, Any]]) -> list[Truth]:
    """The truth of a committed trace."""
    return [Truth(**row) for row in document]


__all__ = ["HOST", "Run", "Truth"]

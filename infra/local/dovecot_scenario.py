"""Clients of a local Dovecot, and the truth about them: what each client did and was told.

The truth is not read from the log, so records made from the log can be compared with it. What a log cannot say is
written down where it is known: a client's session id is not told to it, and of failed attempts that end in a login
Dovecot logs the login only.
"""

import base64
import imaplib
import poplib
import smtplib
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from infra.local.dovecot import HOSTILE, PASSWORD, USERS, LocalDovecot
from infra.local.process import LocalEngineError
from schemas.envelope import Envelope, ip_text

ALICE, BOB, CAROL, DAVE, ERIN, FRANK = USERS
FALSE_FIELDS: Final = "x>, method=plain, rip=6.6.6.6, lip=7.7.7.7, session=<zz"
LONG_NAME: Final = "long" * 30
_LOOPBACK: Final = "127.0.0.1"
_SECONDS: Final = 20
_BODY: Final = "Subject: a secret that no record may hold\r\n\r\nA body that no record may hold.\r\n"


class Truth(NamedTuple):
    """What must be recorded.

    `client_ip` and `client_port` are the mailbox client's, or the address of who handed a message in. `session_id` is
    told to LMTP clients only; None elsewhere.
    """

    event: str
    outcome: str
    sender: str | None
    recipient: str
    client_ip: str | None
    client_port: int | None = None
    protocol: str | None = None
    session_id: str | None = None


class Wire:
    """A client that says exactly what it is told to."""

    def __init__(self, port: int, greeting: bool = True) -> None:
        """Connected; the greeting is read."""
        self.socket = socket.create_connection((_LOOPBACK, port), timeout=_SECONDS)
        self.port: int = self.socket.getsockname()[1]
        self._file = self.socket.makefile("rb")
        if greeting:
            self._file.readline()

    def say(self, text: str) -> bytes:
        """One line there, one line back."""
        self.socket.sendall(text.encode() + b"\r\n")
        return self._file.readline()

    def line(self) -> bytes:
        """The next line; empty at the end."""
        return self._file.readline()

    def close(self) -> None:
        """Leave without a word."""
        self._file.close()
        self.socket.close()


def records(envelopes: list[Envelope]) -> Counter[Truth]:
    """What records say, in the same form; non-final records left out."""
    return Counter(_said(envelope) for envelope in envelopes if envelope["is_final"])


def _said(envelope: Envelope) -> Truth:
    access = envelope["event"] == "MAILBOX_ACCESS"
    ip = envelope["recipient_ip"] if access else envelope["sender_ip"]
    return Truth(
        envelope["event"],
        envelope["outcome"],
        envelope["sender"],
        envelope["recipient"] or "",
        None if ip is None else ip_text(ip),
        envelope["recipient_port"] if access else None,
        envelope["access_protocol"],
        None if access or envelope["queue_id"] else envelope["session_id"],
    )


def accesses(mailboxes: LocalDovecot) -> list[Truth]:
    """All ways in, and those that fail."""
    truth: list[Truth] = []
    for scenario in (*_IMAP, *_OTHERS):
        truth += scenario(mailboxes)
    return truth


def _access(outcome: str, user: str, ip: str, port: int, protocol: str) -> list[Truth]:
    return [Truth("MAILBOX_ACCESS", outcome, None, user, ip, port, protocol)]


def _imap_login(mailboxes: LocalDovecot) -> list[Truth]:
    client = imaplib.IMAP4(_LOOPBACK, mailboxes.ports["imap"], timeout=_SECONDS)
    port = client.socket().getsockname()[1]
    client.login(ALICE, PASSWORD)
    client.select()
    client.logout()
    return _access("ACCESSED", ALICE, _LOOPBACK, port, "imap")


def _imap_starttls(mailboxes: LocalDovecot) -> list[Truth]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = imaplib.IMAP4(_LOOPBACK, mailboxes.ports["imap"], timeout=_SECONDS)
    port = client.socket().getsockname()[1]
    client.starttls(context)
    client.authenticate("PLAIN", lambda _challenge: f"\0{BOB}\0{PASSWORD}".encode())
    client.logout()
    return _access("ACCESSED", BOB, _LOOPBACK, port, "imap")


def _imap_wrong_passwords(mailboxes: LocalDovecot) -> list[Truth]:
    wire = Wire(mailboxes.ports["imap"])
    for number in range(3):
        _expect(wire.say(f'{number} LOGIN {CAROL} "wrong {number}"'), b" NO ")
    wire.close()
    return _access("ACCESS_DENIED", CAROL, _LOOPBACK, wire.port, "imap")


def _imap_wrong_then_right(mailboxes: LocalDovecot) -> list[Truth]:
    """The failed attempt is in no line."""
    wire = Wire(mailboxes.ports["imap"])
    _expect(wire.say(f"1 LOGIN {CAROL} wrong"), b" NO ")
    _expect(wire.say(f"2 LOGIN {CAROL} {PASSWORD}"), b"2 OK ")
    wire.say("3 LOGOUT")
    wire.close()
    return _access("ACCESSED", CAROL, _LOOPBACK, wire.port, "imap")


def _imap_no_attempt(mailboxes: LocalDovecot) -> list[Truth]:
    """Nobody asked for a mailbox, and nobody was refused one."""
    wire = Wire(mailboxes.ports["imap"])
    wire.say("1 CAPABILITY")
    wire.close()
    return []


def _imap_hostile_name(mailboxes: LocalDovecot) -> list[Truth]:
    wire = Wire(mailboxes.ports["imap"])
    _expect(wire.say(f'1 LOGIN "{HOSTILE}" {PASSWORD}'), b"1 OK ")
    wire.say("2 LOGOUT")
    wire.close()
    return _access("ACCESSED", HOSTILE, _LOOPBACK, wire.port, "imap")


def _imap_false_fields(mailboxes: LocalDovecot) -> list[Truth]:
    wire = Wire(mailboxes.ports["imap"])
    _expect(wire.say(f'1 LOGIN "{FALSE_FIELDS}" wrong'), b" NO ")
    wire.close()
    return _access("ACCESS_DENIED", FALSE_FIELDS, _LOOPBACK, wire.port, "imap")


def _imap_false_mechanism(mailboxes: LocalDovecot) -> list[Truth]:
    wire = Wire(mailboxes.ports["imap"])
    _expect(wire.say('1 AUTHENTICATE "PLAIN, rip=6.6.6.6, lip=7.7.7.7"'), b" NO ")
    wire.close()
    return _access("ACCESS_DENIED", "", _LOOPBACK, wire.port, "imap")


def _imap_broken_off(mailboxes: LocalDovecot) -> list[Truth]:
    wire = Wire(mailboxes.ports["imap"])
    _expect(wire.say("1 AUTHENTICATE PLAIN"), b"+")
    _expect(wire.say("*"), b" BAD ")
    wire.close()
    return _access("ACCESS_DENIED", "", _LOOPBACK, wire.port, "imap")


def _imap_long_name(mailboxes: LocalDovecot) -> list[Truth]:
    """Dovecot logs 80 characters of a name."""
    wire = Wire(mailboxes.ports["imap"])
    _expect(wire.say(f"1 LOGIN {LONG_NAME} wrong"), b" NO ")
    wire.close()
    return _access("ACCESS_DENIED", LONG_NAME[:77] + "...", _LOOPBACK, wire.port, "imap")


def _imap_utf8_name(mailboxes: LocalDovecot) -> list[Truth]:
    wire = Wire(mailboxes.ports["imap"])
    name = "пользователь"
    plain = base64.b64encode(f"\0{name}\0wrong".encode()).decode()
    _expect(wire.say(f"1 AUTHENTICATE PLAIN {plain}"), b" NO ")
    wire.close()
    return _access("ACCESS_DENIED", name, _LOOPBACK, wire.port, "imap")


def _imap_haproxy(mailboxes: LocalDovecot) -> list[Truth]:
    wire = Wire(mailboxes.ports["haproxy"], greeting=False)
    wire.say("PROXY TCP4 203.0.113.9 192.0.2.1 41000 143")
    _expect(wire.say(f"1 LOGIN {ALICE} {PASSWORD}"), b"1 OK ")
    wire.say("2 LOGOUT")
    wire.close()
    return _access("ACCESSED", ALICE, "203.0.113.9", 41000, "imap")


def _imap_forwarded(mailboxes: LocalDovecot) -> list[Truth]:
    wire = Wire(mailboxes.ports["imap"])
    wire.say('1 ID ("x-originating-ip" "2001:db8::7" "x-originating-port" "4711")')
    wire.line()
    _expect(wire.say(f"2 LOGIN {BOB} {PASSWORD}"), b"2 OK ")
    wire.say("3 LOGOUT")
    wire.close()
    return _access("ACCESSED", BOB, "2001:db8::7", 4711, "imap")


def _pop3_login(mailboxes: LocalDovecot) -> list[Truth]:
    client = poplib.POP3(_LOOPBACK, mailboxes.ports["pop3"], timeout=_SECONDS)
    port = client.sock.getsockname()[1]
    client.user(ALICE)
    client.pass_(PASSWORD)
    client.stat()
    client.quit()
    return _access("ACCESSED", ALICE, _LOOPBACK, port, "pop3")


def _pop3_wrong_password(mailboxes: LocalDovecot) -> list[Truth]:
    client = poplib.POP3(_LOOPBACK, mailboxes.ports["pop3"], timeout=_SECONDS)
    port = client.sock.getsockname()[1]
    client.user(BOB)
    with suppress(poplib.error_proto):
        client.pass_("wrong")
        raise LocalEngineError("Dovecot took a wrong password.", "Look at its passdb.")
    client.quit()
    return _access("ACCESS_DENIED", BOB, _LOOPBACK, port, "pop3")


def _pop3_forwarded(mailboxes: LocalDovecot) -> list[Truth]:
    wire = Wire(mailboxes.ports["pop3"])
    _expect(wire.say("XCLIENT ADDR=198.51.100.23 PORT=4712"), b"+OK")
    wire.say(f"USER {CAROL}")
    _expect(wire.say(f"PASS {PASSWORD}"), b"+OK")
    wire.say("QUIT")
    wire.close()
    return _access("ACCESSED", CAROL, "198.51.100.23", 4712, "pop3")


def _sieve_logins(mailboxes: LocalDovecot) -> list[Truth]:
    truth = []
    for password, outcome, answer in ((PASSWORD, "ACCESSED", b"OK"), ("wrong", "ACCESS_DENIED", b"NO")):
        wire = Wire(mailboxes.ports["sieve"], greeting=False)
        while not wire.line().startswith(b"OK"):
            pass
        plain = base64.b64encode(f"\0{DAVE}\0{password}".encode()).decode()
        _expect(wire.say(f'AUTHENTICATE "PLAIN" "{plain}"'), answer)
        wire.say("LOGOUT")
        wire.close()
        truth += _access(outcome, DAVE, _LOOPBACK, wire.port, "managesieve")
    return truth


def _submission_login(mailboxes: LocalDovecot) -> list[Truth]:
    with smtplib.SMTP(_LOOPBACK, mailboxes.ports["submission"], timeout=_SECONDS) as client:
        assert client.sock is not None
        port = client.sock.getsockname()[1]
        client.login(ERIN, PASSWORD)
    return _access("ACCESSED", ERIN, _LOOPBACK, port, "submission")


_IMAP: Final[tuple[Callable[[LocalDovecot], list[Truth]], ...]] = (
    *(_imap_login, _imap_starttls, _imap_wrong_passwords, _imap_wrong_then_right, _imap_no_attempt),
    *(_imap_hostile_name, _imap_false_fields, _imap_false_mechanism, _imap_broken_off, _imap_long_name),
    *(_imap_utf8_name, _imap_haproxy, _imap_forwarded),
)
_OTHERS: Final[tuple[Callable[[LocalDovecot], list[Truth]], ...]] = (
    *(_pop3_login, _pop3_wrong_password, _pop3_forwarded, _sieve_logins, _submission_login),
)


def _expect(answer: bytes, wanted: bytes) -> None:
    if wanted not in answer:
        raise LocalEngineError(f"Dovecot answered {answer!r} where {wanted!r} was due.", "Look at its log.")


# What Sieve does with the mail of a user, and what becomes of it: (script, outcome, messages in INBOX).
SCRIPTS: Final[dict[str, tuple[str, str, int]]] = {
    BOB: ('require ["fileinto", "copy"]; fileinto :copy "Archive";', "DELIVERED", 1),
    CAROL: ("discard;", "DISCARDED", 0),
    DAVE: ('redirect "dave@example.net";', "DELIVERED", 0),
    ERIN: ('require "reject"; reject "go away; msgid=<x@y>: saved mail to INBOX";', "BOUNCED", 0),
}


class Lmtp:
    """Hands messages in by LMTP."""

    def __init__(self, port: int) -> None:
        """Connected and greeted."""
        self._wire = Wire(port)
        self._wire.socket.sendall(b"LHLO client.example.net\r\n")
        while self._wire.line()[3:4] == b"-":
            pass

    def send(self, sender: str, recipients: list[str], message_id: str | None) -> list[str | None]:
        """One message; for each recipient the session id that the server told, or None when it was refused."""
        _expect(self._wire.say(f"MAIL FROM:<{sender}>"), b"250 ")
        taken = [self._wire.say(f"RCPT TO:<{recipient}>").startswith(b"250") for recipient in recipients]
        told: list[str | None] = [None] * len(recipients)
        if not any(taken):
            _expect(self._wire.say("RSET"), b"250 ")
            return told
        _expect(self._wire.say("DATA"), b"354 ")
        header = "" if message_id is None else f"Message-ID: {message_id}\r\n"
        self._wire.socket.sendall(f"From: {sender}\r\n{header}{_BODY}.\r\n".encode())
        for index, took in enumerate(taken):
            if took:
                answer = self._wire.line().decode().split()
                told[index] = answer[-2] if answer[0] == "250" else None
        return told

    def quit(self) -> None:
        """Leave."""
        self._wire.say("QUIT")
        self._wire.close()


def deliveries(mailboxes: LocalDovecot) -> list[Truth]:
    """Mail by LMTP from elsewhere: the MTA is not on this host, so Dovecot's lines are all that it logs."""
    for user, (script, _outcome, _stored) in SCRIPTS.items():
        mailboxes.sieve_script(user, script)
    truth: list[Truth] = []
    lmtp = Lmtp(mailboxes.ports["lmtp"])
    scripted = [(user, outcome) for user, (_script, outcome, _stored) in SCRIPTS.items()]
    # Without a sender a rejection goes nowhere.
    unanswered = [(user, "DISCARDED" if user == ERIN else outcome) for user, outcome in scripted]
    messages: list[tuple[str, list[tuple[str, str]], str | None]] = [
        ("s@example.net", [(ALICE, "DELIVERED"), ("nobody@example.org", ""), (FRANK, "DELIVERED")], "<m1@example.net>"),
        ("s@example.net", [("nobody@example.org", "")], None),
        *(("s@example.net", [(ALICE, "DELIVERED")], message_id) for message_id in _MESSAGE_IDS),
        ("s@example.net", [("alice+folder@example.org", "DELIVERED")], "<m2@example.net>"),
        ("s@example.net", scripted, "<m3@example.net>"),
        ("", unanswered, "<m4@example.net>"),
        ("", [(f'"{HOSTILE}"', "DELIVERED")], "<m5@example.net>"),
    ]
    for sender, recipients, message_id in messages:
        told = lmtp.send(sender, [recipient for recipient, _ in recipients], message_id)
        for (recipient, outcome), session in zip(recipients, told, strict=True):
            if (session is None) != (outcome == ""):
                raise LocalEngineError(f"Dovecot told {session} of {recipient}.", "Look at its log.")
            if session is not None:
                mailbox = recipient.replace("+folder", "")
                truth.append(Truth("DELIVERY", outcome, None, mailbox, _LOOPBACK, session_id=session))
    lmtp.quit()
    kept = {user: 2 * stored for user, (_, _, stored) in SCRIPTS.items()}
    check_mailboxes(mailboxes, {ALICE: 2 + len(_MESSAGE_IDS), FRANK: 1} | kept)
    return truth


# None, one that Dovecot takes for none, one that imitates the text behind it, and one that is longer than it logs.
_MESSAGE_IDS: Final = (
    None,
    "<a b>",
    '<"a>: saved mail to X"@example.net>',
    "<x)<1><tok>: msgid=<y>: saved mail to Z@example.net>",
    "<" + "l" * 300 + "@example.net>",
    "plain",
)


def check_mailboxes(mailboxes: LocalDovecot, kept: dict[str, int]) -> None:
    """What we hold for delivered is what lies in the mailboxes. LocalEngineError when it is not so."""
    found = {user: mailboxes.stored(user) for user in kept}
    if found != kept:
        raise LocalEngineError(
            f"The mailboxes hold {found} messages where {kept} are due.",
            "The scenario and the mailboxes do not agree; this is a fault of the test, not of a record.",
        )


def to_json(truth: list[Truth]) -> list[dict[str, Any]]:
    """For the committed traces."""
    return [entry._asdict() for entry in truth]


def from_json(document: list[dict[str, Any]]) -> list[Truth]:
    """The truth of a committed trace."""
    return [Truth(**entry) for entry in document]

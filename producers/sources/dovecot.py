"""Dovecot lines to events: 2.2 to 2.4, through syslog or in its own file.

A line is `PREFIX: [SEVERITY: ]TEXT`. The prefix is a service (`imap-login`), with the process or the user in
parentheses and, from 2.3 on, the session (`lmtp(alice)<123><SESSION>`); the severity `Info` is written in Dovecot's own
file only. Two services say what a record is made of: the logins (here) and LMTP (`dovecot_lmtp`). A session's own lines
(imap, pop3, auth ...) name no message and no other client; they are ignored by rule.

A user name is raw and may hold anything where `auth_username_chars` is empty, so a login line is read from its end:
behind the last `rip=` stands nothing that a stranger wrote. Grammar: Dovecot's own source (login-common, str_sanitize
to 80 bytes) and traces of real runs.
"""

import base64
import binascii
import re
from typing import Final

from producers.events import Access, Event, Ignored, NotUnderstood
from producers.sources import dovecot_lmtp
from producers.text import bounded, decode, ip_address
from schemas.envelope import Outcome

USER_BYTES_MAX: Final = 80
_PREFIX: Final = re.compile(rb"([A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*)(\(|: |<)")  # 1.x: `IMAP(alice): ...`
_SEVERITY: Final = re.compile(rb"(Info|Debug|Warning|Error|Fatal|Panic): ")
_OWN: Final = re.compile(rb"[a-z][a-z0-9-]*(?:\(.*\)(?:<\d*><[^<>]*>)?)?: (?:Info|Debug|Warning|Error|Fatal|Panic): ")
_ATTEMPTS: Final = re.compile(rb"\((?:auth|authorization) failed, (\d{1,9}) attempts")
_WITHOUT_USER: Final = re.compile(rb": (?=method=|rip=)")  # before 2.2 empty elements are left out
_NO_ATTEMPT: Final = (b"(no auth attempts", b"(disconnected before auth was ready")
_SESSION: Final = re.compile(rb"session=<([0-9A-Za-z+/=]{8,64})>\Z")
_CIPHER: Final = re.compile(rb"(?:TLS|SSL)v[0-9.]{1,4} with cipher [0-9A-Za-z_-]{1,64} \(\d{1,4}/\d{1,4} bits\)")
_LOGINS: Final = (b"Login: ", b"Logged in: ")
_PLACES_MAX: Final = 16

# Services whose lines say nothing of an envelope, by rule.
_SERVICES: Final[dict[bytes, str]] = {
    service: rule
    for rule, services in {
        "dovecot-session": b"imap pop3 managesieve submission imap-hibernate imap-urlauth imap-urlauth-worker",
        "dovecot-auth": b"auth auth-worker",
        "dovecot-lda": b"lda deliver",  # run by an MTA of this host, whose delivery line owns the record
        "dovecot-life": b"master anvil config stats old-stats log ssl-params dict dict-async dict-expire dns-client "
        b"director ipc replicator aggregator indexer indexer-worker doveadm doveadm-server dsync dsync-local "
        b"dsync-server quota-status script tcpwrap health-check dovecot",
    }.items()
    for service in services.split()
}


def parse(_daemon: bytes, _pid: bytes, text: bytes) -> Event:
    """The event of one line. `text` = what follows the tag `dovecot: `."""
    found = _PREFIX.match(text)
    if found is None:
        return NotUnderstood("dovecot-line")
    service = found[1].lower()
    if service == b"lmtp":
        return dovecot_lmtp.parse(text)
    if service.endswith(b"-login"):
        if found[2] != b": ":
            return NotUnderstood("dovecot-line")
        return _login(service[:-6], text[found.end() :])
    rule = _SERVICES.get(service)
    return NotUnderstood("dovecot-service") if rule is None else Ignored(rule)


def is_own_form(text: bytes) -> bool:
    """Whether a line of which this is what follows the time is of Dovecot's own file: neither host nor tag."""
    return _OWN.match(text) is not None


def parse_own(daemon: bytes, pid: bytes, text: bytes) -> Event:
    """The event of a line of Dovecot's own file. `text` = what follows the time."""
    if not is_own_form(text):
        return Ignored("other-program")
    return parse(daemon, pid, text)


def _login(protocol: bytes, body: bytes) -> Event:
    """`MESSAGE: user=<U>, method=M, rip=IP, lip=IP, ...`, where MESSAGE says how it ended."""
    severity = _SEVERITY.match(body)
    if severity is not None:
        body = body[severity.end() :]
        if severity[1] != b"Info":
            return Ignored("dovecot-" + severity[1].decode().lower())
    proxied = body.startswith(b"proxy(")
    if proxied and b": Started proxying to " not in body and b": started proxying to " not in body:
        return Ignored("dovecot-proxy")
    at = body.find(b": user=<")
    outcome: Outcome = "ACCESSED" if proxied or body.startswith(_LOGINS) else "ACCESS_DENIED"
    if at < 0:
        place = _WITHOUT_USER.search(body) if b"user=<" not in body else None
        if place is None:
            return NotUnderstood("dovecot-login")
        return _access(protocol, outcome, body[: place.start()], b"user=<>, " + body[place.end() :], doubtful=False)
    # A proxy names the user twice, first in the message.
    doubtful = proxied and b": user=<" in body[at + 2 :]
    return _access(protocol, outcome, body[:at], body[at + 2 :], doubtful=doubtful)


def _access(protocol: bytes, outcome: Outcome, message: bytes, elements: bytes, *, doubtful: bool) -> Event:
    """`user=<U>[, method=M], rip=IP[, rport=N], lip=IP[, ...][, session=<S>]`."""
    at = _last_rip(elements)
    if at < 0:
        return NotUnderstood("dovecot-login-elements")
    head, tail = elements[6:at], elements[at:].split(b", ")
    method = head.rfind(b">, method=")
    end = method if method >= 0 else head.rfind(b">, ")
    if end < 0:
        return NotUnderstood("dovecot-login-elements")
    raw = head[:end]
    told = _ATTEMPTS.search(message)
    if outcome == "ACCESS_DENIED" and told is None:
        # Nobody was refused a mailbox who did not ask for one: a port probe, or a client that went away.
        nobody = not raw and method < 0
        if nobody or any(reason in message for reason in _NO_ATTEMPT):
            return Ignored("dovecot-no-login-attempt")
    user, invalid = decode(raw)
    flags = ["INVALID_BYTES"] if invalid else []
    if raw.endswith(b"...") and len(raw) >= USER_BYTES_MAX - 3:
        flags.append("TRUNCATED")
    if doubtful or b">, method=" in raw:
        flags.append("AMBIGUOUS_PARSE")
    fields = dict(part.partition(b"=")[::2] for part in tail)
    client_ip = ip_address(fields[b"rip"])
    session = _SESSION.match(tail[-1])
    port = bounded(fields.get(b"rport", b""), 65535)
    if port is None and session is not None:
        port = _port_of(session[1], client_ip)
    return Access(
        user=user or None,
        protocol=protocol.decode("ascii"),
        client_ip=client_ip,
        client_port=port,
        server_ip=ip_address(fields.get(b"lip", b"")),
        session_id=session[1].decode("ascii") if session else None,
        tls=_tls(b", ".join(tail), tail),
        outcome=outcome,
        attempts=(bounded(told[1], 2**31 - 1) or 1) if told else 1,
        flags=tuple(flags),
    )


def _last_rip(elements: bytes) -> int:
    """Where the last `rip=` stands that is a field with an address; -1 when there is none."""
    at = len(elements)
    for _ in range(_PLACES_MAX):
        at = elements.rfind(b", rip=", 0, at)
        if at < 0:
            return -1
        if ip_address(elements[at + 6 :].partition(b", ")[0]) is not None:
            return at + 2
    return -1


def _port_of(session: bytes, client_ip: bytes | None) -> int | None:
    """The client's port, which Dovecot packs into a session id: 48 bits of time, port (little-endian), address.

    Only where the address in it is the one that was logged: the id of a session that a proxy began may be another's.
    """
    try:
        raw = base64.b64decode(session + b"=" * (-len(session) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    if client_ip is None or len(raw) not in (12, 24):
        return None
    address = raw[8:] if len(raw) == 24 else b"\x00" * 10 + b"\xff\xff" + raw[8:]
    return int.from_bytes(raw[6:8], "little") if address == client_ip else None


def _tls(text: bytes, tail: list[bytes]) -> str | None:
    """Protocol and cipher where they are logged, else that there was TLS at all; never the text of an error."""
    found = _CIPHER.search(text)
    if found is not None:
        return found[0].decode("ascii")
    return "TLS" if any(part == b"TLS" or part.startswith(b"TLS: ") for part in tail) else None

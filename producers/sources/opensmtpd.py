"""OpenSMTPD lines to events: 6.0 to 7.8; 5.x in `opensmtpd_old`.

A line is `SESSION smtp|mta|mda WORD key=value ...` (6.0 to 6.3: `event=WORD`). A message is known by its msgid, eight
hex digits, and each of its envelopes by an evpid that begins with them. Clients and users stand in lines of the session
only, and neither the Message-ID header nor the end of a message is ever logged. The order of the fields is fixed, so
every value is cut out between the marks around it; the client's command and the reply texts (`result=`, `stat=`) give
addresses, a reply code and ids in strict form, nothing else. Grammar: the source tree's own format strings
(smtp_session.c, mta_session.c, mta.c, mda.c, queue.c), and traces of real runs.
"""

import re
from collections.abc import Callable
from typing import Final

from producers.events import (
    Address,
    Event,
    Hop,
    Ignored,
    NotUnderstood,
    Proxied,
    SessionEnded,
    SessionUser,
    TakenIn,
)
from producers.sources import opensmtpd_old
from producers.sources.opensmtpd_parts import (
    EVPID,
    HERE,
    attempt,
    client_of,
    cut_address,
    plain_address,
    relay_of,
    unvis,
)
from producers.sources.opensmtpd_refusals import refusal
from producers.text import bounded, decode

_SESSION: Final = re.compile(rb"([0-9a-f]{16}) (smtp|mta|mda) (?:event=)?([a-z_-]+):?(?: |\Z)")
_MESSAGE: Final = re.compile(
    rb"msgid=([0-9a-f]{8}) (?:from=<([^<>]*)> to=<([^<>]*)> )?size=(\d+) (?:nrcpt|ndest)=(\d+) proto=E?SMTP\Z"
)
_CONNECTING: Final = re.compile(rb"address=[a-z+]+://\S*:(\d{1,5}) host=")
_TOLD: Final = rb'" delay=\S* result="([A-Za-z]+)" stat="'
_RELAY_TOLD: Final = re.compile(rb'([^\s"]*(?: \([^\s"]*\))?)' + _TOLD)
_ANY_RELAY_TOLD: Final = re.compile(rb"(.*?)" + _TOLD, re.DOTALL)
_BEHIND_USER: Final = re.compile(rb" delay=\S* result=([A-Za-z]+) stat=")
_EVPID_BYTES: Final = 16
# Words of a session that carry no envelope facts, by rule.
_RULES: Final[dict[bytes, str]] = {
    b"smtp bad-input": "opensmtpd-client-fault",
    b"smtp tls": "opensmtpd-tls",
    b"smtp starttls": "opensmtpd-tls",
    b"smtp client-cert-check": "opensmtpd-tls",
    b"smtp cert-check": "opensmtpd-tls",
    b"smtp proxy": "opensmtpd-proxy",
    b"mta connected": "opensmtpd-attempt",
    b"mta error": "opensmtpd-attempt",
    b"mta closing": "opensmtpd-attempt",
    b"mta host-rejects-all-mails": "opensmtpd-attempt",
    b"mta server-cert-check": "opensmtpd-tls",
    b"mta cert-check": "opensmtpd-tls",
    b"mta ssl_check_name": "opensmtpd-tls",
}


def parse(_daemon: bytes, _pid: bytes, text: bytes) -> Event:
    """The event of one line; `text` = what follows `smtpd[pid]: `."""
    found = _SESSION.match(text)
    if found is None:
        return opensmtpd_old.parse(text)
    session, protocol, word = found.groups()
    key = protocol + b" " + word
    handler = _FACTS.get(key)
    if handler is not None:
        return handler(session.decode("ascii"), text[found.end() :])
    rule = _RULES.get(key)
    return Ignored(rule) if rule else NotUnderstood("opensmtpd-session-talk")


def _connected(session: str, rest: bytes) -> Event:
    """`address=IP host=NAME`."""
    where, mark, host = rest.removeprefix(b"address=").partition(b" host=")
    if not mark or not rest.startswith(b"address="):
        return NotUnderstood("opensmtpd-connected")
    return Proxied(session, client_of(where, host))


def _authentication(session: str, rest: bytes) -> Event:
    """`user=U[ address= host=] result=ok|permfail|tempfail`; blanks in U are encoded."""
    if not rest.startswith(b"user=") or b" result=" not in rest:
        return NotUnderstood("opensmtpd-authentication")
    if rest.rpartition(b" result=")[2] != b"ok":
        return Ignored("opensmtpd-authentication-failed")
    user, invalid = decode(unvis(rest[5:].partition(b" ")[0]))
    return SessionUser(session, user, ("INVALID_BYTES",) if invalid else ())


def _message(session: str, rest: bytes) -> Event:
    """`msgid=M size=N nrcpt=N proto=P`; to 6.3 one a recipient, `[address= host= ]msgid=M from=<S> to=<R> size=...`."""
    at = rest.rfind(b" msgid=") + 1  # no blank is in an address that smtpd took, but one may be in a client's name
    found = _MESSAGE.match(rest, at)
    if found is None:
        return NotUnderstood("opensmtpd-message")
    size, count = bounded(found[4], 2**63 - 1), bounded(found[5], 2**31 - 1)
    if size is None or count is None:
        return NotUnderstood("opensmtpd-message")
    queue_id = found[1].decode("ascii")
    if found[2] is None:
        return TakenIn(session, queue_id, "", size, count, None, None)
    return TakenIn(session, queue_id, "", size, None, plain_address(found[2]), plain_address(found[3]))


def _envelope(session: str, rest: bytes) -> Event:
    """`evpid=E from=<S> to=<R>`: one of the message's recipients, as it was given."""
    evpid, sender, at = _evpid_and_sender(rest)
    if sender is None or not rest.endswith(b">"):
        return NotUnderstood("opensmtpd-envelope")
    recipient = plain_address(rest[at + 5 : -1])
    return TakenIn(session, evpid[:8].decode("ascii"), evpid.decode("ascii"), None, None, sender, recipient)


def _evpid_and_sender(rest: bytes) -> tuple[bytes, Address | None, int]:
    """`evpid=E from=<S>` and where ` to=<` follows; no sender when the text has another form."""
    evpid = rest[6 : 6 + _EVPID_BYTES]
    at = 6 + _EVPID_BYTES + 7
    if not rest.startswith(b"evpid=") or not EVPID.fullmatch(evpid) or rest[at - 7 : at] != b" from=<":
        return b"", None, -1
    sender, at = cut_address(rest, at, (b" to=<",))
    return evpid, sender, at


def _relayed(session: str, rest: bytes) -> Event:
    """`evpid=E from=<S> to=<R> rcpt=<O or -> source="IP" relay="X" delay=D result="R" stat="T"`."""
    evpid, sender, at = _evpid_and_sender(rest)
    if sender is None:
        return NotUnderstood("opensmtpd-relayed")
    recipient, at = cut_address(rest, at + 5, (b" rcpt=<",))
    if recipient is None:
        return NotUnderstood("opensmtpd-relayed")
    original, at = cut_address(rest, at + 7, (b' source="',))
    begin = rest.find(b'" relay="', at) + 9
    if original is None or begin < 9:
        return NotUnderstood("opensmtpd-relayed")
    told = _RELAY_TOLD.match(rest, begin)
    if told is None:  # the next hop's name, which DNS gave, holds what no name may: then its end is in doubt
        told = _ANY_RELAY_TOLD.match(rest, begin)
        recipient = recipient._replace(flags=(*recipient.flags, "AMBIGUOUS_PARSE"))
    if told is None:
        return NotUnderstood("opensmtpd-relayed")
    given = None if original.text == "-" else original
    return attempt(session, evpid, sender, recipient, given, relay_of(told[1]), told[2], rest[told.end() :])


def _stored(session: str, rest: bytes) -> Event:
    """`evpid=E from=<S> to=<R> [rcpt=<O> ]user=U [method=M ]delay=D result=R stat=T`."""
    evpid, sender, at = _evpid_and_sender(rest)
    if sender is None:
        return NotUnderstood("opensmtpd-stored")
    recipient, at = cut_address(rest, at + 5, (b" rcpt=<", b" user="))
    original = None
    if recipient is not None and rest.startswith(b" rcpt=<", at):
        original, at = cut_address(rest, at + 7, (b" user=",))
    behind = _BEHIND_USER.search(rest, at) if at >= 0 else None
    if recipient is None or behind is None:
        return NotUnderstood("opensmtpd-stored")
    return attempt(session, evpid, sender, recipient, original, HERE, behind[1], b"")


def _connecting(session: str, rest: bytes) -> Event:
    """`address=SCHEME://IP:PORT host=NAME`."""
    found = _CONNECTING.match(rest)
    return Hop(session, int(found[1]), None) if found else NotUnderstood("opensmtpd-connecting")


def _secured(session: str, rest: bytes) -> Event:
    """`ciphers=VERSION:CIPHER:BITS` of a session to the next hop."""
    if not rest.startswith(b"ciphers="):
        return NotUnderstood("opensmtpd-tls")
    return Hop(session, None, decode(rest[8:].strip(b'"'))[0] or None)


def _left(session: str, _rest: bytes) -> Event:
    """The session to a next hop is over."""
    return Hop(session, None, None, over=True)


_FACTS: Final[dict[bytes, Callable[[str, bytes], Event]]] = {
    b"smtp connected": _connected,
    b"smtp authentication": _authentication,
    b"smtp message": _message,
    b"smtp envelope": _envelope,
    b"smtp failed-command": refusal,
    b"smtp disconnected": lambda session, _rest: SessionEnded(session),
    b"smtp closed": lambda session, _rest: SessionEnded(session),
    b"mta connecting": _connecting,
    b"mta tls": _secured,
    b"mta starttls": _secured,
    b"mta delivery": _relayed,
    b"mta disconnected": _left,
    b"mta closed": _left,
    b"mda delivery": _stored,
}

"""OpenSMTPD lines that do not begin with a session: 5.x, and the queue's own in all versions.

To 5.4 the verb comes first (`smtp-in: Accepted message M on session S: ...`, `relay: Ok for EVPID: ...`), from 5.7 to
5.9 the session (`smtp-in: session S: msgid=M, status=Ok, ...`). The queue writes `relay: Expire for EVPID: ...` and
`relay: Remove for EVPID: ...` to this day. Forms are those of the source tree's history and of logs in its issues; 5.0
to 5.3 name no recipients at arrival.
"""

import re
from typing import Final

from producers.events import (
    EnvelopeEnded,
    Event,
    Hop,
    Ignored,
    NotUnderstood,
    Proxied,
    SessionEnded,
    SessionUser,
    TakenIn,
)
from producers.sources.opensmtpd_parts import HERE, attempt, client_of, cut_address, plain_address, relay_of, unvis
from producers.sources.opensmtpd_refusals import refused
from producers.text import bounded, decode
from schemas.envelope import Outcome

_ENVELOPE: Final = re.compile(
    rb"(?:relay|delivery): (Ok|TempFail|PermFail|Expire|Remove) for ([0-9a-f]{16}): (?:session=([0-9a-f]{16}), )?from=<"
)
_ENVELOPE_OF: Final = re.compile(
    rb"[a-z-]+: session ([0-9a-f]{16}): evpid=([0-9a-f]{16}), status=(Ok|TempFail|PermFail), from=<"
)
_DELAY: Final = re.compile(rb",? delay=[^\s,]*, stat=")
_ENDED: Final[dict[bytes, Outcome]] = {b"Expire": "EXPIRED", b"Remove": "DELETED"}
_NEW: Final = re.compile(rb"New session ([0-9a-f]{16}) from host (.*) \[([^\[\]]*)\]\Z", re.DOTALL)
_OF: Final = re.compile(rb"session ([0-9a-f]{16}): ")
_ESTABLISHED: Final = re.compile(rb"connection from host (.*) \[([^\[\]]*)\] established\Z", re.DOTALL)
_ACCEPTED: Final = re.compile(rb"Accepted message ([0-9a-f]{8}) on session ([0-9a-f]{16}): ")
_ACCEPTED_OF: Final = re.compile(rb"msgid=([0-9a-f]{8}), status=Ok, ")
_TAKEN: Final = re.compile(rb"from=<([^<>]*)>(?:, to=<([^<>]*)>)?, size=(\d+), (?:ndest|nrcpts)=(\d+), proto=E?SMTP\Z")
_USER: Final = re.compile(rb"Accepted authentication for user (\S+) on session ([0-9a-f]{16})\Z")
_USER_OF: Final = re.compile(rb"authentication successful for user (\S+) ?\Z")
_FAILED: Final = re.compile(rb'Failed command on session ([0-9a-f]{16}): "(.*)" => (.*)\Z', re.DOTALL)
_FAILED_OF: Final = re.compile(rb'received invalid command: "(.*)"\Z', re.DOTALL)
_CLOSED: Final = re.compile(
    rb"(?:Closing session|Received disconnect from session|Disconnecting session|IO error on session) ([0-9a-f]{16})"
)
_CONNECTING: Final = re.compile(rb"Connecting to [a-z+]+://\S*:(\d{1,5}) \([^()]*\) on session ([0-9a-f]{16})\.\.\.\Z")
_CONNECTING_OF: Final = re.compile(rb"connecting to [a-z+]+://\S*:(\d{1,5}) \([^()]*\)\Z")
_LEFT: Final = re.compile(rb"Closing session ([0-9a-f]{16})")

# Beginnings of talk, by rule. What only `smtpd -v` and `smtpctl trace` write is debug.
_RULES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"info: ", "opensmtpd-life"),
    (b"Exiting", "opensmtpd-life"),
    (b"version: ", "opensmtpd-life"),
    (b"queue: queue ", "opensmtpd-life"),
    (b"commands executed from aliases ", "opensmtpd-life"),
    (b"warn:", "opensmtpd-warning"),
    (b"fatal: ", "opensmtpd-error"),
    (b"smtpd: ", "opensmtpd-error"),
    (b"pony express: ", "opensmtpd-error"),
    (b"queue: ", "opensmtpd-warning"),
    (b"envelope: ", "opensmtpd-warning"),
    (b"SRS failed ", "opensmtpd-warning"),
    (b"getnameinfo: ", "opensmtpd-resolver"),
    (b"getaddrinfo: ", "opensmtpd-resolver"),
    (b"proxy ", "opensmtpd-proxy"),
    (b"smtp-out: ", "opensmtpd-attempt"),
    (b"debug: ", "opensmtpd-debug"),
    (b"smtp: ", "opensmtpd-debug"),
    (b"mta: ", "opensmtpd-debug"),
    (b"mda: ", "opensmtpd-debug"),
    (b"bounce: ", "opensmtpd-debug"),
    (b"imsg: ", "opensmtpd-debug"),
    (b"mproc: ", "opensmtpd-debug"),
    (b"lookup: ", "opensmtpd-debug"),
    (b"expand: ", "opensmtpd-debug"),
    (b"rule #", "opensmtpd-debug"),
    (b"no rule matched", "opensmtpd-debug"),
    (b"queue-backend: ", "opensmtpd-debug"),
    (b"scheduler: ", "opensmtpd-debug"),
    (b"ramstat: ", "opensmtpd-debug"),
    (b"profile", "opensmtpd-debug"),
    (b"setup_", "opensmtpd-debug"),
    (b"filter: ", "opensmtpd-debug"),
    (b"filters ", "opensmtpd-debug"),
    (b"filter session", "opensmtpd-debug"),
    (b"scheduling ", "opensmtpd-debug"),
    (b"suspending ", "opensmtpd-debug"),
    (b"resuming ", "opensmtpd-debug"),
    (b"removing ", "opensmtpd-debug"),
    (b"\t", "opensmtpd-debug"),
    (b"#011", "opensmtpd-debug"),  # the same, as rsyslog writes it
    (b"stat: ", "opensmtpd-debug"),
    (b"io: ", "opensmtpd-debug"),
    (b"<<< ", "opensmtpd-debug"),
    (b">>> ", "opensmtpd-debug"),
)
# The standard error of a filter or table: `name: text`, whatever it is called.
_NAMED_TALK: Final = re.compile(rb"[A-Za-z0-9._/-]{1,64}: ")
_ANY_ID: Final = re.compile(rb"(?:for|session) [0-9a-f]{16}\b")


def parse(text: bytes) -> Event:
    """The event of a line that does not begin with a session."""
    if (head := _ENVELOPE.match(text)) is not None:
        return _envelope(text, head.end(), head[1], head[2], head[3] or b"")
    if (head := _ENVELOPE_OF.match(text)) is not None:
        return _envelope(text, head.end(), head[3], head[2], head[1])
    if text.startswith(b"smtp-in: "):
        return _incoming(text[9:])
    if text.startswith(b"smtp-out: "):
        return _outgoing(text[10:])
    for beginning, rule in _RULES:
        if text.startswith(beginning):
            return Ignored(rule)
    if text[16:25] == b" filters ":
        return Ignored("opensmtpd-debug")
    if _NAMED_TALK.match(text) and not _ANY_ID.search(text):
        return Ignored("opensmtpd-filter-note")
    return NotUnderstood("opensmtpd-talk")


def _incoming(text: bytes) -> Event:
    """Sessions of clients."""
    if (of := _OF.match(text)) is not None:
        return _incoming_of(of[1].decode("ascii"), text[of.end() :])
    if (found := _NEW.match(text)) is not None:
        return Proxied(found[1].decode("ascii"), client_of(found[3], found[2]))
    if (found := _ACCEPTED.match(text)) is not None:
        return _taken(found[2].decode("ascii"), found[1], text[found.end() :])
    if (found := _USER.match(text)) is not None:
        return _user(found[2].decode("ascii"), found[1])
    if (found := _FAILED.match(text)) is not None:
        return refused(found[1].decode("ascii"), found[2], found[3], doubtful=text.count(b'" => ') > 1)
    if (found := _CLOSED.match(text)) is not None:
        return SessionEnded(found[1].decode("ascii"))
    if text.startswith((b"Authentication ", b"AUTH ")):
        return Ignored("opensmtpd-authentication-failed")
    if text.startswith((b"Started TLS ", b"Client certificate ", b"Disconnecting ", b"Certificate ")):
        return Ignored("opensmtpd-tls")
    if text.startswith((b"Bad input ", b"Ending session ")):
        return Ignored("opensmtpd-client-fault")
    return NotUnderstood("opensmtpd-old-session")


def _incoming_of(session: str, text: bytes) -> Event:
    """The same, where the session comes first."""
    if (found := _ESTABLISHED.match(text)) is not None:
        return Proxied(session, client_of(found[2], found[1]))
    if (found := _ACCEPTED_OF.match(text)) is not None:
        return _taken(session, found[1], text[found.end() :])
    if (found := _USER_OF.match(text)) is not None:
        return _user(session, found[1])
    if (found := _FAILED_OF.match(text)) is not None:
        return refused(session, found[1], None, doubtful=False)
    if text.startswith(b"connection from host ") and b"] closed" in text:
        return SessionEnded(session)
    if text.startswith((b"TLS started ", b"client certificate ", b"certificate ")):
        return Ignored("opensmtpd-tls")
    if text.startswith(b"authentication "):
        return Ignored("opensmtpd-authentication-failed")
    return NotUnderstood("opensmtpd-old-session")


def _taken(session: str, queue_id: bytes, text: bytes) -> Event:
    """`from=<S>, [to=<R>, ]size=N, ndest|nrcpts=N, proto=P`."""
    found = _TAKEN.match(text)
    size = bounded(found[3], 2**63 - 1) if found else None
    count = bounded(found[4], 2**31 - 1) if found else None
    if found is None or size is None or count is None:
        return NotUnderstood("opensmtpd-message")
    sender = plain_address(found[1])
    if found[2] is None:
        return TakenIn(session, queue_id.decode("ascii"), "", size, count, sender, None)
    return TakenIn(session, queue_id.decode("ascii"), "", size, None, sender, plain_address(found[2]))


def _user(session: str, user: bytes) -> Event:
    name, invalid = decode(unvis(user))
    return SessionUser(session, name, ("INVALID_BYTES",) if invalid else ())


def _outgoing(text: bytes) -> Event:
    """Sessions to next hops; in all versions what went wrong on the way to them."""
    if (found := _CONNECTING.match(text)) is not None:
        return Hop(found[2].decode("ascii"), int(found[1]), None)
    if (of := _OF.match(text)) is not None and (found := _CONNECTING_OF.match(text[of.end() :])) is not None:
        return Hop(of[1].decode("ascii"), int(found[1]), None)
    if (found := _LEFT.match(text)) is not None:
        return Hop(found[1].decode("ascii"), None, None, over=True)
    if b"evpid=" in text and b"from=<" in text:
        return NotUnderstood("opensmtpd-old-envelope")  # facts of an envelope, in a form that is not known
    return Ignored("opensmtpd-attempt")


def _envelope(text: bytes, at: int, word: bytes, evpid: bytes, session: bytes) -> Event:
    """`from=<S>, to=<R>, [rcpt=<O>, ]..., delay=D, stat=T`; with `relay=` it was for a next hop."""
    followers = (b", user=", b", source=", b", relay=")
    sender, at = cut_address(text, at, (b", to=<",))
    recipient, at = cut_address(text, at + 6, (b", rcpt=<", *followers)) if sender is not None else (None, -1)
    original = None
    if recipient is not None and text.startswith(b", rcpt=<", at):
        original, at = cut_address(text, at + 8, (*followers, b", delay="))
    behind = _DELAY.search(text, at) if at >= 0 else None
    if sender is None or recipient is None or behind is None:
        return NotUnderstood("opensmtpd-old-envelope")
    if original is not None and original.text in ("-", recipient.text):
        original = None
    if word in _ENDED:
        if word == b"Remove":
            recipient = recipient._replace(flags=(*recipient.flags, "ADMINISTRATIVE"))
        name = evpid.decode("ascii")
        return EnvelopeEnded(name[:8], name, sender, recipient, original, _ENDED[word])
    relay, reply = HERE, b""
    begin = text.find(b", relay=", at, behind.start())
    if begin >= 0:
        relay, reply = relay_of(text[begin + 8 : behind.start()]), text[behind.end() :]
    elif not text.startswith(b", user=", at):
        return NotUnderstood("opensmtpd-old-envelope")
    return attempt(session.decode("ascii"), evpid, sender, recipient, original, relay, word, reply)

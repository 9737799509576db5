"""Postfix lines that carry no envelope facts, by rule; and the few without a queue id that end something."""

import re
from typing import Final

from producers.events import Client, Event, Ignored, NotUnderstood, Refusal, RemovedByHand, SessionEnded

_DELETED_ALL: Final = re.compile(rb"Deleted: (\d{1,9}) messages?\Z")

_TAKEN: Final = re.compile(rb" (?:data|bdat)=(\d{1,9})\b")
_TOO_BIG: Final = re.compile(rb"warning: ([0-9A-Za-z]{6,24}): queue file size limit exceeded\Z")
_QUIET: Final = (
    b"postfix-script",
    b"master",
    b"postlogd",
    b"scache",
    b"tlsmgr",
    b"tlsproxy",
    b"anvil",
    b"trivial-rewrite",
)

# Beginnings of talk, by rule. Longest first where one begins another.
_RULES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"connect from ", "postfix-connect"),
    (b"CONNECT from ", "postfix-postscreen"),
    (b"PASS ", "postfix-postscreen"),
    (b"HANGUP ", "postfix-postscreen"),
    (b"DISCONNECT ", "postfix-postscreen"),
    (b"DNSBL ", "postfix-postscreen"),
    (b"PREGREET ", "postfix-postscreen"),
    (b"COMMAND ", "postfix-postscreen"),
    (b"BARE NEWLINE ", "postfix-postscreen"),
    (b"NON-SMTP COMMAND ", "postfix-postscreen"),
    (b"ALLOWLISTED ", "postfix-postscreen"),
    (b"WHITELISTED ", "postfix-postscreen"),
    (b"DENYLISTED ", "postfix-postscreen"),
    (b"BLACKLISTED ", "postfix-postscreen"),
    (b"WHITELIST VETO ", "postfix-postscreen"),
    (b"ALLOWLIST VETO ", "postfix-postscreen"),
    (b"addr ", "postfix-dnsblog"),
    (b"cache ", "postfix-cache"),
    (b"statistics: ", "postfix-statistics"),
    (b"warning: ", "postfix-warning"),
    (b"error: ", "postfix-error"),
    (b"fatal: ", "postfix-error"),
    (b"panic: ", "postfix-error"),
    (b"info: ", "postfix-info"),
    (b"using ", "postfix-info"),
    (b"improper command pipelining ", "postfix-client-fault"),
    (b"bare <LF> received ", "postfix-client-fault"),
    (b"discarding EHLO keywords", "postfix-client-fault"),
    (b"too many ", "postfix-client-fault"),
    (b"SSL_accept error ", "postfix-tls"),
    (b"SSL_connect error ", "postfix-tls"),
    (b"setting up TLS connection ", "postfix-tls"),
    (b"Anonymous TLS connection ", "postfix-tls"),
    (b"Trusted TLS connection ", "postfix-tls"),
    (b"Untrusted TLS connection ", "postfix-tls"),
    (b"Verified TLS connection ", "postfix-tls"),
    (b"Server certificate ", "postfix-tls"),
    (b"certificate verification ", "postfix-tls"),
    (b"TLS SNI ", "postfix-tls"),
    (b"Host offered STARTTLS", "postfix-tls"),
    (b"Cannot start TLS", "postfix-tls"),
    (b"connect to ", "postfix-attempt"),
    (b"host ", "postfix-attempt"),
    (b"enabling PIX workarounds", "postfix-attempt"),
    (b"mapping DSN status ", "postfix-attempt"),
    (b"table ", "postfix-life"),
    (b"starting ", "postfix-life"),
    (b"daemon started", "postfix-life"),
    (b"reload ", "postfix-life"),
    (b"refreshing ", "postfix-life"),
    (b"terminating ", "postfix-life"),
    (b"stopping ", "postfix-life"),
    (b"rotating ", "postfix-life"),
    (b"Postfix ", "postfix-life"),
    (b"to the ", "postfix-life"),
    (b"open database ", "postfix-life"),
    (b"name_mask: ", "postfix-life"),
    (b"dict_", "postfix-life"),
    (b"proxymap ", "postfix-life"),
    (b"running ", "postfix-life"),
    (b"policyd-spf", "postfix-policy"),
    (b"message has been queued", "postfix-info"),
    (b"NOQUEUE: abort", "postfix-client-fault"),
    (b"NOQUEUE: hold", "postfix-access-note"),
    (b"Requeued: ", "postfix-by-hand-summary"),
    (b"Placed on hold: ", "postfix-by-hand-summary"),
    (b"Released from hold: ", "postfix-by-hand-summary"),
    (b"Expired: ", "postfix-by-hand-summary"),
    (b"Force-expired: ", "postfix-by-hand-summary"),
)

_WITH_QUEUE_ID: Final[tuple[tuple[bytes, str], ...]] = (
    (b"host ", "postfix-attempt"),
    (b"connect to ", "postfix-attempt"),
    (b"lost connection with ", "postfix-attempt"),
    (b"conversation with ", "postfix-attempt"),
    (b"enabling PIX workarounds", "postfix-attempt"),
    (b"Cannot start TLS", "postfix-attempt"),
    (b"TLS is required", "postfix-attempt"),
    (b"SASL authentication failed", "postfix-attempt"),
    (b"passing <", "postfix-passing"),
    (b"skipped, still being delivered", "postfix-skipped"),
    (b"released from hold", "postfix-released"),
    (b"expired", "postfix-by-hand-note"),
    (b"force-expired", "postfix-by-hand-note"),
    (b"sender_bcc", "postfix-access-note"),
    (b"milter-", "postfix-access-note"),
    (b"abort: ", "postfix-client-fault"),
    (b"DKIM-Signature ", "postfix-milter-note"),
    (b"no signing ", "postfix-milter-note"),
    (b"uncommitted", "postfix-milter-note"),
)


_BEGINNING_BYTES: Final = 4


def _by_beginning(rules: tuple[tuple[bytes, str], ...]) -> dict[bytes, list[tuple[bytes, Ignored]]]:
    """The rules by the first bytes of their beginnings, in their order."""
    found: dict[bytes, list[tuple[bytes, Ignored]]] = {}
    for beginning, rule in rules:
        assert len(beginning) >= _BEGINNING_BYTES
        found.setdefault(beginning[:_BEGINNING_BYTES], []).append((beginning, Ignored(rule)))
    return found


_TALK: Final = _by_beginning(_RULES)
_TALK_WITH_QUEUE_ID: Final = _by_beginning(_WITH_QUEUE_ID)


def parse(daemon: bytes, pid: bytes, text: bytes) -> Event:
    """A line without a queue id."""
    if text.startswith(b"disconnect from "):
        counts = _TAKEN.findall(text) if b" commands=" in text else None  # counted since 3.0
        return SessionEnded(pid.decode("ascii", "replace"), None if counts is None else sum(map(int, counts)))
    if text.startswith((b"lost connection after ", b"timeout after ", b"too many errors after ")):
        return SessionEnded(pid.decode("ascii", "replace"), over=False)
    if daemon == b"cleanup" and (found := _TOO_BIG.match(text)) is not None:  # smtpd may say the same once more
        client = Client(None, None, "NOT_LOGGED")
        flags = ("RECIPIENTS_INCOMPLETE",)
        return Refusal(found[1].decode("ascii"), client, None, None, "REFUSED", None, None, True, flags)
    for beginning, ignored in _TALK.get(text[:_BEGINNING_BYTES], ()):
        if text.startswith(beginning):
            return ignored
    if (found := _DELETED_ALL.match(text)) is not None:
        return RemovedByHand(pid.decode("ascii", "replace"), int(found[1]))
    if daemon in _QUIET:
        return Ignored("postfix-life")
    return NotUnderstood("postfix-talk")


def with_queue_id(_daemon: bytes, rest: bytes) -> Event:
    """Text behind a queue id that is no fact."""
    for beginning, ignored in _TALK_WITH_QUEUE_ID.get(rest[:_BEGINNING_BYTES], ()):
        if rest.startswith(beginning):
            return ignored
    return NotUnderstood("postfix-queue-id-talk")

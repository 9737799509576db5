"""Exim lines that carry no envelope facts, by rule."""

import re
from typing import Final

from producers.events import Event, Ignored, NotUnderstood

# Beginnings of lines without an id.
_RULES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"SMTP connection ", "exim-connection"),
    (b"no MAIL in SMTP connection ", "exim-connection"),
    (b"unexpected disconnection ", "exim-connection"),
    (b"Connection from ", "exim-connection"),
    (b"refused connection ", "exim-connection"),
    (b"SMTP command timeout ", "exim-connection"),
    (b"SMTP data timeout ", "exim-connection"),
    (b"SMTP call from ", "exim-connection"),
    (b"timed out while reading local message", "exim-connection"),
    (b"SMTP protocol ", "exim-client-fault"),
    (b"SMTP syntax error ", "exim-client-fault"),
    (b"SMTP command ", "exim-client-fault"),
    (b"rejected MAIL from ", "exim-client-fault"),
    (b"rejected HELO ", "exim-client-fault"),
    (b"rejected EHLO ", "exim-client-fault"),
    (b"rejected VRFY ", "exim-client-fault"),
    (b"rejected EXPN ", "exim-client-fault"),
    (b"rejected ETRN ", "exim-client-fault"),
    (b"too many ", "exim-client-fault"),
    (b"dropped: too many ", "exim-client-fault"),
    (b"incomplete transaction ", "exim-client-fault"),
    (b"TLS ", "exim-tls"),
    (b"[", "exim-tls"),
    (b"no host name found ", "exim-lookup"),
    (b"no IP address found ", "exim-lookup"),
    (b"host lookup ", "exim-lookup"),
    (b"host name alias list ", "exim-lookup"),
    (b"ident connection ", "exim-lookup"),
    (b"cwd=", "exim-run"),
    (b"Start queue run", "exim-run"),
    (b"End queue run", "exim-run"),
    (b"exim ", "exim-life"),
    (b"pid ", "exim-life"),
    (b"daemon ", "exim-life"),
    (b"Exim configuration ", "exim-life"),
    (b"Warning: ", "exim-warning"),
    (b"failed to ", "exim-warning"),
    (b"Failed to ", "exim-warning"),
    (b"PANIC", "exim-warning"),
    (b"socket bind() ", "exim-warning"),
    (b"Sender identification ", "exim-note"),
    (b"ETRN ", "exim-note"),
    (b"VRFY ", "exim-note"),
    (b"EXPN ", "exim-note"),
    (b"DKIM: ", "exim-note"),
    (b"SPF: ", "exim-note"),
    (b"DMARC ", "exim-note"),
    (b"STDIN ", "exim-note"),
    (b"X=", "exim-tls"),
)
_AUTHENTICATOR: Final = re.compile(rb"[\w.-]+ authenticator (?:failed|temporarily failed|defer)")

_WITH_QUEUE_ID: Final[tuple[tuple[bytes, str], ...]] = (
    (b"Message is frozen", "exim-skipped"),
    (b"Spool file is locked", "exim-skipped"),
    (b"Spool file for ", "exim-skipped"),
    (b"message is locked", "exim-skipped"),
    (b"no immediate delivery", "exim-skipped"),
    (b"already on the list", "exim-skipped"),
    (b"DKIM: ", "exim-note"),
    (b"SPF", "exim-note"),
    (b"DMARC", "exim-note"),
    (b"PRDR ", "exim-prdr"),
    (b"original recipients ignored ", "exim-note"),
    (b"error ignored", "exim-note"),
    (b"Sender rewritten ", "exim-note"),
    (b"Warning: ", "exim-warning"),
    (b"SMTP error from remote mail", "exim-attempt"),
    (b"LMTP error ", "exim-attempt"),
    (b"Remote host ", "exim-attempt"),
    (b"SMTP timeout ", "exim-attempt"),
    (b"remote host ", "exim-attempt"),
    (b"no host name found ", "exim-lookup"),
    (b"no IP address found ", "exim-lookup"),
    (b"host lookup ", "exim-lookup"),
    (b"all hosts for ", "exim-attempt"),
    (b"TLS ", "exim-tls"),
    (b"TLS: ", "exim-tls"),
    (b"SMTP connection ", "exim-connection"),
    (b"SMTP data timeout ", "exim-connection"),
    (b"unexpected disconnection ", "exim-connection"),
    (b"SMTP connection lost after final dot", "exim-connection"),
    (b"timed out while reading local message", "exim-connection"),
    (b"Malformed ", "exim-warning"),
    (b"failed to ", "exim-warning"),
    (b"Failed to ", "exim-warning"),
    (b"Format error ", "exim-warning"),
    (b"Message abandoned", "exim-warning"),
    (b"spam acl condition", "exim-note"),
    (b"malware acl condition", "exim-note"),
    (b"local_scan() ", "exim-note"),
    (b"H=", "exim-attempt"),
    (b"[", "exim-attempt"),
)
_OUTPUT: Final = re.compile(rb"<[^\n]*>: [\w.-]+ transport output: ")
_ATTEMPT: Final = re.compile(rb"[^\s\[\]]+ \[[0-9A-Fa-f.:]+\](?::\d+)?:? ")


def _by_first_byte(rules: tuple[tuple[bytes, str], ...]) -> dict[bytes, list[tuple[bytes, str]]]:
    """Rules by the first byte of what they begin with, each list in the order of the table."""
    out: dict[bytes, list[tuple[bytes, str]]] = {}
    for beginning, rule in rules:
        out.setdefault(beginning[:1], []).append((beginning, rule))
    return out


_BY_BYTE: Final = _by_first_byte(_RULES)
_BY_BYTE_WITH_QUEUE_ID: Final = _by_first_byte(_WITH_QUEUE_ID)


def parse(text: bytes) -> Event:
    """A line without a message id."""
    for beginning, rule in _BY_BYTE.get(text[:1], ()):
        if text.startswith(beginning):
            return Ignored(rule)
    if _AUTHENTICATOR.match(text):
        return Ignored("exim-login")
    return NotUnderstood("exim-talk")


def with_queue_id(rest: bytes) -> Event:
    """Text behind a message id that is no fact."""
    for beginning, rule in _BY_BYTE_WITH_QUEUE_ID.get(rest[:1], ()):
        if rest.startswith(beginning):
            return Ignored(rule)
    if _OUTPUT.match(rest):
        return Ignored("exim-output")
    if rest.endswith(b": error ignored"):
        return Ignored("exim-note")  # nobody is to be told of a failure, which has a line of its own
    if _ATTEMPT.match(rest):
        return Ignored("exim-attempt")
    return NotUnderstood("exim-queue-id-talk")

"""Sendmail lines that carry no envelope facts, by rule."""

import re
from typing import Final

from producers.events import Event, Ignored, NotUnderstood

_CLIENT_SAID: Final = re.compile(
    rb"\S* ?\[[^\[\]]*\](?: \(may be forged\))?(?:: | )"
    rb"(?:possible SMTP attack: |Possible SMTP RCPT flood|VRFY |EXPN |ETRN |SMTP violation, |probable open proxy: |"
    rb"did not issue MAIL/EXPN/VRFY/ETRN during connection to |SMTP (?:MAIL|RCPT|DATA-\d) protocol error: )",
    re.IGNORECASE,
)
_RULES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"Milter (", "sendmail-milter-note"),
    (b"milter=", "sendmail-milter-note"),
    (b"Milter ", "sendmail-milter-note"),
    (b"milter_", "sendmail-milter-note"),
    (b"connect from ", "sendmail-connect"),
    (b"SMTP outgoing connect on ", "sendmail-attempt"),
    (b"makeconnection (", "sendmail-attempt"),
    (b"lost input channel from ", "sendmail-client-fault"),
    (b"timeout waiting for input from ", "sendmail-client-fault"),
    (b"timeout writing message to ", "sendmail-attempt"),
    (b"collect: ", "sendmail-client-fault"),
    (b"message size (", "sendmail-refusal-note"),  # lines about its recipients follow
    (b"headers too large ", "sendmail-refusal-note"),
    (b"invalid domain name ", "sendmail-client-fault"),
    (b"rejecting commands from ", "sendmail-client-fault"),
    (b"unauthorized PIPELINING", "sendmail-client-fault"),
    (b"POSSIBLE ATTACK from ", "sendmail-client-fault"),
    (b"SMTP MAIL command (", "sendmail-client-fault"),
    (b"SMTP RCPT command (", "sendmail-client-fault"),
    (b"SMTP ETRN command (", "sendmail-client-fault"),
    (b"SMTP STARTTLS command (", "sendmail-client-fault"),
    (b"Authentication-Warning: ", "sendmail-authentication-warning"),
    (b"STARTTLS", "sendmail-tls"),
    (b"TLS: ", "sendmail-tls"),
    (b"tls_", "sendmail-tls"),
    (b"AUTH", "sendmail-auth"),
    (b"SYSERR(", "sendmail-error"),
    (b"ERROR: ", "sendmail-error"),
    (b"error: ", "sendmail-error"),
    (b"WARNING: ", "sendmail-warning"),
    (b"Warning: ", "sendmail-warning"),
    (b"Losing ", "sendmail-error"),
    (b"savemail panic", "sendmail-error"),
    (b"Saved message in ", "sendmail-error"),
    (b"alias ", "sendmail-alias-note"),
    (b"aliased to ", "sendmail-alias-note"),
    (b"expand ", "sendmail-alias-note"),
    (b"forward ", "sendmail-alias-note"),
    (b"include ", "sendmail-alias-note"),
    (b"dns ", "sendmail-alias-note"),
    (b"Fixed MIME ", "sendmail-header-note"),
    (b"Truncated ", "sendmail-header-note"),
    (b"Dropped invalid comments ", "sendmail-header-note"),
    (b"setsender: ", "sendmail-header-note"),
    (b"locked", "sendmail-queue-note"),
    (b"queueup: ", "sendmail-queue-note"),
    (b"runqueue", "sendmail-queue-note"),
    (b"grew WorkList", "sendmail-queue-note"),
    (b"rejecting new messages: ", "sendmail-life"),
    (b"low on space ", "sendmail-life"),
    (b"poststats: ", "sendmail-life"),
    (b"starting daemon (", "sendmail-life"),
    (b"started as: ", "sendmail-life"),
    (b"stopping daemon, ", "sendmail-life"),
    (b"restarting ", "sendmail-life"),
    (b"accepting connections again ", "sendmail-life"),
    (b"rejecting connections on daemon ", "sendmail-life"),
    (b"have been rejecting connections ", "sendmail-life"),
    (b"deferring connections on daemon ", "sendmail-life"),
    (b"delaying connections on daemon ", "sendmail-life"),
    (b"daemon ", "sendmail-life"),
    (b"engine=", "sendmail-life"),
    (b"persistent queue runner", "sendmail-life"),
    (b"tcpwrappers (", "sendmail-life"),
    (b"My unqualified host name ", "sendmail-life"),
    (b"unable to ", "sendmail-life"),
    (b"gethostbyaddr(", "sendmail-life"),
    (b"problem creating SMTP socket", "sendmail-life"),
    (b"looking for plugins in ", "sendmail-life"),
    (b"File descriptors missing on startup", "sendmail-life"),
    (b"user ", "sendmail-life"),
    (b"DIGEST-MD5", "sendmail-auth"),
    (b"CRAM-MD5", "sendmail-auth"),
    (b"PLAIN ", "sendmail-auth"),
    (b"LOGIN ", "sendmail-auth"),
    (b"no secret in database", "sendmail-auth"),
    (b"auxpropfunc error", "sendmail-auth"),
    (b"could not find auxprop plugin", "sendmail-auth"),
    (b"done", "sendmail-life"),
)
_ALIASES: Final = re.compile(rb"\S+: \d+ aliases, longest \d+ bytes, \d+ bytes total\Z")
_RESPONSE: Final = re.compile(rb"\S+ mailer \(\S+\) exited with EX_TEMPFAIL\Z|reply\(.*\) during ", re.DOTALL)


def parse(text: bytes) -> Event:
    """A line without a queue id."""
    return _by_rule(text) or (
        Ignored("sendmail-alias-note") if _ALIASES.match(text) else NotUnderstood("sendmail-talk")
    )


def with_queue_id(rest: bytes) -> Event:
    """Text behind a queue id that is no fact."""
    if _RESPONSE.match(rest):
        return Ignored("sendmail-attempt")
    return _by_rule(rest) or NotUnderstood("sendmail-queue-id-talk")


def _by_rule(text: bytes) -> Event | None:
    for beginning, rule in _RULES:
        if text.startswith(beginning):
            return Ignored(rule)
    return Ignored("sendmail-client-fault") if _CLIENT_SAID.match(text) else None

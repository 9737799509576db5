"""Sendmail lines to events: versions 8.9 to 8.18, server and submission program, whatever tag they were given.

A line is `QUEUEID: facts`, or talk. Sendmail itself writes a backslash as two and what cannot be printed as `\\ooo`;
that is undone first. Within a line the order of fields is fixed, so every value is cut out between the marks around
it, addresses by their own quotes and brackets. Behind `dsn=` strangers write (reply texts): nothing is searched there
but ids in strict form. Grammar: the program's own format strings, and traces of real runs.
"""

import re
from collections.abc import Sequence
from typing import Final

from producers.events import (
    Address,
    Authenticated,
    Deliveries,
    Delivery,
    Discarded,
    Event,
    Ignored,
    Notice,
    NotUnderstood,
    Part,
    Received,
    Relay,
    Removed,
    Split,
    Undelivered,
)
from producers.sources import sendmail_notes, sendmail_refusals
from producers.sources.replies import EXIM_ID, LMTP_SESSION, QUEUED_AS
from producers.sources.sendmail_values import (
    HERE,
    TEXT_BYTES_MAX,
    address_list,
    client_of,
    is_here,
    mailbox,
    token_end,
    unescaped,
)
from producers.text import bounded, decode, ip_address, scan_address
from schemas.envelope import Kind, Outcome

QUEUE_ID: Final = re.compile(rb"[0-9A-Za-z]{3,12}\d{5,8}\Z")
_CONTINUED: Final = b" ..."  # behind a part of a line that goes on
_PART: Final = re.compile(rb"(NOQUEUE|[0-9A-Za-z]{3,12}\d{5,8})\[(\d{1,3})\]\Z")
_SPLIT: Final = re.compile(
    rb"split: (?:maxrcpts=\d+, rcpts=\d+, )?count=\d+, ids?=([0-9A-Za-z]{8,20}(?:; [0-9A-Za-z]{8,20})*)\Z"
)
SHORTENED_BYTES: Final = 80  # of a controlling address; longer ones lose their middle
MESSAGE_ID_BYTES_MAX: Final = 100  # Sendmail cuts it there
_COUNTS: Final = re.compile(rb", size=(-?\d{1,19}), class=-?\d{1,9}(?:, pri=-?\d{1,12})?, nrcpts=(\d{1,9})(?=, |\Z)")
# Behind the message-id, each at most once and in this order; their values are short words.
_BEHIND_MESSAGE_ID: Final = re.compile(
    rb"(?:, bodytype=[^,]{0,20})?(?:, proto=[^,]{0,20})?(?:, daemon=[^,]{0,20})?"
    rb"(?:, tls_verify=[^,]{0,20})?(?:, auth=[^,]{0,20})?\Z"
)
_TIME: Final = rb"(?:\d{1,6}\+)?\d\d:\d\d:\d\d"
_DELAY: Final = re.compile(rb"(?:, ctladdr=|, \[more\])?, delay=" + _TIME)
_MIDDLE: Final = re.compile(
    rb", delay=" + _TIME + rb"(?:, xdelay=" + _TIME + rb")?(?:, mailer=([^,]*))?(?:, tls_verify=[^,]*)?"
    rb"(?:, tls_version=([^,]*), cipher=([^,]*))?(?:, pri=-?\d+)?(?:, ntries=\d+)?"
)
_END_OF_RELAY: Final = re.compile(rb", (?:dsn=[245]\.\d{1,3}\.\d{1,3}, |reply=|stat=)")
_RESULT: Final = re.compile(rb"(?:, dsn=([245]\.\d{1,3}\.\d{1,3}))?(?:, reply=(?:([2-5]\d\d)\b)?.*)?, stat=", re.DOTALL)
_UID: Final = re.compile(rb"(.*) \((\d{1,10})/\d{1,10}\)\Z", re.DOTALL)
_RELAY: Final = re.compile(rb"(.*?)\.? \[([^\[\]]*)\]\Z", re.DOTALL)
_CODE: Final = re.compile(rb"(?:Deferred: |Sent \()?([2-5]\d\d)[ -]")
_OWN_ID: Final = re.compile(rb"Sent \((?:2\.0\.0 )?([0-9A-Za-z]{3,12}\d{5,8}) Message accepted for delivery\)")
_COMMAND: Final = re.compile(rb"(?:rset|helo|ehlo|quit|mail|auth|starttls|lhlo|data|bdat)\Z", re.IGNORECASE)
_NOTICE: Final = re.compile(rb"(DSN|return to sender|sender notify|postmaster notify): ")
_INTERVAL: Final = rb"\d+ (?:week|day|hour|minute|second)s?"
_EXPIRED: Final = re.compile(
    rb"(?:Cannot send message (?:for|within) "
    + _INTERVAL
    + rb"(?:, "
    + _INTERVAL
    + rb")*|Delivery time \(\d+s\) expired)\Z"
)
_TO_A_PROGRAM: Final = (b"*file*", b"prog")


def parse(_daemon: bytes, pid: bytes, text: bytes) -> Event:
    """The event of one line. `text` = what follows `tag[pid]: `."""
    name, mark, rest = text.partition(b": ")
    if mark and name.endswith(b"]") and (part := _PART.match(name)) is not None:
        last = not rest.endswith(_CONTINUED)
        return Part(part[1].decode("ascii"), pid.decode("ascii", "replace"), int(part[2]), rest, last)
    return _parse(pid, name, rest) if mark else _without_queue_id(pid, unescaped(text))


def parse_pieces(pid: bytes, name: bytes, texts: Sequence[bytes]) -> Event:
    """The event of a line that Sendmail had to cut: its pieces in order."""
    return _parse(pid, name, b"".join([text.removesuffix(_CONTINUED) for text in texts[:-1]] + [texts[-1]]))


def _parse(pid: bytes, name: bytes, rest: bytes) -> Event:
    rest = unescaped(rest)
    if not (name == b"NOQUEUE" or QUEUE_ID.match(name)):
        return _without_queue_id(pid, unescaped(name) + b": " + rest)
    if name == b"NOQUEUE":
        return _without_queue_id(pid, rest)
    queue_id = name.decode("ascii")
    if rest.startswith(b"from="):
        return _received(queue_id, pid, rest)
    if rest.startswith(b"to="):
        return _delivered(queue_id, rest)
    if rest.startswith((b"<-- ", b"--- ")):  # above log level 10: every command and reply, whatever they imitate
        return Ignored("sendmail-dialogue")
    if rest.startswith(b"AUTH=server, "):
        return _authenticated(pid, rest)
    if rest.startswith(b"done; delay="):
        return Removed(queue_id, by_hand=False)
    if rest == b"discarded":
        return Discarded(queue_id)
    if rest.startswith(b"split: "):
        return _split(queue_id, rest)
    child, mark, told = rest.partition(b": ")
    if mark and QUEUE_ID.match(child):
        return _child(queue_id, child.decode("ascii"), told)
    return sendmail_refusals.parse(queue_id, rest) or sendmail_notes.with_queue_id(rest)


def _without_queue_id(pid: bytes, text: bytes) -> Event:
    if text.startswith(b"AUTH=server, "):
        return _authenticated(pid, text)
    return sendmail_refusals.parse("", text) or sendmail_notes.parse(text)


def _received(queue_id: str, pid: bytes, rest: bytes) -> Event:
    """`from=S, size=N, class=N, nrcpts=N[, msgid=TEXT][, bodytype=][, proto=][, daemon=], relay=R`.

    The message-id is a stranger's text, cut at MESSAGE_ID_BYTES_MAX; a relay behind it is Sendmail's own.
    """
    end = scan_address(rest, 6) + 1 if rest[5:6] == b"<" else rest.find(b", size=", 5)
    found = _COUNTS.match(rest, end) if end > 0 else None
    flags: tuple[str, ...] = ()
    if found is None:  # a sender that was cut, or in a form of its own
        found = _COUNTS.search(rest, 5)
        flags = ("AMBIGUOUS_PARSE",)
    relay_at = rest.rfind(b", relay=")
    if found is None or relay_at < found.end():
        return NotUnderstood("sendmail-from")
    raw = rest[5 : found.start()]
    sender = mailbox(raw)
    if len(raw) >= TEXT_BYTES_MAX:
        flags = (*flags, "TRUNCATED")
    client = client_of(rest[relay_at + 8 :])
    middle = rest[found.end() : relay_at]
    message_id, message_flags = _message_id(middle)
    return Received(
        queue_id,
        pid.decode("ascii", "replace"),
        client,
        sender._replace(flags=(*sender.flags, *(flag for flag in flags if flag not in sender.flags))),
        bounded(found[1], 2**63 - 1),
        int(found[2]),
        message_id,
        message_flags,
        is_here(client),
    )


def _message_id(middle: bytes) -> tuple[str | None, tuple[str, ...]]:
    """The message-id of what stands between the counts and the relay; None when nothing was taken in."""
    if not middle.startswith(b", msgid="):
        return None, ()
    behind = _BEHIND_MESSAGE_ID.search(middle)
    raw = middle[8 : behind.start()] if behind else middle[8:]
    text, invalid = decode(raw)
    flags = ("INVALID_BYTES",) if invalid else ()
    if len(raw) >= MESSAGE_ID_BYTES_MAX:
        flags = (*flags, "TRUNCATED")
    return text, flags


def _delivered(queue_id: str, rest: bytes) -> Event:
    """`to=A[,B...][, [more]][, ctladdr=C[ (uid/gid)]], delay=T[, xdelay=T][, mailer=M][, pri=N][, relay=R][, dsn=D]
    [, reply=TEXT], stat=TEXT`.
    """
    recipients = address_list(rest, 3, _DELAY)
    at, certain, controlling, uid = recipients.end, recipients.certain, None, None
    if at >= 0 and rest.startswith(b", [more]", at):
        at += 8
    if at >= 0 and rest.startswith(b", ctladdr=", at):
        responsible = address_list(rest, at + 10, _DELAY)
        at, certain = responsible.end, certain and responsible.certain and len(responsible.values) == 1
        controlling, uid = _controlling(responsible.values[0])
    middle = _MIDDLE.match(rest, at) if at >= 0 else None
    if middle is None:
        return NotUnderstood("sendmail-to")
    at, relay_text = middle.end(), b""
    if rest.startswith(b", relay=", at):
        # A host that was not connected to comes out of an address, and may be quoted there.
        end = token_end(rest, at + 8)
        found = _END_OF_RELAY.match(rest, end) if end >= 0 else None
        if found is None:
            found, certain = _END_OF_RELAY.search(rest, at), False
        if found is None:
            return NotUnderstood("sendmail-to")
        relay_text, at = rest[at + 8 : found.start()], found.start()
    result = _RESULT.match(rest, at)
    if result is None:
        return NotUnderstood("sendmail-to")
    flags = () if certain else ("AMBIGUOUS_PARSE",)
    addresses = tuple(_flagged(mailbox(raw), flags) for raw in recipients.values)
    mailer, dsn, stat = middle[1], result[1], rest[result.end() :]
    if mailer is None and dsn is None:
        return _undelivered(queue_id, addresses, stat)
    outcome = _outcome(dsn, stat)
    if not isinstance(outcome, str):
        return outcome
    if mailer in _TO_A_PROGRAM and controlling is not None and len(addresses) == 1:
        addresses = (_flagged(controlling, flags)._replace(logged=decode(recipients.values[0])[0]),)
    relay = _relay(relay_text, mailer or b"", outcome)
    if outcome == "SENT" and relay.ip_origin == "LOCAL_DELIVERY":
        outcome = "DELIVERED"
    code = _code(result[2], stat)
    next_id, session = _ids(stat) if outcome in ("SENT", "DELIVERED") else (None, None)
    tls = middle[2] + b", " + middle[3] if middle[2] not in (None, b"NONE", b"") else None
    deliveries = tuple(
        Delivery(
            queue_id,
            recipient,
            None,
            relay,
            outcome,
            dsn.decode("ascii") if dsn else None,
            code,
            next_id,
            None,
            session,
            decode(tls)[0] if tls else None,
        )
        for recipient in addresses
    )
    from_here = relay.ip in HERE and outcome == "SENT" and _OWN_ID.match(stat) is not None
    # Only the submission program tells the user who called it; the server looks the sender's name up.
    uid = uid if relay.ip in HERE and mailer == b"relay" else None
    return Deliveries(deliveries, controlling.text if controlling else None, from_here, uid)


def _flagged(found: Address, flags: tuple[str, ...]) -> Address:
    return found._replace(flags=(*found.flags, *flags)) if flags else found


def _controlling(raw: bytes) -> tuple[Address, int | None]:
    """`C (uid/gid)` or `C`."""
    found = _UID.match(raw)
    name = found[1] if found else raw
    shortened = len(name) >= SHORTENED_BYTES and b"..." in name
    return _flagged(mailbox(name), ("TRUNCATED",) if shortened else ()), bounded(found[2], 2**31 - 1) if found else None


def _undelivered(queue_id: str, addresses: tuple[Address, ...], stat: bytes) -> Event:
    """Without a mailer and a code no delivery was tried: the SMTP transaction ended otherwise, or it is to come."""
    if stat == b"queued" or stat.startswith(b"quarantine"):
        return Ignored("sendmail-queued")
    if _COMMAND.match(stat):
        return Ignored("sendmail-broken-off")
    return Undelivered(queue_id, addresses, "DISCARDED" if stat == b"discarded" else "REFUSED")


def _outcome(dsn: bytes | None, stat: bytes) -> Outcome | Ignored | NotUnderstood:
    """By the status code; without one (before 8.10) by how the text begins, which is Sendmail's own."""
    if stat == b"queued":
        return Ignored("sendmail-queued")
    if stat.startswith(b"deliverable"):
        return Ignored("sendmail-address-probe")
    if dsn is not None:
        return {b"2": "SENT", b"4": "DEFERRED", b"5": "BOUNCED"}[dsn[:1]]  # type: ignore[return-value]
    if stat.startswith(b"Sent"):
        return "SENT"
    if stat.startswith((b"Deferred", b"Operating system error", b"I/O error")):
        return "DEFERRED"
    return "BOUNCED" if stat.startswith(_FAILED) else NotUnderstood("sendmail-stat")


def _code(reply: bytes | None, stat: bytes) -> int | None:
    found = _CODE.match(stat)
    told = reply or (found[1] if found else None)
    return int(told) if told else None


def _ids(stat: bytes) -> tuple[str | None, str | None]:
    """What the next hop's answer tells: its queue id, an LMTP session; nothing else of it."""
    found = _OWN_ID.match(stat) or QUEUED_AS.search(stat) or EXIM_ID.search(stat)
    session = LMTP_SESSION.search(stat)
    return (found[1].decode("ascii") if found else None), (session[1].decode("ascii") if session else None)


def _relay(text: bytes, mailer: bytes, outcome: Outcome) -> Relay:
    """`name [ip]`; `name` alone where nothing was connected to, or where the mailer is a program of this host."""
    found = _RELAY.match(text)
    ip = ip_address(found[2]) if found else None
    name = (found[1] if found else text).rstrip(b".")
    host = decode(name.strip(b"[]"))[0] or None
    if found is not None and ip is not None:
        return Relay(f"{host}[{decode(found[2])[0]}]", host, ip, None, "NEXT_HOP")
    remote = b"smtp" in mailer or mailer == b"relay"
    if remote:
        origin = "NOT_LOGGED" if outcome == "SENT" else "NOT_CONNECTED"
        return Relay(decode(text)[0], host, None, None, origin)  # type: ignore[arg-type]  # one of the two words
    return Relay(decode(text)[0], None, None, None, "LOCAL_DELIVERY")


def _authenticated(pid: bytes, rest: bytes) -> Event:
    """`AUTH=server, relay=R, authid=U, mech=M, bits=N`. U may hold anything; R is `name [ip]`."""
    start = rest.find(b", authid=")
    end = rest.rfind(b", mech=")
    if not rest.startswith(b", relay=", 11) or start < 0 or end < start + 9:
        return Ignored("sendmail-auth")
    user, invalid = decode(rest[start + 9 : end])
    client = client_of(rest[19:start])
    flags = ("INVALID_BYTES",) if invalid else ()
    return Authenticated(pid.decode("ascii", "replace"), client._replace(user=user, flags=flags))


def _split(queue_id: str, rest: bytes) -> Event:
    """`split: [maxrcpts=N, rcpts=N, ]count=N, id=C` (or `ids=C; D`): more recipients than one envelope may have."""
    found = _SPLIT.match(rest)
    if found is None:
        return NotUnderstood("sendmail-split")
    return Split(queue_id, tuple(child.decode("ascii") for child in found[1].split(b"; ")), None)


def _child(queue_id: str, child: str, told: bytes) -> Event:
    """`CHILD: clone: owner=O` or `CHILD: DSN: TEXT`, `CHILD: sender notify: TEXT` ...: made here from QUEUEID."""
    if told.startswith(b"clone: owner="):
        return Split(queue_id, (child,), mailbox(told[13:]))
    found = _NOTICE.match(told)
    if found is None:
        return NotUnderstood("sendmail-child")
    text = told[found.end() :]
    kind: Kind = "BOUNCE"
    if text == b"Return receipt":
        kind = "DELIVERY_NOTICE"
    elif text.startswith((b"Warning: could not send message for past ", b"Warning: Delivery time (")):
        kind = "DELAY_NOTICE"
    return Notice(queue_id, child, kind, expired=_EXPIRED.match(text) is not None)


_FAILED: Final = (
    b"User unknown",
    b"Host unknown",
    b"Service unavailable",
    b"Data format error",
    b"Remote protocol error",
    b"Local configuration error",
    b"Command line usage error",
    b"System file missing",
    b"Can't create output",
    b"Cannot open input",
    b"Insufficient permission",
    b"Internal error",
    b"Cannot send message for ",
    b"unknown mailer error",
    b"returned",
)

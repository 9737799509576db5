"""Postfix lines to events: versions 2.x to 3.11, any syslog_name, short and long queue ids.

A line is `QUEUEID: facts`, `NOQUEUE: facts`, or talk of a daemon. Which facts they are is told by how they begin, not
by the daemon's name, which master.cf may change. Within a line the order of fields is fixed, so every value is cut out
between the marks around it; text that a stranger wrote (reply texts, headers, names) stands behind the last field
and is never searched for fields. Grammar: the source tree's own format strings, and traces of real runs.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from producers.events import (
    Address,
    Arrived,
    Child,
    Client,
    Delivery,
    Event,
    Expired,
    Handed,
    Held,
    Ignored,
    MessageId,
    NotUnderstood,
    Probed,
    Proxied,
    Queued,
    Relay,
    Removed,
    Requeued,
)
from producers.sources import postfix_notes
from producers.sources.postfix_access import ACTIONS, HOST_IP_PORT, access_action, client_of
from producers.sources.replies import EXIM_ID, LMTP_SESSION, QUEUED_AS, SENDMAIL_ID
from producers.text import address, bounded, decode, ip_address, scan_address
from schemas.envelope import Kind, Outcome

TEXT_BYTES_MAX: Final = 2000  # Postfix cuts what it logs there
QUEUE_ID_BYTES_MAX: Final = 24
RELAY_BYTES_CACHED: Final = 256
# Short: microseconds and inode in upper-case hex. Long: base 52 without vowels, so no word looks like one.
_QUEUE_ID: Final = re.compile(rb"(?:[0-9A-F]{6,24}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,24})\Z")
_DELAY: Final = re.compile(rb"\d{1,8}(?:\.\d{1,6})?\Z")
_REPLY_CODE: Final = re.compile(rb"(?:\(|said: )([2-5]\d\d)[ -]")
_CHILD: Final = re.compile(rb"forwarded as ([0-9A-Za-z]{5,24})\)\Z")
# Some relays of logs drop angle brackets as markup.
_BARE: Final = re.compile(rb"to=([^<>,\s]+@[^<>,\s]+)(?:, orig_to=([^<>,\s]+))?(?=, relay=)")
_BEHIND_USER: Final = (b", sasl_method=", b", sasl_sender=", b", orig_queue_id=", b", orig_client=")
_BROKEN_OFF: Final = (b"canceled", b"lost connection after", b"timeout after", b"too many errors", b"queue file size")
_PROBES: Final = (b"deliverable", b"undeliverable", b"undeliverable-but-not-cached")
_OUTCOMES: Final[dict[bytes, Outcome]] = {
    b"sent": "SENT",
    b"deferred": "DEFERRED",
    b"SOFTBOUNCE": "DEFERRED",
    b"bounced": "BOUNCED",
}
_CHILD_KINDS: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"sender non-delivery notification: ", "BOUNCE"),
    (b"postmaster non-delivery notification: ", "BOUNCE"),
    (b"sender delay notification: ", "DELAY_NOTICE"),
    (b"postmaster delay notification: ", "DELAY_NOTICE"),
    (b"sender delivery status notification: ", "DELIVERY_NOTICE"),
)
_UNKNOWN_RELAY: Final = Relay("", None, None, None, "NOT_LOGGED")


def parse(daemon: bytes, pid: bytes, text: bytes) -> Event:
    """The event of one line. `daemon` = the tag behind its last slash; `text` = what follows `tag[pid]: `."""
    name, mark, rest = text.partition(b": ")
    queue_id = queue_id_of(name) if mark and len(name) <= QUEUE_ID_BYTES_MAX else None
    if queue_id is not None:
        if rest == b"removed":
            by_hand = daemon == b"postsuper"
            return Removed(queue_id, by_hand, pid.decode("ascii", "replace") if by_hand else "")
        handler = _FACTS.get(rest[:4])
        if handler is not None:
            return handler(queue_id, pid, rest)
        return _by_word(queue_id, daemon, pid, rest)
    if text.startswith((b"proxy-accept: ", b"proxy-reject: ")):
        return _by_word("", daemon, pid, text)
    return postfix_notes.parse(daemon, pid, text)


@lru_cache(maxsize=16_384)
def queue_id_of(name: bytes) -> str | None:
    """The queue id that stands before a line's facts: empty for NOQUEUE, None when it is none."""
    if name == b"NOQUEUE":
        return ""
    return name.decode("ascii") if _QUEUE_ID.match(name) else None


def _arrived(queue_id: str, pid: bytes, rest: bytes) -> Event:
    """`client=name[ip]:port[, sasl_method=, sasl_username=][, sasl_sender=][, orig_queue_id=, orig_client=]`."""
    value, _, tail = rest[7:].partition(b", ")
    flags: tuple[str, ...] = ()
    user = None
    origin = tail.rfind(b"orig_client=")
    sasl = tail.find(b"sasl_username=")
    if sasl >= 0:
        # The name is raw and may hold anything, also `, orig_client=`: it ends where a field of ours may begin, and
        # when one does, neither the name's end nor that field is certain.
        raw = tail[sasl + 14 :]
        ends = [at for mark in _BEHIND_USER if (at := raw.find(mark)) >= 0]
        user, invalid = decode(raw[: min(ends, default=len(raw))])
        doubtful = b", sasl_method=" in raw or (bool(ends) and b", sasl_sender=" not in raw)
        flags = (("INVALID_BYTES",) if invalid else ()) + (("AMBIGUOUS_PARSE",) if doubtful else ())
    if origin >= 0 and sasl < 0:
        client = _client(tail[origin + 12 :], user, flags, forwarded=True)
    else:
        client = _client(value, user, flags, forwarded=False)
    session = pid.decode("ascii", "replace")
    if not queue_id:
        return Proxied(session, client)
    return Arrived(queue_id, session, client)


def _client(value: bytes, user: str | None, flags: tuple[str, ...], *, forwarded: bool) -> Client:
    return client_event(*client_of(value), user, flags, forwarded=forwarded)


def client_event(
    name: bytes, ip: bytes | None, port: int | None, user: str | None, flags: tuple[str, ...], *, forwarded: bool
) -> Client:
    """A client by its parts."""
    host = None if name in (b"unknown", b"") else decode(name)[0]
    origin = "UNKNOWN_TO_MTA" if ip is None else "FORWARDED" if forwarded else "CONNECTION"
    return Client(ip, port, origin, host, None, user, None, flags)  # type: ignore[arg-type]  # one of the three words


def _picked_up(queue_id: str, _pid: bytes, rest: bytes) -> Event:
    """`uid=N from=<S>[ orig_id=Q]`: handed in on this host. The sender here is unqualified; qmgr has the real one."""
    uid, _, tail = rest[4:].partition(b" ")
    previous = None
    at = tail.rfind(b" orig_id=")
    if at >= 0 and _QUEUE_ID.match(tail[at + 9 :]):
        previous = tail[at + 9 :].decode("ascii")
    client = Client(None, None, "LOCAL_PROCESS", None, None, None, _signed(bounded(uid, 2**32 - 1)))
    sender = address(tail[6:end]) if tail.startswith(b"from=<") and (end := scan_address(tail, 6)) >= 0 else None
    return Arrived(queue_id, "", client, previous, sender)


def _signed(uid: int | None) -> int | None:
    """The field has 32 bits with a sign: user ids from 2^31 on are kept as the negative number of the same bits."""
    return uid if uid is None or uid < 2**31 else uid - 2**32


def _message_id(queue_id: str, _pid: bytes, rest: bytes) -> Event:
    """`message-id=TEXT`: the header as received, to the line's end, whatever it holds."""
    raw = rest.partition(b"=")[2]
    text, invalid = decode(raw)
    flags = ("INVALID_BYTES",) if invalid else ()
    if len(rest) + len(queue_id) + 2 >= TEXT_BYTES_MAX - 4:
        flags = (*flags, "TRUNCATED")
    return MessageId(queue_id, text or None, flags)


def _from(queue_id: str, _pid: bytes, rest: bytes) -> Event:
    """`from=<S>, size=N, nrcpt=N (queue active)` or `from=<S>, status=expired, returned to sender`."""
    for mark in (b">, status=expired, ", b">, status=force-expired, "):
        if mark in rest and rest.rfind(mark) > rest.rfind(b">, size="):
            return Expired(queue_id, by_hand=mark.startswith(b">, status=force-"))
    end = rest.rfind(b">, size=")
    size, _, tail = rest[end + 8 :].partition(b", nrcpt=")
    count, _, _ = tail.partition(b" ")
    size_bytes, recipient_count = bounded(size, 2**63 - 1), bounded(count, 2**31 - 1)
    if end < 0 or size_bytes is None or recipient_count is None:
        return NotUnderstood("postfix-from")
    sender = address(rest[6:end])
    if scan_address(rest, 6) != end:
        sender = sender._replace(flags=(*sender.flags, "AMBIGUOUS_PARSE"))
    return Queued(queue_id, sender, size_bytes, recipient_count)


def _delivery(queue_id: str, _pid: bytes, rest: bytes) -> Event:
    """`to=<R>[, orig_to=<O>], relay=X[, conn_use=N], delay=, delays=[, tls=], dsn=x.y.z, status=WORD (TEXT)`."""
    recipient, at = _address_until(rest, 4, (b", relay=", b", orig_to=<"))
    if recipient is None:
        return NotUnderstood("postfix-delivery")
    original = None
    if rest.startswith(b", orig_to=<", at):
        original, at = _address_until(rest, at + 11, (b", relay=",))
    delay = rest.find(b", delay=", at)
    dsn_at = rest.find(b", dsn=", delay)
    status_at = rest.find(b", status=", dsn_at)
    if not (0 <= at < delay < dsn_at < status_at):
        return NotUnderstood("postfix-delivery")
    word, _, text = rest[status_at + 9 :].partition(b" ")
    if word in _PROBES:
        return Probed(queue_id, recipient)
    outcome = _OUTCOMES.get(word)
    if outcome is None:
        return NotUnderstood("postfix-status")
    middle = rest[delay:dsn_at]
    tls_at = middle.find(b", tls=")
    relay = relay_event(rest[at + 8 : delay].partition(b", conn_use=")[0])
    return delivery_event(
        queue_id,
        recipient,
        original,
        relay,
        outcome,
        rest[dsn_at + 6 : status_at],
        text,
        middle[tls_at + 6 :] if tls_at >= 0 else None,
        seconds(middle[8:].partition(b",")[0]),
    )


def delivery_event(
    queue_id: str,
    recipient: Address,
    original: Address | None,
    relay: Relay,
    outcome: Outcome,
    dsn: bytes,
    text: bytes,
    tls: bytes | None,
    delay_seconds: float | None,
) -> Delivery:
    """A delivery by its parts. What the free text may tell: ids in strict form and a reply code, nothing else."""
    next_queue_id = child = session = None
    if outcome == "SENT":
        if relay.ip_origin == "LOCAL_DELIVERY":
            outcome = "DELIVERED"
            found = _CHILD.search(text)
            child = found[1].decode("ascii") if found else None
        elif relay.text == "none":
            outcome = "DISCARDED"
        if child is None:
            next_queue_id = _next_queue_id(text)
            found = LMTP_SESSION.search(text) if b" Saved" in text else None
            session = found[1].decode("ascii") if found else None
    code = _REPLY_CODE.match(text) or _REPLY_CODE.search(text)
    return Delivery(
        queue_id,
        recipient,
        original,
        relay,
        outcome,
        dsn.decode("ascii", "replace"),
        int(code[1]) if code else None,
        next_queue_id,
        child,
        session,
        decode(tls)[0] if tls else None,
        delay_seconds,
    )


def seconds(text: bytes) -> float | None:
    """`0.12` or `345678`."""
    return float(text) if _DELAY.match(text) else None


def _next_queue_id(text: bytes) -> str | None:
    """The id under which the next hop says it has the mail; each pattern is tried only where its word stands."""
    found = QUEUED_AS.search(text) if b"ueued as " in text else None
    if found is None and b"id=" in text:
        found = EXIM_ID.search(text)
    if found is None and b"2.0.0 " in text:
        found = SENDMAIL_ID.search(text)
    return found[1].decode("ascii") if found else None


def relay_event(text: bytes) -> Relay:
    """`host[ip]:port`, `host[socket]`, `none`, or the name of a local agent."""
    return _known_relay(text) if len(text) <= RELAY_BYTES_CACHED else _relay_of(text)


def _relay_of(text: bytes) -> Relay:
    shown = decode(text)[0]
    if text == b"none":
        return Relay(shown, None, None, None, "NOT_CONNECTED")
    found = HOST_IP_PORT.match(text)
    if found is None:
        return Relay(shown, None, None, None, "LOCAL_DELIVERY")
    ip = ip_address(found[2])
    if ip is None:  # a socket in the file system: LMTP to a mailbox server on this host
        return Relay(shown, decode(found[1])[0], None, None, "LOCAL_DELIVERY")
    return Relay(shown, decode(found[1])[0], ip, int(found[3]) if found[3] else None, "NEXT_HOP")


_known_relay: Final = lru_cache(maxsize=4096)(_relay_of)


def _address_until(rest: bytes, start: int, followers: tuple[bytes, ...]) -> tuple[Address | None, int]:
    """The address that begins at `start`, and where it is followed by one of `followers`.

    External form closes at its first unquoted `>`. Internal form (before 3.5) may hold `>`: then it ends at the first
    place where a follower stands, and is flagged.
    """
    end = scan_address(rest, start)
    if end >= 0 and rest.startswith(followers, end + 1):
        found = address(rest[start:end])
        if b'"' not in rest[start:end] and rest.count(b">, relay=") > 1:  # of internal form, and made to mislead?
            found = found._replace(flags=(*found.flags, "AMBIGUOUS_PARSE"))
        return found, end + 1
    places = [at for follower in followers if (at := rest.find(b">" + follower, start)) >= 0]
    if not places:
        return None, -1
    found = address(rest[start : min(places)])
    return found._replace(flags=(*found.flags, "AMBIGUOUS_PARSE")), min(places) + 1


def _by_word(queue_id: str, daemon: bytes, pid: bytes, rest: bytes) -> Event:
    """Facts that begin with a phrase: refusals and access actions, links between messages, ends by hand."""
    action, mark, tail = rest.partition(b": ")
    if mark and action in ACTIONS:
        return access_action(queue_id, pid, action, tail)
    for phrase, kind in _CHILD_KINDS:
        if rest.startswith(phrase):
            child = rest[len(phrase) :]
            if _QUEUE_ID.match(child):
                return Child(queue_id, child.decode("ascii"), kind)
    if rest.startswith(b"proxy-accept: "):
        found = QUEUED_AS.search(rest)
        return (
            Handed(pid.decode("ascii", "replace"), found[1].decode("ascii"))
            if found
            else Ignored("postfix-proxy-accept")
        )
    if (found := _BARE.match(rest)) is not None:
        original = b", orig_to=<" + found[2] + b">" if found[2] is not None else b""
        return _delivery(queue_id, pid, b"to=<" + found[1] + b">" + original + rest[found.end() :])
    return _by_hand(queue_id, daemon, rest)


def _by_hand(queue_id: str, daemon: bytes, rest: bytes) -> Event:
    """What a person did with postsuper, what a client did not finish, and what says nothing of the envelope."""
    if rest.startswith(b"removed ("):
        return Ignored("postfix-client-fault")  # 3.12: canceled or discarded before it was in the queue
    if rest.startswith(b"requeued"):
        return Requeued(queue_id)
    if rest.startswith(b"placed on hold"):
        return Held(queue_id)
    if rest.startswith(_BROKEN_OFF):
        return Ignored("postfix-client-fault")  # the end of the session follows, and says the same
    return postfix_notes.with_queue_id(daemon, rest)


_FACTS: Final[dict[bytes, Callable[[str, bytes, bytes], Event]]] = {
    b"to=<": _delivery,
    b"clie": _arrived,
    b"mess": _message_id,
    b"rese": _message_id,
    b"from": _from,
    b"uid=": _picked_up,
}

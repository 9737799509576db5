"""Rows of Exchange's message tracking log (2010 to 2019) to events.

A row tells of one message and all recipients that its event is about. The envelope's sender is `return-path`;
`sender-address` is a header and is not read, nor is the subject. A message is known by `network-message-id`, which all
its copies in the organisation share, or in 2010, where there is none, by `internal-message-id`, which is one server's.

Copies that Exchange makes for its own safety (shadow redundancy, Safety Net), notes of agents and its own probes are
ignored by rule. Grammar: Microsoft's documentation of the columns, events and sources, and public samples.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

from producers.events import Address, Client, Delivery, Event, Ignored, NotUnderstood, Relay, Tracked
from producers.sources.exchange_rows import addresses
from producers.text import address, bounded, decode, ip_address
from schemas.envelope import Outcome

Row = Mapping[str, bytes]
RECIPIENTS_MAX: Final = 10_000
_NOWHERE: Final = Relay("", None, None, None, "NOT_CONNECTED")
_UNTOLD: Final = Relay("", None, None, None, "NOT_LOGGED")
_HERE: Final = Relay("", None, None, None, "LOCAL_DELIVERY")
_STATUS: Final = re.compile(rb"([2-5]\d\d) (?:([2-5]\.\d{1,3}\.\d{1,3})\b)?")
_NETWORK_ID: Final = re.compile(rb"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\Z", re.IGNORECASE)
_INTERNAL_ID: Final = re.compile(rb"\d{1,20}\Z")
_NEXT_ID: Final = re.compile(rb"\[InternalId=(\d{1,20}), Hostname=|\b[Qq]ueued as ([0-9A-Za-z]{5,24})\b")
_PROXIED: Final = re.compile(rb"(?:\A|;)S:ProxiedClientIPAddress=([0-9A-Fa-f:.]{2,45})(?=;|\Z)")
_PROBE: Final = re.compile(rb"HealthMailbox[0-9a-f]{32}@[^@]+\Z", re.IGNORECASE)
# Connectors that lead to a server of the organisation; Exchange itself makes and names them.
_INSIDE: Final = (b"Intra-Organization SMTP Send Connector", b"EdgeSync - Inbound to ")
_EXPIRED: Final = "4.4.7"

_RULES: Final[dict[bytes, str]] = {
    name: rule
    for rule, names in {
        "exchange-shadow": b"HADISCARD HARECEIVE HAREDIRECT HAREDIRECTFAIL NOTIFYSHADOW",
        "exchange-safety-net": b"RESUBMIT RESUBMITDEFER RESUBMITFAIL",
        "exchange-agent": b"AGENTINFO",
        "exchange-moderation": b"INITMESSAGECREATED MODERATIONEXPIRE MODERATORAPPROVE MODERATORREJECT MODERATORSALLNDR",
        "exchange-submission": b"NOTIFYMAPI CLIENTSUBMISSION SUBMIT SUBMITDEFER SUBMITFAIL",
        "exchange-duplicate": b"DUPLICATEDELIVER DUPLICATEEXPAND DUPLICATEREDIRECT",
        "exchange-note": b"LOAD PROCESS PROCESSMEETINGMESSAGE THROTTLE SUPPRESSED DELIVERFAIL",
    }.items()
    for name in names.split()
}


def parse(row: Row) -> Event:
    """The event of one row, given by column name."""
    event = row["event-id"]
    rule = _RULES.get(event)
    if rule is not None:
        return Ignored(rule)
    if row["source"] in (b"SAFETYNET", b"REDUNDANCY"):
        return Ignored("exchange-safety-net")
    handler = _EVENTS.get(event)
    if handler is None:
        return NotUnderstood("exchange-event")
    if _is_probe(row):
        return Ignored("exchange-health-probe")
    return handler(row)


def host_of(row: Row) -> bytes:
    """The server that wrote a row: what receives names itself as server, what sends as client."""
    mine, other = b"server-hostname", b"client-hostname"
    if row["event-id"].startswith((b"SEND", b"DELIVER")):
        mine, other = other, mine
    return row.get(mine.decode(), b"") or row.get(other.decode(), b"")


def _received(row: Row) -> Event:
    """A message was taken in by SMTP, from a mailbox, or from a folder of files."""
    return _tracked(row, "RECEIVED", client=_client(row))


def _notice(row: Row) -> Event:
    """This server made a notice."""
    client = Client(None, None, "LOCAL_PROCESS")
    return _tracked(row, "RECEIVED", client=client, kind="BOUNCE")


def _renamed(row: Row) -> Event:
    """EXPAND, RESOLVE, REDIRECT: `recipient-address` stands for `related-recipient-address` from now on."""
    related = addresses(row.get("related-recipient-address", b""))
    if not related:
        return Ignored("exchange-note")
    original = _address(related[0])
    return _tracked(row, "RENAMED", original=original)


def _forked(row: Row) -> Event:
    """TRANSFER: recipients go on in a copy; where there are only internal ids, it has another one."""
    reference = row.get("reference", b"").strip(b"<>")
    previous = reference.decode("ascii") if _INTERNAL_ID.match(reference) else None
    return _tracked(row, "FORKED", previous=previous)


def _sent(row: Row) -> Event:
    """SEND and SENDEXTERNAL: taken by the next server, which may be one of this organisation."""
    inside = row.get("connector-id", b"").startswith(_INSIDE)
    found = _NEXT_ID.search(row.get("source-context", b""))
    next_id = (found[1] or found[2]).decode("ascii") if found else None
    ip = ip_address(row.get("server-ip", b""))
    host = decode(row.get("server-hostname", b""))[0] or None
    relay = Relay("", host, ip, None, "NOT_LOGGED" if ip is None else "NEXT_HOP")
    own_ip = ip_address(row.get("client-ip", b""))
    return _tracked(row, "PASSED" if inside else "DECIDED", "SENT", relay, next_id=next_id, own_ip=own_ip)


def _delivered(row: Row) -> Event:
    return _tracked(row, "DECIDED", "DELIVERED", _HERE)


def _failed(row: Row) -> Event:
    """Failed for good; by hand where the source says so."""
    if row["source"] == b"ADMIN":
        return _tracked(row, "DECIDED", "DELETED", flags=("ADMINISTRATIVE",))
    return _tracked(row, "DECIDED", "BOUNCED", _tried(row))


def _discarded(row: Row) -> Event:
    """BADMAIL, DROP: gone without a notice."""
    return _tracked(row, "DECIDED", "DISCARDED")


def _deferred(row: Row) -> Event:
    return _tracked(row, "DEFERRED", "DEFERRED", _tried(row))


def _tried(row: Row) -> Relay:
    """Where it was to go: whether, and to whom, there was a connection is not in the rows of some sources."""
    return _UNTOLD if row["source"] in (b"SMTP", b"QUEUE", b"STOREDRIVER", b"GATEWAY") else _NOWHERE


def _held(row: Row) -> Event:
    """In the queue of messages that did harm, or out of it."""
    return _tracked(row, "HELD", "HELD")


def _client(row: Row) -> Client:
    """Where a message came from: the original client beats the connection, which is often a front end's.

    What a mailbox submits has an address of this server in `client-ip`, not the user's.
    """
    origin = ip_address(row.get("original-client-ip", b""))
    if origin is None:
        custom = row.get("custom-data", b"").partition(b"S:OriginalFromAddress=")[0]  # behind it a stranger writes
        found = _PROXIED.search(custom)
        origin = ip_address(found[1]) if found else None
    if origin is not None and origin == ip_address(row.get("client-ip", b"")):
        return Client(origin, None, "CONNECTION", _host_name(row))
    if origin is not None:
        return Client(origin, None, "FORWARDED")
    if row["source"] == b"STOREDRIVER":
        return Client(None, None, "NOT_LOGGED")
    if row["source"] in (b"PICKUP", b"ADMIN", b"MAILBOXRULE", b"AGENT", b"APPROVAL", b"PUBLICFOLDER"):
        return Client(None, None, "LOCAL_PROCESS")
    ip = ip_address(row.get("client-ip", b""))
    return Client(ip, None, "NOT_LOGGED" if ip is None else "CONNECTION", _host_name(row))


def _host_name(row: Row) -> str | None:
    return decode(row.get("client-hostname", b""))[0] or None


def _tracked(
    row: Row,
    what: Literal["RECEIVED", "RENAMED", "FORKED", "PASSED", "DECIDED", "DEFERRED", "HELD"],
    outcome: Outcome = "UNKNOWN",
    relay: Relay = _NOWHERE,
    *,
    client: Client | None = None,
    kind: Literal["MESSAGE", "BOUNCE"] = "MESSAGE",
    original: Address | None = None,
    previous: str | None = None,
    next_id: str | None = None,
    own_ip: bytes | None = None,
    flags: tuple[str, ...] = (),
) -> Event:
    """What all rows have; NotUnderstood where the message cannot be known."""
    network, internal = row.get("network-message-id", b""), row.get("internal-message-id", b"")
    if _NETWORK_ID.match(network):
        queue_id, is_wide = network.decode("ascii"), True
    elif _INTERNAL_ID.match(internal):
        queue_id, is_wide = internal.decode("ascii"), False
    else:
        return NotUnderstood("exchange-message-id")
    recipients = addresses(row["recipient-address"])
    if len(recipients) > RECIPIENTS_MAX:
        return NotUnderstood("exchange-recipients")
    deliveries = tuple(
        _delivery(queue_id, recipient, status, original, relay, outcome, next_id, flags)
        for recipient, status in zip(recipients, _statuses(row, len(recipients)), strict=True)
    )
    path, message_id = row.get("return-path", b""), row.get("message-id", b"")
    sender = None if not path else Address("") if path == b"<>" else _address(path)
    text, invalid = decode(message_id)
    direction = row.get("directionality", b"")
    return Tracked(
        what,
        queue_id,
        is_wide,
        sender,
        text or None,
        bounded(row.get("total-bytes", b""), 2**63 - 1),
        bounded(row.get("recipient-count", b""), 2**31 - 1),
        client,
        row["source"] == b"STOREDRIVER",
        kind,
        True if direction == b"Originating" else False if direction == b"Incoming" else None,
        previous,
        own_ip,
        deliveries,
        ("INVALID_BYTES",) if invalid else (),
    )


def _delivery(
    queue_id: str,
    recipient: bytes,
    status: bytes,
    original: Address | None,
    relay: Relay,
    outcome: Outcome,
    next_id: str | None,
    flags: tuple[str, ...],
) -> Delivery:
    """One recipient of a row. Of its status the codes count; the text behind them is a server's or a stranger's."""
    found = _STATUS.match(status) if outcome != "UNKNOWN" else None
    dsn = found[2].decode("ascii") if found and found[2] else None
    if outcome == "BOUNCED" and dsn == _EXPIRED:
        outcome = "EXPIRED"
    to = _address(recipient)
    if flags:
        to = to._replace(flags=(*to.flags, *flags))
    code = int(found[1]) if found else None
    return Delivery(queue_id, to, original, relay, outcome, dsn, code, next_id, None, None, None)


def _statuses(row: Row, count: int) -> list[bytes]:
    """The status of each recipient. Its text may hold semicolons too: then no status belongs to one for certain."""
    value = row.get("recipient-status", b"")
    if count == 1:
        return [value]
    parts = value.split(b";")
    return parts if len(parts) == count else [b""] * count


def _address(raw: bytes) -> Address:
    if raw.startswith(b"<") and raw.endswith(b">"):
        raw = raw[1:-1]
    return address(raw)


def _is_probe(row: Row) -> bool:
    """Mail of a server to itself, which tests whether mail goes through. Both ends must be its monitoring mailboxes,

    and the message must begin here: a stranger can write to such a mailbox, and from any address.
    """
    ends = [row.get("return-path", b""), *addresses(row["recipient-address"])]
    return (
        row.get("directionality") == b"Originating"
        and len(ends) > 1
        and all(_PROBE.match(end) for end in ends)
        and len({end.rpartition(b"@")[2].lower() for end in ends}) == 1
    )


_EVENTS: Final[dict[bytes, Callable[[Row], Event]]] = {
    b"RECEIVE": _received,
    b"DSN": _notice,
    b"EXPAND": _renamed,
    b"RESOLVE": _renamed,
    b"REDIRECT": _renamed,
    b"TRANSFER": _forked,
    b"SEND": _sent,
    b"SENDEXTERNAL": _sent,
    b"DELIVER": _delivered,
    b"FAIL": _failed,
    b"DEFER": _deferred,
    b"BADMAIL": _discarded,
    b"DROP": _discarded,
    b"POISONMESSAGE": _held,
}

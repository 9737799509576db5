"""The envelope record, version 1: one recipient of one message on one server, with its outcome.

This file is the one source of field names, order and meanings; `avro/envelope.v1.avsc`, the
ClickHouse table and the JSON form are held to it by tests/contract. An `Envelope` is a plain dict
because that is what fastavro encodes without a copy.

Shapes in memory: times are integers, microseconds since 1970-01-01T00:00:00Z; IP addresses are 16
bytes in network order (IPv4 as ::ffff:a.b.c.d); ids and keys are 16 raw bytes; text is `str`.
`None` always means "not known", and the neighbouring origin, quality or flag says why.
No field may hold content: no subject, no body, no attachment name, no reply text (Order 38, Articles 3 and 26).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from typing import Any, Final, Literal, TypedDict, get_args

TimeQuality = Literal["EXACT", "YEAR_INFERRED", "ZONE_ASSUMED", "AMBIGUOUS_HOUR"]
Mta = Literal["POSTFIX", "EXIM", "SENDMAIL", "OPENSMTPD", "EXCHANGE", "DOVECOT"]
Event = Literal["DELIVERY", "REFUSAL", "MAILBOX_ACCESS"]
Kind = Literal["MESSAGE", "BOUNCE", "DELAY_NOTICE", "DELIVERY_NOTICE"]
Direction = Literal["INBOUND", "OUTBOUND", "INTERNAL", "TRANSIT", "UNKNOWN"]
SenderIpOrigin = Literal[
    "CONNECTION",  # the address that was connected when the mail was handed in
    "FORWARDED",  # told by a trusted front end: XFORWARD, XCLIENT, PROXY, a proxy filter
    "PARENT",  # taken from the message that this one was made from
    "LOCAL_PROCESS",  # handed in on this host without a network
    "NOT_LOGGED",  # the log that would say it was not seen
    "UNKNOWN_TO_MTA",  # the mail system itself logged that it does not know
]
RecipientIpOrigin = Literal[
    "NEXT_HOP",  # the server that took the mail over, or was tried last
    "LOCAL_DELIVERY",  # stored on this host, or handed to a process here: no address exists
    "MAILBOX_CLIENT",  # MAILBOX_ACCESS: the client that read the mailbox
    "NOT_CONNECTED",  # no connection was made
    "NOT_LOGGED",
]
Outcome = Literal[
    "SENT",  # accepted by the next hop
    "DELIVERED",  # stored here
    "DEFERRED",
    "BOUNCED",
    "EXPIRED",
    "REFUSED",
    "DISCARDED",
    "HELD",
    "DELETED",
    "ACCESSED",
    "ACCESS_DENIED",
    "UNKNOWN",  # only with a flag that says why
]
Flag = Literal[
    "TRUNCATED",  # the log line was cut by the mail system or syslog; a value may be a prefix
    "PARTIAL_START",  # the log was entered in the middle of this message
    "PARTIAL_END",  # the message was still open when the input ended
    "RECIPIENTS_INCOMPLETE",  # the message had recipients that the log does not name
    "ADDED_BY_SERVER",  # the recipient was not in the SMTP transaction (bcc map, milter)
    "ADDRESS_REQUOTED",  # the log wrote an address in internal form; quoted again here
    "AMBIGUOUS_PARSE",  # a value could end in more than one place; the rule of the source was used
    "INVALID_BYTES",  # bytes that are not UTF-8 stand as \\xHH
    "EXTRA_MESSAGE_ID",  # the message had more than one Message-ID header
    "TEMPORARY",  # a refusal with a 4xx code: the client may have come again
    "ADMINISTRATIVE",  # ended by a person (removed, expired, held by command)
    "EXPANDED",  # replaced by another message here (alias, list, forward); see parent_* of that one
]

FLAGS: Final[tuple[str, ...]] = get_args(Flag)


class Envelope(TypedDict):
    """The fields in Avro order. record_id and event_time come first for ever (loaders peek at them)."""

    record_id: bytes
    event_time: int
    accept_time: int | None
    observed_time: int
    time_quality: TimeQuality
    alternative_event_time: int | None
    mta: Mta
    host: str
    instance: str
    queue_id: str
    message_key: bytes
    parent_message_key: bytes | None
    parent_queue_id: str | None
    next_queue_id: str | None
    message_id: str | None
    event: Event
    kind: Kind
    direction: Direction
    sender: str | None
    recipient: str | None
    original_recipient: str | None
    sender_logged: str | None
    recipient_logged: str | None
    authenticated_user: str | None
    local_uid: int | None
    sender_ip: bytes | None
    sender_port: int | None
    sender_ip_origin: SenderIpOrigin
    sender_host: str | None
    helo: str | None
    recipient_ip: bytes | None
    recipient_port: int | None
    recipient_ip_origin: RecipientIpOrigin
    recipient_host: str | None
    server_ip: bytes | None
    outcome: Outcome
    is_final: bool
    attempts: int
    dsn: str | None
    smtp_code: int | None
    size_bytes: int | None
    recipient_count: int | None
    tls: str | None
    access_protocol: str | None
    session_id: str | None
    flags: list[str]
    agent_id: str
    agent_epoch: int
    agent_sequence: int
    source_name: str
    source_offset: int


FIELDS: Final[tuple[str, ...]] = tuple(Envelope.__annotations__)
TIME_FIELDS: Final = ("event_time", "accept_time", "observed_time", "alternative_event_time")
IP_FIELDS: Final = ("sender_ip", "recipient_ip", "server_ip")
KEY_FIELDS: Final = ("record_id", "message_key", "parent_message_key")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def time_text(microseconds: int) -> str:
    """Microseconds since the epoch as RFC 3339 UTC with six decimals, `2026-11-23T20:46:00.367461Z`."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def ip_text(address: bytes) -> str:
    """16 bytes as text: dotted for IPv4-mapped addresses, RFC 5952 for the rest."""
    ipv6 = IPv6Address(address)
    return str(ipv6.ipv4_mapped or ipv6)


def json_object(envelope: Envelope) -> dict[str, Any]:
    """The record for `--json`: same names and order; times, IPs and ids as text; null for absent."""
    out: dict[str, Any] = dict(envelope)
    for field, render in _RENDER:
        value = out[field]
        if value is not None:
            out[field] = render(value)
    return out


_RENDER: Final[tuple[tuple[str, Callable[[Any], str]], ...]] = (
    *((field, time_text) for field in TIME_FIELDS),
    *((field, ip_text) for field in IP_FIELDS),
    *((field, bytes.hex) for field in KEY_FIELDS),
)

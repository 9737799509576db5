"""What one log line says, in the words of no particular mail system.

All values are canonical: text is decoded (`text.decode`), addresses are in external form, IP addresses are 16 bytes.
`queue_id` names a message on one server while it lasts; the assembler adds host and instance.
"""

from typing import Literal, NamedTuple

from schemas.envelope import Kind, Outcome, RecipientIpOrigin, SenderIpOrigin


class Address(NamedTuple):
    """An envelope address. `logged` is the logged form where it differs; `flags` say why."""

    text: str
    logged: str | None = None
    flags: tuple[str, ...] = ()


class Client(NamedTuple):
    """Where a message came from."""

    ip: bytes | None
    port: int | None
    ip_origin: SenderIpOrigin
    host: str | None = None
    helo: str | None = None
    user: str | None = None
    uid: int | None = None
    flags: tuple[str, ...] = ()


class Relay(NamedTuple):
    """Where a recipient's mail went, or was tried last. `text` is the relay as logged, for the list of filters."""

    text: str
    host: str | None
    ip: bytes | None
    port: int | None
    ip_origin: RecipientIpOrigin


class Arrived(NamedTuple):
    """A message begins: `previous_queue_id` when it continues an older one (requeue)."""

    queue_id: str
    session: str
    client: Client
    previous_queue_id: str | None = None


class MessageId(NamedTuple):
    """Its Message-ID header."""

    queue_id: str
    message_id: str | None
    flags: tuple[str, ...] = ()


class Queued(NamedTuple):
    """It is in the queue: envelope sender, size in bytes, number of recipients."""

    queue_id: str
    sender: Address
    size_bytes: int | None
    recipient_count: int | None


class Delivery(NamedTuple):
    """One attempt for one recipient ended.

    `next_queue_id` was told by the next hop; `child_queue_id` is the message that was made here instead.
    """

    queue_id: str
    recipient: Address
    original_recipient: Address | None
    relay: Relay
    outcome: Outcome
    dsn: str | None
    smtp_code: int | None
    next_queue_id: str | None
    child_queue_id: str | None
    session_id: str | None
    tls: str | None


class Refusal(NamedTuple):
    """A recipient or a message was refused or discarded. `queue_id` is empty where there was none yet.

    `whole_message`: the message ends with it and its other recipients are not named.
    """

    queue_id: str
    client: Client
    sender: Address | None
    recipient: Address | None
    outcome: Outcome
    dsn: str | None
    smtp_code: int | None
    whole_message: bool
    flags: tuple[str, ...] = ()


class Child(NamedTuple):
    """`child_queue_id` was made here from `queue_id`."""

    queue_id: str
    child_queue_id: str
    kind: Kind


class Handed(NamedTuple):
    """A proxy told which queue id the message of this session got behind it."""

    session: str
    queue_id: str


class Proxied(NamedTuple):
    """A message begins in a session whose queue id will be told later (Handed)."""

    session: str
    client: Client


class Expired(NamedTuple):
    """Every recipient that is still undecided has failed."""

    queue_id: str


class Removed(NamedTuple):
    """The message has left the queue. `by_hand`: a person removed it, whatever was undecided."""

    queue_id: str
    by_hand: bool


class Requeued(NamedTuple):
    """A person put it back; it goes on under another queue id."""

    queue_id: str


class Held(NamedTuple):
    """It waits for a person."""

    queue_id: str


class SessionEnded(NamedTuple):
    """The client's connection is over; a message of it that is not in the queue by now was broken off."""

    session: str


class Lost(NamedTuple):
    """The log itself says that lines are missing."""

    marker: str
    times: int


class Access(NamedTuple):
    """A mailbox was opened to a client, or was not. `user` is the login name as logged; None = none logged."""

    user: str | None
    protocol: str
    client_ip: bytes | None
    client_port: int | None
    server_ip: bytes | None
    session_id: str | None
    tls: str | None
    outcome: Outcome
    attempts: int
    flags: tuple[str, ...] = ()


class LmtpClient(NamedTuple):
    """A process of a mailbox server takes mail from this client from now on."""

    process: str
    client: Client


class Stored(NamedTuple):
    """A mailbox server tells what it did with one recipient's mail; the MTA that handed it over names `session_id`.

    Several lines may tell of one delivery: the one of the highest `rank` says what became of it.
    """

    session_id: str
    process: str
    user: Address
    message_id: str | None
    outcome: Outcome
    rank: int
    flags: tuple[str, ...] = ()


class Tracked(NamedTuple):
    """A row of a tracking log: what one event says of a message and of each recipient that it is about.

    `is_wide`: `queue_id` names the message on all servers of the organisation. `from_mailbox`: a mailbox here handed
    it in. `is_originating`: whether it began here; None = not logged. `deliveries` of an event that decides nothing
    have the outcome UNKNOWN; those of RENAMED say what each recipient was before.
    """

    what: Literal["RECEIVED", "RENAMED", "FORKED", "PASSED", "DECIDED", "DEFERRED", "HELD"]
    queue_id: str
    is_wide: bool
    sender: Address | None
    message_id: str | None
    size_bytes: int | None
    recipient_count: int | None
    client: Client | None
    from_mailbox: bool
    kind: Kind
    is_originating: bool | None
    previous_queue_id: str | None
    own_ip: bytes | None
    deliveries: tuple[Delivery, ...]
    flags: tuple[str, ...] = ()


class Ignored(NamedTuple):
    """Known to carry no envelope facts."""

    rule: str


class NotUnderstood(NamedTuple):
    """No rule knows this line."""

    reason: str


Event = (
    Arrived
    | MessageId
    | Queued
    | Delivery
    | Refusal
    | Child
    | Handed
    | Proxied
    | Expired
    | Removed
    | Requeued
    | Held
    | SessionEnded
    | Access
    | LmtpClient
    | Stored
    | Tracked
    | Lost
    | Ignored
    | NotUnderstood
)

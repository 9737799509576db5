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
    in_part: bool = False  # the sender, and maybe the client, are told by a later line of the message


class Received(NamedTuple):
    """All that one line tells of a message: it was taken in, or its SMTP transaction ended without one.

    `message_id` None: nothing was taken in, as far as is known. `from_here`: handed over by a program of this host.
    """

    queue_id: str
    session: str
    client: Client
    sender: Address
    size_bytes: int | None
    recipient_count: int
    message_id: str | None
    flags: tuple[str, ...]
    from_here: bool


class Authenticated(NamedTuple):
    """The client of a session proved who it is; its messages follow."""

    session: str
    client: Client


class Deliveries(NamedTuple):
    """One attempt for several recipients. `controlling` = whom the mail system names as responsible for them.

    `from_here`: the next hop is a server on this host; `uid` = the local user who handed the message in, where told.
    """

    deliveries: tuple[Delivery, ...]
    controlling: str | None
    from_here: bool
    uid: int | None


class Answered(NamedTuple):
    """What the client was told about a whole message that is refused; lines that name its recipients follow."""

    queue_id: str
    dsn: str | None
    smtp_code: int


class Undelivered(NamedTuple):
    """Recipients of a message that was refused (or taken and discarded) as a whole, at the end of its data."""

    queue_id: str
    recipients: tuple[Address, ...]
    outcome: Outcome


class Added(NamedTuple):
    """A filter added a recipient."""

    queue_id: str
    recipient: Address


class Renamed(NamedTuple):
    """A filter gave the message another sender."""

    queue_id: str
    sender: Address


class Discarded(NamedTuple):
    """A message was taken and discarded; its recipients are not named."""

    queue_id: str


class Notice(NamedTuple):
    """A notice with an empty reverse-path was made. `expired`: because every undecided recipient has failed."""

    queue_id: str
    child_queue_id: str
    kind: Kind
    expired: bool


class Split(NamedTuple):
    """Some recipients go on under other queue ids; those whom `owner` is responsible for have it as their sender."""

    queue_id: str
    child_queue_ids: tuple[str, ...]
    owner: Address | None


class Part(NamedTuple):
    """One of the lines into which a longer one was cut, counted from 1. `text` as logged; `last`: nothing follows."""

    queue_id: str
    session: str
    number: int
    text: bytes
    last: bool


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
    """A session begins whose messages have queue ids that are told later (Handed, TakenIn)."""

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


# What mail systems say that name each envelope of a message by an id of its own, and clients by their session only.


class SessionUser(NamedTuple):
    """The client of this session proved who it is."""

    session: str
    user: str
    flags: tuple[str, ...] = ()


class SessionRefusal(NamedTuple):
    """A sender, a recipient, a message at its end, or the session was refused."""

    session: str
    sender: Address | None
    recipient: Address | None
    dsn: str | None
    smtp_code: int | None
    flags: tuple[str, ...] = ()


class TakenIn(NamedTuple):
    """A message was taken in by this session, and may have this recipient; parts that its line does not hold are None.

    `envelope_id` is empty where the line names none. Without `recipient_count`, a line with a recipient counts as one.
    """

    session: str
    queue_id: str
    envelope_id: str
    size_bytes: int | None
    recipient_count: int | None
    sender: Address | None
    recipient: Address | None


class Attempted(NamedTuple):
    """One attempt for one envelope ended, in this session to its next hop, if there was one."""

    session: str
    envelope_id: str
    sender: Address
    delivery: Delivery


class EnvelopeEnded(NamedTuple):
    """An envelope left the queue without an attempt: it expired, or a person removed it."""

    queue_id: str
    envelope_id: str
    sender: Address
    recipient: Address
    original_recipient: Address | None
    outcome: Outcome


class Hop(NamedTuple):
    """What a session to a next hop told: port, TLS protocol and cipher; or that it is over."""

    session: str
    port: int | None
    tls: str | None
    over: bool = False


class Lost(NamedTuple):
    """The log itself says that lines are missing."""

    marker: str
    times: int


class Accepted(NamedTuple):
    """A message was taken in, and one line says everything of it.

    `recipients` = those that are named there; perhaps none. `parent_queue_id` = the message that a notice tells of.
    """

    queue_id: str
    client: Client
    sender: Address
    recipients: tuple[Address, ...]
    message_id: str | None
    size_bytes: int | None
    parent_queue_id: str | None
    flags: tuple[str, ...] = ()


class Routed(NamedTuple):
    """One attempt for one recipient of an `Accepted` message ended. `sender`: if the line repeats it.

    `attempted` is false where the line says that it was not time for another attempt yet.
    """

    delivery: Delivery
    sender: Address | None
    attempted: bool = True


class RecipientAdded(NamedTuple):
    """A person added a recipient."""

    queue_id: str
    recipient: Address


class RecipientDone(NamedTuple):
    """A person marked a recipient as delivered, though it is not."""

    queue_id: str
    recipient: Address


class SenderChanged(NamedTuple):
    """A person changed the envelope sender of a message in the queue."""

    queue_id: str
    sender: Address


class Blackholed(NamedTuple):
    """A message was taken in and thrown away. `told`: each recipient had a line of its own before."""

    queue_id: str
    told: bool


class Frozen(NamedTuple):
    """It waits for a person; so does everyone who is undecided."""

    queue_id: str


class Thawed(NamedTuple):
    """It no longer waits for a person."""

    queue_id: str


class GivenUp(NamedTuple):
    """A person, or a limit, ended it: who is undecided will not get it; the sender is told, if there is one."""

    queue_id: str
    by_hand: bool


class Completed(NamedTuple):
    """Nothing is left to do for a message."""

    queue_id: str


class SyslogPart(NamedTuple):
    """One part of a line that was cut for syslog: `number` of `of`. `ends_line`: the original line ends with it."""

    session: str
    number: int
    of: int
    text: bytes
    ends_line: bool


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
    | Received
    | Authenticated
    | Deliveries
    | Answered
    | Undelivered
    | Added
    | Renamed
    | Discarded
    | Notice
    | Split
    | Part
    | Child
    | Handed
    | Proxied
    | Expired
    | Removed
    | Requeued
    | Held
    | SessionEnded
    | SessionUser
    | SessionRefusal
    | TakenIn
    | Attempted
    | EnvelopeEnded
    | Hop
    | Access
    | LmtpClient
    | Stored
    | Tracked
    | Lost
    | Accepted
    | Routed
    | RecipientAdded
    | RecipientDone
    | SenderChanged
    | Blackholed
    | Frozen
    | Thawed
    | GivenUp
    | Completed
    | SyslogPart
    | Ignored
    | NotUnderstood
)

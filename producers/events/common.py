"""What most mail systems' logs say, a fact a line (Postfix says nothing else)."""

from typing import NamedTuple

from producers.events.values import Address, Client, Relay
from schemas.envelope import Kind, Outcome


class Arrived(NamedTuple):
    """A message begins: `previous_queue_id` when it continues an older one (requeue)."""

    queue_id: str
    session: str
    client: Client
    previous_queue_id: str | None = None
    sender: Address | None = None  # as it was handed in, before it was rewritten


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
    delay_seconds: float | None = None  # since the message arrived, as logged


class Probed(NamedTuple):
    """A recipient's address was only asked about, nothing was sent: decided, and no record."""

    queue_id: str
    recipient: Address


class Refusal(NamedTuple):
    """A recipient or a message was refused or discarded. `queue_id` is empty where there was none yet.

    `session` names the one that a proxy filter refused in: its client was told before (Proxied).

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
    session: str = ""
    in_part: bool = False  # the sender, and maybe the client, are told by a later line of the message


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
    """Every recipient that is still undecided has failed; `by_hand`: a person said so."""

    queue_id: str
    by_hand: bool = False


class Removed(NamedTuple):
    """The message has left the queue. `by_hand`: a person did it, in a command `session`, whatever was undecided."""

    queue_id: str
    by_hand: bool
    session: str = ""


class RemovedByHand(NamedTuple):
    """A command removed so many messages, of which it may have named each, or none."""

    session: str
    times: int


class Requeued(NamedTuple):
    """A person put it back; it goes on under another queue id."""

    queue_id: str


class Held(NamedTuple):
    """It waits for a person. Without a queue id: the message that begins next in the session does.

    `sender` and one `recipient` where the line names them; a held message may never get another line.
    """

    queue_id: str
    session: str = ""
    sender: Address | None = None
    recipient: Address | None = None


class Added(NamedTuple):
    """The server adds a recipient of its own; without a queue id, to the message that begins next in the session."""

    queue_id: str
    session: str
    recipient: Address


class SessionEnded(NamedTuple):
    """The client's connection is over; a message of it that is not in the queue by now may have been broken off.

    `accepted` messages were taken, None = not told. Not `over`: the line that ends it for good is still to come.
    """

    session: str
    accepted: int | None = None
    over: bool = True


# What mail systems say that name each envelope of a message by an id of its own, and clients by their session only.


class Lost(NamedTuple):
    """The log itself says that lines are missing."""

    marker: str
    times: int


class Ignored(NamedTuple):
    """Known to carry no envelope facts."""

    rule: str


class NotUnderstood(NamedTuple):
    """No rule knows this line."""

    reason: str

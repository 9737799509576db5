"""What logs say whose one line tells many facts (Sendmail): producers/whole_lines.py joins them."""

from typing import NamedTuple

from producers.events.common import Delivery
from producers.events.values import Address, Client
from schemas.envelope import Kind, Outcome


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


class AddedByFilter(NamedTuple):
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

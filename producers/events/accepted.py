"""What logs say that tell a message whole when it is accepted (Exim): producers/accepted.py and parts.py join them."""

from typing import NamedTuple

from producers.events.common import Delivery
from producers.events.values import Address, Client


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

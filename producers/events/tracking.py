"""What a tracking log says (Exchange): producers/tracking.py decides recipients by it."""

from typing import Literal, NamedTuple

from producers.events.common import Delivery
from producers.events.values import Address, Client
from schemas.envelope import Kind


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

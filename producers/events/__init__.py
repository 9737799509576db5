"""What one log line says, in the words of no particular mail system.

All values are canonical: text is decoded (`text.decode`), addresses are in external form, IP addresses are 16 bytes.
`queue_id` names a message on one server while it lasts; the assembler adds host and instance.

One file for what most logs say, one for each other way of telling it; whoever reads events imports them from here.
"""

from producers.events.accepted import (
    Accepted,
    Blackholed,
    Completed,
    Frozen,
    GivenUp,
    RecipientAdded,
    RecipientDone,
    Routed,
    SenderChanged,
    SyslogPart,
    Thawed,
)
from producers.events.common import (
    Added,
    Arrived,
    Child,
    Delivery,
    Expired,
    Handed,
    Held,
    Ignored,
    Lost,
    MessageId,
    NotUnderstood,
    Probed,
    Proxied,
    Queued,
    Refusal,
    Removed,
    RemovedByHand,
    Requeued,
    SessionEnded,
)
from producers.events.envelopes import Attempted, EnvelopeEnded, Hop, SessionRefusal, SessionUser, TakenIn
from producers.events.mailboxes import Access, LmtpClient, Stored
from producers.events.tracking import Tracked
from producers.events.values import Address, Client, Relay
from producers.events.whole_lines import (
    AddedByFilter,
    Answered,
    Authenticated,
    Deliveries,
    Discarded,
    Notice,
    Part,
    Received,
    Renamed,
    Split,
    Undelivered,
)

Event = (
    Arrived
    | MessageId
    | Queued
    | Delivery
    | Probed
    | Refusal
    | Received
    | Authenticated
    | Deliveries
    | Answered
    | Undelivered
    | AddedByFilter
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
    | RemovedByHand
    | Requeued
    | Held
    | Added
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

__all__ = [
    "Accepted",
    "Access",
    "Added",
    "AddedByFilter",
    "Address",
    "Answered",
    "Arrived",
    "Attempted",
    "Authenticated",
    "Blackholed",
    "Child",
    "Client",
    "Completed",
    "Deliveries",
    "Delivery",
    "Discarded",
    "EnvelopeEnded",
    "Event",
    "Expired",
    "Frozen",
    "GivenUp",
    "Handed",
    "Held",
    "Hop",
    "Ignored",
    "LmtpClient",
    "Lost",
    "MessageId",
    "NotUnderstood",
    "Notice",
    "Part",
    "Probed",
    "Proxied",
    "Queued",
    "Received",
    "RecipientAdded",
    "RecipientDone",
    "Refusal",
    "Relay",
    "Removed",
    "RemovedByHand",
    "Renamed",
    "Requeued",
    "Routed",
    "SenderChanged",
    "SessionEnded",
    "SessionRefusal",
    "SessionUser",
    "Split",
    "Stored",
    "SyslogPart",
    "TakenIn",
    "Thawed",
    "Tracked",
    "Undelivered",
]

"""Messages while they are in the queue: what is known of each, and of each of its recipients."""

from dataclasses import dataclass, field, fields
from typing import Any

from producers.events import Added, Address, Client, Delivery, Held, Refusal, Relay, Stored
from producers.lines import Line
from producers.sources.header import Moment
from schemas.envelope import Kind

Key = tuple[str, str, str]  # host, instance, queue id: not unique over time


@dataclass(slots=True)
class Parent:
    """The message that another one was made from, with what the child takes from it."""

    message_key: bytes | None
    queue_id: str
    client: Client
    kind: Kind


@dataclass(slots=True)
class Attempt:
    """A delivery line that has not made its record yet: a deferral, or one that waits for missing parts."""

    line: Line
    delivery: Delivery
    observed_time: int
    attempts: int = 1
    reported: bool = False


@dataclass(slots=True)
class Transaction:
    """One message on one server. `number` is unique in an assembler; `key` names it only while it lasts."""

    number: int
    key: Key
    source_name: str
    message_key: bytes
    last_line: Line
    last_observed_time: int
    client: Client | None = None
    accept: Moment | None = None
    sender: Address | None = None
    message_id: str | None = None
    size_bytes: int | None = None
    recipient_count: int | None = None
    parent: Parent | None = None
    session: str = ""
    flags: list[str] = field(default_factory=list)
    undecided: dict[str, Attempt] = field(default_factory=dict)  # by recipient: deferred so far
    waiting: list[Attempt] = field(default_factory=list)  # decided, but parts of the message are missing
    decided: int = 0
    handed_back: bool = False
    held: bool = False
    ended: bool = False
    open_ended: bool = False  # how many recipients are to be decided is not known
    owner: Address | None = None  # of a list: the sender of what its recipients get
    failed: bool = False  # someone will not get it, and no notice of that was seen yet
    expects: list[str] = field(default_factory=list)  # LMTP sessions that the mailbox server has still to tell of
    by_message_id: bool = False  # its parent was found by Message-ID and recipient
    sender_told: Address | None = None  # before rewriting, or of a message that never got into the queue
    recipient_told: Address | None = None  # one recipient of such a message
    added: list[str] = field(default_factory=list)  # recipients that the server added, as logged

    def flag(self, *names: str) -> None:
        """Add flags, once each."""
        for name in names:
            if name not in self.flags:
                self.flags.append(name)


def complete(transaction: Transaction) -> bool:
    """Whether nothing of the message is to be waited for."""
    if transaction.sender is None or transaction.expects:
        return False
    if transaction.parent is not None:
        return True
    return transaction.client is not None and not transaction.handed_back


def missing(transaction: Transaction) -> tuple[str, ...]:
    """The flag of a message whose beginning was not read."""
    begun = transaction.client is not None or transaction.parent is not None
    return () if begun and transaction.sender is not None else ("PARTIAL_START",)


def to_plain(value: Any) -> Any:
    """A transaction (or any part of one) as plain JSON values, reversible by `from_plain`."""
    if isinstance(value, bytes):
        return {"bytes": value.decode("latin-1")}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {type(value).__name__: [to_plain(part) for part in value]}
    if isinstance(value, tuple):
        return {"tuple": [to_plain(part) for part in value]}
    if isinstance(value, list):
        return [to_plain(part) for part in value]
    if isinstance(value, dict):
        return {"dict": [[to_plain(key), to_plain(part)] for key, part in value.items()]}
    if isinstance(value, (Transaction, Attempt, Parent)):
        return {type(value).__name__: [to_plain(getattr(value, part.name)) for part in fields(value)]}
    return value


def from_plain(plain: Any) -> Any:
    """The value of `to_plain`."""
    if isinstance(plain, list):
        return [from_plain(part) for part in plain]
    if not isinstance(plain, dict):
        return plain
    ((name, body),) = plain.items()
    if name == "bytes":
        return body.encode("latin-1")
    if name == "dict":
        return {from_plain(key): from_plain(part) for key, part in body}
    parts = [from_plain(part) for part in body]
    if name == "tuple":
        return tuple(parts)
    return _TYPES[name](*parts)


_EVENTS = (Address, Client, Relay, Delivery, Refusal, Held, Added, Stored)
_TYPES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        Transaction,
        Attempt,
        Parent,
        Address,
        Client,
        Relay,
        Delivery,
        Refusal,
        Held,
        Added,
        Stored,
        Line,
        Moment,
    )
}

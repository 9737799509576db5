"""What logs say that know each recipient by an envelope id (OpenSMTPD): producers/envelopes.py joins them."""

from typing import NamedTuple

from producers.events.common import Delivery
from producers.events.values import Address
from schemas.envelope import Outcome


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

"""What a mailbox server's log says (Dovecot): producers/mailboxes.py joins it with the MTA's."""

from typing import NamedTuple

from producers.events.values import Address, Client
from schemas.envelope import Outcome


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

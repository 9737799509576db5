"""What events are made of: addresses, clients, relays."""

from typing import NamedTuple

from schemas.envelope import RecipientIpOrigin, SenderIpOrigin


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

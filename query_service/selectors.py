"""What may be looked for: one thing or one network, in one canonical form. Pure.

There are no wildcards, and a network has a least length: an authorization names whom it is about.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Final

from query_service.errors import DeskError

IPV4_PREFIX_MIN: Final = 16
IPV6_PREFIX_MIN: Final = 32
VALUE_CHARACTERS_MAX: Final = 998  # RFC 5322's line: no Message-ID is longer
ADDRESS_CHARACTERS_MAX: Final = 320
_DOMAIN: Final = re.compile(r"(?=.{1,253}$)[^\s@.\[\]<>(),;:\\\"*%]+(\.[^\s@.\[\]<>(),;:\\\"*%]+)*")
_LITERAL: Final = re.compile(r"\[[0-9A-Za-z:.-]{2,60}\]")
_LOCAL: Final = re.compile(r"\"(?:[^\"\\]|\\.)+\"|[^\s@\"<>(),;:\\\[\]*]+")
_MESSAGE_ID: Final = re.compile(r"<?([^\s<>]{1,990})>?")
_QUEUE_ID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{3,63}")
_HOST: Final = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.-]{0,251}[0-9A-Za-z])?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")  # where the store keeps IPv4
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, order=True)
class Selector:
    """In canonical form: two that mean the same are equal."""

    kind: str
    value: str
    host: str = ""

    def document(self) -> dict[str, Any]:
        """For canonical JSON."""
        return {"kind": self.kind, "value": self.value, "host": self.host}

    @property
    def network(self) -> Network:
        """Of an IP selector."""
        return ipaddress.ip_network(self.value)


def parse(kind: str, value: str, host: str = "", *, field: str = "selector") -> Selector:
    """REQUEST_INVALID, naming the field and never the value, for what cannot be looked for."""
    text = value.strip()
    if not text or len(text) > VALUE_CHARACTERS_MAX or _CONTROL.search(text):
        raise _invalid(field, "is empty, too long, or has control characters")
    if host and (kind != "QUEUE_ID" or not _HOST.fullmatch(host)):
        raise _invalid(f"{field}.host", "is not a server's name, or stands beside something that has none")
    match kind:
        case "SENDER" | "RECIPIENT" | "ADDRESS":
            return Selector(kind, _address(text, field))
        case "DOMAIN":
            if not _DOMAIN.fullmatch(text):
                raise _invalid(field, "is not a domain")
            return Selector(kind, lower(text))
        case "IP" | "SENDER_IP" | "RECIPIENT_IP":
            return Selector(kind, _network(text, field))
        case "MESSAGE_ID":
            found = _MESSAGE_ID.fullmatch(text)
            if found is None or text.startswith("<") != text.endswith(">"):
                raise _invalid(field, "is not a Message-ID")
            return Selector(kind, f"<{found[1]}>")
        case "QUEUE_ID":
            if not _QUEUE_ID.fullmatch(text):
                raise _invalid(field, "is not a queue id")
            return Selector(kind, text, host.lower())
        case "USER":
            if len(text) > ADDRESS_CHARACTERS_MAX or re.search(r"[\s*]", text):
                raise _invalid(field, "is not a login name")
            return Selector(kind, lower(text))
    raise _invalid(f"{field}.kind", "is not set or not known")


def from_document(document: dict[str, Any]) -> Selector:
    """What `document` wrote."""
    return Selector(document["kind"], document["value"], document["host"])


def covers(granted: Selector, asked: Selector) -> bool:
    """Whether everything that `asked` can find, `granted` names."""
    if granted.kind == asked.kind and granted.value == asked.value:
        return granted.host in ("", asked.host)
    match granted.kind, asked.kind:
        case "ADDRESS", "SENDER" | "RECIPIENT":
            return granted.value == asked.value
        case "DOMAIN", "SENDER" | "RECIPIENT" | "ADDRESS":
            return asked.value.rpartition("@")[2] == granted.value
        case "IP", "IP" | "SENDER_IP" | "RECIPIENT_IP":
            return _within(asked, granted)
        case ("SENDER_IP", "SENDER_IP") | ("RECIPIENT_IP", "RECIPIENT_IP"):
            return _within(asked, granted)
    return False


def lower(text: str) -> str:
    """Lower case of ASCII only, as the store's `lower` and its sorting key have it."""
    return text.encode().lower().decode()


def _address(text: str, field: str) -> str:
    local, at, domain = text.rpartition("@")
    if (
        not at
        or len(text) > ADDRESS_CHARACTERS_MAX
        or not _LOCAL.fullmatch(local)
        or not (_DOMAIN.fullmatch(domain) or _LITERAL.fullmatch(domain))
    ):
        raise _invalid(field, "is not an e-mail address")
    return lower(text)


def _network(text: str, field: str) -> str:
    try:
        network: Network = ipaddress.ip_network(text)
    except ValueError:
        raise _invalid(field, "is not an IP address or CIDR network (host bits must be zero)") from None
    if "%" in text:
        raise _invalid(field, "names a network interface")
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        network = ipaddress.ip_network((mapped, network.prefixlen - 96))
    if isinstance(network, ipaddress.IPv6Network) and network.overlaps(_MAPPED):
        raise _invalid(field, "is an IPv6 network that also holds every IPv4 address")
    least = IPV4_PREFIX_MIN if network.version == 4 else IPV6_PREFIX_MIN
    if network.prefixlen < least:
        raise _invalid(field, f"is a network wider than /{least}")
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _within(asked: Selector, granted: Selector) -> bool:
    one, other = asked.network, granted.network
    if isinstance(one, ipaddress.IPv4Network) and isinstance(other, ipaddress.IPv4Network):
        return one.subnet_of(other)
    if isinstance(one, ipaddress.IPv6Network) and isinstance(other, ipaddress.IPv6Network):
        return one.subnet_of(other)
    return False


def _invalid(field: str, what: str) -> DeskError:
    return DeskError("REQUEST_INVALID", f"The field {field} {what}.", field=field)

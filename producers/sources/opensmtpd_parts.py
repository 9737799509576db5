"""What OpenSMTPD's line forms of all versions share: clients, relays, addresses, attempts, encoded text."""

import re
from typing import Final

from producers.events import Address, Attempted, Client, Delivery, Event, NotUnderstood, Relay
from producers.text import address, decode, ip_address, scan_address
from schemas.envelope import Outcome

EVPID: Final = re.compile(rb"[0-9a-f]{16}")
HERE: Final = Relay("", None, None, None, "LOCAL_DELIVERY")
_OUTCOMES: Final[dict[bytes, Outcome]] = {b"Ok": "SENT", b"TempFail": "DEFERRED", b"PermFail": "BOUNCED"}
_REPLY: Final = re.compile(rb"([2-5]\d\d)[ -](?:([245]\.\d{1,3}\.\d{1,3})\b)?")
_NEXT_IDS: Final = (
    re.compile(rb"[Qq]ueued as ([0-9A-Za-z]{5,24})\b"),
    re.compile(rb"\A250 2\.0\.0:? ([0-9a-f]{8}) Message accepted for delivery"),
    re.compile(rb"\bid=([0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4})\b"),
    re.compile(rb"2\.0\.0 ([0-9A-Za-z]{10,20}) Message accepted for delivery"),
)


def client_of(where: bytes, host: bytes) -> Client:
    """The client of a session: an address, IPv6 in brackets, or `local`; `<unknown>` stands for a missing name."""
    if where == b"local":
        return Client(None, None, "LOCAL_PROCESS")
    ip = ip_address(where.strip(b"[]"))
    name = None if host in (b"<unknown>", b"") else decode(host)[0]
    return Client(ip, None, "UNKNOWN_TO_MTA" if ip is None else "CONNECTION", name)


def attempt(
    session: str,
    evpid: bytes,
    sender: Address,
    recipient: Address,
    original: Address | None,
    relay: Relay,
    result: bytes,
    reply: bytes,
) -> Event:
    """One attempt for one envelope ended. `reply` is text of the next hop, empty for a mailbox here."""
    outcome = _OUTCOMES.get(result)
    if outcome is None:
        return NotUnderstood("opensmtpd-result")
    if relay.ip_origin == "LOCAL_DELIVERY" and outcome == "SENT":
        outcome = "DELIVERED"
    code = _REPLY.match(reply)
    next_queue_id = None
    if outcome == "SENT":
        ids = (found for form in _NEXT_IDS if (found := form.search(reply)) is not None)
        next_queue_id = next((found[1].decode("ascii") for found in ids), None)
    told = Delivery(
        evpid[:8].decode("ascii"),
        recipient,
        None if original is not None and original.text == recipient.text else original,
        relay,
        outcome,
        code[2].decode("ascii") if code and code[2] else None,
        int(code[1]) if code else None,
        next_queue_id,
        None,
        None,
        None,
    )
    return Attempted(session, evpid.decode("ascii"), sender, told)


def relay_of(text: bytes) -> Relay:
    """`ADDRESS (name)`, `ADDRESS`, or what was to be connected to when nothing was: the domain."""
    where, named, name = text.partition(b" (")
    ip = ip_address(where.strip(b"[]"))
    if ip is None:
        return Relay(decode(text)[0], None, None, None, "NOT_CONNECTED")
    host = decode(name[:-1])[0] if named and name.endswith(b")") else None
    shown = decode(where.strip(b"[]"))[0]
    return Relay(f"{host or ''}[{shown}]", host, ip, None, "NEXT_HOP")


def cut_address(text: bytes, start: int, followers: tuple[bytes, ...]) -> tuple[Address | None, int]:
    """The address that begins at `start`, and the index behind its `>`, where one of `followers` stands.

    smtpd itself takes only atoms as local part; what an alias file made is cut at the first place that fits, in doubt.
    """
    end = scan_address(text, start)
    if end >= 0 and text.startswith(followers, end + 1):
        return plain_address(text[start:end]), end + 1
    places = [at for follower in followers if (at := text.find(b">" + follower, start)) >= 0]
    if not places:
        return None, -1
    found = plain_address(text[start : min(places)])
    return found._replace(flags=(*found.flags, "AMBIGUOUS_PARSE")), min(places) + 1


def plain_address(raw: bytes) -> Address:
    """An address without its brackets; `@` is the null reverse-path, where user and domain were joined blindly."""
    return address(b"" if raw == b"@" else raw)


def unvis(text: bytes) -> bytes:
    """The bytes that vis(3) encoded: `\\\\`, `\\040`, C escapes, `\\^C`, `\\M-C`, `\\M^C`. What is no code stays."""
    return _ENCODED.sub(_decoded, text) if b"\\" in text else text


_ENCODED: Final = re.compile(rb"\\(?:([0-7]{3})|\^(.)|M-(.)|M\^(.)|(.))", re.DOTALL)
_C_ESCAPES: Final = {
    b"n": b"\n",
    b"r": b"\r",
    b"b": b"\b",
    b"a": b"\a",
    b"v": b"\v",
    b"t": b"\t",
    b"f": b"\f",
    b"s": b" ",
    b"0": b"\0",
}


def _decoded(found: re.Match[bytes]) -> bytes:
    octal, control, meta, meta_control, plain = found.groups()
    if octal is not None:
        return bytes([int(octal, 8) & 0xFF])
    if control is not None:
        return bytes([control[0] ^ 0x40])
    if meta is not None:
        return bytes([meta[0] | 0x80])
    if meta_control is not None:
        return bytes([meta_control[0] ^ 0x40 | 0x80])
    return plain if plain == b"\\" else _C_ESCAPES.get(plain, found[0])

"""Values of Sendmail lines: unescaped text, addresses in their many forms, and who a relay is."""

import re
from typing import Final, NamedTuple

from producers.events import Address, Client
from producers.text import address, decode, ip_address, outside_quotes, scan_address

TEXT_BYTES_MAX: Final = 200  # of an address behind `from=`
HERE: Final = frozenset(ip for ip in (ip_address(b"127.0.0.1"), ip_address(b"::1")) if ip is not None)
_ESCAPED: Final = re.compile(rb"\\(?:([0-7]{3})|([\\ntrbfv]))")
_LETTERS: Final = {b"\\": b"\\", b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_NAME_IP: Final = re.compile(rb"(.*?) ?\[([^\[\]]*)\]\Z", re.DOTALL)
_NAME_PLAIN_IP: Final = re.compile(rb"(.*) \(([0-9a-fA-F.:]+)\)\Z", re.DOTALL)
_FORGED: Final = b" (may be forged)"
_OPENING: Final = {0x28: 0x29, 0x3C: 0x3E}  # ( and <


class Cut(NamedTuple):
    """Addresses of a list, where it ended, and whether that end is certain."""

    values: list[bytes]
    end: int
    certain: bool


def unescaped(text: bytes) -> bytes:
    """What Sendmail was about to log before it made it printable."""
    if b"\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 8) & 255]) if found[1] else _LETTERS[found[2]], text)


def token_end(text: bytes, start: int) -> int:
    """Index of the first comma at or behind `start` that no quotes, brackets or comment hold; -1 when there is none."""
    if text[start : start + 1] == b"<":
        end = scan_address(text, start + 1) + 1
        if end and text[end : end + 1] == b",":
            return end
    waiting: list[int] = []
    for index, byte in outside_quotes(text, start):
        if waiting and byte == waiting[-1]:
            waiting.pop()
        elif byte in _OPENING:
            waiting.append(_OPENING[byte])
        elif byte == 0x2C and not waiting:
            return index
    return -1


def address_list(text: bytes, start: int, behind: re.Pattern[bytes]) -> Cut:
    """`a,b,c` up to a comma with a blank behind it. Where that is not to be found (a value was cut by Sendmail and its
    quotes are not closed), up to the first place that looks like `behind`, and not certain; end -1 when there is none.
    """
    values = []
    at = start
    while True:
        end = token_end(text, at)
        if end < 0:
            found = behind.search(text, at)
            values.append(text[at : found.start()] if found else text[at:])
            return Cut(values, found.start() if found else -1, certain=False)
        values.append(text[at:end])
        if text[end + 1 : end + 2] in (b" ", b""):
            return Cut(values, end, certain=True)
        at = end + 1


def mailbox(raw: bytes) -> Address:
    """An address as `<a@b>`, `a@b`, `Name <a@b>` (the name is not kept), `a@b (comment)` or `\\user`."""
    start = raw.rfind(b"<") if raw.endswith(b">") and not raw.startswith(b"<") else 0
    inner = raw[start:]
    if inner.startswith(b"<") and inner.endswith(b">") and len(inner) > 1:
        return address(inner[1:-1])
    plain = raw[: raw.rfind(b" (")] if raw.endswith(b")") and b" (" in raw else raw
    if plain.startswith(b"\\") and b"@" not in plain:  # a local name that is not to be aliased again
        return Address(decode(plain[1:])[0], decode(plain)[0])
    if plain.startswith(b"<"):  # cut before its end
        found = address(plain[1:])
        return found._replace(flags=(*found.flags, "TRUNCATED"))
    return address(plain)


def client_of(relay: bytes) -> Client:
    """`name [ip]`, `ident@name [ip]`, `[ip]`, either with ` (may be forged)`; or `user@localhost`, a local process."""
    forged = relay.endswith(_FORGED)
    text = relay.removesuffix(_FORGED)
    found = _NAME_IP.match(text) or _NAME_PLAIN_IP.match(text)
    if found is None:
        user, at, _ = text.rpartition(b"@")
        return Client(None, None, "LOCAL_PROCESS", None, None, decode(user)[0] if at else None)
    ip = ip_address(found[2])
    name = found[1].rpartition(b"@")[2]
    # A name that does not lead back to the address is only claimed.
    host = None if forged or not name else decode(name)[0]
    return Client(ip, None, "CONNECTION" if ip is not None else "UNKNOWN_TO_MTA", host)


def is_here(client: Client) -> bool:
    """Whether a client may be this host's own submission program."""
    return client.ip in HERE

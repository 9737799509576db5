"""Fields of an Exim log line: ` NAME=value` one behind the other, cut out between marks and never searched for.

Most values have a closed form. Three are free, because a stranger wrote them: the HELO name inside `H=`, the ident
name `U=` and the login `A=`. A free value ends where everything behind it, up to a mark that the caller knows, has the
form of fields that did not occur yet. A text may be made to have several such readings; which is right depends on the
kind of line.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from producers.events import Address, Client, Relay
from producers.text import address, decode, ip_address

READINGS_MAX: Final = 256
PLACES_MAX: Final = 64
# An address in external form, perhaps empty: blanks and brackets only inside of quotes (RFC 5321, 4.1.2).
ADDRESS: Final = rb'(?>"(?:[^"\\]|\\.)*"|[^\s<>"]++)*+'
_QUOTED: Final = rb'"(?:[^"\\]|\\.)*+"'
_TOKEN: Final = rb"[\w.:+*/-]+?(?=:? |:?\Z)"
_PLACE: Final = rb"\[[0-9A-Fa-f.:]+\](?::\d+)?|[0-9A-Fa-f.:]+?(?=:? |:?\Z)"
_VALUES: Final = {
    name: re.compile(form, re.DOTALL)
    for names, form in (
        (b"F P SRS", rb"<(" + ADDRESS + rb")>|(" + ADDRESS + rb")(?= )"),
        (b"R T", rb"\*\*bypassed\*\*|[\w.-]+"),
        (b"S M8S QT DT RT D", rb"\d[\d.wdhms]*"),
        (b"DN C", _QUOTED),
        (b"id id*", rb"(?:" + _QUOTED + rb"|\[[^\s\[\]]*\]|[^\s\"<>])+(?=[ ]|\Z)"),
        (b"I PRX", _PLACE),
        (b"X CV SNI Q DKIM", _TOKEN),
        # Where mail goes to: no stranger's name stands in it. A local transport may log a name alone.
        (b"H", rb"[^\s\[\]()]+ (?:DS )?\[[0-9A-Fa-f.:]+(?:%\w+)?\](?::\d{1,5})?\*?(?=[ :]|\Z)|[^\s\[\]()]+(?= |\Z)"),
    )
    for name in names.split()
} | {b"": re.compile(_TOKEN)}  # a field that a later version adds
_CLOSED: Final = {name: form for name, form in _VALUES.items() if name != b"H"}
# At an arrival `P` is the protocol and `T` the subject; `R` is the message that a notice tells of.
_ARRIVAL_VALUES: Final = _CLOSED | {
    b"P": re.compile(rb"[\w.+-]+"),
    b"T": re.compile(_QUOTED, re.DOTALL),
    b"R": re.compile(rb"[0-9A-Za-z-]+"),
}
# What fields a kind of line may have.
DELIVERY: Final = _VALUES
ARRIVAL: Final = _ARRIVAL_VALUES
REFUSAL: Final = {name: _ARRIVAL_VALUES[name] for name in (b"F", b"I", b"P", b"X", b"CV", b"DN", b"SNI", b"PRX")}
_NAME: Final = re.compile(rb" (id\*?|[A-Z][A-Z0-9a-z]{0,4})=")
_WORD: Final = re.compile(rb" (?:L[.*-]*|K|PRDR|ARC|DS|TFO\*?|L\*)(?=:? |:?\Z)")
_NEXT: Final = re.compile(rb"(?= (?:id\*?|[A-Z][A-Z0-9a-z]{0,4})=| (?:L[.*-]*|K|PRDR|ARC|DS|TFO\*?) )")
_HOST_END: Final = re.compile(rb"\[([0-9A-Fa-f.:]+(?:%\w+)?)\](?::(\d{1,5}))?\*?(?=[ :]|\Z)")
_HOST_BEGIN: Final = re.compile(rb"(?:([^\s\[\]()]+) )?(?:\((.*)\) |DS )?\Z", re.DOTALL)
_HOST_NAME: Final = re.compile(rb"(?:[^\s\[\]()]+ )?")
# The reply that `C=` quotes begins so: code, enhanced code.
SAID: Final = re.compile(rb'"([245]\d\d)(?:[ -](?:([245]\.\d{1,3}\.\d{1,3})\b)?|")')

Fields = dict[bytes, bytes]


class Reading(NamedTuple):
    """One way in which a text can be read: its fields, and where they end."""

    fields: Fields
    end: int


Forms = dict[bytes, re.Pattern[bytes]]


def readings(text: bytes, at: int, stop: re.Pattern[bytes], forms: Forms) -> list[Reading]:
    """The ways in which `text` from `at` on is fields of these forms, up to a place where `stop` matches.

    One for each place where a host may end, in their order; a login or ident name ends as early as it may.
    """
    found: dict[bytes | None, Reading] = {}
    for number, reading in enumerate(_read(text, at, stop, forms, frozenset())):
        found.setdefault(reading.fields.get(b"H"), reading)
        if number == READINGS_MAX:
            break
    return list(found.values())


def _read(text: bytes, at: int, stop: re.Pattern[bytes], forms: Forms, seen: frozenset[bytes]) -> Iterator[Reading]:
    fields: Fields = {}
    while True:
        named = _NAME.match(text, at)
        form = forms.get(named[1], forms.get(b"")) if named is not None else None
        if named is None or (form is None and named[1] not in _FREE):
            if stop.match(text, at):
                yield Reading(fields, at)
                return
            word = _WORD.match(text, at)
            if word is None:
                return
            at = word.end()
            continue
        name, at = named[1], named.end()
        if name in fields or name in seen:
            return
        if name in _FREE and name not in forms:
            known = seen | fields.keys() | {name}
            for end in _FREE[name](text, at, stop):
                for rest in _read(text, end, stop, forms, known):
                    yield Reading(fields | {name: text[at:end]} | rest.fields, rest.end)
            return
        value = form.match(text, at) if form is not None else None
        if value is None:
            return
        fields[name] = value[0]
        at = value.end()


def _host_ends(text: bytes, at: int, _stop: re.Pattern[bytes]) -> list[int]:
    """Where `name (helo) [address]:port` may end; each part but the address may be missing."""
    named = _HOST_NAME.match(text, at)
    assert named is not None
    helo = text.startswith(b"(", named.end())
    ends = []
    for found in _HOST_END.finditer(text, at):
        begin = found.start()
        if begin in (at, named.end()) or (helo and text.endswith(b") ", named.end() + 1, begin)):
            ends.append(found.end())
    if len(ends) > PLACES_MAX:  # a name that was made for it: the true end is among the first or among the last
        ends = ends[: PLACES_MAX // 2] + ends[-PLACES_MAX // 2 :]
    return [end for end in ends if host_of(text[at:end])[2] is not None]


def _free_ends(text: bytes, at: int, stop: re.Pattern[bytes]) -> list[int]:
    """Where a free value may end: before what looks like a field, or at the caller's mark."""
    ends = [found.start() for found in islice(_NEXT.finditer(text, at), PLACES_MAX)]
    ends += [end for end in _blanks(text, at) if stop.match(text, end)]
    return sorted(set(ends))


def _blanks(text: bytes, at: int) -> Iterator[int]:
    for _ in range(PLACES_MAX):
        at = text.find(b" ", at + 1)
        if at < 0:
            break
        yield at
    yield len(text)


_FREE: Final = {b"H": _host_ends, b"A": _free_ends, b"U": _free_ends}


def host_of(value: bytes) -> tuple[bytes | None, bytes | None, bytes | None, int | None]:
    """`name (helo) [address]:port` as name, HELO, 16 bytes, port; each may be missing."""
    at = -1
    for found in _HOST_END.finditer(value):
        if found.end() == len(value):
            at = found.start()
            ip, port = ip_address(found[1]), found[2]
    begin = _HOST_BEGIN.match(value[:at]) if at >= 0 else None
    if begin is None:
        return value or None, None, None, None
    return begin[1], begin[2], ip, int(port) if port and int(port) < 65536 else None


def client_of(fields: Fields) -> Client:
    """Where a message came from. Without `H=`: a process on this host. `PRX=`: a front end told the address."""
    user, doubtful = _user(fields.get(b"A"))
    flags: tuple[str, ...] = ("AMBIGUOUS_PARSE",) if doubtful else ()
    if b"H" not in fields:
        local = fields.get(b"U")
        if user is None and local not in (None, b"unknown"):
            user = decode(local or b"")[0]
        return Client(None, None, "LOCAL_PROCESS", None, None, user, None, flags)
    name, helo, ip, port = host_of(fields[b"H"])
    shown, invalid = decode(helo) if helo is not None else (None, False)
    return Client(
        ip,
        port,
        "FORWARDED" if b"PRX" in fields else "CONNECTION",
        decode(name)[0] if name else None,
        shown,
        user,
        None,
        (*flags, "INVALID_BYTES") if invalid else flags,
    )


def _user(value: bytes | None) -> tuple[str | None, bool]:
    """`authenticator[:id[:sender]]`: the id. It may hold colons itself; a sender shows by its `@`."""
    if value is None:
        return None, False
    name = value.partition(b":")[2]
    user, mark, sender = name.rpartition(b":")
    if mark and user and (b"@" in sender or sender == b"<>"):
        return decode(user)[0], True
    return decode(name)[0] if name else None, _NAME.search(name) is not None


def relay_of(fields: Fields) -> Relay:
    """Where a recipient's mail went, or was tried last."""
    if b"H" in fields:
        name, _, ip, port = host_of(fields[b"H"])
        host = decode(name)[0] if name else None
        if ip is not None:
            place = fields[b"H"][fields[b"H"].rfind(b"[") :].rstrip(b"*").decode("ascii", "replace")
            return Relay(f"{host or ''}{place}", host, ip, port, "NEXT_HOP")
    return Relay("", None, None, None, "NOT_CONNECTED")


def bracketed(value: bytes) -> Address:
    """The address of `<address>` or of `address`."""
    return address(value[1:-1] if value.startswith(b"<") and value.endswith(b">") else value)

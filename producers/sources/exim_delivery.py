"""Exim's delivery lines: `=> ADDRESS FIELDS`, `** ADDRESS FIELDS: TEXT`, `== ADDRESS FIELDS defer (N) FIELDS: TEXT`.

The address stands first and is hard to end: `FINAL (PARENT, ...) <ORIGINAL>`, where FINAL is unquoted even when it
holds blanks and brackets, is only a local part behind a local delivery, and may be a command, a file or `:blackhole:`.
It ends where fields begin that have their form to the line's end (`=>`), or to the text that follows them.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from producers.events import Address, Delivery, Event, NotUnderstood, Relay, Routed
from producers.sources.exim_fields import ADDRESS, DELIVERY, SAID, Fields, readings, relay_of
from producers.sources.replies import EXIM_ID, LMTP_SESSION, QUEUED_AS, SENDMAIL_ID
from producers.text import address, decode
from schemas.envelope import Outcome

CANDIDATES_MAX: Final = 512
_RETRY_BASE: Final = -51  # error numbers of attempts that were not made, and below
_TOP: Final = re.compile(rb"(?:\A| )<(" + ADDRESS + rb")>\Z", re.DOTALL)
_PARENT: Final = rb'(?>"(?:[^"\\]|\\.)*"|[^\s<>"(),]++)*+'
_PARENTS: Final = re.compile(rb" \((" + _PARENT + rb")(?:, " + _PARENT + rb")*\)\Z", re.DOTALL)
_PLAIN: Final = re.compile(ADDRESS + rb"\Z", re.DOTALL)
_BEGIN: Final = re.compile(rb"(?= (?:[FQPRT]|SRS)=| (?:routing )?defer \(|: )|\Z")
_END: Final = re.compile(rb"\Z")
_TEXT: Final = re.compile(rb": |\Z")
_DEFER: Final = re.compile(rb" (?:routing )?defer \((-?\d{1,6})\)")
_SMTP_SAID: Final = re.compile(
    rb"(?:SMTP error from remote mail(?:er)?(?: server)?|LMTP error) after "
    rb"(?:(?:pipelined )?(?:RCPT TO|MAIL FROM):<" + ADDRESS + rb">[^:]*|[^:<]*): "
    rb"(?:host ([^\s\[\]]+ \[[0-9A-Fa-f.:]+\](?::\d+)?): )?([245]\d\d)(?:[ -](?:([245]\.\d{1,3}\.\d{1,3})\b)?|\Z)",
    re.DOTALL,
)
_NEXT_IDS: Final = (EXIM_ID, QUEUED_AS, SENDMAIL_ID)
_OPERATORS: Final = (b"|", b"/", b">", b":", b"save ")  # what aliases and filters of this host make of an address
_TIMED_OUT: Final = b"retry timeout exceeded"


class Acted(NamedTuple):
    """The address of a line. `final` is what was acted on, as logged; `parent` and `original` where they differ."""

    final: bytes
    parent: bytes | None
    original: bytes | None
    certain: bool


def success(queue_id: str, flag: bytes, rest: bytes) -> Event:
    """`=>`, `->`, `>>` (cut through, before the arrival) and `*>` (-N: it was only said to be delivered)."""
    for at in _places(rest):
        acted = _acted(rest[:at], local=True)
        if acted is None:
            continue
        found = readings(rest, at, _END, DELIVERY)
        if not found or not (b"R" in found[0].fields or b"T" in found[0].fields):
            continue
        fields = found[0].fields
        return _succeeded(queue_id, flag, acted, fields)
    return NotUnderstood("exim-delivery")


def _succeeded(queue_id: str, flag: bytes, acted: Acted, fields: Fields) -> Event:
    relay = relay_of(fields)
    recipient, original = _addresses(acted, fields)
    outcome: Outcome = "SENT"
    if acted.final.startswith(b":blackhole:") or acted.final == b"/dev/null" or flag == b"*>":
        outcome, relay = "DISCARDED", Relay("", None, None, None, "NOT_CONNECTED")
    elif relay.ip is None:
        outcome, relay = "DELIVERED", relay._replace(ip_origin="LOCAL_DELIVERY")
    if acted.final.startswith(b">"):  # answered: the reply is a message of its own, made from this one
        recipient = recipient._replace(flags=(*recipient.flags, "EXPANDED"))
    if flag == b"*>":
        recipient = recipient._replace(flags=(*recipient.flags, "ADMINISTRATIVE"))
    said = fields.get(b"C", b"")
    code = SAID.match(said)
    next_id = next((found[1] for form in _NEXT_IDS if (found := form.search(said))), None)
    session = LMTP_SESSION.search(said)
    return Routed(
        Delivery(
            queue_id,
            recipient,
            original,
            relay,
            outcome,
            code[2].decode() if code and code[2] else None,
            int(code[1]) if code else None,
            next_id.decode() if next_id else None,
            None,
            session[1].decode() if session else None,
            _tls(fields),
        ),
        _sender(fields),
    )


def failure(queue_id: str, rest: bytes) -> Event:
    """`** ADDRESS FIELDS: TEXT`. Of the text only the SMTP codes, where they stand, and that the time was over."""
    return _unsuccessful(queue_id, rest, _TEXT, deferred=False)


def deferral(queue_id: str, rest: bytes) -> Event:
    """`== ADDRESS FIELDS defer (N)[: system error] FIELDS: TEXT`."""
    return _unsuccessful(queue_id, rest, _DEFER, deferred=True)


def _unsuccessful(queue_id: str, rest: bytes, stop: re.Pattern[bytes], *, deferred: bool) -> Event:
    """The first place counts from which all is fields; one at which a quoted address stands twice counts more."""
    found: list[tuple[Acted, Fields, int]] = []
    for at in _places(rest):
        acted = _acted(rest[:at], local=False)
        if acted is not None and (ways := readings(rest, at, stop, DELIVERY)):
            found.append((acted, ways[0].fields, ways[0].end))
    if not found:
        return NotUnderstood("exim-deferral" if deferred else "exim-failure")
    acted, fields, end = next((way for way in found if way[0].certain), found[0])
    attempted = True
    if deferred and (numbered := _DEFER.match(rest, end)) is not None:
        attempted = int(numbered[1]) > _RETRY_BASE
        more, end = _behind_defer(rest, numbered.end())
        fields = fields | more
    text = rest[end + 2 :]
    code = _SMTP_SAID.match(text)
    if code is not None and code[1]:  # before 4.87 the host stood in the text
        fields = {b"H": code[1]} | fields
    recipient, original = _addresses(acted, fields)
    if len(found) > 1 and acted.certain:
        recipient = recipient._replace(flags=(*recipient.flags, "AMBIGUOUS_PARSE"))
    outcome: Outcome = "DEFERRED" if deferred else "BOUNCED"
    if not deferred and _text_ends(text, _TIMED_OUT) and not (code and code[2].startswith(b"5")):
        outcome = "EXPIRED"
    return Routed(
        Delivery(
            queue_id,
            recipient,
            original,
            relay_of(fields),
            outcome,
            code[3].decode() if code and code[3] else None,
            int(code[2]) if code else None,
            None,
            None,
            None,
            _tls(fields),
        ),
        _sender(fields),
        attempted,
    )


def _behind_defer(rest: bytes, at: int) -> tuple[Fields, int]:
    """Fields behind `defer (N)`; a system error's name may stand before them."""
    if rest.startswith(b": ", at) and (more := rest.find(b" H=", at)) > 0:
        ways = readings(rest, more, _TEXT, DELIVERY)
        if ways and b":" not in rest[at + 2 : more]:
            return ways[0].fields, ways[0].end
    ways = readings(rest, at, _TEXT, DELIVERY)
    return (ways[0].fields, ways[0].end) if ways else ({}, at)


def _text_ends(text: bytes, what: bytes) -> bool:
    """Whether a text ends so; ` DT=` may stand behind it."""
    return re.sub(rb" DT=\d[\d.wdhms]*\Z", b"", text).endswith(what)


def _places(rest: bytes) -> Iterator[int]:
    for number, found in enumerate(_BEGIN.finditer(rest, 1)):
        if number == CANDIDATES_MAX:
            return
        yield found.start()


def _acted(text: bytes, *, local: bool) -> Acted | None:
    """The parts of `FINAL (PARENT, ...) <ORIGINAL>`; None when the text has another form."""
    top = _TOP.search(text)
    if top is None:
        plain = _PLAIN.match(text) is not None and b"@" in text
        return Acted(text, None, None, False) if plain or text.startswith(b":") else None
    original = top[1]
    if b"@" not in original:
        return None
    final = text[: top.start()]
    parents = _PARENTS.search(final)
    parent = parents[1] if parents else None
    if parents is not None:
        final = final[: parents.start()]
    if final.startswith(_OPERATORS):
        return Acted(final, parent, original, False)
    certain = original[:1] == b'"' and _same(final, original, local=local)
    return Acted(final, parent, original, certain) if final else None


def _same(final: bytes, original: bytes, *, local: bool) -> bool:
    """Whether FINAL is ORIGINAL without its quotes (Exim may have put it in lower case), or its local part."""
    quoted = address(final).text.lower()
    wanted = decode(original)[0].lower()
    if quoted == wanted:
        return True
    return local and address(final + b"@x").text.rpartition("@")[0].lower() == wanted.rpartition("@")[0]


def _addresses(acted: Acted, fields: Fields) -> tuple[Address, Address | None]:
    """Recipient and original recipient.

    Where the log holds only the local part of who got it, the original address is the recipient; that something else
    was acted on shows in `logged`, and in the original recipient.
    """
    if acted.original is None:
        return address(acted.final), None
    original = address(acted.original)
    if acted.final.startswith(_OPERATORS):
        return (address(acted.parent), original) if acted.parent else (original, None)
    if _same(acted.final, acted.original, local=b"H" not in fields):
        return original, None
    if b"@" not in acted.final:
        return original._replace(logged=decode(acted.final)[0]), original
    return address(acted.final), original


def _sender(fields: Fields) -> Address | None:
    """`F=<...>`, where +sender_on_delivery is set."""
    value = fields.get(b"F")
    return address(value[1:-1]) if value is not None and value.startswith(b"<") else None


def _tls(fields: Fields) -> str | None:
    value = fields.get(b"X")
    return decode(value)[0] if value else None

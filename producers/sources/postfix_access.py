"""Postfix access actions: what smtpd, postscreen, cleanup and milters refuse, discard, hold, or only note."""

import re
from itertools import islice
from typing import Final

from producers.events import Added, Address, Client, Event, Held, Ignored, Refusal
from producers.text import address, decode, ip_address, scan_address
from schemas.envelope import Outcome

HOST_IP_PORT: Final = re.compile(rb"(.*)\[([^\[\]]*)\](?::(?:(\d{1,5})|unknown))?\Z", re.DOTALL)
_REPLY: Final = re.compile(rb"([2-5]\d\d) (?:([2-5]\.\d{1,3}\.\d{1,3}) )?")
_STATUS: Final = re.compile(rb"([245]\.\d{1,3}\.\d{1,3}) ")  # cleanup logs a milter's reply without its code
# smtpd writes `?` for angle brackets in HELO; only cleanup writes a text behind it.
_PROTO_HELO: Final = re.compile(rb",? ?proto=[A-Z0-9-]+(?:,? helo=<([^<>]*)>)?(?:,? sasl_method=.*)?\Z", re.DOTALL)
_LOOSE: Final = re.compile(rb",? ?proto=[A-Z0-9-]+(?:,? helo=<(.*)>)?(?:,? sasl_method=.*|: .*)?\Z", re.DOTALL)
_ECHOED: Final = re.compile(rb": [2-5]\d\d (?:[2-5]\.\d{1,3}\.\d{1,3} )?<")
_FIELDS_BEGIN: Final = re.compile(rb"; (?=from=<|to=<|proto=)")
PLACES_MAX: Final = 16
_Fields = tuple[Address | None, Address | None, str | None]
_CONTENT: Final = (b"header ", b"body ", b"mime-error ")


def client_of(text: bytes) -> tuple[bytes, bytes | None, int | None]:
    """`name[address]:port` as (name, 16 bytes or None, port or None)."""
    found = HOST_IP_PORT.match(text)
    if found is None:
        return text, None, None
    port = int(found[3]) if found[3] else None
    return found[1], ip_address(found[2]), port


def access_action(queue_id: str, pid: bytes, action: bytes, tail: bytes) -> Event:
    """`ACTION: STAGE from CLIENT: TEXT; from=<S> to=<R> proto=P helo=<H>`: refused, discarded, held, or only noted."""
    outcome, whole = ACTIONS[action]
    if outcome is None and action not in _NOTED:
        return Ignored("postfix-access-note")
    content = tail.startswith(_CONTENT)
    head, (sender, recipient, helo), doubtful = _split_envelope(tail, last=content)
    if outcome is None:
        session = pid.decode("ascii", "replace")
        if action.endswith(b"bcc"):
            return _added(queue_id, session, (tail if content else head).rpartition(b" ")[2])
        return Held(queue_id, session, sender, recipient)
    before, _, said = head.partition(b": ")
    stage, _, client_text = before.partition(b" from ")
    if content:  # cleanup: `header Subject: TEXT from CLIENT`
        stage, said = b"END-OF-MESSAGE", b""
        client_text = head.rpartition(b" from ")[2]
    reply = _REPLY.match(said)
    code = int(reply[1]) if reply else None
    status = reply[2] if reply else found[1] if (found := _STATUS.match(said)) else None
    name, ip, port = client_of(client_text.rstrip(b":"))
    client = Client(
        ip,
        port,
        "UNKNOWN_TO_MTA" if ip is None else "CONNECTION",
        None if name in (b"unknown", b"") else decode(name)[0],
        helo,
    )
    whole = whole or stage in (b"END-OF-MESSAGE", b"DATA", b"BDAT")
    unnamed = whole or outcome == "DISCARDED"  # a recipient's entry discards the message for all of them
    flags: tuple[str, ...] = ("TEMPORARY",) if (reply[1] if reply else status or b"")[:1] == b"4" else ()
    if doubtful:
        flags = (*flags, "AMBIGUOUS_PARSE")
    return Refusal(
        queue_id,
        client,
        sender,
        recipient,
        outcome,
        status.decode() if status else None,
        code,
        whole and bool(queue_id),
        (*flags, "RECIPIENTS_INCOMPLETE") if unnamed else flags,
        pid.decode("ascii", "replace") if action == b"proxy-reject" else "",
    )


def _added(queue_id: str, session: str, text: bytes) -> Event:
    """`<x>: ... triggers BCC ADDRESS`, or behind a header's line `: ADDRESS`: the last word, when it is an address."""
    return Added(queue_id, session, address(text)) if b"@" in text else Ignored("postfix-access-note")


def _split_envelope(text: bytes, *, last: bool) -> tuple[bytes, _Fields, bool]:
    """What stands before `; from=<S> to=<R> proto=P helo=<H>`; those fields, each may be missing; whether in doubt.

    Strangers write before the fields (the refused address, a header) and inside them (HELO). Only a place counts from
    which everything to the line's end has exactly this shape. The address that a reply repeats is stepped over. Where a
    text was made to have several such places, the first is taken, behind a header the last, and it is in doubt; no more
    than PLACES_MAX are tried.
    """
    start = 0
    if not last and (echoed := _ECHOED.search(text)) is not None:
        start = max(0, scan_address(text, echoed.end()))
    behind = text.rfind(b"proto=")
    begins = [found.start() for found in islice(_FIELDS_BEGIN.finditer(text, start), PLACES_MAX)]
    places: list[tuple[int, _Fields]] = []
    for end in (_LOOSE,) if last else (_PROTO_HELO, _LOOSE):
        found = ((at, _envelope_fields(text, at + 2, end)) for at in begins if at < behind)
        places = [(at, fields) for at, fields in found if fields is not None]
        if places:
            break
    if not places:
        return _internal_form(text, start)
    at, fields = places[-1 if last else 0]
    return text[:at], fields, len(places) > 1


def _internal_form(text: bytes, start: int) -> tuple[bytes, _Fields, bool]:
    """Addresses without their quotes may hold what ends them: cut at the last marks there are, and in doubt."""
    found = _FIELDS_BEGIN.search(text, start)
    end = text.rfind(b"> proto=")
    ending = _PROTO_HELO.match(text, end + 1) if end >= 0 else None
    if found is None or ending is None or not text.startswith(b"from=<", found.end()):
        return text, (None, None, None), False
    first = found.end() + 6
    to = text.rfind(b"> to=<", first, end)
    sender = address(text[first : to if to >= 0 else end])
    recipient = address(text[to + 6 : end]) if to >= 0 else None
    return text[: found.start()], (sender, recipient, _helo_of(ending)), True


def _helo_of(ending: re.Match[bytes]) -> str | None:
    return decode(ending[1])[0] if ending[1] is not None else None


def _envelope_fields(text: bytes, at: int, ending: re.Pattern[bytes]) -> _Fields | None:
    """`[from=<S>[,]] [to=<R>[,]] proto=P[,] [helo=<H>]` up to the end; None when the text has another shape."""
    sender = recipient = None
    if text.startswith(b"from=<", at):
        end = scan_address(text, at + 6)
        if end < 0:
            return None
        sender, at = address(text[at + 6 : end]), end + 1
    for mark in (b" to=<", b", to=<") if sender is not None else (b"to=<",):  # VRFY has no sender
        if text.startswith(mark, at):
            end = scan_address(text, at + len(mark))
            if end < 0:
                return None
            recipient, at = address(text[at + len(mark) : end]), end + 1
    found = ending.match(text, at)
    if found is None:
        return None
    return sender, recipient, _helo_of(found)


_NOTED: Final = (b"hold", b"milter-hold", b"milter-header-hold", b"bcc", b"milter-header-bcc")
# action: (outcome; None = no record of its own, does it end the whole message)
ACTIONS: Final[dict[bytes, tuple[Outcome | None, bool]]] = {
    b"reject": ("REFUSED", False),
    b"milter-reject": ("REFUSED", False),
    b"proxy-reject": ("REFUSED", False),
    b"discard": ("DISCARDED", False),
    b"milter-discard": ("DISCARDED", False),
    b"hold": (None, False),
    b"milter-hold": (None, False),
    b"reject_warning": (None, False),
    b"permit": (None, False),
    b"warn": (None, False),
    b"warning": (None, False),
    b"info": (None, False),
    b"filter": (None, False),
    b"redirect": (None, False),
    b"bcc": (None, False),
    b"delay": (None, False),
    b"hangup": (None, False),
    b"replace": (None, False),
    b"prepend": (None, False),
    b"strip": (None, False),
    b"milter-header-hold": (None, False),
    b"milter-header-bcc": (None, False),
    b"milter-header-reject": ("REFUSED", True),
    b"milter-header-discard": ("DISCARDED", True),
}

"""Exim 4's main log to events: from its own file or by way of syslog, old and new message ids, any log_selector.

A line is `ID FLAG FACTS`, `ID PHRASE`, or a line without id. Facts are cut out by the form of their fields
(`exim_fields`); a subject, a reply text, the output of a command are never stored. Grammar: the format strings of the
source tree (receive.c, deliver.c, queue.c, smtp_in.c), and traces of real runs (tests/golden/exim).
"""

import re
from collections.abc import Callable
from typing import Final

from producers.events import (
    Accepted,
    Blackholed,
    Completed,
    Event,
    Frozen,
    GivenUp,
    NotUnderstood,
    RecipientAdded,
    RecipientDone,
    Removed,
    SenderChanged,
    SyslogPart,
    Thawed,
)
from producers.sources import exim_delivery, exim_notes, exim_refusals
from producers.sources.exim_fields import ADDRESS, ARRIVAL, Reading, client_of, host_of, readings
from producers.text import address, bounded, decode

LINE_BYTES_CUT: Final = 7900  # Exim leaves out recipients that do not fit into its line ...
LINE_BYTES_MAX: Final = 16 * 1024  # ... which it cuts at 8 KiB
# Its own header, which a syslog line may hold once more; process id; message id. Each may be missing.
_BEGIN: Final = re.compile(
    rb"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{3})?(?: [+-]\d{4})? )?(?:\[\d{1,10}\] )?"
    rb"(?:([0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4})) )?"
)
_PART: Final = re.compile(rb"\[(\d{1,3})([/\\])(\d{1,3})\] ")
_SENDER: Final = re.compile(rb"<>|" + ADDRESS, re.DOTALL)
_ARRIVAL_END: Final = re.compile(
    rb"(?: from <(" + ADDRESS + rb")>)?(?: for((?: (?=[^\s])" + ADDRESS + rb")+))?\Z", re.DOTALL
)
_ONE_ADDRESS: Final = re.compile(rb" (?=[^\s])(" + ADDRESS + rb")", re.DOTALL)
_BLACKHOLE: Final = re.compile(rb"blackhole(?: \((\w+) ACL discarded recipients\)|(?: .*)?)", re.DOTALL)
_TOLD: Final = (b"RCPT", b"MAIL")  # ACLs that log each recipient that they discard


def parse(_daemon: bytes, pid: bytes, text: bytes) -> Event:
    """The event of one line. `pid` and `text`: what a syslog header says; or of Exim's own, what follows the time."""
    if text.startswith(b"[") and (part := _PART.match(text)) is not None:
        number, of = int(part[1]), int(part[3])
        if not 1 <= number <= of:
            return NotUnderstood("exim-part")
        return SyslogPart(pid.decode("ascii", "replace"), number, of, text[part.end() :], part[2] == b"\\")
    if len(text) > LINE_BYTES_MAX:
        return NotUnderstood("exim-too-long")
    begin = _BEGIN.match(text)
    assert begin is not None
    rest = text[begin.end() :]
    if begin[1] is None:
        return exim_refusals.parse("", rest) or exim_notes.parse(rest)
    queue_id = begin[1].decode("ascii")
    handler = _FLAGS.get(rest[:3])
    if handler is not None:
        return handler(queue_id, rest)
    return _phrase(queue_id, rest)


def _arrived(queue_id: str, rest: bytes) -> Event:
    """`<= SENDER [R=ID] [H=HOST] [I=] [U=] P=PROTOCOL [X= CV= DN=] [A=] [PRX=] S=SIZE [id=] [T="..."] [from, for]`.

    In a HELO name that imitates the fields behind it, its true end is the last one from which all has its form.
    """
    sender = _SENDER.match(rest, 3)
    if sender is None or sender.end() == 3:
        return NotUnderstood("exim-arrival")
    ways = [
        way
        for way in readings(rest, sender.end(), _ARRIVAL_END, ARRIVAL)
        if b"P" in way.fields and b"S" in way.fields and _connected(way)
    ]
    if not ways:
        return NotUnderstood("exim-arrival")
    fields, end = ways[-1]
    named = _ARRIVAL_END.match(rest, end)
    recipients = named[2] if named else None
    message_id, invalid = decode(fields.get(b"id", fields.get(b"id*", b"")))
    flags: tuple[str, ...] = ("AMBIGUOUS_PARSE",) if len(ways) > 1 else ()
    if recipients and len(rest) > LINE_BYTES_CUT:
        flags = (*flags, "RECIPIENTS_INCOMPLETE")
    parent = fields.get(b"R")
    accepted = address(b"" if sender[0] == b"<>" else sender[0])
    if named and named[1] is not None and named[1] != (b"" if sender[0] == b"<>" else sender[0]):
        accepted = accepted._replace(logged=decode(named[1])[0])  # what MAIL said, before it was rewritten here
    return Accepted(
        queue_id,
        client_of(fields),
        accepted,
        tuple(address(one) for one in _ONE_ADDRESS.findall(recipients or b"")),
        message_id or None,
        bounded(fields[b"S"], 2**63 - 1),
        parent.decode("ascii") if parent else None,
        (*flags, "INVALID_BYTES") if invalid else flags,
    )


def _connected(way: Reading) -> bool:
    """Whether `H=` holds an address: without one it is none of an arrival."""
    return b"H" not in way.fields or host_of(way.fields[b"H"])[2] is not None


def _delivered(queue_id: str, rest: bytes) -> Event:
    blackhole = _BLACKHOLE.fullmatch(rest, 3) if rest.startswith(b"=> blackhole") else None
    if blackhole is not None:
        return Blackholed(queue_id, told=blackhole[1] in _TOLD)
    return exim_delivery.success(queue_id, rest[:2], rest[3:])


def _failed(queue_id: str, rest: bytes) -> Event:
    return exim_delivery.failure(queue_id, rest[3:])


def _deferred(queue_id: str, rest: bytes) -> Event:
    return exim_delivery.deferral(queue_id, rest[3:])


_FLAGS: Final[dict[bytes, Callable[[str, bytes], Event]]] = {
    b"<= ": _arrived,
    b"(= ": _arrived,
    b"=> ": _delivered,
    b"-> ": _delivered,
    b">> ": _delivered,
    b"*> ": _delivered,
    b"** ": _failed,
    b"== ": _deferred,
}

# Phrases with an address in them: what stands before it, what follows it, and what a person did.
_BY_HAND: Final[tuple[tuple[bytes, bytes, Callable[..., Event]], ...]] = (
    (b"recipient <", b"> added by ", RecipientAdded),
    (b"address <", b"> marked delivered by ", RecipientDone),
    (b"sender address changed to <", b"> by ", SenderChanged),
)
_BEGINNINGS: Final[tuple[tuple[bytes, Callable[[str], Event]], ...]] = (
    (b"frozen by ", Frozen),
    (b"Frozen", Frozen),
    (b"unfrozen by ", Thawed),
    (b"Unfrozen by ", Thawed),
    (b"cancelled by timeout_frozen_after", lambda queue_id: GivenUp(queue_id, by_hand=False)),
    (b"cancelled by ", lambda queue_id: GivenUp(queue_id, by_hand=True)),
    (b"removed by ", lambda queue_id: Removed(queue_id, by_hand=True)),
)


def _phrase(queue_id: str, rest: bytes) -> Event:
    """A line with an id and without a flag."""
    if rest == b"Completed" or rest.startswith(b"Completed QT="):
        return Completed(queue_id)
    for begin, behind, kind in _BY_HAND:
        if rest.startswith(begin):
            end = rest.rfind(behind)  # behind it stands the login name of who did it
            return kind(queue_id, address(rest[len(begin) : end])) if end > 0 else NotUnderstood("exim-by-hand")
    for begin, made in _BEGINNINGS:
        if rest.startswith(begin):
            return made(queue_id)
    return exim_refusals.parse(queue_id, rest) or exim_notes.with_queue_id(rest)

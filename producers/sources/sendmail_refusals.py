"""What Sendmail did not take in: by a ruleset, by a milter, or because of the address itself.

The sender of a refused recipient is not in its line; the line `from=` that ends every transaction tells it later.
"""

import re
from typing import Final

from producers.events import AddedByFilter, Answered, Client, Event, Held, Ignored, Refusal, Renamed, Undelivered
from producers.sources.sendmail_values import client_of, mailbox
from producers.text import ip_address, scan_address

_REPLY: Final = re.compile(rb"([2-5]\d\d) (?:([2-5]\.\d{1,3}\.\d{1,3}) )?")
_RULESET: Final = re.compile(rb"ruleset=([A-Za-z0-9_-]{1,64}), arg1=")
_VERDICT: Final = re.compile(rb", relay=[^,]{0,300}, (reject=|quarantine=|discard\Z)")
_CHANGED: Final = re.compile(rb"Milter(?: \([^()]{1,64}\))? (add: rcpt: |delete: rcpt |chgfrom: )")
_OF_NO_MESSAGE: Final = (b"check_vrfy", b"check_expn", b"check_etrn", b"check_compat", b"tls_", b"try_tls", b"srv_")
_UNKNOWN: Final = Client(None, None, "NOT_LOGGED")
_ENDS: Final = (b", reject=", b", quarantine=", b", discard")
SHORTENED_BYTES: Final = 200  # longer addresses lose their middle in replies
# Texts of Sendmail's own behind `ADDRESS... `, or alone, by which it refuses a recipient.
_WITHOUT_ADDRESS: Final = (b"Too many recipients", b"Transaction refused", b"Recipient limit exceeded")


def parse(queue_id: str, rest: bytes) -> Event | None:
    """The event of a refusal; None when the line is none."""
    found = _RULESET.match(rest)
    if found is not None:
        return _ruleset(queue_id, found[1], rest, found.end())
    if rest.startswith(b"Milter: "):
        return _milter(queue_id, rest[8:])
    if not queue_id:
        return None
    changed = _CHANGED.match(rest)
    if changed is not None:
        return _changed(queue_id, changed[1], rest[changed.end() :])
    if rest.startswith((b"milter=", b"Milter (")):
        quarantined = rest.startswith(b"milter=") and b", quarantine=" in rest
        return Held(queue_id) if quarantined else Ignored("sendmail-milter-note")
    return _user_error(queue_id, rest)


def _ruleset(queue_id: str, name: bytes, rest: bytes, start: int) -> Event:
    """`ruleset=NAME, arg1=A[, arg2=B], relay=R, reject=REPLY` (or `, discard`, or `, quarantine=TEXT`).

    A is an address for check_mail and check_rcpt, a host name for check_relay. For all others it may be content (a
    header), and lines about every recipient follow.
    """
    if name not in (b"check_mail", b"check_rcpt", b"check_relay"):
        return _verdict(queue_id, name, rest)
    at = scan_address(rest, start + 1) + 1 if rest[start : start + 1] == b"<" else rest.find(b", ", start)
    doubtful = at <= 0 or not rest.startswith((b", relay=", b", arg2=", *_ENDS), at)
    if doubtful:  # an address without its end: the first place that looks like it
        at = min((place for mark in (b", relay=", *_ENDS) if (place := rest.find(mark, start)) >= 0), default=-1)
    if at < 0:
        return Ignored("sendmail-ruleset-note")
    value = mailbox(rest[start:at])
    action, end = _action(rest, at), len(rest)
    places = [place for mark in _ENDS if (place := rest.find(mark, at)) >= 0]
    end = min(places, default=len(rest))
    relay = rest.find(b", relay=", at, end)
    client = client_of(rest[relay + 8 : end]) if relay >= 0 else _UNKNOWN
    if action == b", quarantine=":
        return Held(queue_id) if queue_id else Ignored("sendmail-ruleset-note")
    if action == b", discard" and name != b"check_rcpt":
        return Ignored("sendmail-ruleset-note")  # `discarded` follows when a message has come
    reply = _REPLY.match(rest, end + 9) if action == b", reject=" else None
    flags: tuple[str, ...] = ("TEMPORARY",) if reply and reply[1][:1] == b"4" else ()
    if doubtful:
        flags = (*flags, "AMBIGUOUS_PARSE")
    recipient = value if name == b"check_rcpt" else None
    return Refusal(
        queue_id,
        client,
        value if name == b"check_mail" else None,
        recipient,
        "DISCARDED" if action == b", discard" else "REFUSED",
        reply[2].decode("ascii") if reply and reply[2] else None,
        int(reply[1]) if reply else None,
        whole_message=False,
        flags=flags,
        in_part=bool(queue_id) and recipient is not None,
    )


def _verdict(queue_id: str, name: bytes, rest: bytes) -> Event:
    """What a ruleset said of a whole message. Its argument may be a header: only the last place counts."""
    if not queue_id or name.startswith(_OF_NO_MESSAGE):
        return Ignored("sendmail-ruleset-note")
    places = list(_VERDICT.finditer(rest))
    if not places or places[-1][1] == b"discard":
        return Ignored("sendmail-ruleset-note")
    found = places[-1]
    if found[1] == b"quarantine=":
        return Held(queue_id)
    reply = _REPLY.match(rest, found.end())
    return _answered(queue_id, reply) if reply else Ignored("sendmail-ruleset-note")


def _answered(queue_id: str, reply: re.Match[bytes]) -> Event:
    return Answered(queue_id, reply[2].decode("ascii") if reply[2] else None, int(reply[1]))


def _action(rest: bytes, at: int) -> bytes:
    """The first of the actions at or behind `at`."""
    places = [(place, mark) for mark in _ENDS if (place := rest.find(mark, at)) >= 0]
    return min(places)[1] if places else b""


def _milter(queue_id: str, rest: bytes) -> Event:
    """`to=A, reject=REPLY`, `from=A, reject=REPLY`; `data, reject=` is told again for every recipient."""
    if rest.startswith(b"connect: host=") and rest.endswith((b"rejecting commands", b"temp failing commands")):
        host, _, tail = rest[14:].partition(b", addr=")
        ip = ip_address(tail.partition(b",")[0].strip(b"[]"))
        client = client_of(host + b" [" + tail.partition(b",")[0] + b"]") if ip is not None else _UNKNOWN
        flags = ("TEMPORARY",) if rest.endswith(b"temp failing commands") else ()
        return Refusal("", client, None, None, "REFUSED", None, None, whole_message=False, flags=flags)
    if queue_id and rest.startswith(b"data, reject="):
        reply = _REPLY.match(rest, 13)
        return _answered(queue_id, reply) if reply else Ignored("sendmail-milter-note")
    start = 3 if rest.startswith(b"to=") else 5 if rest.startswith(b"from=") else 0
    if not start or not queue_id:
        return Ignored("sendmail-milter-note")
    at = scan_address(rest, start + 1) + 1 if rest[start : start + 1] == b"<" else rest.find(b", ", start)
    if at <= 0 or not rest.startswith(b", reject=", at):
        return Ignored("sendmail-milter-note")
    reply = _REPLY.match(rest, at + 9)
    value = mailbox(rest[start:at])
    return Refusal(
        queue_id,
        _UNKNOWN,
        value if start == 5 else None,
        value if start == 3 else None,
        "REFUSED",
        reply[2].decode("ascii") if reply and reply[2] else None,
        int(reply[1]) if reply else None,
        whole_message=False,
        flags=("TEMPORARY",) if reply and reply[1][:1] == b"4" else (),
        in_part=True,
    )


def _changed(queue_id: str, what: bytes, value: bytes) -> Event:
    """A milter's `add: rcpt: A`, `delete: rcpt A[, naddrs=N]`, `chgfrom: A`."""
    if what == b"chgfrom: ":
        return Renamed(queue_id, mailbox(value))
    if what == b"add: rcpt: ":
        return AddedByFilter(queue_id, mailbox(value))
    name, mark, count = value.rpartition(b", naddrs=")
    if mark and count == b"0":  # there was no such recipient
        return Ignored("sendmail-milter-note")
    return Undelivered(queue_id, (mailbox(name if mark else value),), "DISCARDED")


def _user_error(queue_id: str, rest: bytes) -> Event | None:
    """`ADDRESS... TEXT`: said to the client at RCPT, with a code that is not logged."""
    recipient = None
    flags: tuple[str, ...] = ()
    if rest.startswith(b"<"):
        end = scan_address(rest, 1) + 1
        if not end or not rest.startswith(b"... ", end):
            end = rest.find(b"... ")
            flags = ("AMBIGUOUS_PARSE",)
        if end < 0:
            return None
        recipient = mailbox(rest[:end])
        if end >= SHORTENED_BYTES and b"..." in rest[:end]:
            flags = (*flags, "TRUNCATED")
    elif rest.startswith(_WITHOUT_ADDRESS):
        flags = ("RECIPIENTS_INCOMPLETE",)
    elif rest.endswith(b"... User unknown") and b": " not in rest:
        recipient = mailbox(rest[: rest.rfind(b"... User unknown")])
    else:
        return None
    return Refusal(
        queue_id, _UNKNOWN, None, recipient, "REFUSED", None, None, whole_message=False, flags=flags, in_part=True
    )

"""What Exim refused or discarded: at connection, HELO, MAIL, RCPT, DATA, behind it, for its size; by ACL or on its own.

    H=HOST [I=] [U=] [X= CV= DN= SNI=] [F=<SENDER> [A=]] [temporarily ]rejected STAGE [ARGUMENT]: TEXT
    H=HOST ... F=<SENDER> RCPT <RECIPIENT>: discarded by RCPT ACL
    rejected from <SENDER> H=HOST U=IDENT: message too big: ...
    F=<SENDER> rejected by non-SMTP ACL: TEXT

The text is the operator's own. A HELO name and a refused address may imitate the line: the first reading is taken,
which is the true one unless HELO names with blanks are accepted (helo_accept_junk_hosts); where there are more, it is
in doubt.
"""

import re
from typing import Final

from producers.events import Address, Event, Ignored, NotUnderstood, Refusal
from producers.sources.exim_fields import (
    ADDRESS,
    DELIVERY,
    REFUSAL,
    SAID,
    Fields,
    bracketed,
    client_of,
    host_of,
    readings,
)
from producers.text import address, scan_address
from schemas.envelope import Outcome

_INSIDE: Final = rb'(?>"(?:[^"\\]|\\.)*+"|[^">]++)*+'
_STOP: Final = re.compile(
    rb" +(?:(temporarily )?rejected (RCPT|MAIL|DATA|BDAT|after DATA PRDR|after DATA|EHLO or HELO|DKIM|"
    rb"during MIME ACL checks|connection in \"connect\" ACL|by local_scan\(\)|by non-SMTP ACL)|"
    rb"(RCPT) (?=<" + _INSIDE + rb">: discarded by |[^\s<]++: discarded by ))"
)
_REJECTED: Final = re.compile(rb" +(?:temporarily )?rejected ")
_DISCARDED: Final = re.compile(rb": discarded by (?:RCPT|MAIL) ACL(?:: |\Z)")
_OTHER: Final = re.compile(
    rb" +(?:Warning: |sender verify |incomplete transaction |sender rejected|"
    rb"(?:temporarily )?rejected (?:VRFY|EXPN|ETRN|AUTH|STARTTLS|QUIT|NOTQUIT|HELP|ATRN)\b|"
    rb"(?!temporarily rejected |rejected )[a-z])"
)
_CUT: Final = re.compile(
    rb" (" + ADDRESS + rb")(?: <" + ADDRESS + rb">)? F=<(" + ADDRESS + rb")>(?: P=<" + ADDRESS + rb">)? "
    rb"(rejected after DATA:|tmp-reject from cutthrough after DATA:)"
)
_LINE_END: Final = re.compile(rb"\Z")
_SIZE: Final = re.compile(
    rb"(?:rejected (?:from |MAIL FROM:)|unqualified (?:sender|(recipient)) rejected: )<(" + ADDRESS + rb")>"
)
_COLON: Final = re.compile(rb": |\Z")
_CODE: Final = re.compile(rb": ([45]\d\d)(?: ([45]\.\d{1,3}\.\d{1,3}))?(?= |\Z)")
_WHOLE: Final = ("after DATA", "DKIM", "during MIME ACL checks", "by local_scan()", "by non-SMTP ACL")


def parse(queue_id: str, text: bytes) -> Event | None:
    """A refusal, or another line that begins with the client; None when it is none of these."""
    if text.startswith((b"rejected from <", b"rejected MAIL FROM:<", b"unqualified ")):
        return _by_size(queue_id, text)
    if not text.startswith((b"H=", b"U=", b"F=", b"DS H=", b"rejected connection ")):
        return None
    if text.startswith(b"rejected connection "):
        return Ignored("exim-connection")
    line = b" " + text
    ways = readings(line, 0, _STOP, REFUSAL)
    if ways:
        return _refused(queue_id, line, ways[0].fields, ways[0].end, doubtful=len(ways) > 1)
    ways = readings(line, 0, _CUT, REFUSAL)
    if ways:
        return _cut_through(queue_id, line, ways[0].fields, ways[0].end)
    if readings(line, 0, _OTHER, REFUSAL):
        return Ignored("exim-client")
    return NotUnderstood("exim-refusal") if readings(line, 0, _REJECTED, REFUSAL) else None


def _refused(queue_id: str, line: bytes, fields: Fields, at: int, *, doubtful: bool) -> Event:
    found = _STOP.match(line, at)
    assert found is not None
    stage = (found[2] or found[3]).decode()
    outcome: Outcome = "REFUSED"
    sender = bracketed(fields[b"F"]) if b"F" in fields else None
    recipient, end = None, found.end()
    if stage in ("RCPT", "MAIL"):
        argument, end = _argument(line, end)
        if stage == "RCPT":
            recipient = argument
        elif sender is None:
            sender = argument
        if found[3]:
            if _DISCARDED.match(line, end) is None:
                return NotUnderstood("exim-refusal")
            outcome = "DISCARDED"
    client = client_of(fields)
    if b"H" in fields and client.ip is None:
        return NotUnderstood("exim-refusal")
    temporary = found[1] is not None
    code = _CODE.match(line, end)
    if code is not None and (code[1].startswith(b"4") != temporary or outcome == "DISCARDED"):
        code = None
    whole = stage.startswith(_WHOLE)
    flags = tuple(
        flag
        for flag, there in (
            ("TEMPORARY", temporary),
            ("AMBIGUOUS_PARSE", doubtful),
            ("RECIPIENTS_INCOMPLETE", whole or stage in ("DATA", "BDAT")),
        )
        if there
    )
    dsn = code[2].decode() if code and code[2] else None
    return Refusal(
        queue_id,
        client,
        sender,
        recipient,
        outcome,
        dsn,
        int(code[1]) if code else None,
        whole and bool(queue_id),
        flags,
    )


def _argument(line: bytes, at: int) -> tuple[Address | None, int]:
    """The argument of a command as the client typed it, `<address>` or not; and where the text behind it begins."""
    at += line.startswith(b" ", at)
    if line.startswith(b"<", at):
        end = scan_address(line, at + 1)
        if end >= 0:
            return address(line[at + 1 : end]), end + 1
    end = line.find(b": ", at)
    end = len(line) if end < 0 else end
    return (address(line[at:end]) if end > at else None), end


def _by_size(queue_id: str, text: bytes) -> Event:
    """`rejected from <SENDER> H=HOST U=IDENT: message too big: ...`, and addresses without a domain."""
    found = _SIZE.match(text)
    ways = readings(text, found.end(), _COLON, REFUSAL) if found else []
    ways = [way for way in ways if b"H" not in way.fields or host_of(way.fields[b"H"])[2] is not None]
    if found is None or not ways:
        return NotUnderstood("exim-refusal")
    one = address(found[2])
    sender, recipient = (None, one) if found[1] else (one, None)
    flags = () if found[1] else ("RECIPIENTS_INCOMPLETE",)
    if len(ways) > 1:
        flags = (*flags, "AMBIGUOUS_PARSE")
    return Refusal(queue_id, client_of(ways[0].fields), sender, recipient, "REFUSED", None, None, bool(queue_id), flags)


def _cut_through(queue_id: str, line: bytes, fields: Fields, at: int) -> Event:
    """`ADDRESS F=<SENDER> rejected after DATA: FIELDS`: the next hop refused what was cut through to it.

    What it put off (`tmp-reject`) stays in the queue, or is put off to the client (defer=pass): no line says which.
    """
    found = _CUT.match(line, at)
    assert found is not None
    if found[3] != b"rejected after DATA:":
        return Ignored("exim-cut-through")
    ways = readings(line, found.end(), _LINE_END, DELIVERY)
    said = SAID.match(ways[0].fields.get(b"C", b"")) if ways else None
    return Refusal(
        queue_id,
        client_of(fields),
        address(found[2]),
        address(found[1]),
        "REFUSED",
        said[2].decode() if said and said[2] else None,
        int(said[1]) if said else None,
        False,
    )

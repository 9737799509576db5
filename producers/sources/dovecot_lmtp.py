"""Dovecot's LMTP server: what became of one recipient, and who handed the mail in.

`lmtp(USER)<pid><SESSION>: [sieve: ]msgid=M: ACTION` (2.2: `lmtp(USER): SESSION: ...`). SESSION is the token that the
server tells the client in `250 2.0.0 <recipient> SESSION Saved`, so the line of the MTA that handed the mail over names
it too. M is what a stranger wrote, without its quotes, cut at 200 bytes; the action behind it ends with a name that the
mailbox's owner chose. So the last action counts, and where there are several places, the message-id is in doubt.
"""

import re
from typing import Final

from producers.events import Client, Event, Ignored, LmtpClient, NotUnderstood, Stored
from producers.text import address, decode, ip_address
from schemas.envelope import Outcome

MESSAGE_ID_BYTES_MAX: Final = 200
_TOKEN: Final = rb"[0-9A-Za-z+/]{16,32}(?::[A-Z]?\d{1,9}){0,4}"
_PREFIX: Final = re.compile(rb"lmtp\((.*?)\)(?:<(\d{1,10})><(" + _TOKEN + rb")>)?: ", re.DOTALL)
_AGAIN: Final = re.compile(rb"\)<\d{1,10}><" + _TOKEN + rb">: ")
_SEVERITY: Final = re.compile(rb"(Info|Debug|Warning|Error|Fatal|Panic): ")
_OLD_TOKEN: Final = re.compile(rb"(" + _TOKEN + rb"): ")
_OLD_USER: Final = re.compile(rb"\d{1,10}, (.+)\Z", re.DOTALL)
_ACTION: Final = re.compile(
    rb": (?:[a-z]+ action: )?(saved mail to |stored mail into mailbox '|forwarded to <|rejected message from <"
    rb"|not sending reject message|[Mm]arked message to be discarded|discarded\Z"
    rb"|discarded duplicate forward to <|save failed to |failed to store into mailbox "
    rb"|(?:sent|discarded|discarding|not sending) vacation re|sent mail notification |not forwarding message to <"
    rb"|not sending notification )"
)
_ACTIONS_MAX: Final = 32
_ID_ENDS: Final = (b">", b"...", b"unspecified")
# What an action says: outcome, rank among several of one delivery (what was stored beats what was not), flags.
_OUTCOMES: Final[tuple[tuple[bytes, Outcome, int, tuple[str, ...]], ...]] = (
    (b"saved mail to ", "DELIVERED", 3, ()),
    (b"stored mail into ", "DELIVERED", 3, ()),
    (b"forwarded to ", "DELIVERED", 2, ("EXPANDED",)),
    (b"rejected message ", "BOUNCED", 1, ()),
    (b"not sending reject ", "DISCARDED", 0, ()),
    (b"marked message ", "DISCARDED", 0, ()),
    (b"discarded duplicate ", "DISCARDED", 0, ()),
    (b"discarded vacation ", "UNKNOWN", -1, ()),  # an answer was
    (b"discarded", "DISCARDED", 0, ()),
)
_NOTES: Final = (
    *(b"Disconnect from ", b"program ", b"Sent message to ", b"proxy", b"sieve: "),
    *(
        b"save: box=",
        b"copy from ",
        b"delete: box=",
        b"expunge: box=",
        b"flag_change: box=",
        b"append: box=",
    ),  # mail_log
)


def parse(text: bytes) -> Event:
    """The event of a line of the service lmtp."""
    found = _PREFIX.match(text)
    if found is None:
        return NotUnderstood("dovecot-lmtp")
    user, pid, session = found.groups()
    body = text[found.end() :]
    severity = _SEVERITY.match(body)
    if severity is not None:
        body = body[severity.end() :]
        if severity[1] != b"Info":
            return Ignored("dovecot-" + severity[1].decode().lower())
    if session is None:
        if body.startswith(b"Connect from "):
            return LmtpClient(user.decode("ascii", "replace"), _client(body[13:]))
        old = _OLD_TOKEN.match(body)
        if old is not None:
            named = _OLD_USER.match(user)
            user, pid, session, body = named[1] if named else user, b"", old[1], body[old.end() :]
    at = 7 if body.startswith(b"sieve: msgid=") else 0
    if session is not None and body.startswith(b"msgid=", at):
        return _stored(user, pid or b"", session, body[at + 6 :], doubtful=_AGAIN.search(body) is not None)
    return Ignored("dovecot-lmtp-note") if body.startswith(_NOTES) else NotUnderstood("dovecot-lmtp-talk")


def _client(where: bytes) -> Client:
    """`local` (a socket in the file system) or an address."""
    if where == b"local":
        return Client(None, None, "LOCAL_PROCESS")
    ip = ip_address(where)
    return Client(ip, None, "UNKNOWN_TO_MTA" if ip is None else "CONNECTION")


def _stored(user: bytes, pid: bytes, session: bytes, rest: bytes, *, doubtful: bool) -> Event:
    """`MESSAGE-ID: ACTION`."""
    places = []
    for found in _ACTION.finditer(rest):
        places.append(found)
        if len(places) > _ACTIONS_MAX:
            return NotUnderstood("dovecot-lmtp-talk")
    if not places:
        return NotUnderstood("dovecot-lmtp-talk")
    # An id ends with one of these, so most of what a folder's name imitates is no place.
    places = [found for found in places if rest.endswith(_ID_ENDS, 0, found.start())] or places
    action, raw = places[-1][1], rest[: places[-1].start()]
    words = action.lower()
    known = next((told for told in _OUTCOMES if words.startswith(told[0])), None)
    if known is None or known[2] < 0:
        failed = action.startswith((b"save failed", b"failed to store"))
        # Of what failed the server told its client, which logs it and tries again.
        return Ignored("dovecot-delivery-failed" if failed else "dovecot-sieve-note")
    _, outcome, rank, flags = known
    message_id, invalid = decode(raw)
    if invalid:
        flags = (*flags, "INVALID_BYTES")
    if raw.endswith(b"...") and len(raw) >= MESSAGE_ID_BYTES_MAX - 3:
        flags = (*flags, "TRUNCATED")
    if doubtful or len(places) > 1:
        flags = (*flags, "AMBIGUOUS_PARSE")
    return Stored(
        session.decode("ascii"),
        pid.decode("ascii"),
        address(user),
        None if raw in (b"unspecified", b"") else message_id,
        outcome,
        rank,
        flags,
    )

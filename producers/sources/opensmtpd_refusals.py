"""What OpenSMTPD refused: the client's command and the reply, of a failed one.

Only commands that fail are logged: a refused recipient has no sender here, and a message that was refused at its end
has neither. The command stands as the client wrote it, encoded by vis(3), and may imitate any field; an address is cut
out of it by the grammar of a path, and the reply begins behind the last mark. Where there are several marks, that is
in doubt.
"""

import re
from typing import Final

from producers.events import Address, Event, Ignored, NotUnderstood, SessionRefusal
from producers.sources.opensmtpd_parts import plain_address, unvis
from producers.text import scan_address

_REPLY: Final = re.compile(rb"([45]\d\d)(?:[ -](?:([45]\.\d{1,3}\.\d{1,3})\b)?|\Z)")
_PATH: Final = re.compile(rb"(MAIL FROM|RCPT TO) *:[ \t]*", re.IGNORECASE)
_GREETINGS: Final = (b"", b"HELO", b"EHLO")  # with no command at all, the connection was refused
_ENDS: Final = (b"DATA", b".")


def refusal(session: str, rest: bytes) -> Event:
    """`[address=IP host=NAME ]command="COMMAND" result="REPLY"`."""
    begin = 9 if rest.startswith(b'command="') else rest.find(b' command="') + 10
    end = rest.rfind(b'" result="')
    if begin < 9 or (begin == 9 and not rest.startswith(b"c")) or end < begin:
        return NotUnderstood("opensmtpd-refused")
    return refused(session, rest[begin:end], rest[end + 10 :], doubtful=rest.find(b'" result="', begin) < end)


def refused(session: str, command: bytes, reply: bytes | None, *, doubtful: bool) -> Event:
    """What the command and the reply say: of a sender, a recipient, a message, a connection; or of none of them.

    5.7 to 5.9 log no reply (None): then what the client got wrong cannot be told from what was refused.
    """
    code = _REPLY.match(reply) if reply is not None else None
    if code is None and reply is not None:
        return NotUnderstood("opensmtpd-refused")
    number = int(code[1]) if code else None
    dsn = code[2].decode("ascii") if code and code[2] else None
    flags = [*(("TEMPORARY",) if number and number < 500 else ()), *(("AMBIGUOUS_PARSE",) if doubtful else ())]
    given = unvis(command)
    sender = recipient = None
    path = _PATH.match(given)
    word = given.partition(b" ")[0].strip().upper()
    if path is not None:
        if number in (500, 502, 504) or (number, dsn) == (503, "5.5.1"):
            return Ignored("opensmtpd-client-fault")  # out of order: the refusal before it is the one that counts
        if path[1][:1] in b"Mm":
            sender = _path(given, path.end())
        else:
            recipient = _path(given, path.end())
    elif word in _ENDS:
        if number in (502, 503, 504) or (number, dsn) == (500, "5.5.1"):
            return Ignored("opensmtpd-client-fault")
        flags.append("RECIPIENTS_INCOMPLETE")
    elif word not in _GREETINGS or number in (None, 500, 501, 502, 503, 504):
        return Ignored("opensmtpd-client-fault")
    return SessionRefusal(session, sender, recipient, dsn, number, tuple(flags))


def _path(given: bytes, at: int) -> Address | None:
    """The address of a path (RFC 5321, 4.1.2); without brackets, the word that stands for one. None = there is none."""
    if not given.startswith(b"<", at):
        word = given[at:].split(None, 1)[:1]
        return plain_address(word[0]) if word else None
    end = scan_address(given, at + 1)
    if end < 0:
        end = given.find(b">", at)
    return plain_address(given[at + 1 : end]) if end > at else None

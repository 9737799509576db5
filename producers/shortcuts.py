"""The commonest lines of Postfix, from the values that one pattern cut out of a chunk to their message in one step.

The general way looks at a line many times: header, tag, queue id, fields, event. For lines that have a plain form
(sources.postfix_plain) all that is known at once, so a shortcut does what is left: it makes the event for the same
handler, or, where the event is small and the message is known, does what the handler would do. Whatever needs more than
that is left to the general way. Both give the same records and counts: tests/unit/producers/test_shortcuts.py.
"""

from typing import Final

from producers.events import Arrived
from producers.joining import Joining
from producers.lines import Line, LineReader, Place
from producers.messages import Messages
from producers.sources import postfix, postfix_notes
from producers.sources.header import Moment
from producers.sources.postfix_plain import (
    CLIENT_NAME,
    CLIENT_PORT,
    COUNT,
    KIND,
    MESSAGE_ID,
    MESSAGE_ID_BYTES_MAX,
    PID,
    PLAIN,
    QUEUE_ID,
    RAW,
    RECIPIENT,
    REPLY,
    SENDER,
    SIZE,
    STAMP,
    WHERE,
)
from producers.sources.route import Parse
from producers.text import address, ip_address
from producers.transactions import Transaction

_CONNECT_RULE: Final = "postfix-connect"
_MISLEADING: Final = b">, relay="
Found = tuple[bytes, ...]


class PostfixShortcuts:
    """The shortcuts of one stream: `lines.Shortcuts`."""

    def __init__(self, messages: Messages, joining: Joining, reader: LineReader) -> None:
        """They act on the messages of `joining`, as its own methods do."""
        self.parse: Parse = postfix.parse
        self._messages = messages
        self._joining = joining
        self._reader = reader
        self._source_name = reader.source.name
        self._with_event = {b"to=<": self._delivered, b"clie": self._arrived}
        self._without = {b"mess": self._message_id, b"from": self._queued, b"remo": self._removed}

    def cut(self, chunk: bytes) -> list[Found]:
        """The lines of a chunk, those of a plain form with their values."""
        return PLAIN.findall(chunk)

    def take(self, found: Found, place: Place, start: int, moment: Moment, counts: dict[bytes, int]) -> bool:
        """Do what the line says and count it, or leave it (False)."""
        kind = found[KIND]
        if kind == b"conn":
            ignored = self._reader.tally.lines_ignored
            ignored[_CONNECT_RULE] = ignored.get(_CONNECT_RULE, 0) + 1
            return True
        host, program = place
        raw = found[RAW]
        n = counts.get(raw, 0)
        line = Line(raw, self._source_name, start, moment, host, program.instance, program.mta, n)
        if kind == b"disc":
            self._joining.run_timers(self._source_name, self._reader.newest_time or moment.time)
            self._ended(found, line, program.daemon)
        else:
            queue_id = postfix.queue_id_of(found[QUEUE_ID])
            if not queue_id:
                return False
            # Whatever becomes of the line, it has an event: what is due comes before it.
            self._joining.run_timers(self._source_name, self._reader.newest_time or moment.time)
            with_event = self._with_event.get(kind)
            if with_event is not None:
                if not with_event(queue_id, found, line):
                    return False
            else:
                transaction = self._messages.find(self._messages.key(line, queue_id))
                if transaction is None or not self._without[kind](transaction, found, line, program.daemon):
                    return False
        counts[raw] = n + 1
        self._reader.tally.lines_understood += 1
        return True

    def _ended(self, found: Found, line: Line, daemon: bytes) -> None:
        """Of what a session ends with, counts are read: the parser does it."""
        at = len(found[STAMP]) + len(found[WHERE]) + len(found[PID]) + len(b"[]: ")
        self._joining.take(line, postfix_notes.parse(daemon, found[PID], line.raw[at:]))

    def _arrived(self, queue_id: str, found: Found, line: Line) -> bool:
        name, inside, port = found[CLIENT_NAME : CLIENT_PORT + 1]
        ip = ip_address(inside)
        client = postfix.client_event(name, ip, int(port) if port else None, None, (), forwarded=False)
        self._joining.take(line, Arrived(queue_id, found[PID].decode("ascii"), client))
        return True

    def _delivered(self, queue_id: str, found: Found, line: Line) -> bool:
        recipient, relay, delay, dsn, reply = found[RECIPIENT : REPLY + 1]
        if _MISLEADING in reply:
            return False
        event = postfix.delivery_event(
            queue_id,
            address(recipient),
            None,
            postfix.relay_event(relay),
            "SENT",
            dsn,
            reply,
            None,
            postfix.seconds(delay),
        )
        self._joining.take(line, event)
        return True

    def _message_id(self, transaction: Transaction, found: Found, line: Line, _daemon: bytes) -> bool:
        """The first of a message whose client is known; whole, and of UTF-8."""
        raw = found[MESSAGE_ID]
        if transaction.message_id is not None or transaction.client is None or len(raw) > MESSAGE_ID_BYTES_MAX:
            return False
        try:
            transaction.message_id = raw.decode("utf-8")
        except UnicodeDecodeError:
            return False
        transaction.last_line, transaction.last_observed_time = line, self._messages.observed_time
        return True

    def _queued(self, transaction: Transaction, found: Found, line: Line, _daemon: bytes) -> bool:
        """By a queue manager that is known as such, with nothing that waits."""
        if transaction.waiting or not self._messages.instances.is_managed(line):
            return False
        transaction.last_line, transaction.last_observed_time = line, self._messages.observed_time
        transaction.sender = address(found[SENDER])
        transaction.held = False
        transaction.size_bytes = int(found[SIZE])
        transaction.recipient_count = int(found[COUNT])
        return True

    def _removed(self, transaction: Transaction, _found: Found, _line: Line, daemon: bytes) -> bool:
        """By the queue manager, with nothing undecided and nothing that waits."""
        if transaction.undecided or transaction.waiting or daemon == b"postsuper":
            return False
        self._messages.drop(transaction)
        return True

"""Events of many lines to envelope records: one for each recipient, when it is decided. Knows no mail system.

A message is known by host, instance and queue id while it is in the queue; its `message_key` for ever. Timers run on
log time only, line by line, so chunks of any size give the same records. What becomes of messages is in `messages`;
here is what each event says of them.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from infra.platform.settings import Site, Source
from producers import events
from producers.events import Client, Delivery
from producers.identity import message_key
from producers.limits import bounded_texts
from producers.lines import Line, LineReader, Tally
from producers.messages import Messages, bound, parent_of
from producers.records import NO_CLIENT
from producers.transactions import Attempt, Key, Parent, Transaction, from_plain, to_plain
from schemas.envelope import Envelope

SESSIONS_MAX: Final = 100_000
SESSION_MESSAGES_MAX: Final = 128  # that are not in the queue yet
NOTES_MAX: Final = 16  # of one message; a map adds one or two recipients

__all__ = ["Assembler", "Tally"]


class Assembler:
    """The joining state of one agent. The same calls in the same order give the same records."""

    def __init__(self, site: Site, sources: Sequence[Source], year: int | None = None) -> None:
        """Empty. `year` of the first lines, where it is known and not written in them."""
        self._messages = Messages(site, sources, self.lost)
        self._readers = {source.name: LineReader(source, year, site.host) for source in sources}
        self._sessions: dict[Key, list[int]] = {}  # numbers of the messages of a client's session
        self._proxied: dict[Key, Client] = {}  # clients of sessions whose queue id comes later
        self._noted: dict[Key, list[events.Held | events.Added]] = {}  # of the message that begins next in a session
        self._by_hand: dict[Key, int] = {}  # messages that a command has named so far as removed

    @property
    def open_transactions(self) -> int:
        """Messages seen and not yet ended."""
        return len(self._messages)

    def read(
        self, source_name: str, chunk: bytes, offset: int, observed_time: int, reference_time: int
    ) -> list[Envelope]:
        """Records that these lines decide, in order. `chunk` = whole lines (the very last may lack its end)."""
        self._messages.observed_time = observed_time
        reader = self._readers[source_name]
        for line, event in reader.read(chunk, offset, reference_time):
            self._messages.run_timers(source_name, reader.newest_time or line.moment.time)
            handler = _HANDLERS.get(type(event))
            if handler is not None:
                handler(self, line, event)
        return self._take()

    def tick(self, source_time: int) -> list[Envelope]:
        """Every stream is at its end: log time is at least `source_time`."""
        for name, reader in self._readers.items():
            reader.newest_time = max(reader.newest_time or source_time, source_time)
            self._messages.run_timers(name, reader.newest_time)
        return self._take()

    def entered(self, source_name: str, at_start_of_stream: bool) -> None:
        """Reading of a stream begins; in its middle, messages without a beginning are to be expected."""
        if not at_start_of_stream:
            self.lost(source_name, "entered-in-the-middle")

    def lost(self, source_name: str, marker: str) -> None:
        """Lines of a stream are gone."""
        markers = self._readers[source_name].tally.loss_markers
        markers[marker] = markers.get(marker, 0) + 1

    def finish(self) -> list[Envelope]:
        """The input has ended for good: what is open comes out as far as it is known."""
        self._messages.finish()
        return self._take()

    def take_tallies(self) -> dict[str, Tally]:
        """Line counts of each stream since the last call; `captured_through` as of now."""
        out = {}
        for name, reader in self._readers.items():
            tally, reader.tally = reader.tally, Tally()
            tally.newest_time = reader.newest_time
            if reader.newest_time is not None:
                tally.captured_through = reader.newest_time - 1  # more lines of that very moment may follow
            out[name] = tally
        for line in self._messages.waiting():
            tally = out.get(line.source_name, Tally())  # a stream that is no longer configured makes no claim
            if tally.captured_through is not None:
                tally.captured_through = min(tally.captured_through, line.moment.time - 1)
        return out

    def snapshot(self) -> bytes:
        """Everything as JSON. Tallies are taken before."""
        state = {
            "format": 1,
            "messages": self._messages.state(),
            "sessions": to_plain(self._sessions),
            "proxied": to_plain(self._proxied),
            "noted": to_plain(self._noted),
            "by_hand": to_plain(self._by_hand),
            "readers": {name: reader.state() for name, reader in self._readers.items()},
        }
        return json.dumps(state).encode()

    @classmethod
    def restore(cls, snapshot: bytes, site: Site, sources: Sequence[Source], year: int | None = None) -> "Assembler":
        """The assembler of a `snapshot`; streams that are configured anew begin empty."""
        state: dict[str, Any] = json.loads(snapshot)
        self = cls(site, sources, year)
        self._messages.restore(state["messages"])
        self._sessions = from_plain(state["sessions"])
        self._proxied = from_plain(state["proxied"])
        self._noted = from_plain(state.get("noted", {"dict": []}))  # an earlier version's has neither
        self._by_hand = from_plain(state.get("by_hand", {"dict": []}))
        for name, values in state["readers"].items():
            if name in self._readers:
                self._readers[name].restore(values)
        return self

    # What lines say. One method an event.

    def _arrived(self, line: Line, event: events.Arrived) -> None:
        self._messages.instances.began(line)
        key = self._messages.key(line, event.queue_id)
        transaction = self._messages.arrived_again(key) or self._messages.open(line, key)
        transaction.client = event.client
        transaction.accept = line.moment
        transaction.handed_back = self._messages.maker.is_filter_client(event.client)
        if event.session:
            session = (line.host, line.instance, event.session)
            transaction.session = event.session
            numbers = self._sessions.setdefault(session, [])
            numbers.append(transaction.number)
            if len(numbers) > SESSION_MESSAGES_MAX:  # a log without ends of sessions must not fill memory
                numbers[:] = [number for number in numbers if self._messages.not_queued(number)][-SESSION_MESSAGES_MAX:]
            bound(self._sessions, SESSIONS_MAX)
            for note in self._noted.pop(session, ()):
                _take_note(transaction, note)
        transaction.sender_told = event.sender or transaction.sender_told
        if event.previous_queue_id is not None:
            self._continue(transaction, self._messages.key(line, event.previous_queue_id))
        self._messages.completed(transaction)

    def _continue(self, transaction: Transaction, previous: Key) -> None:
        """A requeued message goes on under a new queue id; where it came from stays known."""
        before = self._messages.find(previous)
        transaction.handed_back = True
        if before is None:
            transaction.parent = Parent(None, previous[2], NO_CLIENT, "MESSAGE")
            return
        transaction.parent = parent_of(before, "MESSAGE")
        transaction.accept = before.accept or transaction.accept
        self._messages.drop(before)

    def _message_id(self, line: Line, event: events.MessageId) -> None:
        transaction = self._messages.get(line, event.queue_id)
        transaction.flag(*event.flags)
        if transaction.message_id is None:
            transaction.message_id = event.message_id
            if transaction.client is None and transaction.sender is None:
                self._messages.without_client(transaction)
        elif transaction.message_id != event.message_id:
            transaction.flag("EXTRA_MESSAGE_ID")

    def _queued(self, line: Line, event: events.Queued) -> None:
        self._messages.managed(line, event.queue_id)
        transaction = self._messages.get(line, event.queue_id)
        transaction.sender = event.sender
        transaction.held = False
        transaction.size_bytes = event.size_bytes
        transaction.recipient_count = event.recipient_count
        self._messages.completed(transaction)

    def _delivered(self, line: Line, event: Delivery) -> None:
        transaction = self._messages.get(line, event.queue_id)
        if event.outcome == "DEFERRED":
            self._messages.deferred(transaction, Attempt(line, event, self._messages.observed_time))
            return
        first = transaction.undecided.pop(event.recipient.text, None)
        attempts = 1 + (first.attempts if first else 0)
        transaction.decided += 1
        if event.outcome in ("SENT", "DELIVERED") and self._messages.maker.is_filter(event.relay):
            self._messages.went_into_filter(line, transaction, event)
            return
        if event.child_queue_id is not None:
            self._messages.link(line, transaction, event.child_queue_id, "MESSAGE")
        self._messages.decide(transaction, Attempt(line, event, self._messages.observed_time, attempts))

    def _probed(self, line: Line, event: events.Probed) -> None:
        transaction = self._messages.get(line, event.queue_id)
        transaction.undecided.pop(event.recipient.text, None)
        transaction.decided += 1

    def _refused(self, line: Line, event: events.Refusal) -> None:
        transaction = self._messages.find(self._messages.key(line, event.queue_id)) if event.queue_id else None
        client = event.client
        if transaction is None and event.recipient is None and client.ip_origin == "NOT_LOGGED":
            return  # that line says nothing by itself, and may be there twice
        if event.session:
            proxied = self._proxied.get((line.host, line.instance, event.session))
            client = proxied._replace(helo=client.helo) if proxied is not None else client
        if transaction is not None and transaction.client is not None:
            client = transaction.client._replace(helo=event.client.helo)
        key = (
            transaction.message_key
            if transaction
            else message_key(line.host, line.instance, event.queue_id, line.raw, line.n)
        )
        record = self._messages.maker.refusal(
            line,
            self._messages.observed_time,
            event.queue_id,
            key,
            client,
            event.sender,
            event.recipient,
            event.outcome,
        )
        record["dsn"], record["smtp_code"] = event.dsn, event.smtp_code
        record["flags"] += [flag for flag in event.flags if flag not in record["flags"]]
        if transaction is not None:
            transaction.sender_told = transaction.sender_told or event.sender
            record["accept_time"] = transaction.accept.time if transaction.accept else None
            record["message_id"] = transaction.message_id
        self._messages.made.append(record)
        if transaction is not None and event.whole_message:
            self._messages.drop(transaction)

    def _child(self, line: Line, event: events.Child) -> None:
        parent = self._messages.find(self._messages.key(line, event.queue_id))
        self._messages.link(line, parent, event.child_queue_id, event.kind, parent_queue_id=event.queue_id)

    def _proxied_client(self, line: Line, event: events.Proxied) -> None:
        self._proxied[line.host, line.instance, event.session] = event.client
        bound(self._proxied, SESSIONS_MAX)

    def _handed(self, line: Line, event: events.Handed) -> None:
        client = self._proxied.get((line.host, line.instance, event.session))
        transaction = self._messages.find(self._messages.key(line, event.queue_id))
        if client is not None and transaction is not None:
            origin = "FORWARDED" if client.ip is not None else client.ip_origin
            transaction.client = client._replace(ip_origin=origin)
            transaction.handed_back = False
            self._messages.completed(transaction)

    def _expired(self, line: Line, event: events.Expired) -> None:
        transaction = self._messages.get(line, event.queue_id)
        if event.by_hand:
            transaction.flag("ADMINISTRATIVE")
        for attempt in list(transaction.undecided.values()):
            self._messages.end_undecided(transaction, attempt, line, "EXPIRED")

    def _removed(self, line: Line, event: events.Removed) -> None:
        transaction = self._messages.find(self._messages.key(line, event.queue_id))
        if event.by_hand:
            command = (line.host, line.instance, event.session)
            self._by_hand[command] = self._by_hand.get(command, 0) + 1
            bound(self._by_hand, SESSIONS_MAX)
        if transaction is None:
            return
        if event.by_hand:
            transaction.flag("ADMINISTRATIVE")
            nobody_known = not transaction.undecided and not transaction.decided
            for attempt in list(transaction.undecided.values()):
                self._messages.end_undecided(transaction, attempt, line, "DELETED")
            if nobody_known:
                self._messages.emit_unnamed(transaction, line, "DELETED", "RECIPIENTS_INCOMPLETE", is_final=True)
        for attempt in list(transaction.undecided.values()):  # decided in lines that are not here
            self._messages.end_undecided(transaction, attempt, line, "UNKNOWN", "PARTIAL_END")
        transaction.ended = True
        if not transaction.waiting:
            self._messages.drop(transaction)

    def _removed_by_hand(self, line: Line, event: events.RemovedByHand) -> None:
        """Of `postsuper -d ALL` the log tells the number alone: then messages ended that will look open."""
        unnamed = event.times - self._by_hand.pop((line.host, line.instance, event.session), 0)
        if unnamed > 0:
            markers = self._readers[line.source_name].tally.loss_markers
            markers["postsuper-deleted-all"] = markers.get("postsuper-deleted-all", 0) + unnamed

    def _requeued(self, line: Line, event: events.Requeued) -> None:
        self._messages.get(line, event.queue_id).held = True  # it stays known until its new queue id is told

    def _noted_by_server(self, line: Line, event: events.Held | events.Added) -> None:
        """It is held, or gets a recipient more: a message with a queue id, or the next one of a session."""
        if event.queue_id:
            _take_note(self._messages.get(line, event.queue_id), event)
            return
        notes = self._noted.setdefault((line.host, line.instance, event.session), [])
        notes.append(event)
        del notes[:-NOTES_MAX]
        bound(self._noted, SESSIONS_MAX)

    def _session_ended(self, line: Line, event: events.SessionEnded) -> None:
        session = (line.host, line.instance, event.session)
        for number in self._sessions.get(session, ()):
            self._messages.broken_off(number, line, surely=event.accepted == 0)
        if event.over:
            self._proxied.pop(session, None)
            self._noted.pop(session, None)
            self._sessions.pop(session, None)

    def _take(self) -> list[Envelope]:
        out, self._messages.made = self._messages.made, []
        return [bounded_texts(record) for record in out]


def _take_note(transaction: Transaction, note: events.Held | events.Added) -> None:
    if isinstance(note, events.Added):
        if note.recipient.text not in transaction.added and len(transaction.added) < NOTES_MAX:
            transaction.added.append(note.recipient.text)
        return
    transaction.held = True
    transaction.sender_told = note.sender or transaction.sender_told
    transaction.recipient_told = note.recipient or transaction.recipient_told


_HANDLERS: Final[dict[type, Callable[[Assembler, Line, Any], None]]] = {
    events.Arrived: Assembler._arrived,
    events.MessageId: Assembler._message_id,
    events.Queued: Assembler._queued,
    events.Delivery: Assembler._delivered,
    events.Probed: Assembler._probed,
    events.Refusal: Assembler._refused,
    events.Child: Assembler._child,
    events.Proxied: Assembler._proxied_client,
    events.Handed: Assembler._handed,
    events.Expired: Assembler._expired,
    events.Removed: Assembler._removed,
    events.RemovedByHand: Assembler._removed_by_hand,
    events.Requeued: Assembler._requeued,
    events.Held: Assembler._noted_by_server,
    events.Added: Assembler._noted_by_server,
    events.SessionEnded: Assembler._session_ended,
}

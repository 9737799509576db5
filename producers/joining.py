"""What each event says of messages, sessions and mailboxes: one method an event. Knows no mail system.

Facts that come one by one are joined here; each other way of telling them (producers/events) has a file of its own.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from infra.platform.settings import Site
from producers import accepted, events
from producers.envelopes import Envelopes
from producers.events import Client, Delivery
from producers.identity import message_key
from producers.lines import Line, LineReader
from producers.mailboxes import KEPT, Mailboxes
from producers.messages import Messages, bound, parent_of
from producers.parts import Parts
from producers.records import NO_CLIENT
from producers.rows import RowReader
from producers.tracking import Tracking
from producers.transactions import Attempt, Key, Parent, Transaction, from_plain, to_plain
from producers.whole_lines import WholeLines

SESSIONS_MAX: Final = 100_000
SESSION_MESSAGES_MAX: Final = 128  # that are not in the queue yet
NOTES_MAX: Final = 16  # of one message; a map adds one or two recipients
Readers = Mapping[str, LineReader | RowReader]  # by name of the stream


class Joining:
    """Takes events in their order; records come out of `messages.made`."""

    def __init__(self, site: Site, messages: Messages, readers: Readers, lost: Callable[[str, str], None]) -> None:
        """Nothing is known. `readers` of the streams: their tallies, and the log time that they have come to."""
        self._messages = messages
        self._readers = readers
        self._whole_lines = WholeLines(messages, self._delivered, self.take)
        self._mailboxes = Mailboxes(messages.maker, lost)
        self._tracking = Tracking(site, messages.maker, lost)
        self._envelopes = Envelopes(messages)
        self._parts = Parts()
        self._sessions: dict[Key, list[int]] = {}  # numbers of the messages of a client's session
        self._proxied: dict[Key, Client] = {}  # clients of sessions whose queue id comes later
        self._noted: dict[Key, list[events.Held | events.Added]] = {}  # of the message that begins next in a session
        self._by_hand: dict[Key, int] = {}  # messages that a command has named so far as removed

    def run_timers(self, source_name: str, log_time: int) -> None:
        """Log time of a stream has come to `log_time`."""
        self._messages.run_timers(source_name, log_time)
        self._whole_lines.run_timers(source_name, log_time)

    def tick(self) -> None:
        """Log time of every stream has come to where its reader stands."""
        for name, reader in self._readers.items():
            self.run_timers(name, reader.newest_time or 0)
        self._messages.made += self._mailboxes.run_timers(self._log_time())
        self._messages.made += self._tracking.run_timers(self._log_time())

    def finish(self) -> None:
        """The input has ended for good: what is open comes out as far as it is known."""
        self._whole_lines.finish()
        self._messages.finish()
        self._messages.made += self._mailboxes.finish()
        self._messages.made += self._tracking.finish()

    def waiting(self) -> list[Line]:
        """Deciding lines whose records are not made yet."""
        parts = (self._messages, self._whole_lines, self._parts, self._mailboxes, self._tracking)
        return [line for part in parts for line in part.waiting()]

    def state(self) -> dict[str, Any]:
        """Everything but the messages themselves as plain JSON values, for a snapshot."""
        return {
            "messages": self._messages.state(),
            "sessions": to_plain(self._sessions),
            "proxied": to_plain(self._proxied),
            "envelopes": self._envelopes.state(),
            "whole_lines": self._whole_lines.state(),
            "parts": self._parts.state(),
            "mailboxes": self._mailboxes.state(),
            "tracking": self._tracking.state(),
            "noted": to_plain(self._noted),
            "by_hand": to_plain(self._by_hand),
        }

    def restore(self, state: dict[str, Any], transactions: Iterable[Transaction]) -> None:
        """Take over a `state` and its messages; an earlier version's has fewer parts."""
        self._messages.restore(state["messages"], transactions)
        self._sessions = from_plain(state["sessions"])
        self._proxied = from_plain(state["proxied"])
        self._envelopes.restore(state.get("envelopes"))
        if "whole_lines" in state:
            self._whole_lines.restore(state["whole_lines"])
        self._parts.restore(state.get("parts"))
        if "mailboxes" in state:
            self._mailboxes.restore(state["mailboxes"])
            self._tracking.restore(state["tracking"])
        self._noted = from_plain(state.get("noted", {"dict": []}))
        self._by_hand = from_plain(state.get("by_hand", {"dict": []}))

    def take(self, line: Line, event: events.Event) -> None:
        """What a line says."""
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, line, event)
        else:
            self._whole_lines.take(line, event)

    def _unread(self, line: Line, event: events.NotUnderstood) -> None:
        """A line that was told in pieces is not understood after all."""
        tally = self._readers[line.source_name].tally
        tally.lines_understood -= 1
        tally.lines_not_understood[event.reason] = tally.lines_not_understood.get(event.reason, 0) + 1

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
        event, more_to_come = self._mailboxes.claim(line, event, transaction.number)
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
        if more_to_come and event.session_id is not None:
            transaction.expects.append(event.session_id)
        self._messages.decide(transaction, Attempt(line, event, self._messages.observed_time, attempts))

    def _probed(self, line: Line, event: events.Probed) -> None:
        transaction = self._messages.get(line, event.queue_id)
        transaction.undecided.pop(event.recipient.text, None)
        transaction.decided += 1

    def _refused(self, line: Line, event: events.Refusal) -> None:
        if event.in_part:
            self._whole_lines.refused(line, event)
            return
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

    def _session_user(self, line: Line, event: events.SessionUser) -> None:
        session = (line.host, line.instance, event.session)
        if (client := self._proxied.get(session)) is not None:
            self._proxied[session] = client._replace(user=event.user, flags=event.flags)

    def _session_refused(self, line: Line, event: events.SessionRefusal) -> None:
        client = self._proxied.get((line.host, line.instance, event.session), NO_CLIENT)
        sender, recipient = event.sender, event.recipient
        refusal = events.Refusal(
            "", client, sender, recipient, "REFUSED", event.dsn, event.smtp_code, False, event.flags
        )
        self._refused(line, refusal)

    def _taken_in(self, line: Line, event: events.TakenIn) -> None:
        self._envelopes.taken_in(line, event, self._proxied.get((line.host, line.instance, event.session)))

    def _by_envelope(self, line: Line, event: events.Attempted | events.EnvelopeEnded | events.Hop) -> None:
        self._envelopes.take(line, event)

    def _part(self, line: Line, event: events.SyslogPart) -> None:
        """Of a line that was cut; when it is whole, what it says."""
        tally = self._readers[line.source_name].tally
        whole = self._parts.add(line, event, tally)
        if whole is not None and (handler := _HANDLERS.get(type(whole[1]))) is not None:
            handler(self, *whole)

    def _accessed(self, line: Line, event: events.Access) -> None:
        self._messages.made.append(self._messages.maker.access(line, self._messages.observed_time, event))

    def _lmtp_client(self, line: Line, event: events.LmtpClient) -> None:
        self._mailboxes.connected(line, event)

    def _stored(self, line: Line, event: events.Stored) -> None:
        self._messages.made += self._mailboxes.run_timers(self._log_time())
        number = self._mailboxes.claimed(line, event)
        if number is not None:
            self._messages.told(number, event, kept=event.rank >= KEPT)
            return
        newest = self._readers[line.source_name].newest_time or line.moment.time
        self._messages.made += self._mailboxes.stored(line, event, self._messages.observed_time, newest)

    def _tracked(self, line: Line, event: events.Tracked) -> None:
        newest = self._readers[line.source_name].newest_time or line.moment.time
        observed = self._messages.observed_time
        self._messages.made += self._tracking.row(line, event, observed, newest, self._log_time())

    def _log_time(self) -> int:
        """Log time that all streams have come to; 0 while one of them was not read at all."""
        return min((reader.newest_time or 0 for reader in self._readers.values()), default=0)


def _take_note(transaction: Transaction, note: events.Held | events.Added) -> None:
    if isinstance(note, events.Added):
        if note.recipient.text not in transaction.added and len(transaction.added) < NOTES_MAX:
            transaction.added.append(note.recipient.text)
        return
    transaction.held = True
    transaction.sender_told = note.sender or transaction.sender_told
    transaction.recipient_told = note.recipient or transaction.recipient_told


def _of_messages(act: accepted.Handler) -> Callable[[Joining, Line, Any], None]:
    return lambda self, line, event: act(self._messages, line, event)


_HANDLERS: Final[dict[type, Callable[[Joining, Line, Any], None]]] = {
    events.NotUnderstood: Joining._unread,
    events.Arrived: Joining._arrived,
    events.MessageId: Joining._message_id,
    events.Queued: Joining._queued,
    events.Delivery: Joining._delivered,
    events.Probed: Joining._probed,
    events.Refusal: Joining._refused,
    events.Child: Joining._child,
    events.Proxied: Joining._proxied_client,
    events.Handed: Joining._handed,
    events.Expired: Joining._expired,
    events.Removed: Joining._removed,
    events.RemovedByHand: Joining._removed_by_hand,
    events.Requeued: Joining._requeued,
    events.Held: Joining._noted_by_server,
    events.Added: Joining._noted_by_server,
    events.SessionEnded: Joining._session_ended,
    events.SessionUser: Joining._session_user,
    events.SessionRefusal: Joining._session_refused,
    events.TakenIn: Joining._taken_in,
    events.Attempted: Joining._by_envelope,
    events.EnvelopeEnded: Joining._by_envelope,
    events.Hop: Joining._by_envelope,
    events.SyslogPart: Joining._part,
    **{kind: _of_messages(act) for kind, act in accepted.HANDLERS.items()},
    events.Access: Joining._accessed,
    events.LmtpClient: Joining._lmtp_client,
    events.Stored: Joining._stored,
    events.Tracked: Joining._tracked,
}

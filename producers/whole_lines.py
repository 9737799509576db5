"""Events of mail systems whose one line tells many facts (Sendmail): messages, deliveries, and what was refused.

A refused recipient is logged before the line that tells its sender and client; it waits for that line, at most
REFUSAL_WINDOW of log time. Bounds: PENDING_MAX recipients wait, SESSIONS_MAX users of sessions are remembered; beyond
them the oldest comes out as it is known, or is forgotten.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from infra.platform.clock import HOUR, MINUTE
from producers import events
from producers.events import Address, Client, Delivery, Refusal
from producers.identity import message_key
from producers.lines import Line
from producers.messages import WINDOW, Messages, bound
from producers.records import NO_CLIENT
from producers.sources.route import PIECES
from producers.transactions import Key, Transaction, from_plain, to_plain

REFUSAL_WINDOW: Final = 10 * MINUTE
SESSION_IDLE_MAX: Final = HOUR
PENDING_MAX: Final = 100_000
SESSIONS_MAX: Final = 100_000
ANSWERS_MAX: Final = 10_000
PARTS_MAX: Final = 1_000
PIECES_MAX: Final = 100
_NULL: Final = Address("")


class Pending(NamedTuple):
    """A refusal that waits for the rest of what is known of it."""

    line: Line
    refusal: Refusal
    observed_time: int


class Pieces(NamedTuple):
    """A line that was cut, as far as it has come; `line` is its last piece."""

    line: Line
    session: str
    queue_id: str
    texts: tuple[bytes, ...]


class WholeLines:
    """Part of an assembler. `delivered` = how the assembler takes one recipient's attempt."""

    def __init__(
        self,
        messages: Messages,
        delivered: Callable[[Line, Delivery], None],
        said: Callable[[Line, events.Event], None],
    ) -> None:
        """Nothing waits. `said` = how the assembler takes an event that was told in several lines."""
        self._messages = messages
        self._delivered = delivered
        self._said = said
        self._parts: dict[Key, Pieces] = {}  # by process and queue id, oldest first
        self._pending: dict[int, Pending] = {}  # by number, oldest first
        self._by_key: dict[Key, list[int]] = {}
        self._users: dict[Key, tuple[Client, int]] = {}  # who proved who they are, by session, and when it was heard of
        self._answers: dict[Key, tuple[str | None, int]] = {}  # what clients were told of messages, by queue id
        self._added: dict[Key, tuple[str, ...]] = {}  # recipients whom filters added, by queue id
        self._failed: dict[Key, bool] = {}  # messages of which somebody named has failed
        self._numbers = 0

    def waiting(self) -> list[Line]:
        """Deciding lines whose records are not made yet."""
        return [waiting.line for waiting in self._pending.values()] + [told.line for told in self._parts.values()]

    def take(self, line: Line, event: events.Event) -> None:
        """What a line says; events of other kinds are no affair of this part."""
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, line, event)

    def run_timers(self, source_name: str, log_time: int) -> None:
        """Log time of a stream has come to `log_time`: what waited too long comes out as it is known."""
        while self._parts:
            key, told = next(iter(self._parts.items()))
            if told.line.source_name != source_name or told.line.moment.time + WINDOW > log_time:
                break
            self._put_together(key)
        while self._pending:
            number, oldest = next(iter(self._pending.items()))
            if oldest.line.source_name != source_name or oldest.line.moment.time + REFUSAL_WINDOW > log_time:
                return
            self._come_out(number, None)

    def finish(self) -> None:
        """The input has ended for good."""
        for key in list(self._parts):
            self._put_together(key)
        for number in list(self._pending):
            self._come_out(number, None)

    def state(self) -> list[Any]:
        """Everything as plain JSON values, for a snapshot."""
        pending = [
            [number, to_plain(waiting.line), to_plain(waiting.refusal), waiting.observed_time]
            for number, waiting in self._pending.items()
        ]
        parts = [[to_plain(key), to_plain(tuple(pieces))] for key, pieces in self._parts.items()]
        tables = [to_plain(table) for table in (self._users, self._answers, self._added, self._failed)]
        return [self._numbers, pending, parts, *tables]

    def restore(self, state: list[Any]) -> None:
        """Take over a `state`."""
        self._numbers, pending, parts, *tables = state
        self._parts = {from_plain(key): Pieces(*from_plain(pieces)) for key, pieces in parts}
        self._users, self._answers, self._added, self._failed = map(from_plain, tables)
        for number, line, refusal, observed_time in pending:
            waiting = self._pending[number] = Pending(from_plain(line), from_plain(refusal), observed_time)
            self._by_key.setdefault(_key(waiting.line, waiting.refusal.queue_id), []).append(number)

    # What lines say. One method an event.

    def received(self, line: Line, event: events.Received) -> None:
        """The line that names sender and client; what was refused before is complete with it."""
        key = _key(line, event.queue_id)
        transaction = self._messages.arrived_again(key) or self._messages.open(line, key)
        transaction.last_line, transaction.last_observed_time = line, self._messages.observed_time
        transaction.client = self._with_user(line, event)
        transaction.accept = line.moment
        transaction.sender = event.sender
        transaction.size_bytes, transaction.recipient_count = event.size_bytes, event.recipient_count
        transaction.message_id = event.message_id
        transaction.flag(*event.flags)
        transaction.handed_back = event.from_here or self._messages.maker.is_filter_client(event.client)
        transaction.open_ended = event.message_id is None  # broken off; only old versions deliver it all the same
        taken = event.message_id is not None and event.recipient_count > 0
        for number in list(self._by_key.get(key, ())):
            if self._pending[number].refusal.outcome == "REFUSED":
                self._come_out(number, transaction)
            elif not taken:  # it was to be discarded, but never came
                self._forget(number)
        if event.recipient_count == 0:
            self._messages.drop(transaction)
            return
        self._messages.completed(transaction)

    def authenticated(self, line: Line, event: events.Authenticated) -> None:
        """A session has a user from here on."""
        self._users.pop(_key(line, event.session), None)
        if event.session:
            self._users[_key(line, event.session)] = (event.client, line.moment.time)
        bound(self._users, SESSIONS_MAX)

    def refused(self, line: Line, event: Refusal) -> None:
        """A refusal whose sender is told later."""
        self._messages.get(line, event.queue_id)  # its message is known from here on
        self._numbers += 1
        self._pending[self._numbers] = Pending(line, event, self._messages.observed_time)
        self._by_key.setdefault(_key(line, event.queue_id), []).append(self._numbers)
        if len(self._pending) > PENDING_MAX:
            self._come_out(next(iter(self._pending)), None)

    def deliveries(self, line: Line, event: events.Deliveries) -> None:
        """Attempts for the recipients of one line, unless a server on this host took them over."""
        first = event.deliveries[0]
        transaction = self._begun(line, first.queue_id)
        owner = transaction.owner
        if owner is not None and owner.text == event.controlling:
            transaction.sender = owner
        client = transaction.client
        if event.uid is not None and client is not None and client.ip_origin == "LOCAL_PROCESS":
            transaction.client = client._replace(uid=event.uid)
        if first.outcome == "BOUNCED":
            self._has_failed(_key(line, first.queue_id))
        if event.from_here and first.next_queue_id is not None:
            child = self._messages.child((line.host, line.instance, first.next_queue_id))
            if child is not None:
                self._handed_over(line, transaction, event, first.next_queue_id)
                return
        added = self._added.get(_key(line, first.queue_id), ())
        for delivery in event.deliveries:
            self._delivered(line, _flagged(delivery) if delivery.recipient.text in added else delivery)

    def _handed_over(self, line: Line, transaction: Transaction, event: events.Deliveries, child_id: str) -> None:
        """A hop inside of this host: no record, but the child knows where it came from."""
        for delivery in event.deliveries:
            first = transaction.undecided.get(delivery.recipient.text)
            if first is not None and first.reported:
                self._delivered(line, delivery)  # that he was undecided is told; it must not stand there for ever
                continue
            transaction.undecided.pop(delivery.recipient.text, None)
            transaction.decided += 1
        kind = transaction.parent.kind if transaction.parent is not None else "MESSAGE"
        self._messages.link(line, transaction, child_id, kind)

    def answered(self, line: Line, event: events.Answered) -> None:
        """The client is told no about the whole message."""
        self._answers[_key(line, event.queue_id)] = (event.dsn, event.smtp_code)
        bound(self._answers, ANSWERS_MAX)

    def undelivered(self, line: Line, event: events.Undelivered) -> None:
        """Recipients that were told no, or lied to, at the end of the data."""
        key = _key(line, event.queue_id)
        transaction = self._begun(line, event.queue_id)
        for number in list(self._by_key.get(key, ())):
            if self._pending[number].refusal.recipient in event.recipients:
                self._forget(number)  # he was to be discarded, and is
        dsn, code = self._answers.get(key, (None, None)) if event.outcome == "REFUSED" else (None, None)
        flags = ("TEMPORARY",) if code is not None and code < 500 else ()
        for recipient in event.recipients:
            refusal = Refusal(event.queue_id, NO_CLIENT, None, recipient, event.outcome, dsn, code, False, flags)
            self._emit(Pending(line, refusal, self._messages.observed_time), transaction)
        transaction.decided += len(event.recipients)

    def added(self, line: Line, event: events.AddedByFilter) -> None:
        """A recipient who was not in the SMTP transaction."""
        key = _key(line, event.queue_id)
        self._added[key] = (*self._added.get(key, ()), event.recipient.text)
        bound(self._added, ANSWERS_MAX)

    def renamed(self, line: Line, event: events.Renamed) -> None:
        """The sender on the wire is another one from here on; the first stays known."""
        transaction = self._messages.get(line, event.queue_id)
        before = transaction.sender
        transaction.sender = event.sender if before is None else event.sender._replace(logged=before.text)

    def discarded(self, line: Line, event: events.Discarded) -> None:
        """The message is gone; recipients that no line named are one record."""
        transaction = self._begun(line, event.queue_id)
        for number in list(self._by_key.get(_key(line, event.queue_id), ())):
            self._come_out(number, transaction)
            transaction.decided += 1
        if transaction.recipient_count is None or transaction.recipient_count > transaction.decided:
            flags = ("RECIPIENTS_INCOMPLETE",)
            refusal = Refusal(event.queue_id, NO_CLIENT, None, None, "DISCARDED", None, None, True, flags)
            self._emit(Pending(line, refusal, self._messages.observed_time), transaction)
        self._messages.drop(transaction)

    def notice(self, line: Line, event: events.Notice) -> None:
        """A notice was made: it is a message of this server; and it may say that the rest has failed."""
        key = _key(line, event.queue_id)
        parent = self._messages.find(key)
        if parent is not None:
            parent.last_line = line
            if event.expired:
                for attempt in list(parent.undecided.values()):
                    self._messages.end_undecided(parent, attempt, line, "EXPIRED")
            elif event.kind == "BOUNCE" and parent.client is not None and key not in self._failed:
                # Somebody was not even tried: an alias loop, a list that cannot be read. No line names who it was.
                self._has_failed(key)
                nobody = not parent.decided and not parent.undecided
                parent.decided += (parent.recipient_count or 1) if nobody else 1
                self._messages.emit_unnamed(parent, line, "BOUNCED", "RECIPIENTS_INCOMPLETE", is_final=True)
        child = self._messages.child(_key(line, event.child_queue_id))
        if child is not None and child.sender is None:
            child.sender = _NULL
        self._messages.link(line, parent, event.child_queue_id, event.kind, parent_queue_id=event.queue_id)

    def _has_failed(self, key: Key) -> None:
        self._failed[key] = True
        bound(self._failed, SESSIONS_MAX)

    def split(self, line: Line, event: events.Split) -> None:
        """Some recipients go on under other queue ids, those of a list with an owner from another sender."""
        parent = self._messages.find(_key(line, event.queue_id))
        for child_id in event.child_queue_ids:
            key = _key(line, child_id)
            self._messages.link(line, parent, child_id, "MESSAGE", parent_queue_id=event.queue_id)
            if parent is None:
                continue
            parent.last_line, parent.open_ended = line, True
            parent.owner = event.owner or parent.owner
            child = self._messages.child(key) or self._messages.open(line, key)
            child.open_ended, child.owner, child.sender = True, parent.owner, parent.sender
            child.message_id, child.size_bytes, child.accept = parent.message_id, parent.size_bytes, parent.accept

    def part(self, line: Line, event: events.Part) -> None:
        """A piece of a line; the whole is read when its last piece, or the first of another, has come."""
        key = _key(line, f"{event.session} {event.queue_id}")
        told = self._parts.get(key)
        if told is not None and event.number == 1:
            self._put_together(key)
        elif (len(told.texts) if told is not None else 0) + 1 != event.number:
            self._parts.pop(key, None)
            self._said(line, events.NotUnderstood("part-of-a-line"))
            return
        texts = (*self._parts[key].texts, event.text) if key in self._parts else (event.text,)
        self._parts[key] = Pieces(line, event.session, event.queue_id, texts)
        if event.last or len(texts) >= PIECES_MAX:
            self._put_together(key)
        elif len(self._parts) > PARTS_MAX:
            self._put_together(next(iter(self._parts)))

    def _put_together(self, key: Key) -> None:
        """Read a line of which all pieces have come."""
        pieces = self._parts.pop(key)
        name, session = pieces.queue_id.encode("ascii"), pieces.session.encode("ascii", "replace")
        self._said(pieces.line, PIECES[pieces.line.mta](session, name, pieces.texts))

    def _begun(self, line: Line, queue_id: str) -> Transaction:
        """The message of a line; a notice begins without a line of its own, and has an empty reverse-path."""
        transaction = self._messages.get(line, queue_id)
        told = transaction.parent
        if transaction.sender is not None or told is None:
            return transaction
        if told.kind != "MESSAGE":
            transaction.sender = _NULL
        return transaction

    def _with_user(self, line: Line, event: events.Received) -> Client:
        """The client of a message, with the user of its session: the same process talking to the same address."""
        key = _key(line, event.session)
        user, heard = self._users.get(key, (NO_CLIENT, 0))
        if user.ip is None or user.ip != event.client.ip or line.moment.time - heard > SESSION_IDLE_MAX:
            return event.client  # process ids are used again
        self._users[key] = (user, line.moment.time)
        return event.client._replace(user=user.user, flags=(*event.client.flags, *user.flags))

    def _come_out(self, number: int, transaction: Transaction | None) -> None:
        waiting = self._forget(number)
        self._emit(waiting, transaction)
        key = _key(waiting.line, waiting.refusal.queue_id)
        known = self._messages.find(key) if transaction is None and key not in self._by_key else None
        if known is not None and not _begun(known):
            self._messages.drop(known)  # nothing but refusals is known of it, and they are told

    def _forget(self, number: int) -> Pending:
        waiting = self._pending.pop(number)
        key = _key(waiting.line, waiting.refusal.queue_id)
        numbers = self._by_key[key]
        numbers.remove(number)
        if not numbers:
            del self._by_key[key]
        return waiting

    def _emit(self, waiting: Pending, transaction: Transaction | None) -> None:
        """The record of a refusal, with what its message tells."""
        line, refusal = waiting.line, waiting.refusal
        known = transaction or self._messages.find(_key(line, refusal.queue_id))
        client = known.client if known is not None and known.client is not None else refusal.client
        sender = refusal.sender or (known.sender if known is not None else None)
        record = self._messages.maker.refusal(
            line,
            waiting.observed_time,
            refusal.queue_id,
            known.message_key
            if known is not None
            else message_key(line.host, line.instance, refusal.queue_id, line.raw, line.n),
            client,
            sender,
            refusal.recipient,
            refusal.outcome,
        )
        record["dsn"], record["smtp_code"] = refusal.dsn, refusal.smtp_code
        flags = refusal.flags if sender is not None else (*refusal.flags, "PARTIAL_START")
        record["flags"] += [flag for flag in flags if flag not in record["flags"]]
        if known is not None:
            record["accept_time"] = known.accept.time if known.accept else None
            record["message_id"] = known.message_id
        self._messages.made.append(record)


def _flagged(delivery: Delivery) -> Delivery:
    recipient = delivery.recipient
    return delivery._replace(recipient=recipient._replace(flags=(*recipient.flags, "ADDED_BY_SERVER")))


def _begun(transaction: Transaction) -> bool:
    """Whether anything but a refusal is known of a message."""
    told = transaction.client is not None or transaction.parent is not None
    return told or bool(transaction.decided or transaction.undecided or transaction.waiting or transaction.held)


def _key(line: Line, name: str) -> Key:
    return line.host, line.instance, name


_HANDLERS: Final[dict[type, Callable[[WholeLines, Line, Any], None]]] = {
    events.Received: WholeLines.received,
    events.Authenticated: WholeLines.authenticated,
    events.Refusal: WholeLines.refused,
    events.Deliveries: WholeLines.deliveries,
    events.Answered: WholeLines.answered,
    events.Undelivered: WholeLines.undelivered,
    events.AddedByFilter: WholeLines.added,
    events.Renamed: WholeLines.renamed,
    events.Discarded: WholeLines.discarded,
    events.Notice: WholeLines.notice,
    events.Split: WholeLines.split,
    events.Part: WholeLines.part,
}

"""Events of many lines to envelope records: one for each recipient, when it is decided. Knows no mail system.

A message is known by host, instance and queue id while it is in the queue; its `message_key` for ever. A record is made
when the line that decides a recipient is read. Where parts of the message may still come (the line that tells where a
bounce came from stands behind the bounce's own lines), it waits WINDOW of log time and is then made with flags.
Timers run on log time only, line by line, so chunks of any size give the same records. Bounds: TRANSACTIONS_MAX
messages; beyond it the oldest comes out as far as it is known, and is counted.
"""

import heapq
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from infra.platform.clock import MINUTE, SECOND
from infra.platform.settings import Site, Source
from producers import events
from producers.events import Client, Delivery
from producers.identity import message_key
from producers.lines import Line, LineReader, Tally
from producers.records import NO_CLIENT, NO_RELAY, RecordMaker
from producers.transactions import Attempt, Key, Parent, Transaction, from_plain, to_plain
from schemas.envelope import Envelope, Outcome

WINDOW: Final = 10 * SECOND
ABORT_WINDOW: Final = MINUTE
TRANSACTIONS_MAX: Final = 200_000
EXPECTED_MAX: Final = 10_000
SESSIONS_MAX: Final = 100_000

__all__ = ["Assembler", "Tally"]


class Assembler:
    """The joining state of one agent. The same calls in the same order give the same records."""

    def __init__(self, site: Site, sources: Sequence[Source], year: int | None = None) -> None:
        """Empty. `year` of the first lines, where it is known and not written in them."""
        self._site = site
        self._maker = RecordMaker(site)
        self._readers = {source.name: LineReader(source, year, site.host) for source in sources}
        self._undecided_after = site.undecided_after_seconds * SECOND
        self._numbers = 0
        self._by_number: dict[int, Transaction] = {}
        self._by_key: dict[Key, Transaction] = {}
        self._incomplete: dict[Key, Transaction] = {}  # waiting for parts, also behind their end
        self._expected: dict[Key, Parent] = {}  # links told before their child
        self._sessions: dict[Key, list[int]] = {}  # transactions of a client's session
        self._proxied: dict[Key, Client] = {}  # clients of sessions whose queue id comes later
        self._timers: dict[str, list[tuple[int, int, str, str]]] = {source.name: [] for source in sources}
        self._out: list[Envelope] = []
        self._source = ""
        self._observed = 0

    @property
    def open_transactions(self) -> int:
        """Messages seen and not yet ended."""
        return len(self._by_number)

    def read(
        self, source_name: str, chunk: bytes, offset: int, observed_time: int, reference_time: int
    ) -> list[Envelope]:
        """Records that these lines decide, in order. `chunk` = whole lines (the very last may lack its end)."""
        reader = self._readers[source_name]
        self._source, self._observed = source_name, observed_time
        timers = self._timers[source_name]
        for line, event in reader.read(chunk, offset, reference_time):
            if timers and timers[0][0] <= line.moment.time:
                self._run_timers(source_name, line.moment.time)
            handler = _HANDLERS.get(type(event))
            if handler is not None:
                handler(self, line, event)
        return self._take()

    def tick(self, source_time: int) -> list[Envelope]:
        """Every stream is at its end: log time is at least `source_time`."""
        for name, reader in self._readers.items():
            reader.newest_time = max(reader.newest_time or source_time, source_time)
            self._run_timers(name, reader.newest_time)
        return self._take()

    def entered(self, source_name: str, at_start_of_stream: bool) -> None:
        """Reading of a stream begins; in its middle, messages without a beginning are to be expected."""
        if not at_start_of_stream:
            self._marker(source_name, "entered-in-the-middle")

    def lost(self, source_name: str, marker: str) -> None:
        """Lines of a stream are gone."""
        self._marker(source_name, marker)

    def finish(self) -> list[Envelope]:
        """The input has ended for good: what is open comes out as far as it is known."""
        for transaction in list(self._by_number.values()):
            self._give_up(transaction)
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
        for transaction in self._incomplete.values():
            for attempt in transaction.waiting:
                tally = out[attempt.line.source_name]
                if tally.captured_through is not None:
                    tally.captured_through = min(tally.captured_through, attempt.line.moment.time - 1)
        return out

    def snapshot(self) -> bytes:
        """Everything as JSON. Tallies are taken before."""
        incomplete = [transaction.number for transaction in self._incomplete.values()]
        state = {
            "format": 1,
            "numbers": self._numbers,
            "transactions": [to_plain(transaction) for transaction in self._by_number.values()],
            "by_key": [transaction.number for transaction in self._by_key.values()],
            "incomplete": incomplete,
            "expected": to_plain(self._expected),
            "sessions": to_plain(self._sessions),
            "proxied": to_plain(self._proxied),
            "timers": self._timers,
            "readers": {name: reader.state() for name, reader in self._readers.items()},
        }
        return json.dumps(state).encode()

    @classmethod
    def restore(cls, snapshot: bytes, site: Site, sources: Sequence[Source], year: int | None = None) -> "Assembler":
        """The assembler of a `snapshot`; streams that are configured anew begin empty."""
        state: dict[str, Any] = json.loads(snapshot)
        self = cls(site, sources, year)
        self._numbers = state["numbers"]
        transactions: list[Transaction] = from_plain(state["transactions"])
        self._by_number = {transaction.number: transaction for transaction in transactions}
        self._by_key = {self._by_number[number].key: self._by_number[number] for number in state["by_key"]}
        self._incomplete = {self._by_number[number].key: self._by_number[number] for number in state["incomplete"]}
        self._expected = from_plain(state["expected"])
        self._sessions = from_plain(state["sessions"])
        self._proxied = from_plain(state["proxied"])
        for name, timers in state["timers"].items():
            self._timers[name] = [tuple(timer) for timer in timers]
        for name, values in state["readers"].items():
            if name in self._readers:
                self._readers[name].restore(values)
        return self

    # What lines say. One method an event.

    def _arrived(self, line: Line, event: events.Arrived) -> None:
        key = (line.host, line.instance, event.queue_id)
        transaction = self._by_key.get(key)
        if transaction is not None and transaction.client is not None:
            self._give_up(transaction)  # its end was not logged, and the queue id is used again
            transaction = None
        if transaction is None:
            transaction = self._open(line, key)
        transaction.client = event.client
        transaction.accept = line.moment
        transaction.handed_back = self._maker.is_filter_client(event.client)
        if event.session:
            session = (line.host, line.instance, event.session)
            transaction.session = event.session
            self._sessions.setdefault(session, []).append(transaction.number)
        if event.previous_queue_id is not None:
            self._continue(transaction, (line.host, line.instance, event.previous_queue_id))
        self._completed(transaction)

    def _continue(self, transaction: Transaction, previous: Key) -> None:
        """A requeued message goes on under a new queue id; where it came from stays known."""
        before = self._by_key.get(previous)
        transaction.handed_back = True
        if before is None:
            transaction.parent = Parent(None, previous[2], NO_CLIENT, "MESSAGE")
            return
        transaction.parent = _parent(before, "MESSAGE")
        transaction.accept = before.accept or transaction.accept
        self._drop(before)

    def _message_id(self, line: Line, event: events.MessageId) -> None:
        transaction = self._get(line, event.queue_id)
        transaction.flag(*event.flags)
        if transaction.message_id is None:
            transaction.message_id = event.message_id
        elif transaction.message_id != event.message_id:
            transaction.flag("EXTRA_MESSAGE_ID")

    def _queued(self, line: Line, event: events.Queued) -> None:
        transaction = self._get(line, event.queue_id)
        transaction.sender = event.sender
        transaction.size_bytes = event.size_bytes
        transaction.recipient_count = event.recipient_count
        self._completed(transaction)

    def _delivered(self, line: Line, event: Delivery) -> None:
        transaction = self._get(line, event.queue_id)
        name = event.recipient.text
        first = transaction.undecided.get(name)
        if event.outcome == "DEFERRED":
            if first is None:
                transaction.undecided[name] = Attempt(line, event, self._observed)
                self._timer(line.moment.time + self._undecided_after, transaction, "undecided", name)
            else:
                first.attempts += 1
            return
        attempts = 1
        if first is not None:
            attempts += first.attempts
            del transaction.undecided[name]
        transaction.decided += 1
        if event.outcome in ("SENT", "DELIVERED") and self._maker.is_filter(event.relay):
            if event.next_queue_id is not None:
                self._link(line, transaction, event.next_queue_id, "MESSAGE")
            return
        if event.child_queue_id is not None:
            self._link(line, transaction, event.child_queue_id, "MESSAGE")
        self._decide(transaction, Attempt(line, event, self._observed, attempts))

    def _refused(self, line: Line, event: events.Refusal) -> None:
        transaction = self._by_key.get((line.host, line.instance, event.queue_id)) if event.queue_id else None
        client = event.client
        if transaction is not None and transaction.client is not None:
            client = transaction.client._replace(helo=event.client.helo)
        key = (
            transaction.message_key
            if transaction
            else message_key(line.host, line.instance, event.queue_id, line.raw, line.n)
        )
        record = self._maker.refusal(
            line, self._observed, event.queue_id, key, client, event.sender, event.recipient, event.outcome
        )
        record["dsn"], record["smtp_code"] = event.dsn, event.smtp_code
        record["flags"] += [flag for flag in event.flags if flag not in record["flags"]]
        if transaction is not None:
            record["accept_time"] = transaction.accept.time if transaction.accept else None
            record["message_id"] = transaction.message_id
        self._out.append(record)
        if transaction is not None and event.whole_message:
            self._drop(transaction)

    def _child(self, line: Line, event: events.Child) -> None:
        parent = self._by_key.get((line.host, line.instance, event.queue_id))
        self._link(line, parent, event.child_queue_id, event.kind, parent_queue_id=event.queue_id)

    def _proxied_client(self, line: Line, event: events.Proxied) -> None:
        self._proxied[line.host, line.instance, event.session] = event.client
        _bound(self._proxied, SESSIONS_MAX)

    def _handed(self, line: Line, event: events.Handed) -> None:
        client = self._proxied.get((line.host, line.instance, event.session))
        transaction = self._by_key.get((line.host, line.instance, event.queue_id))
        if client is not None and transaction is not None:
            origin = "FORWARDED" if client.ip is not None else client.ip_origin
            transaction.client = client._replace(ip_origin=origin)
            transaction.handed_back = False
            self._completed(transaction)

    def _expired(self, line: Line, event: events.Expired) -> None:
        transaction = self._get(line, event.queue_id)
        for attempt in list(transaction.undecided.values()):
            self._end_undecided(transaction, attempt, line, "EXPIRED")

    def _removed(self, line: Line, event: events.Removed) -> None:
        transaction = self._by_key.get((line.host, line.instance, event.queue_id))
        if transaction is None:
            return
        if event.by_hand:
            transaction.flag("ADMINISTRATIVE")
            nobody_known = not transaction.undecided and not transaction.decided
            for attempt in list(transaction.undecided.values()):
                self._end_undecided(transaction, attempt, line, "DELETED")
            if nobody_known:
                self._emit_unnamed(transaction, line, "DELETED", "RECIPIENTS_INCOMPLETE", is_final=True)
        for attempt in list(transaction.undecided.values()):  # decided in lines that are not here
            self._end_undecided(transaction, attempt, line, "UNKNOWN", "PARTIAL_END")
        transaction.ended = True
        if not transaction.waiting:
            self._drop(transaction)

    def _requeued(self, line: Line, event: events.Requeued) -> None:
        self._get(line, event.queue_id).held = True  # it stays known until its new queue id is told

    def _held(self, line: Line, event: events.Held) -> None:
        self._get(line, event.queue_id).held = True

    def _session_ended(self, line: Line, event: events.SessionEnded) -> None:
        session = (line.host, line.instance, event.session)
        self._proxied.pop(session, None)
        for number in self._sessions.pop(session, ()):
            transaction = self._by_number.get(number)
            if transaction is not None and transaction.sender is None and not transaction.held:
                self._timer(line.moment.time + ABORT_WINDOW, transaction, "aborted", "")

    # Messages.

    def _get(self, line: Line, queue_id: str) -> Transaction:
        """The message of a line; a new one, without a beginning, when none is known."""
        transaction = self._by_key.get((line.host, line.instance, queue_id))
        if transaction is None:
            return self._open(line, (line.host, line.instance, queue_id))
        transaction.last_line, transaction.last_observed_time = line, self._observed
        return transaction

    def _open(self, line: Line, key: Key) -> Transaction:
        self._numbers += 1
        transaction = Transaction(
            number=self._numbers,
            key=key,
            source_name=line.source_name,
            message_key=message_key(line.host, line.instance, key[2], line.raw, line.n),
            last_line=line,
            last_observed_time=self._observed,
            parent=self._expected.pop(key, None),
        )
        if transaction.parent is not None and transaction.parent.kind != "MESSAGE":
            transaction.accept = line.moment
        self._by_number[transaction.number] = transaction
        self._by_key[key] = transaction
        if len(self._by_number) > TRANSACTIONS_MAX:
            self._marker(line.source_name, "transactions-beyond-bound")
            self._give_up(next(iter(self._by_number.values())))
        return transaction

    def _link(
        self, line: Line, parent: Transaction | None, child_id: str, kind: Any, parent_queue_id: str = ""
    ) -> None:
        """`child_id` was made from `parent`. The child may be open, ended and waiting, or not begun."""
        told = _parent(parent, kind) if parent else Parent(None, parent_queue_id, NO_CLIENT, kind)
        key = (line.host, line.instance, child_id)
        child = self._incomplete.get(key) or self._by_key.get(key)
        if child is None:
            self._expected[key] = told
            _bound(self._expected, EXPECTED_MAX)
            return
        child.parent = told
        if child.client is None and child.accept is None:
            child.accept = line.moment
        self._completed(child)

    def _decide(self, transaction: Transaction, attempt: Attempt) -> None:
        """A recipient is decided: its record, or a place among those that wait for parts of the message."""
        if _complete(transaction):
            self._emit(transaction, attempt)
            return
        transaction.waiting.append(attempt)
        self._incomplete[transaction.key] = transaction
        self._timer(attempt.line.moment.time + WINDOW, transaction, "incomplete", "")

    def _completed(self, transaction: Transaction) -> None:
        """A part came: make the records that waited for it."""
        if transaction.waiting and _complete(transaction):
            self._emit_waiting(transaction)

    def _emit_waiting(self, transaction: Transaction) -> None:
        for attempt in transaction.waiting:
            self._emit(transaction, attempt)
        transaction.waiting.clear()
        if self._incomplete.get(transaction.key) is transaction:
            del self._incomplete[transaction.key]
        if transaction.ended:
            self._drop(transaction)

    def _emit(self, transaction: Transaction, attempt: Attempt, *flags: str, is_final: bool = True) -> None:
        """One record from one delivery line."""
        told = attempt.delivery
        if told.child_queue_id is not None:
            flags = (*flags, "EXPANDED")
        record = self._maker.delivery(
            transaction,
            attempt.line,
            attempt.observed_time,
            told.recipient,
            told.original_recipient,
            told.relay,
            told.outcome,
            is_final=is_final,
            attempts=attempt.attempts,
            flags=flags,
        )
        record["dsn"], record["smtp_code"], record["tls"] = told.dsn, told.smtp_code, told.tls
        record["next_queue_id"], record["session_id"] = told.next_queue_id, told.session_id
        self._out.append(record)

    def _emit_unnamed(
        self, transaction: Transaction, line: Line, outcome: Outcome, *flags: str, is_final: bool
    ) -> None:
        """One record for recipients that no line names."""
        record = self._maker.delivery(
            transaction, line, self._observed, None, None, NO_RELAY, outcome, is_final=is_final, flags=flags
        )
        self._out.append(record)

    def _end_undecided(
        self, transaction: Transaction, first: Attempt, line: Line, outcome: Outcome, *flags: str
    ) -> None:
        """A recipient that was deferred ends without a delivery line of its own."""
        del transaction.undecided[first.delivery.recipient.text]
        transaction.decided += 1
        transaction.flag(*flags)
        told = first.delivery._replace(outcome=outcome)
        self._decide(transaction, Attempt(line, told, self._observed, first.attempts))

    def _give_up(self, transaction: Transaction) -> None:
        """Make what can be made of a message whose end will not be seen, and forget it."""
        transaction.flag(*_missing(transaction))
        self._emit_waiting(transaction)
        if transaction.number not in self._by_number:
            return
        broken_off = transaction.sender is None and transaction.client is not None and not transaction.held
        for first in transaction.undecided.values():
            if not first.reported:
                self._emit(transaction, first, "PARTIAL_END", is_final=False)
        unnamed = (transaction.recipient_count or 1) - transaction.decided - len(transaction.undecided)
        if unnamed > 0 and not broken_off and not transaction.ended:
            outcome: Outcome = "HELD" if transaction.held else "UNKNOWN"
            self._emit_unnamed(
                transaction, transaction.last_line, outcome, "PARTIAL_END", "RECIPIENTS_INCOMPLETE", is_final=False
            )
        self._drop(transaction)

    def _drop(self, transaction: Transaction) -> None:
        self._by_number.pop(transaction.number, None)
        for index in (self._by_key, self._incomplete):
            if index.get(transaction.key) is transaction:
                del index[transaction.key]

    # Timers, on the log time of the stream in which a message began.

    def _timer(self, due: int, transaction: Transaction, what: str, argument: str) -> None:
        heapq.heappush(self._timers[transaction.source_name], (due, transaction.number, what, argument))

    def _run_timers(self, source_name: str, log_time: int) -> None:
        timers = self._timers[source_name]
        while timers and timers[0][0] <= log_time:
            _, number, what, argument = heapq.heappop(timers)
            transaction = self._by_number.get(number)
            if transaction is None:
                continue
            if what == "undecided":
                first = transaction.undecided.get(argument)
                if first is not None and not first.reported:
                    first.reported = True
                    self._emit(transaction, first, *_missing(transaction), is_final=False)
            elif what == "incomplete":
                if transaction.waiting:
                    transaction.flag(*_missing(transaction))
                    self._emit_waiting(transaction)
            elif transaction.sender is None and not transaction.held and not transaction.waiting:
                self._drop(transaction)

    def _marker(self, source_name: str, marker: str) -> None:
        markers = self._readers[source_name].tally.loss_markers
        markers[marker] = markers.get(marker, 0) + 1

    def _take(self) -> list[Envelope]:
        out, self._out = self._out, []
        return out


def _complete(transaction: Transaction) -> bool:
    """Whether nothing of the message is to be waited for."""
    if transaction.sender is None:
        return False
    if transaction.parent is not None:
        return True
    return transaction.client is not None and not transaction.handed_back


def _missing(transaction: Transaction) -> tuple[str, ...]:
    """The flag of a message whose beginning was not read."""
    begun = transaction.client is not None or transaction.parent is not None
    return () if begun and transaction.sender is not None else ("PARTIAL_START",)


def _parent(transaction: Transaction, kind: Any) -> Parent:
    """What a child takes from its parent: also the grandparent's client, when the parent has none of its own."""
    client = transaction.client
    if transaction.parent is not None and (client is None or transaction.handed_back):
        client = transaction.parent.client
    return Parent(transaction.message_key, transaction.key[2], client or NO_CLIENT, kind)


def _bound(mapping: dict[Key, Any], most: int) -> None:
    """Forget the oldest entry beyond a bound."""
    if len(mapping) > most:
        del mapping[next(iter(mapping))]


_HANDLERS: Final[dict[type, Callable[[Assembler, Line, Any], None]]] = {
    events.Arrived: Assembler._arrived,
    events.MessageId: Assembler._message_id,
    events.Queued: Assembler._queued,
    events.Delivery: Assembler._delivered,
    events.Refusal: Assembler._refused,
    events.Child: Assembler._child,
    events.Proxied: Assembler._proxied_client,
    events.Handed: Assembler._handed,
    events.Expired: Assembler._expired,
    events.Removed: Assembler._removed,
    events.Requeued: Assembler._requeued,
    events.Held: Assembler._held,
    events.SessionEnded: Assembler._session_ended,
}

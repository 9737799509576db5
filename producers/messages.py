"""Messages while they are in the queue: found, linked, decided, timed, and made into records.

A record is made when a recipient is decided and nothing of its message is to be waited for. Where parts may still come
(the line that tells where a bounce came from stands behind the bounce's own lines), it waits WINDOW of log time and is
then made with flags. Timers run on log time only. Bounds: TRANSACTIONS_MAX messages; beyond it the oldest comes out as
far as it is known, and is counted.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from infra.platform.clock import DAY, HOUR, MINUTE, SECOND
from infra.platform.settings import Site, Source
from producers.events import Delivery, Stored
from producers.filtered import Filtered
from producers.identity import message_key
from producers.instances import Instances
from producers.lines import Line
from producers.mailboxes import taken_over
from producers.records import NO_CLIENT, NO_RELAY, RecordMaker
from producers.transactions import Attempt, Key, Parent, Transaction, complete, from_plain, missing, to_plain
from schemas.envelope import Envelope, Outcome

WINDOW: Final = 10 * SECOND
ABORT_WINDOW: Final = MINUTE
QUEUE_WINDOW: Final = 60 * MINUTE  # a busy queue manager may take as long to come to it
# Mail systems that do not log when a message has left the queue: it has, when nothing was heard of it for SETTLED and
# nobody is undecided; silence beyond the longest time in the queue is an end in any case.
END_NOT_LOGGED: Final = frozenset({"SENDMAIL"})
SETTLED: Final = HOUR
SILENCE_MAX: Final = 6 * DAY
TRANSACTIONS_MAX: Final = 200_000
EXPECTED_MAX: Final = 10_000
UNHEARD_AFTER: Final = 60 * MINUTE
UNHEARD_MAX: Final = 6 * 24 * 60 * MINUTE  # longer than mail waits in a queue, or than between two attempts


class Messages:
    """The messages of one agent. The same calls in the same order make the same records."""

    def __init__(self, site: Site, sources: Sequence[Source], lost: Callable[[str, str], None]) -> None:
        """None yet. `lost(source name, marker)` is told when a bound makes a message come out early."""
        self.maker = RecordMaker(site)
        self.instances = Instances()
        self._filtered = Filtered()
        self.observed_time = 0  # when the agent read the line in hand
        self.made: list[Envelope] = []  # records, in order; whoever takes them empties it
        self._lost = lost
        self._undecided_after = site.undecided_after_seconds * SECOND
        self._numbers = 0
        self._by_number: dict[int, Transaction] = {}
        self._by_key: dict[Key, Transaction] = {}
        self._incomplete: dict[Key, Transaction] = {}  # waiting for parts, also behind their end
        self._expected: dict[Key, Parent] = {}  # links told before their child
        self._timers: dict[str, list[tuple[int, int, str, str]]] = {source.name: [] for source in sources}

    def __len__(self) -> int:
        """Messages seen and not yet ended."""
        return len(self._by_number)

    def key(self, line: Line, queue_id: str) -> Key:
        """What a message of this line is known by."""
        return (line.host, self.instances.queue_of(line), queue_id)

    def find(self, key: Key) -> Transaction | None:
        """The message that is known by this key now."""
        return self._by_key.get(key)

    def child(self, key: Key) -> Transaction | None:
        """The message that a link to this key would reach."""
        return self._incomplete.get(key) or self._by_key.get(key)

    def open_ones(self) -> Iterable[Transaction]:
        """Messages seen and not yet ended, in the order in which they began."""
        return self._by_number.values()

    def waiting(self) -> list[Line]:
        """Deciding lines whose records are not made yet, because parts of their messages may still come."""
        return [attempt.line for transaction in self._incomplete.values() for attempt in transaction.waiting]

    def state(self) -> dict[str, Any]:
        """Everything but the messages themselves as plain JSON values, for a snapshot."""
        return {
            "numbers": self._numbers,
            "by_key": [transaction.number for transaction in self._by_key.values()],
            "incomplete": [transaction.number for transaction in self._incomplete.values()],
            "expected": to_plain(self._expected),
            "timers": self._timers,
            "observed_time": self.observed_time,
            "instances": self.instances.state(),
            "filtered": self._filtered.state(),
        }

    def restore(self, state: dict[str, Any], transactions: Iterable[Transaction]) -> None:
        """Take over a `state` and its messages; streams that are configured anew begin without timers."""
        self._numbers = state["numbers"]
        self.observed_time = state.get("observed_time", 0)  # not in snapshots of before; a chunk sets it anew
        self._by_number = {transaction.number: transaction for transaction in transactions}
        self._by_key = {self._by_number[number].key: self._by_number[number] for number in state["by_key"]}
        self._incomplete = {self._by_number[number].key: self._by_number[number] for number in state["incomplete"]}
        self._expected = from_plain(state["expected"])
        if "instances" in state:  # a snapshot of an earlier version has none
            self.instances.restore(state["instances"])
            self._filtered.restore(state["filtered"])
        for name, timers in state["timers"].items():
            self._timers[name] = [tuple(timer) for timer in timers]

    def arrived_again(self, key: Key) -> Transaction | None:
        """The message of a queue id that begins now: what is known of it, or None when that was an older message."""
        transaction = self._by_key.get(key)
        if transaction is None or (transaction.client is None and not transaction.ended):
            return transaction
        self.give_up(transaction)  # its end was not logged, and the queue id is used again
        return None

    def deferred(self, transaction: Transaction, attempt: Attempt, name: str | None = None) -> None:
        """A recipient stays undecided. `name` tells recipients of equal address apart: the id of an envelope."""
        if transaction.handed_back:
            self._filtered.came_out(transaction, attempt)
        name = name or attempt.delivery.recipient.text
        first = transaction.undecided.get(name)
        if first is not None:
            first.attempts += 1
            return
        transaction.undecided[name] = attempt
        self._timer(attempt.line.moment.time + self._undecided_after, transaction, "undecided", name)

    def not_queued(self, number: int) -> bool:
        """Whether a message is open, and no line says yet that it got into the queue."""
        transaction = self._by_number.get(number)
        return transaction is not None and transaction.sender is None and not transaction.held

    def broken_off(self, number: int, line: Line, *, surely: bool) -> None:
        """The session of a message is over: unless it is in the queue by then, it is forgotten after a while.

        `surely`: the session took no message; else a busy queue manager may only be late.
        """
        if surely and (transaction := self._by_number.get(number)) is not None and transaction.sender is None:
            transaction.held = False  # it was to be held, and never came
        if self.not_queued(number):
            window = ABORT_WINDOW if surely else QUEUE_WINDOW
            self._timer(line.moment.time + window, self._by_number[number], "aborted", "")

    def without_client(self, transaction: Transaction) -> None:
        """A message begins inside the server: a notice, which may not be sent after all and then gets no other line."""
        self._timer(transaction.last_line.moment.time + QUEUE_WINDOW, transaction, "aborted", "")

    def without_end(self, transaction: Transaction, time: int) -> None:
        """No line will tell the end of this message: it is given up when everyone known is decided and nothing was
        heard of it for UNHEARD_AFTER; in any case after UNHEARD_MAX, since then lines are lost."""
        self._timer(time + UNHEARD_AFTER, transaction, "unheard", "")

    def finish(self) -> None:
        """The input has ended for good: what is open comes out as far as it is known."""
        for transaction in list(self._by_number.values()):
            self.give_up(transaction)

    def get(self, line: Line, queue_id: str) -> Transaction:
        """The message of a line; a new one, without a beginning, when none is known."""
        key = self.key(line, queue_id)
        transaction = self._by_key.get(key) or self._adopted(key)
        if transaction is None:
            return self.open(line, key)
        transaction.last_line, transaction.last_observed_time = line, self.observed_time
        return transaction

    def managed(self, line: Line, queue_id: str) -> None:
        """A queue manager logs: its name is a queue's, also of a message that was thought to be in another one."""
        thought = self.key(line, queue_id)
        self.instances.managed(line)
        key = self.key(line, queue_id)
        if key != thought and (transaction := self._by_key.get(thought)) is not None and transaction.sender is None:
            self._rename(transaction, key)

    def _rename(self, transaction: Transaction, key: Key) -> None:
        del self._by_key[transaction.key]
        if self._incomplete.get(transaction.key) is transaction:
            self._incomplete[key] = self._incomplete.pop(transaction.key)
        transaction.key = key
        self._by_key[key] = transaction

    def _adopted(self, key: Key) -> Transaction | None:
        """The message that began under a service's own name and goes on in this queue, now known by it."""
        host, queue, queue_id = key
        for service in self.instances.services(host, queue):
            transaction = self._by_key.get((host, service, queue_id))
            if transaction is not None and transaction.client is not None and transaction.sender is None:
                self.instances.serves(host, service, queue)
                self._rename(transaction, key)
                return transaction
        return None

    def open(self, line: Line, key: Key) -> Transaction:
        """A message begins to be known with this line."""
        self._numbers += 1
        transaction = Transaction(
            number=self._numbers,
            key=key,
            source_name=line.source_name,
            message_key=message_key(line.host, line.instance, key[2], line.raw, line.n),
            last_line=line,
            last_observed_time=self.observed_time,
            parent=self._expected.pop(key, None),
        )
        if transaction.parent is not None and transaction.parent.kind != "MESSAGE":
            transaction.accept = line.moment
        self._by_number[transaction.number] = transaction
        self._by_key[key] = transaction
        if line.mta in END_NOT_LOGGED:
            self._timer(line.moment.time + SETTLED, transaction, "settled", "")
        if len(self._by_number) > TRANSACTIONS_MAX:
            self._lost(line.source_name, "transactions-beyond-bound")
            self.give_up(next(iter(self._by_number.values())))
        return transaction

    def link(self, line: Line, parent: Transaction | None, child_id: str, kind: Any, parent_queue_id: str = "") -> None:
        """`child_id` was made from `parent`. The child may be open, ended and waiting, or not begun."""
        told = parent_of(parent, kind) if parent else Parent(None, parent_queue_id, NO_CLIENT, kind)
        key = self.key(line, child_id)
        child = self.child(key)
        if child is None:
            self._expected[key] = told
            bound(self._expected, EXPECTED_MAX)
            return
        child.parent = told
        if child.client is None and child.accept is None:
            child.accept = line.moment
        self.completed(child)

    def went_into_filter(self, line: Line, transaction: Transaction, told: Delivery) -> None:
        """A content filter has a recipient's copy now, under the queue id that it told, or under an unknown one."""
        if told.next_queue_id is not None:
            self.link(line, transaction, told.next_queue_id, "MESSAGE")
            return
        parent = parent_of(transaction, "MESSAGE")
        child = self._filtered.went_in(line, parent, transaction, told.recipient.text, self._by_number)
        if child is not None:
            self.completed(child)

    def decide(self, transaction: Transaction, attempt: Attempt) -> None:
        """A recipient is decided: its record, or a place among those that wait for parts of the message."""
        if transaction.handed_back:
            self._filtered.came_out(transaction, attempt)
        if complete(transaction):
            self._emit(transaction, attempt)
            return
        transaction.waiting.append(attempt)
        self._incomplete[transaction.key] = transaction
        self._timer(attempt.line.moment.time + WINDOW, transaction, "incomplete", "")

    def completed(self, transaction: Transaction) -> None:
        """A part came: make the records that waited for it."""
        if transaction.waiting and complete(transaction):
            self._emit_waiting(transaction)

    def told(self, number: int, told: Stored, *, kept: bool) -> None:
        """The mailbox server tells what became of a delivery that waits for it; nothing more is awaited when `kept`."""
        transaction = self._by_number.get(number)
        if transaction is None or told.session_id not in transaction.expects:
            return
        for attempt in transaction.waiting:
            if attempt.delivery.session_id == told.session_id:
                attempt.delivery = taken_over(attempt.delivery, told)
        if kept:
            transaction.expects.remove(told.session_id)
            self.completed(transaction)

    def _emit_waiting(self, transaction: Transaction) -> None:
        for attempt in transaction.waiting:
            self._emit(transaction, attempt)
        transaction.waiting.clear()
        transaction.expects.clear()
        if self._incomplete.get(transaction.key) is transaction:
            del self._incomplete[transaction.key]
        if transaction.ended:
            self.drop(transaction)

    def _emit(self, transaction: Transaction, attempt: Attempt, *flags: str, is_final: bool = True) -> None:
        """One record from one delivery line."""
        told = attempt.delivery
        if told.child_queue_id is not None:
            flags = (*flags, "EXPANDED")
        record = self.maker.delivery(
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
            delay_seconds=told.delay_seconds,
        )
        record["dsn"], record["smtp_code"], record["tls"] = told.dsn, told.smtp_code, told.tls
        record["next_queue_id"], record["session_id"] = told.next_queue_id, told.session_id
        self.made.append(record)

    def emit_unnamed(self, transaction: Transaction, line: Line, outcome: Outcome, *flags: str, is_final: bool) -> None:
        """One record for recipients that no line names, or none but the one at which a message was held."""
        recipient = transaction.recipient_told if transaction.sender is None else None
        record = self.maker.delivery(
            transaction, line, self.observed_time, recipient, None, NO_RELAY, outcome, is_final=is_final, flags=flags
        )
        self.made.append(record)

    def end_undecided(
        self, transaction: Transaction, first: Attempt, line: Line, outcome: Outcome, *flags: str
    ) -> None:
        """A recipient that was deferred ends without a delivery line of its own."""
        del transaction.undecided[first.delivery.recipient.text]
        transaction.decided += 1
        transaction.flag(*flags)
        told = first.delivery._replace(outcome=outcome, delay_seconds=None)  # `line` is another one
        self.decide(transaction, Attempt(line, told, self.observed_time, first.attempts))

    def give_up(self, transaction: Transaction) -> None:
        """Make what can be made of a message whose end will not be seen, and forget it."""
        transaction.flag(*missing(transaction))
        self._emit_waiting(transaction)
        if transaction.number not in self._by_number:
            return
        # Begun, and no line says that it got into the queue: a client broke off, or a notice was not needed after all.
        broken_off = transaction.sender is None and transaction.recipient_count is None and not transaction.held
        for first in transaction.undecided.values():
            if not first.reported:
                self._emit(transaction, first, "PARTIAL_END", is_final=False)
        unnamed = (transaction.recipient_count or 1) - transaction.decided - len(transaction.undecided)
        if unnamed > 0 and not broken_off and not transaction.ended and not transaction.open_ended:
            outcome: Outcome = "HELD" if transaction.held else "UNKNOWN"
            self.emit_unnamed(
                transaction, transaction.last_line, outcome, "PARTIAL_END", "RECIPIENTS_INCOMPLETE", is_final=False
            )
        self.drop(transaction)

    def drop(self, transaction: Transaction) -> None:
        """Forget a message."""
        self._by_number.pop(transaction.number, None)
        for index in (self._by_key, self._incomplete):
            if index.get(transaction.key) is transaction:
                del index[transaction.key]

    def _timer(self, due: int, transaction: Transaction, what: str, argument: str) -> None:
        heapq.heappush(self._timers[transaction.source_name], (due, transaction.number, what, argument))

    def run_timers(self, source_name: str, log_time: int) -> None:
        """Log time of the stream in which messages began has come to `log_time`."""
        timers = self._timers[source_name]
        while timers and timers[0][0] <= log_time:
            _, number, what, argument = heapq.heappop(timers)
            transaction = self._by_number.get(number)
            if transaction is None:
                continue
            if what == "unheard":
                unheard = log_time - transaction.last_line.moment.time
                is_open = bool(transaction.undecided or transaction.waiting)
                if unheard < UNHEARD_AFTER or (is_open and unheard < UNHEARD_MAX):
                    self.without_end(transaction, log_time)
                else:
                    self.give_up(transaction)
            elif what == "undecided":
                first = transaction.undecided.get(argument)
                if first is not None and not first.reported:
                    first.reported = True
                    self._emit(transaction, first, *missing(transaction), is_final=False)
            elif what == "incomplete":
                if transaction.waiting:
                    transaction.flag(*missing(transaction))
                    self._emit_waiting(transaction)
            elif what == "settled":
                self._settle(transaction, log_time)
            elif transaction.sender is None and not transaction.held and not transaction.waiting:
                self.drop(transaction)

    def _settle(self, transaction: Transaction, log_time: int) -> None:
        """Forget a message whose end is not logged, once it must have come; look again later otherwise."""
        silence = log_time - transaction.last_line.moment.time
        busy = silence < SETTLED or transaction.undecided or transaction.waiting or transaction.held
        if not busy and (transaction.decided or transaction.open_ended):
            self.drop(transaction)
        elif silence < SILENCE_MAX:
            self._timer(log_time + SETTLED, transaction, "settled", "")
        else:
            self.give_up(transaction)


def parent_of(transaction: Transaction, kind: Any) -> Parent:
    """What a child takes from its parent: also the grandparent's client, when the parent has none of its own."""
    client = transaction.client
    if transaction.parent is not None and (client is None or transaction.handed_back):
        client = transaction.parent.client
    return Parent(transaction.message_key, transaction.key[2], client or NO_CLIENT, kind)


def bound(mapping: dict[Key, Any], most: int) -> None:
    """Forget the oldest entry beyond a bound."""
    if len(mapping) > most:
        del mapping[next(iter(mapping))]

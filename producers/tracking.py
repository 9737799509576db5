"""Messages of a tracking log (Exchange): one record for each recipient, when it is decided.

Every row names message and recipients, so a row alone can make a record; what it does not hold is where the mail came
from, which the row of its receipt does. A record waits WINDOW of the log time of all streams for that row, as the
transport's and the mailbox delivery's rows are in different files.

What one server of the organisation passes on to the mailbox delivery of another is no end of its own: the delivery's
row is. Where that row is not in this agent's streams by then, the mail has gone to another server, and was SENT.
Groups and renamed recipients stand for others; the original goes with these. Rows that come again (Safety Net, shadow
copies, restarts) make nothing twice while the message is remembered, KEPT of log time behind its last decision.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from infra.platform.clock import DAY, HOUR, MINUTE, SECOND
from infra.platform.settings import Site
from producers.events import Address, Delivery, Tracked
from producers.identity import message_key
from producers.lines import Line
from producers.records import NO_RELAY, RecordMaker
from producers.transactions import Attempt, Transaction, from_plain, to_plain
from schemas.envelope import Envelope, Outcome

WINDOW: Final = 10 * SECOND
KEPT: Final = 10 * MINUTE
QUEUED_MAX: Final = 7 * DAY  # Exchange gives up after two days, unless it was told otherwise
MESSAGES_MAX: Final = 100_000
Key = tuple[str, str]  # host (empty where the id is the organisation's), id


@dataclass(slots=True)
class Recipient:
    """One that is not decided: what it was before, its first deferral, and the row that passed it on."""

    address: Address
    original: Address | None = None
    deferred: Attempt | None = None
    passed: Attempt | None = None


@dataclass(slots=True)
class Message:
    """One message. `known` holds what its records share; `rank` says how good its client is known."""

    key: Key
    known: Transaction
    rank: int = 0
    kind: str = "MESSAGE"
    is_originating: bool | None = None
    own_ip: bytes | None = None
    recipients: dict[str, Recipient] = field(default_factory=dict)
    decided: list[str] = field(default_factory=list)
    waiting: list[Attempt] = field(default_factory=list)


class Tracking:
    """The messages of tracking logs. The same calls in the same order make the same records."""

    def __init__(self, site: Site, maker: RecordMaker, lost: Callable[[str, str], None]) -> None:
        """None yet. `lost(source name, marker)` is told when a bound makes a message come out early."""
        self._maker = maker
        self._lost = lost
        self._undecided_after = site.undecided_after_seconds * SECOND
        self._numbers = 0
        self._messages: dict[Key, Message] = {}
        self._timers: list[tuple[int, int, str, str, str, str]] = []  # due, number, what, key's two, recipient

    def row(self, line: Line, event: Tracked, observed_time: int, newest: int, log_time: int) -> list[Envelope]:
        """Records that this row decides. Log time: `newest` of its stream, `log_time` that all streams have come to."""
        made = self.run_timers(log_time)
        now = min(line.moment.time, newest)
        message = self._message(line, event, observed_time, now)
        _learn(message, line, event)
        if event.what == "RECEIVED":
            made += self._emit_waiting(message)
        for told in event.deliveries:
            attempt = Attempt(line, told, observed_time)
            if event.what == "DECIDED":
                made += self._decide(message, attempt, now)
            elif event.what in ("DEFERRED", "PASSED"):
                self._undecided(message, attempt, now, event.what)
            elif event.what == "RENAMED":
                _rename(message, told)
            elif event.what == "HELD":
                message.known.held = True
            elif told.recipient.text not in message.decided:
                message.recipients.setdefault(told.recipient.text, Recipient(told.recipient))
        if len(self._messages) > MESSAGES_MAX:
            self._lost(line.source_name, "messages-beyond-bound")
            made += self._give_up(next(iter(self._messages.values())))
        return made

    def run_timers(self, log_time: int) -> list[Envelope]:
        """Records that are due by now."""
        made: list[Envelope] = []
        while self._timers and self._timers[0][0] <= log_time:
            _, number, what, host, queue_id, recipient = heapq.heappop(self._timers)
            message = self._messages.get((host, queue_id))
            if message is None or message.known.number != number:
                continue
            if what == "waiting":
                made += self._emit_waiting(message)
            elif what == "kept":
                made += self._let_go(message, log_time)
            elif (state := message.recipients.get(recipient)) is not None:
                made += self._due(message, state, what, log_time)
        return made

    def finish(self) -> list[Envelope]:
        """The input has ended for good: what is open comes out as far as it is known."""
        made: list[Envelope] = []
        for message in list(self._messages.values()):
            made += self._give_up(message)
        return made

    def waiting(self) -> list[Line]:
        """Deciding rows whose records are not made yet."""
        lines = [attempt.line for message in self._messages.values() for attempt in message.waiting]
        passed = (state.passed for message in self._messages.values() for state in message.recipients.values())
        return lines + [attempt.line for attempt in passed if attempt is not None]

    def state(self) -> dict[str, Any]:
        """Everything as plain JSON values, for a snapshot."""
        return {
            "numbers": self._numbers,
            "timers": self._timers,
            "messages": [
                {
                    "key": list(message.key),
                    "known": to_plain(message.known),
                    "rest": [message.rank, message.kind, message.is_originating, to_plain(message.own_ip)],
                    "recipients": [
                        [name, *map(to_plain, (state.address, state.original, state.deferred, state.passed))]
                        for name, state in message.recipients.items()
                    ],
                    "decided": message.decided,
                    "waiting": to_plain(message.waiting),
                }
                for message in self._messages.values()
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a `state`."""
        self._numbers = state["numbers"]
        self._timers = [tuple(timer) for timer in state["timers"]]
        for plain in state["messages"]:
            rank, kind, is_originating, own_ip = plain["rest"]
            message = Message(
                key=tuple(plain["key"]),
                known=from_plain(plain["known"]),
                rank=rank,
                kind=kind,
                is_originating=is_originating,
                own_ip=from_plain(own_ip),
                recipients={name: Recipient(*map(from_plain, parts)) for name, *parts in plain["recipients"]},
                decided=plain["decided"],
                waiting=from_plain(plain["waiting"]),
            )
            self._messages[message.key] = message

    def _message(self, line: Line, event: Tracked, observed_time: int, now: int) -> Message:
        """The message of a row; a new one when none is known. A fork has its parent's beginning."""
        server = "" if event.is_wide else line.host.partition(".")[0].lower()
        key = (server, event.queue_id)
        message = self._messages.get(key)
        if message is None:
            self._numbers += 1
            known = Transaction(
                number=self._numbers,
                key=(line.host, line.instance, event.queue_id),
                source_name=line.source_name,
                message_key=message_key(line.host, line.instance, event.queue_id, line.raw, line.n),
                last_line=line,
                last_observed_time=observed_time,
            )
            message = self._messages[key] = Message(key, known)
            self._timer(now + KEPT, message, "kept")
        message.known.last_line, message.known.last_observed_time = line, observed_time
        if event.previous_queue_id is not None and not event.is_wide:
            parent = self._messages.get((server, event.previous_queue_id))
            if parent is not None and parent is not message:
                _inherit(message, parent, event)
        return message

    def _decide(self, message: Message, attempt: Attempt, time: int) -> list[Envelope]:
        """A recipient is decided, once."""
        told = attempt.delivery
        name = told.recipient.text
        state = message.recipients.pop(name, None)
        if name in message.decided:
            return []
        message.decided.append(name)
        if state is not None:
            attempt.attempts += state.deferred.attempts if state.deferred is not None else 0
            attempt.delivery = told._replace(original_recipient=state.original)
        if message.rank:
            return [self._record(message, attempt)]
        message.waiting.append(attempt)
        self._timer(time + WINDOW, message, "waiting")
        return []

    def _undecided(self, message: Message, attempt: Attempt, time: int, what: str) -> None:
        """A recipient was deferred, or passed on to a server of the same organisation."""
        name = attempt.delivery.recipient.text
        if name in message.decided:
            return
        state = message.recipients.setdefault(name, Recipient(attempt.delivery.recipient))
        if what == "PASSED":
            if state.passed is None:
                state.passed = attempt
                self._timer(time + WINDOW, message, "passed", name)
        elif state.deferred is not None:
            state.deferred.attempts += 1
        else:
            state.deferred = attempt
            self._timer(time + self._undecided_after, message, "undecided", name)

    def _let_go(self, message: Message, log_time: int) -> list[Envelope]:
        """Forget a message that is decided; one whose end does not come in QUEUED_MAX comes out as it is."""
        silent = log_time - message.known.last_line.moment.time
        if message.recipients or message.waiting:
            if silent > QUEUED_MAX:
                return self._give_up(message)
            self._timer(log_time + HOUR, message, "kept")
        elif silent >= KEPT:
            del self._messages[message.key]
        else:
            self._timer(log_time + KEPT - max(silent, 0), message, "kept")
        return []

    def _due(self, message: Message, state: Recipient, what: str, log_time: int) -> list[Envelope]:
        if what == "passed" and state.passed is not None:
            return self._decide(message, state.passed, log_time)
        if what == "undecided" and state.deferred is not None and not state.deferred.reported:
            state.deferred.reported = True
            return [self._record(message, _with(state.deferred, state), is_final=False)]
        return []

    def _emit_waiting(self, message: Message) -> list[Envelope]:
        made = [self._record(message, attempt) for attempt in message.waiting]
        message.waiting = []
        return made

    def _give_up(self, message: Message) -> list[Envelope]:
        """What is open comes out, as far as it is known, and the message is forgotten."""
        made = self._emit_waiting(message)
        for state in list(message.recipients.values()):
            if state.passed is not None:
                made += self._decide(message, state.passed, state.passed.line.moment.time)
            elif state.deferred is not None:
                if not state.deferred.reported:
                    made.append(self._record(message, _with(state.deferred, state), "PARTIAL_END", is_final=False))
            else:
                outcome: Outcome = "HELD" if message.known.held else "UNKNOWN"
                told = Delivery(
                    message.key[1], state.address, state.original, NO_RELAY, outcome, None, None, None, None, None, None
                )
                last = Attempt(message.known.last_line, told, message.known.last_observed_time, 0)
                made.append(self._record(message, last, "PARTIAL_END", is_final=False))
        made += self._emit_waiting(message)
        self._messages.pop(message.key, None)
        return made

    def _record(self, message: Message, attempt: Attempt, *flags: str, is_final: bool = True) -> Envelope:
        told = attempt.delivery
        record = self._maker.delivery(
            message.known,
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
        record["dsn"], record["smtp_code"], record["next_queue_id"] = told.dsn, told.smtp_code, told.next_queue_id
        record["kind"] = "BOUNCE" if message.kind == "BOUNCE" else "MESSAGE"
        record["server_ip"] = record["server_ip"] or message.own_ip
        to_us = told.outcome == "DELIVERED" or record["direction"] in ("INBOUND", "INTERNAL")
        if message.is_originating:
            record["direction"] = "INTERNAL" if to_us else "OUTBOUND"
        elif message.is_originating is False and to_us:
            record["direction"] = "INBOUND"
        return record

    def _timer(self, due: int, message: Message, what: str, recipient: str = "") -> None:
        heapq.heappush(self._timers, (due, message.known.number, what, *message.key, recipient))


def _learn(message: Message, line: Line, event: Tracked) -> None:
    """What a row says of the message. Where it came from is known best by the mailbox that submitted it, then by an

    original client, then by a connection: inside of the organisation the same message is received several times.
    """
    known = message.known
    known.flag(*event.flags)
    known.sender = event.sender if known.sender is None else known.sender
    known.message_id = event.message_id if known.message_id is None else known.message_id
    known.size_bytes = known.size_bytes if event.size_bytes is None else event.size_bytes
    known.recipient_count = known.recipient_count if event.recipient_count is None else event.recipient_count
    message.own_ip = message.own_ip or event.own_ip
    if message.is_originating is None:
        message.is_originating = event.is_originating
    if event.client is None:
        return
    known.accept = known.accept or line.moment
    message.kind = event.kind
    rank = 3 if event.from_mailbox else 2 if event.client.ip_origin in ("FORWARDED", "LOCAL_PROCESS") else 1
    if rank > message.rank:
        known.client, message.rank = event.client, rank


def _rename(message: Message, told: Delivery) -> None:
    """A recipient stands for another one, which is none any more; the first name of all is the original."""
    name, original = told.recipient.text, told.original_recipient
    if original is None or name == original.text:
        return
    before = message.recipients.pop(original.text, None)
    if name not in message.decided:
        state = message.recipients.setdefault(name, Recipient(told.recipient))
        state.original = (before.original if before is not None else None) or state.original or original


def _inherit(message: Message, parent: Message, event: Tracked) -> None:
    """A copy under another id goes on with some of the recipients."""
    known, before = message.known, parent.known
    if not message.rank:
        known.client, known.accept, message.rank = before.client, before.accept, parent.rank
        message.kind = parent.kind
    for told in event.deliveries:
        state = parent.recipients.pop(told.recipient.text, None)
        if state is not None:
            message.recipients.setdefault(told.recipient.text, state)


def _with(attempt: Attempt, state: Recipient) -> Attempt:
    told = attempt.delivery._replace(original_recipient=state.original)
    return Attempt(attempt.line, told, attempt.observed_time, attempt.attempts, attempt.reported)

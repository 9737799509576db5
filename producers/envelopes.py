"""Messages whose envelopes have ids of their own: each is announced, tried and ended by its id; no line ends all.

Recipients that are announced and not yet tried stand among the undecided, so that they come out by name when the input
ends. An envelope that nobody announced (an alias made it) joins its message by the queue id that its id begins with.
"""

from typing import Any, Final

from producers.events import Address, Attempted, Client, Delivery, EnvelopeEnded, Hop, TakenIn
from producers.lines import Line
from producers.messages import Messages, bound
from producers.records import NO_RELAY
from producers.transactions import Attempt, Key, Transaction, from_plain, to_plain
from schemas.envelope import Outcome

HOPS_MAX: Final = 10_000  # sessions to next hops; one that breaks off has no line of its end
EARLY_MAX: Final = 10_000


class Envelopes:
    """What lines say of envelopes. The same calls in the same order change the messages in the same way."""

    def __init__(self, messages: Messages) -> None:
        """No session to a next hop is open yet."""
        self._messages = messages
        self._hops: dict[Key, tuple[int | None, str | None]] = {}  # port and TLS
        self._early: dict[Key, bool] = {}  # envelopes that were decided before the line of their message was read

    def state(self) -> Any:
        """What is known beside the messages, as plain JSON values for a snapshot."""
        return [to_plain(self._hops), to_plain(self._early)]

    def restore(self, state: Any) -> None:
        """Take over a `state`; None = there was none."""
        self._hops, self._early = map(from_plain, state) if state is not None else ({}, {})

    def taken_in(self, line: Line, event: TakenIn, client: Client | None) -> None:
        """A message was taken in, with one or all of its recipients; `client` is its session's, where that is known."""
        transaction = self._transaction(line, event.queue_id, event.session)
        if transaction.client is None and client is not None:
            transaction.client = client
            transaction.handed_back = self._messages.maker.is_filter_client(client)
        transaction.accept = transaction.accept or line.moment
        if event.size_bytes is not None:
            transaction.size_bytes = event.size_bytes
        if event.recipient_count is not None:
            transaction.recipient_count = event.recipient_count
        if event.sender is not None and event.recipient is None:
            transaction.sender = event.sender
        elif event.sender is not None and event.recipient is not None:
            transaction.sender = event.sender
            if not event.envelope_id:
                transaction.recipient_count = 1 + (transaction.recipient_count or 0)
            self._announce(transaction, line, event.envelope_id, event.recipient)
        self._messages.completed(transaction)

    def take(self, line: Line, event: Attempted | EnvelopeEnded | Hop) -> None:
        """An attempt, an end, or what is known of a session to a next hop."""
        if isinstance(event, Hop):
            self._hop((line.host, line.instance, event.session), event)
        elif isinstance(event, Attempted):
            self._attempted(line, event)
        else:
            self._ended(line, event)

    def _hop(self, session: Key, event: Hop) -> None:
        if event.over:
            self._hops.pop(session, None)
            return
        port, tls = self._hops.pop(session, (None, None))
        if event.port is not None:
            port, tls = event.port, None  # connected anew
        self._hops[session] = (port, event.tls or tls)
        bound(self._hops, HOPS_MAX)

    def _attempted(self, line: Line, event: Attempted) -> None:
        told = event.delivery
        transaction = self._transaction(line, told.queue_id, "")
        if transaction.sender is None:
            transaction.sender = event.sender
        if told.relay.ip is not None:
            port, tls = self._hops.get((line.host, line.instance, event.session), (None, None))
            text = told.relay.text if port is None else f"{told.relay.text}:{port}"
            told = told._replace(relay=told.relay._replace(port=port, text=text), tls=tls)
        first = self._undecided(transaction, event.envelope_id, told.original_recipient or told.recipient)
        observed_time = self._messages.observed_time
        if told.outcome == "DEFERRED":
            if first is not None and first.attempts:
                transaction.undecided[event.envelope_id] = first
            self._messages.deferred(transaction, Attempt(line, told, observed_time), event.envelope_id)
            return
        self._decided(transaction, event.envelope_id, told)
        if told.outcome == "SENT" and self._messages.maker.is_filter(told.relay):
            if told.next_queue_id is not None:
                self._messages.link(line, transaction, told.next_queue_id, "MESSAGE")
            return
        attempts = 1 + (first.attempts if first else 0)
        self._messages.decide(transaction, Attempt(line, told, observed_time, attempts))

    def _ended(self, line: Line, event: EnvelopeEnded) -> None:
        transaction = self._transaction(line, event.queue_id, "")
        if transaction.sender is None:
            transaction.sender = event.sender
        first = self._undecided(transaction, event.envelope_id, event.original_recipient or event.recipient)
        told = first.delivery if first else _untried(event.queue_id, event.recipient, event.outcome)
        told = told._replace(
            recipient=event.recipient, original_recipient=event.original_recipient, outcome=event.outcome
        )
        self._decided(transaction, event.envelope_id, told)
        attempts = first.attempts if first else 0
        self._messages.decide(transaction, Attempt(line, told, self._messages.observed_time, attempts))

    def _transaction(self, line: Line, queue_id: str, session: str) -> Transaction:
        """The message of a queue id; another one, where a session takes one in whose id an older one still has."""
        transaction = self._messages.find((line.host, line.instance, queue_id))
        if transaction is not None and session and transaction.session not in ("", session):
            self._messages.give_up(transaction)
            transaction = None
        is_new = transaction is None
        transaction = self._messages.get(line, queue_id)
        transaction.session = transaction.session or session
        if is_new:
            self._messages.without_end(transaction, line.moment.time)
        return transaction

    def _decided(self, transaction: Transaction, envelope_id: str, told: Delivery) -> None:
        transaction.decided += 1
        if transaction.accept is None:  # lines out of order, or the beginning is not there; remembered for the first
            host, instance, queue_id = transaction.key
            given = told.original_recipient or told.recipient
            for name in (envelope_id, queue_id + _announced(given)):
                self._early[host, instance, name] = True
                bound(self._early, EARLY_MAX)

    def _announce(self, transaction: Transaction, line: Line, envelope_id: str, recipient: Address) -> None:
        """A recipient is known before anything was tried."""
        host, instance, queue_id = transaction.key
        if self._early.pop((host, instance, envelope_id or queue_id + _announced(recipient)), False):
            return
        told = _untried(queue_id, recipient, "UNKNOWN")
        name = envelope_id or _announced(recipient)
        transaction.undecided.setdefault(name, Attempt(line, told, self._messages.observed_time, attempts=0))

    def _undecided(self, transaction: Transaction, envelope_id: str, given: Address) -> Attempt | None:
        """What was known of this envelope; or of its recipient as given, where no id was announced with it."""
        return transaction.undecided.pop(envelope_id, None) or transaction.undecided.pop(_announced(given), None)


def _announced(recipient: Address) -> str:
    return f"<{recipient.text}>"  # never an envelope's id


def _untried(queue_id: str, recipient: Address, outcome: Outcome) -> Delivery:
    return Delivery(queue_id, recipient, None, NO_RELAY, outcome, None, None, None, None, None, None)

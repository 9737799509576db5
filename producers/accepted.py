"""Messages whose arrival is one line (`events.Accepted`), perhaps with all recipients: what each line does to them.

A recipient that is named at the arrival is kept among the undecided ones, without an attempt (outcome UNKNOWN, or HELD
while the message is frozen), until a line decides it: so a message that is removed untried has records with names, too.
"""

from collections.abc import Callable
from typing import Any, Final

from producers import events
from producers.events import Address, Client, Delivery
from producers.lines import Line
from producers.messages import Messages, parent_of
from producers.records import NO_CLIENT, NO_RELAY
from producers.transactions import Attempt, Parent, Transaction
from schemas.envelope import Kind, Outcome

_NOT_TRIED: Final = ("UNKNOWN", "HELD")
# Under whose name Exim hands in notices of its own. A reply that a user's filter made is handed in by that user.
_NOTICE_USERS: Final = ("Debian-exim", "exim", "exim4", "mailnull", "mail")


def _accepted(messages: Messages, line: Line, event: events.Accepted) -> None:
    key = (line.host, line.instance, event.queue_id)
    transaction = messages.arrived_again(key) or messages.open(line, key)
    transaction.client, transaction.accept = event.client, line.moment
    transaction.sender, transaction.size_bytes = event.sender, event.size_bytes
    transaction.message_id = event.message_id
    transaction.recipient_count = len(event.recipients) or None
    transaction.handed_back = messages.maker.is_filter_client(event.client)
    transaction.flag(*event.flags)
    if event.parent_queue_id is not None:
        _made_from(messages, line, transaction, event.parent_queue_id)
    for recipient in event.recipients:
        transaction.undecided[recipient.text] = _not_tried(messages, line, transaction, recipient)
    messages.completed(transaction)


def _made_from(messages: Messages, line: Line, transaction: Transaction, parent_id: str) -> None:
    """A notice of Exim's own, or a reply that a filter made, from the message `parent_id`."""
    assert transaction.client is not None
    assert transaction.sender is not None
    parent = messages.find((line.host, line.instance, parent_id))
    by_exim = transaction.sender.text == "" and transaction.client.user in _NOTICE_USERS
    kind: Kind = "MESSAGE"
    if by_exim:
        kind = "BOUNCE" if parent is None else _notice(parent)
        transaction.client = Client(None, None, "LOCAL_PROCESS")
    transaction.parent = parent_of(parent, kind) if parent else Parent(None, parent_id, NO_CLIENT, kind)


def _notice(parent: Transaction) -> Kind:
    """What a notice tells: what happened last that one is due for."""
    if parent.failed:
        parent.failed = False
        return "BOUNCE"
    if any(attempt.delivery.outcome == "DEFERRED" for attempt in parent.undecided.values()):
        return "DELAY_NOTICE"
    return "DELIVERY_NOTICE"


def _routed(messages: Messages, line: Line, event: events.Routed) -> None:
    told = event.delivery
    transaction = messages.get(line, told.queue_id)
    if transaction.sender is None:
        transaction.sender = event.sender
    told = _with_domain(transaction, told)
    named = _not_tried_of(transaction, told)
    if named is not None:
        told = told._replace(recipient=_with_flags(told.recipient, *named.recipient.flags))
    first = transaction.undecided.get(told.recipient.text)
    if told.outcome == "DEFERRED":
        if event.attempted or first is None:
            attempt = Attempt(line, told, messages.observed_time, attempts=int(event.attempted))
            messages.deferred(transaction, attempt)
        return
    attempt = Attempt(line, told, messages.observed_time, 1 + (first.attempts if first else 0))
    if told.outcome in ("BOUNCED", "EXPIRED"):
        if transaction.sender is not None and transaction.sender.text == "":
            transaction.undecided[told.recipient.text] = attempt  # nobody can be told: it is frozen, or let go
            return
        transaction.failed = True
    transaction.undecided.pop(told.recipient.text, None)
    transaction.decided += 1
    if told.next_queue_id is not None and messages.maker.is_filter(told.relay):
        messages.link(line, transaction, told.next_queue_id, "MESSAGE")
        return
    messages.decide(transaction, attempt)


def _with_domain(transaction: Transaction, told: Delivery) -> Delivery:
    """Where only a local part was logged, the address that an earlier line of the message had for it."""
    local, original = told.recipient.logged, told.original_recipient
    if local is None or original is None:
        return told
    for attempt in transaction.undecided.values():
        before = attempt.delivery
        known = before.original_recipient is not None and before.original_recipient.text == original.text
        if known and before.recipient.text.rpartition("@")[0] == local:
            return told._replace(recipient=before.recipient)
    return told


def _not_tried_of(transaction: Transaction, told: Delivery) -> Delivery | None:
    """Take out the recipient that was named and that this line is the first to tell of."""
    wanted = (told.original_recipient or told.recipient).text
    attempt = transaction.undecided.get(wanted)
    if attempt is None and told.original_recipient is None:  # Exim logs a domain in lower case later
        folded = wanted.lower()
        wanted = next((name for name in transaction.undecided if name.lower() == folded), wanted)
        attempt = transaction.undecided.get(wanted)
    if attempt is None or attempt.delivery.outcome not in _NOT_TRIED or attempt.attempts:
        return None
    del transaction.undecided[wanted]
    return attempt.delivery


def _added(messages: Messages, line: Line, event: events.RecipientAdded) -> None:
    transaction = messages.get(line, event.queue_id)
    recipient = _with_flags(event.recipient, "ADDED_BY_SERVER")
    if recipient.text not in transaction.undecided:
        transaction.undecided[recipient.text] = _not_tried(messages, line, transaction, recipient)
    if transaction.recipient_count is not None:
        transaction.recipient_count += 1


def _done(messages: Messages, line: Line, event: events.RecipientDone) -> None:
    transaction = messages.get(line, event.queue_id)
    first = transaction.undecided.pop(event.recipient.text, None) or _not_tried(
        messages, line, transaction, event.recipient
    )
    recipient = _with_flags(first.delivery.recipient, "ADMINISTRATIVE")
    told = first.delivery._replace(recipient=recipient, outcome="DELETED")
    transaction.decided += 1
    messages.decide(transaction, Attempt(line, told, messages.observed_time, first.attempts))


def _sender_changed(messages: Messages, line: Line, event: events.SenderChanged) -> None:
    transaction = messages.get(line, event.queue_id)
    before = transaction.sender.text if transaction.sender else None
    transaction.sender = event.sender._replace(logged=before)


def _frozen(messages: Messages, line: Line, event: events.Frozen) -> None:
    transaction = messages.get(line, event.queue_id)
    transaction.held = True
    for attempt in transaction.undecided.values():
        if attempt.delivery.outcome != "DEFERRED":
            attempt.delivery = attempt.delivery._replace(outcome="HELD")


def _thawed(messages: Messages, line: Line, event: events.Thawed) -> None:
    transaction = messages.get(line, event.queue_id)
    transaction.held = False
    for attempt in transaction.undecided.values():
        if attempt.delivery.outcome == "HELD":
            attempt.delivery = attempt.delivery._replace(outcome="UNKNOWN")


def _given_up(messages: Messages, line: Line, event: events.GivenUp) -> None:
    transaction = messages.get(line, event.queue_id)
    outcome: Outcome = "EXPIRED"
    if event.by_hand:
        transaction.flag("ADMINISTRATIVE")
        outcome = "DELETED" if transaction.sender is not None and transaction.sender.text == "" else "BOUNCED"
    transaction.failed = True
    _end_all(messages, line, transaction, outcome)


def _discarded(messages: Messages, line: Line, event: events.Blackholed) -> None:
    transaction = messages.get(line, event.queue_id)
    if event.told:
        transaction.undecided.clear()
        return
    _end_all(messages, line, transaction, "DISCARDED")


def _end_all(messages: Messages, line: Line, transaction: Transaction, outcome: Outcome) -> None:
    """Everyone who is undecided ends so; one record without a name where the log names nobody."""
    if not transaction.undecided and not transaction.decided:
        transaction.decided += 1
        messages.emit_unnamed(transaction, line, outcome, "RECIPIENTS_INCOMPLETE", is_final=True)
    for attempt in list(transaction.undecided.values()):
        messages.end_undecided(transaction, attempt, line, outcome)


def _completed(messages: Messages, line: Line, event: events.Completed) -> None:
    transaction = messages.find((line.host, line.instance, event.queue_id))
    if transaction is None:
        return
    for name, attempt in list(transaction.undecided.items()):
        outcome = attempt.delivery.outcome
        if outcome == "DEFERRED":  # decided in lines that are not here
            messages.end_undecided(transaction, attempt, line, "UNKNOWN", "PARTIAL_END")
            continue
        del transaction.undecided[name]
        if outcome not in _NOT_TRIED:  # failed, and nobody was to be told
            transaction.decided += 1
            messages.decide(transaction, attempt)
        # Else it was named twice, or another recipient's delivery was also its own: Exim logs such a one no more.
    transaction.ended = True
    if not transaction.waiting:
        messages.drop(transaction)


def _not_tried(messages: Messages, line: Line, transaction: Transaction, recipient: Address) -> Attempt:
    outcome: Outcome = "HELD" if transaction.held else "UNKNOWN"
    told = Delivery(transaction.key[2], recipient, None, NO_RELAY, outcome, None, None, None, None, None, None)
    return Attempt(line, told, messages.observed_time, attempts=0)


def _with_flags(address: Address, *flags: str) -> Address:
    return address._replace(flags=(*address.flags, *(flag for flag in flags if flag not in address.flags)))


Handler = Callable[[Messages, Line, Any], None]
HANDLERS: Final[dict[type, Handler]] = {
    events.Accepted: _accepted,
    events.Routed: _routed,
    events.RecipientAdded: _added,
    events.RecipientDone: _done,
    events.SenderChanged: _sender_changed,
    events.Frozen: _frozen,
    events.Thawed: _thawed,
    events.GivenUp: _given_up,
    events.Blackholed: _discarded,
    events.Completed: _completed,
}

"""Messages that a content filter handed back without telling their queue id: found by Message-ID and recipient.

A Message-ID alone joins nothing: a list gives the same one to thousands of messages. What joins is the same host and
queue, the same Message-ID, the same recipient, a child that the filter itself handed in, and a parent that went into a
filter for that recipient and has not come out again for it, no longer than WINDOW ago. Where several parents are left,
the oldest is taken and the child is flagged.
"""

from typing import Any, Final

from infra.platform.clock import MINUTE
from producers.lines import Line
from producers.transactions import Attempt, Parent, Transaction, from_plain, to_plain

WINDOW: Final = 10 * MINUTE  # of log time; a filter with a queue of its own may take as long
EXPECTED_MAX: Final = 10_000
_Place = tuple[str, str, str, str]  # host, queue, Message-ID, recipient
_Inside = tuple[int, Parent]  # since when, and from which message, a recipient is in a filter


class Filtered:
    """What is inside filters. The same calls in the same order give the same links."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._inside: dict[_Place, list[_Inside]] = {}
        self._early: dict[_Place, list[int]] = {}  # numbers of children that came out before their parent's line
        self._ahead: dict[tuple[bytes, str], int] = {}  # (parent, recipient): out, and the parent's line to come

    def went_in(
        self, line: Line, parent: Parent, transaction: Transaction, recipient: str, known: dict[int, Transaction]
    ) -> Transaction | None:
        """A recipient of `transaction` is in a filter now; the child of `known` that came out already, if one did."""
        if transaction.message_id is None or parent.message_key is None:
            return None
        ahead = (parent.message_key, recipient)
        if ahead in self._ahead:
            self._ahead[ahead] -= 1
            if not self._ahead[ahead]:
                del self._ahead[ahead]
            return None
        place = (*transaction.key[:2], transaction.message_id, recipient)
        for number in self._early.pop(place, ()):
            child = known.get(number)
            if child is not None and child.parent is None:
                self._found(child, parent, recipient)
                return child
        self._inside.setdefault(place, []).append((line.moment.time, parent))
        _bound(self._inside)
        return None

    def came_out(self, child: Transaction, attempt: Attempt) -> None:
        """A recipient of a message that a filter handed back is tried: its parent, when one is known to be inside."""
        place = _place(child, attempt)
        if place is None:
            return
        if child.parent is not None:
            if child.by_message_id:
                self._used(child.parent, place)
            return
        inside = self._inside.pop(place, [])
        earliest = attempt.line.moment.time - WINDOW
        inside = [(since, parent) for since, parent in inside if since >= earliest]
        if not inside:
            numbers = self._early.setdefault(place, [])
            if child.number not in numbers:
                numbers.append(child.number)
            _bound(self._early)
            return
        if len({parent.message_key for _, parent in inside}) > 1:
            child.flag("AMBIGUOUS_PARSE")
        child.parent, child.by_message_id = inside.pop(0)[1], True
        if inside:
            self._inside[place] = inside

    def _found(self, child: Transaction, parent: Parent, recipient: str) -> None:
        """The parent of an early child is known by one recipient: its other recipients are out, too."""
        child.parent, child.by_message_id = parent, True
        for attempt in child.waiting:
            place = _place(child, attempt)
            if place is not None and place[3] != recipient:
                early = self._early.get(place, [])
                if child.number in early:
                    early.remove(child.number)
                if not early:
                    self._early.pop(place, None)
                self._used(parent, place)

    def _used(self, parent: Parent, place: _Place) -> None:
        """One more recipient of a child whose parent is known: it is no longer inside."""
        inside = self._inside.get(place, [])
        for index, (_, other) in enumerate(inside):
            if other.message_key == parent.message_key:
                del inside[index]
                if not inside:
                    del self._inside[place]
                return
        assert parent.message_key is not None
        ahead = (parent.message_key, place[3])
        self._ahead[ahead] = self._ahead.get(ahead, 0) + 1
        _bound(self._ahead)

    def state(self) -> list[Any]:
        """Everything as plain JSON values."""
        return [to_plain(part) for part in (self._inside, self._early, self._ahead)]

    def restore(self, state: list[Any]) -> None:
        """Take over a `state`."""
        self._inside, self._early, self._ahead = (from_plain(part) for part in state)


def _place(child: Transaction, attempt: Attempt) -> _Place | None:
    """Where a child's recipient would have gone in: under the address before an alias of this side of the filter."""
    if child.message_id is None:
        return None
    told = attempt.delivery
    return (*child.key[:2], child.message_id, (told.original_recipient or told.recipient).text)


def _bound(mapping: dict[Any, Any]) -> None:
    if len(mapping) > EXPECTED_MAX:
        del mapping[next(iter(mapping))]

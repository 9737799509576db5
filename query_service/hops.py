"""The way of one recipient's mail over our own servers: records that a question finds, and behind them their hops.

The later record is the next hop of the earlier one when all of this holds:

 1. The next server's reply named the queue id under which it took the mail: next_queue_id = queue_id.
 2. It is the same recipient's mail: the later one's recipient, or its original recipient, is the earlier one's.
 3. It was taken over when it was handed over, as far as two clocks agree.
 4. It was handed over to the provider's own address: the later server's, one of server.own_servers, or within one host.
    Where a server connected to is told by that server's own log. A reply's queue id is the next server's word, and a
    stranger's server may say any, also one that it has seen in somebody else's mail.
 5. The Message-ID is the same, where both logs have one.

Queue ids are used again too, so each rule is needed. From a record that a question finds, hops are followed both ways:
on to where the mail went, and back to where it came in, which is where its sender's IP address is. A hop on is followed
on only and a hop back is followed back only, or a mailing list's record would lead to its other members.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from itertools import islice
from typing import Any, Final, NamedTuple

from infra.platform.clock import HOUR, MINUTE
from query_service.selectors import lower
from query_service.store import Neighbours, Networks, Question, Store

HOPS_MAX: Final = 4  # servers of ours, in one direction
FOLLOWED_AT_ONCE: Final = 10_000
KEYS_A_QUERY_MAX: Final = 500
TAKING_MAX: Final = HOUR  # from the first line of a message to the reply behind its data
SKEW_MAX: Final = 10 * MINUTE


Address = IPv4Address | IPv6Address


class Hop(NamedTuple):
    """What of a record tells whether it is another one's hop. Times in microseconds."""

    record_id: bytes
    event_time: int
    accept_time: int | None
    host: str
    queue_id: str
    next_queue_id: str | None
    message_key: bytes
    message_id: str | None
    recipient: str | None
    original_recipient: str | None
    recipient_ip: Address | None
    server_ip: Address | None
    is_final: bool


class Found(NamedTuple):
    """A row with the fields that were asked for. `hop`: 0 = the question found it; n = so many hops on, -n = back."""

    hop: int
    row: Sequence[Any]


def found(store: Store, question: Question, query_id: str, go_on: Callable[[], float]) -> Generator[Found]:
    """What the question finds, by time; behind each 10,000 of it their hops. Each record once. Errors as Store.rows.

    To be closed if it is not read to its end. Queries for hops have the id `<query_id>-hop<n>`. `go_on` is asked before
    each query: the seconds that are left, or it raises.
    """
    width = len(question.fields)
    fields = (*question.fields, *(name for name in Hop._fields if name not in question.fields))
    places = [fields.index(name) for name in Hop._fields]
    seen: set[bytes] = set()
    follower = _Follower(store, replace(question, fields=fields), query_id, go_on, places)
    with closing(store.rows(follower.question, query_id, go_on())) as rows:
        while batch := list(islice(rows, FOLLOWED_AT_ONCE)):
            begun: list[tuple[int, Hop]] = []
            for row in batch:
                one = _hop(row, places)
                if one.record_id not in seen:
                    seen.add(one.record_id)
                    begun.append((0, one))
                    yield Found(0, row[:width])
            for number, row in follower.hops(begun, seen):
                yield Found(number, row[:width])


def is_next(earlier: Hop, later: Hop, own: Networks) -> bool:
    """Whether `later` is the next hop of `earlier`: rules 1 to 5. `own`: networks of the provider's servers."""
    if not earlier.next_queue_id or earlier.next_queue_id != later.queue_id:  # 1
        return False
    recipient = lower(earlier.recipient or "")
    if not recipient or recipient not in _recipients(later):  # 2
        return False
    taken = later.event_time if later.accept_time is None else later.accept_time
    if not earlier.event_time - TAKING_MAX <= taken <= earlier.event_time + SKEW_MAX:  # 3
        return False
    if not _own_address(earlier, later, own):  # 4
        return False
    return not earlier.message_id or not later.message_id or earlier.message_id == later.message_id  # 5


class _Follower:
    """Hops of some records, read from the store."""

    def __init__(
        self,
        store: Store,
        question: Question,
        query_id: str,
        go_on: Callable[[], float],
        places: list[int],
    ) -> None:
        self.question = question
        self._store = store
        self._query_id = query_id
        self._go_on = go_on
        self._places = places
        self._queries = 0

    def hops(self, begun: list[tuple[int, Hop]], seen: set[bytes]) -> Iterator[tuple[int, Sequence[Any]]]:
        """(hop, row) of all hops of `begun` that were not `seen`, nearest first."""
        for _ in range(HOPS_MAX):  # a record that the question found is 0 away, so this is the depth too
            reached: list[tuple[int, Hop]] = []
            for start in range(0, len(begun), KEYS_A_QUERY_MAX):
                for number, row in self._neighbours(begun[start : start + KEYS_A_QUERY_MAX]):
                    one = _hop(row, self._places)
                    if one.record_id not in seen:
                        seen.add(one.record_id)
                        reached.append((number, one))
                        yield number, row
            if not reached:
                return
            begun = reached

    def _neighbours(self, part: Sequence[tuple[int, Hop]]) -> Iterator[tuple[int, Sequence[Any]]]:
        on: dict[str, list[tuple[int, Hop]]] = {}
        back: dict[str, list[tuple[int, Hop]]] = {}
        for number, one in part:
            if number >= 0 and one.next_queue_id and one.recipient_ip is not None:
                on.setdefault(one.next_queue_id, []).append((number, one))
            if number <= 0 and one.queue_id:
                back.setdefault(one.queue_id, []).append((number, one))
        if not on and not back:
            return
        self._queries += 1
        neighbours = Neighbours(
            on=sorted(on),
            back=sorted(back),
            recipients=sorted({name for _, one in part for name in _recipients(one)}),
            servers=sorted({one.server_ip for _, one in part if one.server_ip is not None}, key=str),
        )
        rows = self._store.hop_rows(self.question, neighbours, f"{self._query_id}-hop{self._queries}", self._go_on())
        own = self._store.own_servers
        with closing(rows):
            for row, one in self._shown([(row, _hop(row, self._places)) for row in rows]):
                numbers = [number + 1 for number, earlier in on.get(one.queue_id, ()) if is_next(earlier, one, own)]
                numbers += [
                    number - 1 for number, later in back.get(one.next_queue_id or "", ()) if is_next(one, later, own)
                ]
                if numbers:
                    yield numbers[0], row

    def _shown(self, rows: list[tuple[Sequence[Any], Hop]]) -> list[tuple[Sequence[Any], Hop]]:
        """Without records of an undecided state whose final one is there, unless they are asked for."""
        if self.question.include_non_final:
            return rows
        final = {(one.message_key, one.recipient) for _, one in rows if one.is_final}
        return [(row, one) for row, one in rows if one.is_final or (one.message_key, one.recipient) not in final]


def _hop(row: Sequence[Any], places: list[int]) -> Hop:
    return Hop(*[row[place] for place in places])


def _recipients(one: Hop) -> set[str]:
    return {lower(name) for name in (one.recipient, one.original_recipient) if name}


def _own_address(earlier: Hop, later: Hop, own: Networks) -> bool:
    """4."""
    to = _plain(earlier.recipient_ip)
    if to is None:
        return False
    if to.is_loopback:
        return earlier.host == later.host
    return to == _plain(later.server_ip) or any(to in network for network in own)


def _plain(address: Address | None) -> Address | None:
    """An IPv4 address as that, in whichever form it came."""
    return getattr(address, "ipv4_mapped", None) or address

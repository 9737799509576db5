"""Mailbox servers: accesses, and deliveries that an MTA handed over by LMTP.

A delivery by LMTP is told twice: by the MTA, with sender, client and recipient, and by the mailbox server, which alone
knows what Sieve did. Both name the session, so they are one: **the MTA's delivery line owns the record**, and takes
over that the mail was not kept. A mailbox server's line makes a record of its own when no MTA of the same host claims
its session within CLAIM_WINDOW of the log time of all streams: then the MTA is elsewhere, and this is another server.

Either line may come first (a real syslog mixes them). Where the mailbox server is heard at all, the MTA's record waits
for its word as it waits for other parts of a message; and as Sieve may do several things with one mail, of which
keeping it beats the others, it also waits behind the word that the mail was not kept. All is bounded.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from infra.platform.clock import MINUTE
from producers.events import Client, Delivery, LmtpClient, Relay, Stored
from producers.identity import message_key
from producers.lines import Line
from producers.records import NO_CLIENT, RecordMaker
from producers.transactions import Transaction, from_plain, to_plain
from schemas.envelope import Envelope, Outcome

CLAIM_WINDOW: Final = MINUTE
CLAIMS_MAX: Final = 4096
CLIENTS_MAX: Final = 4096
HOSTS_MAX: Final = 64
UNCLAIMED_MAX: Final = 100_000
KEPT: Final = 3  # rank of an action that stored the mail
_HERE: Final = Relay("", None, None, None, "LOCAL_DELIVERY")


class Unclaimed(NamedTuple):
    """A delivery that no MTA has named yet: the line that decides it so far, when it was read, until when it waits."""

    line: Line
    told: Stored
    client: Client
    observed_time: int
    due: int


class Claim(NamedTuple):
    """An MTA's delivery that names a session: host, number of the message, rank of what was told of it so far."""

    host: str
    number: int
    rank: int


class Mailboxes:
    """The joining state of mailbox servers. The same calls in the same order make the same records."""

    def __init__(self, maker: RecordMaker, lost: Callable[[str, str], None]) -> None:
        """None yet. `lost(source name, marker)` is told when a bound makes a delivery come out early."""
        self._maker = maker
        self._lost = lost
        self._unclaimed: dict[str, Unclaimed] = {}  # by session, oldest first
        self._claims: dict[str, Claim] = {}  # by session, oldest first
        self._clients: dict[tuple[str, str, str], Client] = {}  # by host, instance, process
        self._hosts: dict[str, None] = {}  # whose mailbox servers are heard

    def connected(self, line: Line, event: LmtpClient) -> None:
        """Who hands mail to a process from now on."""
        self._clients[line.host, line.instance, event.process] = event.client
        _bound(self._clients, CLIENTS_MAX)

    def claimed(self, line: Line, event: Stored) -> int | None:
        """The number of the message whose delivery this line tells more of, and 0 when it adds nothing.

        None: no MTA has named the session yet.
        """
        self._hosts[line.host] = None
        _bound(self._hosts, HOSTS_MAX)
        claim = self._claims.get(event.session_id)
        if claim is None or not _same(claim.host, line.host):
            return None
        if event.rank <= claim.rank:
            return 0
        self._claims[event.session_id] = claim._replace(rank=event.rank)
        return claim.number

    def stored(self, line: Line, event: Stored, observed_time: int, log_time: int) -> list[Envelope]:
        """A mailbox server has done something with a mail that nobody claims yet; what a bound makes come out early."""
        before = self._unclaimed.get(event.session_id)
        if before is not None:
            if event.rank > before.told.rank:
                self._unclaimed[event.session_id] = before._replace(line=line, told=event, observed_time=observed_time)
            return []
        client = self._clients.get((line.host, line.instance, event.process), NO_CLIENT)
        self._unclaimed[event.session_id] = Unclaimed(line, event, client, observed_time, log_time + CLAIM_WINDOW)
        if len(self._unclaimed) <= UNCLAIMED_MAX:
            return []
        self._lost(line.source_name, "deliveries-beyond-bound")
        return [self._record(self._unclaimed.pop(next(iter(self._unclaimed))))]

    def claim(self, line: Line, delivery: Delivery, number: int) -> tuple[Delivery, bool]:
        """An MTA's delivery, with what the mailbox server of this host told of it; whether more may be told soon."""
        session = delivery.session_id
        if session is None or delivery.outcome not in ("SENT", "DELIVERED"):
            return delivery, False
        known = self._unclaimed.get(session)
        if known is None or not _same(known.line.host, line.host):
            self._claims[session] = Claim(line.host, number, -1)
            _bound(self._claims, CLAIMS_MAX)
            return delivery, any(_same(host, line.host) for host in self._hosts)
        del self._unclaimed[session]
        self._claims[session] = Claim(line.host, number, known.told.rank)
        _bound(self._claims, CLAIMS_MAX)
        return taken_over(delivery, known.told), known.told.rank < KEPT

    def run_timers(self, log_time: int) -> list[Envelope]:
        """The log time of all streams has come to `log_time`: records of deliveries that nobody claimed."""
        made = []
        while self._unclaimed:
            session, first = next(iter(self._unclaimed.items()))
            if first.due > log_time:
                break
            del self._unclaimed[session]
            made.append(self._record(first))
        return made

    def finish(self) -> list[Envelope]:
        """The input has ended for good: nobody will claim what is left."""
        made = [self._record(left) for left in self._unclaimed.values()]
        self._unclaimed.clear()
        return made

    def waiting(self) -> list[Line]:
        """Deciding lines whose records are not made yet."""
        return [left.line for left in self._unclaimed.values()]

    def state(self) -> dict[str, Any]:
        """Everything as plain JSON values, for a snapshot."""
        return {
            "unclaimed": [[to_plain(part) for part in left] for left in self._unclaimed.values()],
            "claims": {session: list(claim) for session, claim in self._claims.items()},
            "clients": to_plain(self._clients),
            "hosts": list(self._hosts),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a `state`."""
        waiting = [Unclaimed(*(from_plain(part) for part in left)) for left in state["unclaimed"]]
        self._unclaimed = {left.told.session_id: left for left in waiting}
        self._claims = {session: Claim(*claim) for session, claim in state["claims"].items()}
        self._clients = from_plain(state["clients"])
        self._hosts = dict.fromkeys(state["hosts"])

    def _record(self, left: Unclaimed) -> Envelope:
        """A delivery of this server alone: who sent the mail is not in its log."""
        line, told = left.line, left.told
        transaction = Transaction(
            number=0,
            key=(line.host, line.instance, ""),
            source_name=line.source_name,
            message_key=message_key(line.host, line.instance, "", line.raw, line.n),
            last_line=line,
            last_observed_time=left.observed_time,
            client=left.client,
            message_id=told.message_id,
        )
        record = self._maker.delivery(
            transaction, line, left.observed_time, told.user, None, _HERE, told.outcome, attempts=1, flags=told.flags
        )
        record["session_id"] = told.session_id
        return record


def taken_over(delivery: Delivery, told: Stored) -> Delivery:
    """The MTA's delivery with what became of the mail behind it; its own word where the mail was kept."""
    own: Outcome = "DELIVERED" if delivery.relay.ip_origin == "LOCAL_DELIVERY" else "SENT"
    flags = [flag for flag in delivery.recipient.flags if flag != "EXPANDED"]
    flags += [flag for flag in told.flags if flag == "EXPANDED"]
    return delivery._replace(
        outcome=own if told.outcome == "DELIVERED" else told.outcome,
        recipient=delivery.recipient._replace(flags=tuple(flags)),
    )


def _same(one: str, other: str) -> bool:
    """Whether two lines may be of one host: Dovecot's own file names none."""
    return one == other or not one or not other


def _bound(mapping: dict[Any, Any], most: int) -> None:
    """Forget the oldest entry beyond a bound."""
    if len(mapping) > most:
        del mapping[next(iter(mapping))]

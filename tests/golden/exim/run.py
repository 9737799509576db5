"""One run of the scenarios against a real Exim: who told what, and the records that must come of it.

The truth is what the SMTP client was told, what the sink and the mailboxes got, and what was done by hand; the log is
not looked at.
"""

import time
from collections import Counter
from email import message_from_bytes
from typing import Any, Final, NamedTuple

from infra.local.exim import LocalExim
from infra.local.process import LocalEngineError
from schemas.envelope import Envelope, ip_text
from tests.golden.exim.parties import Client, LyingSink, Mailer, message

QUIET_SECONDS_MAX: Final = 60.0
_SELF: Final = bytes(10) + b"\xff\xff\x7f\0\0\1"
OUTSIDE: Final = Client("192.0.2.11", 40_001)


class Truth(NamedTuple):
    """What must be recorded of one recipient; None where there is nothing to know, or the log cannot say it.

    `next_queue_id` is what the sink told. `unnamed` in a scenario's own words: the recipient is known, but this
    server's log_selector does not log it.
    """

    event: str
    outcome: str
    kind: str
    sender: str | None
    recipient: str | None
    original: str | None
    client: str | None
    port: int | None
    helo: str | None
    user: str | None
    message_id: str | None
    next_queue_id: str | None


class Run:
    """A running Exim and its sink; `truth` grows."""

    def __init__(self, mta: LocalExim, sink: LyingSink) -> None:
        """Nothing is sent yet."""
        self.mta = mta
        self.sink = sink
        self.truth: list[Truth] = []
        self.scenarios: list[str] = []
        self._numbers = 0
        self._boxes: Counter[str] = Counter()
        self._hops: set[int] = set()  # sent to Exim's own second port, not to the sink

    @property
    def names_recipients(self) -> bool:
        """Whether the log lists a message's recipients at its arrival (+received_recipients)."""
        return self.mta.logging != "default"

    def new_id(self) -> str:
        """A message-id that was not used yet."""
        self._numbers += 1
        return f"<{self._numbers}@client.example.net>"

    def expect(
        self,
        outcome: str,
        sender: str | None,
        recipient: str | None,
        client: Client | None = OUTSIDE,
        *,
        event: str = "DELIVERY",
        kind: str = "MESSAGE",
        original: str | None = None,
        user: str | None = None,
        message_id: str | None = None,
        helo: bool = True,
    ) -> None:
        """One record. What was sent on or stored is looked up at the sink and in the mailboxes at the end."""
        port = client.port or None if client and self.names_recipients else None  # +incoming_port
        who = (client.ip, port, client.helo if helo else None) if client else (None, None, None)
        logged_id = message_id[1:-1] if message_id else None
        self.truth.append(Truth(event, outcome, kind, sender, recipient, original, *who, user, logged_id, None))

    def hop(self) -> None:
        """What was expected last went to the second port."""
        self._hops.add(len(self.truth) - 1)

    def stored(self, user: str, messages: int = 1) -> None:
        """So many messages must be in a mailbox, in the end."""
        self._boxes[user] += messages

    def hand_in(
        self,
        sender: str,
        recipients: list[str],
        data: bytes | None = None,
        client: Client = OUTSIDE,
        **more: Any,
    ) -> tuple[int, list[int], int, str]:
        """One message in a connection of its own; what was told."""
        with Mailer(self.mta.smtp_port, client) as smtp:
            return smtp.offer(sender, recipients, message() if data is None else data, **more)

    def taken(self, sender: str, recipients: list[str], message_id: str | None = None, **more: Any) -> str:
        """A message that is accepted for everyone; Exim's id of it, as the client was told."""
        told = self.hand_in(sender, recipients, message(message_id), **more)
        assert told[:3] == (250, [250] * len(recipients), 250), told
        return told[3].rpartition("id=")[2]

    def wait_until_gone(self, *queue_ids: str, but: int = 0) -> None:
        """Until these messages (or all but so many) have left the queue; the queue is run meanwhile."""
        deadline = time.monotonic() + QUIET_SECONDS_MAX
        while True:
            waiting = self.mta.queue()
            if not set(waiting) & set(queue_ids) if queue_ids else len(waiting) <= but:
                return
            if time.monotonic() > deadline:
                raise LocalEngineError(f"Exim did not empty its queue: {waiting}.", f"Look at {self.mta.log_file}.")
            time.sleep(0.7)
            self.mta.call("-q")

    def by_hand(self, *arguments: str) -> None:
        """What a person does to a message; again while a delivery process holds it."""
        for _ in range(50):
            if b"locked" not in self.mta.call(*arguments, check=False):
                return
            time.sleep(0.1)
        raise LocalEngineError(f"Exim did not do {arguments}.", f"Look at {self.mta.log_file}.")

    def settle(self) -> None:
        """Hold what was expected against sink and mailboxes; take the sink's queue ids into the truth."""
        took: dict[tuple[str, str], list[str]] = {}
        for sender, recipient, queue_id in self.sink.took:
            took.setdefault((sender.strip("<>"), recipient.lower()), []).append(queue_id)
        for number, entry in enumerate(self.truth):
            if entry.outcome == "SENT" and number not in self._hops:
                ids = took.get((entry.sender or "", (entry.recipient or "").lower()))
                if not ids:
                    raise LocalEngineError(f"The sink did not take {entry}.", "The scenario and the sink do not agree.")
                self.truth[number] = entry._replace(next_queue_id=ids.pop(0))
        left = {key: ids for key, ids in took.items() if ids}
        boxes = Counter({user: len(self.mta.mailbox(user)) for user in self._boxes})
        if left or boxes != self._boxes:
            raise LocalEngineError(
                f"Too much: sink {left}, mailboxes {boxes} for {self._boxes}.", "Correct one of both."
            )

    def bounce_id(self, user: str) -> str | None:
        """Message-ID of the newest message in a mailbox."""
        found: str | None = message_from_bytes(self.mta.mailbox(user)[-1])["Message-ID"]
        return found


def records(envelopes: list[Envelope]) -> Counter[Truth]:
    """What records say, in the same form; non-final ones left out.

    Left out too: what only Exim knows (ids that it made, the port from which it called itself).
    """
    return Counter(
        Truth(
            record["event"],
            record["outcome"],
            record["kind"],
            record["sender"],
            record["recipient"],
            record["original_recipient"],
            None if record["sender_ip"] is None else ip_text(record["sender_ip"]),
            record["sender_port"] if record["sender_ip"] != _SELF else None,
            record["helo"],
            record["authenticated_user"],
            record["message_id"] if record["sender_ip"] is not None else None,
            None if "-" in (record["next_queue_id"] or "") else record["next_queue_id"],
        )
        for record in envelopes
        if record["is_final"]
    )


def to_json(truth: list[Truth]) -> list[dict[str, Any]]:
    """For the committed trace."""
    return [entry._asdict() for entry in truth]


def from_json(document: list[dict[str, Any]]) -> list[Truth]:
    """The truth of a committed trace."""
    return [Truth(**entry) for entry in document]

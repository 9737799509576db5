"""Mail for a local Postfix, and the truth about it: what the SMTP client was told, what the sink and the mailboxes got.

The truth is not read from the log, so records made from the log can be compared with it.
"""

import smtplib
import time
from collections import Counter
from typing import Any, Final, NamedTuple

from infra.local.postfix import HOST, LocalPostfix
from infra.local.process import LocalEngineError
from infra.local.sink import Sink
from schemas.envelope import Envelope, ip_text

QUIET_SECONDS_MAX: Final = 60.0
MESSAGES_PER_ROUND: Final = 7  # six from outside and one from inside are taken; one more is refused
_BODY: Final = b"Subject: a secret that no record may hold\r\n\r\nA body that no record may hold.\r\n"


class Truth(NamedTuple):
    """What must be recorded of one recipient. `client_ip` is None where no client handed the message in."""

    event: str
    outcome: str
    sender: str
    recipient: str
    client_ip: str | None


class Client(NamedTuple):
    """Who hands mail in: named to Postfix by XCLIENT, as a front end would."""

    ip: str
    port: int
    name: str


def drive(mta: LocalPostfix, sink: Sink, rounds: int = 4) -> list[Truth]:
    """Send mail of every kind, `rounds` times; the truth, when all of it has left the queue.

    LocalEngineError when the queue is not empty after QUIET_SECONDS_MAX.
    """
    truth: list[Truth] = []
    for number in range(1, rounds + 1):
        client = Client(f"192.0.2.{10 + number}", 40_000 + number, f"client{number}.example.net")
        truth += _from_outside(mta, client, number)
        truth += _from_inside(mta, number)
    _wait_until_quiet(mta)
    _check_against_sink(truth, sink)
    return truth


def records(envelopes: list[Envelope]) -> Counter[Truth]:
    """What records say, in the same form; non-final records left out."""
    return Counter(
        Truth(
            envelope["event"],
            envelope["outcome"],
            envelope["sender"] or "",
            envelope["recipient"] or "",
            None if envelope["sender_ip"] is None else ip_text(envelope["sender_ip"]),
        )
        for envelope in envelopes
        if envelope["is_final"]
    )


def _from_outside(mta: LocalPostfix, client: Client, number: int) -> list[Truth]:
    """One SMTP session with six messages and one refused recipient."""
    sender = f"sender{number}@example.net"
    later = f"later@host{number}.example.net"
    messages: list[tuple[str, list[str], list[tuple[str, str]]]] = [
        (sender, ["alice@example.org"], [("DELIVERED", "alice@example.org")]),
        (
            sender,
            ["bob@example.org", f"dave{number}@example.net", later],
            [("DELIVERED", "bob@example.org"), ("SENT", f"dave{number}@example.net"), ("SENT", later)],
        ),
        (sender, ["team@example.org"], [("DELIVERED", "alice@example.org"), ("DELIVERED", "bob@example.org")]),
        (
            sender,
            [f"list@{HOST}.example.org"],
            [
                ("DELIVERED", f"list@{HOST}.example.org"),
                ("DELIVERED", "alice@example.org"),
                ("SENT", "dave@example.net"),
            ],
        ),
        ("", ["carol@example.org"], [("DELIVERED", "carol@example.org")]),
        (f'"odd, {number}>"@example.net', ["alice@example.org"], [("DELIVERED", "alice@example.org")]),
    ]
    truth = []
    with smtplib.SMTP("127.0.0.1", mta.smtp_port, timeout=30) as smtp:
        smtp.ehlo()
        smtp.docmd("XCLIENT", f"ADDR={client.ip} PORT={client.port} NAME={client.name}")
        smtp.ehlo_resp = None
        for envelope_sender, recipients, outcomes in messages:
            refused = smtp.sendmail(envelope_sender, recipients, _BODY)
            assert not refused, refused
            truth += [Truth("DELIVERY", outcome, envelope_sender, to, client.ip) for outcome, to in outcomes]
        truth.append(_refused(smtp, client, sender))
    return truth


def _refused(smtp: smtplib.SMTP, client: Client, sender: str) -> Truth:
    try:
        smtp.sendmail(sender, ["nobody@example.org"], _BODY)
    except smtplib.SMTPRecipientsRefused:
        return Truth("REFUSAL", "REFUSED", sender, "nobody@example.org", client.ip)
    raise LocalEngineError("Postfix took mail for a mailbox that is not there.", "Look at its main.cf.")


def _from_inside(mta: LocalPostfix, number: int) -> list[Truth]:
    """A local process's message to a mailbox that the next hop refuses: a bounce comes back to a mailbox here."""
    sender, recipient = "carol@example.org", f"refused@host{number}.example.net"
    mta.submit(sender, [recipient], _BODY.replace(b"\r\n", b"\n"))
    return [
        Truth("DELIVERY", "BOUNCED", sender, recipient, None),
        Truth("DELIVERY", "DELIVERED", "", sender, None),
    ]


def _wait_until_quiet(mta: LocalPostfix) -> None:
    """Until no queue file is left."""
    spool = mta.root / "var" / "spool" / "postfix"
    deadline = time.monotonic() + QUIET_SECONDS_MAX
    quiet = 0
    while quiet < 3:
        waiting = any(
            path.is_file()
            for name in ("maildrop", "incoming", "active", "deferred")
            for path in (spool / name).rglob("*")
        )
        quiet = 0 if waiting else quiet + 1
        if time.monotonic() > deadline:
            raise LocalEngineError("Postfix did not empty its queue in time.", f"Look at {mta.log_file}.")
        time.sleep(0.2)


def _check_against_sink(truth: list[Truth], sink: Sink) -> None:
    """What we hold for sent is what the sink took."""
    sent = Counter((entry.sender, entry.recipient) for entry in truth if entry.outcome == "SENT")
    taken = Counter((entry.sender.strip("<>"), entry.recipient) for entry in sink.taken)
    if sent != taken:
        raise LocalEngineError(
            f"The sink took {sum(taken.values())} recipients where {sum(sent.values())} were sent.",
            "The scenario and the sink do not agree; this is a fault of the test, not of a record.",
        )


def messages(truth: list[Truth]) -> int:
    """Messages that were handed in: seven a round, of which one sender is told that its recipient is refused."""
    return MESSAGES_PER_ROUND * sum(entry.event == "REFUSAL" for entry in truth)


def to_json(truth: list[Truth]) -> list[dict[str, Any]]:
    """For the committed trace."""
    return [entry._asdict() for entry in truth]


def from_json(document: list[dict[str, Any]]) -> list[Truth]:
    """The truth of a committed trace."""
    return [Truth(**entry) for entry in document]

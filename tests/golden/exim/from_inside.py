"""Scenarios of the queue: failures and their notices, delays, freezing, what a person does; mail handed in here."""

import time

from tests.golden.exim.parties import message
from tests.golden.exim.run import Run

S = "sender@example.net"
HERE = "alice@example.org"


def a_bounce_to_a_mailbox(run: Run) -> None:
    mid = run.new_id()
    run.taken(HERE, ["refused@host1.example.net"], mid)
    run.expect("BOUNCED", HERE, "refused@host1.example.net", message_id=mid)
    _notice(run, "BOUNCE", HERE)


def a_bounce_that_is_sent_on(run: Run) -> None:
    mid = run.new_id()
    run.taken("outside@example.net", ["refused@host2.example.net", "bob@example.org"], mid)
    run.expect("BOUNCED", "outside@example.net", "refused@host2.example.net", message_id=mid)
    run.expect("DELIVERED", "outside@example.net", "bob@example.org", message_id=mid)
    run.stored("bob")
    run.expect("SENT", "", "outside@example.net", None, kind="BOUNCE")


def a_bounce_that_bounces(run: Run) -> None:
    """It is frozen, and then removed by hand."""
    mid = run.new_id()
    queue_id = run.taken("refused@host3.example.net", ["refused@host4.example.net"], mid)
    run.wait_until_gone(queue_id)
    run.expect("BOUNCED", "refused@host3.example.net", "refused@host4.example.net", message_id=mid)
    (bounce,) = run.mta.queue()
    _until(run, bounce)
    run.by_hand("-Mrm", bounce)
    run.expect("DELETED", "", "refused@host3.example.net", None, kind="BOUNCE")


def no_bounce_for_no_sender(run: Run) -> None:
    """A failure of mail without sender is not final: it waits, frozen, and goes out when the next hop takes it."""
    mid = run.new_id()
    queue_id = run.taken("", ["refused@host5.example.net", "carol@example.org"], mid)
    run.expect("DELIVERED", "", "carol@example.org", message_id=mid)
    run.stored("carol")
    _until(run, queue_id)
    run.by_hand("-Mrm", queue_id)
    run.expect("DELETED", "", "refused@host5.example.net", message_id=mid)


def given_up_after_a_while(run: Run) -> None:
    """A delay notice, then the retry time is over."""
    mid = run.new_id()
    queue_id = run.taken(HERE, ["x@hopeless.example.net"], mid)
    run.wait_until_gone(queue_id)
    run.expect("EXPIRED", HERE, "x@hopeless.example.net", message_id=mid)
    _notice(run, "DELAY_NOTICE", HERE)
    _notice(run, "BOUNCE", HERE)


def an_alias_that_defers(run: Run) -> None:
    """It is given up by hand."""
    mid = run.new_id()
    queue_id = run.taken("bob@example.org", ["freezing@example.org"], mid)
    run.by_hand("-Mar", queue_id, "full@example.org")
    run.by_hand("-Mt", queue_id)
    run.mta.call("-M", queue_id)
    run.expect("DELIVERED", "bob@example.org", "freezing@example.org", message_id=mid)
    run.stored("freezing")
    run.by_hand("-Mg", queue_id)
    run.wait_until_gone(queue_id)
    run.expect("BOUNCED", "bob@example.org", "full@example.org", message_id=mid)
    _notice(run, "BOUNCE", "bob@example.org")


def removed_while_nobody_answers(run: Run) -> None:
    mid = run.new_id()
    queue_id = run.taken(S, ["x@down.example.net", "carol@example.org"], mid)
    run.expect("DELIVERED", S, "carol@example.org", message_id=mid)
    run.stored("carol")
    _until(run, queue_id, b"Connection refused")
    run.by_hand("-Mrm", queue_id)
    run.expect("DELETED", S, "x@down.example.net", message_id=mid)


def frozen_and_thawed(run: Run) -> None:
    mid = run.new_id()
    queue_id = run.taken(S, ["freezing@example.org"], mid)
    run.mta.call("-q")
    run.by_hand("-Mt", queue_id)
    run.mta.call("-M", queue_id)
    run.expect("DELIVERED", S, "freezing@example.org", message_id=mid)
    run.stored("freezing")


def frozen_and_removed(run: Run) -> None:
    """Who it was for is in the log only where recipients are logged at arrival."""
    mid = run.new_id()
    queue_id = run.taken(S, ["freezing@example.org", "carol@example.org"], mid)
    run.by_hand("-Mf", queue_id)
    run.by_hand("-Mrm", queue_id)
    for recipient in ("freezing@example.org", "carol@example.org") if run.names_recipients else (None,):
        run.expect("DELETED", S, recipient, message_id=mid)


def recipients_by_hand(run: Run) -> None:
    """One is added, one is marked as delivered though it is not."""
    mid = run.new_id()
    queue_id = run.taken(S, ["freezing@example.org", "carol@example.org"], mid)
    run.by_hand("-Mar", queue_id, "bob@example.org", "dave@example.net")
    run.by_hand("-Mmd", queue_id, "carol@example.org")
    run.by_hand("-Mt", queue_id)
    run.mta.call("-M", queue_id)
    run.wait_until_gone(queue_id)
    run.expect("DELIVERED", S, "freezing@example.org", message_id=mid)
    run.expect("DELETED", S, "carol@example.org", message_id=mid)
    run.expect("DELIVERED", S, "bob@example.org", message_id=mid)
    run.expect("SENT", S, "dave@example.net", message_id=mid)
    run.stored("freezing")
    run.stored("bob")


def all_marked_by_hand(run: Run) -> None:
    mid = run.new_id()
    queue_id = run.taken(S, ["freezing@example.org", "carol@example.org"], mid)
    run.by_hand("-Mmad", queue_id)
    run.by_hand("-Mt", queue_id)
    run.mta.call("-M", queue_id)
    run.wait_until_gone(queue_id)
    run.expect("DELETED", S, "freezing@example.org", message_id=mid)
    run.expect("DELETED", S, "carol@example.org", message_id=mid)


def sender_by_hand(run: Run) -> None:
    mid = run.new_id()
    queue_id = run.taken(S, ["freezing@example.org", "dave@example.net"], mid)
    run.by_hand("-Mes", queue_id, "changed@example.net")
    run.by_hand("-Mt", queue_id)
    run.mta.call("-M", queue_id)
    run.wait_until_gone(queue_id)
    run.expect("DELIVERED", "changed@example.net", "freezing@example.org", message_id=mid)
    run.expect("SENT", "changed@example.net", "dave@example.net", message_id=mid)
    run.stored("freezing")


def given_up_by_hand(run: Run) -> None:
    mid = run.new_id()
    queue_id = run.taken(HERE, ["freezing@example.org", "carol@example.org"], mid)
    run.by_hand("-Mg", queue_id)
    run.wait_until_gone(queue_id)
    for recipient in ("freezing@example.org", "carol@example.org") if run.names_recipients else (None,):
        run.expect("BOUNCED", HERE, recipient, message_id=mid)
    _notice(run, "BOUNCE", HERE)


def not_to_a_mailbox(run: Run) -> None:
    """A command, a file, and nowhere."""
    for recipient, outcome in (("printer", "DELIVERED"), ("folder", "DELIVERED"), ("nowhere", "DISCARDED")):
        mid = run.new_id()
        run.taken(S, [f"{recipient}@example.org"], mid)
        run.expect(outcome, S, f"{recipient}@example.org", message_id=mid)


def an_automatic_reply(run: Run) -> None:
    """A message of its own, made from the one that is answered; to be answered is a delivery, too."""
    mid = run.new_id()
    run.taken("asking@example.net", ["away@example.org"], mid)
    for _ in ("stored", "answered"):
        run.expect("DELIVERED", "asking@example.net", "away@example.org", message_id=mid)
    run.stored("away")
    run.expect("SENT", "", "header@example.com", None, user="vmail")  # whom the header names


def a_delivery_notice(run: Run) -> None:
    mid = run.new_id()
    run.taken(HERE, ["carol@example.org"], mid, notify=" NOTIFY=SUCCESS")
    run.expect("DELIVERED", HERE, "carol@example.org", message_id=mid)
    run.stored("carol")
    _notice(run, "DELIVERY_NOTICE", HERE)


def handed_in_here(run: Run) -> None:
    """By arguments, by header lines, by SMTP on standard input, by batched SMTP; and refused."""
    body = message()
    lines = body.replace(b"\r\n", b"\n")
    run.mta.call("-i", "-f", HERE, "carol@example.org", "dave@example.net", message=lines)
    run.expect("DELIVERED", HERE, "carol@example.org", None, user="root")
    run.expect("SENT", HERE, "dave@example.net", None, user="root")
    run.mta.call("-t", "-i", "-f", HERE, message=lines.replace(b"header-recipient@example.com", b"bob@example.org"))
    run.expect("DELIVERED", HERE, "bob@example.org", None, user="root")
    smtp = b"HELO local\r\nMAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n" + body
    run.mta.call("-bs", message=smtp + b".\r\nQUIT\r\n")
    run.expect("DELIVERED", HERE, "bob@example.org", None, user="root")
    run.mta.call("-bS", message=smtp + b".\r\nQUIT\r\n")
    run.expect("DELIVERED", HERE, "bob@example.org", None, user="root")
    run.mta.call("-i", "-f", HERE, "carol@example.org", message=b"X-Test: refuse\n" + lines, check=False)
    run.expect("REFUSED", HERE, None, None, event="REFUSAL")
    _notice(run, "BOUNCE", HERE)
    run.stored("carol")
    run.stored("bob", 3)


def _notice(run: Run, kind: str, recipient: str) -> None:
    """A message of Exim's own to a mailbox here."""
    run.expect("DELIVERED", "", recipient, None, kind=kind)
    run.stored(recipient.partition("@")[0])


def _until(run: Run, queue_id: str, word: bytes = b"Frozen") -> None:
    """Until Exim has tried it and keeps it."""
    log = run.mta.root / "var" / "spool" / "exim4" / "msglog" / queue_id
    for _ in range(100):
        if log.exists() and word in log.read_bytes():
            return
        time.sleep(0.1)


SCENARIOS = (
    a_bounce_to_a_mailbox, a_bounce_that_is_sent_on, a_bounce_that_bounces, no_bounce_for_no_sender, an_alias_that_defers,
    removed_while_nobody_answers, frozen_and_thawed, frozen_and_removed, recipients_by_hand, all_marked_by_hand, sender_by_hand, given_up_by_hand,
    not_to_a_mailbox, an_automatic_reply, a_delivery_notice, handed_in_here, given_up_after_a_while,
)  # fmt: skip

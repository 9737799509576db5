"""Services under names of their own, several queues on a host, and queue managers that are late."""

import json

import pytest

from infra.platform.settings import Site
from producers.assemble import Assembler
from tests.unit.producers.lines import NOW, SOURCE, ip, log, message, one, outcomes, read, sent

Q = "4jYKJ82btYzLhNx"


@pytest.mark.parametrize(
    "service", ["postfix/submission", "postfix/smtps", "postfix/10025", "submission", "mail-in/a/b"]
)
def test_a_service_of_another_name_joins_the_queue(service: str) -> None:
    """master.cf as Postfix ships it gives submission a syslog_name; only smtpd has it, the rest logs as postfix."""
    lines = message(sent("a@example.com"), client="c[192.0.2.1]:4, sasl_method=PLAIN, sasl_username=u")
    record = one(log(lines[0].replace("smtpd", f"{service}/smtpd"), *lines[1:]))
    assert (record["sender_ip"], record["authenticated_user"], record["flags"]) == (ip("192.0.2.1"), "u", [])
    assert record["instance"] == "postfix"


def test_its_refusals_keep_the_name_that_was_logged() -> None:
    refusal = f"postfix/submission/smtpd: {Q}: reject: RCPT from c[192.0.2.1]: 550 5.1.1 no; from=<s@example.net> to=<no@example.com> proto=ESMTP helo=<h>"
    lines = message(sent("a@example.com"))
    refused, delivered = read(log(lines[0].replace("smtpd", "postfix/submission/smtpd"), refusal, *lines[1:]))
    assert (refused["instance"], delivered["instance"]) == ("postfix/submission", "postfix")
    assert refused["message_key"] == delivered["message_key"]


def test_two_queues_on_a_host_stay_two() -> None:
    """Case 25: the same queue id in both, at the same time."""
    one_queue = message(sent("a@example.com"), queue_id="3F2A1C0D4E")
    other = message(sent("b@example.com"), queue_id="3F2A1C0D4E", sender="t@example.net", client="d[192.0.2.2]")
    early = [*message(sent("x@example.com")), *message(sent("y@example.com"), queue_id="4jYKJ82btYzLhNy")]
    lines = [f"postfix-in/{line}" for line in early[:5]] + [f"postfix-out/{line}" for line in early[5:]]
    for mine, theirs in zip(one_queue, other, strict=True):
        lines += [f"postfix-in/{mine}", f"postfix-out/{theirs}"]
    records = {record["recipient"]: record for record in read(log(*lines))}
    assert len(records) == 4
    a, b = records["a@example.com"], records["b@example.com"]
    assert (a["instance"], a["sender"], a["sender_ip"]) == ("postfix-in", "s@example.net", ip("192.0.2.1"))
    assert (b["instance"], b["sender"], b["sender_ip"]) == ("postfix-out", "t@example.net", ip("192.0.2.2"))


def test_a_name_that_turns_out_to_be_a_queue_is_one() -> None:
    """What was learned from one message is given up when a queue manager logs under the name."""
    first = message(sent("a@example.com"))
    second = message(sent("b@example.com"), queue_id="3F2A1C0D4E", client="d[192.0.2.2]")
    lines = [f"other/{first[0]}", *first[1:], *(f"other/{line}" for line in second)]
    third = message(sent("c@example.com"), queue_id="3F2A1C0D4E", client="e[192.0.2.3]")
    lines += [f"other/{third[0]}", f"other/{third[1]}", *(f"other/{line}" for line in third[2:])]
    records = {record["recipient"]: record for record in read(log(*lines))}
    assert records["c@example.com"]["sender_ip"] == ip("192.0.2.3")
    assert records["b@example.com"]["sender_ip"] == ip("192.0.2.2")
    assert records["a@example.com"]["sender_ip"] == ip("192.0.2.1")


def test_a_client_behind_the_end_is_the_next_message() -> None:
    """A short queue id used again at once, where the first message's beginning was not read."""
    first = message(sent("a@example.com"), queue_id="3F2A1C0D4E")[2:]
    second = message(sent("b@example.com"), queue_id="3F2A1C0D4E", client="d[192.0.2.2]")
    records = {record["recipient"]: record for record in read(log(*first, *second))}
    assert (records["a@example.com"]["sender_ip"], records["a@example.com"]["flags"]) == (None, ["PARTIAL_START"])
    assert (records["b@example.com"]["sender_ip"], records["b@example.com"]["flags"]) == (ip("192.0.2.2"), [])


def test_a_late_queue_manager_finds_the_client() -> None:
    """The session took one message; the queue manager comes to it after twenty minutes."""
    lines = message(sent("a@example.com"))
    end = "smtpd: disconnect from c[192.0.2.1] ehlo=1 mail=2 rcpt=2 data=1/2 commands=6/7"
    late = log(*lines[2:]).replace(b"T09:00", b"T09:20")
    record = one(log(*lines[:2], "smtpd: x", end) + late)
    assert (record["sender_ip"], record["flags"]) == (ip("192.0.2.1"), [])


def test_a_session_that_took_nothing_is_forgotten_soon() -> None:
    lines = message()[:2]
    end = "smtpd: disconnect from c[192.0.2.1] ehlo=1 mail=1 rcpt=1 data=0/1 commands=3/4"
    assembler = Assembler(Site(), [SOURCE])
    assembler.read("mail", log(*lines, "smtpd: x", end), 0, NOW, NOW)
    assert assembler.open_transactions == 1
    assembler.read(
        "mail",
        log("smtpd: connect from d[192.0.2.2]", "smtpd: NOQUEUE: client=d[192.0.2.2]").replace(b"T09:00", b"T09:05"),
        0,
        NOW,
        NOW,
    )
    assert assembler.open_transactions == 0


def test_what_was_to_be_held_and_never_came_is_not_held() -> None:
    hold = "smtpd: NOQUEUE: hold: RCPT from c[192.0.2.1]: <a@example.com>: triggers HOLD action; from=<s@example.net> to=<a@example.com> proto=ESMTP helo=<h>"
    begun = f"smtpd: {Q}: client=c[192.0.2.1]"
    end = "smtpd: disconnect from c[192.0.2.1] ehlo=1 mail=1 rcpt=1 rset=1 commands=4"
    data = log(hold, "smtpd: x", "smtpd: x", begun, "smtpd: x", "smtpd: x", end)
    assert read(data) == []
    held = one(log(hold, "smtpd: x", "smtpd: x", begun))
    assert (held["outcome"], held["is_final"], held["sender"], held["recipient"]) == (
        "HELD",
        False,
        "s@example.net",
        "a@example.com",
    )


def test_a_notice_that_was_not_needed_leaves_nothing() -> None:
    """bounce(8) begins a notice, finds that nobody wants it, and drops it: a message-id and nothing more."""
    assert read(log(f"cleanup: {Q}: message-id=<n@example.com>")) == []


def test_only_what_a_command_did_not_name_is_a_loss() -> None:
    """`postsuper -d` names each message and then their number; with ALL it tells the number alone."""
    named = log(*message(sent("a@example.com"))[:3], f"postsuper: {Q}: removed").replace(b"[100]: 4jY", b"[77]: 4jY")
    both = (
        named + log("postsuper: Deleted: 1 message").replace(b"[100]", b"[77]") + log("postsuper: Deleted: 3 messages")
    )
    assembler = Assembler(Site(), [SOURCE])
    records = assembler.read("mail", both, 0, NOW, NOW)
    assert assembler.take_tallies()["mail"].loss_markers == {"postsuper-deleted-all": 3}
    assert outcomes(records) == {(None, "DELETED"): 1}


def test_a_message_that_waits_is_known_by_its_new_queue_only() -> None:
    """Decided under a service's name before the queue manager of another one told of it; then it ends."""
    facts = ("client=c[192.0.2.1]", sent("a@example.com"), "from=<s@example.net>, size=1, nrcpt=1 (queue active)")
    tags = ("in/smtpd", "in/smtp", "out/qmgr")
    assembler = Assembler(Site(), [SOURCE])
    lines = [f"{tag}: 4jYKJ82btYzLhNx: {fact}" for tag, fact in zip(tags, facts, strict=True)]
    assert len(assembler.read("mail", log(*lines, "out/qmgr: 4jYKJ82btYzLhNx: removed"), 0, NOW, NOW)) == 1
    assert assembler.open_transactions == 0
    assert not assembler._messages._incomplete
    Assembler.restore(assembler.snapshot(), Site(), [SOURCE])


def test_a_snapshot_of_an_earlier_version_is_taken_over() -> None:
    assembler = Assembler(Site(), [SOURCE])
    assembler.read("mail", log(*message(sent("a@example.com"))[:3]), 0, NOW, NOW)
    state, *messages = map(json.loads, assembler.snapshot().splitlines())
    state["format"], state["messages"]["transactions"] = 1, messages  # one document
    for name in ("noted", "by_hand"):
        del state[name]
    for name in ("instances", "filtered"):
        del state["messages"][name]
    for transaction in state["messages"]["transactions"]:
        del transaction["Transaction"][-4:]
    restored = Assembler.restore(json.dumps(state).encode(), Site(), [SOURCE])
    (record,) = restored.read("mail", log(*message(sent("a@example.com"))[3:]), 0, NOW, NOW)
    assert record["sender_ip"] == ip("192.0.2.1")

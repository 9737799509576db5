"""The scenarios themselves: each sends mail and says what must become of it. Names are those in the truth's files."""

from typing import Final

from infra.local.opensmtpd import HOST, MESSAGE_BYTES_MAX
from infra.local.opensmtpd_scenarios import BODY, INSIDE, LOOPBACK, OUTSIDE, OUTSIDE_6, Run, log_in

_OUT: Final = "sender@example.net"


def one_mailbox(run: Run) -> None:
    run.send(OUTSIDE, _OUT, ["alice@example.org"], [("DELIVERED", "alice@example.org")])


def three_recipients_one_later(run: Run) -> None:
    run.send(
        INSIDE,
        _OUT,
        ["bob@example.org", "dave@example.net", "later@one.example.net"],
        [("DELIVERED", "bob@example.org"), ("SENT", "dave@example.net"), ("SENT", "later@one.example.net")],
    )


def alias_to_two_mailboxes(run: Run) -> None:
    run.send(OUTSIDE, _OUT, ["team@example.org"], [("DELIVERED", "team@example.org")] * 2)


def list_to_mailbox_and_next_hop(run: Run) -> None:
    run.send(
        OUTSIDE,
        _OUT,
        ["list@example.org"],
        [("DELIVERED", "list@example.org"), ("SENT", "erin@example.net", "list@example.org")],
    )


def same_mailbox_three_times(run: Run) -> None:
    run.send(
        OUTSIDE,
        _OUT,
        ["other@example.org", "alice@example.org", "alice@example.org"],
        [("DELIVERED", "other@example.org"), *[("DELIVERED", "alice@example.org")] * 2],
    )


def forwarded_with_a_copy(run: Run) -> None:
    run.send(
        OUTSIDE,
        _OUT,
        ["dora@example.org"],
        [("DELIVERED", "dora@example.org"), ("SENT", "dora@example.net", "dora@example.org")],
    )


def null_sender(run: Run) -> None:
    run.send(OUTSIDE, "", ["carol@example.org"], [("DELIVERED", "carol@example.org")])


def client_with_ipv6(run: Run) -> None:
    run.send(OUTSIDE_6, _OUT, ["alice@example.org"], [("DELIVERED", "alice@example.org")])


def forms_of_one_address(run: Run) -> None:
    run.send(
        LOOPBACK,
        "O'Hara+x=y@example.net",
        ["Alice+tag@example.org", "alice", "ALICE@EXAMPLE.ORG"],
        [("DELIVERED", to) for to in ("Alice+tag@example.org", f"alice@{HOST}.example.org", "ALICE@EXAMPLE.ORG")],
    )


def atoms_that_look_like_fields(run: Run) -> None:
    """All are legal local parts; nothing in them needs quotes."""
    run.send(
        INSIDE,
        "msgid=deadbeef@example.net",
        ["evpid=0123456789abcdef@example.net", "result=PermFail@example.net"],
        [("SENT", "evpid=0123456789abcdef@example.net"), ("SENT", "result=PermFail@example.net")],
    )


def forty_recipients(run: Run) -> None:
    recipients = [f"user{number}@example.net" for number in range(40)]
    run.send(INSIDE, _OUT, recipients, [("SENT", recipient) for recipient in recipients])


def five_messages_in_one_session(run: Run) -> None:
    with run.connect(OUTSIDE) as smtp:
        for number in range(5):
            sender = f"sender{number}@example.net"
            smtp.sendmail(sender, ["bob@example.org"], BODY)
            run.expect(OUTSIDE.ip, sender, [("DELIVERED", "bob@example.org")])


def one_of_two_recipients_unknown(run: Run) -> None:
    with run.connect(OUTSIDE) as smtp:
        refused = smtp.sendmail(_OUT, ["alice@example.org", "nosuch@example.org"], BODY)
    run.expect(OUTSIDE.ip, _OUT, [("DELIVERED", "alice@example.org")])
    run.refused(OUTSIDE.ip, refused["nosuch@example.org"][0], recipient="nosuch@example.org")


def relay_denied(run: Run) -> None:
    with run.connect(OUTSIDE) as smtp:
        smtp.mail(_OUT)
        run.refused(OUTSIDE.ip, smtp.rcpt("someone@example.com")[0], recipient="someone@example.com")


def sender_refused_by_filter(run: Run) -> None:
    with run.connect(OUTSIDE) as smtp:
        run.refused(OUTSIDE.ip, smtp.mail("bulk@spam.example.net")[0], sender="bulk@spam.example.net")


def commands_that_imitate_fields(run: Run) -> None:
    """Refused for their form; what they hold beside the path changes nothing. Out of order: no record."""
    with run.connect(OUTSIDE) as smtp:
        code, _ = smtp.docmd('MAIL FROM:<"x> to=<y"@example.net>')
        run.refused(OUTSIDE.ip, code, sender='"x> to=<y"@example.net')
        assert smtp.docmd("RCPT TO:<alice@example.org>")[0] == 503
        smtp.mail(_OUT)
        code, _ = smtp.docmd('RCPT TO:<z@example.org> " result="250')
        run.refused(OUTSIDE.ip, code, recipient="z@example.org")
        code, _ = smtp.docmd('RCPT TO:<"q" result="250 x"@example.org>')
        run.refused(OUTSIDE.ip, code, recipient='"q" result="250 x"@example.org')
        smtp.command_encoding = "utf-8"
        code, _ = smtp.docmd("RCPT TO:<почта@example.org>")
        run.refused(OUTSIDE.ip, code, recipient="почта@example.org")
        assert smtp.docmd("DATA")[0] == 503
        assert smtp.docmd("VRFY alice")[0] == 500


def message_too_big(run: Run) -> None:
    _refused_at_end(run, BODY + (b"x" * 70 + b"\r\n") * (MESSAGE_BYTES_MAX // 70))


def message_without_form(run: Run) -> None:
    _refused_at_end(run, b"no header at all\r\n")


def _refused_at_end(run: Run, body: bytes) -> None:
    with run.connect(OUTSIDE) as smtp:
        smtp.mail(_OUT)
        smtp.rcpt("alice@example.org")
        smtp.rcpt("bob@example.org")
        run.refused(OUTSIDE.ip, smtp.data(body)[0])


def broken_off(run: Run) -> None:
    """One transaction reset, one left by the client: nothing was taken in, nothing refused."""
    smtp = run.connect(OUTSIDE)
    for end in ("RSET", "NOOP"):
        smtp.mail(_OUT)
        smtp.rcpt("alice@example.org")
        smtp.docmd(end)
    smtp.close()


def submitted_here_and_refused_by_next_hop(run: Run) -> None:
    """The notice comes back to the mailbox of the sender."""
    run.mta.submit("carol@example.org", ["refused@example.net", "bob@example.org"], BODY.replace(b"\r\n", b"\n"))
    run.expect(
        None,
        "carol@example.org",
        [("BOUNCED", "refused@example.net", None, 550), ("DELIVERED", "bob@example.org")],
    )
    run.expect(None, "", [("DELIVERED", "carol@example.org")])


def submitted_here_for_nobody(run: Run) -> None:
    try:
        run.mta.submit("carol@example.org", ["nosuch@example.org"], BODY.replace(b"\r\n", b"\n"))
    except Exception:
        run.refused(None, 550, recipient="nosuch@example.org")
        return
    raise AssertionError("sendmail took mail for a mailbox that is not there")


def mailbox_program_fails(run: Run) -> None:
    """The notice goes to the sender outside."""
    run.send(INSIDE, "kim@example.net", ["broken@example.org"], [("BOUNCED", "broken@example.org")])
    run.expect(None, "", [("SENT", "kim@example.net")])


def mail_that_was_here_before(run: Run) -> None:
    body = b"Delivered-To: alice@example.org\r\n" + BODY
    run.send(INSIDE, "lee@example.net", ["alice@example.org"], [("BOUNCED", "alice@example.org")], body)
    run.expect(None, "", [("SENT", "lee@example.net")])


def submitted_by_a_user(run: Run) -> None:
    smtp, code = log_in(run, "alice")
    assert code == 235
    with smtp:
        smtp.sendmail("alice@example.org", ["dave@example.net", "bob@example.org"], BODY)
    outcomes = [("SENT", "dave@example.net"), ("DELIVERED", "bob@example.org")]
    run.expect(LOOPBACK.ip, "alice@example.org", outcomes, user="alice")


def wrong_password(run: Run) -> None:
    smtp, code = log_in(run, "bob smith", "wrong")
    assert code == 535
    with smtp:
        run.refused(LOOPBACK.ip, smtp.mail("bob@example.org")[0], sender="bob@example.org")


def removed_by_hand(run: Run) -> None:
    run.send(INSIDE, _OUT, ["later@two.example.net"], [("DELETED", "later@two.example.net", None, 450)])
    (evpid,) = _deferred(run, "later@two.example.net")
    run.mta.control("remove", evpid)


def killed_between_two_attempts(run: Run) -> None:
    """The queue outlives a power cut, and so does what is known of its envelopes."""
    run.send(INSIDE, _OUT, ["later@three.example.net"], [("SENT", "later@three.example.net")])
    _deferred(run, "later@three.example.net")
    run.mta.kill()
    run.mta.start()
    run.wait_until(lambda: not run.mta.queue(), schedule=True)


def expires_at_a_mailbox_program(run: Run) -> None:
    run.send(INSIDE, "bob@example.org", ["busy@example.org"], [("EXPIRED", "busy@example.org")])
    run.expect(None, "", [("DELIVERED", "bob@example.org")])


def expires_while_next_hop_is_down(run: Run) -> None:
    """Nothing listens there for longer than the queue's time to live."""
    run.sink.stop()
    run.send(INSIDE, "carol@example.org", ["frank@example.net"], [("EXPIRED", "frank@example.net")])
    run.expect(None, "", [("DELIVERED", "carol@example.org")])
    run.wait_until(lambda: not run.mta.queue())


def _deferred(run: Run, recipient: str) -> list[str]:
    """Ids of the envelopes of a recipient, as soon as one was tried in vain."""
    run.wait_until(lambda: any(recipient in fields and fields[10] == "1" for fields in run.mta.queue()))
    return [fields[0] for fields in run.mta.queue() if recipient in fields]


def virtual_domain(run: Run) -> None:
    """One mailbox, two, one that is elsewhere, and whoever gets the rest."""
    names = ("info", "sales", "out", "anybody")
    run.send(
        OUTSIDE,
        _OUT,
        [f"{name}@virtual.example.org" for name in names],
        [
            ("DELIVERED", "info@virtual.example.org"),
            *[("DELIVERED", "sales@virtual.example.org")] * 2,
            ("SENT", "grace@example.net", "out@virtual.example.org"),
            ("DELIVERED", "anybody@virtual.example.org"),
        ],
    )


def sender_renamed_on_the_way_out(run: Run) -> None:
    """The record keeps the reverse-path that was given; the next hop sees another."""
    run.sent_as["heidi@renamed.example.net"] = "sender@renamed.example.org"
    run.send(INSIDE, _OUT, ["heidi@renamed.example.net"], [("SENT", "heidi@renamed.example.net")])


DAY: Final = [
    one_mailbox,
    three_recipients_one_later,
    alias_to_two_mailboxes,
    list_to_mailbox_and_next_hop,
    same_mailbox_three_times,
    forwarded_with_a_copy,
    null_sender,
    client_with_ipv6,
    forms_of_one_address,
    atoms_that_look_like_fields,
    forty_recipients,
    five_messages_in_one_session,
    one_of_two_recipients_unknown,
    relay_denied,
    sender_refused_by_filter,
    commands_that_imitate_fields,
    message_too_big,
    message_without_form,
    broken_off,
    submitted_here_and_refused_by_next_hop,
    submitted_here_for_nobody,
    mailbox_program_fails,
    mail_that_was_here_before,
    virtual_domain,
    sender_renamed_on_the_way_out,
]
USERS_AND_TLS: Final = [submitted_by_a_user, wrong_password]
ENDS: Final = [
    removed_by_hand,
    killed_between_two_attempts,
    expires_at_a_mailbox_program,
    expires_while_next_hop_is_down,
]

"""Scenarios of mail that clients hand in: taken, refused, discarded, sent on; with names that imitate log fields."""

import base64
import time

from tests.golden.exim.parties import Client, Mailer, message
from tests.golden.exim.run import OUTSIDE, Run

S = "sender@example.net"


def stored_here(run: Run) -> None:
    mid = run.new_id()
    run.taken(S, ["alice@example.org"], mid)
    run.expect("DELIVERED", S, "alice@example.org", message_id=mid)
    run.stored("alice")


def several_recipients(run: Run) -> None:
    """One is stored, one sent on, one is sent at the second try."""
    mid = run.new_id()
    run.taken(S, ["bob@example.org", "dave@example.net", "later@host1.example.net"], mid)
    run.expect("DELIVERED", S, "bob@example.org", message_id=mid)
    run.expect("SENT", S, "dave@example.net", message_id=mid)
    run.expect("SENT", S, "later@host1.example.net", message_id=mid)
    run.stored("bob")


def an_alias(run: Run) -> None:
    mid = run.new_id()
    run.taken(S, ["team@example.org"], mid)
    for user in ("alice", "bob"):
        run.expect("DELIVERED", S, "team@example.org", original="team@example.org", message_id=mid)
        run.stored(user)


def a_list_with_a_stranger(run: Run) -> None:
    mid = run.new_id()
    run.taken(S, ["list@example.org"], mid)
    run.expect("DELIVERED", S, "list@example.org", original="list@example.org", message_id=mid)
    run.expect("SENT", S, "dave@lists.example.net", original="list@example.org", message_id=mid)
    run.stored("alice")


def aliases_of_aliases(run: Run) -> None:
    mid = run.new_id()
    run.taken(S, ["nested@example.org"], mid)
    for user in ("alice", "bob", "carol"):
        run.expect("DELIVERED", S, "nested@example.org", original="nested@example.org", message_id=mid)
        run.stored(user)


def a_black_hole(run: Run) -> None:
    mid = run.new_id()
    run.taken(S, ["hole@example.org"], mid)
    run.expect("DISCARDED", S, "hole@example.org", message_id=mid)


def no_sender(run: Run) -> None:
    mid = run.new_id()
    run.taken("", ["carol@example.org"], mid)
    run.expect("DELIVERED", "", "carol@example.org", message_id=mid)
    run.stored("carol")


def odd_addresses(run: Run) -> None:
    """Quoted local parts, as sender and as recipient, here and elsewhere; some imitate log fields; UTF-8."""
    for sender, recipient, outcome in (
        ('"odd, 1>"@example.net', "alice@example.org", "DELIVERED"),
        ('"a b H=evil [6.6.6.6] P=esmtp"@example.net', "alice@example.org", "DELIVERED"),
        (S, '"y> <z"@remote.example.net', "SENT"),
        (S, '"y R=a T=b H=evil [6.6.6.6]:25"@remote.example.net', "SENT"),
        (S, '"y@x.example <list@example.org> R=a"@remote.example.net', "SENT"),
        (S, '"odd box"@example.org', "DELIVERED"),
        (S, "用户@example.net", "SENT"),
        ("发件人@example.net", "carol@example.org", "DELIVERED"),
    ):
        mid = run.new_id()
        run.taken(sender, [recipient], mid)
        run.expect(outcome, sender, recipient, message_id=mid)
        if outcome == "DELIVERED":
            run.stored(recipient.split("@")[0].split()[0].strip('"'))


def refused_recipients(run: Run) -> None:
    """An unknown mailbox, a lying refusal, a temporary one, and one among two that pass."""
    stranger = Client("198.51.100.7", 41_000, "stranger.example.com")
    for recipient, client, code in (
        ("nobody@example.org", OUTSIDE, 550),
        ("refusedhere@example.org", OUTSIDE, 550),
        ("busy@example.org", OUTSIDE, 451),
        ("someone@elsewhere.example", stranger, 550),
        ('"x: F=<a@b> rejected RCPT <c"@example.org', OUTSIDE, 550),
    ):
        assert run.hand_in(S, [recipient], client=client)[1] == [code]
        run.expect("REFUSED", S, recipient, client, event="REFUSAL")
    mid = run.new_id()
    assert run.hand_in(S, ["carol@example.org", "nobody@example.org", "bob@example.org"], message(mid))[1:3] == (
        [250, 550, 250],
        250,
    )
    run.expect("DELIVERED", S, "carol@example.org", message_id=mid)
    run.expect("REFUSED", S, "nobody@example.org", event="REFUSAL")
    run.expect("DELIVERED", S, "bob@example.org", message_id=mid)
    run.stored("carol")
    run.stored("bob")


def a_refused_sender(run: Run) -> None:
    assert run.hand_in("banned@example.net", ["alice@example.org"])[0] == 550
    run.expect("REFUSED", "banned@example.net", None, event="REFUSAL")


def refused_before_data(run: Run) -> None:
    """Exim's line names no sender there."""
    assert run.hand_in("predata@example.net", ["alice@example.org"])[2] == 550
    run.expect("REFUSED", None, None, event="REFUSAL")


def refused_at_data(run: Run) -> None:
    """The log names no recipient."""
    for word, code in (("refuse", 550), ("later", 451)):
        told = run.hand_in(S, ["alice@example.org", "bob@example.org"], message(None, f"X-Test: {word}"))
        assert told[2] == code
        run.expect("REFUSED", S, None, event="REFUSAL")


def discarded_at_data(run: Run) -> None:
    """The client was told that two recipients' mail was taken."""
    mid = run.new_id()
    told = run.hand_in(S, ["alice@example.org", "bob@example.org"], message(mid, "X-Test: discard"))
    assert told[2] == 250
    for recipient in ("alice@example.org", "bob@example.org") if run.names_recipients else (None,):
        run.expect("DISCARDED", S, recipient, message_id=mid)


def discarded_recipients(run: Run) -> None:
    mid = run.new_id()
    run.taken(S, ["trash@example.org", "alice@example.org"], mid)
    run.expect("DISCARDED", S, "trash@example.org", event="REFUSAL")
    run.expect("DELIVERED", S, "alice@example.org", message_id=mid)
    run.stored("alice")
    run.taken(S, ["trash@example.org"], run.new_id())
    run.expect("DISCARDED", S, "trash@example.org", event="REFUSAL")


def taken_but_told_otherwise(run: Run) -> None:
    """control = fakereject: the client is told 550, the mail is delivered."""
    mid = run.new_id()
    assert run.hand_in(S, ["fake@example.org"], message(mid))[2] == 550
    run.expect("DELIVERED", S, "fake@example.org", message_id=mid)
    run.stored("fake")


def names_of_clients(run: Run) -> None:
    """HELO names that imitate fields and addresses."""
    for helo in (
        "[10.9.8.7]",
        "x)",
        "x) [6.6.6.6] P=esmtp S=1 id=a@b",
        "x) [6.6.6.6]:25 I=[6.6.6.7]:25 P=esmtp",
        "with blanks and ümlaut",
    ):
        mid = run.new_id()
        client = Client("192.0.2.12", 40_012, helo)
        run.taken(S, ["alice@example.org"], mid, client=client)
        run.expect("DELIVERED", S, "alice@example.org", client, message_id=mid)
        run.stored("alice")


def message_ids(run: Run) -> None:
    """Ids that imitate fields, that are none, that are twice; none at all."""
    for mid, logged in (
        ('<"x) [6.6.6.6] P=esmtp S=3 id=y"@example.net>', True),
        ('<"x T=y from <ceo@example.org> for spy"@example.net>', True),
        ("<a b c>", False),
        ("<>", False),
        ("<long" + "x" * 900 + "@example.net>", False),
        ("<same@example.net>", True),
        ("<same@example.net>", True),
    ):
        run.taken(S, ["alice@example.org"], mid)
        run.expect("DELIVERED", S, "alice@example.org", message_id=mid if logged else None)
        run.stored("alice")


def several_in_one_connection(run: Run) -> None:
    with Mailer(run.mta.smtp_port, OUTSIDE) as smtp:
        for recipient in ("alice@example.org", "bob@example.org", "nobody@example.org", "carol@example.org"):
            mid = run.new_id()
            mail, told, code, _ = smtp.offer(S, [recipient], message(mid))
            if recipient.startswith("nobody"):
                assert (mail, told) == (250, [550])
                run.expect("REFUSED", S, recipient, event="REFUSAL")
                continue
            assert code == 250
            run.expect("DELIVERED", S, recipient, message_id=mid)
            run.stored(recipient.partition("@")[0])


def broken_off(run: Run) -> None:
    """Connections that end in the middle of commands and of data, and one reset: nothing was sent or received."""
    for commands in (
        [b"MAIL FROM:<a@example.net>"],
        [b"MAIL FROM:<a@example.net>", b"RCPT TO:<alice@example.org>"],
        [b"MAIL FROM:<a@example.net>", b"RCPT TO:<alice@example.org>", b"DATA", b"Subject: half"],
    ):
        smtp = Mailer(run.mta.smtp_port, OUTSIDE)
        for command in commands:
            smtp.putcmd_bytes(command)
            if command[:7] != b"Subject":
                smtp.getreply()
        smtp.close()
    with Mailer(run.mta.smtp_port, OUTSIDE) as smtp:
        smtp.offer("a@example.net", ["alice@example.org"], None)
        smtp.docmd("NOOP")
        smtp.docmd("NONSENSE")


def too_big(run: Run) -> None:
    """Announced and not announced; the log names no recipient."""
    assert run.hand_in(S, ["alice@example.org"], options=" SIZE=900000")[0] == 552
    assert run.hand_in(S, ["alice@example.org"], message(size=60_000))[2] == 552
    for _ in range(2):
        run.expect("REFUSED", S, None, event="REFUSAL")


def over_ipv6(run: Run) -> None:
    client = Client("2001:db8::12", 40_066, "six.example.net")
    mid = run.new_id()
    run.taken(S, ["alice@example.org"], mid, client=client)
    run.expect("DELIVERED", S, "alice@example.org", client, message_id=mid)
    run.stored("alice")
    assert run.hand_in(S, ["nobody@example.org"], client=client)[1] == [550]
    run.expect("REFUSED", S, "nobody@example.org", client, event="REFUSAL")


def authenticated(run: Run) -> None:
    """Also a name with blanks that imitates a field; and one that a refusal names."""
    stranger = Client("203.0.113.9", 41_009, "roaming.example.com")
    for user in ("alice", "bob smith", "carol S=5 id=a@b"):
        token = base64.b64encode(f"\0{user}\0secret".encode()).decode()
        with Mailer(run.mta.smtp_port, stranger) as smtp:
            assert smtp.docmd("AUTH", f"PLAIN {token}")[0] == 235
            mid = run.new_id()
            assert smtp.offer(S, ["dave@example.net"], message(mid))[2] == 250
            run.expect("SENT", S, "dave@example.net", stranger, user=user, message_id=mid)
            assert smtp.offer(S, ["nobody@example.org"], None)[1] == [550]
            run.expect("REFUSED", S, "nobody@example.org", stranger, user=user, event="REFUSAL")
    with Mailer(run.mta.smtp_port, stranger) as smtp:
        assert smtp.docmd("AUTH", f"PLAIN {base64.b64encode(b'x' + b'00').decode()}")[0] in (501, 535)


def encrypted(run: Run) -> None:
    mid = run.new_id()
    with Mailer(run.mta.smtp_port, OUTSIDE) as smtp:
        smtp.starttls()
        smtp.ehlo()
        assert smtp.offer(S, ["alice@example.org"], message(mid))[2] == 250
    run.expect("DELIVERED", S, "alice@example.org", message_id=mid)
    run.stored("alice")


def cut_through(run: Run) -> None:
    """The sink takes the mail before Exim has told its own client anything."""
    mid = run.new_id()
    run.taken(S, ["through@example.net"], mid)
    run.expect("SENT", S, "through@example.net", message_id=mid)


def cut_through_and_refused(run: Run) -> None:
    """What the sink refuses at the end of data is refused to the client."""
    told = run.hand_in(S, ["unwanted@example.net"], message(run.new_id()))
    assert told[2] == 554
    run.expect("REFUSED", S, "unwanted@example.net", event="REFUSAL")


def domains_in_capitals(run: Run) -> None:
    """Exim logs such an address also as it is, beside one in lower case."""
    for recipient, outcome in (("alice@EXAMPLE.ORG", "DELIVERED"), ("Dave@EXAMPLE.NET", "SENT")):
        mid = run.new_id()
        run.taken(S, [recipient], mid)
        run.expect(outcome, S, recipient, message_id=mid)
    run.stored("alice")


def two_hops(run: Run) -> None:
    """Through Exim's second port, as through another server: two records, joined by the id that it told."""
    mid = run.new_id()
    run.taken(S, ["carol@hop.example.net"], mid)
    time.sleep(1)
    run.expect("SENT", S, "carol@hop.example.net", message_id=mid)
    run.hop()
    second = Client("127.0.0.1", 0, "mx1.example.org")
    run.expect("SENT", S, "carol@hop.example.net", second, message_id=mid)


def many_recipients(run: Run) -> None:
    mid = run.new_id()
    recipients = [f"member{number}@many-recipients-domain.example.net" for number in range(40)]
    run.taken(S, recipients, mid)
    for recipient in recipients:
        run.expect("SENT", S, recipient, message_id=mid)
    mid = run.new_id()
    run.taken(S, ["carol@example.org", "carol@example.org"], mid)
    run.expect("DELIVERED", S, "carol@example.org", message_id=mid)
    run.stored("carol")


SCENARIOS = (
    stored_here, several_recipients, an_alias, a_list_with_a_stranger, aliases_of_aliases, a_black_hole, no_sender,
    odd_addresses, refused_recipients, a_refused_sender, refused_before_data, refused_at_data, discarded_at_data,
    discarded_recipients, taken_but_told_otherwise, names_of_clients, message_ids, several_in_one_connection,
    broken_off, too_big, over_ipv6, authenticated, encrypted, cut_through, cut_through_and_refused,
    domains_in_capitals, two_hops, many_recipients,
)  # fmt: skip

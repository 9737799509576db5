"""More mail for a local Sendmail: handed in on the host, delayed, expired, filtered, and at a talkative log level."""

import smtplib

from infra.local import sendmail_scenario as outside
from infra.local.sendmail_auth import PASSWORD
from infra.local.sendmail_scenario import BODY, SENDER, Play, Scenario, wait_until


def submitted(play: Play) -> None:
    """Through the submission program: its hop to the server is no delivery."""
    play.submit("carol@example.org", ["alice@example.org", "dave@example.net"])
    play.expect("DELIVERED", "alice@example.org", sender="carol@example.org", client=None)
    play.expect("SENT", "dave@example.net", sender="carol@example.org", client=None)


def submitted_with_names(play: Play) -> None:
    """Recipients from the header, with names that are content."""
    body = b'To: Bob B <bob@example.org>, "Dave, D" <dave@example.net>\r\n' + BODY
    play.submit("alice@example.org", [], "-t", body=body)
    play.expect("DELIVERED", "bob@example.org", sender="alice@example.org", client=None)
    play.expect("SENT", "dave@example.net", sender="alice@example.org", client=None)


def submitted_to_nobody(play: Play) -> None:
    """The server refuses; the submission program makes the bounce, which goes through the server too."""
    play.submit("alice@example.org", ["nouser@example.org"])
    play.refused("nouser@example.org", sender="alice@example.org", client=0)
    play.expect("BOUNCED", "nouser@example.org", sender="alice@example.org", client=None)
    play.notice("DELIVERED", "alice@example.org")


def refused_by_next_hop(play: Play) -> None:
    """Its reply imitates fields."""
    play.submit("bob@example.org", ["refused@host.example.net"])
    play.expect("BOUNCED", "refused@host.example.net", sender="bob@example.org", client=None)
    play.notice("DELIVERED", "bob@example.org")


def taken_at_the_second_try(play: Play) -> None:
    play.submit("bob@example.org", ["later@host.example.net", "dave@host.example.net"])
    play.expect("SENT", "later@host.example.net", "dave@host.example.net", sender="bob@example.org", client=None)


def success_told(play: Play) -> None:
    play.send(["alice@example.org"], sender="bob@example.org", options=("NOTIFY=SUCCESS,FAILURE",))
    play.expect("DELIVERED", "alice@example.org", sender="bob@example.org")
    play.notice("DELIVERED", "bob@example.org")


def server_down(play: Play) -> None:
    """The submission program keeps it; its queue runner hands it on under another tag."""
    play.mta.pause()
    play.submit("alice@example.org", ["bob@example.org"])
    play.mta.start()
    play.mta.run_submission_queue()
    play.expect("DELIVERED", "bob@example.org", sender="alice@example.org", client=None)


def queued_first(play: Play) -> None:
    play.mta.pause()
    play.mta.start("-odq")
    play.send(["alice@example.org", "bob@example.org"], client=6)
    wait_until(lambda: not play.mta.queued(), play.mta)
    play.expect("DELIVERED", "alice@example.org", "bob@example.org", client=6)


def warned_and_expired(play: Play) -> None:
    """Its next hop is down: the sender is warned, and told in the end.

    One recipient only: who ends a Sendmail between a delivery and its queue file's next form gets it delivered again.
    """
    play.mta.pause()
    play.mta.start("-OTimeout.queuewarn=1s")
    mailbox = play.mta.mailbox("bob")
    play.submit("bob@example.org", ["x@down.example.net"])
    wait_until(lambda: play.mta.mailbox("bob") != mailbox, play.mta)
    play.notice("DELIVERED", "bob@example.org")
    play.mta.pause()
    play.mta.start("-OTimeout.queuereturn=1s")
    wait_until(lambda: not play.mta.queued(), play.mta)
    play.mta.pause()
    play.mta.start()
    play.expect("EXPIRED", "x@down.example.net", sender="bob@example.org", client=None)
    play.notice("DELIVERED", "bob@example.org")


def milter_refuses_one(play: Play) -> None:
    evil = "milter-refuses@example.org"
    play.send([evil, "alice@example.org"], {evil: 550})
    play.refused(evil)
    play.expect("DELIVERED", "alice@example.org")


def milter_refuses_all(play: Play) -> None:
    for sender, code in (("milter-data@example.net", 554), ("milter-tempfails@example.net", 451)):
        names = ["alice@example.org", "bob@example.org"]
        play.send(names, {"": code}, sender=sender)
        play.refused(*names, sender=sender)


def milter_discards(play: Play) -> None:
    play.send(["alice@example.org", "bob@example.org"], sender="milter-discards@example.net")
    play.refused("", sender="milter-discards@example.net", outcome="DISCARDED")


def milter_quarantines(play: Play) -> None:
    """It stays in the queue: no final record."""
    play.send(["alice@example.org"], sender="milter-quarantines@example.net")


def aliases_in_disorder(play: Play) -> None:
    """A member that is nobody is named; one that is no address, or a list that cannot be read, is not."""
    for alias in ("badmember", "badlist", "badsyntax"):
        play.send([f"{alias}@example.org"], sender="bob@example.org", client=2)
        play.notice("DELIVERED", "bob@example.org")
    play.expect("DELIVERED", "alice", "alice", sender="bob@example.org", client=2)
    play.expect("BOUNCED", "nosuchuser", "", "", sender="bob@example.org", client=2)


def included_list(play: Play) -> None:
    play.send(["incl@example.org"])
    play.expect("DELIVERED", "alice")
    play.expect("SENT", "george@lists.example.net")


def milter_adds(play: Play) -> None:
    play.send(["alice@example.org"], sender="milter-adds@example.net")
    play.expect("DELIVERED", "alice@example.org", "carol", sender="milter-adds@example.net")
    play.expect("SENT", "carol@away.example.net", "archive@far.example.net", sender="milter-adds@example.net")


def milter_removes(play: Play) -> None:
    """The client was told that he is taken."""
    play.send(["alice@example.org", "bob@example.org"], sender="milter-removes@example.net")
    play.expect("DELIVERED", "alice@example.org", sender="milter-removes@example.net")
    play.refused("bob@example.org", sender="milter-removes@example.net", outcome="DISCARDED")


def milter_renames(play: Play) -> None:
    """The next hop and the mailbox get another sender."""
    play.send(["alice@example.org", "list@example.org"], sender="milter-renames@example.net")
    play.expect("DELIVERED", "alice@example.org", sender="renamed@example.net")
    play.expect("SENT", "dave@lists.example.net", sender="renamed@example.net")


def talkative(play: Play) -> None:
    """Log level 15: every command and reply is a line, and every message's end."""
    play.mta.pause()
    play.mta.start("-OLogLevel=15")
    play.send(["list@example.org", "nouser@example.org"], {"nouser@example.org": 550}, client=7)
    play.expect("DELIVERED", "alice", client=7)
    play.expect("SENT", "dave@lists.example.net", client=7)
    play.refused("nouser@example.org", client=7)
    play.say(f"MAIL FROM:<{SENDER}>", "RCPT TO:<alice@example.org>", "RSET")
    names = ["alice@example.org", "bob@example.org"]
    play.send([*names, "hole@example.org"], sender="milter-discards@example.net")
    play.refused(*names, "hole@example.org", sender="milter-discards@example.net", outcome="DISCARDED")
    play.submit("carol@example.org", ["bob@example.org"], "-OLogLevel=15")
    play.expect("DELIVERED", "bob@example.org", sender="carol@example.org", client=None)


def authenticated(play: Play) -> None:
    """A user proves who he is under TLS, and may relay; before that he may not."""
    with play.session(8) as smtp:
        smtp.starttls()
        smtp.login("alice@example.org", PASSWORD)
        smtp.sendmail("alice@example.org", ["dave@far.example.net", "bob@example.org"], BODY)
        smtp.sendmail("alice@example.org", ["bob@example.org"], BODY)
        smtp.quit()
    play.expect("SENT", "dave@far.example.net", sender="alice@example.org", client=8)
    play.expect("DELIVERED", "bob@example.org", "bob@example.org", sender="alice@example.org", client=8)


def wrong_password(play: Play) -> None:
    with play.session(8) as smtp:
        try:
            smtp.login("bob@example.org", "x, relay=[6.6.6.6]")
        except smtplib.SMTPAuthenticationError:
            smtp.quit()


def lines_in_pieces(play: Play) -> None:
    """Bytes beyond ASCII are logged as four characters each: Sendmail cuts the lines, and they are one again."""
    sender, recipient = "\u00e4" * 80 + "@example.net", "\u00e4" * 90 + "@example.com"
    with play.session(4) as smtp:
        for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "RCPT TO:<alice@example.org>"):
            smtp.send(command.encode() + b"\r\n")
            smtp.getreply()
        smtp.data(b"Message-Id: <" + "\u00e4".encode() * 45 + b"@x>\r\n" + BODY)
        smtp.quit()
    play.refused(recipient, sender=sender, client=4)
    play.expect("DELIVERED", "alice@example.org", sender=sender, client=4)


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        outside.two_mailboxes,
        outside.null_sender,
        outside.alias_team,
        outside.alias_with_remote_member,
        outside.list_with_owner,
        outside.forward,
        outside.file_mailer,
        outside.program_mailer,
        outside.failing_program,
        outside.failing_program_of_nobody,
        outside.alias_to_elsewhere,
        outside.virtual_user,
        outside.repeated_recipients,
        outside.many_recipients,
        outside.too_many_recipients,
        outside.unknown_user,
        outside.nobody_known,
        outside.relaying_denied,
        outside.banned_sender,
        outside.closed_mailboxes,
        outside.refused_connection,
        outside.discarded_sender,
        outside.discarded_recipient,
        outside.broken_off,
        outside.evil_message_id,
        outside.long_message_id,
        outside.evil_recipients,
        outside.evil_recipient_elsewhere,
        outside.evil_sender,
        outside.too_big,
        outside.refused_header,
        outside.several_in_a_session,
        outside.alias_loop,
        outside.too_many_hops,
        authenticated,
        wrong_password,
        lines_in_pieces,
        submitted,
        submitted_with_names,
        submitted_to_nobody,
        refused_by_next_hop,
        taken_at_the_second_try,
        success_told,
        server_down,
        milter_refuses_one,
        milter_refuses_all,
        milter_discards,
        milter_quarantines,
        aliases_in_disorder,
        included_list,
        milter_adds,
        milter_removes,
        milter_renames,
        queued_first,
        warned_and_expired,
        talkative,
    )
}

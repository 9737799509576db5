"""Mail for a local Sendmail, and the truth about it: what SMTP clients were told, what the sink and the mailboxes got.

Every scenario tells what must be recorded of it, from what it did and was told; nothing is read from the log. In the
end all of it is compared with the sink and the mailboxes.
"""

import re
import smtplib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from infra.local.process import LocalEngineError
from infra.local.scenario import Truth
from infra.local.sendmail import LocalSendmail
from infra.local.sendmail_setup import HOST, USERS
from infra.local.sink import Sink

QUIET_SECONDS_MAX: Final = 60.0
SENDER: Final = "s@example.net"
SECRETS: Final = ("a secret that no record may hold", "this text lies")
_BEGINS: Final = re.compile(rb"^From ", re.MULTILINE)
_DOMAIN: Final = "example.org"
BODY: Final = b"Subject: a secret that no record may hold\r\n\r\nA body that no record may hold.\r\n"
_EVIL_ID: Final = b"Message-Id: <a b c>, relay=evil [6.6.6.6], proto=ESMTP, daemon=X, relay=y [7.7.7.7]\r\n"


class Play:
    """What scenarios act on, and the truth that they gather."""

    def __init__(self, mta: LocalSendmail) -> None:
        """Nothing has happened."""
        self.mta = mta
        self.truth: list[Truth] = []
        self._number = 0

    @contextmanager
    def session(self, client: int = 1) -> Iterator[smtplib.SMTP]:
        """An SMTP session of client 1 to 9, from 127.0.0.11 to 127.0.0.19. Scenarios end it as they like."""
        source = (f"127.0.0.{10 + client}", 0)
        smtp = smtplib.SMTP("127.0.0.1", self.mta.smtp_port, source_address=source, timeout=60)
        smtp.ehlo("client.example.net")
        try:
            yield smtp
        finally:
            smtp.close()

    def send(
        self,
        recipients: list[str],
        refused: dict[str, int] | None = None,
        *,
        sender: str = SENDER,
        client: int = 1,
        body: bytes | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        """One message; what the server refused must be `refused`, by recipient, with these codes.

        A refusal of the whole message is told as that of recipient ``.
        """
        self._number += 1
        told: dict[str, int]
        with self.session(client) as smtp:
            try:
                message = b"Message-Id: <%d@example.net>\r\n%s" % (self._number, BODY) if body is None else body
                told = {
                    name: code for name, (code, _) in smtp.sendmail(sender, recipients, message, (), options).items()
                }
                smtp.quit()
            except smtplib.SMTPRecipientsRefused as error:
                told = {name: code for name, (code, _) in error.recipients.items()}
            except smtplib.SMTPResponseException as error:
                told = {"": error.smtp_code}
        if told != (refused or {}):
            raise LocalEngineError(f"Sendmail refused {told}, not {refused}.", "The scenario does not fit its cf.")

    def say(self, *commands: str, quit_after: bool = True) -> None:
        """Commands of a session that sends nothing."""
        with self.session() as smtp:
            for command in commands:
                smtp.docmd(command)
            if quit_after:
                smtp.quit()

    def submit(self, sender: str, recipients: list[str], *options: str, body: bytes = BODY) -> None:
        """A local process of the sender's own user hands a message in."""
        uid = USERS[sender.partition("@")[0]]
        self.mta.submit(sender, recipients, body.replace(b"\r\n", b"\n"), uid, *options)

    def expect(
        self, outcome: str, *recipients: str, sender: str = SENDER, client: int | None = 1, event: str = "DELIVERY"
    ) -> None:
        """What must be recorded. Clients by number; None = nobody handed it in over the network."""
        ip = None if client is None else f"127.0.0.{10 + client}" if client else "127.0.0.1"
        self.truth += [Truth(event, outcome, sender, recipient, ip) for recipient in recipients]

    def refused(self, *recipients: str, sender: str = SENDER, client: int = 1, outcome: str = "REFUSED") -> None:
        """The same for what was not taken in, or taken and thrown away."""
        self.expect(outcome, *recipients, sender=sender, client=client, event="REFUSAL")

    def notice(self, outcome: str, recipient: str) -> None:
        """A notice of this server reached the sender of another message."""
        self.expect(outcome, recipient, sender="", client=None)


Scenario = Callable[[Play], None]


def drive(mta: LocalSendmail, sink: Sink, scenarios: dict[str, Scenario]) -> list[Truth]:
    """Play all of them, each until the queue is empty; the truth of all.

    LocalEngineError when the queue is not empty after QUIET_SECONDS_MAX, or the truth is not what came out.
    """
    play = Play(mta)
    for name, scenario in scenarios.items():
        try:
            scenario(play)
        except (OSError, smtplib.SMTPException) as error:
            raise LocalEngineError(f"Scenario {name}: {error!r}", f"Look at {mta.log_file}.") from error
        wait_until(lambda: not mta.queued(), mta)
    time.sleep(1)  # last lines
    _check_against_sink(play.truth, sink)
    _check_against_mailboxes(play.truth, mta)
    return play.truth


def wait_until(true: Callable[[], bool], mta: LocalSendmail) -> None:
    """Until something is true; LocalEngineError after QUIET_SECONDS_MAX."""
    deadline = time.monotonic() + QUIET_SECONDS_MAX
    while not true():
        if time.monotonic() > deadline:
            raise LocalEngineError(f"Sendmail did not come to rest: {mta.queued()}.", f"Look at {mta.log_file}.")
        time.sleep(0.1)


def _check_against_sink(truth: list[Truth], sink: Sink) -> None:
    """What we hold for sent is what the sink took. A list's owner is only qualified on the wire."""
    sent = Counter((entry.sender, entry.recipient) for entry in truth if entry.outcome == "SENT")
    own = f"@{HOST}.{_DOMAIN}"
    taken = Counter((entry.sender.strip("<>").removesuffix(own), entry.recipient) for entry in sink.taken)
    if sent != taken:
        raise LocalEngineError(f"Sent, not taken: {sent - taken}; taken, not sent: {taken - sent}.", "A test's fault.")


def _check_against_mailboxes(truth: list[Truth], mta: LocalSendmail) -> None:
    """What we hold for stored is what the mailboxes got."""
    stored = Counter(_mailbox_of(entry.recipient) for entry in truth if entry.outcome == "DELIVERED")
    got = Counter({name: len(_BEGINS.findall(mta.mailbox(name))) for name in (*USERS, "archive", "program")})
    if stored != got:
        raise LocalEngineError(f"Stored: {stored}, but in mailboxes: {got}.", "The scenario is wrong, not a record.")


def _mailbox_of(recipient: str) -> str:
    user = recipient.partition("@")[0].partition("+")[0]
    return {"sales": "alice"}.get(user, user)


# Scenarios. Each is one kind of mail.


def two_mailboxes(play: Play) -> None:
    """Two recipients on one line."""
    play.send(["alice@example.org", "bob@example.org"])
    play.expect("DELIVERED", "alice@example.org", "bob@example.org")


def null_sender(play: Play) -> None:
    """The empty reverse-path is a value."""
    play.send(["alice@example.org"], sender="")
    play.expect("DELIVERED", "alice@example.org", sender="")


def alias_team(play: Play) -> None:
    """The alias itself is never logged, and its members only by their local names."""
    play.send(["team@example.org"], client=2)
    play.expect("DELIVERED", "alice", "bob", client=2)


def alias_with_remote_member(play: Play) -> None:
    play.send(["list@example.org"])
    play.expect("DELIVERED", "alice")
    play.expect("SENT", "dave@lists.example.net")


def list_with_owner(play: Play) -> None:
    """The list's members go on under a clone's queue id, from the owner."""
    play.send(["owned@example.org", "bob@example.org"])
    play.expect("DELIVERED", "bob@example.org")
    play.expect("DELIVERED", "alice", sender="bob")
    play.expect("SENT", "erin@lists.example.net", sender="bob")


def forward(play: Play) -> None:
    """`\\carol, carol@away.example.net` in .forward."""
    play.send(["carol@example.org"])
    play.expect("DELIVERED", "carol")
    play.expect("SENT", "carol@away.example.net")


def file_mailer(play: Play) -> None:
    play.send(["archive@example.org"])
    play.expect("DELIVERED", "archive@example.org")


def program_mailer(play: Play) -> None:
    play.send(["program@example.org"])
    play.expect("DELIVERED", "program@example.org")


def failing_program(play: Play) -> None:
    play.send(["failing@example.org"], sender="bob@example.org")
    play.expect("BOUNCED", "failing@example.org", sender="bob@example.org")
    play.notice("DELIVERED", "bob@example.org")


def failing_program_of_nobody(play: Play) -> None:
    """A message without a sender fails: the postmaster is told."""
    play.send(["failing@example.org"], sender="")
    play.expect("BOUNCED", "failing@example.org", sender="")
    play.notice("DELIVERED", "bob")


def alias_to_elsewhere(play: Play) -> None:
    play.send(["away@example.org"])
    play.expect("SENT", "frank@far.example.net")


def virtual_user(play: Play) -> None:
    play.send(["sales@example.org"])
    play.expect("DELIVERED", "sales@example.org")


def repeated_recipients(play: Play) -> None:
    """Twice the same, and an alias that holds it: one delivery for each mailbox."""
    play.send(["alice@example.org", "alice@example.org", "team@example.org"])
    play.expect("DELIVERED", "alice@example.org", "bob")


def many_recipients(play: Play) -> None:
    """More than one line holds."""
    names = [f"alice+{number}@example.org" for number in range(40)]
    play.send(names)
    play.expect("DELIVERED", *names)


def too_many_recipients(play: Play) -> None:
    """The last three are refused, and no line names them."""
    names = [f"bob+{number}@example.org" for number in range(103)]
    play.send(names, dict.fromkeys(names[100:], 452))
    play.expect("DELIVERED", *names[:100])
    play.refused("", "", "")


def unknown_user(play: Play) -> None:
    play.send(["nouser@example.org", "alice@example.org"], {"nouser@example.org": 550}, client=3)
    play.refused("nouser@example.org", client=3)
    play.expect("DELIVERED", "alice@example.org", client=3)


def nobody_known(play: Play) -> None:
    play.send(["nouser@example.org"], {"nouser@example.org": 550})
    play.refused("nouser@example.org")


def relaying_denied(play: Play) -> None:
    play.send(["x@other.example.com"], {"x@other.example.com": 550}, client=4)
    play.refused("x@other.example.com", client=4)


def banned_sender(play: Play) -> None:
    play.send(["alice@example.org"], {"": 550}, sender="banned@example.net")
    play.refused("", sender="banned@example.net")


def closed_mailboxes(play: Play) -> None:
    play.send(
        ["closed@example.org", "later@example.org", "alice@example.org"],
        {"closed@example.org": 550, "later@example.org": 452},
    )
    play.refused("closed@example.org", "later@example.org")
    play.expect("DELIVERED", "alice@example.org")


def refused_connection(play: Play) -> None:
    with play.session(9) as smtp:
        code, _ = smtp.docmd("MAIL", f"FROM:<{SENDER}>")
        assert code == 550
    play.refused("", sender="", client=9)


def discarded_sender(play: Play) -> None:
    """The client is told yes for two recipients; no line names them."""
    play.send(["alice@example.org", "bob@example.org"], sender="void@example.net")
    play.refused("", sender="void@example.net", outcome="DISCARDED")


def discarded_recipient(play: Play) -> None:
    """One recipient makes the whole message go away; only he is named."""
    play.send(["hole@example.org", "alice@example.org"])
    play.refused("hole@example.org", "", outcome="DISCARDED")


def broken_off(play: Play) -> None:
    """Nothing was sent, so nothing is recorded."""
    begun = (f"MAIL FROM:<{SENDER}>", "RCPT TO:<alice@example.org>")
    play.say(*begun, "RSET")
    play.say(*begun)
    play.say(*begun, quit_after=False)
    play.say(*begun, "DATA", "Subject: half", quit_after=False)
    play.say(begun[0], "RCPT TO:<hole@example.org>", "RSET")
    play.say("VRFY alice", "EXPN team", "NONSENSE")


def evil_message_id(play: Play) -> None:
    play.send(["alice@example.org"], body=_EVIL_ID + BODY)
    play.expect("DELIVERED", "alice@example.org")


def long_message_id(play: Play) -> None:
    play.send(["alice@example.org"], body=b"Message-Id: <" + b"a" * 300 + b"@b>\r\n" + BODY)
    play.expect("DELIVERED", "alice@example.org")


def evil_recipients(play: Play) -> None:
    first, second = '"a, b"@example.org', '"x>, delay=00:00:00, stat=Sent"@example.org'
    play.send([first, second, "alice@example.org"], {first: 550, second: 550})
    play.refused(first, second)
    play.expect("DELIVERED", "alice@example.org")


def evil_recipient_elsewhere(play: Play) -> None:
    """The sink takes it; its quoted local part imitates the fields behind it."""
    evil = '"x>, ctladdr=<e@e.example>, delay=00:00:00, relay=evil [6.6.6.6], dsn=5.1.1, stat=No"@far.example.net'
    play.submit("bob@example.org", [f"<{evil}>", "dave@far.example.net"])
    play.expect("SENT", evil, "dave@far.example.net", sender="bob@example.org", client=None)


def evil_sender(play: Play) -> None:
    sender = '"x>, size=1, class=0, nrcpts=9, msgid=<y>, relay=evil [6.6.6.6]"@example.net'
    play.send(["alice@example.org"], sender=sender)
    play.expect("DELIVERED", "alice@example.org", sender=sender)


def too_big(play: Play) -> None:
    """Refused when its data has come; every recipient is named."""
    with play.session() as smtp:
        for command in (f"MAIL FROM:<{SENDER}>", "RCPT TO:<alice@example.org>", "RCPT TO:<bob@example.org>"):
            smtp.docmd(command)
        code, _ = smtp.data(BODY + b"x" * 70 * 3000)
        assert code == 552
        smtp.quit()
    play.refused("alice@example.org", "bob@example.org")


def refused_header(play: Play) -> None:
    names = ["alice@example.org", "bob@example.org"]
    play.send(names, {"": 554}, body=b"X-Bad: a secret that no record may hold, reject=550 5.1.1 x\r\n" + BODY)
    play.refused(*names)


def several_in_a_session(play: Play) -> None:
    """One connection: a message, a refusal, a message."""
    with play.session(5) as smtp:
        smtp.sendmail(SENDER, ["alice@example.org"], BODY)
        try:
            smtp.sendmail("t@example.net", ["nouser@example.org"], BODY)
        except smtplib.SMTPRecipientsRefused:
            play.refused("nouser@example.org", sender="t@example.net", client=5)
        smtp.sendmail("u@example.net", ["bob@example.org"], BODY)
        smtp.quit()
    play.expect("DELIVERED", "alice@example.org", client=5)
    play.expect("DELIVERED", "bob@example.org", sender="u@example.net", client=5)


def alias_loop(play: Play) -> None:
    """Nobody was tried, so no line names the recipient; the sender is told."""
    play.send(["loopa@example.org"], sender="carol@example.net")
    play.expect("BOUNCED", "", sender="carol@example.net")
    play.notice("SENT", "carol@example.net")


def too_many_hops(play: Play) -> None:
    play.send(["bob@example.org"], body=b"Received: from x by y\r\n" * 40 + BODY)
    play.expect("BOUNCED", "")
    play.notice("SENT", SENDER)

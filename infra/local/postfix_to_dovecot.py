"""A local Postfix that hands its mail to a local Dovecot by LMTP; both write to one syslog.

One half goes through a socket in the file system, as on most servers, the other over TCP. The truth comes from the SMTP
client, from the sink that takes forwarded mail, and from the mailboxes.
"""

import os
import smtplib
import time
from pathlib import Path
from typing import Final

from infra.local.dovecot import USERS, LocalDovecot
from infra.local.dovecot_scenario import ALICE, FRANK, SCRIPTS, Truth, check_mailboxes
from infra.local.postfix import OWN_DOMAIN, LocalPostfix
from infra.local.process import LocalEngineError

SENDER: Final = "sender@example.net"
CLIENT_IP: Final = "192.0.2.11"
_SECONDS_MAX: Final = 60
_BODY: Final = b"From: sender@example.net\r\nSubject: a secret that no record may hold\r\n\r\nNot for records.\r\n"


class PostfixToDovecot(LocalPostfix):
    """Mail for OWN_DOMAIN goes to Dovecot; its addresses are Dovecot's users."""

    def __init__(self, home: Path, relay_port: int, mailboxes: LocalDovecot) -> None:
        """Nothing is fetched or started."""
        super().__init__(home, relay_port)
        self._mailboxes = mailboxes

    def link_socket(self) -> None:
        """Once Dovecot runs: its LMTP socket appears in Postfix's chroot. Both lie on one file system."""
        link = self.root / "var" / "spool" / "postfix" / "private" / "dovecot-lmtp"
        link.unlink(missing_ok=True)
        os.link(self._mailboxes.lmtp_socket, link)

    def _configure(self) -> None:
        super()._configure()
        boxes = " ".join(f"{{{user}=here}}" for user in (*USERS, f"nobody@{OWN_DOMAIN}"))
        changed = {
            "maillog_file": "",
            "virtual_transport": "lmtp:unix:private/dovecot-lmtp",
            "transport_maps": f"inline:{{ {{{FRANK}=lmtp:inet:127.0.0.1:{self._mailboxes.ports['lmtp']}}} }}",
            "virtual_mailbox_maps": f"inline:{{ {boxes} }}",
            "virtual_alias_maps": "",
        }
        main = self.root / "etc" / "postfix" / "main.cf"
        kept = [line for line in main.read_text(encoding="ascii").splitlines() if line.split(" ")[0] not in changed]
        main.write_text(
            "\n".join([*kept, *(f"{key} = {value}" for key, value in changed.items()), ""]), encoding="ascii"
        )


def drive(mta: PostfixToDovecot, mailboxes: LocalDovecot) -> list[Truth]:
    """Mail to every kind of mailbox; the truth, when the queue is empty and the mailboxes hold what they should."""
    for user, (script, _outcome, _stored) in SCRIPTS.items():
        mailboxes.sieve_script(user, script)
    truth: list[Truth] = []
    with smtplib.SMTP("127.0.0.1", mta.smtp_port, timeout=30) as smtp:
        smtp.ehlo()
        smtp.docmd("XCLIENT", f"ADDR={CLIENT_IP} PORT=40001 NAME=client.example.net")
        smtp.ehlo_resp = None
        everybody = [(user, outcome) for user, (_script, outcome, _stored) in SCRIPTS.items()]
        for sender, recipients in (
            (SENDER, [(ALICE, "DELIVERED")]),
            (SENDER, [(ALICE, "DELIVERED"), *everybody]),
            (SENDER, [(FRANK, "SENT"), (ALICE, "DELIVERED")]),
            ("", [(ALICE, "DELIVERED")]),
            (SENDER, [(f"nobody@{OWN_DOMAIN}", "BOUNCED")]),
        ):
            refused = smtp.sendmail(sender, [recipient for recipient, _ in recipients], _BODY)
            assert not refused, refused
            truth += [Truth("DELIVERY", outcome, sender, to, CLIENT_IP) for to, outcome in recipients]
    truth.append(Truth("DELIVERY", "SENT", "", SENDER, None))  # the notice that there is no such user
    _wait_until_quiet(mta)
    check_mailboxes(mailboxes, {ALICE: 4, FRANK: 1} | {user: stored for user, (_, _, stored) in SCRIPTS.items()})
    return truth


def _wait_until_quiet(mta: PostfixToDovecot) -> None:
    """Until no queue file is left for a second."""
    spool = mta.root / "var" / "spool" / "postfix"
    deadline = time.monotonic() + _SECONDS_MAX
    quiet = 0
    while quiet < 5:
        folders = ("maildrop", "incoming", "active", "deferred")
        waiting = any(path.is_file() for name in folders for path in (spool / name).rglob("*"))
        quiet = 0 if waiting else quiet + 1
        if time.monotonic() > deadline:
            raise LocalEngineError("Postfix did not empty its queue in time.", "Look at the log.")
        time.sleep(0.2)

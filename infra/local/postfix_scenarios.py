"""A real Postfix in unusual set-ups, driven by scenarios that know what came of each recipient without reading the log.

A scenario hands mail in, checks what the client was told, and writes down its truth. At the end the truth is held
against what the sink took and what lies in the mailboxes; where they differ the scenario is wrong, and nothing is kept.
"""

import base64
import contextlib
import shutil
import smtplib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from infra.local.auth import PASSWORD
from infra.local.postfix import Extra, LocalPostfix
from infra.local.process import LocalEngineError, free_port
from infra.local.scenario import QUIET_SECONDS_MAX, Client
from infra.local.sink import Sink
from schemas.envelope import Envelope, ip_text

SECRET: Final = "Zq7SecretWordOfAStranger"  # noqa: S105  (in subject, body, replies, pipe output; in no record)
BODY: Final = f"Subject: {SECRET}\r\n\r\n{SECRET}: a body that no record may hold.\r\n"
OUTSIDE: Final = Client("203.0.113.7", 40_007, "mail.example.net")
INSIDE: Final = Client("192.0.2.20", 40_020, "desk.example.org")


class Told(NamedTuple):
    """What must be recorded of one recipient.

    None where the log cannot say it, no outcome where it says nothing at all; `why` says why. `at` = where it came to
    lie: `sink`, `mailbox`, or empty. `client_ip` is None where no client handed it in.
    """

    scenario: str
    outcome: str
    sender: str | None
    recipient: str | None
    client_ip: str | None
    kind: str = "MESSAGE"
    event: str = "DELIVERY"
    original: str | None = None
    user: str | None = None
    flags: tuple[str, ...] = ()
    is_final: bool = True
    at: str = ""
    why: str = ""

    def recorded(self) -> tuple[Any, ...]:
        """What of it is compared with a record."""
        return (
            *(self.event, self.outcome, self.kind, self.sender, self.recipient, self.original),
            *(self.client_ip, self.user, tuple(sorted(self.flags)), self.is_final),
        )


def recorded(envelope: Envelope) -> tuple[Any, ...]:
    """The same of a record."""
    ip = envelope["sender_ip"]
    return (
        *(envelope["event"], envelope["outcome"], envelope["kind"], envelope["sender"], envelope["recipient"]),
        *(envelope["original_recipient"], None if ip is None else ip_text(ip), envelope["authenticated_user"]),
        *(tuple(sorted(envelope["flags"])), envelope["is_final"]),
    )


class World:
    """One Postfix, its sink, and the truth so far. `ports` are listeners of master.cf by name."""

    def __init__(self, home: Path, names: Sequence[str] = ()) -> None:
        """Nothing runs. Ports are free ones for `smtp` and `names`."""
        self.home = home
        self.sink = Sink()
        self.ports = {name: free_port() for name in ("smtp", *names)}
        self.mta = LocalPostfix(home, self.sink.port)
        self.others: list[LocalPostfix] = []  # instances beside it
        self.filters: list[str] = []  # of the settings that its log is read with
        self.added: list[str] = []  # the same
        self.told: list[Told] = []
        self.lay_in_mailbox: list[tuple[str, str]] = []  # (sender, recipient) that the log writes in another way

    def start(self, extra: Extra, *, long_queue_ids: bool = True) -> None:
        """Start sink and Postfix, with an empty queue and log."""
        self.sink.start()
        self.mta = LocalPostfix(self.home, self.sink.port, long_queue_ids=long_queue_ids, extra=extra)
        self.mta.smtp_port = self.ports["smtp"]
        self.mta.forget()
        shutil.rmtree(self.mta.root / "home", ignore_errors=True)
        self.mta.start()

    def beside(self, service: str, extra: Extra) -> None:
        """Start a second instance, postfix-`service`, with a queue of its own and short queue ids, in the same log."""
        mta = LocalPostfix(self.home, self.sink.port, long_queue_ids=False, extra=extra, name=f"postfix-{service}")
        mta.smtp_port = self.ports[service]
        shutil.rmtree(mta.spool, ignore_errors=True)
        self.others.append(mta)
        mta.start()

    def restart(self, extra: Extra) -> None:
        """Stop Postfix and start it with other settings: queue and log go on."""
        time.sleep(1)  # for what is still on its way to the log
        self.mta.stop()
        port = self.mta.smtp_port
        self.mta = LocalPostfix(self.home, self.sink.port, extra=extra)
        self.mta.smtp_port = port
        self.mta.start()

    def stop(self) -> None:
        """Stop what was started."""
        for mta in (*self.others, self.mta):
            mta.stop()
        self.sink.stop()

    @contextlib.contextmanager
    def session(
        self,
        client: Client | None = OUTSIDE,
        *,
        service: str = "smtp",
        helo: str = "client.example.net",
        forwarded: str = "",
        host: str = "127.0.0.1",
    ) -> Iterator[smtplib.SMTP]:
        """An SMTP session whose client is named by XCLIENT, or by `forwarded` as XFORWARD's text, or is loopback."""
        with smtplib.SMTP(host, self.ports[service], local_hostname=helo, timeout=60) as smtp:
            smtp.ehlo()
            if forwarded:
                check(smtp.docmd("XFORWARD", forwarded), 250)
            elif client is not None:
                address = f"IPV6:{client.ip}" if ":" in client.ip else client.ip
                port = f" PORT={client.port}" if client.port else ""
                check(smtp.docmd("XCLIENT", f"ADDR={address}{port} NAME={client.name}"), 220)
                smtp.ehlo()
            yield smtp

    def add(self, scenario: str, *told: tuple[Any, ...], **shared: Any) -> None:
        """Write down (outcome, sender, recipient, client_ip) with what they share."""
        for outcome, sender, recipient, client_ip in told:
            at = {"SENT": "sink", "DELIVERED": "mailbox"}.get(outcome, "")
            values = {"at": at} | shared
            self.told.append(Told(scenario, outcome, sender, recipient, client_ip, **values))

    def quiet(self, *ignored: str) -> None:
        """Wait until no queue file is left, but in the folders `ignored`. LocalEngineError after QUIET_SECONDS_MAX."""
        deadline = time.monotonic() + QUIET_SECONDS_MAX
        quiet = 0
        while quiet < 4:
            names = {"maildrop", "incoming", "active", "deferred", "hold"} - set(ignored)
            spools = [mta.spool for mta in (self.mta, *self.others)]
            waiting = any(path.is_file() for spool in spools for name in names for path in (spool / name).rglob("*"))
            quiet = 0 if waiting else quiet + 1
            if time.monotonic() > deadline:
                raise LocalEngineError("Postfix did not empty its queue in time.", f"Look at {self.mta.log_file}.")
            time.sleep(0.2)

    def check(self) -> None:
        """What we hold for sent and stored is what the sink took and the mailboxes hold; and the log is complete."""
        time.sleep(1)
        taken = Counter((entry.sender.strip("<>"), entry.recipient) for entry in self.sink.taken)
        stored = Counter(self._stored())
        for at, there in (("sink", taken), ("mailbox", stored)):
            said = Counter((told.sender or "", told.recipient or "") for told in self.told if told.at == at)
            said.update(self.lay_in_mailbox if at == "mailbox" else ())
            if said != there:
                raise LocalEngineError(
                    f"{at}: said but not there {list((said - there).items())}, "
                    f"there but not said {list((there - said).items())}.",
                    "The scenario is wrong, not a record.",
                )

    def _stored(self) -> Iterator[tuple[str, str]]:
        """(sender, recipient) of every message in a mailbox, as the delivery agent wrote them into it."""
        for folder in ("var/mail/virtual", "home"):
            for path in (self.mta.root / folder).rglob("new/*"):
                head = path.read_bytes().partition(b"\n\n")[0].decode("utf-8", "backslashreplace")
                fields = dict(line.split(": ", 1) for line in reversed(head.splitlines()) if ": " in line)
                yield fields["Return-Path"].strip("<>"), fields["Delivered-To"]


def check(reply: tuple[int, bytes], *codes: int) -> bytes:
    """What the client was told, when its code is one of these. LocalEngineError when not."""
    if reply[0] not in codes:
        raise LocalEngineError(f"Postfix said {reply[0]} {reply[1]!r}, not {codes}.", "The scenario is wrong.")
    return reply[1]


def hand_in(
    smtp: smtplib.SMTP, sender: str, recipients: Sequence[str], *headers: str, body: str = BODY, options: str = ""
) -> str:
    """Hand in a message that is taken; its queue id."""
    check(smtp.docmd("MAIL", f"FROM:<{sender}>{options}"), 250)
    for recipient in recipients:
        check(smtp.docmd("RCPT", f"TO:<{recipient}>"), 250)
    reply = check(smtp.data("".join(f"{header}\r\n" for header in headers).encode() + body.encode()), 250)
    return reply.decode().rpartition(" ")[2]


def log_in(smtp: smtplib.SMTP, user: str) -> None:
    """SASL PLAIN with any name."""
    given = base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode()
    check(smtp.docmd("AUTH", f"PLAIN {given}"), 235)

"""Refusals at every stage of a session, chunks instead of DATA, loops, and next hops of other kinds."""

import asyncio
import threading
from pathlib import Path

from aiosmtpd.lmtp import LMTP

from infra.local.postfix import Extra
from infra.local.postfix_scenarios import INSIDE, OUTSIDE, SECRET, World, check, hand_in
from infra.local.process import free_port

MAIN = """\
transport_maps = inline:{{ {{ lmtp.example.net = lmtp:[127.0.0.1]:{lmtp} }} {{ closed.example.net = smtp:[127.0.0.1]:{closed} }} }}
hopcount_limit = 10
virtual_alias_maps = inline:{{ {{ team@example.org = alice@example.org bob@example.org }} {{ away@example.org = away@example.net }} {{ loop@example.org = loop@example.org }} }}
maximal_backoff_time = 300s
minimal_backoff_time = 300s
"""
MASTER = """\
127.0.0.1:{client} inet n - n - - smtpd
  -o smtpd_delay_reject=no
  -o {{ smtpd_client_restrictions = check_client_access inline:{{ {{ 203.0.113.7 = REJECT {secret} }} }} }}
127.0.0.1:{helo} inet n - n - - smtpd
  -o smtpd_delay_reject=no
  -o smtpd_helo_required=yes
  -o {{ smtpd_helo_restrictions = check_helo_access inline:{{ {{ bad.example.net = REJECT }} {{ soft.example.net = DEFER }} }} }}
127.0.0.1:{mail} inet n - n - - smtpd
  -o smtpd_delay_reject=no
  -o {{ smtpd_sender_restrictions = reject_non_fqdn_sender }}
127.0.0.1:{data} inet n - n - - smtpd
  -o {{ smtpd_data_restrictions = reject_multi_recipient_bounce }}
127.0.0.1:{end} inet n - n - - smtpd
  -o {{ smtpd_end_of_data_restrictions = check_sender_access inline:{{ {{ end@example.net = REJECT {secret} }} {{ wait@example.net = HOLD }} {{ gone@example.net = DISCARD }} }} }}
127.0.0.1:{verify} inet n - n - - smtpd
  -o {{ smtpd_etrn_restrictions = reject }}
"""
INCOMPLETE = ("RECIPIENTS_INCOMPLETE",)
REFUSAL = {"event": "REFUSAL"}


class _Mailboxes:
    """An LMTP server that takes mail, but for `no@...`."""

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if address.startswith("no@"):
            return f"550 5.1.1 <{address}> {SECRET}"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, _server, _session, envelope):
        return "250 2.0.0 <x@y> AbCdEfGhIjKlMnOpQrSt Saved"


def run(home: Path) -> World:
    """All of it; the world, stopped."""
    world = World(home, ("client", "helo", "mail", "data", "end", "verify"))
    lmtp = free_port()
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: LMTP(_Mailboxes(), loop=loop), "127.0.0.1", lmtp))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    world.start(Extra(MAIN.format(lmtp=lmtp, closed=free_port()), MASTER.format(**world.ports, secret=SECRET)))
    try:
        for scenario in (_early, _data, _end, _chunks, _loops, _hops):
            scenario(world)
        world.quiet()
        world.check()
    finally:
        world.stop()
        loop.call_soon_threadsafe(server.close)
    return world


def _early(world: World) -> None:
    """Refused before there is a recipient: a record without one."""
    with world.session(None, service="client") as smtp:
        check(smtp.docmd("XCLIENT", f"ADDR={OUTSIDE.ip} PORT={OUTSIDE.port} NAME={OUTSIDE.name}"), 554)
    world.add("refused at CONNECT", ("REFUSED", None, None, OUTSIDE.ip), **REFUSAL)
    for helo, flags in (("bad.example.net", ()), ("soft.example.net", ("TEMPORARY",))):
        with world.session(OUTSIDE, service="helo") as smtp:
            check(smtp.docmd("HELO", helo), 450, 554)
        world.add("refused at HELO", ("REFUSED", None, None, OUTSIDE.ip), flags=flags, **REFUSAL)
    with world.session(OUTSIDE, service="mail") as smtp:
        check(smtp.docmd("MAIL", "FROM:<short@host>"), 504)
        hand_in(smtp, "", ["alice@example.org"])
    world.add("refused at MAIL", ("REFUSED", "short@host", None, OUTSIDE.ip), **REFUSAL)
    world.add("refused at MAIL", ("DELIVERED", "", "alice@example.org", OUTSIDE.ip))
    with world.session(OUTSIDE, service="verify") as smtp:
        check(smtp.docmd("VRFY", "nobody@example.org"), 550)
        check(smtp.docmd("ETRN", "example.net"), 554, 459)
    world.add("refused VRFY", ("REFUSED", None, "nobody@example.org", OUTSIDE.ip), **REFUSAL)
    world.add("refused ETRN", ("REFUSED", None, None, OUTSIDE.ip), **REFUSAL)


def _data(world: World) -> None:
    with world.session(OUTSIDE, service="data") as smtp:
        check(smtp.docmd("MAIL", "FROM:<>"), 250)
        for box in ("alice", "bob"):
            check(smtp.docmd("RCPT", f"TO:<{box}@example.org>"), 250)
        check(smtp.docmd("DATA"), 550)
    why = "Postfix names no recipient of a message that is refused at DATA when it had several."
    told = ("REFUSED", "", None, OUTSIDE.ip)
    world.add("refused at DATA", told, flags=INCOMPLETE, why=why, **REFUSAL)


def _end(world: World) -> None:
    for name, code, outcome in (("end", 554, "REFUSED"), ("gone", 250, "DISCARDED")):
        with world.session(OUTSIDE, service="end") as smtp:
            check(smtp.docmd("MAIL", f"FROM:<{name}@example.net>"), 250)
            check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 250)
            check(smtp.data(f"Subject: {SECRET}\r\n\r\n".encode()), code)
        told = (outcome, f"{name}@example.net", "alice@example.org", OUTSIDE.ip)
        world.add(f"{outcome.lower()} at the end of data", told, flags=INCOMPLETE, **REFUSAL)
    with world.session(OUTSIDE, service="end") as smtp:
        held = hand_in(smtp, "wait@example.net", ["alice@example.org", "bob@example.org"])
    world.quiet("hold")
    world.mta.run("postsuper", "-H", held)
    for box in ("alice", "bob"):
        world.add("held at the end of data", ("DELIVERED", "wait@example.net", f"{box}@example.org", OUTSIDE.ip))


def _chunks(world: World) -> None:
    with world.session(OUTSIDE) as smtp:
        check(smtp.docmd("MAIL", "FROM:<bdat@example.net>"), 250)
        check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 250)
        for text, last in (("X-A: b\r\n", ""), (f"\r\n{SECRET}\r\n", " LAST")):
            smtp.putcmd("BDAT", f"{len(text)}{last}")
            smtp.send(text)
            check(smtp.getreply(), 250)
        check(smtp.docmd("MAIL", "FROM:<bdat2@example.net>"), 250)
        check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 250)
        smtp.putcmd("BDAT", "8")
        smtp.send("X-A: b\r\n")
        check(smtp.getreply(), 250)
        check(smtp.docmd("RSET"), 250)
    world.add("chunks", ("DELIVERED", "bdat@example.net", "alice@example.org", OUTSIDE.ip))


def _loops(world: World) -> None:
    with world.session(INSIDE) as smtp:
        check(smtp.docmd("MAIL", "FROM:<hops@example.net>"), 250)
        check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 250)
        check(smtp.data(b"Received: from a by b; today\r\n" * 12 + b"\r\n"), 554)
        hand_in(smtp, "away@example.net", ["away@example.org"])
    why = "cleanup does not log that a message has too many Received headers; its client is told."
    world.add("too many hops", ("", "hops@example.net", "alice@example.org", INSIDE.ip), why=why)
    told = ("SENT", "away@example.net", "away@example.net", INSIDE.ip)
    world.add("alias to elsewhere", told, original="away@example.org")


def _hops(world: World) -> None:
    with world.session(INSIDE) as smtp:
        hand_in(smtp, "bob@example.org", ["x@lmtp.example.net", "no@lmtp.example.net"])
        closed = hand_in(smtp, "bob@example.org", ["x@closed.example.net"])
    world.add("LMTP", ("SENT", "bob@example.org", "x@lmtp.example.net", INSIDE.ip), at="")
    world.add("LMTP", ("BOUNCED", "bob@example.org", "no@lmtp.example.net", INSIDE.ip))
    world.add("LMTP", ("DELIVERED", "", "bob@example.org", None), kind="BOUNCE")
    world.quiet("deferred")
    world.mta.run("postsuper", "-d", closed)
    told = ("DELETED", "bob@example.org", "x@closed.example.net", INSIDE.ip)
    world.add("nobody listens", told, flags=("ADMINISTRATIVE",))

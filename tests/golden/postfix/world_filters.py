"""Filters before and behind the queue, with each kind of answer; and a milter."""

import contextlib
from pathlib import Path

from infra.local.content_filter import ContentFilter
from infra.local.milter import Milter
from infra.local.postfix import Extra
from infra.local.postfix_scenarios import INSIDE, OUTSIDE, SECRET, World, check, hand_in
from infra.local.scenario import Client

MASTER = """\
127.0.0.1:{told} inet n - n - - smtpd
  -o syslog_name=postfix/back
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
  -o receive_override_options=no_address_mappings
127.0.0.1:{untold} inet n - n - - smtpd
  -o receive_override_options=no_address_mappings
127.0.0.1:{before} inet n - n - - smtpd
  -o smtpd_proxy_filter=127.0.0.1:{told_filter}
127.0.0.1:{before_untold} inet n - n - - smtpd
  -o smtpd_proxy_filter=127.0.0.1:{untold_filter}
127.0.0.1:{after} inet n - n - - smtpd
  -o content_filter=smtp:[127.0.0.1]:{untold_filter}
127.0.0.1:{after_ids} inet n - n - - smtpd
  -o content_filter=smtp:[127.0.0.1]:{ids_filter}
127.0.0.1:{after_told} inet n - n - - smtpd
  -o content_filter=scan:[127.0.0.1]:{told_filter}
127.0.0.1:{milter} inet n - n - - smtpd
  -o smtpd_milters=inet:127.0.0.1:{milter_port}
scan unix - - n - - smtp
  -o smtp_send_xforward_command=yes
"""
OTHER = Client("198.51.100.23", 40_023, "other.example.net")


def run(home: Path) -> World:
    """All of it; the world, stopped."""
    services = ("told", "untold", "before", "before_untold", "after", "after_ids", "after_told", "milter")
    world = World(home, services)
    milter = Milter()
    filters = {
        "told_filter": ContentFilter(world.ports["told"], own_ids=False),
        "untold_filter": ContentFilter(world.ports["untold"], own_ids=False),
        "ids_filter": ContentFilter(world.ports["untold"], own_ids=True),
    }
    ports = {name: one.port for name, one in filters.items()}
    world.filters = [f"127.0.0.1:{port}" for port in ports.values()]
    with contextlib.ExitStack() as stack:
        for one in (milter, *filters.values()):
            one.start()
            stack.callback(one.stop)
        main = "smtpd_milters =\nmilter_default_action = accept\n"
        world.start(Extra(main, MASTER.format(**world.ports, **ports, milter_port=milter.port)))
        stack.callback(world.stop)
        for scenario in (_before, _after, _own_ids, _one_message_id, _refusing, _milter_ends, _milter_changes):
            scenario(world)
        world.quiet()
        world.check()
    return world


def _before(world: World) -> None:
    for service in ("before", "before_untold"):
        sender = f"{service.replace('_', '-')}@example.net"
        with world.session(OUTSIDE, service=service) as smtp:
            hand_in(smtp, sender, ["alice@example.org", "bob@example.org"])
        for to in ("alice@example.org", "bob@example.org"):
            world.add(f"proxy filter ({service})", ("DELIVERED", sender, to, OUTSIDE.ip))
    blocked = {"event": "REFUSAL", "flags": ("RECIPIENTS_INCOMPLETE",)}
    with world.session(OUTSIDE, service="before") as smtp:
        check(smtp.docmd("MAIL", "FROM:<blocked@example.net>"), 250)
        check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 250)
        check(smtp.docmd("RCPT", "TO:<bob@example.org>"), 250)
        check(smtp.data(f"X-Filter: block\r\nSubject: {SECRET}\r\n\r\n".encode()), 550)
    world.add("proxy filter blocks", ("REFUSED", "blocked@example.net", "alice@example.org", OUTSIDE.ip), **blocked)
    why = "Of a message refused at its end, the log names one recipient only."
    world.add("proxy filter blocks", ("", "blocked@example.net", "bob@example.org", OUTSIDE.ip), why=why)


def _after(world: World) -> None:
    for service in ("after", "after_told"):
        sender = f"{service.replace('_', '-')}@example.net"
        with world.session(OUTSIDE, service=service) as smtp:
            hand_in(smtp, sender, ["alice@example.org", "team@example.org"])
        name = f"filter behind the queue ({service})"
        for _ in range(2):  # by herself, and by the alias
            world.add(name, ("DELIVERED", sender, "alice@example.org", OUTSIDE.ip))
        world.add(name, ("DELIVERED", sender, "bob@example.org", OUTSIDE.ip))


def _own_ids(world: World) -> None:
    with world.session(OUTSIDE, service="after_ids") as smtp:
        hand_in(smtp, "ids@example.net", ["alice@example.org"])
        hand_in(smtp, "ids2@example.net", ["bob@example.org", "carol@example.org"])
        hand_in(smtp, "ids3@example.net", ["team@example.org"])
    name = "filter with ids of its own"
    world.add(name, ("DELIVERED", "ids@example.net", "alice@example.org", OUTSIDE.ip))
    world.add(name, ("DELIVERED", "ids2@example.net", "bob@example.org", OUTSIDE.ip))
    world.add(name, ("DELIVERED", "ids2@example.net", "carol@example.org", OUTSIDE.ip))
    world.add(name, ("DELIVERED", "ids3@example.net", "alice@example.org", OUTSIDE.ip))
    world.add(name, ("DELIVERED", "ids3@example.net", "bob@example.org", OUTSIDE.ip))


def _one_message_id(world: World) -> None:
    """A list sends the same message to each of its members, by two servers, through a filter with ids of its own."""
    header = "Message-ID: <one-for-all@list.example.net>"
    for client, boxes in ((OUTSIDE, ("alice", "carol")), (OTHER, ("bob", "team"))):
        with world.session(client, service="after_ids") as smtp:
            for box in boxes:
                hand_in(smtp, f"list-{client.port}@example.net", [f"{box}@example.org"], header)
                world.quiet()
    name = "one message-id in several messages"
    world.add(name, ("DELIVERED", "list-40007@example.net", "alice@example.org", OUTSIDE.ip))
    world.add(name, ("DELIVERED", "list-40007@example.net", "carol@example.org", OUTSIDE.ip))
    for to in ("bob@example.org", "alice@example.org", "bob@example.org"):
        world.add(name, ("DELIVERED", "list-40023@example.net", to, OTHER.ip))


def _refusing(world: World) -> None:
    with world.session(OUTSIDE, service="after_ids") as smtp:
        hand_in(smtp, "carol@example.org", ["alice@example.org"], "X-Filter: block")
    name = "filter refuses what was taken"
    world.add(name, ("BOUNCED", "carol@example.org", "alice@example.org", OUTSIDE.ip))
    world.add(name, ("DELIVERED", "", "carol@example.org", None), kind="BOUNCE")


def _milter_ends(world: World) -> None:
    why = "Of a message that ends at its end of data, the log names the last recipient only."
    for wish, code, outcome, flags in (
        ("reject", 550, "REFUSED", ()),
        ("tempfail", 451, "REFUSED", ("TEMPORARY",)),
        ("discard", 250, "DISCARDED", ()),
        (f"reply 554 5.7.1 {SECRET}; from=<a@b> to=<c@d>", 554, "REFUSED", ()),
    ):
        sender = f"milter-{wish.split()[0]}@example.net"
        with world.session(OUTSIDE, service="milter") as smtp:
            check(smtp.docmd("MAIL", f"FROM:<{sender}>"), 250)
            check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 250)
            check(smtp.docmd("RCPT", "TO:<bob@example.org>"), 250)
            check(smtp.data(f"X-Milter: {wish}\r\nSubject: {SECRET}\r\n\r\n".encode()), code)
        all_flags = (*flags, "RECIPIENTS_INCOMPLETE")
        told = (outcome, sender, "bob@example.org", OUTSIDE.ip)
        world.add(f"milter: {wish.split()[0]}", told, event="REFUSAL", flags=all_flags)
        world.add(f"milter: {wish.split()[0]}", ("", sender, "alice@example.org", OUTSIDE.ip), why=why)
    with world.session(INSIDE, service="milter") as smtp:
        check(smtp.docmd("MAIL", "FROM:<milter-refuses@example.net>"), 550)
        check(smtp.docmd("MAIL", "FROM:<milter-rcpt@example.net>"), 250)
        check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 250)
        check(smtp.docmd("RCPT", "TO:<milter-refuses@example.com>"), 550)
        check(smtp.data(b"X-A: b\r\n\r\n"), 250)
    world.add("milter: MAIL", ("REFUSED", "milter-refuses@example.net", None, INSIDE.ip), event="REFUSAL")
    world.add("milter: RCPT", ("DELIVERED", "milter-rcpt@example.net", "alice@example.org", INSIDE.ip))
    refused = ("REFUSED", "milter-rcpt@example.net", "milter-refuses@example.com", INSIDE.ip)
    world.add("milter: RCPT", refused, event="REFUSAL")


def _milter_changes(world: World) -> None:
    with world.session(OUTSIDE, service="milter") as smtp:
        hand_in(smtp, "m-add@example.net", ["alice@example.org"], "X-Milter: add carol@example.org")
        hand_in(
            smtp, "m-remove@example.net", ["alice@example.org", "bob@example.org"], "X-Milter: remove bob@example.org"
        )
        hand_in(smtp, "m-sender@example.net", ["alice@example.org"], "X-Milter: sender changed@example.net")
        held = hand_in(smtp, "m-hold@example.net", ["alice@example.org"], f"X-Milter: quarantine {SECRET}")
    world.add("milter: add", ("DELIVERED", "m-add@example.net", "alice@example.org", OUTSIDE.ip))
    why = "Postfix does not log that a milter added a recipient; settings may name such addresses."
    world.add("milter: add", ("DELIVERED", "m-add@example.net", "carol@example.org", OUTSIDE.ip), why=why)
    world.add("milter: remove", ("DELIVERED", "m-remove@example.net", "alice@example.org", OUTSIDE.ip))
    why = "Postfix logs nothing of a recipient that a milter removed."
    world.add("milter: remove", ("", "m-remove@example.net", "bob@example.org", OUTSIDE.ip), why=why)
    world.add("milter: sender", ("DELIVERED", "changed@example.net", "alice@example.org", OUTSIDE.ip))
    world.quiet("hold")
    world.mta.run("postsuper", "-H", held)
    world.add("milter: quarantine", ("DELIVERED", "m-hold@example.net", "alice@example.org", OUTSIDE.ip))

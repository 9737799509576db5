"""Other forms of the same log: short queue ids, internal address form, no client ports; two instances on one host."""

import time
from pathlib import Path

from infra.local.postfix import Extra
from infra.local.postfix_scenarios import INSIDE, OUTSIDE, World, check, hand_in
from infra.local.scenario import Client

MAIN = """\
info_log_address_format = internal
smtpd_client_port_logging = no
"""
REQUOTED = ("ADDRESS_REQUOTED",)
DOUBTFUL = ("ADDRESS_REQUOTED", "AMBIGUOUS_PARSE")
OTHER = Client("198.51.100.23", 0, "other.example.net")


def run(home: Path) -> World:
    """All of it; the world, stopped."""
    world = World(home, ("out",))
    world.start(Extra(MAIN), long_queue_ids=False)
    try:
        world.beside("out", Extra())
        for scenario in (_internal, _reused, _by_hand, _instances):
            scenario(world)
        world.quiet()
        world.check()
    finally:
        world.stop()
    return world


def _internal(world: World) -> None:
    senders = {
        '"john smith"@example.net': REQUOTED,
        '"x>, size=1, nrcpt=9"@example.net': DOUBTFUL,
        '"we<i>rd, to=<z>"@example.net': DOUBTFUL,
        '"a\\\\b"@example.net': REQUOTED,
        "plain@example.net": (),
    }
    with world.session(INSIDE) as smtp:
        for sender, flags in senders.items():
            hand_in(smtp, sender, ["bob@example.org"])
            world.add("internal form, sender", ("DELIVERED", sender, "bob@example.org", INSIDE.ip), flags=flags)
        for to, flags in {'"a b"@example.net': REQUOTED, '"x> , relay=evil[6.6.6.6]:25"@example.net': DOUBTFUL}.items():
            hand_in(smtp, "to@example.net", [to])
            world.add("internal form, recipient", ("SENT", "to@example.net", to, INSIDE.ip), flags=flags)
        hand_in(smtp, "", ["bob@example.org"])
        world.add("null sender", ("DELIVERED", "", "bob@example.org", INSIDE.ip))
    with world.session(INSIDE) as smtp:
        smtp.command_encoding = "latin-1"
        hand_in(smtp, "ga\xffr@example.net", ["bob@example.org"])
    why = "Postfix writes `?` into its log for a byte that is no UTF-8."
    told = ("DELIVERED", "ga?r@example.net", "bob@example.org", INSIDE.ip)
    world.add("bytes that are no UTF-8", told, at="", why=why)
    world.lay_in_mailbox.append(("ga\\xffr@example.net", "bob@example.org"))
    with world.session(OUTSIDE) as smtp:
        check(smtp.docmd("MAIL", 'FROM:<"a; from=<b@c> to=<d@e> proto=ESMTP"@example.net>'), 250)
        check(smtp.docmd("RCPT", "TO:<nobody@example.org>"), 550)
    sender = '"a; from=<b@c> to=<d@e> proto=ESMTP"@example.net'
    refused = ("REFUSED", sender, "nobody@example.org", OUTSIDE.ip)
    world.add("refused quoted sender", refused, event="REFUSAL", flags=DOUBTFUL)


def _reused(world: World) -> None:
    """Queue files come and go: short ids have the same end again and again."""
    for number in range(30):
        with world.session(OUTSIDE) as smtp:
            hand_in(smtp, f"fast{number}@example.net", ["carol@example.org"])
        world.add("short queue ids", ("DELIVERED", f"fast{number}@example.net", "carol@example.org", OUTSIDE.ip))
        if number % 5 == 0:
            time.sleep(0.3)


def _by_hand(world: World) -> None:
    with world.session(INSIDE) as smtp:
        hand_in(smtp, "carol@example.org", ["refused@short.example.net"])
        again = hand_in(smtp, "carol@example.org", ["never@short.example.net"])
    world.add("bounce", ("BOUNCED", "carol@example.org", "refused@short.example.net", INSIDE.ip))
    world.add("bounce", ("DELIVERED", "", "carol@example.org", None), kind="BOUNCE")
    world.quiet("deferred")
    world.mta.run("postsuper", "-r", again)
    world.quiet("deferred")
    (path,) = (path for path in (world.mta.spool / "deferred").rglob("*") if path.is_file())
    world.mta.run("postsuper", "-d", path.name)
    told = ("DELETED", "carol@example.org", "never@short.example.net", INSIDE.ip)
    world.add("requeued and removed", told, flags=("ADMINISTRATIVE",))


def _instances(world: World) -> None:
    """Two queues, one log, their messages between one another."""
    with world.session(OUTSIDE) as smtp, world.session(OTHER, service="out") as other:
        for number in range(10):
            hand_in(smtp, f"in{number}@example.net", ["alice@example.org"])
            hand_in(other, f"out{number}@example.net", ["bob@example.org"])
    for number in range(10):
        world.add("two instances", ("DELIVERED", f"in{number}@example.net", "alice@example.org", OUTSIDE.ip))
        world.add("two instances", ("DELIVERED", f"out{number}@example.net", "bob@example.org", OTHER.ip))

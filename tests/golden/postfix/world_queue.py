"""What becomes of mail in the queue: aliases, forwards, pipes, notices, requeue, hold, removal, expiry, probes."""

import shutil
import time
from pathlib import Path

from infra.local.postfix import Extra
from infra.local.postfix_scenarios import INSIDE, OUTSIDE, SECRET, World, check, hand_in

MAIN = """\
alias_maps = texthash:/etc/postfix/aliases
local_recipient_maps =
home_mailbox = Maildir/
forward_path = $home/.forward
allow_mail_to_commands = alias
default_privs = nobody
transport_maps = inline:{{ {{ pipe.example.net = say }} {{ broken.example.net = broken }} }}
smtpd_recipient_restrictions = check_recipient_access texthash:/etc/postfix/recipients, reject_unlisted_recipient
address_verify_map =
unverified_recipient_reject_code = 550
always_add_missing_headers = yes
delay_warning_time = 0h
"""
MASTER = """\
127.0.0.1:{verified} inet n - n - - smtpd
  -o {{ smtpd_recipient_restrictions = reject_unverified_recipient }}
say unix - n n - - pipe flags=R user=nobody argv=/bin/sh -c {{echo '{secret} status=bounced (x)'; exec cat >/dev/null}}
broken unix - n n - - pipe flags=R user=nobody argv=/bin/sh -c {{echo '{secret} status=sent (x) dsn=2.0.0'; exit 69}}
"""
ALIASES = """\
list alice@example.org, dave@example.net
owner-list carol@example.org
plain alice@example.org, bob@example.org
command "|/bin/cat >/dev/null"
fails "|/bin/sh -c 'echo {secret}; exit 69'"
nowhere /dev/null
"""
ACCOUNTS = "dora:x:8910:8910::/home/dora:/bin/sh\nemil:x:8911:8911::/home/emil:/bin/sh\n"
HERE = "mx1.example.org"
ADMINISTRATIVE = ("ADMINISTRATIVE",)


def run(home: Path) -> World:
    """All of it; the world, stopped."""
    world = World(home, ("verified",))
    files = {
        "etc/postfix/aliases": ALIASES.format(secret=SECRET),
        "etc/postfix/recipients": "hold@example.net HOLD\n",
        "home/dora/.forward": "dora@mx1.example.org, far-dora@example.net\n",
        "home/emil/.keep": "",
    }
    master = MASTER.format(**world.ports, secret=SECRET)
    extra = Extra(MAIN.format(), master, ACCOUNTS, files, ("/bin/sh", "/bin/cat"))
    world.start(extra)
    for number, name in enumerate(("dora", "emil")):
        shutil.chown(world.mta.root / "home" / name, 8910 + number, 8910 + number)
    try:
        for scenario in (_local, _pipes, _notices, _by_hand, _requeue, _probes, _verify):
            scenario(world)
        world.quiet()
        world.restart(extra._replace(main=extra.main.replace("= 0h", "= 1s")))
        _delayed(world)
        world.restart(extra._replace(main=extra.main + "maximal_queue_lifetime = 0\nbounce_queue_lifetime = 0\n"))
        _expired(world)
        world.quiet()
        world.restart(extra)
        _all_removed(world)
        world.check()
    finally:
        world.stop()
    return world


def _local(world: World) -> None:
    with world.session(OUTSIDE) as smtp:
        hand_in(smtp, "list@example.net", [f"list@{HERE}"])
        hand_in(smtp, "plain@example.net", [f"plain@{HERE}"])
        hand_in(smtp, "forward@example.net", [f"dora@{HERE}"])
        hand_in(smtp, "unix@example.net", [f"emil@{HERE}", f"nowhere@{HERE}"])
        hand_in(smtp, "team@example.net", ["team@example.org"])
        hand_in(smtp, "bob@example.org", [f"nobody-here@{HERE}"])
    expanded = {"flags": ("EXPANDED",), "at": ""}
    world.add("list with owner", ("DELIVERED", "list@example.net", f"list@{HERE}", OUTSIDE.ip), **expanded)
    owner = "owner-list@example.org"
    # A new sender makes a new message, whose lines no longer name the list; its parent does.
    world.add("list with owner", ("DELIVERED", owner, "alice@example.org", OUTSIDE.ip))
    world.add("list with owner", ("SENT", owner, "dave@example.net", OUTSIDE.ip))
    world.add("alias", ("DELIVERED", "plain@example.net", f"plain@{HERE}", OUTSIDE.ip), **expanded)
    for to in ("alice@example.org", "bob@example.org"):
        world.add("alias", ("DELIVERED", "plain@example.net", to, OUTSIDE.ip), original=f"plain@{HERE}")
        world.add("virtual alias", ("DELIVERED", "team@example.net", to, OUTSIDE.ip), original="team@example.org")
    world.add(".forward", ("DELIVERED", "forward@example.net", f"dora@{HERE}", OUTSIDE.ip), **expanded)
    world.add(".forward", ("DELIVERED", "forward@example.net", f"dora@{HERE}", OUTSIDE.ip))
    told = ("SENT", "forward@example.net", "far-dora@example.net", OUTSIDE.ip)
    world.add(".forward", told, original=f"dora@{HERE}")
    world.add("unix mailbox", ("DELIVERED", "unix@example.net", f"emil@{HERE}", OUTSIDE.ip))
    world.add("alias to a file", ("DELIVERED", "unix@example.net", f"nowhere@{HERE}", OUTSIDE.ip), at="")
    world.add("unknown local user", ("BOUNCED", "bob@example.org", f"nobody-here@{HERE}", OUTSIDE.ip))
    world.add("unknown local user", ("DELIVERED", "", "bob@example.org", None), kind="BOUNCE")


def _pipes(world: World) -> None:
    with world.session(INSIDE) as smtp:
        hand_in(smtp, "pipe@example.net", ["x@pipe.example.net"])
        hand_in(smtp, "carol@example.org", ["y@broken.example.net", f"command@{HERE}", f"fails@{HERE}"])
    world.add("pipe", ("DELIVERED", "pipe@example.net", "x@pipe.example.net", INSIDE.ip), at="")
    world.add("pipe", ("BOUNCED", "carol@example.org", "y@broken.example.net", INSIDE.ip))
    world.add("alias to a command", ("DELIVERED", "carol@example.org", f"command@{HERE}", INSIDE.ip), at="")
    world.add("alias to a command", ("BOUNCED", "carol@example.org", f"fails@{HERE}", INSIDE.ip))
    world.add("pipe", ("DELIVERED", "", "carol@example.org", None), kind="BOUNCE")


def _notices(world: World) -> None:
    with world.session(INSIDE) as smtp:
        hand_in(smtp, "carol@example.org", ["refused@bounce.example.net", "ok@bounce.example.net"])
        for sender, to, notify in (
            ("carol@example.org", "alice@example.org", "SUCCESS,FAILURE"),
            ("carol@example.org", "dsn@relayed.example.net", "SUCCESS"),
            ("bob@example.org", "refused@never.example.net", "NEVER"),
        ):
            check(smtp.docmd("MAIL", f"FROM:<{sender}> RET=HDRS ENVID=secret-id"), 250)
            check(smtp.docmd("RCPT", f"TO:<{to}> NOTIFY={notify} ORCPT=rfc822;first@example.com"), 250)
            check(smtp.data(f"Subject: {SECRET}\r\n\r\n".encode()), 250)
    world.add("bounce", ("BOUNCED", "carol@example.org", "refused@bounce.example.net", INSIDE.ip))
    world.add("bounce", ("SENT", "carol@example.org", "ok@bounce.example.net", INSIDE.ip))
    world.add("bounce", ("DELIVERED", "", "carol@example.org", None), kind="BOUNCE")
    world.add("DSN of success", ("DELIVERED", "carol@example.org", "alice@example.org", INSIDE.ip))
    world.add("DSN of relaying", ("SENT", "carol@example.org", "dsn@relayed.example.net", INSIDE.ip))
    for name in ("DSN of success", "DSN of relaying"):
        world.add(name, ("DELIVERED", "", "carol@example.org", None), kind="DELIVERY_NOTICE")
    world.add("no DSN wanted", ("BOUNCED", "bob@example.org", "refused@never.example.net", INSIDE.ip))


def _by_hand(world: World) -> None:
    with world.session(INSIDE) as smtp:
        removed = hand_in(smtp, "alice@example.org", ["never@removed.example.net", "ok@removed.example.net"])
        held = hand_in(smtp, "alice@example.org", ["later@held.example.net"])
        expired = hand_in(smtp, "bob@example.org", ["never@by-hand.example.net"])
        world.quiet("deferred")
        world.mta.run("postsuper", "-d", removed)
        world.mta.run("postsuper", "-h", held)
        world.mta.run("postsuper", "-e", expired)
        world.mta.run("postqueue", "-f")
        world.quiet("hold")
        world.mta.run("postsuper", "-H", held)
    told = ("DELETED", "alice@example.org", "never@removed.example.net", INSIDE.ip)
    world.add("removed by hand", told, flags=ADMINISTRATIVE)
    world.add("removed by hand", ("SENT", "alice@example.org", "ok@removed.example.net", INSIDE.ip))
    world.add("held and released by hand", ("SENT", "alice@example.org", "later@held.example.net", INSIDE.ip))
    told = ("EXPIRED", "bob@example.org", "never@by-hand.example.net", INSIDE.ip)
    world.add("expired by hand", told, flags=ADMINISTRATIVE)
    world.add("expired by hand", ("DELIVERED", "", "bob@example.org", None), kind="BOUNCE")
    world.quiet()


def _requeue(world: World) -> None:
    with world.session(INSIDE) as smtp:
        held = hand_in(smtp, "bob@example.org", ["hold@example.net"])
        again = hand_in(smtp, "bob@example.org", ["ok@again.example.net", "never@again.example.net"])
    world.quiet("hold", "deferred")
    world.mta.run("postsuper", "-r", held)
    world.mta.run("postsuper", "-r", again)
    world.quiet("deferred")
    world.add("requeued from hold", ("SENT", "bob@example.org", "hold@example.net", INSIDE.ip))
    world.add("requeued", ("SENT", "bob@example.org", "ok@again.example.net", INSIDE.ip))
    (path,) = (path for path in (world.mta.spool / "deferred").rglob("*") if path.is_file())
    world.mta.run("postsuper", "-d", path.name)
    told = ("DELETED", "bob@example.org", "never@again.example.net", INSIDE.ip)
    world.add("requeued", told, flags=ADMINISTRATIVE)


def _probes(world: World) -> None:
    with world.session(INSIDE, service="verified") as smtp:
        hand_in(smtp, "probe@example.net", ["ok@probe.example.net"])
        check(smtp.docmd("MAIL", "FROM:<probe@example.net>"), 250)
        check(smtp.docmd("RCPT", "TO:<refused@probe.example.net>"), 550)
    world.add("address probe", ("SENT", "probe@example.net", "ok@probe.example.net", INSIDE.ip))
    told = ("REFUSED", "probe@example.net", "refused@probe.example.net", INSIDE.ip)
    world.add("address probe", told, event="REFUSAL")


def _verify(world: World) -> None:
    """`sendmail -bv` sends nothing but its report; `-v` sends the mail, and a report."""
    text = f"Subject: {SECRET}\n\n{SECRET}\n".encode()
    world.mta.run(
        "sendmail", "-bv", "-f", "alice@example.org", "ok@bv.example.net", "refused@bv.example.net", given=text
    )
    world.add("sendmail -bv", ("DELIVERED", "", "alice@example.org", None), kind="DELIVERY_NOTICE")
    world.quiet()
    world.mta.run("sendmail", "-v", "-f", "alice@example.org", "ok@v.example.net", given=text)
    world.add("sendmail -v", ("SENT", "alice@example.org", "ok@v.example.net", None))
    world.add("sendmail -v", ("DELIVERED", "", "alice@example.org", None), kind="DELIVERY_NOTICE")
    world.quiet()


def _delayed(world: World) -> None:
    with world.session(INSIDE) as smtp:
        delayed = hand_in(smtp, "alice@example.org", ["never@delay.example.net"])
    deadline = time.monotonic() + 30
    while b"delay notification" not in world.mta.log_file.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.2)
    world.quiet("deferred")
    world.mta.run("postsuper", "-d", delayed)
    world.add("delay notice", ("DELIVERED", "", "alice@example.org", None), kind="DELAY_NOTICE")
    told = ("DELETED", "alice@example.org", "never@delay.example.net", INSIDE.ip)
    world.add("delay notice", told, flags=ADMINISTRATIVE)


def _expired(world: World) -> None:
    with world.session(INSIDE) as smtp:
        hand_in(smtp, "alice@example.org", ["never@expired.example.net", "ok@expired.example.net"])
    world.add("expired", ("EXPIRED", "alice@example.org", "never@expired.example.net", INSIDE.ip))
    world.add("expired", ("SENT", "alice@example.org", "ok@expired.example.net", INSIDE.ip))
    world.add("expired", ("DELIVERED", "", "alice@example.org", None), kind="BOUNCE")


def _all_removed(world: World) -> None:
    with world.session(INSIDE) as smtp:
        for to in ("never@all1.example.net", "never@all2.example.net"):
            hand_in(smtp, "alice@example.org", [to])
    world.quiet("deferred")
    world.mta.run("postsuper", "-d", "ALL")
    why = "postsuper -d ALL logs a number and no queue ids: what was open stays open, and coverage has a loss marker."
    for to in ("never@all1.example.net", "never@all2.example.net"):
        told = ("DEFERRED", "alice@example.org", to, INSIDE.ip)
        world.add("all removed by hand", told, flags=("PARTIAL_END",), is_final=False, why=why)

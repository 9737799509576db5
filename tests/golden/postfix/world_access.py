"""What Postfix is told to do with mail: access maps, header and body checks, copies, rewriting, postscreen, transports."""

import socket
from pathlib import Path

from infra.local.postfix import Extra
from infra.local.postfix_scenarios import INSIDE, OUTSIDE, SECRET, World, check, hand_in

NAMES = ("alice", "bob", "carol", "archive", "sent", "got", "discard", "hold", "redirect", "bcc", "warn", "info", "old")
MAIN = """\
virtual_mailbox_maps = inline:{{ {boxes} }}
transport_maps = inline:{{ {{ drop.example.net = discard:silently }} {{ dead.example.net = error:5.1.2 {secret} }} {{ soft.example.net = soft }} }}
smtpd_sender_restrictions = check_sender_access texthash:/etc/postfix/senders
header_checks = regexp:/etc/postfix/headers
body_checks = regexp:/etc/postfix/body
postscreen_access_list =
postscreen_greet_wait = 1s
postscreen_greet_action = enforce
postscreen_upstream_proxy_protocol = haproxy
postscreen_cache_map =
"""
MASTER = """\
127.0.0.1:{access} inet n - n - - smtpd
  -o {{ smtpd_recipient_restrictions = check_recipient_access texthash:/etc/postfix/recipients, reject_unlisted_recipient }}
127.0.0.1:{copies} inet n - n - - smtpd
  -o cleanup_service_name=cleanup_copies
cleanup_copies unix n - n - 0 cleanup
  -o syslog_name=postfix/copies
  -o always_bcc=archive@example.org
  -o {{ recipient_bcc_maps = inline:{{ {{ alice@example.org = got@example.org }} }} }}
  -o {{ sender_bcc_maps = inline:{{ {{ bob@example.org = sent@example.org }} }} }}
127.0.0.1:{rewrites} inet n - n - - smtpd
  -o cleanup_service_name=cleanup_rewrites
  -o local_header_rewrite_clients=
cleanup_rewrites unix n - n - 0 cleanup
  -o {{ sender_canonical_maps = inline:{{ {{ internal@example.org = Public@example.org }} }} }}
  -o {{ recipient_canonical_maps = inline:{{ {{ old@example.org = carol@example.org }} }} }}
  -o {{ masquerade_domains = example.org }}
127.0.0.1:{softly} inet n - n - - smtpd
  -o soft_bounce=yes
127.0.0.1:{postscreen} inet n - n - 1 postscreen
127.0.0.1:{deep} inet n - n - 1 postscreen
  -o postscreen_pipelining_enable=yes
smtpd pass - - n - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
soft unix - - n - - smtp
  -o soft_bounce=yes
"""
RECIPIENTS = """\
discard@example.org DISCARD
hold@example.org HOLD
redirect@example.org REDIRECT bob@example.org
bcc@example.org BCC archive@example.org
warn@example.org WARN {secret}; from=<a@b> to=<c@d> proto=ESMTP helo=<e>
info@example.org INFO {secret}
filter@example.com FILTER smtp:[127.0.0.1]:{sink}
reject@example.org REJECT {secret}; from=<a@b> to=<c@d> proto=ESMTP helo=<e>
later@example.org DEFER {secret}
"""
SENDERS = """\
nobody@example.net REJECT {secret}
drop@example.net DISCARD
wait@example.net HOLD
"""
HEADERS = """\
/^X-Discard:/ DISCARD noted
/^X-Hold:/ HOLD
/^X-Redirect:/ REDIRECT bob@example.org
/^X-Reject:/ REJECT no
/^X-Filter:/ FILTER smtp:[127.0.0.1]:{sink}
/^X-Bcc:/ BCC archive@example.org
/^X-Prepend:/ PREPEND X-More: more
/^X-Replace:/ REPLACE X-Other: other
/^X-Strip:/ STRIP
/^X-Info:/ INFO
"""
BODY = "/^stop here/ REJECT body\n/^look here/ WARN\n"
INCOMPLETE = ("RECIPIENTS_INCOMPLETE",)
REFUSAL = {"event": "REFUSAL"}


def run(home: Path) -> World:
    """All of it; the world, stopped."""
    world = World(home, ("access", "copies", "rewrites", "softly", "postscreen", "deep"))
    texts = {"recipients": RECIPIENTS, "senders": SENDERS, "headers": HEADERS, "body": BODY}
    files = {f"etc/postfix/{name}": text.format(secret=SECRET, sink=world.sink.port) for name, text in texts.items()}
    main = MAIN.format(boxes=" ".join(f"{{{name}@example.org={name}/}}" for name in NAMES), secret=SECRET)
    world.added = ["archive@example.org", "sent@example.org"]
    world.start(Extra(main, MASTER.format(**world.ports), files=files))
    try:
        for scenario in (_access, _senders, _headers, _copies, _rewriting, _transports, _softly, _postscreen):
            scenario(world)
        world.quiet()
        world.check()
    finally:
        world.stop()
    return world


def _access(world: World) -> None:
    why = "Postfix discards the whole message and names only the recipient whose entry says so."
    for number, boxes in enumerate((("discard", "alice"), ("alice", "discard"))):
        sender = f"discard{number}@example.net"
        with world.session(OUTSIDE, service="access") as smtp:
            hand_in(smtp, sender, [f"{box}@example.org" for box in boxes])
        told = ("DISCARDED", sender, "discard@example.org", OUTSIDE.ip)
        world.add("access DISCARD", told, flags=INCOMPLETE, **REFUSAL)
        world.add("access DISCARD", ("", sender, "alice@example.org", OUTSIDE.ip), why=why)
    for number, boxes in enumerate((("hold",), ("alice", "hold"))):
        sender = f"hold{number}@example.net"
        with world.session(OUTSIDE, service="access") as smtp:
            held = hand_in(smtp, sender, [f"{box}@example.org" for box in boxes])
        world.quiet("hold")
        world.mta.run("postsuper", "-H", held)
        for box in boxes:
            world.add("access HOLD", ("DELIVERED", sender, f"{box}@example.org", OUTSIDE.ip))
    with world.session(OUTSIDE, service="access") as smtp:
        held = hand_in(smtp, "held@example.net", ["hold@example.org"])
    world.quiet("hold")
    world.mta.run("postsuper", "-d", held)
    flags = ("ADMINISTRATIVE", "RECIPIENTS_INCOMPLETE")
    world.add("held and removed", ("DELETED", "held@example.net", "hold@example.org", OUTSIDE.ip), flags=flags)
    with world.session(OUTSIDE, service="access") as smtp:
        hand_in(smtp, "redirect@example.net", ["redirect@example.org", "alice@example.org"])
        hand_in(smtp, "bcc@example.net", ["bcc@example.org"])
        hand_in(smtp, "bcc2@example.net", ["alice@example.org", "bcc@example.org"])
        hand_in(smtp, "warn@example.net", ["warn@example.org", "info@example.org"])
        for box, code in (("reject", 554), ("later", 450)):
            check(smtp.docmd("MAIL", f"FROM:<{box}@example.net>"), 250)
            check(smtp.docmd("RCPT", f"TO:<{box}@example.org>"), code)
            check(smtp.docmd("RSET"), 250)
    told = ("DELIVERED", "redirect@example.net", "bob@example.org", OUTSIDE.ip)
    world.add("access REDIRECT", told, original="alice@example.org")  # one copy for both
    added = ("ADDED_BY_SERVER",)
    for sender, boxes in (("bcc@example.net", ("bcc",)), ("bcc2@example.net", ("alice", "bcc"))):
        for box in boxes:
            world.add("access BCC", ("DELIVERED", sender, f"{box}@example.org", OUTSIDE.ip))
        world.add("access BCC", ("DELIVERED", sender, "archive@example.org", OUTSIDE.ip), flags=added)
    for box in ("warn", "info"):
        world.add("access WARN and INFO", ("DELIVERED", "warn@example.net", f"{box}@example.org", OUTSIDE.ip))
    world.add("access REJECT", ("REFUSED", "reject@example.net", "reject@example.org", OUTSIDE.ip), **REFUSAL)
    later = ("REFUSED", "later@example.net", "later@example.org", OUTSIDE.ip)
    world.add("access DEFER", later, flags=("TEMPORARY",), **REFUSAL)
    with world.session(INSIDE, service="access") as smtp:
        hand_in(smtp, "filter@example.net", ["filter@example.com"])
    world.add("access FILTER", ("SENT", "filter@example.net", "filter@example.com", INSIDE.ip))


def _senders(world: World) -> None:
    with world.session(OUTSIDE) as smtp:
        check(smtp.docmd("MAIL", "FROM:<nobody@example.net>"), 250)
        check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 554)
        check(smtp.docmd("RSET"), 250)
        hand_in(smtp, "drop@example.net", ["alice@example.org", "bob@example.org"])
        held = hand_in(smtp, "wait@example.net", ["alice@example.org", "bob@example.org"])
    world.add("sender REJECT", ("REFUSED", "nobody@example.net", "alice@example.org", OUTSIDE.ip), **REFUSAL)
    told = ("DISCARDED", "drop@example.net", "alice@example.org", OUTSIDE.ip)
    world.add("sender DISCARD", told, flags=INCOMPLETE, **REFUSAL)
    why = "Postfix logs the action once, with the recipient at which it was decided."
    world.add("sender DISCARD", ("", "drop@example.net", "bob@example.org", OUTSIDE.ip), why=why)
    world.quiet("hold")
    world.mta.run("postsuper", "-H", held)
    for to in ("alice@example.org", "bob@example.org"):
        world.add("sender HOLD", ("DELIVERED", "wait@example.net", to, OUTSIDE.ip))


def _headers(world: World) -> None:
    fake = f"{SECRET} from evil[6.6.6.6]; from=<a@b> to=<c@d> proto=ESMTP helo=<e>"
    boxes = ["alice@example.org", "carol@example.org"]
    why = "Of a message that ends at its headers, the log names the last recipient only."
    for action, code, outcome in (("Discard", 250, "DISCARDED"), ("Reject", 550, "REFUSED")):
        sender = f"h-{action.lower()}@example.net"
        with world.session(OUTSIDE) as smtp:
            check(smtp.docmd("MAIL", f"FROM:<{sender}>"), 250)
            for to in boxes:
                check(smtp.docmd("RCPT", f"TO:<{to}>"), 250)
            check(smtp.data(f"X-{action}: {fake}\r\n\r\n".encode()), code)
        told = (outcome, sender, boxes[-1], OUTSIDE.ip)
        world.add(f"header {action}", told, flags=("AMBIGUOUS_PARSE", *INCOMPLETE), **REFUSAL)
        world.add(f"header {action}", ("", sender, boxes[0], OUTSIDE.ip), why=why)
    with world.session(OUTSIDE) as smtp:
        held = hand_in(smtp, "h-hold@example.net", boxes, f"X-Hold: {fake}")
        hand_in(smtp, "h-redirect@example.net", boxes, f"X-Redirect: {fake}")
        hand_in(smtp, "h-filter@example.net", ["alice@example.org"], f"X-Filter: {fake}")
        hand_in(smtp, "h-bcc@example.net", ["alice@example.org"], f"X-Bcc: {fake}")
        hand_in(
            smtp,
            "h-more@example.net",
            ["alice@example.org"],
            *(f"X-{a}: {fake}" for a in ("Prepend", "Replace", "Strip", "Info")),
        )
        hand_in(smtp, "b-warn@example.net", ["alice@example.org"], body=f"\r\nlook here {fake}\r\n")
        check(smtp.docmd("MAIL", "FROM:<b-reject@example.net>"), 250)
        check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 250)
        check(smtp.data(f"\r\nstop here {fake}\r\n".encode()), 550)
    world.quiet("hold")
    world.mta.run("postsuper", "-H", held)
    for to in boxes:
        world.add("header HOLD", ("DELIVERED", "h-hold@example.net", to, OUTSIDE.ip))
    told = ("DELIVERED", "h-redirect@example.net", "bob@example.org", OUTSIDE.ip)
    world.add("header REDIRECT", told, original="alice@example.org")  # one copy for both
    world.add("header FILTER", ("SENT", "h-filter@example.net", "alice@example.org", OUTSIDE.ip))
    world.add("header BCC", ("DELIVERED", "h-bcc@example.net", "alice@example.org", OUTSIDE.ip))
    copy = ("DELIVERED", "h-bcc@example.net", "archive@example.org", OUTSIDE.ip)
    world.add("header BCC", copy, flags=("ADDED_BY_SERVER",))
    world.add("header changes", ("DELIVERED", "h-more@example.net", "alice@example.org", OUTSIDE.ip))
    world.add("body WARN", ("DELIVERED", "b-warn@example.net", "alice@example.org", OUTSIDE.ip))
    told = ("REFUSED", "b-reject@example.net", "alice@example.org", OUTSIDE.ip)
    world.add("body REJECT", told, flags=("AMBIGUOUS_PARSE", *INCOMPLETE), **REFUSAL)


def _copies(world: World) -> None:
    with world.session(INSIDE, service="copies") as smtp:
        hand_in(smtp, "bob@example.org", ["alice@example.org", "far@example.net"])
    world.add("copies", ("DELIVERED", "bob@example.org", "alice@example.org", INSIDE.ip))
    world.add("copies", ("SENT", "bob@example.org", "far@example.net", INSIDE.ip))
    for box in ("archive", "sent", "got"):
        why = "The log does not tell a copy from a recipient; the setting added_recipients does, here for all but got@."
        told = ("DELIVERED", "bob@example.org", f"{box}@example.org", INSIDE.ip)
        world.add("copies", told, flags=("ADDED_BY_SERVER",) if box != "got" else (), why=why)


def _rewriting(world: World) -> None:
    with world.session(INSIDE, service="rewrites") as smtp:
        check(smtp.docmd("MAIL", "FROM:<internal@example.org>"), 250)
        check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 250)
        check(smtp.docmd("RCPT", "TO:<nobody@example.org>"), 550)
        check(smtp.data(b"X-A: b\r\n\r\n"), 250)
        hand_in(smtp, "box@deep.example.org", ["old@example.org"])
    world.add("canonical", ("DELIVERED", "Public@example.org", "alice@example.org", INSIDE.ip))
    world.add("canonical", ("REFUSED", "internal@example.org", "nobody@example.org", INSIDE.ip), **REFUSAL)
    told = ("DELIVERED", "box@example.org", "carol@example.org", INSIDE.ip)
    world.add("masquerade", told, original="old@example.org")


def _transports(world: World) -> None:
    world.mta.submit("carol@example.org", ["x@drop.example.net", "y@dead.example.net"], b"Subject: a\n\n")
    with world.session(INSIDE) as smtp:
        soft = hand_in(smtp, "alice@example.org", ["refused@soft.example.net"])
    world.add("discard transport", ("DISCARDED", "carol@example.org", "x@drop.example.net", None))
    world.add("error transport", ("BOUNCED", "carol@example.org", "y@dead.example.net", None))
    world.add("error transport", ("DELIVERED", "", "carol@example.org", None), kind="BOUNCE")
    world.quiet("deferred")
    world.mta.run("postsuper", "-d", soft)
    told = ("DELETED", "alice@example.org", "refused@soft.example.net", INSIDE.ip)
    world.add("soft bounce", told, flags=("ADMINISTRATIVE",))


def _softly(world: World) -> None:
    with world.session(OUTSIDE, service="softly") as smtp:
        check(smtp.docmd("MAIL", "FROM:<softly@example.net>"), 250)
        check(smtp.docmd("RCPT", "TO:<nobody@example.org>"), 450)
    told = ("REFUSED", "softly@example.net", "nobody@example.org", OUTSIDE.ip)
    world.add("refusals with soft_bounce", told, flags=("TEMPORARY",), **REFUSAL)


def _postscreen(world: World) -> None:
    for service, early, code, flags in (("postscreen", True, 550, ()), ("deep", False, 450, ("TEMPORARY",))):
        sender = f"{service}@example.net"
        with socket.create_connection(("127.0.0.1", world.ports[service]), timeout=30) as connection:
            replies = connection.makefile("rb")
            connection.sendall(b"PROXY TCP4 203.0.113.77 192.0.2.1 40077 25\r\n")
            if early:
                connection.sendall(b"EHLO early.example.net\r\n")
            while not (line := replies.readline()).startswith(b"250 " if early else b"220 "):
                assert line, "postscreen hung up"
            hello = [] if early else ["EHLO late.example.net"]
            for command in [*hello, f"MAIL FROM:<{sender}>", "RCPT TO:<alice@example.org>"]:
                connection.sendall(f"{command}\r\n".encode())
                while (line := replies.readline())[3:4] == b"-":
                    pass
            check((int(line[:3]), line), code)
            connection.sendall(b"QUIT\r\n")
            replies.read()
        told = ("REFUSED", sender, "alice@example.org", "203.0.113.77")
        world.add(f"postscreen ({service})", told, flags=flags, **REFUSAL)

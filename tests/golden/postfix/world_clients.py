"""Who hands mail in: submission, front ends, IPv6, odd names and addresses, broken-off sessions."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.local.auth import AuthServer
from infra.local.postfix import Extra
from infra.local.postfix_scenarios import INSIDE, OUTSIDE, SECRET, World, check, hand_in, log_in
from infra.local.scenario import Client

MAIN = """\
inet_interfaces = 127.0.0.1, [::1]
inet_protocols = all
smtputf8_enable = yes
smtpd_authorized_xforward_hosts = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{auth}
header_checks = regexp:/etc/postfix/headers
smtpd_tls_security_level = may
smtpd_tls_chain_files = /etc/postfix/server.pem
smtpd_tls_loglevel = 1
message_size_limit = 20000
default_destination_recipient_limit = 50
"""
MASTER = """\
127.0.0.1:{submission} inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_sasl_auth_enable=yes
127.0.0.1:{gate} inet n - n - - smtpd
  -o syslog_name=gate
[::1]:{v6} inet n - n - - smtpd
"""
HEADERS = "/^X-Warn:/ WARN noted\n"


def run(home: Path) -> World:
    """All of it; the world, stopped."""
    world = World(home, ("submission", "gate", "v6"))
    auth = AuthServer()
    auth.start()
    files = {"etc/postfix/headers": HEADERS, "etc/postfix/server.pem": _certificate()}
    main = MAIN.format(auth=auth.port)
    world.start(Extra(main, MASTER.format(**world.ports), files=files))
    try:
        for scenario in (
            _front_ends,
            _submission,
            _addresses,
            _imitations,
            _many,
            _refusals,
            _broken_off,
            _sizes,
            _tls,
        ):
            scenario(world)
        world.quiet()
        world.check()
    finally:
        world.stop()
        auth.stop()
    return world


def _front_ends(world: World) -> None:
    with world.session(OUTSIDE) as smtp:
        hand_in(smtp, "xclient@example.net", ["alice@example.org"])
    world.add("xclient", ("DELIVERED", "xclient@example.net", "alice@example.org", OUTSIDE.ip))
    forwarded = "NAME=far.example.net ADDR=198.51.100.9 PORT=4009 HELO=far PROTO=ESMTP SOURCE=REMOTE IDENT=3F2A1C0D4E"
    with world.session(forwarded=forwarded) as smtp:
        hand_in(smtp, "xforward@example.net", ["alice@example.org"])
    world.add("xforward", ("DELIVERED", "xforward@example.net", "alice@example.org", "198.51.100.9"))
    with world.session(forwarded="NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE]") as smtp:
        hand_in(smtp, "xforward-unknown@example.net", ["alice@example.org"])
    why = "The front end said that it does not know the client; its own address would be a wrong one."
    world.add("xforward unknown", ("DELIVERED", "xforward-unknown@example.net", "alice@example.org", None), why=why)
    with world.session(Client("203.0.113.8", 0, "[UNAVAILABLE]")) as smtp:
        hand_in(smtp, "nameless@example.net", ["alice@example.org"])
    world.add("client without name", ("DELIVERED", "nameless@example.net", "alice@example.org", "203.0.113.8"))
    with world.session(Client("2001:db8::5", 4005, "six.example.net")) as smtp:
        hand_in(smtp, "six@example.net", ["alice@example.org"])
    world.add("IPv6 client", ("DELIVERED", "six@example.net", "alice@example.org", "2001:db8::5"))
    with world.session(None, service="v6", host="::1") as smtp:
        hand_in(smtp, "loop@example.net", ["alice@example.org"])
    world.add("IPv6 loopback", ("DELIVERED", "loop@example.net", "alice@example.org", "::1"))
    with world.session(OUTSIDE) as smtp:
        for number in range(10):
            hand_in(smtp, f"ten{number}@example.net", ["bob@example.org"])
            world.add("ten in a session", ("DELIVERED", f"ten{number}@example.net", "bob@example.org", OUTSIDE.ip))
    with world.session(OUTSIDE, service="gate") as smtp:
        hand_in(smtp, "gate@example.net", ["alice@example.org"])
    world.add("service of another name", ("DELIVERED", "gate@example.net", "alice@example.org", OUTSIDE.ip))


def _submission(world: World) -> None:
    names = {
        "alice": (),
        "bob smith, sasl_method=FAKE": ("AMBIGUOUS_PARSE",),
        "eve, orig_client=evil[6.6.6.6]": ("AMBIGUOUS_PARSE",),
        "Пётр": (),
    }
    for number, (name, flags) in enumerate(names.items()):
        sender, to = f"sasl{number}@example.org", f"far{number}@example.net"
        with world.session(OUTSIDE, service="submission") as smtp:
            log_in(smtp, name)
            hand_in(smtp, sender, [to, "carol@example.org"])
        user = name.partition(", ")[0] if flags else name
        for outcome, recipient in (("SENT", to), ("DELIVERED", "carol@example.org")):
            world.add("submission", (outcome, sender, recipient, OUTSIDE.ip), user=user, flags=flags)
    with world.session(OUTSIDE, service="submission") as smtp:
        check(smtp.docmd("AUTH", "PLAIN AGV2ZQB3cm9uZw=="), 535)
        check(smtp.docmd("MAIL", "FROM:<eve@example.org>"), 250)
        check(smtp.docmd("RCPT", "TO:<far@example.net>"), 554)
    world.add("wrong password", ("REFUSED", "eve@example.org", "far@example.net", OUTSIDE.ip), event="REFUSAL")
    world.mta.submit("root", ["alice@example.org"], f"Subject: {SECRET}\n\n{SECRET}\n".encode())
    world.add("local process", ("DELIVERED", "root@example.org", "alice@example.org", None))


def _addresses(world: World) -> None:
    quoted = ['"john smith"@example.net', '"x>, size=1, nrcpt=9"@example.net', '"we<i>rd, to=<z>"@example.net']
    with world.session(INSIDE) as smtp:
        hand_in(smtp, "", ["bob@example.org"])
        world.add("null sender", ("DELIVERED", "", "bob@example.org", INSIDE.ip))
        for sender in quoted:
            hand_in(smtp, sender, ["bob@example.org"])
            world.add("quoted sender", ("DELIVERED", sender, "bob@example.org", INSIDE.ip))
        to = '"x> , relay=evil[6.6.6.6]:25"@example.net'
        hand_in(smtp, "quoted-to@example.net", [to])
        world.add("quoted recipient", ("SENT", "quoted-to@example.net", to, INSIDE.ip))
        hand_in(smtp, "UPPER.Case@EXAMPLE.net", ["ALICE@Example.ORG"])
        world.add("case is kept", ("DELIVERED", "UPPER.Case@EXAMPLE.net", "ALICE@Example.ORG", INSIDE.ip))
        long = "l" * 64 + "@" + ".".join(["d" * 60] * 3) + ".example.net"
        hand_in(smtp, "long@example.net", [long])
        world.add("long recipient", ("SENT", "long@example.net", long, INSIDE.ip))
    with world.session(INSIDE) as smtp:
        smtp.command_encoding = "utf-8"
        hand_in(smtp, "пользователь@example.net", ["почта@example.net"], options=" SMTPUTF8")
    world.add("UTF-8", ("SENT", "пользователь@example.net", "почта@example.net", INSIDE.ip))


def _imitations(world: World) -> None:
    """Headers, message-ids, HELO and replies that look like fields of the log."""
    fields = "from=<ceo@example.org>, size=1, nrcpt=1 (queue active)"
    with world.session(OUTSIDE, helo="h>; from=<ceo@example.org> to=<spy@example.org") as smtp:
        hand_in(smtp, "warn@example.net", ["alice@example.org"], f"X-Warn: {SECRET} {fields}")
        world.add("header imitates", ("DELIVERED", "warn@example.net", "alice@example.org", OUTSIDE.ip))
        hand_in(smtp, "mid@example.net", ["alice@example.org"], f"Message-ID: <a@b>, {fields}")
        world.add("message-id imitates", ("DELIVERED", "mid@example.net", "alice@example.org", OUTSIDE.ip))
        hand_in(smtp, "two@example.net", ["alice@example.org"], "Message-ID: <1@b>", "Message-ID: <2@b>")
        extra = ("EXTRA_MESSAGE_ID",)
        world.add("two message-ids", ("DELIVERED", "two@example.net", "alice@example.org", OUTSIDE.ip), flags=extra)
        hand_in(smtp, "cut@example.net", ["alice@example.org"], "Message-ID: <" + "m" * 2400 + "@b>")
        cut = ("TRUNCATED",)
        world.add("message-id is cut", ("DELIVERED", "cut@example.net", "alice@example.org", OUTSIDE.ip), flags=cut)
        check(smtp.docmd("MAIL", "FROM:<helo@example.net>"), 250)
        check(smtp.docmd("RCPT", "TO:<nobody@example.org>"), 550)
    world.add("HELO imitates", ("REFUSED", "helo@example.net", "nobody@example.org", OUTSIDE.ip), event="REFUSAL")
    with world.session(INSIDE) as smtp:
        hand_in(smtp, "lies@example.org", ["refused@lies.example.net", "end@lies.example.net"])
    for to in ("refused@lies.example.net", "end@lies.example.net"):
        world.add("reply imitates", ("BOUNCED", "lies@example.org", to, INSIDE.ip))
    world.add("bounce without a mailbox", ("BOUNCED", "", "lies@example.org", None), kind="BOUNCE")


def _many(world: World) -> None:
    many = [f"r{number}@many.example.net" for number in range(120)]
    with world.session(INSIDE) as smtp:
        hand_in(smtp, "many@example.net", many)
        hand_in(smtp, "mixed@example.net", ["ok@m.example.net", "later@m.example.net", "refused@m.example.net"])
        hand_in(smtp, "twice@example.net", ["carol@example.org"] * 3)
        hand_in(smtp, "again@example.net", ["twice@m.example.net", "beside@m.example.net"])
    for to in many:
        world.add("many recipients", ("SENT", "many@example.net", to, INSIDE.ip))
    world.add("mixed outcomes", ("SENT", "mixed@example.net", "ok@m.example.net", INSIDE.ip))
    world.add("mixed outcomes", ("SENT", "mixed@example.net", "later@m.example.net", INSIDE.ip))
    world.add("mixed outcomes", ("BOUNCED", "mixed@example.net", "refused@m.example.net", INSIDE.ip))
    world.add("mixed outcomes", ("SENT", "", "mixed@example.net", None), kind="BOUNCE")
    world.add("repeated RCPT", ("DELIVERED", "twice@example.net", "carol@example.org", INSIDE.ip))
    for to in ("twice@m.example.net", "beside@m.example.net"):
        world.add("refused once at the end of data", ("SENT", "again@example.net", to, INSIDE.ip))


def _refusals(world: World) -> None:
    refused = {"event": "REFUSAL"}
    with world.session(OUTSIDE) as smtp:
        for _ in range(3):
            check(smtp.docmd("MAIL", "FROM:<relay@example.net>"), 250)
            check(smtp.docmd("RCPT", "TO:<far@example.com>"), 554)
            world.add("relay denied", ("REFUSED", "relay@example.net", "far@example.com", OUTSIDE.ip), **refused)
            check(smtp.docmd("RSET"), 250)
        check(smtp.docmd("MAIL", "FROM:<some@example.net>"), 250)
        check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 250)
        check(smtp.docmd("RCPT", "TO:<nobody@example.org>"), 550)
        check(smtp.docmd("RCPT", 'TO:<"x; from=<a@b> to=<c@d> proto=ESMTP"@example.org>'), 554)
        check(smtp.data(b"X-A: b\r\n\r\n"), 250)
    world.add("one of several refused", ("DELIVERED", "some@example.net", "alice@example.org", OUTSIDE.ip))
    for to in ("nobody@example.org", '"x; from=<a@b> to=<c@d> proto=ESMTP"@example.org'):
        world.add("one of several refused", ("REFUSED", "some@example.net", to, OUTSIDE.ip), **refused)


def _broken_off(world: World) -> None:
    """Nothing was taken: no record."""
    with world.session(OUTSIDE) as smtp:
        for _ in range(2):
            check(smtp.docmd("MAIL", "FROM:<reset@example.net>"), 250)
            check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 250)
            check(smtp.docmd("RSET"), 250)
        hand_in(smtp, "after-reset@example.net", ["alice@example.org"])
    world.add("after RSET", ("DELIVERED", "after-reset@example.net", "alice@example.org", OUTSIDE.ip))
    for text in ("", f"Message-ID: <lost@b>\r\nSubject: {SECRET}\r\n\r\nhalf"):
        with world.session(OUTSIDE) as smtp:
            check(smtp.docmd("MAIL", "FROM:<lost@example.net>"), 250)
            check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 250)
            check(smtp.docmd("DATA"), 354)
            smtp.send(text)
            smtp.close()
    with world.session(OUTSIDE) as smtp:
        for _ in range(21):
            code, _ = smtp.docmd("NONSENSE")
            if code == 421:
                break


def _sizes(world: World) -> None:
    with world.session(OUTSIDE) as smtp:
        check(smtp.docmd("MAIL", "FROM:<declared@example.net> SIZE=90000"), 552)
        world.add("declared too big", ("REFUSED", "declared@example.net", None, OUTSIDE.ip), event="REFUSAL")
        check(smtp.docmd("RSET"), 250)
        check(smtp.docmd("MAIL", "FROM:<big@example.net>"), 250)
        check(smtp.docmd("RCPT", "TO:<alice@example.org>"), 250)
        check(smtp.data(b"X-A: b\r\n\r\n" + b"0123456789\r\n" * 3000), 552)
    why = "The log names neither sender nor recipients of a message that grows beyond the limit."
    world.add(
        "too big", ("REFUSED", None, None, OUTSIDE.ip), event="REFUSAL", flags=("RECIPIENTS_INCOMPLETE",), why=why
    )


def _tls(world: World) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with world.session(None) as smtp:
        smtp.starttls(context=context)
        smtp.ehlo()
        hand_in(smtp, "tls@example.net", ["alice@example.org"])
    world.add("TLS", ("DELIVERED", "tls@example.net", "alice@example.org", "127.0.0.1"))


def _certificate() -> str:
    """A key and its own certificate, PEM, for as long as a trace is made."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "mx1.example.org")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(1))
    signed = built.not_valid_after(now + timedelta(2)).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode() + signed.public_bytes(serialization.Encoding.PEM).decode()

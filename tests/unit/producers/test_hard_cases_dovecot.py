"""Hard cases 17 and 80, and the lines around them: logins and LMTP deliveries of Dovecot 2.2 to 2.4.

Shapes are those of its source and of real runs (tests/golden/dovecot); names and addresses are invented.
"""

from typing import Any

import pytest

from infra.platform.settings import Site, Source
from producers import mailboxes
from producers.assemble import Assembler
from schemas.envelope import Envelope, ip_text
from tests.unit.producers.lines import NOW, SOURCE, ip, log, message, one, outcomes, read

SESSION = "gAwaBIwCB2upegAAg+zDdQ"
STORED = f"dovecot|lmtp(alice@example.org)<7><{SESSION}>: msgid=<m@example.net>: saved mail to INBOX"
OTHER_SOURCE = Source(name="mailboxes", path=SOURCE.path)


def lines(*texts: str, host: str = "mx1") -> bytes:
    """Lines of Dovecot (`dovecot|text`) and of Postfix (`daemon: text`), a second apart."""
    out = []
    for number, text in enumerate(texts):
        stamp = f"2026-11-24T09:{number // 60:02d}:{number % 60:02d}.000000Z {host} "
        if text.startswith("dovecot|"):
            out.append(f"{stamp}dovecot: {text[8:]}\n".encode())
        else:
            out.append(stamp.encode() + log(text).split(b" ", 2)[2])
    return b"".join(out)


def sent(session: str = SESSION, relay: str = "mx1[private/dovecot-lmtp]", recipient: str = "alice@example.org") -> str:
    reply = f"250 2.0.0 <{recipient}> {session} Saved"
    return f"to=<{recipient}>, relay={relay}, delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status=sent ({reply})"


def login(text: str) -> Envelope:
    return one(lines(f"dovecot|{text}"))


def counts(*texts: str) -> Any:
    assembler = Assembler(Site(), [SOURCE])
    assert assembler.read("mail", lines(*texts), 0, NOW, NOW) == []
    return assembler.take_tallies()["mail"]


def test_case_80_a_name_that_imitates_an_address_changes_none() -> None:
    record = login(
        "imap-login: Login: user=<eve, rip=6.6.6.6>>, method=PLAIN, rip=203.0.113.12, lip=192.0.2.1, mpid=9, TLS, "
        "session=<IpSdththms9/AAAB>"
    )
    assert record["recipient_ip"] == ip("203.0.113.12")
    assert record["recipient"] == record["authenticated_user"] == "eve, rip=6.6.6.6>"
    assert record["flags"] == []


def test_case_80_a_name_that_imitates_all_fields_changes_none() -> None:
    record = login(
        "imap-login: Disconnected: Connection closed (auth failed, 2 attempts in 4 secs): user=<x>, method=PLAIN, "
        "rip=6.6.6.6, lip=7.7.7.7, mpid=1, TLS, session=<AAAAAAAAAAAAAAAA>, method=PLAIN, rip=203.0.113.12, "
        "lip=192.0.2.1, session=<IpSdththms9/AAAB>"
    )
    assert (record["outcome"], record["attempts"], record["tls"]) == ("ACCESS_DENIED", 2, None)
    assert (record["recipient_ip"], record["server_ip"]) == (ip("203.0.113.12"), ip("192.0.2.1"))
    assert record["session_id"] == "IpSdththms9/AAAB"
    assert record["flags"] == ["AMBIGUOUS_PARSE"]


def test_case_80_an_access_holds_what_the_line_says() -> None:
    record = login(
        "pop3-login: Login: user=<alice@example.org>, method=PLAIN, rip=2001:db8::7, rport=4711, lip=2001:db8::1, "
        "mpid=9, TLS, TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits), session=<OChBvhthZxIgAQ24AAAAAAAAAAAA>"
    )
    assert record["event"] == "MAILBOX_ACCESS"
    assert (record["outcome"], record["access_protocol"]) == ("ACCESSED", "pop3")
    assert (record["sender"], record["sender_ip"], record["sender_ip_origin"]) == (None, None, "NOT_LOGGED")
    assert (record["recipient_ip"], record["recipient_port"]) == (bytes.fromhex("20010db8" + "0" * 23 + "7"), 4711)
    assert record["recipient_ip_origin"] == "MAILBOX_CLIENT"
    assert record["tls"] == "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"
    assert (record["mta"], record["instance"], record["queue_id"]) == ("DOVECOT", "dovecot", "")


@pytest.mark.parametrize(
    ("text", "outcome", "user", "attempts"),
    [
        ("Logged in: user=<a@b>, method=PLAIN, rip=192.0.2.9, lip=192.0.2.1, mpid=9, session=<x>", "ACCESSED", "a@b", 1),
        ("Login: user=<a>, method=PLAIN, rip=192.0.2.9, lip=192.0.2.1", "ACCESSED", "a", 1),  # 2.0: no pid, no session
        ("Login aborted: Connection closed (auth failed, 3 attempts in 15 secs) (auth_failed): user=<a>, method=PLAIN, "
         "rip=192.0.2.9, lip=192.0.2.1, TLS, session=<25Nw4GQ3Ms9QM7WQ>", "ACCESS_DENIED", "a", 3),
        ("Aborted login (auth failed, 1 attempts in 2 secs): user=<a>, method=PLAIN, rip=192.0.2.9, lip=192.0.2.1",
         "ACCESS_DENIED", "a", 1),
        ("Disconnected: Connection closed: read(size=988) failed: Connection reset by peer (auth failed, 1 attempts in 2 "
         "secs): user=<a>, method=PLAIN, rip=192.0.2.9, lip=192.0.2.1", "ACCESS_DENIED", "a", 1),
        ("Aborted login (tried to use disallowed plaintext auth): user=<>, rip=192.0.2.9, lip=192.0.2.1, "
         "method=PLAIN", None, None, 0),
        ("Aborted login (tried to use disabled plaintext auth): method=PLAIN, rip=192.0.2.9, lip=192.0.2.1",
         "ACCESS_DENIED", None, 1),
        ("Disconnected (auth failed, 2 attempts): method=PLAIN, rip=192.0.2.9, lip=192.0.2.1, TLS: Disconnected",
         "ACCESS_DENIED", None, 2),
        ("Disconnected (no auth attempts): rip=192.0.2.9, lip=192.0.2.1, TLS handshaking: Disconnected", None, None, 0),
        ("Disconnected (client didn't finish SASL auth, waited 3 secs): user=<>, method=PLAIN, rip=192.0.2.9, "
         "lip=192.0.2.1", "ACCESS_DENIED", None, 1),
        ("Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10): user=<a>, method=PLAIN, "
         "rip=192.0.2.9, lip=192.0.2.1, TLS", "ACCESS_DENIED", "a", 1),
        ("Info: Disconnected: Internal login failure (pid=1 id=1): user=<a>, method=PLAIN, rip=192.0.2.9, lip=192.0.2.1",
         "ACCESS_DENIED", "a", 1),
        ("proxy(a,192.0.2.77:143): Started proxying to <192.0.2.77> (0.030 secs): user=<a>, method=PLAIN, rip=192.0.2.9, "
         "lip=192.0.2.1, TLS", "ACCESSED", "a", 1),
    ],
)  # fmt: skip
def test_ways_in_and_ways_that_fail(text: str, outcome: str | None, user: str | None, attempts: int) -> None:
    records = read(lines(f"dovecot|imap-login: {text}"))
    if outcome is None:
        assert records == []
        return
    (record,) = records
    assert (record["outcome"], record["recipient"], record["attempts"]) == (outcome, user, attempts)
    assert record["recipient_ip"] == ip("192.0.2.9")
    assert record["authenticated_user"] == (user if outcome == "ACCESSED" else None)


@pytest.mark.parametrize(
    "reason",
    [
        "Disconnected: Connection closed (no auth attempts in 0 secs)",
        "Aborted login (no auth attempts in 3 secs)",
        "Login aborted: Connection closed (no auth attempts in 0 secs) (no_auth_attempts)",
        "Disconnected (disconnected before auth was ready, waited 0 secs)",
    ],
)
def test_who_asked_for_no_mailbox_was_refused_none(reason: str) -> None:
    tally = counts(f"dovecot|imap-login: {reason}: user=<>, rip=192.0.2.9, lip=192.0.2.1, session=<Bq38uxthRoR/AAAB>")
    assert tally.lines_ignored == {"dovecot-no-login-attempt": 1}


def test_the_port_is_taken_from_a_session_id_of_the_same_address_only() -> None:
    text = "imap-login: Login: user=<a>, method=PLAIN, rip={}, lip=192.0.2.1, session=<yG4TvBthKKDLAHEJ>"
    assert login(text.format("203.0.113.9"))["recipient_port"] == 41000
    assert login(text.format("203.0.113.8"))["recipient_port"] is None


def test_a_long_name_is_cut_by_dovecot_and_flagged() -> None:
    record = login(f"imap-login: Login: user=<{'n' * 77}...>, method=PLAIN, rip=192.0.2.9, lip=192.0.2.1")
    assert record["flags"] == ["TRUNCATED"]


def test_case_17_a_delivery_to_a_socket_is_one_record_with_the_session_of_both() -> None:
    (record,) = read(lines(*message(removed=False), STORED, f"lmtp: 4jYKJ82btYzLhNx: {sent()}"))
    assert (record["mta"], record["outcome"], record["sender"]) == ("POSTFIX", "DELIVERED", "s@example.net")
    assert (record["recipient_ip"], record["recipient_ip_origin"]) == (None, "LOCAL_DELIVERY")
    assert record["session_id"] == SESSION


@pytest.mark.parametrize("session", [SESSION, f"{SESSION}:R2", f"{SESSION}:T3:R2", f"{SESSION}:P1"])
def test_case_17_sessions_of_further_recipients_and_messages(session: str) -> None:
    stored = STORED.replace(SESSION, session)
    (record,) = read(lines(*message(removed=False), stored, f"lmtp: 4jYKJ82btYzLhNx: {sent(session)}"))
    assert record["session_id"] == session


def test_case_17_a_quoted_recipient_hides_no_session() -> None:
    delivery = sent(recipient='"a> b"@example.org')
    (record,) = read(lines(*message(removed=False), STORED, f"lmtp: 4jYKJ82btYzLhNx: {delivery}"))
    assert record["session_id"] == SESSION


DISCARDED = STORED.replace(
    "msgid=<m@example.net>: saved mail to INBOX",
    "sieve: msgid=<m@example.net>: discard action: Marked message to be discarded if not explicitly delivered "
    "(discard action)",
)


@pytest.mark.parametrize("dovecot_first", [True, False])
def test_case_17_what_sieve_threw_away_was_not_delivered(dovecot_first: bool) -> None:
    """A real syslog writes the two lines in either order."""
    pair = [DISCARDED, f"lmtp: 4jYKJ82btYzLhNx: {sent()}"]
    earlier = STORED.replace(SESSION, "BBBBBBBBBBBBBBBBBBBBBB")  # the mailbox server is heard on this host
    texts = [
        earlier,
        *message(removed=False),
        *(pair if dovecot_first else reversed(pair)),
        "qmgr: 4jYKJ82btYzLhNx: removed",
    ]
    records = [record for record in read(lines(*texts)) if record["mta"] == "POSTFIX"]
    assert [record["outcome"] for record in records] == ["DISCARDED"]
    assert records[0]["flags"] == []


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1), (1, 0, 2), (1, 2, 0), (2, 1, 0)])
def test_case_17_what_was_kept_beats_what_was_not(order: tuple[int, ...]) -> None:
    three = [DISCARDED, f"lmtp: 4jYKJ82btYzLhNx: {sent()}", STORED]
    earlier = STORED.replace(SESSION, "BBBBBBBBBBBBBBBBBBBBBB")
    texts = [earlier, *message(removed=False), *(three[place] for place in order), "qmgr: 4jYKJ82btYzLhNx: removed"]
    records = [record for record in read(lines(*texts)) if record["mta"] == "POSTFIX"]
    assert [record["outcome"] for record in records] == ["DELIVERED"]


def test_case_17_without_a_word_of_the_mailbox_server_the_record_does_not_wait_for_ever() -> None:
    earlier = STORED.replace(SESSION, "BBBBBBBBBBBBBBBBBBBBBB")
    assembler = Assembler(Site(), [SOURCE])
    data = lines(earlier, *message(removed=False), f"lmtp: 4jYKJ82btYzLhNx: {sent()}")
    assert assembler.read("mail", data, 0, NOW, NOW) == []
    made = assembler.tick(NOW)
    assert sorted((record["mta"], record["outcome"]) for record in made) == [
        ("DOVECOT", "DELIVERED"),
        ("POSTFIX", "DELIVERED"),
    ]
    assert all("PARTIAL_START" not in record["flags"] for record in made if record["mta"] == "POSTFIX")


def test_a_bound_makes_the_oldest_delivery_come_out_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailboxes, "UNCLAIMED_MAX", 2)
    texts = [STORED.replace(SESSION, f"{'A' * 21}{number}") for number in range(3)]
    assembler = Assembler(Site(), [SOURCE])
    (record,) = assembler.read("mail", lines(*texts), 0, NOW, NOW)
    assert record["session_id"] == "A" * 21 + "0"
    assert assembler.take_tallies()["mail"].loss_markers == {"deliveries-beyond-bound": 1}


def test_a_delivery_that_waits_holds_the_claim_of_completeness_back() -> None:
    assembler = Assembler(Site(), [SOURCE])
    later = STORED.replace(SESSION, "B" * 22)
    assembler.read("mail", lines(STORED, later), 0, NOW, NOW)
    tally = assembler.take_tallies()["mail"]
    assert tally.captured_through is not None
    assert tally.newest_time is not None
    assert tally.newest_time - tally.captured_through == 1_000_001
    assert len(assembler.tick(NOW)) == 2
    assert assembler.take_tallies()["mail"].captured_through == NOW - 1


def test_a_mailbox_server_alone_makes_its_own_record() -> None:
    record = one(lines("dovecot|lmtp(7): Connect from 192.0.2.5", STORED))
    assert (record["mta"], record["event"], record["outcome"]) == ("DOVECOT", "DELIVERY", "DELIVERED")
    assert (record["sender"], record["recipient"], record["message_id"]) == (
        None,
        "alice@example.org",
        "<m@example.net>",
    )
    assert (record["sender_ip"], record["sender_ip_origin"]) == (ip("192.0.2.5"), "CONNECTION")
    assert record["session_id"] == SESSION


def test_a_mailbox_server_on_another_host_is_another_server() -> None:
    """One syslog of two hosts: the mail was sent by one and stored by the other."""
    relay = "mb1[192.0.2.77]:24"
    texts = [*message(removed=False), f"lmtp: 4jYKJ82btYzLhNx: {sent(relay=relay)}"]
    records = read(lines(*texts) + lines(STORED, host="mb1"))
    assert [(record["host"], record["outcome"]) for record in records] == [("mx1", "SENT"), ("mb1", "DELIVERED")]
    assert len({record["session_id"] for record in records}) == 1


@pytest.mark.parametrize("mailboxes_first", [True, False])
def test_two_streams_of_one_host_are_one_delivery(mailboxes_first: bool) -> None:
    assembler = Assembler(Site(), [SOURCE, OTHER_SOURCE])
    own = f"Nov 24 09:00:03 {STORED[8:].replace('>: msgid', '>: Info: msgid')}\n".encode()
    chunks = [("mailboxes", own), ("mail", lines(*message(removed=False), f"lmtp: 4jYKJ82btYzLhNx: {sent()}"))]
    records = []
    for name, data in chunks if mailboxes_first else reversed(chunks):
        records += assembler.read(name, data, 0, NOW, NOW)
    records += assembler.tick(NOW)
    assert [(record["mta"], record["outcome"]) for record in records] == [("POSTFIX", "DELIVERED")]


@pytest.mark.parametrize(
    ("action", "outcome", "flags"),
    [
        ("sieve: msgid=<m@x>: stored mail into mailbox 'Spam: forwarded to <y@example.net>'", "DELIVERED", []),
        ("sieve: msgid=<m@x>: fileinto action: stored mail into mailbox 'Spam'", "DELIVERED", []),
        ("sieve: msgid=<m@x>: forwarded to <y@example.net>", "DELIVERED", ["EXPANDED"]),
        ("sieve: msgid=<m@x>: redirect action: forwarded to <y@example.net>", "DELIVERED", ["EXPANDED"]),
        ("sieve: msgid=<m@x>: redirect action: discarded duplicate forward to <y@example.net>", "DISCARDED", []),
        ("sieve: msgid=<m@x>: marked message to be discarded if not explicitly delivered (discard action)",
         "DISCARDED", []),
        ("sieve: msgid=<m@x>: reject action: rejected message from <s@example.net> (reject)", "BOUNCED", []),
        ("sieve: msgid=<m@x>: not sending reject message to <>", "DISCARDED", []),
        ("sieve: msgid=<m@x>: discarded", "DISCARDED", []),
        ("sieve: msgid=<m@x> (added by p@example.net): stored mail into mailbox 'Spam'", "DELIVERED", []),
    ],
)  # fmt: skip
def test_what_sieve_does(action: str, outcome: str, flags: list[str]) -> None:
    record = one(lines(f"dovecot|lmtp(alice@example.org)<7><{SESSION}>: {action}"))
    assert (record["outcome"], record["flags"]) == (outcome, flags)
    assert "Spam" not in repr(record)
    assert "y@example.net" not in repr(record)


@pytest.mark.parametrize(
    ("action", "rule"),
    [
        ("msgid=<m@x>: save failed to INBOX: Quota exceeded", "dovecot-delivery-failed"),
        ("sieve: msgid=<m@x>: failed to store into mailbox 'INBOX': Quota exceeded", "dovecot-delivery-failed"),
        ("sieve: msgid=<m@x>: vacation action: sent vacation response to <s@example.net>", "dovecot-sieve-note"),
        ("sieve: msgid=<m@x>: discarded vacation reply to <>", "dovecot-sieve-note"),
        ("sieve: msgid=<m@x>: not forwarding message to <y>: loop", "dovecot-sieve-note"),
        ("sieve: Failed to compile script", "dovecot-lmtp-note"),
        ("save: box=INBOX, uid=7, msgid=<m@x>, size=9, subject=secret", "dovecot-lmtp-note"),
        ("program exec:/usr/sbin/sendmail (1): Terminated", "dovecot-lmtp-note"),
        ("Error: sieve: msgid=<m@x>: redirect action: failed to redirect message", "dovecot-error"),
    ],
)
def test_what_is_no_delivery(action: str, rule: str) -> None:
    assert counts(f"dovecot|lmtp(alice@example.org)<7><{SESSION}>: {action}").lines_ignored == {rule: 1}


@pytest.mark.parametrize(
    "text",
    [
        f"lmtp(alice@example.org): {SESSION}: sieve: msgid=<m@x>: stored mail into mailbox 'INBOX'",
        f"lmtp(30301, alice@example.org): {SESSION}: msgid=<m@x>: saved mail to INBOX",
    ],
)
def test_lines_of_dovecot_2_2(text: str) -> None:
    record = one(lines(f"dovecot|{text}"))
    assert (record["recipient"], record["message_id"], record["session_id"]) == ("alice@example.org", "<m@x>", SESSION)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("imap(alice)<7><x>: Disconnected: Logged out in=1 out=2", "dovecot-session"),
        ("imap(eve, rip=6.6.6.6>)<7><x>: Logged out in=1", "dovecot-session"),
        ("IMAP(alice): Disconnected: Logged out bytes=1/2", "dovecot-session"),
        ("pop3(alice)<7><x>: Disconnected: Logged out top=0/0", "dovecot-session"),
        ("auth: passwd-file(alice,192.0.2.1,<x>): Password mismatch", "dovecot-auth"),
        ("auth-worker(7): Info: conn unix: sql(a,192.0.2.1): unknown user", "dovecot-auth"),
        ("lda(alice)<7><x>: msgid=<m>: saved mail to INBOX", "dovecot-lda"),
        ("master: Dovecot v2.3.19.1 (9b53102964) starting up", "dovecot-life"),
        ("lmtp(7): Disconnect from local: Logged out (state=READY)", "dovecot-lmtp-note"),
        ("imap-login: Error: BUG: something", "dovecot-error"),
        ("imap-login: proxy(a,192.0.2.7:143): disconnecting 192.0.2.9 (Disconnected by client)", "dovecot-proxy"),
    ],
)
def test_lines_without_a_record_are_ignored_by_rule(text: str, rule: str) -> None:
    assert counts(f"dovecot|{text}").lines_ignored == {rule: 1}


def test_deliveries_of_many_users_and_clients() -> None:
    texts = [f"lmtp({n}): Connect from 192.0.2.{n}" for n in (1, 2)]
    texts += [
        f"lmtp(u{n}@example.org)<{1 + n % 2}><{'A' * 21}{n}>: msgid=<{n}@x>: saved mail to INBOX" for n in range(6)
    ]
    records = read(lines(*(f"dovecot|{text}" for text in texts)))
    assert outcomes(records) == {(f"u{n}@example.org", "DELIVERED"): 1 for n in range(6)}
    assert all(ip_text(record["sender_ip"] or b"")[-1] == str(1 + n % 2) for n, record in enumerate(records))


def test_a_program_of_pam_is_not_dovecot() -> None:
    data = b"2026-11-24T09:00:00Z mx1 dovecot-auth: pam_unix(dovecot:auth): authentication failure; rhost=192.0.2.9\n"
    assembler = Assembler(Site(), [SOURCE])
    assert assembler.read("mail", data, 0, NOW, NOW) == []
    assert assembler.take_tallies()["mail"].lines_ignored == {"other-program": 1}


def test_a_proxy_s_user_that_imitates_elements_is_in_doubt_and_his_address_is_not() -> None:
    name = "a): Started proxying to <x>: user=<b>, method=PLAIN, rip=6.6.6.6"
    record = login(
        f"imap-login: proxy({name},192.0.2.77:143): Started proxying to <192.0.2.77>: user=<{name}>, method=PLAIN, "
        "rip=192.0.2.9, lip=192.0.2.1"
    )
    assert record["recipient_ip"] == ip("192.0.2.9")
    assert "AMBIGUOUS_PARSE" in record["flags"]

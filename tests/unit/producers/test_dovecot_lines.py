"""Dovecot lines that were written to mislead, mutated lines, and public ones: nothing stops, every line is counted."""

import random
import time
from pathlib import Path

import pytest

from infra.platform.settings import Site
from producers.assemble import Assembler
from producers.events import Access, Stored
from producers.sources import dovecot
from schemas import avro
from schemas.envelope import FIELDS, FLAGS, Envelope
from tests.conftest import LONG
from tests.golden.dovecot import make_expected as golden
from tests.unit.producers.lines import NOW, SOURCE
from tests.unit.producers.test_junk import mutations

LINES = 500_000 if LONG else 10_000
CHUNK_LINES = 100
SEED = 80
TOKEN = "gAwaBIwCB2upegAAg+zDdQ"


def parse(text: str) -> object:
    return dovecot.parse(b"", b"", text.encode())


def test_a_mechanism_that_imitates_an_address_changes_none() -> None:
    event = parse('imap-login: Disconnected (tried to use unsupported auth mechanism): user=<>, method="X, rip=6.6.6.6, '
                  "lip=7.7.7.7, rip=192.0.2.9, lip=192.0.2.1")  # fmt: skip
    assert isinstance(event, Access)
    assert event.client_ip is not None
    assert event.client_ip[-4:] == bytes([192, 0, 2, 9])


def test_a_user_that_imitates_a_session_of_lmtp_is_in_doubt() -> None:
    event = parse(f"lmtp(x)<1><{TOKEN}>: msgid=<a>: saved mail to X)<7><{'B' * 22}>: msgid=<m@x>: saved mail to INBOX")
    assert isinstance(event, Stored)
    assert "AMBIGUOUS_PARSE" in event.flags


def test_an_error_text_of_tls_is_not_kept() -> None:
    event = parse("imap-login: Disconnected (auth failed, 1 attempts in 1 secs): user=<a>, method=PLAIN, rip=192.0.2.9, "
                  "lip=192.0.2.1, TLS handshaking: SSL_accept() failed: error:secret, session=<IpSdththms9/AAAB>")  # fmt: skip
    assert isinstance(event, Access)
    assert event.tls is None
    assert event.session_id == "IpSdththms9/AAAB"


@pytest.mark.parametrize("rip", ["6.6.6.6, lip", "unknown", "999.1.1.1", ""])
def test_no_address_is_made_up(rip: str) -> None:
    event = parse(f"imap-login: Login: user=<a>, method=PLAIN, rip={rip}")
    assert not isinstance(event, Access) or event.client_ip is not None


def test_elements_in_another_order_are_not_guessed_at() -> None:
    event = parse("imap-login: Login: rip=192.0.2.9, lip=192.0.2.1, user=<x, rip=6.6.6.6>")
    assert not isinstance(event, Access)


@pytest.mark.parametrize(
    "text",
    [
        "imap-login: Login: user=<" + ", rip=" * 9000,
        "imap-login: Login: user=<" + ">, method=" * 6000 + ", rip=192.0.2.1",
        "lmtp(" + ")<1><" * 12000,
        f"lmtp(a)<1><{TOKEN}>: msgid=" + "<a>: saved mail to " * 3000,
        "lmtp(" + "a)<1><AAAAAAAAAAAAAAAAAAAAAA>: msgid=" * 1500,
    ],
)
def test_many_false_beginnings_cost_little(text: str) -> None:
    begun = time.process_time()
    parse(text)
    dovecot.parse_own(b"", b"", text.encode())
    assert time.process_time() - begun < 1


def test_a_name_in_dovecot_s_own_file_that_looks_like_a_tag_is_none() -> None:
    """Whoever may choose his name could write lines of Postfix otherwise."""
    refusal = "NOQUEUE: reject: RCPT from c[192.0.2.1]: 554 5.7.1 No; from=<a@b> to=<c@d> proto=ESMTP helo=<h>"
    names = (
        f"x postfix/smtpd[1]: {refusal}",
        "x dovecot: imap-login: Login: user=<a>, method=P, rip=6.6.6.6, lip=1.1.1.1",
    )
    for name in names:
        data = f"Nov 24 09:00:00 imap({name})<7><IpSdththms9/AAAB>: Info: Disconnected: Logged out in=1 out=2\n"
        assembler = Assembler(Site(), [SOURCE], golden.YEAR)
        assert assembler.read("mail", data.encode(), 0, NOW, NOW) == []
        assert assembler.take_tallies()["mail"].lines_not_understood == {"no-tag": 1}


def check(record: Envelope) -> None:
    assert tuple(record) == FIELDS
    assert set(record["flags"]) <= set(FLAGS)
    avro.encode(avro.ENVELOPE_V1, record | {"agent_sequence": 0})


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.parametrize("name", list(golden.SITES))
def test_mutated_lines_never_raise_and_counts_add_up(name: str) -> None:
    lines = mutations(random.Random(SEED), (golden.HERE / f"{name}.log").read_bytes().splitlines())
    assembler = Assembler(Site(), [SOURCE], golden.YEAR)
    records = understood = 0
    for number in range(LINES // CHUNK_LINES):
        mutated = [next(lines) for _ in range(CHUNK_LINES)]
        for record in assembler.read("mail", b"\n".join(mutated) + b"\n", number * 10**6, NOW, NOW):
            check(record)
            records += 1
        counts = assembler.take_tallies()["mail"]
        known = counts.lines_understood + sum(counts.lines_ignored.values())
        assert counts.lines_read == known + sum(counts.lines_not_understood.values())
        assert "fault" not in counts.lines_not_understood
        understood += counts.lines_understood
    for record in assembler.finish():
        check(record)
        records += 1
    assert understood > LINES // 10
    assert records > LINES // 100


def test_mutated_lines_give_the_same_records_after_a_restart() -> None:
    lines = mutations(random.Random(SEED + 1), (golden.HERE / "syslog.log").read_bytes().splitlines())
    chunks = [b"\n".join(next(lines) for _ in range(CHUNK_LINES)) + b"\n" for _ in range(20)]
    results = []
    for restart_at in (None, 7):
        assembler = Assembler(Site(), [SOURCE], golden.YEAR)
        got = []
        for number, chunk in enumerate(chunks):
            if number == restart_at:
                assembler = Assembler.restore(assembler.snapshot(), Site(), [SOURCE])
            got += assembler.read("mail", chunk, 0, NOW, NOW)
            assembler.take_tallies()
        results.append(got + assembler.finish())
    assert results[0] == results[1]
    assert results[0]


def test_public_lines_of_dovecot_are_all_understood(corpora: Path) -> None:
    text = (corpora / "modoboa" / "mail.log").read_text(encoding="utf-8").replace("%(day)s", "Nov 24")
    lines = [line for line in text.splitlines() if " dovecot: " in line]
    assembler = Assembler(Site(), [SOURCE], 2026)
    records = assembler.read("mail", "\n".join(lines).encode(), 0, NOW, NOW) + assembler.finish()
    assert assembler.take_tallies()["mail"].lines_not_understood == {}
    assert sum(record["event"] == "MAILBOX_ACCESS" for record in records) > 10

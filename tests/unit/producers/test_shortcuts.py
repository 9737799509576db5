"""The fast way for plain Postfix lines gives what the general way gives: records, counts, snapshots; on any lines."""

import hashlib
import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import postfix_log
from infra.platform.settings import Site
from producers.assemble import Assembler
from producers.lines import LineReader
from producers.sources.postfix_plain import PLAIN
from schemas.envelope import Envelope, json_object
from tests.conftest import LONG
from tests.golden.postfix.make_demo_expected import LOG
from tests.unit.producers.lines import NOW, SOURCE
from tests.unit.producers.test_junk import mutations

SITES = (
    Site(),
    Site(
        own_domains=["example.org"],
        own_networks=["192.0.2.0/24"],
        filters=["127.0.0.1:10024", "mx"],
        added_recipients=["r@x"],
    ),
)
GOLDEN = Path(__file__).resolve().parents[2] / "golden"
TRACES = {  # of every mail system that has lines, and not rows
    str(path.relative_to(GOLDEN)): path for path in sorted(GOLDEN.glob("*/*.log")) if path.parent.name != "exchange"
}
LINES = [line for path in TRACES.values() for line in path.read_bytes().splitlines() if line]
# What the reader made of this made-up log before there was a fast way (identities are for ever).
GENERATED_SHA256 = "84edab09f7a155cd30686b79dcdd03822d03f9161500faaa41a34bb3325261cf"
IDS = ("4jYKJ82btYzLhNx", "3F2A1C0D4E", "ABCDEF", "NOQUEUE", "hello", "")
MX = "relay=mx[192.0.2.9]:25, delay=1, delays=0/0/0/0"
FACTS = (
    "client=c.example[192.0.2.1]:25", "client=c.example[192.0.2.1]", "client=unknown[unknown]", "client=a[b][1.2.3.4]",
    "client=u[1.2.3.4], sasl_method=PLAIN, sasl_username=bob", "client=x[1.2.3.4]:123456", "client=", "client=[::1]",
    "message-id=<a@b>", "message-id=<c@d>", "message-id=", "message-id=\xff", "message-id=" + "x" * 1975,
    "message-id=" + "x" * 1900, "message-id=a: from=<x@y>, size=1, nrcpt=1 (queue active)", "resent-message-id=<e@f>",
    "from=<a@b>, size=1, nrcpt=2 (queue active)", "from=<>, size=1, nrcpt=1 (queue active)",
    'from=<"a b"@c>, size=1, nrcpt=1 (queue active)', "from=<a b@c>, size=1, nrcpt=1 (queue active)",
    "from=<a@b>, status=expired, returned to sender", "from=<a@b>, size=x, nrcpt=1", "from=<a>b@c>, size=1, nrcpt=2 (q)",
    "from=<a@b>, size=1, nrcpt=2", "from=<a@b>, size=1, nrcpt=2 >, status=expired, x", "from=<a@b>, size=9999999999999999999, nrcpt=1 (q)",
    "from=<a, size=9, nrcpt=7@b>, size=1, nrcpt=2 (queue active)", "from=<a>, size=1, nrcpt=2 (q>, size=3, nrcpt=4 (",
    f"to=<r@x>, {MX}, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 12AB34CD56)",
    "to=<r@x>, relay=mx[192.0.2.9]:25, conn_use=3, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok id=1abcde-0001ab-2x)",
    "to=<q@x>, orig_to=<o@x>, relay=local, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (delivered to mailbox)",
    "to=<q@x>, relay=local, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (forwarded as 3F2A1C0D4E)",
    f"to=<r@x>, {MX}, dsn=4.0.0, status=deferred (host said: 450 4.2.0 x)",
    f"to=<r@x>, {MX}, tls=TLSv1.3, dsn=5.0.0, status=bounced (host said: 550 5.2.0 x)",
    f'to=<"r r"@x>, {MX}, dsn=2.0.0, status=sent (250 ok)', f"to=<r>r@x>, {MX}, dsn=2.0.0, status=sent (250 ok)",
    f"to=<r@x>, {MX}, dsn=2.0.0, dsn=3, status=sent (250 ok, status=sent (", f"to=<r@x>, {MX}, dsn=2.0.0, status=sent",
    "to=<r@x>, relay=[fe80::1%eth0]:25, delay=1, delays=0/0/0/0, dsn=2.0.0, status=deliverable (250 ok)",
    "to=<r@x>, relay=u[private/lmtp], delay=1, delays=0/0, dsn=2.0.0, status=sent (250 2.0.0 <r@x> 8NApDGVvZ2ZzAAAA0J78UA Saved)",
    "to=<r@x>, relay=none, delay=1, delays=0/0, dsn=2.0.0, status=sent (discarded)", "removed", "removed (canceled)",
    "sender non-delivery notification: 3F2A1C0D4E", "uid=0 from=<root>", "uid=5 from=<root> orig_id=3F2A1C0D4E",
    "reject: RCPT from c[192.0.2.1]: 550 5.1.1 <x@y>: no; from=<a@b> to=<x@y> proto=ESMTP helo=<h>",
    "to=<r@x>, relay=local, delay=0.25, delays=0/0, dsn=2.0.0, status=sent (250 >, relay=x)", "expired, x",
    "hold: RCPT from c[192.0.2.1]: <h@y>: no; from=<a@b> to=<h@y> proto=ESMTP helo=<h>",
    "milter-header-bcc: header To: x from c[192.0.2.1]; from=<a@b> to=<x@y> proto=ESMTP helo=<h>: r@x",
    "milter-hold: END-OF-MESSAGE from c[192.0.2.1]: x; from=<a@b> to=<x@y> proto=ESMTP helo=<h>",
    "placed on hold", "requeued", "host x said: 450", "connect from c[1.2.3.4]", "disconnect from c[1.2.3.4]",
)  # fmt: skip
TALK = ("connect from c[1.2.3.4]", "disconnect from c[1.2.3.4] ehlo=1", "lost connection after DATA from c[1.2.3.4]",
        "disconnect from c[1.2.3.4] ehlo=1 mail=1 data=1 quit=1 commands=4", "disconnect from c[1.2.3.4] commands=2",
        "warning: x: y", "timeout after DATA from c[1.2.3.4]", "Deleted: 3 messages", "disconnect from ", "proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as 3F2A1C0D4E;")  # fmt: skip
TAGS = ("postfix/smtpd[7]", "postfix/smtpd[8]", "postfix/qmgr[9]", "postfix-out/smtp[7]", "postfix/postsuper[7]",
        "postfix/cleanup[6]", "postfix/submission/smtpd[7]", "in/smtpd[8]", "out/qmgr[9]", "dovecot", "postfix/qmgr",
        "postfix/a[b]c[7]", "postfix/smtpd[7]]", "other[5]")  # fmt: skip
OTHERS = (
    "dovecot: lmtp(5): Connect from local", "dovecot: lmtp(r@x)<5><8NApDGVvZ2ZzAAAA0J78UA>: msgid=<a@b>: saved mail to INBOX",
    "dovecot: lmtp(r@x)<5><8NApDGVvZ2ZzAAAA0J78UA>: sieve: msgid=<a@b>: marked message to be discarded if not explicitly delivered (discard action)",
    "sm-mta[5]: 7AP9Hb1x000005: ruleset=check_rcpt, arg1=<r@x>, relay=c [192.0.2.1], reject=550 5.7.1 <r@x>... Relaying denied",
    "sm-mta[5]: 7AP9Hb1x000005: from=<a@b>, size=5, class=0, nrcpts=1, msgid=<a@b>, proto=ESMTP, daemon=MTA, relay=c [192.0.2.1]",
    "sm-mta[6]: 7AP9Hb1x000005: to=<r@x>, delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=1, relay=mx. [192.0.2.9], dsn=2.0.0, stat=Sent (ok)",
)  # fmt: skip


def _outcome(data: bytes, site: Site, *, fast: bool, lines_a_chunk: int = 500, restart_every: int = 3) -> list[object]:
    """All that can be seen of reading: records, counts, open messages of every chunk, and snapshots."""
    out: list[object] = []
    assembler = _assembler(site, fast=fast)
    lines = data.split(b"\n")
    offset = 0
    for number, at in enumerate(range(0, len(lines), lines_a_chunk)):
        chunk = b"\n".join(lines[at : at + lines_a_chunk]) + b"\n"
        out += [assembler.read("mail", chunk, offset, NOW + at, NOW), assembler.take_tallies()]
        out.append(assembler.open_transactions)
        offset += len(chunk)
        if number % restart_every == restart_every - 1:
            out.append(assembler.snapshot())
            assembler = _assembler(site, fast=fast, snapshot=assembler.snapshot())
    return [*out, assembler.finish()]


def _assembler(site: Site, *, fast: bool, snapshot: bytes | None = None) -> Assembler:
    assembler = Assembler.restore(snapshot, site, [SOURCE]) if snapshot else Assembler(site, [SOURCE])
    if not fast:
        for reader in assembler._readers.values():
            assert isinstance(reader, LineReader)
            reader.shortcuts = None
    return assembler


def _both(data: bytes, lines_a_chunk: int = 500, restart_every: int = 3) -> None:
    for site in SITES:
        fast = _outcome(data, site, fast=True, lines_a_chunk=lines_a_chunk, restart_every=restart_every)
        assert fast == _outcome(data, site, fast=False, lines_a_chunk=lines_a_chunk, restart_every=restart_every)


def _generated(folder: Path, messages: int) -> bytes:
    postfix_log.write(folder / "mail.log", messages)
    return (folder / "mail.log").read_bytes()


def _crowded(source: random.Random, lines: int) -> Iterator[bytes]:
    """Few queue ids in few seconds, with facts in any order: messages meet in every state; some lines come late."""
    second = 0
    rfc3339 = source.random() < 0.5
    for _ in range(lines):
        second += source.choice((0, 0, 0, 0, 0, 1, 1, source.choice((2, 30, 90, 4000))))
        at = max(0, second - source.choice((0, 0, 0, 0, 3, 8)))
        day, hour, minute = 1 + at // 86400 % 28, at // 3600 % 24, at // 60 % 60
        stamp = f"Nov {day:2d} {hour:02d}:{minute:02d}:{at % 60:02d}"
        if rfc3339:
            stamp = f"2026-11-{day:02d}T{hour:02d}:{minute:02d}:{at % 60:02d}.{source.choice((0, 0, 7)):06d}Z"
        text = source.choice(TALK) if source.random() < 0.2 else f"{source.choice(IDS)}: {source.choice(FACTS)}"
        told = source.choice(OTHERS) if source.random() < 0.05 else f"{source.choice(TAGS)}: {text}"
        yield f"{stamp} {source.choice(('mx1', 'mx1', 'mx2', '-'))} {told}".encode("latin-1")


@pytest.mark.parametrize("name", TRACES)
def test_a_trace_gives_the_same(name: str) -> None:
    data = TRACES[name].read_bytes()
    for lines_a_chunk in (7, 1000):
        _both(data, lines_a_chunk, restart_every=20)


def test_a_trace_line_by_line_gives_the_same() -> None:
    _both(LOG.read_bytes(), 1)


@pytest.mark.parametrize("mixed", [False, True])
def test_all_mail_systems_in_one_stream_give_the_same(mixed: bool) -> None:
    blocks = [LINES[at : at + 5] for at in range(0, len(LINES), 5)]
    if mixed:
        random.Random(len(blocks)).shuffle(blocks)
    _both(b"\n".join(line for block in blocks for line in block))


def test_a_made_up_log_gives_the_same_and_is_nearly_all_plain(tmp_path: Path) -> None:
    data = _generated(tmp_path, 800)
    _both(data)
    found = PLAIN.findall(data)
    assert sum(bool(line[1]) for line in found) > 0.9 * len(found)


@pytest.mark.parametrize("seed", range(200 if LONG else 4))
def test_crowded_and_mutated_lines_give_the_same(seed: int) -> None:
    source = random.Random(seed)
    crowded = list(_crowded(source, 1500))
    _both(b"\n".join(crowded))
    _both(b"\n".join(islice(mutations(source, crowded + LINES), 1500)))


@settings(max_examples=2000 if LONG else 150, deadline=None)
@given(st.sampled_from(FACTS), st.integers(0, 90), st.binary(max_size=6), st.integers(0, 3))
def test_a_line_with_anything_anywhere_gives_the_same(
    fact: str, at: int, bytes_put: bytes, bytes_left_out: int
) -> None:
    start = "2026-11-24T09:00:00Z mx1 postfix/smtpd[7]: "
    facts = ("client=c[192.0.2.1]", "message-id=<m@x>", "from=<s@x>, size=1, nrcpt=1 (queue active)")
    opened = [f"{start}3F2A1C0D4E: {one}".encode() for one in facts]
    line = bytearray(f"{start}3F2A1C0D4E: {fact}".encode("latin-1"))
    line[at : at + bytes_left_out] = bytes_put
    for known in (opened[:1], opened):
        _both(b"\n".join([*known, bytes(line), opened[-1]]))


def _rfc3339(minute: int, tag: str, text: str) -> bytes:
    return f"2026-11-24T{9 + minute // 60:02d}:{minute % 60:02d}:00Z mx1 postfix/{tag}[7]: {text}".encode()


def test_what_a_person_removes_is_no_shortcut() -> None:
    facts = ("client=c[192.0.2.1]", "from=<s@x>, size=1, nrcpt=1 (queue active)")
    ids = ("3F2A1C0D4E", "3F2A1C0D4F")  # by the second one the place of such lines is known
    known = [_rfc3339(0, "smtpd", f"{queue_id}: {fact}") for queue_id in ids for fact in facts]
    data = b"\n".join([*known, *(_rfc3339(0, "postsuper", f"{queue_id}: removed") for queue_id in ids)])
    _both(data)
    records = _outcome(data, SITES[0], fast=True)[0]
    assert [record["outcome"] for record in records] == ["DELETED", "DELETED"]  # type: ignore[attr-defined]


def test_a_timer_that_is_due_comes_before_a_plain_line_that_is_late() -> None:
    """Talk brings log time on; the plain line behind it is of a second that has begun long before."""
    facts = (
        "client=c[192.0.2.1]",
        "from=<s@x>, size=1, nrcpt=1 (queue active)",
        f"to=<r@x>, {MX}, dsn=4.0.0, status=deferred (x)",
    )
    known = [_rfc3339(0, "smtpd", f"3F2A1C0D4E: {fact}") for fact in facts]
    late = _rfc3339(0, "smtpd", f"3F2A1C0D4E: to=<r@x>, {MX}, dsn=2.0.0, status=sent (250 ok)")
    data = b"\n".join([*known, _rfc3339(90, "smtpd", "connect from c[192.0.2.1]"), late])
    _both(data)
    records = _outcome(data, SITES[0], fast=True)[0]
    assert [record["outcome"] for record in records] == ["DEFERRED", "SENT"]  # type: ignore[attr-defined]


def test_a_timer_that_is_due_comes_before_the_end_of_a_session() -> None:
    """It comes due within the second of a line that made its place and second known."""
    deferred = f"to=<r@x>, {MX}, dsn=4.0.0, status=deferred (x)"
    facts = ("client=c[192.0.2.1]", "from=<s@x>, size=1, nrcpt=1 (queue active)", deferred)
    start = "2026-11-24T09:00:00.500000Z mx1 postfix/smtpd[7]: "
    known = [f"{start}3F2A1C0D4E: {fact}".encode() for fact in facts]
    due = "2026-11-24T{}.{}00000Z mx1 postfix/smtpd[7]: {}"
    late = Site().undecided_after_seconds // 3600
    ends = [due.format(f"{9 + late:02d}:00:00", tenth, "disconnect from c[192.0.2.1]").encode() for tenth in (0, 9)]
    for until in range(3):
        data = b"\n".join([*known, *ends[:until]])
        _both(data)
        assert len(_outcome(data, SITES[0], fast=True)[0]) == (1 if until == 2 else 0)  # type: ignore[arg-type]


def test_a_delivery_before_its_sender_waits_for_the_line_that_names_him() -> None:
    sent = f"to=<r@x>, {MX}, dsn=2.0.0, status=sent (250 ok)"
    facts = ("client=c[192.0.2.1]", sent, "from=<s@x>, size=1, nrcpt=1 (queue active)")
    data = b"\n".join(_rfc3339(0, "smtpd", f"3F2A1C0D4{last}: {fact}") for last in "EF" for fact in facts)
    _both(data)
    assert len(_outcome(data, SITES[0], fast=True)[0]) == 2  # type: ignore[arg-type]


def test_log_time_comes_to_each_plain_line() -> None:
    line = "2026-11-24T09:00:00.{:06d}Z mx1 postfix/smtpd[7]: 3F2A1C0D4E: to=<r@x>, {}, dsn=2.0.0, status=sent (250 ok)"
    lines = [line.format(microseconds, MX).encode() for microseconds in (0, 5, 3, 9, 9)]
    for count in range(1, 6):
        _both(b"\n".join(lines[:count]))


@pytest.mark.parametrize("seed", range(100 if LONG else 3))
def test_plain_lines_of_one_second_in_any_order_give_the_same(seed: int) -> None:
    """One place, one second: after the first line nearly all are shortcuts, and meet messages in every state."""
    source = random.Random(seed)
    plain = [fact for fact in FACTS if PLAIN.findall(_rfc3339(0, "qmgr", f"3F2A1C0D4E: {fact}"))[0][1]]
    assert len(plain) > 12
    lines = [
        _rfc3339(number // 200, "qmgr", f"{source.choice(IDS[:3])}: {source.choice(plain)}") for number in range(900)
    ]
    _both(b"\n".join(lines), 7)


def test_a_line_beyond_the_bound_is_counted_as_such() -> None:
    start = b"2026-11-24T09:00:00Z mx1 postfix/smtpd[7]: "
    _both(b"\n".join([start + b"connect from " + b"x" * length for length in (5, 65_000, 66_000, 5)]))


def test_carriage_returns_change_nothing() -> None:
    data = LOG.read_bytes()
    _both(data.replace(b"\n", b"\r\n"))
    plain = _outcome(data, SITES[0], fast=True, lines_a_chunk=10**6)
    returned = _outcome(data.replace(b"\n", b"\r\n"), SITES[0], fast=True, lines_a_chunk=10**6)
    assert [record["record_id"] for record in plain[0]] == [record["record_id"] for record in returned[0]]  # type: ignore[attr-defined]


def test_the_made_up_log_gives_what_it_gave_before(tmp_path: Path) -> None:
    data = _generated(tmp_path, 2000)
    assembler = Assembler(Site(), [SOURCE])
    records: list[Envelope] = assembler.read("mail", data, 0, NOW, NOW) + assembler.finish()
    digest = hashlib.sha256()
    for record in records:
        digest.update(json.dumps(json_object(record)).encode())
    assert digest.hexdigest() == GENERATED_SHA256

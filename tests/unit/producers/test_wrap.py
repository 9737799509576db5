"""Log lines inside of something: RFC 5424, datagrams, docker, Kubernetes, compose, the journal in both its forms.

The example lines have the shapes that the programs' own documentation and public logs show; addresses are invented.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from infra.platform.clock import SECOND, from_datetime, to_datetime
from infra.platform.settings import Site
from producers.sources.header import Stamps
from tests.golden.postfix.make_demo_expected import LOG
from tests.unit.producers.carried import AT, STAMP, TEXT, as_json, docker, export, journal, one, read
from tests.unit.producers.lines import NOW
from tests.unit.producers.test_junk import LINES, mutations


@pytest.mark.parametrize(
    ("line", "host"),
    [
        (f"<22>1 2026-09-12T16:49:12.650416Z mx1 postfix/smtpd 314894 - - {TEXT}", "mx1"),
        (f"<22>1 2026-09-12T18:49:12.650416+02:00 mx1 postfix/smtpd 314894 - -  {TEXT}", "mx1"),  # rsyslog's blank
        (f"<22>1 2026-09-12T16:49:12.650416Z mx1 postfix/smtpd 314894 ID47 - \ufeff{TEXT}", "mx1"),
        (f'<22>1 2026-09-12T16:49:12.650416Z mx1 postfix/smtpd 314894 - [a@1 k="x \\"y\\] [" l="]"][b] {TEXT}', "mx1"),
        (f"<22>1 2026-09-12T16:49:12.650416Z - postfix/smtpd - - - {TEXT}", ""),
        (f"<22>2026-09-12T16:49:12.650416Z mx1 postfix/smtpd[314894]: {TEXT}", "mx1"),
        (f"2026-09-12T16:49:12.650416Z postfix/smtpd[314894]: {TEXT}", ""),
    ],
)
def test_syslog_forms_with_a_full_time(line: str, host: str) -> None:
    record = one(line + "\n")
    assert (record["event_time"], record["time_quality"], record["host"]) == (AT, "EXACT", host)
    assert (record["recipient"], record["instance"], record["outcome"]) == ("x@example.org", "postfix", "REFUSED")


@pytest.mark.parametrize("form", ["<22>{} mx1 {}", "{} mx1 {}", "<22>{} {}", "{} {}"])
@pytest.mark.parametrize("day", ["Sep  2", "Sep 02", "Sep 2"])
def test_syslog_forms_without_year_and_zone(form: str, day: str) -> None:
    """As written to /dev/log, with the double space stripped by a relay, and with no host in it."""
    record = one(form.format(f"{day} 16:49:12", f"postfix/smtpd[314894]: {TEXT}\n"))
    assert to_datetime(record["event_time"]) == datetime(2026, 9, 2, 16, 49, 12, tzinfo=UTC)
    assert record["time_quality"] == "YEAR_INFERRED"
    assert record["host"] == ("mx1" if "mx1" in form else "")
    named = one(form.format(f"{day} 16:49:12", f"postfix/smtpd[314894]: {TEXT}\n"), site=Site(host="mx9.example.org"))
    assert named["host"] == "mx9.example.org"


def test_a_line_without_host_and_marks_is_ignored_or_counted_as_with_one() -> None:
    _, tally = read(
        b"<22>Sep 12 16:49:12 postfix/smtpd[1]: connect from x[192.0.2.1]\n<22>Sep 12 16:49:12 crond[2]: x\n"
    )
    assert tally.lines_ignored == {"postfix-connect": 1, "other-program": 1}


def test_the_name_of_a_record_is_without_what_carried_it() -> None:
    """docs/spec/record-format.md: the same line by file, datagram, docker, Kubernetes and compose is one record."""
    line = f"Sep 12 16:49:12 mx1 postfix/smtpd[314894]: {TEXT}"
    forms = [
        line.encode() + b"\n",
        f"<22>{line}\n".encode(),
        docker(line + "\n"),
        f"{STAMP} stdout F {line}\n".encode(),
        f"{STAMP} {line}\n".encode(),
        f"mail-1  | {line}\n".encode(),
        f"\x1b[36mmail-1  | \x1b[0m{line}\n".encode(),
        f"\x1b[33mmail_1      |\x1b[0m {line}\n".encode(),
        f"mail-1  | {STAMP} {line}\n".encode(),
        as_json(
            {k: v for k, v in journal(MESSAGE=line, CONTAINER_ID="0123456789ab").items() if k != "SYSLOG_TIMESTAMP"}
        ),
    ]
    records = [one(form) for form in forms]
    assert {record["record_id"] for record in records} == {records[0]["record_id"]}
    assert {record["event_time"] for record in records} == {AT // SECOND * SECOND}
    assert [record["time_quality"] for record in records] == [
        "YEAR_INFERRED", "YEAR_INFERRED", "EXACT", "EXACT", "EXACT", "YEAR_INFERRED", "YEAR_INFERRED", "YEAR_INFERRED",
        "EXACT", "EXACT",
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["docker", "cri"])
@pytest.mark.parametrize("restart", [False, True])
def test_a_line_in_parts_is_joined(form: str, restart: bool) -> None:
    """Docker cuts at 16 KiB, CRI at the runtime's limit; standard error in between does not disturb."""
    line = f"Sep 12 16:49:12 mx1 postfix/smtpd[314894]: {TEXT}"
    cuts = [line[:20], line[20:60], line[60:]]
    if form == "docker":
        chunks = [
            docker(cuts[0]),
            docker(cuts[1]),
            docker("x\n", stream="stderr"),
            docker(cuts[2] + "\n", "2026-09-12T16:55:12Z"),
        ]
    else:
        chunks = [
            f"{STAMP} stdout P {cuts[0]}\n".encode(),
            f"{STAMP} stdout P {cuts[1]}\n".encode(),
            f"{STAMP} stderr F x\n".encode(),
            f"2026-09-12T16:55:12Z stdout F {cuts[2]}\n".encode(),
        ]
    (record,), tally = read(*chunks, restart=restart)
    assert record["record_id"] == one(line + "\n")["record_id"]
    assert tally.lines_ignored == {"part-of-a-line": 2}
    assert sum(tally.lines_not_understood.values()) == 1


def test_parts_without_end_are_bounded_and_counted_once() -> None:
    parts = [docker("x" * 16384) for _ in range(20)] + [
        docker("end\n"),
        docker(f"Sep 12 16:49:12 mx1 postfix/smtpd[3]: {TEXT}\n"),
    ]
    (record,), tally = read(*parts, restart=True)
    assert record["recipient"] == "x@example.org"
    assert tally.lines_not_understood == {"line-too-long": 1}


@pytest.mark.parametrize(
    ("inner", "outer", "zone", "utc", "quality"),
    [
        ("Sep 12 16:49:12", "2026-09-12T16:49:13Z", "UTC", "2026-09-12T16:49:12", "EXACT"),
        ("Sep 12 18:49:12", "2026-09-12T16:49:13Z", "Europe/Berlin", "2026-09-12T16:49:12", "EXACT"),
        ("Sep 12 22:19:12", "2026-09-12T16:49:12.3Z", "UTC", "2026-09-12T16:49:12", "EXACT"),  # India, not set
        ("Sep 12 16:40:00", "2026-09-12T16:49:13Z", "UTC", "2026-09-12T16:40:00", "EXACT"),  # late, not another zone
        ("Sep 12 18:40:00", "2026-09-12T16:49:13Z", "UTC", "2026-09-12T18:40:00", "EXACT"),  # clocks differ: the MTA's
        ("Oct 25 02:30:00", "2026-10-25T00:30:01Z", "Europe/Berlin", "2026-10-25T00:30:00", "EXACT"),
        ("Oct 25 02:30:00", "2026-10-25T01:30:01Z", "Europe/Berlin", "2026-10-25T01:30:00", "EXACT"),
        ("Dec 31 23:59:59", "2024-01-01T00:00:02Z", "UTC", "2023-12-31T23:59:59", "EXACT"),
        ("2026-09-12T18:00:00+02:00", "2026-09-12T16:49:13Z", "UTC", "2026-09-12T16:00:00", "EXACT"),
    ],
)
def test_case_62_the_program_s_time_counts_and_the_carrier_s_settles_it(
    inner: str, outer: str, zone: str, utc: str, quality: str
) -> None:
    now = from_datetime(datetime(2026, 11, 24, tzinfo=UTC))
    line = f"{inner} mx1 postfix/smtpd[1]: {TEXT}\n"
    for form in (docker(line, outer), f"{outer} stderr F {line}".encode()):
        record = one(form, zone=zone, now=now)
        assert f"{to_datetime(record['event_time']):%Y-%m-%dT%H:%M:%S}" == utc
        assert record["time_quality"] == quality


def test_a_line_without_a_time_of_its_own_has_the_carrier_s() -> None:
    record = one(docker(f"postfix/smtpd[1]: {TEXT}\n"), site=Site(host="mx1"))
    assert (record["event_time"], record["host"], record["time_quality"]) == (AT, "mx1", "EXACT")


def test_carriers_in_one_file_follow_one_another() -> None:
    line = f"Sep 12 16:49:12 mx1 postfix/smtpd[314894]: {TEXT}\n"
    data = line.encode() + docker(line) + f"<22>{line}".encode() + as_json(journal()) + line.encode()
    assert len(read(data)[0]) == 5


CARRIERS: dict[str, Callable[[bytes], bytes]] = {
    "datagram": lambda line: b"<22>" + line,
    "docker": lambda line: docker(line.decode() + "\n", _outer(line)).rstrip(b"\n"),
    "cri": lambda line: _outer(line).encode() + b" stdout F " + line,
    "compose": lambda line: b"\x1b[36mmail-1  | \x1b[0m" + line,
    "docker logs -t": lambda line: _outer(line).encode() + b" " + line,
}


def _outer(line: bytes) -> str:
    found = Stamps(ZoneInfo("UTC")).read(line, NOW)
    assert found is not None
    return f"{to_datetime(found[0].time):%Y-%m-%dT%H:%M:%S}.123456789Z"


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_real_log_in_each_carrier_gives_its_records(carrier: str) -> None:
    """The committed log of a real Postfix."""
    lines = LOG.read_bytes().splitlines()
    plain, counts = read(b"\n".join(lines) + b"\n")
    carried, tally = read(b"\n".join(CARRIERS[carrier](line) for line in lines) + b"\n")
    assert len(plain) == 56
    different = {"source_offset", "time_quality"}
    for one_record, other in zip(plain, carried, strict=True):
        assert {k: v for k, v in one_record.items() if k not in different} == {
            k: v for k, v in other.items() if k not in different
        }
    assert tally == counts


@pytest.mark.parametrize("form", ["json", "export", "rfc5424"])
def test_a_real_log_as_fields_gives_its_records(form: str) -> None:
    """Other names, as the lines are others; the same facts."""
    out = b""
    for line in LOG.read_bytes().splitlines():
        head, _, text = line.partition(b": ")
        host, tag = head.split(b" ")[-2:]
        name, _, pid = tag.rstrip(b"]").partition(b"[")
        outer = _outer(line)
        if form == "rfc5424":
            out += b"<22>1 %s %s %s %s - - %s\n" % (outer.encode(), host, name, pid, text)
            continue
        time = from_datetime(datetime.fromisoformat(outer))
        entry = journal(
            MESSAGE=text.decode(),
            _HOSTNAME=host.decode(),
            SYSLOG_IDENTIFIER=name.decode(),
            SYSLOG_PID=pid.decode(),
            SYSLOG_TIMESTAMP=line[:16].decode(),
            _SOURCE_REALTIME_TIMESTAMP=str(time),
        )
        out += as_json(entry) if form == "json" else export(entry)
    plain, counts = read(LOG.read_bytes())
    fields, tally = read(out)
    names = ("queue_id", "sender", "recipient", "sender_ip", "recipient_ip", "outcome", "message_id", "host", "kind")
    assert [[record[name] for name in names] for record in fields] == [  # type: ignore[literal-required]
        [record[name] for name in names]  # type: ignore[literal-required]
        for record in plain
    ]
    assert (tally.lines_read, tally.lines_not_understood) == (counts.lines_read, {})


@pytest.mark.parametrize(
    "junk",
    [
        b'{"log":1}', b'{"log":"x"}', b'{"log":"x","time":1}', b'{"log":"x\\n","time":"x"}', b"[" * 60_000, b'{"a":' * 9_000,
        b'{"MESSAGE":[[[[]]]]}', b'{"MESSAGE":[[],1]}', b'{"MESSAGE":{}}', b'{"__REALTIME_TIMESTAMP":null}',
        b'{"log":"\\ud800 x\\n","time":"2026-09-12T16:49:12Z"}', b"<>", b"<1>", b"<999>1 ", b"<22>1 a b c d e f",
        b"<22>1 2026-09-12T16:49:12Z mx1 postfix/smtpd 1 - [ x", b'<22>1 2026-09-12T16:49:12Z h a 1 - [x y="\\',
        b"2026-09-12T16:49:12Z stdout", b"2026-09-12T16:49:12Z stdout F", b"2026-09-12T16:49:12Z stdout X a",
        b"2026-09-12T16:49:12Z stderr F \xff", b"mail-1 |", b"mail-1 | mail-1 | mail-1 | mail-1 | mail-1 | x: y",
        b"2026-09-12T16:49:12Z " * 400, b"\x1b[36m", b"__CURSOR=", b"__CURSOR\n\xff\xff\xff\xff\xff\xff\xff\xff",
        b"__CURSOR=x\nMESSAGE\n\x00\x00\x00\x00\x00\x00\x00\xff", b"<22>postfix/smtpd[1]: x", b'{"log":"{\\"log\\":\\"x\\"}\\n","time":"2026-09-12T16:49:12Z"}',
    ],
    ids=range(30),
)  # fmt: skip
def test_junk_never_raises_and_is_counted(junk: bytes) -> None:
    records, tally = read(junk + b"\n", restart=True)
    assert records == []
    assert tally.lines_understood == 0


def test_mutated_carried_lines_never_raise_and_come_out_the_same_after_a_restart() -> None:
    """Whatever a carrier writes: each line is counted, and a snapshot between any two chunks changes nothing."""
    plain = LOG.read_bytes().splitlines()
    carried = [carry(line) for line in plain[:60] for carry in CARRIERS.values()]
    carried += [docker(line.decode()[:50]).rstrip(b"\n") for line in plain[:20]]
    carried += as_json(journal()).splitlines() + export(journal(_COMM="a\nb")).splitlines()[:-1] * 2
    lines = mutations(random.Random(20261125), carried)
    chunks = [b"\n".join(next(lines) for _ in range(100)) + b"\n" for _ in range(LINES // 100)]
    through, counts = read(*chunks)
    assert read(*chunks[:30], restart=True)[0] == read(*chunks[:30])[0]
    assert counts.lines_understood > 0
    assert through

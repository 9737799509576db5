"""The committed traces of a real Exim: their records are the scenarios' truth, and field by field what is committed."""

import json
from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from producers.cli import producer
from producers.sources.header import line_time
from schemas.envelope import FIELDS
from tests.golden.exim import make_expected as golden
from tests.golden.exim import run

# What the scenarios wrote into mails and replies; no record may hold any of it.
CONTENT = (
    "a secret that no record may hold",
    "A body that no record may hold",
    "this text lies",
    "No such mailbox",
    "spy@",
    "ceo@",
    "6.6.6.7",
    "header-recipient@example.com",
)


@pytest.mark.parametrize("logging", golden.LOGGINGS)
def test_records_are_the_truth_of_client_sink_and_mailboxes(logging: str) -> None:
    document = json.loads((golden.HERE / f"{logging}.truth.json").read_bytes())
    assert len(document["scenarios"]) >= 30
    truth = Counter(run.from_json(document["truth"]))
    records = run.records(golden.envelopes(logging))
    assert (truth - records, records - truth) == (Counter(), Counter())


@pytest.mark.parametrize("logging", golden.LOGGINGS)
def test_every_line_is_understood_or_ignored_by_a_rule(logging: str) -> None:
    records = golden.replayed(logging)
    while True:
        try:
            next(records)
        except StopIteration as end:
            counts = end.value
            break
    assert counts["lines_not_understood"] == 0
    assert counts["lines_read"] == counts["lines_understood"] + counts["lines_ignored"]


@pytest.mark.parametrize("logging", golden.LOGGINGS)
def test_every_field_of_every_record_is_the_committed_one(logging: str) -> None:
    path = golden.HERE / f"{logging}.expected.jsonl"
    expected = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    got = golden.objects(logging)
    assert len(got) == len(expected)
    for number, (mine, committed) in enumerate(zip(got, expected, strict=True)):
        assert mine == committed, f"record {number}"
        assert tuple(mine) == tuple(field for field in FIELDS if field != "observed_time")


@pytest.mark.parametrize("logging", golden.LOGGINGS)
def test_the_trace_ends_with_nothing_open(logging: str) -> None:
    records = golden.envelopes(logging)
    assert all(record["is_final"] and record["outcome"] != "UNKNOWN" for record in records)
    assert len({record["record_id"] for record in records}) == len(records)


@pytest.mark.parametrize("logging", golden.LOGGINGS)
def test_the_id_that_the_next_exim_told_is_that_of_its_own_record(logging: str) -> None:
    records = golden.envelopes(logging)
    (told,) = [record for record in records if "-" in (record["next_queue_id"] or "")]
    (there,) = [record for record in records if record["queue_id"] == told["next_queue_id"]]
    assert there["recipient"] == told["recipient"] == "carol@hop.example.net"
    assert there["sender_ip"] == told["recipient_ip"]


@pytest.mark.parametrize("logging", golden.LOGGINGS)
def test_no_content_of_a_mail_or_a_reply_is_in_any_record(logging: str) -> None:
    """But for what stands there as an address or a name of its own: HELO names, odd local parts, message-ids."""
    records = golden.envelopes(logging)
    for record in records:
        for name in ("helo", "sender", "recipient", "message_id", "authenticated_user", "recipient_logged"):
            record[name] = None  # type: ignore[literal-required]
    everything = repr(records).lower()
    log = (golden.HERE / f"{logging}.log").read_text(encoding="utf-8").lower()
    assert "this text lies" in log
    assert "no such mailbox" in log
    for text in CONTENT:
        assert text.lower() not in everything


def test_without_a_host_of_the_settings_the_file_has_none() -> None:
    """Nothing in Exim's own file says on which server it was written; syslog's header does."""
    assert {record["host"] for record in golden.replayed("default", golden.Site())} == {""}
    assert {record["host"] for record in golden.replayed("syslog", golden.Site())} == {"mx1"}


def test_times_are_those_of_the_zone_in_the_line_or_of_the_settings() -> None:
    for logging in golden.LOGGINGS:
        line = (golden.HERE / f"{logging}.log").read_text(encoding="utf-8").partition("\n")[0]
        written = datetime.fromisoformat(line[line.index("2026-") :][:19]).replace(tzinfo=ZoneInfo("Asia/Shanghai"))
        first = golden.envelopes(logging)[0]
        assert 0 <= first["event_time"] / 10**6 - written.timestamp() < 60
        assert first["time_quality"] == "EXACT"


@pytest.mark.parametrize("mta", ["exim", "auto"])
@pytest.mark.parametrize("logging", golden.LOGGINGS)
def test_the_command_reads_such_files(mta: str, logging: str) -> None:
    arguments = ["replay", "--mta", mta, "--time-zone", "Asia/Shanghai", "--host", "mx1.example.org", "--year", "2026"]
    result = CliRunner().invoke(producer, [*arguments, str(golden.HERE / f"{logging}.log")])
    assert result.exit_code == 0
    printed = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(printed) == len(golden.objects(logging))
    assert {record["host"] for record in printed} == {"mx1.example.org"}
    assert json.loads(result.stderr.splitlines()[-1])["lines_not_understood"] == 0


def test_files_of_exim_given_together_are_put_in_order_by_their_first_line() -> None:
    line = (golden.HERE / "all.log").read_bytes().partition(b"\n")[0]
    assert line_time(line, "UTC", 0) == line_time(line, "Asia/Shanghai", 0)  # the line says its zone
    line = (golden.HERE / "default.log").read_bytes().partition(b"\n")[0]
    assert line_time(line, "UTC", 0) == (line_time(line, "Asia/Shanghai", 0) or 0) + 8 * 3600 * 10**6

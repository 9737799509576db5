"""The committed trace of a real Sendmail: its records are the scenarios' truth, and field by field what is committed."""

import json
from collections import Counter

import pytest
from click.testing import CliRunner

from infra.local import scenario
from infra.local.sendmail_scenario_here import SCENARIOS
from infra.platform.settings import Source
from producers.assemble import Assembler
from producers.cli import producer
from schemas.envelope import FIELDS, Envelope
from tests.golden.sendmail import make_expected as golden
from tests.unit.producers.lines import NOW

RECORDS = 253
# What the scenarios wrote into mails, names, headers and replies; no record may hold any of it.
CONTENT = (
    "a secret that no record may hold",
    "A body that no",
    "this text lies",
    "No such mailbox",
    "Bob B",
    "Dave, D",
)


@pytest.fixture(scope="module")
def envelopes() -> list[Envelope]:
    return golden.envelopes()


def test_there_are_enough_scenarios() -> None:
    assert len(SCENARIOS) == 56


def test_records_are_the_truth_of_clients_sink_and_mailboxes(envelopes: list[Envelope]) -> None:
    truth = scenario.from_json(json.loads((golden.HERE / "trace.truth.json").read_bytes()))
    assert len(truth) == RECORDS - 1
    assert scenario.records(envelopes) == Counter(truth)


def test_every_field_of_every_record_is_the_committed_one() -> None:
    expected = [json.loads(line) for line in golden.EXPECTED.read_text(encoding="utf-8").splitlines()]
    got = golden.objects()
    assert len(got) == len(expected) == RECORDS
    for number, (mine, committed) in enumerate(zip(got, expected, strict=True)):
        assert mine == committed, f"record {number}"
        assert tuple(mine) == tuple(field for field in FIELDS if field != "observed_time")


def test_only_the_quarantined_message_is_open_in_the_end(envelopes: list[Envelope]) -> None:
    (held,) = [record for record in envelopes if not record["is_final"]]
    assert (held["outcome"], held["sender"]) == ("HELD", "milter-quarantines@example.net")
    assert not any(record["outcome"] == "UNKNOWN" for record in envelopes)
    assert len({record["record_id"] for record in envelopes}) == RECORDS


def test_users_are_those_who_proved_it_or_called_the_program(envelopes: list[Envelope]) -> None:
    told = {(record["sender_ip_origin"], record["authenticated_user"]) for record in envelopes}
    assert {user for origin, user in told if origin == "CONNECTION"} == {None, "alice@example.org"}
    assert {user for origin, user in told if origin == "LOCAL_PROCESS"} == {None, "alice", "bob", "carol"}


def test_every_line_is_understood_or_ignored_by_name() -> None:
    data = golden.LOG.read_bytes()
    assembler = Assembler(golden.SITE, [Source(name="mail", path=golden.LOG)], golden.YEAR)
    assembler.read("mail", data, 0, NOW, NOW)
    tally = assembler.take_tallies()["mail"]
    assert tally.lines_not_understood == {}
    assert tally.lines_read == len(data.splitlines()) == tally.lines_understood + sum(tally.lines_ignored.values())


@pytest.mark.parametrize("mta", ["auto", "sendmail"])
def test_replay_reads_it(mta: str) -> None:
    told = CliRunner().invoke(producer, ["replay", "--mta", mta, "--year", str(golden.YEAR), str(golden.LOG)])
    assert told.exit_code == 0
    assert len(told.stdout.splitlines()) == RECORDS
    assert json.loads(told.stderr.splitlines()[-1])["lines_not_understood"] == 0


@pytest.mark.parametrize("cut", [3, 7, 200])
def test_chunks_and_a_restart_change_nothing(cut: int) -> None:
    source = Source(name="mail", path=golden.LOG)
    lines = golden.LOG.read_bytes().splitlines(keepends=True)
    results = []
    for size in (len(lines), cut):
        assembler = Assembler(golden.SITE, [source], golden.YEAR)
        got: list[Envelope] = []
        for start in range(0, len(lines), size):
            got += assembler.read("mail", b"".join(lines[start : start + size]), 0, NOW, NOW)
            assembler.take_tallies()
            assembler = Assembler.restore(assembler.snapshot(), golden.SITE, [source], golden.YEAR)
        results.append([record | {"source_offset": 0} for record in got + assembler.finish()])
    assert results[0] == results[1]


@pytest.mark.parametrize("text", CONTENT)
def test_no_content_of_a_mail_is_in_any_record(text: str, envelopes: list[Envelope]) -> None:
    everything = repr(envelopes) + golden.EXPECTED.read_text(encoding="utf-8")
    assert "refused@host.example.net" in everything
    assert text.lower() not in everything.lower()


def test_such_texts_do_stand_in_the_trace() -> None:
    """So the test above would find them, if a record took them over."""
    log = golden.LOG.read_text(encoding="utf-8")
    assert all(text in log for text in ("a secret that", "this text lies", "No such mailbox", "Bob B", "Dave, D"))

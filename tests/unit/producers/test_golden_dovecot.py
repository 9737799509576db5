"""Committed traces of a real Dovecot: their records are the clients' truth, and field by field what is committed."""

import json
from collections import Counter

import pytest

from infra.local import dovecot_scenario as scenario
from infra.platform.settings import Source
from producers.assemble import Assembler
from schemas.envelope import FIELDS, Envelope
from tests.golden.dovecot import make_expected as golden
from tests.unit.producers.lines import NOW, SOURCE
from tests.unit.producers.test_replay import replay

RECORDS = {"own": 36, "syslog": 29}
NAMES = list(golden.SITES)
# What the scenarios wrote into mails, scripts and folders; no record may hold any of it.
CONTENT = ("a secret that no record may hold", "Not for records", "go away", "Archive", "Subject", "User doesn't exist")


def read_in_chunks(name: str, size: int, restart_every: int = 0) -> list[Envelope]:
    """The records when the log comes in chunks of so many lines, with a restart from a snapshot between some."""
    lines = (golden.HERE / f"{name}.log").read_bytes().splitlines(keepends=True)
    site = golden.SITES[name]
    assembler = Assembler(site, [SOURCE], golden.YEAR)
    out, offset = [], 0
    for number, start in enumerate(range(0, len(lines), size)):
        chunk = b"".join(lines[start : start + size])
        out += assembler.read("mail", chunk, offset, NOW, NOW)
        offset += len(chunk)
        assembler.take_tallies()
        if restart_every and number % restart_every == 0:
            assembler = Assembler.restore(assembler.snapshot(), site, [SOURCE])
    return out + assembler.finish()


@pytest.mark.parametrize("name", NAMES)
def test_records_are_the_truth_of_the_clients(name: str) -> None:
    truth = scenario.from_json(json.loads((golden.HERE / f"{name}.truth.json").read_bytes()))
    assert len(truth) == RECORDS[name]
    assert scenario.records(golden.envelopes(name)[0]) == Counter(truth)


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_understood_or_ignored_by_rule(name: str) -> None:
    counts = golden.envelopes(name)[1]
    assert counts["lines_not_understood"] == 0
    assert counts["lines_read"] == counts["lines_understood"] + counts["lines_ignored"]


@pytest.mark.parametrize("name", NAMES)
def test_every_field_of_every_record_is_the_committed_one(name: str) -> None:
    text = (golden.HERE / f"{name}.expected.jsonl").read_text(encoding="utf-8")
    expected = [json.loads(line) for line in text.splitlines()]
    got = golden.objects(name)
    assert len(got) == len(expected) == RECORDS[name]
    for number, (mine, committed) in enumerate(zip(got, expected, strict=True)):
        assert mine == committed, f"record {number}"
        assert tuple(mine) == tuple(field for field in FIELDS if field != "observed_time")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_open_and_nothing_is_there_twice(name: str) -> None:
    records = golden.envelopes(name)[0]
    assert all(record["is_final"] and record["outcome"] != "UNKNOWN" for record in records)
    assert len({record["record_id"] for record in records}) == RECORDS[name]
    sessions = [record["session_id"] for record in records if record["session_id"] is not None]
    assert len(set(sessions)) == len(sessions)


@pytest.mark.parametrize("name", NAMES)
def test_chunks_and_restarts_change_nothing(name: str) -> None:
    whole = read_in_chunks(name, 10_000)
    assert len(whole) == RECORDS[name]
    for size, restart_every in ((1, 0), (1, 1), (7, 2)):
        assert read_in_chunks(name, size, restart_every) == whole


@pytest.mark.parametrize("text", CONTENT)
@pytest.mark.parametrize("name", NAMES)
def test_no_content_and_no_folder_is_in_any_record(name: str, text: str) -> None:
    everything = json.dumps(golden.objects(name), ensure_ascii=False)
    assert "alice@example.org" in everything
    assert text.lower() not in everything.lower()


def test_folders_and_replies_do_stand_in_the_traces() -> None:
    """So the test above would find them, if a record took them over."""
    log = (golden.HERE / "syslog.log").read_text(encoding="utf-8")
    assert "'Archive'" in log
    assert "User doesn't exist" in log


def test_the_port_in_a_session_id_is_the_client_s() -> None:
    """Not logged by default, and needed behind carrier-grade NAT. The truth has it from the client's own socket."""
    truth = scenario.from_json(json.loads((golden.HERE / "syslog.truth.json").read_bytes()))
    assert "rport=" not in (golden.HERE / "syslog.log").read_text(encoding="utf-8")
    ports = {entry.client_port for entry in truth if entry.event == "MAILBOX_ACCESS"}
    assert {41000, 4711, 4712} < ports
    assert None not in ports


@pytest.mark.parametrize("mta", ["auto", "dovecot"])
def test_the_mail_system_need_not_be_named(mta: str) -> None:
    source = Source(name="mail", path=golden.HERE / "own.log", mta=mta)
    assembler = Assembler(golden.SITES["own"], [source], golden.YEAR)
    records = assembler.read("mail", (golden.HERE / "own.log").read_bytes(), 0, NOW, NOW) + assembler.finish()
    assert len(records) == RECORDS["own"]
    assert {(record["mta"], record["host"], record["instance"]) for record in records} == {
        ("DOVECOT", "mb1.example.org", "dovecot")
    }


@pytest.mark.parametrize("mta", ["auto", "dovecot"])
@pytest.mark.parametrize("name", NAMES)
def test_replay_prints_them(name: str, mta: str) -> None:
    replayed = replay(golden.HERE / f"{name}.log", "--mta", mta, "--year", "2026", "--host", "mx1")
    assert len(replayed.records) == RECORDS[name]
    assert replayed.counts["lines_not_understood"] == 0

"""The committed traces of a real OpenSMTPD: records are the scenarios' truth, and field by field what is committed."""

import json

import pytest
from click.testing import CliRunner

from infra.local import opensmtpd_scenarios as scenarios
from producers.cli import producer
from schemas.envelope import FIELDS
from tests.golden.opensmtpd import make_expected as golden

ROWS = {"day": 89, "users": 3, "ends": 6}
# What the scenarios wrote into mails and replies; no record may hold any of it.
CONTENT = (
    "a secret that no record may hold",
    "A body that no record may hold",
    "this text lies",
    "No such mailbox",
    "exited abnormally",
    "Removed by administrator",
    "We know you",
)


def truth(name: str) -> list[scenarios.Truth]:
    return scenarios.from_json(json.loads((golden.HERE / f"{name}.truth.json").read_bytes()))


@pytest.mark.parametrize("name", golden.TRACES)
def test_records_are_the_truth_of_client_next_hop_and_mailboxes(name: str) -> None:
    records, counts = golden.replayed(name)
    told = scenarios.without_scenario(truth(name))
    recorded = scenarios.from_records(records)
    assert told.total() == ROWS[name]
    assert (told - recorded, recorded - told) == ({}, {})  # missing, too many
    assert counts["lines_not_understood"] == 0


def test_the_scenarios_are_many() -> None:
    names = {row.scenario for name in golden.TRACES for row in truth(name)}
    assert len(names) == 30  # and one, broken_off, of which nothing may be recorded


@pytest.mark.parametrize("name", golden.TRACES)
def test_every_field_of_every_record_is_the_committed_one(name: str) -> None:
    expected = [json.loads(line) for line in golden.expected(name).read_text(encoding="utf-8").splitlines()]
    got = golden.objects(name)
    assert len(got) == len(expected) == ROWS[name]
    for number, (mine, committed) in enumerate(zip(got, expected, strict=True)):
        assert mine == committed, f"record {number}"
        assert tuple(mine) == tuple(field for field in FIELDS if field != "observed_time")


@pytest.mark.parametrize("name", golden.TRACES)
def test_a_trace_ends_with_nothing_open(name: str) -> None:
    records, _ = golden.replayed(name)
    assert all(record["is_final"] and record["outcome"] != "UNKNOWN" for record in records)
    assert {record["mta"] for record in records} == {"OPENSMTPD"}
    assert len({record["record_id"] for record in records}) == ROWS[name]


@pytest.mark.parametrize("text", CONTENT)
def test_no_content_of_a_mail_or_reply_is_in_any_record(text: str) -> None:
    everything = repr([golden.replayed(name)[0] for name in golden.TRACES])
    assert "refused@example.net" in everything
    assert text.lower() not in everything.lower()


def test_reply_texts_do_stand_in_the_traces() -> None:
    """So the test above would find them, if a record took them over."""
    logs = "".join((golden.HERE / f"{name}.log").read_text(encoding="utf-8") for name in golden.TRACES)
    assert [text for text in CONTENT[2:] if text not in logs] == []


@pytest.mark.parametrize("mta", ["opensmtpd", "auto"])
def test_the_command_gives_the_same_records(mta: str) -> None:
    arguments = ["replay", "--mta", mta, "--year", "2026", "--own-network", "192.0.2.0/28"]
    for domain in golden.SITE.own_domains:
        arguments += ["--own-domain", domain]
    result = CliRunner().invoke(producer, [*arguments, str(golden.HERE / "ends.log")])
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    for row in rows:
        del row["observed_time"]
    assert rows == golden.objects("ends")
    assert json.loads(result.stderr.splitlines()[-1])["lines_not_understood"] == 0

"""The committed trace of a real Postfix: its records are the scenario's truth, and field by field what is committed."""

import json
from collections import Counter

import pytest

from infra.local import scenario
from schemas.envelope import FIELDS
from tests.golden.postfix import make_demo_expected as golden

# What the scenario wrote into mails and replies; no record may hold any of it.
CONTENT = (
    "a secret that no record may hold",
    "A body that no record may hold",
    "this text lies",
    "No such mailbox",
    "Subject",
)


def test_records_are_the_truth_of_client_and_sink() -> None:
    truth = scenario.from_json(json.loads((golden.HERE / "demo.truth.json").read_bytes()))
    assert len(truth) == 56
    assert scenario.records(golden.envelopes()) == Counter(truth)


def test_every_field_of_every_record_is_the_committed_one() -> None:
    expected = [json.loads(line) for line in golden.EXPECTED.read_text(encoding="utf-8").splitlines()]
    got = golden.objects()
    assert len(got) == len(expected) == 56
    for number, (mine, committed) in enumerate(zip(got, expected, strict=True)):
        assert mine == committed, f"record {number}"
        assert tuple(mine) == tuple(field for field in FIELDS if field != "observed_time")


def test_the_trace_ends_with_nothing_open() -> None:
    records = golden.envelopes()
    assert all(record["is_final"] and record["outcome"] != "UNKNOWN" for record in records)
    assert [record["agent_sequence"] for record in records] == list(range(56))
    assert len({record["record_id"] for record in records}) == 56


@pytest.mark.parametrize("text", CONTENT)
def test_no_content_of_a_mail_is_in_any_record(text: str) -> None:
    everything = repr(golden.envelopes()) + golden.EXPECTED.read_text(encoding="utf-8")
    assert "refused@host1.example.net" in everything
    assert text.lower() not in everything.lower()


def test_reply_texts_do_stand_in_the_trace() -> None:
    """So the test above would find them, if a record took them over."""
    log = golden.LOG.read_text(encoding="utf-8")
    assert "this text lies" in log
    assert "No such mailbox" in log

"""Committed tracking files, built and not traced: their records are what they were built from, and field by field what
is committed."""

import json
from collections import Counter

import pytest

from schemas.envelope import FIELDS
from tests.golden.exchange import make_files as golden
from tests.unit.producers.test_replay import replay

NAMES = list(golden.NAMES)
RECORDS = 17
CONTENT = (
    "a secret that no record may hold",
    "header@example.net",
    "quoted",
    "no such",
    "QUEUE.Expired",
    "Default EX1",
)


@pytest.mark.parametrize("name", NAMES)
def test_records_are_what_the_files_were_built_from(name: str) -> None:
    document = json.loads((golden.HERE / f"{name}.truth.json").read_bytes())
    truth = Counter(golden.Truth(**entry) for entry in document)
    assert truth.total() == RECORDS
    records, counts = golden.envelopes(name)
    assert Counter(golden.said(record) for record in records if record["is_final"]) == truth
    assert counts["lines_not_understood"] == 0
    assert counts["lines_read"] == counts["lines_understood"] + counts["lines_ignored"]


@pytest.mark.parametrize("name", NAMES)
def test_every_field_of_every_record_is_the_committed_one(name: str) -> None:
    text = (golden.HERE / f"{name}.expected.jsonl").read_text(encoding="utf-8")
    expected = [json.loads(line) for line in text.splitlines()]
    got = golden.objects(name)
    assert len(got) == len(expected) == RECORDS
    for number, (mine, committed) in enumerate(zip(got, expected, strict=True)):
        assert mine == committed, f"record {number}"
        assert tuple(mine) == tuple(field for field in FIELDS if field != "observed_time")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_open_and_nothing_is_there_twice(name: str) -> None:
    records = golden.envelopes(name)[0]
    assert all(record["is_final"] and record["outcome"] != "UNKNOWN" for record in records)
    assert len({record["record_id"] for record in records}) == RECORDS


@pytest.mark.parametrize("text", CONTENT)
def test_no_content_is_in_any_record(text: str) -> None:
    for name in NAMES:
        assert text in (golden.HERE / f"{name}.log").read_text(encoding="utf-8")
        assert text not in json.dumps(golden.objects(name), ensure_ascii=False)


@pytest.mark.parametrize("mta", ["auto", "exchange"])
@pytest.mark.parametrize("name", NAMES)
def test_replay_prints_them(name: str, mta: str) -> None:
    replayed = replay(golden.HERE / f"{name}.log", "--mta", mta)
    assert len(replayed.records) == RECORDS
    assert replayed.counts["lines_not_understood"] == 0
    assert {record["mta"] for record in replayed.records} == {"EXCHANGE"}

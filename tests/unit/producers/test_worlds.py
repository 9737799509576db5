"""The committed worlds of a real Postfix: their records are the scenarios' truth, and field by field what is committed."""

from collections import Counter

import pytest

from infra.local.postfix_scenarios import SECRET, recorded
from producers.assemble import Assembler
from schemas.envelope import FIELDS
from tests.golden.postfix import worlds
from tests.unit.producers.lines import NOW, SOURCE

SCENARIOS_MIN = 60


@pytest.mark.parametrize("name", worlds.NAMES)
def test_records_are_the_truth_of_clients_sink_and_mailboxes(name: str) -> None:
    """None missing, none too many. What the log cannot say stands in the truth with its reason."""
    truth = worlds.truth_of(name)
    assert all(told.why for told in truth if not told.outcome)
    expected = Counter(told.recorded() for told in truth if told.outcome)
    got = Counter(recorded(envelope) for envelope in worlds.envelopes_of(name))
    assert (expected - got, got - expected) == (Counter(), Counter())


@pytest.mark.parametrize("name", worlds.NAMES)
def test_every_field_of_every_record_is_the_committed_one(name: str) -> None:
    expected, got = worlds.expected_of(name), worlds.objects_of(name)
    assert len(got) == len(expected)
    for number, (mine, committed) in enumerate(zip(got, expected, strict=True)):
        assert mine == committed, f"record {number}"
        assert tuple(mine) == tuple(field for field in FIELDS if field != "observed_time")
    assert len({row["record_id"] for row in got}) == len(got)


@pytest.mark.parametrize("name", worlds.NAMES)
def test_every_line_of_the_worlds_is_understood_or_ignored_by_rule(name: str) -> None:
    assembler = Assembler(worlds.site_of(name), [SOURCE])
    assembler.read("mail", worlds.log_of(name).read_bytes(), 0, NOW, NOW)
    tally = assembler.take_tallies()["mail"]
    assert tally.lines_not_understood == {}
    assert tally.lines_read == tally.lines_understood + sum(tally.lines_ignored.values())


@pytest.mark.parametrize("name", worlds.NAMES)
def test_chunks_and_restarts_change_nothing(name: str) -> None:
    """What is known of names, filters and notes is in the snapshot: line by line, restored each time, the same records."""
    data, site = worlds.log_of(name).read_bytes(), worlds.site_of(name)
    whole = Assembler(site, [SOURCE], worlds.YEAR)
    expected = whole.read("mail", data, 0, NOW, NOW) + whole.finish()
    assembler, got, offset = Assembler(site, [SOURCE], worlds.YEAR), [], 0
    for line in data.splitlines(keepends=True):
        got += assembler.read("mail", line, offset, NOW, NOW)
        offset += len(line)
        assembler.take_tallies()
        assembler = Assembler.restore(assembler.snapshot(), site, [SOURCE])
    assert got + assembler.finish() == expected


def test_there_are_many_scenarios() -> None:
    names = {(name, told.scenario) for name in worlds.NAMES for told in worlds.truth_of(name)}
    assert len(names) >= SCENARIOS_MIN


@pytest.mark.parametrize("name", worlds.NAMES)
def test_the_secret_word_is_in_no_record(name: str) -> None:
    """It stood in subjects, bodies, headers, maps, replies and the output of pipes."""
    assert SECRET.lower() not in repr(worlds.envelopes_of(name)).lower()
    assert SECRET.lower() not in repr(worlds.expected_of(name)).lower()


@pytest.mark.parametrize(
    "where",
    [
        "warning: header X-Warn: ",
        "status=sent (delivered via say service",
        "Command output: ",
        ": 5.7.1 ",
        "<reject@example.org>: Recipient address rejected: ",
    ],
)
def test_the_secret_word_does_stand_in_the_logs(where: str) -> None:
    """So the test above would find it, if a record took it over."""
    lines = [line for name in worlds.NAMES for line in worlds.log_of(name).read_text(encoding="utf-8").splitlines()]
    assert any(where in line and SECRET in line.partition(where)[2] for line in lines)

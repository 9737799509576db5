"""Entries of the journal, as `journalctl -o json` and `-o export` write them."""

from typing import Any

import pytest

from infra.platform.clock import HOUR, SECOND
from tests.unit.producers.carried import AT, TEXT, as_json, export, journal, one, read


def test_both_forms_of_the_journal_give_the_same_records() -> None:
    entry = journal()
    records = [one(as_json(entry)), one(export(entry)), one(export(entry, ["MESSAGE", "_COMM"]))]
    records.append(one(as_json(entry | {"MESSAGE": list(TEXT.encode())})))
    assert len({record["record_id"] for record in records}) == 1
    assert (records[0]["event_time"], records[0]["host"]) == (AT, "mx1")
    assert records[0]["time_quality"] == "EXACT"


def test_bytes_that_are_no_text_are_the_same_in_both_forms() -> None:
    message = TEXT.encode().replace(b"helo=<h", b"helo=<\xff\x00h")
    by_json = one(as_json(journal(MESSAGE=list(message))))
    assert by_json["record_id"] == one(export(journal(MESSAGE=message), ["MESSAGE"]))["record_id"]
    assert by_json["helo"] == "\\xff\x00h.example.com"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"MESSAGE": "null"}, "journald-field-left-out"),
        ({"MESSAGE": [1, 2, 300]}, "journald-field-left-out"),
        ({"SYSLOG_IDENTIFIER": "a b"}, "no-tag"),
        ({"SYSLOG_IDENTIFIER": None, "_COMM": None}, "no-tag"),
        ({"_HOSTNAME": "mx1\npostfix"}, "no-tag"),
        ({"U_REALTIME_TIMESTAMP": "x", "_SOURCE_REALTIME_TIMESTAMP": None}, "no-time"),
        ({"U_REALTIME_TIMESTAMP": "9" * 30, "_SOURCE_REALTIME_TIMESTAMP": "1"}, "no-time"),
    ],
)
def test_entries_that_are_not_understood_are_counted_with_a_reason(change: dict[str, Any], reason: str) -> None:
    entry = journal(**change)
    if change.get("MESSAGE") == "null":
        entry["MESSAGE"] = None  # what journalctl writes for a field beyond 4,096 bytes
    records, tally = read(as_json(entry))
    assert (records, tally.lines_not_understood) == ([], {reason: 1})


def test_an_entry_without_a_message_and_one_of_another_program_are_ignored() -> None:
    data = (
        as_json(journal(MESSAGE=None)) + export(journal(MESSAGE=None)) + as_json(journal(SYSLOG_IDENTIFIER="systemd"))
    )
    records, tally = read(as_json(journal(MESSAGE=None)) + as_json(journal(SYSLOG_IDENTIFIER="systemd")))
    assert (records, tally.lines_ignored) == ([], {"journald-no-message": 1, "other-program": 1})
    assert read(data)[0] == []


def test_of_a_field_that_stands_twice_the_first_counts() -> None:
    twice = export(journal()).replace(b"_HOSTNAME=mx1\n", b"_HOSTNAME=mx1\n_HOSTNAME=evil\n")
    assert one(twice)["host"] == one(as_json(journal(_HOSTNAME=["mx1", "evil"])))["host"] == "mx1"


def test_a_message_of_several_lines_is_one_line_and_no_other_s() -> None:
    """A line end in a message must not begin a line; neither may an imitation of a whole entry."""
    forged = f"2026-09-12T16:49:12Z mx1 postfix/smtpd[1]: {TEXT}"
    for message in (f"x\n{forged}", f"x\n\n{export(journal()).decode()}", f"x\n__CURSOR=s=1\nMESSAGE={TEXT}\n\n"):
        records, tally = read(export(journal(MESSAGE=message, SYSLOG_IDENTIFIER="cron")) + export(journal()))
        assert len(records) == 1
        assert tally.lines_ignored == {"other-program": 1}


def test_an_export_in_chunks_of_any_size_gives_the_same_over_restarts() -> None:
    data = b"".join(
        export(journal(MESSAGE=TEXT.replace("x@", f"x{number}@"), _COMM="a\nb"), ["_COMM"]) for number in range(8)
    )
    whole, counts = read(data)
    assert (len(whole), counts.lines_read) == (8, 8)
    lines = data.splitlines(keepends=True)
    for size in (1, 2, 5, 17):
        chunks = [b"".join(lines[at : at + size]) for at in range(0, len(lines), size)]
        assert read(*chunks, restart=True) == (whole, counts)


def test_offsets_in_an_export_are_those_of_its_entries() -> None:
    first, second = export(journal()), export(journal(MESSAGE=TEXT.replace("x@", "y@")))
    records, _ = read(first + second)
    assert [record["source_offset"] for record in records] == [0, len(first)]


def test_an_entry_that_breaks_off_is_counted_and_the_next_is_read() -> None:
    """A file that was cut, and the next one; a size that is none; an entry entered in its middle."""
    whole = export(journal(MESSAGE=TEXT))
    cuts = [whole[:200], export(journal(), ["_COMM"]).replace(b"_COMM\n\x05", b"_COMM\n\x06"), whole[30:], b"junk\n"]
    for cut in cuts:
        first = cut if cut.endswith(b"\n") else cut + b"\n"
        records, tally = read(first, b"\n" * (not cut.startswith(b"__")) + whole, whole)
        assert len(records) >= 1, cut
        assert sum(tally.lines_not_understood.values()) >= 1, cut


def test_case_62_the_journal_s_own_time_is_used_where_the_program_says_no_other_second() -> None:
    def time(**fields: Any) -> int:
        return one(as_json(journal(**fields)))["event_time"]

    assert time() == time(SYSLOG_TIMESTAMP=None) == AT
    assert time(SYSLOG_TIMESTAMP="Sep 12 18:49:12 ") == AT  # its zone is not the one that was set
    assert time(SYSLOG_TIMESTAMP="Sep 12 16:49:02 ") == AT // SECOND * SECOND - 10 * SECOND
    assert time(SYSLOG_TIMESTAMP="Sep 12 15:44:00 ") == (AT - HOUR) // SECOND * SECOND - 312 * SECOND
    assert time(SYSLOG_TIMESTAMP="junk") == AT

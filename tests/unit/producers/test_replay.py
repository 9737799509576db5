"""`liucun producer replay`: JSON names, counts on standard error, and input of every bad kind."""

import gzip
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from infra.platform.errors import SettingsError
from producers.cli import producer
from producers.errors import InputError
from producers.replay import nothing_understood
from schemas.envelope import FIELDS
from tests.golden.postfix.make_demo_expected import LOG
from tests.unit.producers.lines import log, message, sent

GOOD = log(*message(sent("a@example.com")))
REFUSED = b"%s mx1 postfix/smtpd[1]: NOQUEUE: reject: RCPT from c[192.0.2.1]: 550 5.1.1 no; from=<s@example.net> to=<x@example.com> proto=ESMTP helo=<h>\n"
COUNTS = {"lines_read", "lines_understood", "lines_ignored", "lines_not_understood", "records", "seconds"}
REASONS = {"ignored", "not_understood", "loss_markers"}


class Replayed(NamedTuple):
    """What a run printed."""

    records: list[dict[str, Any]]
    counts: dict[str, Any]

    @property
    def lines(self) -> int:
        """Lines whose fate is told."""
        kinds = ("lines_understood", "lines_ignored", "lines_not_understood")
        return sum(self.counts[kind] for kind in kinds)


def replay(*arguments: Path | str, stdin: bytes | None = None) -> Replayed:
    """Run the command; it must end well."""
    result = CliRunner().invoke(producer, ["replay", *map(str, arguments)], input=stdin)
    if result.exception is not None:
        raise result.exception
    assert result.exit_code == 0
    counts = json.loads(result.stderr.splitlines()[-1])
    assert set(counts) == COUNTS | REASONS
    for reasons in ("ignored", "not_understood"):
        assert sum(counts[reasons].values()) == counts[f"lines_{reasons}"]
    out = Replayed([json.loads(line) for line in result.stdout.splitlines()], counts)
    assert counts["records"] == len(out.records)
    assert counts["lines_read"] == out.lines
    return out


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A log file."""
    return tmp_path / "mail.log"


def written(path: Path, data: bytes) -> Path:
    """A file with these bytes."""
    path.write_bytes(data)
    return path


def test_names_and_order_are_the_contract_s() -> None:
    found = replay(LOG)
    assert len(found.records) == 56
    for number, record in enumerate(found.records):
        assert tuple(record) == FIELDS
        assert (record["agent_id"], record["agent_epoch"], record["agent_sequence"]) == ("replay", 0, number)
        assert record["source_name"] == "replay"
    assert found.counts["lines_read"] == len(LOG.read_bytes().splitlines())
    assert found.counts["lines_not_understood"] == 0
    assert found.counts["seconds"] >= 0


def test_values_have_their_json_forms(file: Path) -> None:
    (record,) = replay(written(file, GOOD)).records
    assert record["event_time"] == "2026-11-24T09:00:03.000000Z"
    assert record["accept_time"] == "2026-11-24T09:00:00.000000Z"
    assert (record["sender_ip"], record["recipient_ip"], record["server_ip"]) == ("192.0.2.1", "192.0.2.9", None)
    assert len(record["record_id"]) == len(record["message_key"]) == 32
    assert set(record["record_id"]) <= set("0123456789abcdef")
    assert (record["is_final"], record["flags"], record["attempts"]) == (True, [], 1)


def test_text_that_is_not_ascii_is_printed_as_it_is(file: Path) -> None:
    data = log(*message(sent("用户@example.com"))).decode().encode("utf-8")
    result = CliRunner().invoke(producer, ["replay", str(written(file, data))])
    assert "用户@example.com" in result.stdout


def test_settings_from_arguments_reach_the_records(file: Path) -> None:
    written(file, log(*message(sent("a@example.com"))))
    arguments = ("--own-domain", "example.com", "--own-network", "192.0.2.0/24", "--host", "mx9.example.com", "--json")
    (record,) = replay(file, *arguments).records
    assert (record["direction"], record["host"]) == ("INTERNAL", "mx9.example.com")


def test_year_and_zone_from_arguments_reach_the_records(file: Path) -> None:
    written(file, GOOD.replace(b"2026-11-24T", b"Nov 24 ").replace(b".000000Z", b""))
    (record,) = replay(file, "--year", "2019", "--time-zone", "Asia/Shanghai").records
    assert (record["event_time"], record["time_quality"]) == ("2019-11-24T01:00:03.000000Z", "EXACT")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--time-zone", "Mars/Olympus"), "is not a time zone"),
        (("--own-network", "192.0.2.0/33"), "is no network"),
    ],
)
def test_a_wrong_argument_is_one_sentence(file: Path, arguments: tuple[str, ...], word: str) -> None:
    with pytest.raises(SettingsError, match=word) as caught:
        replay(written(file, GOOD), *arguments)
    assert caught.value.exit_code == 2


def test_several_files_are_one_stream(tmp_path: Path) -> None:
    """A message that begins in one file ends in the next; offsets count within their file."""
    lines = log(*message(sent("a@example.com"))).splitlines(keepends=True)
    first = written(tmp_path / "b.log", b"".join(lines[:2]))
    second = written(tmp_path / "a.log", b"".join(lines[2:]))
    (record,) = replay(first, second).records
    assert (record["recipient"], record["flags"], record["is_final"]) == ("a@example.com", [], True)
    assert (record["sender_ip"], record["source_offset"]) == ("192.0.2.1", len(lines[2]))
    assert record["record_id"] == replay(written(tmp_path / "c.log", b"".join(lines))).records[0]["record_id"]


def test_identical_lines_in_two_files_are_two_records(tmp_path: Path) -> None:
    line = REFUSED % b"2026-11-24T09:00:00Z"
    found = replay(written(tmp_path / "1", line), written(tmp_path / "2", line))
    assert len({record["record_id"] for record in found.records}) == 2


def test_a_last_line_without_its_end_is_read(tmp_path: Path) -> None:
    found = replay(written(tmp_path / "1", GOOD.rstrip(b"\n")), written(tmp_path / "2", GOOD))
    assert found.counts["lines_read"] == 2 * len(GOOD.splitlines())


def test_standard_input_is_a_file() -> None:
    by_name, piped = replay(LOG, "--year", "2026"), replay("-", "--year", "2026", stdin=LOG.read_bytes())
    assert [record["record_id"] for record in piped.records] == [record["record_id"] for record in by_name.records]
    assert replay("-", stdin=b"").records == []


def test_what_is_open_at_the_end_is_not_final(file: Path) -> None:
    lines = message(removed=False)
    (record,) = replay(written(file, log(*lines))).records
    assert (record["is_final"], record["outcome"], record["flags"]) == (
        False,
        "UNKNOWN",
        ["PARTIAL_END", "RECIPIENTS_INCOMPLETE"],
    )


@pytest.mark.parametrize(
    ("junk", "lines"),
    [
        (b"", 0),
        (b"\n\n\r\n\n", 1),
        (b"\x00" * 5000, 1),
        (b"\x00\n" * 100, 100),
        (b"\xff\xfe\xfd\n" * 10, 10),
        ("\ufeffNov 24 10:00:00 mx1 postfix/smtpd[1]: connect from x[192.0.2.1]\n".encode("utf-16"), 2),
        (b"a" * 65_537 + b"\n", 1),
        (b"{}\n[]\nnull\n", 3),
        (b"<34>1 2026-11-24T09:00:00Z mx1 postfix/qmgr 1 - no-data 3F2A1C0D4E: removed\n", 1),
        (bytes(range(256)) * 4, 5),
    ],
    ids=["empty", "blank", "nul", "nul lines", "no utf8", "utf16", "64 KiB line", "json", "rfc5424", "all bytes"],
)
def test_junk_is_counted_and_what_follows_is_read(file: Path, junk: bytes, lines: int) -> None:
    alone = replay(written(file, junk))
    assert (alone.records, alone.counts["lines_read"], alone.counts["lines_not_understood"]) == ([], lines, lines)
    between = replay(written(file, GOOD + junk + b"\n" + GOOD.replace(b"4jYK", b"4jYM")))
    assert [record["recipient"] for record in between.records] == ["a@example.com"] * 2


@pytest.mark.parametrize("megabytes", [1, 4])
def test_lines_around_a_very_long_line_are_read(file: Path, megabytes: int) -> None:
    long = b"a" * (megabytes << 20) + b"\n"
    found = replay(written(file, GOOD + long + GOOD.replace(b"4jYK", b"4jYM")))
    assert len(found.records) == 2
    assert found.counts["lines_not_understood"] >= 1


def test_a_line_of_a_mebibyte_is_one_line(file: Path) -> None:
    assert replay(written(file, b"a" * (1 << 20) + b"\n")).counts["lines_read"] == 1


def test_the_tail_of_a_long_line_is_no_line(file: Path) -> None:
    """At 512 KiB a new line seems to begin; who can write a long line could write a record."""
    assert replay(written(file, b"x" * (512 << 10) + REFUSED % b"2026-11-24T09:00:00Z")).records == []


def test_gzip_is_read_like_the_file_that_it_was(tmp_path: Path) -> None:
    plain = replay(LOG, "--year", "2026")
    packed = replay(written(tmp_path / "mail.log.2.gz", gzip.compress(LOG.read_bytes())), "--year", "2026")
    assert [record["record_id"] for record in packed.records] == [record["record_id"] for record in plain.records]


@pytest.mark.parametrize("cut", [1, 2, 3, 10, 18, -9])
def test_a_cut_gzip_is_no_error_and_the_next_file_is_read(tmp_path: Path, cut: int) -> None:
    packed = written(tmp_path / "mail.log.2.gz", gzip.compress(LOG.read_bytes())[:cut])
    found = replay(packed, written(tmp_path / "mail.log", GOOD), "--year", "2026")
    assert found.records[-1]["recipient"] == "a@example.com"


def test_a_cut_gzip_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    packed = written(tmp_path / "mail.log.2.gz", gzip.compress(LOG.read_bytes())[:-9])
    assert len(replay(packed).records) >= 55


def test_a_damaged_gzip_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(LOG.read_bytes()))
    packed[len(packed) // 2 : len(packed) // 2 + 40] = b"\xff" * 40
    found = replay(written(tmp_path / "mail.log.2.gz", bytes(packed)), written(tmp_path / "mail.log", GOOD))
    assert found.records[-1]["recipient"] == "a@example.com"


def test_other_compression_is_junk_that_is_counted(tmp_path: Path) -> None:
    """xz is not unpacked; its bytes are lines that nobody understands."""
    found = replay(written(tmp_path / "mail.log.xz", b"\xfd7zXZ\x00" + bytes(range(256)) * 3))
    assert found.records == []
    assert found.counts["lines_not_understood"] == found.counts["lines_read"] > 0


@pytest.mark.parametrize("cut", [1, 12, 40, -9])
def test_a_cut_compressed_file_is_a_loss_that_is_told(tmp_path: Path, cut: int) -> None:
    found = replay(written(tmp_path / "mail.log.2.gz", gzip.compress(LOG.read_bytes())[:cut]))
    assert found.counts["loss_markers"] == ({} if cut == 1 else {"file-damaged": 1})  # one byte is a plain file
    assert replay(LOG).counts["loss_markers"] == {}


def test_counts_say_why(file: Path) -> None:
    counts = replay(written(file, GOOD + b"junk\n" + GOOD.replace(b"postfix/", b"x"))).counts
    assert counts["not_understood"] == {"no-header": 1}
    assert counts["ignored"] == {"other-program": 5}


def test_the_log_of_another_program_is_one_sentence() -> None:
    nothing = {"lines_read": 3, "lines_understood": 0, "ignored": {"other-program": 2}, "not_understood": {"x": 1}}
    sentence = nothing_understood(nothing)
    assert sentence is not None
    assert sentence.startswith("None of 3 lines was understood (most often: other-program).")
    assert nothing_understood(nothing | {"lines_understood": 1}) is None
    assert nothing_understood(nothing | {"lines_read": 0}) is None


@pytest.mark.parametrize("kind", ["nothing", "folder", "fifo", "dangling link"])
def test_what_is_no_file_is_one_sentence(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "x"
    if kind == "folder":
        target.mkdir()
    elif kind == "fifo":
        os.mkfifo(target)
    elif kind == "dangling link":
        target.symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"does not exist|is a folder|is not a regular file") as caught:
        replay(target)
    assert str(target) in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_file_that_may_not_be_read_is_one_sentence(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    written(file, GOOD)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)") as caught:
        replay(file)
    assert caught.value.exit_code == 2


def test_a_missing_second_file_comes_after_the_records_of_the_first(file: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(producer, ["replay", str(written(file, GOOD)), str(tmp_path / "none")])
    assert isinstance(result.exception, InputError)
    assert len(result.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "stamp",
    [
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00",
        "1969-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
    ],
)
def test_a_time_that_no_log_has_is_no_time(file: Path, stamp: str) -> None:
    """A broken or hostile clock: the line is counted, and the next one is read."""
    found = replay(written(file, REFUSED % stamp.encode() + GOOD), "--time-zone", "Asia/Shanghai")
    assert [record["recipient"] for record in found.records] == ["a@example.com"]
    assert found.counts["lines_not_understood"] == 1

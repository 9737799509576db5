"""`--once`: files in log order, without what the live agent has read, and on from where an earlier run ended."""

import gzip
import hashlib
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from infra.platform.clock import HOUR
from infra.platform.errors import SettingsError
from infra.platform.settings import Agent, Site, Source
from producers import backfill, outbox
from producers.backfill import Backfill, FileReader
from producers.capture import Capture, FileRead
from producers.errors import InputError
from producers.follow import Chunk, Lost
from producers.logfile import FileIdentity, fingerprint, open_log
from producers.outbox import Outbox
from tests.unit.producers.lines import NOW


def lines(hour: int, count: int, day: int = 24) -> bytes:
    """Lines of one hour, each of another second."""
    return b"".join(
        b"2026-11-%02dT%02d:%02d:%02dZ mx1 postfix/smtpd[1]: connect from h%d[192.0.2.1]\n"
        % (day, hour, number // 60, number % 60, number)
        for number in range(count)
    )


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    """An agent with one stream."""
    return Agent(
        agent_id="mx1", outbox_dir=tmp_path / "outbox", sources=[Source(name="mail", path=tmp_path / "mail.log")]
    )


def written(path: Path, data: bytes) -> Path:
    """A file with these bytes."""
    path.write_bytes(data)
    return path


def live_has_read(agent: Agent, path: Path, *ranges: tuple[int, int]) -> None:
    """The live agent's outbox, in which these ranges of a file stand as read."""
    outbox.create(agent.outbox_dir, "mx1", 1)
    box = Outbox(agent.outbox_dir)
    capture = Capture(box.identity, ZoneInfo("UTC"), Site(), agent.sources, NOW)
    for start, end in ranges:
        with open_log(path) as file:
            identity = fingerprint(file)
            file.seek(start)
            data = file.read(end - start)
        box.append(capture.chunk(Chunk("mail", identity, start, end, data, NOW), NOW))
    box.close()


def read_all(reader: FileReader, most: int = 1000) -> list[Chunk]:
    """Every chunk."""
    chunks = []
    while (event := reader.poll(NOW)) is not None:
        assert isinstance(event, Chunk)
        chunks.append(event)
        assert len(chunks) <= most
    assert reader.poll(NOW) is None
    return chunks


def data_of(chunks: list[Chunk]) -> bytes:
    """All bytes."""
    return b"".join(chunk.data for chunk in chunks)


def test_files_are_read_in_the_order_of_their_first_line_not_of_name_or_age(agent: Agent, tmp_path: Path) -> None:
    first = written(tmp_path / "mail.log.1", lines(7, 3))
    second = written(tmp_path / "mail.log.3", b"junk without a time\n" + lines(8, 3))
    third = tmp_path / "mail.log.2.gz"
    third.write_bytes(gzip.compress(lines(9, 3)))
    os.utime(first, (NOW // 10**6, NOW // 10**6))
    os.utime(third, (1_000_000_000, 1_000_000_000))
    plan = backfill.plan(agent, [third, second, first], NOW)
    assert plan.files == [first, second, third]
    expected = lines(7, 3) + b"junk without a time\n" + lines(8, 3) + lines(9, 3)
    assert data_of(read_all(FileReader(plan, agent.outbox_dir, []))) == expected


def test_a_file_without_any_time_is_ordered_by_its_own(agent: Agent, tmp_path: Path) -> None:
    timed = written(tmp_path / "mail.log.1", lines(9, 1))
    untimed = written(tmp_path / "mail.log.2", b"junk\n")
    for moment, order in ((NOW - 4 * HOUR, [untimed, timed]), (NOW, [timed, untimed])):
        os.utime(untimed, (moment // 10**6, moment // 10**6))
        assert backfill.plan(agent, [timed, untimed], NOW).files == order


def test_a_backfill_is_an_agent_of_its_own_named_by_the_first_line(agent: Agent, tmp_path: Path) -> None:
    first = written(tmp_path / "mail.log.2", lines(7, 3))
    second = written(tmp_path / "mail.log.1", lines(8, 3))
    mark = hashlib.sha256(lines(7, 1).rstrip(b"\n")).hexdigest()[:8]
    plan = backfill.plan(agent, [second, first], NOW)
    assert plan.agent_id == f"mx1+once-{mark}"
    assert plan.folder == agent.outbox_dir / "once" / mark
    assert backfill.plan(agent, [first], NOW).agent_id == plan.agent_id
    assert backfill.plan(agent, [second], NOW).agent_id != plan.agent_id
    written(first, lines(7, 3).replace(b"\n", b"\r\n"))
    assert backfill.plan(agent, [first], NOW).agent_id == plan.agent_id


def test_files_of_exchange_are_ordered_by_their_rows_and_named_by_them(agent: Agent, tmp_path: Path) -> None:
    """All of them begin with the same comments."""
    begin = b"\xef\xbb\xbf#Software: Microsoft Exchange Server\r\n#Fields: date-time,event-id\r\n"
    second, first = (
        written(tmp_path / f"MSGTRK2026112{day}-1.LOG", begin + b"2026-11-2%dT09:00:00.000Z,RECEIVE\r\n" % day)
        for day in (4, 3)
    )
    os.utime(first, (NOW // 10**6, NOW // 10**6))
    assert backfill.plan(agent, [second, first], NOW).files == [first, second]
    assert backfill.plan(agent, [second], NOW).agent_id != backfill.plan(agent, [first], NOW).agent_id


def test_a_file_belongs_to_the_stream_whose_name_it_begins_with(agent: Agent, tmp_path: Path) -> None:
    two = agent.model_copy(update={"sources": [*agent.sources, Source(name="dovecot", path=tmp_path / "dovecot.log")]})
    assert backfill.plan(two, [written(tmp_path / "dovecot.log.1", lines(7, 1))], NOW).source.name == "dovecot"
    other = written(tmp_path / "other.log", lines(7, 1))
    assert backfill.plan(agent, [other], NOW).source.name == "mail"
    with pytest.raises(SettingsError, match=r"other\.log belongs to none"):
        backfill.plan(two, [other], NOW)


def test_a_file_that_is_missing_is_one_sentence_before_anything_is_read(agent: Agent, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        backfill.plan(agent, [written(tmp_path / "mail.log.1", lines(7, 1)), tmp_path / "mail.log.2"], NOW)


@pytest.mark.parametrize(
    ("ranges", "left"),
    [
        ([(0, 10)], [(0, 0), (10, 30)]),
        ([(10, 20)], [(0, 10), (20, 30)]),
        ([(20, 30)], [(0, 20)]),
        ([(5, 10), (10, 15)], [(0, 5), (15, 30)]),
        ([(5, 15), (10, 20)], [(0, 5), (20, 30)]),
        ([(20, 25), (5, 10)], [(0, 5), (10, 20), (25, 30)]),
        ([(0, 30)], []),
    ],
)
def test_what_the_live_agent_has_read_is_skipped(
    agent: Agent, tmp_path: Path, ranges: list[tuple[int, int]], left: list[tuple[int, int]]
) -> None:
    """Ranges in lines of a file of thirty."""
    data = lines(7, 30)
    at = [0, *(place + 1 for place, byte in enumerate(data) if byte == 10)]
    path = written(tmp_path / "mail.log.1", data)
    live_has_read(agent, path, *((at[start], at[end]) for start, end in ranges))
    plan = backfill.plan(agent, [path], NOW)
    chunks = read_all(FileReader(plan, agent.outbox_dir, []))
    assert data_of(chunks) == b"".join(data[at[start] : at[end]] for start, end in left)
    for chunk in chunks:
        assert data[chunk.from_offset : chunk.to_offset] == chunk.data


def test_what_the_live_agent_read_is_known_again_when_compressed(agent: Agent, tmp_path: Path) -> None:
    path = written(tmp_path / "mail.log", lines(7, 30))
    live_has_read(agent, path, (0, len(lines(7, 12))))
    packed = tmp_path / "mail.log.1.gz"
    packed.write_bytes(gzip.compress(lines(7, 30)))
    plan = backfill.plan(agent, [packed], NOW)
    chunks = read_all(FileReader(plan, agent.outbox_dir, []))
    assert data_of(chunks) == lines(7, 30)[len(lines(7, 12)) :]


def test_ranges_of_another_file_skip_nothing(agent: Agent, tmp_path: Path) -> None:
    other = written(tmp_path / "mail.log", lines(8, 30))
    live_has_read(agent, other, (0, other.stat().st_size))
    path = written(tmp_path / "mail.log.1", lines(7, 30))
    plan = backfill.plan(agent, [path], NOW)
    assert data_of(read_all(FileReader(plan, agent.outbox_dir, []))) == lines(7, 30)


def identity(path: Path) -> FileIdentity:
    """Of a file's beginning."""
    with open_log(path) as file:
        return fingerprint(file)


def test_a_second_run_goes_on_where_the_first_ended(agent: Agent, tmp_path: Path) -> None:
    files = [written(tmp_path / f"mail.log.{4 - number}", lines(6 + number, 5)) for number in range(3)]
    plan = backfill.plan(agent, files, NOW)
    for number in range(3):
        for offset in (0, len(lines(6, 2)), len(lines(6, 5))):
            done = [FileRead("mail", identity(one), 0, one.stat().st_size) for one in files[:number]]
            done.append(FileRead("mail", identity(files[number]), 0, offset))
            rest = lines(6 + number, 5)[offset:] + b"".join(lines(7 + later, 5) for later in range(number, 2))
            assert data_of(read_all(FileReader(plan, agent.outbox_dir, done))) == rest


def test_a_run_that_had_ended_finds_nothing_more(agent: Agent, tmp_path: Path) -> None:
    path = written(tmp_path / "mail.log.1", lines(7, 5))
    plan = backfill.plan(agent, [path], NOW)
    reader = FileReader(plan, agent.outbox_dir, [FileRead("mail", identity(path), 0, path.stat().st_size)])
    assert read_all(reader) == []
    assert reader.poll(NOW) is None


def test_chunks_are_whole_lines_and_a_last_line_may_lack_its_end(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "CHUNK_BYTES_MAX", 200)
    data = lines(7, 20) + b"no end"
    plan = backfill.plan(agent, [written(tmp_path / "mail.log.1", data)], NOW)
    chunks = read_all(FileReader(plan, agent.outbox_dir, []))
    assert len(chunks) > 5
    assert data_of(chunks) == data
    assert all(chunk.data.endswith(b"\n") for chunk in chunks[:-1])


def test_a_line_beyond_the_bound_is_one_line_that_is_counted(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "CHUNK_BYTES_MAX", 200)
    data = lines(7, 2) + b"x" * 1000 + b"\n" + lines(8, 2)
    plan = backfill.plan(agent, [written(tmp_path / "mail.log.1", data)], NOW)
    chunks = read_all(FileReader(plan, agent.outbox_dir, []))
    assert data_of(chunks) == lines(7, 2) + lines(8, 2)
    (long,) = [chunk for chunk in chunks if chunk.too_long]
    assert (long.data, long.to_offset - long.from_offset) == (b"", 1001)


def test_bytes_behind_are_those_of_files_not_yet_begun(agent: Agent, tmp_path: Path) -> None:
    files = [written(tmp_path / f"mail.log.{number}", lines(9 - number, 5)) for number in (2, 1)]
    reader = FileReader(backfill.plan(agent, files, NOW), agent.outbox_dir, [])
    assert reader.behind_bytes() == sum(path.stat().st_size for path in files)
    reader.poll(NOW)
    assert reader.behind_bytes() == files[1].stat().st_size
    reader.close()


def test_an_empty_file_is_read_to_its_end(agent: Agent, tmp_path: Path) -> None:
    files = [written(tmp_path / "mail.log.2", b""), written(tmp_path / "mail.log.1", lines(7, 2))]
    plan = Backfill("mx1+once-0", tmp_path / "once", agent.sources[0], files)
    assert data_of(read_all(FileReader(plan, agent.outbox_dir, []))) == lines(7, 2)


@pytest.mark.parametrize("cut", [5, 60, -9])
def test_a_cut_gzip_is_read_as_far_as_it_goes_and_the_rest_is_a_loss(agent: Agent, tmp_path: Path, cut: int) -> None:
    packed = written(tmp_path / "mail.log.2.gz", gzip.compress(lines(7, 30))[:cut])
    plan = Backfill("mx1+once-0", tmp_path / "once", agent.sources[0], [packed, written(tmp_path / "x", lines(8, 1))])
    reader = FileReader(plan, agent.outbox_dir, [])
    events = []
    while (event := reader.poll(NOW)) is not None:
        events.append(event)
    chunks = [event for event in events if isinstance(event, Chunk)]
    assert [event for event in events if not isinstance(event, Chunk)] == [Lost("mail", "file-damaged")]
    assert lines(7, 30).startswith(data_of(chunks[:-1]))
    assert chunks[-1].data == lines(8, 1)


def test_new_files_are_read_though_the_last_one_read_is_gone(agent: Agent, tmp_path: Path) -> None:
    """First run: 07 and 08. Then 08 is deleted, and 07 and 09 are given: 09 was never read."""
    first = written(tmp_path / "mail.log.3", lines(7, 5))
    gone = written(tmp_path / "mail.log.2", lines(8, 5))
    done = [FileRead("mail", identity(one), 0, one.stat().st_size) for one in (first, gone)]
    gone.unlink()
    plan = backfill.plan(agent, [first, written(tmp_path / "mail.log.1", lines(9, 5))], NOW)
    assert lines(9, 5) in data_of(read_all(FileReader(plan, agent.outbox_dir, done)))


def test_a_file_given_later_is_read_though_it_is_older_than_the_last_one_read(agent: Agent, tmp_path: Path) -> None:
    """First run: 07 and 09. Then 07, 08 and 09 are given: 08 was never read."""
    files = [written(tmp_path / f"mail.log.{10 - hour}", lines(hour, 5)) for hour in (7, 8, 9)]
    done = [FileRead("mail", identity(files[at]), 0, files[at].stat().st_size) for at in (0, 2)]
    plan = backfill.plan(agent, files, NOW)
    assert lines(8, 5) in data_of(read_all(FileReader(plan, agent.outbox_dir, done)))

"""Rotation as it goes wrong: copies, removal, files that begin alike, restarts inside a line. After Vector's own list."""

import gzip
import os
import shutil
from pathlib import Path

import pytest

from producers import follow
from producers.follow import Chunk, Lost, Rotated
from tests.unit.producers.test_follow import OPENED, Reader, closed

__all__ = ["closed"]  # the fixture that closes what a test opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The live file."""
    return tmp_path / "mail.log"


def restarted(reader: Reader) -> Reader:
    """A follower as the agent makes it at its next start, from the last chunk's position."""
    last = reader.last()
    read = [event.file for event in reader.events if isinstance(event, Chunk)]
    reader.follower.close()
    back = Reader(reader.follower.path, last.file, last.to_offset)
    back.follower = follow.Follower("mail", reader.follower.path, last.file, last.to_offset, read, last.reference_time)
    OPENED[-1] = back
    back.now = reader.now
    return back


def aged(path: Path, seconds: float) -> None:
    """Last written so many seconds after the reader's beginning."""
    moment = 1_800_000_000 + seconds
    os.utime(path, (moment, moment))


def losses(reader: Reader) -> list[str]:
    return [event.marker for event in reader.events if isinstance(event, Lost)]


def test_the_file_in_hand_was_deleted_and_unread_ones_came_after_it(path: Path) -> None:
    """While the agent was away: its file is gone, two more were rotated, a live one is written."""
    path.with_name("mail.log.9").write_bytes(b"old\n")
    aged(path.with_name("mail.log.9"), -100)
    path.write_bytes(b"a1\n")
    reader = Reader(path)
    assert reader.drain() == b"a1\n"
    path.unlink()
    for number, (name, data) in enumerate([("mail.log.2", b"b1\n"), ("mail.log.1", b"c1\n"), ("mail.log", b"d1\n")]):
        path.with_name(name).write_bytes(data)
        aged(path.with_name(name), 100 + number)
    back = restarted(reader)
    assert back.follower.behind_bytes() > 0
    assert back.drain() == b"b1\nc1\nd1\n"
    assert losses(back) == ["file-gone"]


def test_deleted_while_it_is_read_it_is_read_to_its_end(path: Path) -> None:
    path.write_bytes(b"a1\n")
    reader = Reader(path)
    reader.drain()
    with path.open("ab") as file:
        file.write(b"a2\n")
    path.unlink()
    path.with_name("mail.log.1").write_bytes(b"b1\n")
    aged(path.with_name("mail.log.1"), 1e8)
    path.write_bytes(b"c1\n")
    aged(path, 1e8)
    assert reader.drain() == b"a1\na2\nb1\nc1\n"
    assert losses(reader) == []


def test_a_position_of_before_times_were_kept_goes_on_with_the_live_file(path: Path) -> None:
    path.write_bytes(b"a1\n")
    reader = Reader(path)
    reader.drain()
    path.unlink()
    path.with_name("mail.log.1").write_bytes(b"b1\n")
    path.write_bytes(b"c1\n")
    back = Reader(path, reader.last().file, 3)
    assert back.drain() == b"c1\n"
    assert losses(back) == ["file-gone"]


def test_copytruncate_reads_what_is_only_in_the_copy(path: Path) -> None:
    path.write_bytes(b"a1\na2\n")
    reader = Reader(path)
    reader.drain()
    with path.open("ab") as file:
        file.write(b"a3\n")
    shutil.copy2(path, path.with_name("mail.log.1"))
    path.write_bytes(b"b1\n")
    assert reader.drain() == b"a1\na2\na3\nb1\n"
    assert losses(reader) == ["file-truncated"]  # nobody knows what was written between copy and truncation


@pytest.mark.parametrize("packed", [False, True])
def test_copytruncate_while_the_agent_is_away(path: Path, packed: bool) -> None:
    path.write_bytes(b"a1\na2\n")
    reader = Reader(path)
    reader.drain()
    copy = path.with_name("mail.log.1.gz" if packed else "mail.log.1")
    copy.write_bytes(gzip.compress(b"a1\na2\na3\n") if packed else b"a1\na2\na3\n")
    path.write_bytes(b"b1\n")
    back = restarted(reader)
    assert back.drain() == b"a3\nb1\n"
    assert losses(back) == []


def test_copytruncate_again_and_again(path: Path) -> None:
    reader = Reader(path)
    expected = b""
    for number in range(5):
        data = b"".join(b"%d line %d\n" % (number, at) for at in range(number + 1))
        path.write_bytes(data)
        expected += data
        assert reader.drain() == expected
        for old in range(4, 0, -1):
            if path.with_name(f"mail.log.{old}").exists():
                path.with_name(f"mail.log.{old}").rename(path.with_name(f"mail.log.{old + 1}"))
        shutil.copy2(path, path.with_name("mail.log.1"))
        path.write_bytes(b"")
    assert losses(reader) == ["file-truncated"] * 4
    assert restarted(reader).drain() == b""


def test_a_copy_beside_the_live_file_is_not_read(path: Path) -> None:
    """Made by hand, or by logrotate's `copy`."""
    path.write_bytes(b"a1\n")
    reader = Reader(path)
    reader.drain()
    shutil.copy2(path, path.with_name("mail.log.1"))
    with path.open("ab") as file:
        file.write(b"a2\n")
    assert reader.drain() == b"a1\na2\n"


def test_the_same_inode_for_another_file(path: Path) -> None:
    """A file system gives a freed inode to the next file: it is another one by its bytes."""
    path.write_bytes(b"a1\na2\na3\n")
    reader = Reader(path)
    reader.drain()
    inode = path.stat().st_ino
    with path.open("r+b") as file:  # the inode stays for certain
        file.truncate()
        file.write(b"b1\nb2\nb3\nb4\n")
    assert path.stat().st_ino == inode
    back = restarted(reader)
    assert back.drain() == b"b1\nb2\nb3\nb4\n"
    assert losses(back) == ["file-gone"]


@pytest.mark.parametrize("away", [False, True])
def test_files_that_begin_with_the_same_line(path: Path, away: bool) -> None:
    """A header that every file has: what follows is told apart though the first line is not."""
    path.write_bytes(b"same\n")
    reader = Reader(path)
    reader.drain()
    path.rename(path.with_name("mail.log.1"))
    path.write_bytes(b"same\nb1\n")
    if away:
        back = restarted(reader)
        assert back.drain() == b"same\nb1\n"
    else:
        assert reader.drain() == b"same\nsame\nb1\n"
    path.rename(path.with_name("mail.log.0"))
    aged(path.with_name("mail.log.0"), 1e8)
    path.write_bytes(b"same\nc1\n")
    assert (back if away else reader).drain().endswith(b"same\nc1\n")


def test_a_last_line_without_its_end_over_a_rotation_and_a_restart(path: Path) -> None:
    """What its writer adds later is the rest of that line: skipped and counted, never a line of its own."""
    path.write_bytes(b"a1\nbegins")
    reader = Reader(path)
    reader.drain()
    path.rename(path.with_name("mail.log.1"))
    reader.drain()
    assert reader.data() == b"a1\nbegins"
    back = restarted(reader)
    with path.with_name("mail.log.1").open("ab") as file:
        file.write(b" and ends\nnext\n")
    path.write_bytes(b"b1\n")
    assert back.drain() == b"next\nb1\n"
    (skipped,) = [event for event in back.events if isinstance(event, Chunk) and event.too_long]
    assert (skipped.continued, skipped.to_offset - skipped.from_offset) == (True, 10)


@pytest.mark.parametrize("away", [False, True])
def test_a_long_line_is_one_though_it_comes_in_many_chunks(
    path: Path, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    """A tail that looks like a line of the log is none, also when the agent was restarted inside of the long line."""
    monkeypatch.setattr(follow, "CHUNK_BYTES_MAX", 1000)
    monkeypatch.setattr(follow, "LINE_BYTES_MAX", 500)
    reader = Reader(path)
    path.write_bytes(b"a\n" + b"x" * 2600)
    reader.drain()
    assert [event.continued for event in reader.events if isinstance(event, Chunk) and event.too_long] == [
        False,
        True,
        True,
    ]
    back = restarted(reader) if away else reader
    with path.open("ab") as file:
        file.write(b"x" * 900 + b"looks like a line\nb\n")
    back.drain()
    assert back.data().endswith(b"b\n")
    assert b"looks" not in back.data()
    tail = [event for event in back.events if isinstance(event, Chunk) and event.too_long]
    assert all(event.continued for event in (tail if away else tail[1:]))


@pytest.mark.parametrize("away", [False, True])
def test_compressed_while_it_is_caught_up_with(path: Path, monkeypatch: pytest.MonkeyPatch, away: bool) -> None:
    monkeypatch.setattr(follow, "CHUNK_BYTES_MAX", 4000)
    lines = b"".join(b"line %d\n" % number for number in range(3000))
    path.write_bytes(lines)
    reader = Reader(path)
    for _ in range(3):
        event = reader.follower.poll(reader.now)
        assert event is not None
        reader.events.append(event)
    rotated = path.with_name("mail.log.1")
    path.rename(rotated)
    path.with_name("mail.log.1.gz").write_bytes(gzip.compress(lines)[:200])  # in the making
    path.write_bytes(b"next\n")
    before = reader.data()
    back = restarted(reader) if away else reader
    back.events.append(back.follower.poll(back.now) or Rotated("x"))
    path.with_name("mail.log.1.gz").write_bytes(gzip.compress(lines))
    rotated.unlink()
    after = back.drain()
    assert (before + after if away else after) == lines + b"next\n"
    assert losses(back) == []


def test_a_cut_rotated_file_is_one_loss(path: Path) -> None:
    packed = gzip.compress(b"".join(b"line %d\n" % number for number in range(10_000)))
    path.write_bytes(b"a1\n")
    reader = Reader(path)
    reader.drain()
    path.rename(path.with_name("mail.log.2"))
    path.with_name("mail.log.1.gz").write_bytes(packed[: len(packed) // 2])
    path.write_bytes(b"b1\n")
    aged(path.with_name("mail.log.2"), -100)
    aged(path.with_name("mail.log.1.gz"), 100)
    back = restarted(reader)
    data = back.drain()
    assert data.startswith(b"line 0\nline 1\n")
    assert data.endswith(b"b1\n")
    assert losses(back) == ["file-damaged"]

"""Following a file: rotation, truncation, partial lines, long lines, compression, coming back."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from infra.platform.clock import SECOND
from producers import follow
from producers.errors import InputError
from producers.follow import Chunk, Event, Follower, Lost, Rotated, stream_files
from producers.logfile import FileIdentity, open_log

LATER = 10 * SECOND
OPENED: list["Reader"] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what a test opened."""
    yield
    while OPENED:
        OPENED.pop().follower.close()


class Reader:
    """A follower and what it gave."""

    def __init__(self, path: Path, known: FileIdentity | None = None, offset: int = 0) -> None:
        self.follower = Follower("mail", path, known, offset)
        self.now = 1_800_000_000 * SECOND
        self.events: list[Event] = []
        OPENED.append(self)

    def drain(self) -> bytes:
        """Poll until nothing comes, twice, with time passing in between; all bytes so far."""
        for _ in range(2):
            while (event := self.follower.poll(self.now)) is not None:
                self.events.append(event)
            self.now += LATER
        while (event := self.follower.poll(self.now)) is not None:
            self.events.append(event)
        return self.data()

    def data(self) -> bytes:
        return b"".join(event.data for event in self.events if isinstance(event, Chunk))

    def last(self) -> Chunk:
        return [event for event in self.events if isinstance(event, Chunk)][-1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The live file."""
    return tmp_path / "mail.log"


def _age(path: Path, seconds: int) -> None:
    os.utime(path, (1_700_000_000 - seconds, 1_700_000_000 - seconds))


def test_whole_lines_only(path: Path) -> None:
    path.write_bytes(b"one\ntwo\nthr")
    reader = Reader(path)
    assert reader.drain() == b"one\ntwo\n"
    with path.open("ab") as file:
        file.write(b"ee\n")
    assert reader.drain() == b"one\ntwo\nthree\n"


def test_rename_rotation(path: Path) -> None:
    path.write_bytes(b"a1\na2\n")
    reader = Reader(path)
    reader.drain()
    path.rename(path.with_name("mail.log.1"))
    with path.with_name("mail.log.1").open("ab") as file:
        file.write(b"a3\nno end")
    path.write_bytes(b"b1\n")
    assert reader.drain() == b"a1\na2\na3\nno endb1\n"
    assert any(isinstance(event, Rotated) for event in reader.events)
    assert not any(isinstance(event, Lost) for event in reader.events)


def test_rotated_file_waits_for_its_writer(path: Path) -> None:
    """A writer that has not reopened yet still writes into the rotated file."""
    path.write_bytes(b"a1\n")
    reader = Reader(path)
    reader.drain()
    path.rename(path.with_name("mail.log.1"))
    path.write_bytes(b"b1\n")
    assert reader.follower.poll(reader.now) is None
    with path.with_name("mail.log.1").open("ab") as file:
        file.write(b"a2\n")
    assert reader.drain() == b"a1\na2\nb1\n"


def test_several_rotations_while_away(path: Path) -> None:
    path.write_bytes(b"a1\n")
    reader = Reader(path)
    reader.drain()
    last = reader.last()
    reader.follower.close()
    path.rename(path.with_name("mail.log.3"))
    with path.with_name("mail.log.3").open("ab") as file:
        file.write(b"a2\n")
    _age(path.with_name("mail.log.3"), 300)
    path.with_name("mail.log.2").write_bytes(b"b1\n")
    _age(path.with_name("mail.log.2"), 200)
    with gzip.open(path.with_name("mail.log.1.gz"), "wb") as file:
        file.write(b"c1\nc2\n")
    _age(path.with_name("mail.log.1.gz"), 100)
    path.write_bytes(b"d1\n")
    back = Reader(path, last.file, last.to_offset)
    assert back.drain() == b"a2\nb1\nc1\nc2\nd1\n"


def test_older_files_are_not_read_at_first_start(path: Path) -> None:
    path.with_name("mail.log.1").write_bytes(b"old\n")
    _age(path.with_name("mail.log.1"), 100)
    path.write_bytes(b"new\n")
    assert Reader(path).drain() == b"new\n"


def test_truncation_is_a_gap(path: Path) -> None:
    path.write_bytes(b"a1\na2\na3\n")
    reader = Reader(path)
    reader.drain()
    path.write_bytes(b"b1\n")
    assert reader.drain() == b"a1\na2\na3\nb1\n"
    assert Lost("mail", "file-truncated") in reader.events


def test_rewritten_file_of_the_same_length_is_a_gap(path: Path) -> None:
    path.write_bytes(b"a1\na2\n")
    reader = Reader(path)
    reader.drain()
    with path.open("r+b") as file:
        file.write(b"x1\nx2\n")
    reader.drain()
    assert Lost("mail", "file-truncated") in reader.events


def test_known_file_that_is_gone_is_a_gap(path: Path) -> None:
    path.write_bytes(b"new\n")
    reader = Reader(path, FileIdentity(b"\x00" * 32, 100), 50)
    assert reader.drain() == b"new\n"
    assert reader.events[0] == Lost("mail", "file-gone")


def test_line_beyond_bound_is_skipped_and_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "CHUNK_BYTES_MAX", 1000)
    monkeypatch.setattr(follow, "LINE_BYTES_MAX", 500)
    path.write_bytes(b"a\n" + b"x" * 5000 + b"\nb\n")
    reader = Reader(path)
    assert reader.drain() == b"a\nb\n"
    assert any(isinstance(event, Chunk) and event.too_long for event in reader.events)
    assert reader.last().to_offset == path.stat().st_size


def test_file_that_comes_later(path: Path) -> None:
    reader = Reader(path)
    assert reader.drain() == b""
    path.write_bytes(b"a\n")
    assert reader.drain() == b"a\n"


@pytest.mark.parametrize("kind", ["folder", "fifo", "nothing"])
def test_what_is_no_file_is_one_sentence(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "x"
    if kind == "folder":
        target.mkdir()
    elif kind == "fifo":
        os.mkfifo(target)
    with pytest.raises(InputError, match=r"folder|regular|exist"):
        open_log(target)


def test_cut_gzip_is_read_as_far_as_it_goes(path: Path) -> None:
    packed = gzip.compress(b"".join(b"line %d\n" % number for number in range(10_000)))
    path.write_bytes(packed[: len(packed) // 2])
    assert Reader(path).drain() in (b"", *[b"".join(b"line %d\n" % n for n in range(k)) for k in range(10_000)])


def test_a_file_that_is_being_compressed_is_not_read_again(path: Path) -> None:
    """logrotate's `compress` without `delaycompress`: the copy is younger than what was read, and begins like it."""
    reader = Reader(path)
    path.write_bytes(b"one\ntwo\n")
    assert reader.drain() == b"one\ntwo\n"
    path.rename(path.with_name(path.name + ".1"))
    path.with_name(path.name + ".1.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    path.write_bytes(b"three\n")
    assert reader.drain() == b"one\ntwo\nthree\n"


@pytest.mark.parametrize("name", ["info", "err", "bak", "1.xz", "offset"])
def test_other_files_beside_the_log_are_not_its_rotated_forms(path: Path, name: str) -> None:
    path.write_bytes(b"one\n")
    path.with_name(f"{path.name}.{name}").write_bytes(b"other\n")
    assert stream_files(path) == [path]


def test_rotated_files_are_found_beside_what_a_link_leads_to(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    (folder / "mail.log").write_bytes(b"two\n")
    (folder / "mail.log.1").write_bytes(b"one\n")
    path.symlink_to(folder / "mail.log")
    assert folder / "mail.log.1" in stream_files(path)


def test_no_permission_yet_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new live file that may not be read for a moment must not end the agent, and nothing is passed over."""
    path.write_bytes(b"one\n")
    follower = Follower("mail", path, None, 0)
    with monkeypatch.context() as patched:
        patched.setattr(follow, "open_log", _refused)
        assert follower.poll(LATER) is None
        assert not follower.readable
    chunk = follower.poll(LATER)
    assert isinstance(chunk, Chunk)
    assert chunk.data == b"one\n"
    assert follower.readable
    follower.close()


def _refused(path: Path) -> BinaryIO:
    raise InputError(f"{path} cannot be read (Permission denied).")

"""The journal, live: cursors, restarts, entries that have left it. `journalctl` is a fake here; the real one with a real
journald is in tests/integration/test_journald.py."""

import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from infra.platform.clock import SECOND
from infra.platform.errors import SettingsError
from infra.platform.settings import Site, Source
from producers import begin, journal, outbox, recover
from producers.capture import Capture
from producers.follow import Chunk, Event, Lost
from producers.journal import Journal, JournalAgain, check_program
from producers.outbox import Outbox
from schemas import avro
from tests.unit.producers.carried import AT, TEXT, export
from tests.unit.producers.carried import journal as entry_of
from tests.unit.producers.lines import NOW

SOURCE = Source(name="mail", journal=["SYSLOG_FACILITY=2"])
FAKE = f"""#!{sys.executable}
import pathlib, sys, time
folder = pathlib.Path(__file__).parent
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
cursor = next((a[9:] for a in sys.argv if a.startswith("--cursor=")), "")
at = 0
while True:
    entries = sorted((folder / "entries").iterdir())
    names = [e.name for e in entries]
    while at < len(entries):
        if not cursor or names[at] >= cursor[2:]:
            sys.stdout.buffer.write(entries[at].read_bytes())
            sys.stdout.buffer.flush()
        at += 1
    if "--follow" not in sys.argv or (folder / "die").exists():
        sys.exit(1 if (folder / "die").exists() else 0)
    time.sleep(0.02)
"""


class Fake:
    """A journal of numbered entries, and its program on PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        (folder / "entries").mkdir()
        program = folder / "journalctl"
        program.write_text(FAKE)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder))

    def add(self, *numbers: int, message: str = TEXT) -> None:
        for number in numbers:
            fields = {"__CURSOR": f"s={number:03d}", "MESSAGE": message.replace("x@", f"x{number}@")}
            (self.folder / "entries" / f".{number:03d}").write_bytes(export(entry_of(**{}) | fields))
            (self.folder / "entries" / f".{number:03d}").rename(self.folder / "entries" / f"{number:03d}")

    def remove(self, *numbers: int) -> None:
        for number in numbers:
            (self.folder / "entries" / f"{number:03d}").unlink()

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    return Fake(tmp_path, monkeypatch)


@pytest.fixture
def streams() -> Iterator[list[Journal]]:
    """Streams that are closed at the end."""
    made: list[Journal] = []
    yield made
    for stream in made:
        stream.close()


def read(stream: Journal, want: int, seconds: float = 10) -> list[Event]:
    """Poll until `want` entries have come; all events."""
    events: list[Event] = []
    deadline = time.monotonic() + seconds
    while entries(events) < want:
        assert time.monotonic() < deadline, events
        event = stream.poll(NOW + int(time.monotonic() * SECOND))
        if event is None:
            time.sleep(0.01)
        else:
            events.append(event)
    return events


def entries(events: list[Event]) -> int:
    return sum(event.data.count(b"__CURSOR=") for event in events if isinstance(event, Chunk))


def chunks(events: list[Event]) -> list[Chunk]:
    return [event for event in events if isinstance(event, Chunk)]


def test_it_reads_follows_and_resumes_by_cursor(fake: Fake, streams: list[Journal]) -> None:
    fake.add(1, 2)
    streams.append(first := Journal("mail", ["SYSLOG_FACILITY=2"], None, 0))
    events = read(first, 2)
    fake.add(3)
    events += read(first, 1)
    last = chunks(events)[-1]
    assert (last.file.sha256.partition(b"\n")[2], last.file.length) == (b"s=003", 0)
    first.close()
    fake.add(4, 5)
    streams.append(second := Journal("mail", ["SYSLOG_FACILITY=2"], last.file, last.to_offset))
    more = read(second, 2)
    assert not any(isinstance(event, Lost) for event in events + more)
    assert next(chunk.from_offset for chunk in chunks(more)) == last.to_offset
    data = b"".join(chunk.data for chunk in chunks(events + more))
    assert [data.count(b"<x%d@example.org> proto" % number) for number in range(7)] == [0, 1, 1, 1, 1, 1, 0]
    assert "--follow" in fake.calls()[0]
    assert "SYSLOG_FACILITY=2" in fake.calls()[1]
    assert "--cursor=s=003" in fake.calls()[1]


def test_entries_that_have_left_the_journal_are_a_loss_and_none_is_skipped(fake: Fake, streams: list[Journal]) -> None:
    fake.add(1, 2)
    streams.append(first := Journal("mail", [], None, 0))
    last = chunks(read(first, 2))[-1]
    first.close()
    fake.add(3, 4, 5)
    fake.remove(1, 2, 3)
    streams.append(second := Journal("mail", [], last.file, last.to_offset))
    events = read(second, 2)
    assert events[0] == Lost("mail", "journal-gone")
    assert b"x4@" in chunks(events)[0].data


def test_a_child_that_ends_is_started_again(
    fake: Fake, streams: list[Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "AGAIN_MICROSECONDS", SECOND // 10)
    fake.add(1)
    streams.append(stream := Journal("mail", [], None, 0))
    events = read(stream, 1)
    (fake.folder / "die").touch()
    time.sleep(0.2)
    stream.poll(NOW + int(time.monotonic() * SECOND))
    (fake.folder / "die").unlink()
    fake.add(2)
    events += read(stream, 1)
    assert entries(events) == 2
    assert not any(isinstance(event, Lost) for event in events)


def test_while_it_may_still_be_in_the_past_it_is_not_at_its_end(fake: Fake, streams: list[Journal]) -> None:
    fake.add(1)
    streams.append(stream := Journal("mail", [], None, 0))
    assert not stream.readable
    read(stream, 1)
    now = NOW + int(time.monotonic() * SECOND)
    stream.poll(now)
    assert not stream.readable
    stream.poll(now + 3 * SECOND)
    assert stream.readable
    fake.add(2)
    read(stream, 1)
    stream.poll(now + 3 * SECOND)
    assert stream.readable  # once in the present, it is there


def test_a_journal_that_gives_nothing_is_told_of(
    fake: Fake, streams: list[Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """journalctl leaves out, without a word, what its user may not read."""
    said: list[str] = []
    monkeypatch.setattr(journal._LOG, "warning", lambda event, **_: said.append(event))
    streams.append(stream := Journal("mail", [], None, 0))
    for seconds in (0, 1, 3, 5):
        stream.poll(NOW + seconds * SECOND)
    assert said == ["the journal gave nothing; may this user read it?"]


def test_young_entries_are_the_present_however_many_come(fake: Fake, streams: list[Journal]) -> None:
    fake.add(1)
    streams.append(stream := Journal("mail", [], None, 0))
    deadline = time.monotonic() + 10
    while stream.poll(AT + SECOND) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    stream.poll(AT + SECOND)
    assert stream.readable


@pytest.mark.parametrize("gone", [False, True])
def test_after_a_crash_the_same_entries_give_the_same_records(fake: Fake, streams: list[Journal], gone: bool) -> None:
    """Frames behind the last snapshot are run again out of the journal; where entries are gone, joining begins anew."""
    folder = fake.folder / "outbox"
    outbox.create(folder, "mx1", 1)
    box = Outbox(folder)
    capture = Capture(box.identity, ZoneInfo("UTC"), Site(), [SOURCE], NOW)
    streams.append(stream := Journal("mail", [], None, 0))
    for number in range(1, 5):
        fake.add(number)
        for event in read(stream, 1):
            assert isinstance(event, Chunk)
            box.append(capture.chunk(event, NOW))
    box.sync()
    assert capture.next_sequence == 4
    box.close()
    stream.close()
    if gone:
        fake.remove(2)
    fake.add(5)
    box = Outbox(folder)
    after = Capture(box.identity, ZoneInfo("UTC"), Site(), [SOURCE], NOW)
    how = recover.recover(box, after, begin.BytesAgain([SOURCE]))
    assert how == ("anew" if gone else "exact")
    position = after.positions["mail"]
    streams.append(going_on := Journal("mail", [], position.file, position.offset))
    for event in read(going_on, 1):
        assert isinstance(event, Chunk)
        box.append(after.chunk(event, NOW))
    box.sync()
    found = [avro.decode(record)[1] for frame, _ in box.frames(0) for record in frame["records"]]
    assert [record["recipient"] for record in found] == [f"x{number}@example.org" for number in range(1, 6)]
    assert {record["event_time"] for record in found} == {AT}
    box.close()


def test_one_child_gives_frame_after_frame(fake: Fake, streams: list[Journal]) -> None:
    fake.add(1)
    streams.append(stream := Journal("mail", [], None, 0))
    outbox.create(fake.folder / "outbox", "mx1", 1)
    capture = Capture(outbox.identity(fake.folder / "outbox"), ZoneInfo("UTC"), Site(), [SOURCE], NOW)
    frames, data = [], []
    for number in range(1, 4):
        fake.add(number)
        for event in chunks(read(stream, 1)):
            frames.append(capture.chunk(event, NOW))
            data.append(event.data)
    before = len(fake.calls())
    again = JournalAgain([])
    assert [again.read(frame) for frame in frames] == data
    assert [again.read(frame) for frame in frames[1:]] == data[1:]
    again.close()
    assert len(fake.calls()) == before + 2


def test_without_the_program_a_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="no journalctl"):
        check_program()
    stream = Journal("mail", [], None, 0)
    assert stream.poll(NOW) is None
    assert not stream.readable


@pytest.mark.parametrize(
    "values", [{}, {"path": "x", "journal": []}, {"journal": ["mail"]}, {"journal": ["--file=/etc/shadow"]}]
)
def test_a_stream_has_one_place(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Source(name="mail", **values)  # type: ignore[arg-type]

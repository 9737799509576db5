"""The stages of the agent as processes of their own: `python -m benchmarks.ship_stages STAGE LOG`.

start: what every stage has before its first line, the imports. parse: lines to records, thrown away. encode: and to
frames of encoded records. outbox: and into an outbox, synced every megabyte as the agent does. open: a log whose
messages stay open: how many they are, what memory they take; then a snapshot of them.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from infra.platform.clock import SystemClock
from infra.platform.settings import Legal, Site, Source
from producers import outbox, recover
from producers.assemble import Assembler
from producers.capture import Capture
from producers.follow import Chunk, Follower
from producers.outbox import Frame, Identity, Outbox
from producers.speed import settle

CLOCK = SystemClock()


def main(stage: str, log: Path) -> None:
    """Be one contender."""
    settle()
    if stage == "parse":
        assembler = Assembler(Site(), [Source(name="mail", path=log)])
        for chunk in _chunks(log):
            assembler.read("mail", chunk.data, chunk.from_offset, 0, chunk.reference_time)
            assembler.take_tallies()
    elif stage == "encode":
        for _ in _frames(log):
            pass
    elif stage == "outbox":
        _outbox(log)
    elif stage == "open":
        _open(log)


def _chunks(log: Path) -> Iterator[Chunk]:
    follower = Follower("mail", log, None, 0)
    while (event := follower.poll(CLOCK.now())) is not None:
        assert isinstance(event, Chunk)
        yield event
    follower.close()


def _capture(log: Path) -> Capture:
    return Capture(Identity(b"", "bench", 1), Legal().zone_info, Site(), [Source(name="mail", path=log)], CLOCK.now())


def _frames(log: Path) -> Iterator[Frame]:
    capture = _capture(log)
    for chunk in _chunks(log):
        yield capture.chunk(chunk, CLOCK.now())


def _outbox(log: Path) -> None:
    folder = log.parent / "outbox"
    shutil.rmtree(folder, ignore_errors=True)
    outbox.create(folder, "bench", 1)
    box = Outbox(folder)
    for frame in _frames(log):
        box.append(frame)
        if box.bytes_unsynced >= 1024**2:
            box.sync()
    box.close()


def _open(log: Path) -> None:
    capture = _capture(log)
    for chunk in _chunks(log):
        capture.chunk(chunk, CLOCK.now())
    print(capture.assembler.open_transactions, _resident_mib())
    recover.write(log.parent, 0, capture)


def _resident_mib() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 // 1024**2


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

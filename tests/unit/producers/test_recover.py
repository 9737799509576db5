"""The agent without Kafka: capture, outbox, and every way of being killed between them."""

import json
import random
import zlib
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.platform.clock import MINUTE
from infra.platform.settings import Site, Source
from producers import outbox, recover
from producers.capture import Capture
from producers.coverage import RECORDS_MAX
from producers.errors import OutboxDamagedError, RerunDiffersError
from producers.follow import Chunk
from producers.logfile import FileIdentity, fingerprint, open_log
from producers.outbox import Outbox
from schemas import avro
from tests.unit.producers.lines import NOW, log, message, sent

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "postfix" / "demo.log"
ZONE = ZoneInfo("Asia/Shanghai")


class Agent:
    """An agent on one file, killed and started again at will."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder, self.path = folder, path
        self.source = Source(name="mail", path=path)
        if not outbox.exists(folder):
            outbox.create(folder, "mx1", 1)
        self.start()

    def start(self) -> None:
        self.box = Outbox(self.folder)
        self.capture = Capture(self.box.identity, ZONE, Site(), [self.source], NOW)
        try:
            self.how = recover.recover(self.box, self.capture, recover.LogFiles(lambda _: [self.path]))
        except Exception:
            self.box.close()
            raise

    def kill(self) -> None:
        """Without the courtesies of an end; what was not synced may be gone."""
        self.box._lock.close()

    def read_to(self, end: int) -> None:
        position = self.capture.positions["mail"]
        with open_log(self.path) as file:
            identity: FileIdentity = fingerprint(file)
            file.seek(position.offset)
            data = file.read(end - position.offset)
        self.box.append(self.capture.chunk(Chunk("mail", identity, position.offset, end, data, NOW), NOW + end))

    def published(self) -> tuple[list[bytes], list[dict[str, object]]]:
        self.box.sync()
        frames = [frame for frame, _ in self.box.frames(self.box.start)]
        ids = [record[5:21] for frame in frames for record in frame["records"]]
        coverage = [avro.decode(framed)[1] for frame in frames for framed in frame["coverage"]]
        return ids, coverage


def _line_ends(data: bytes) -> list[int]:
    return [at + 1 for at, byte in enumerate(data) if byte == 10]


def _straight(tmp_path: Path) -> list[bytes]:
    agent = Agent(tmp_path / "straight", GOLDEN)
    agent.read_to(len(GOLDEN.read_bytes()))
    agent.box.append(agent.capture.finish(NOW))
    ids, _ = agent.published()
    agent.kill()
    return ids


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 221), st.booleans(), st.booleans(), st.booleans()), max_size=8))
def test_killed_anywhere_the_records_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool, bool, bool]]
) -> None:
    """Random chunks, kills, snapshots: sequences and record_ids come out as from one run without any."""
    tmp_path = tmp_path_factory.mktemp("recover")
    ends = _line_ends(GOLDEN.read_bytes())
    agent = Agent(tmp_path / "outbox", GOLDEN)
    for number, cut_coverage, snapshot, kill in [*sorted(steps), (len(ends) - 1, False, False, False)]:
        line = min(number, len(ends) - 1)
        agent.read_to(ends[line])
        if cut_coverage:
            agent.box.append(agent.capture.close_coverage("TIME", NOW + line))
        if snapshot:
            agent.box.sync()
            recover.save(agent.box, agent.capture)
        if kill:
            agent.kill()
            agent.start()
            assert agent.how == "exact"
    agent.box.append(agent.capture.finish(NOW))
    agent.box.append(agent.capture.close_coverage("STOP", NOW))
    ids, coverage = agent.published()
    agent.kill()
    assert ids == _straight(tmp_path)
    assert [record["coverage_sequence"] for record in coverage] == list(range(len(coverage)))
    assert sum(record["record_count"] for record in coverage) == len(ids)  # type: ignore[misc]


def test_unsynced_frames_are_read_again(tmp_path: Path) -> None:
    """A power cut between append and sync: the lines are read again and get the same sequences."""
    ends = _line_ends(GOLDEN.read_bytes())
    agent = Agent(tmp_path / "outbox", GOLDEN)
    agent.read_to(ends[60])
    agent.box.sync()
    kept = agent.box.durable_end
    agent.read_to(ends[120])
    agent.kill()
    (segment,) = (tmp_path / "outbox").glob("segment-*")
    segment.write_bytes(segment.read_bytes()[:kept])
    agent.start()
    assert agent.capture.positions["mail"].offset == ends[60]
    agent.read_to(ends[-1])
    agent.box.append(agent.capture.finish(NOW))
    assert agent.published()[0] == _straight(tmp_path)
    agent.kill()


def test_lines_gone_joining_begins_anew(tmp_path: Path) -> None:
    """The file was deleted: sequences and positions go on, nothing is sent twice, what was half read is flagged."""
    path = tmp_path / "mail.log"
    lines = message(sent("a@example.com"), removed=False)
    data = log(*message(sent("x@example.com"), queue_id="3F2A1C0D4E"), *lines)
    cut = _line_ends(data)[7]
    path.write_bytes(data)
    agent = Agent(tmp_path / "outbox", path)
    agent.read_to(cut)
    agent.box.sync()
    agent.kill()
    path.write_bytes(log("smtpd: connect from x[192.0.2.1]") + data[:-1] + b" \n")
    agent.start()
    assert agent.how == "anew"
    assert agent.capture.next_sequence == 1
    assert agent.capture.positions["mail"].offset == cut
    assert agent.capture.book.record_count == 1
    agent.kill()


def test_other_records_from_the_same_lines_stop_the_agent(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "outbox", GOLDEN)
    agent.read_to(_line_ends(GOLDEN.read_bytes())[-1])
    agent.box.sync()
    agent.kill()
    agent.source = agent.source.model_copy(update={"name": "mail"})
    box = Outbox(tmp_path / "outbox")
    capture = Capture(box.identity, ZONE, Site(host="other.example.org"), [agent.source], NOW)
    with pytest.raises(RerunDiffersError, match="read again"):
        recover.recover(box, capture, recover.LogFiles(lambda _: [GOLDEN]))
    box.close()


def test_damaged_snapshot_stops_the_agent(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "outbox", GOLDEN)
    agent.read_to(_line_ends(GOLDEN.read_bytes())[10])
    agent.box.sync()
    recover.save(agent.box, agent.capture)
    agent.kill()
    file = tmp_path / "outbox" / "snapshot.json"
    file.write_bytes(file.read_bytes().replace(b"numbers", b"nummers"))
    with pytest.raises(OutboxDamagedError, match=r"snapshot\.json"):
        agent.start()


@pytest.mark.parametrize("at", [0, 1, 9, -9, -1])
def test_a_snapshot_that_is_cut_is_damaged(tmp_path: Path, at: int) -> None:
    agent = Agent(tmp_path / "outbox", GOLDEN)
    agent.read_to(_line_ends(GOLDEN.read_bytes())[10])
    agent.box.sync()
    recover.save(agent.box, agent.capture)
    agent.kill()
    file = tmp_path / "outbox" / "snapshot.json"
    file.write_bytes(file.read_bytes()[:at])
    with pytest.raises(OutboxDamagedError, match=r"snapshot\.json"):
        agent.start()


def test_a_snapshot_of_format_1_is_read(tmp_path: Path) -> None:
    """One document with the assembler's own as text in it, behind its checksum."""
    agent = Agent(tmp_path / "outbox", GOLDEN)
    agent.read_to(_line_ends(GOLDEN.read_bytes())[40])
    agent.box.sync()
    recover.save(agent.box, agent.capture)
    assert agent.capture.assembler.open_transactions > 0
    file = tmp_path / "outbox" / "snapshot.json"
    new = file.read_bytes()
    head, assembler, *messages = [json.loads(line) for line in new.splitlines()[:-1]]
    assembler["format"] = 1
    assembler["messages"]["transactions"] = messages
    head["format"] = 1
    head["capture"]["assembler"] = json.dumps(assembler)
    body = json.dumps(head).encode()
    file.write_bytes(b"%08x\n" % zlib.crc32(body) + body)
    agent.kill()
    agent.start()
    recover.save(agent.box, agent.capture)
    assert file.read_bytes() == new
    agent.kill()


def test_coverage_is_cut_by_count_day_and_time(tmp_path: Path) -> None:
    """At most RECORDS_MAX records and one legal day an interval; lines and positions are counted once."""
    many = b"".join(
        log(
            "smtpd: NOQUEUE: reject: RCPT from c[192.0.2.1]: 550 5.1.1 no; from=<s@example.net> to=<x@example.com> proto=ESMTP helo=<h>"
        )
        for _ in range(RECORDS_MAX + 10)
    )
    other_day = many.splitlines(keepends=True)[0].replace(b"T09:00", b"T17:00")  # next day in Shanghai
    path = tmp_path / "mail.log"
    path.write_bytes(many + other_day)
    agent = Agent(tmp_path / "outbox", path)
    agent.read_to(path.stat().st_size)
    assert agent.capture.book.due(NOW + 2 * MINUTE)
    agent.box.append(agent.capture.close_coverage("STOP", NOW + 2 * MINUTE))
    _, coverage = agent.published()
    agent.kill()
    assert [(record["closed"], record["record_count"]) for record in coverage] == [
        ("RECORDS", RECORDS_MAX), ("EVENT_DAY", 10), ("STOP", 1),
    ]  # fmt: skip
    assert [record["first_sequence"] for record in coverage] == [0, RECORDS_MAX, RECORDS_MAX + 10]
    sources = [record["sources"][0] for record in coverage]  # type: ignore[index]
    assert sum(source["lines_read"] for source in sources) == RECORDS_MAX + 11
    assert sources[-1]["to_position"] == path.stat().st_size
    for before, behind in pairwise(sources):
        assert before["to_position"] == behind["from_position"]


def test_files_read_are_known_to_a_backfill(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "outbox", GOLDEN)
    ends = _line_ends(GOLDEN.read_bytes())
    agent.read_to(ends[5])
    agent.box.sync()
    recover.save(agent.box, agent.capture)
    agent.read_to(ends[random.Random(1).randrange(20, 40)])
    agent.box.sync()
    ranges = recover.files_read(tmp_path / "outbox")
    agent.kill()
    assert (ranges[0].from_offset, ranges[-1].to_offset) == (0, agent.capture.positions["mail"].offset)
    snapshot = recover.load(tmp_path / "outbox")
    assert snapshot is not None
    assert snapshot.frame_end

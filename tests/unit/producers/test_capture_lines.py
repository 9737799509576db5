"""What the agent counts of lines that a file holds only in part, over a crash: once each, with a reason."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from infra.platform.settings import Site
from producers import follow, outbox, recover
from producers.capture import Capture
from producers.follow import Chunk, Follower, stream_files
from producers.logfile import fingerprint, open_log
from producers.outbox import Outbox
from tests.unit.producers.lines import NOW, SOURCE, log, message, sent

LATER = 10_000_000


class Agent:
    """Follower, capture and outbox as `begin` puts them together; `crash` loses all but what is durable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "mail.log"
        if not outbox.exists(folder / "outbox"):
            outbox.create(folder / "outbox", "mx1", 1)
        self.box = Outbox(folder / "outbox")
        self.capture = Capture(self.box.identity, ZoneInfo("UTC"), Site(), [SOURCE], NOW)
        self.how = recover.recover(self.box, self.capture, recover.LogFiles(lambda _: stream_files(self.path)))
        at = self.capture.positions["mail"]
        read = [one.file for one in self.capture.files_read]
        self.follower = Follower("mail", self.path, at.file, at.offset, read, at.reference_time)
        self.now = NOW

    def run(self, *, most: int = 1000) -> None:
        """Read what there is, at most so many chunks."""
        for _ in range(3):
            while most > 0 and (event := self.follower.poll(self.now)) is not None:
                if isinstance(event, Chunk):
                    self.box.append(self.capture.chunk(event, self.now))
                    most -= 1
            self.now += LATER
        self.box.sync()

    def crash(self) -> "Agent":
        """Ended anywhere; the next one."""
        self.follower.close()
        self.box.close()
        return Agent(self.folder)

    def counts(self) -> dict[str, int]:
        """Reasons of lines not understood."""
        return self.capture.book.sources["mail"].lines_not_understood


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """One with small chunks."""
    monkeypatch.setattr(follow, "CHUNK_BYTES_MAX", 1000)
    monkeypatch.setattr(follow, "LINE_BYTES_MAX", 500)
    return Agent(tmp_path)


@pytest.mark.parametrize("chunks", [1, 2, 3, 4, 5, 1000])
@pytest.mark.parametrize("snapshot", [False, True])
def test_a_long_line_is_counted_once_wherever_the_agent_is_killed(agent: Agent, chunks: int, snapshot: bool) -> None:
    good = log(*message(sent("a@example.com")))
    tail = log(*message(sent("b@example.com"), queue_id="4jYMJ82btYzLhNx"))
    agent.path.write_bytes(good + b"x" * 2500 + tail.replace(b"\n", b" ") + b"\n" + tail.replace(b"b@", b"c@"))
    agent.run(most=chunks)
    if snapshot:
        recover.save(agent.box, agent.capture)
    agent = agent.crash()
    assert agent.how == "exact"
    agent.run()
    assert agent.counts() == {"line-too-long": 1}
    assert agent.capture.next_sequence == 2
    agent.crash().box.close()


@pytest.mark.parametrize("crash", [False, True])
def test_the_rest_of_a_line_that_was_read_without_its_end_is_counted(agent: Agent, crash: bool) -> None:
    good = log(*message(sent("a@example.com")))
    agent.path.write_bytes(good.rstrip(b"\n")[:-4])
    agent.run()
    agent.path.rename(agent.path.with_name("mail.log.1"))
    agent.run()
    agent = agent.crash() if crash else agent
    with agent.path.with_name("mail.log.1").open("ab") as file:
        file.write(good[-5:])
    agent.path.write_bytes(log(*message(sent("b@example.com"), queue_id="4jYMJ82btYzLhNx")))
    agent.run()
    assert agent.counts()["rest-of-a-line"] == 1
    assert agent.capture.next_sequence == 2
    agent.crash().box.close()


def test_a_deleted_file_s_successors_are_found_by_the_time_in_the_outbox(agent: Agent) -> None:
    agent.path.write_bytes(log(*message(sent("a@example.com"))))
    agent.run()
    recover.save(agent.box, agent.capture)
    agent.path.unlink()
    newer = log(*message(sent("b@example.com"), queue_id="4jYMJ82btYzLhNx"))
    agent.path.with_name("mail.log.1").write_bytes(newer)
    agent.path.write_bytes(newer.replace(b"4jYM", b"4jYN").replace(b"b@", b"c@"))
    for name, seconds in (("mail.log.1", 100), ("mail.log", 200)):
        moment = agent.now / 1e6 + seconds
        os.utime(agent.path.with_name(name), (moment, moment))
    agent = agent.crash()
    agent.run()
    assert agent.capture.next_sequence == 3
    agent.crash().box.close()


def test_a_snapshot_of_before_is_understood(agent: Agent) -> None:
    agent.path.write_bytes(log(*message(sent("a@example.com"))))
    agent.run()
    state = agent.capture.state()
    state["positions"]["mail"] = state["positions"]["mail"][:4]
    agent.capture.restore(state, agent.capture.assembler.snapshot())
    assert (agent.capture.positions["mail"].reference_time, agent.capture.positions["mail"].cut) == (0, False)
    agent.crash().box.close()


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_file_that_was_entered_and_rotated_before_anything_of_it_was_durable_is_read(
    agent: Agent, snapshot: bool
) -> None:
    agent.path.write_bytes(log(*message(sent("a@example.com"))))
    with open_log(agent.path) as file:
        agent.box.append(agent.capture.entered("mail", "start", NOW, fingerprint(file)))
    agent.box.sync()
    if snapshot:
        recover.save(agent.box, agent.capture)
    agent.path.rename(agent.path.with_name("mail.log.1"))
    agent.path.write_bytes(log(*message(sent("b@example.com"), queue_id="4jYMJ82btYzLhNx")))
    agent = agent.crash()
    agent.run()
    assert agent.capture.next_sequence == 2
    assert agent.capture.book.sources["mail"].loss_markers == {}
    agent.crash().box.close()

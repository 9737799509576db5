"""How an agent begins: which outbox, which epoch, from where in the logs.

    outbox here?   position in Kafka?    what happens
    no             no                    a first outbox, epoch 1
    no             yes                   exit 2, unless --new-outbox: epoch + 1, sequence 0, the stored source positions
    yes            (asked by publish)    recovered; publish stops with exit 2 when the position is not this outbox's
    yes            --new-outbox          the old one is put aside whole, then as above

Only without an outbox must Kafka answer before reading can begin.
"""

import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from infra.platform import logging
from infra.platform.clock import Clock
from infra.platform.errors import SettingsError, UnreachableError
from infra.platform.settings import Settings, Source
from producers import backfill, outbox, recover
from producers.capture import Capture, SourceState
from producers.errors import ForeignPositionError, InputError
from producers.follow import Follower, stream_files
from producers.journal import Journal, JournalAgain, check_program
from producers.logfile import FileIdentity, fingerprint, open_log
from producers.outbox import Frame, Identity, Outbox
from producers.publish import Position, Publisher, open_producer, read_position
from producers.ship import Shipper, Stream

_LOG = logging.get("agent")


def live_agent(settings: Settings, clock: Clock, stop: threading.Event, *, new_outbox: bool) -> Shipper:
    """An agent that follows the configured streams. Blocks while there is no outbox and Kafka is away."""
    agent = settings.agent
    _check(settings)
    folder = agent.outbox_dir
    if new_outbox and outbox.exists(folder):
        _LOG.warning("the old outbox is put aside", name=outbox.retire(folder).name)
    if not outbox.exists(folder):
        position = _ask_for_position(settings, agent.agent_id, stop)
        epoch = _first_epoch(folder, agent.agent_id, position, new_outbox=new_outbox)
        if position is not None:  # where to go on must be known before there is an outbox
            who = Identity(b"", agent.agent_id, epoch)
            before = Capture(who, settings.legal.zone_info, agent.site, agent.sources, clock.now())
            _take_positions(before, position)
            outbox.make_folder(folder)
            recover.write(folder, 0, before)
        outbox.create(folder, agent.agent_id, epoch)
    box = Outbox(folder)
    _check_identity(box, agent.agent_id)
    capture = Capture(box.identity, settings.legal.zone_info, agent.site, agent.sources, clock.now())
    outbox_lost = box.end == 0 and box.identity.agent_epoch > 1
    how = recover.recover(box, capture, BytesAgain(agent.sources))
    _note_beginnings(box, capture, clock, anew=how == "anew", outbox_lost=outbox_lost, live=True)
    streams = [_stream(source, capture) for source in agent.sources]
    return Shipper(agent, clock, outbox=box, capture=capture, streams=streams, publisher=Publisher(settings.kafka, box))


def backfill_agent(settings: Settings, clock: Clock, stop: threading.Event, files: list[Path]) -> Shipper:
    """An agent that reads the given files once, as one stream, and skips what the live agent has read."""
    agent = settings.agent
    _check(settings)
    plan = backfill.plan(agent, files, clock.now())
    if not outbox.exists(plan.folder):
        position = _ask_for_position(settings, plan.agent_id, stop)
        epoch = _first_epoch(plan.folder, plan.agent_id, position, new_outbox=False)
        outbox.create(plan.folder, plan.agent_id, epoch)
    box = Outbox(plan.folder)
    capture = Capture(box.identity, settings.legal.zone_info, agent.site, [plan.source], clock.now())
    how = recover.recover(box, capture, recover.LogFiles(lambda _: list(plan.files)))
    _note_beginnings(box, capture, clock, anew=how == "anew", outbox_lost=False, live=False)
    reader = backfill.FileReader(plan, agent.outbox_dir, capture.files_read)
    return Shipper(
        agent, clock, outbox=box, capture=capture, streams=[reader], publisher=Publisher(settings.kafka, box)
    )


def _stream(source: Source, capture: Capture) -> Stream:
    """The stream of a source, from where `capture` stands, and a word on how far it is behind."""
    position = capture.positions[source.name]
    stream: Stream
    if source.path is None:
        stream = Journal(source.name, source.journal or (), position.file, position.offset)
        _LOG.info("reading the journal", source=source.name, from_offset=position.offset)
        return stream
    before = [read.file for read in capture.files_read if read.source_name == source.name]
    stream = Follower(source.name, source.path, position.file, position.offset, before, position.reference_time)
    _LOG.info(
        "following a log",
        source=source.name,
        path=str(source.path),
        from_offset=position.offset,
        behind_bytes=stream.behind_bytes(),
    )
    return stream


class BytesAgain:
    """Where the bytes of all streams may be had again: the files of each, or the journal."""

    def __init__(self, sources: list[Source]) -> None:
        """`sources` as configured."""
        paths = {source.name: source.path for source in sources if source.path is not None}
        self._files = recover.LogFiles(partial(_files_of, paths))
        self._journals = {source.name: JournalAgain(source.journal or ()) for source in sources if not source.path}

    def read(self, frame: Frame) -> bytes | None:
        """The bytes of the frame's chunk; None when they are not to be had any more."""
        journal = self._journals.get(frame["source_name"])
        return journal.read(frame) if journal is not None else self._files.read(frame)

    def close(self) -> None:
        """Let go of files and children."""
        self._files.close()
        for journal in self._journals.values():
            journal.close()


def _check(settings: Settings) -> None:
    agent = settings.agent
    if not agent.agent_id:
        raise SettingsError("agent.agent_id is not set.", "Give this agent a name that no other agent has.")
    if not agent.sources:
        raise SettingsError("agent.sources is empty.", "Name at least one log file to follow.")
    names = [source.name for source in agent.sources]
    if len(set(names)) < len(names):
        raise SettingsError("Two entries of agent.sources have one name.", "Give each stream its own name.")
    paths = [os.path.realpath(source.path) for source in agent.sources if source.path is not None]
    if len(set(paths)) < len(paths):
        raise SettingsError("Two entries of agent.sources have one path.", "A log is followed once.")
    for source in agent.sources:
        if source.journal is not None:
            check_program()


def _check_identity(box: Outbox, agent_id: str) -> None:
    if box.identity.agent_id != agent_id:
        box.close()
        raise SettingsError(
            f"The outbox {box.folder} belongs to agent {box.identity.agent_id}, not to {agent_id}.",
            "Correct agent.agent_id, or give this agent its own agent.outbox_dir.",
        )


def _first_epoch(folder: Path, agent_id: str, position: Position | None, *, new_outbox: bool) -> int:
    """The epoch of the outbox that is to be made; ForeignPositionError where a word of a person is needed first."""
    if position is not None and not new_outbox:
        raise ForeignPositionError(
            f"Agent {agent_id} has published from outbox {position.outbox_id.hex()} (epoch {position.agent_epoch}), "
            f"but there is no outbox in {folder}.",
            "Restore that folder, or give this agent another agent.agent_id; if the outbox is lost for ever, "
            "start with --new-outbox.",
        )
    return position.agent_epoch + 1 if position else 1


def _ask_for_position(settings: Settings, agent_id: str, stop: threading.Event) -> Position | None:
    """Fence earlier producers, then read. Waits for Kafka as long as it takes; UnreachableError when told to stop."""
    pause = 0.5
    while True:
        try:
            open_producer(settings.kafka, agent_id)
            return read_position(settings.kafka, agent_id)
        except (KafkaException, UnreachableError):
            if stop.is_set():
                raise UnreachableError(
                    f"No broker answered at {settings.kafka.bootstrap_servers}.",
                    "Check kafka.bootstrap_servers, and that `liucun schema migrate --execute` was run.",
                ) from None
            _LOG.warning("no outbox yet, and Kafka does not answer: waiting", pause_seconds=pause)
            stop.wait(pause)
            pause = min(2 * pause, 5.0)


def _take_positions(capture: Capture, position: Position) -> None:
    """Go on reading where the lost outbox had published to."""
    for name, stored in position.sources.items():
        if name in capture.positions:
            file = FileIdentity(stored["fingerprint"], stored["fingerprint_bytes"])
            capture.positions[name] = SourceState(file, stored["offset"], stored["stream_position"])


def _note_beginnings(box: Outbox, capture: Capture, clock: Clock, *, anew: bool, outbox_lost: bool, live: bool) -> None:
    """Write down, as frames, where joining has no past: streams read for the first time, and what was lost."""
    now = clock.now()
    for source in capture.configured:
        if source.name not in capture.names_entered:
            file = _live_file(source) if live else None
            box.append(capture.entered(source.name, _entered_at(source), now, file))
        if anew:
            box.append(capture.lost(source.name, "state-lost", now))
        if outbox_lost:
            box.append(capture.lost(source.name, "outbox-lost", now))
    box.sync()


def _live_file(source: Source) -> FileIdentity | None:
    """What a stream's live file begins with; None when it is not there, or nothing is in it."""
    if source.path is None:
        return None
    try:
        with open_log(source.path) as file:
            return fingerprint(file)
    except (OSError, InputError):
        return None


def _entered_at(source: Source) -> str:
    """`start` when there is nothing before: no rotated file, and the live one is empty or not there."""
    if source.path is None:
        return "middle"  # the journal does not say whether it holds everything
    try:
        empty = source.path.stat().st_size == 0
    except OSError:
        empty = True
    return "start" if empty and len(stream_files(source.path)) <= 1 else "middle"


def _files_of(paths: dict[str, Path], name: str) -> list[Path]:
    """Files in which a stream's bytes may be, the live one first."""
    live: Any = paths.get(name)
    return [live, *stream_files(live)] if live is not None else []

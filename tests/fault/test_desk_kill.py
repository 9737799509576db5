"""Kill -9 of service and ledger at every step of a question: no answer without its entries, no intent without an end."""

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from liucun.authorization.v1 import authorization_pb2
from liucun.lookup.v1 import lookup_pb2

from infra.local.stack import LocalStack
from infra.platform.clock import HOUR, SystemClock
from query_service.client import RefusedError
from tests import desk as kit
from tests.desk import AGENCY, OFFICER, World
from tests.ledgers import RunningLedger
from tests.pipeline import Program, run, until
from tests.realdesk import RealDesk, put, record

SENDER = "killed@example.org"
SELECTOR = kit.selector("SENDER", SENDER)
SERVICE_STEPS = ("intent", "read", "sealed", "segment", "outcome", "page", "stream")
LEDGER_STEPS = ("payload_written", "payload_synced", "leaf_written", "leaf_synced", "signed")
ROWS = 7
REASONS = frozenset({"ABORTED", "LOOKUP_CANCELLED", "DEADLINE_EXCEEDED"})  # of a question that did not end


@pytest.fixture(scope="module")
def rows(stack: LocalStack) -> int:
    """Some records to find."""
    now = SystemClock().now()
    put(stack.settings(), [record(9_000_000 + at, now - (2 + at) * HOUR, sender=SENDER) for at in range(ROWS)])
    return ROWS


class Asking:
    """An officer who asks and reads, and remembers what was answered."""

    def __init__(self, real: RealDesk, one: authorization_pb2.Authorization) -> None:
        self.real = real
        self.one = one
        self.lookups: list[str] = []
        self.pages = 0
        self.streams = 0

    def once(self) -> None:
        """One question, its page, its stream; RefusedError where somebody was killed."""
        with self.real.desk.client(OFFICER, seconds=10) as officer:
            lookup = officer.create_lookup(kit.question(self.one, SELECTOR), request_id=str(uuid.uuid4()))
            self.lookups.append(lookup.name)
            assert (lookup.record_count, lookup.state) == (ROWS, lookup_pb2.Lookup.STATE_DISCLOSED)
            assert len(list(officer.records(lookup.name))) == ROWS
            self.pages += 1
            done = [message.WhichOneof("item") for message in officer.stream(lookup.name)]
            assert done == ["records", "done"]
            self.streams += 1

    def until_killed(self, program: Program, seconds: float = 60) -> None:
        """Ask on, whatever is refused meanwhile, until this program has come to its step."""
        deadline = time.monotonic() + seconds
        while program.process.poll() is None:
            assert time.monotonic() < deadline, "nobody was killed"
            try:
                self.once()
            except RefusedError:
                time.sleep(0.05)
        assert program.wait() == -9


@pytest.fixture
def real(stack: LocalStack, ledger_folder: Path) -> Iterator[RealDesk]:
    """A service that does not wait long for its ledger."""
    ledger = RunningLedger(ledger_folder, request_timeout_seconds=2)
    ledger.start()
    made = RealDesk(ledger_folder, stack.settings(), World(), ledger)
    made.start()
    yield made
    if made.program is not None and made.program.process.poll() is None:
        made.stop()
    ledger.end()


@pytest.fixture
def asking(real: RealDesk, rows: int) -> Asking:
    """Everything is there to ask."""
    until(lambda: _enrols(real), 30)
    scope = kit.instrument().scope
    scope.max_hits = 100_000
    del scope.selectors[:]
    scope.selectors.append(SELECTOR)
    return Asking(real, kit.approved(real.desk, scope=scope))


def _enrols(real: RealDesk) -> bool:
    real.world.enrol(real.desk, real.world.agency())
    return True


def settled(asking: Asking, reasons: frozenset[str] = REASONS) -> None:
    """After a restart: every answer has its entries, every intent one outcome, every lookup an end that it shows."""
    real = asking.real
    client = real.ledger.client()

    def all_closed() -> bool:
        kinds = Counter(entry.kind for entry in client.read(0, 100_000))
        return kinds["LOOKUP_INTENT"] == kinds["LOOKUP_OUTCOME"]

    until(all_closed, 30)
    entries = [entry.payload for entry in client.read(0, 100_000)]
    outcomes = Counter(entry["lookup"] for entry in entries if entry["kind"] == "LOOKUP_OUTCOME")
    assert set(outcomes.values()) == {1}
    ends = {entry["lookup"]: entry["outcome"] for entry in entries if entry["kind"] == "LOOKUP_OUTCOME"}
    why = {entry["lookup"]: entry["status_reason"] for entry in entries if entry["kind"] == "LOOKUP_OUTCOME"}
    assert set(ends.values()) <= {"DISCLOSED", "ABORTED"}
    assert {why[name] for name, outcome in ends.items() if outcome == "ABORTED"} <= reasons
    assert "ABORTED" in why.values(), "the janitor closed what was killed"
    assert {ends[name] for name in asking.lookups} <= {"DISCLOSED"}, "what was answered is disclosed"
    sealed = {entry["lookup"] for entry in entries if entry["kind"] == "LOOKUP_SEGMENT"}
    assert set(asking.lookups) <= sealed
    read = Counter(entry["how"] for entry in entries if entry["kind"] == "RECORDS_READ")
    assert read["PAGE"] >= asking.pages
    assert read["STREAM"] >= asking.streams
    with real.desk.client(OFFICER) as officer:
        answer = officer.call(officer.lookups.ListLookups, lookup_pb2.ListLookupsRequest(parent=AGENCY, page_size=1000))
        shown = {found.name: (found.state, found.status_reason) for found in answer.lookups}
        for name, outcome in ends.items():
            if outcome != "DISCLOSED":
                assert shown[name] == (lookup_pb2.Lookup.STATE_ERROR, why[name])
            else:
                assert shown[name] == (lookup_pb2.Lookup.STATE_DISCLOSED, "")
                assert len(list(officer.records(name))) == ROWS, "what is disclosed can be read"


def test_service_killed_at_each_step_twice(asking: Asking) -> None:
    """One after the other; each start finds what the kill before left, and is killed itself."""
    real = asking.real
    real.stop()
    for step in SERVICE_STEPS * 2:
        program = real.start(kill_at=f"desk.{step}")
        asking.until_killed(program)
    real.start()
    until(lambda: _answers(asking), 30)
    settled(asking, frozenset({"ABORTED"}))
    assert asking.pages >= 2, "the later steps are behind whole answers"
    assert run(real.ledger.file, "audit", "verify").returncode == 0


def _answers(asking: Asking) -> bool:
    try:
        asking.once()
    except RefusedError:
        return False
    return True


def test_ledger_killed_at_each_step_twice(asking: Asking) -> None:
    """The service goes on when the ledger is back; what was asked meanwhile was not answered."""
    real = asking.real
    real.ledger.stop()
    for number, step in enumerate(LEDGER_STEPS * 2):
        program = real.ledger.start(kill_at=f"ledger.{step}:{3 + number % 4}")
        asking.until_killed(program)
    real.ledger.start()
    until(lambda: _answers(asking), 30)
    settled(asking)
    real.stop()
    assert real.ledger.stop() == 0
    assert run(real.ledger.file, "ledger", "fsck").returncode == 0


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_twenty_kills_of_either_at_random_points(asking: Asking) -> None:
    real = asking.real
    seed = 20261125
    moments = random.Random(seed)
    for number in range(40):
        stop = threading.Event()

        def go_on(told: threading.Event = stop) -> None:
            while not told.is_set():
                _answers(asking)

        threads = [threading.Thread(target=go_on) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(moments.uniform(0.05, 1.0))
        if number % 2:
            assert real.ledger.program is not None
            real.ledger.program.kill()
        else:
            real.kill()
        stop.set()
        for thread in threads:
            thread.join(30)
        if number % 2:
            real.ledger.start()
        else:
            real.start()
        until(lambda: _answers(asking), 60)
    settled(asking)
    assert run(real.ledger.file, "audit", "verify").returncode == 0
    assert _facts(asking)["lookups"] > 40


def _facts(asking: Asking) -> dict[str, Any]:
    return {"lookups": len(asking.lookups), "pages": asking.pages, "streams": asking.streams}

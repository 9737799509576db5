"""One service for one folder and for one ledger; what cannot be kept now ends nobody."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from infra.platform.errors import LiucunError, SettingsError
from infra.platform.settings import ClickHouse, Settings
from query_service import projection
from query_service.audit import Audit
from query_service.client import Client
from query_service.errors import AuditUnavailableError
from query_service.server import Service
from query_service.state import State
from tests import desk as kit
from tests.desk import OFFICER, RunningDesk
from tests.pipeline import until
from tests.places import Place, ask, reason


def service(place: Place, folder: Path) -> tuple[Service, Settings]:
    """One more on the same ledger; it does not run yet."""
    folder.mkdir(exist_ok=True)
    settings = Settings(clickhouse=ClickHouse(port=1), server=kit.server_settings(folder, place.world))
    return Service(settings, place.clock, place.ledger, kit.FakeStore(5)), settings


class Running(threading.Thread):
    """A service in a thread, and how it ended."""

    def __init__(self, one: Service) -> None:
        super().__init__()
        self.one = one
        self.stop = threading.Event()
        self.error: LiucunError | None = None
        self.start()

    def run(self) -> None:
        try:
            self.one.run(self.stop)
        except LiucunError as error:
            self.error = error


def test_second_service_with_the_same_folder_does_not_start(place: Place, desk: RunningDesk, officer: Client) -> None:
    with pytest.raises(SettingsError, match="Another query service runs with") as caught:
        service(place, place.folder)
    assert caught.value.exit_code == 2
    assert ask(officer, kit.approved(desk)).record_count == 25


def test_first_service_on_a_ledger_ends_when_a_second_one_starts(place: Place) -> None:
    """With another folder: it cannot know whether the other one lives, so the newest is the one that answers."""
    one, settings = service(place, place.folder / "one")
    first = Running(one)
    old = RunningDesk(place.world, settings, place.clock)
    place.world.enrol(old, place.world.agency())
    paper = kit.approved(old)
    held: Any = one._watch._desk.store
    held.hold.clear()
    reasons = []
    with old.client(OFFICER) as officer:
        asking = threading.Thread(target=lambda: reasons.append(reason(lambda: ask(officer, paper))))
        asking.start()
        while place.kinds()[-1] != "LOOKUP_INTENT":
            asking.join(0.02)
        two, settings = service(place, place.folder / "two")
        second = Running(two)
        first.join(20)
        held.hold.set()
        asking.join(20)
    assert isinstance(first.error, SettingsError), "exit 2: a supervisor does not start it again"
    assert reasons[0] in ("AUDIT_UNAVAILABLE", "CANCELLED", "UNAVAILABLE")
    outcomes = [e.payload for e in place.ledger.entries if e.payload and e.kind == "LOOKUP_OUTCOME"]
    assert [outcome["outcome"] for outcome in outcomes] == ["ABORTED"], "closed by the second, and once"
    new = RunningDesk(place.world, settings, place.clock)
    with new.client(OFFICER) as officer:
        assert ask(officer, paper).record_count == 5
    second.stop.set()
    second.join(20)
    assert second.error is None


def test_nothing_is_appended_without_the_claim(place: Place) -> None:
    audit = Audit(place.ledger, State())
    for work in (audit.catch_up, lambda: audit.append("REFUSALS_SUMMARY", "services/query", counts=[])):
        with pytest.raises(AuditUnavailableError):
            work()
    assert place.kinds() == ["GENESIS"]
    audit.claim("services/query", "1")
    audit.catch_up()


def test_a_ledger_of_before_the_claim_is_claimed_anew(place: Place, desk: RunningDesk) -> None:
    """Restored from a backup: the service goes on with it, and does not take itself for another one's predecessor."""
    with place.ledger._lock:
        place.ledger.entries = place.ledger.entries[:1]
    until(lambda: place.kinds()[-1] == "SERVICE_STARTED", 10)
    place.world.enrol(desk, place.world.agency())
    with desk.client(OFFICER) as officer:
        assert ask(officer, kit.approved(desk)).record_count == 25


def test_projection_that_cannot_be_written_now(
    place: Place, desk: RunningDesk, officer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No memory: nothing is answered until it can be written again, and the service lives."""
    one = kit.approved(desk)

    def full(*_arguments: object) -> None:
        raise sqlite3.OperationalError("out of memory")

    with monkeypatch.context() as broken:
        broken.setattr(projection, "apply", full)
        assert reason(lambda: ask(officer, one)) == "AUDIT_UNAVAILABLE"
    until(lambda: place.kinds()[-1] == "LOOKUP_OUTCOME", 10)
    assert ask(officer, one).record_count == 25

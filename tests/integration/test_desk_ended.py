"""A lookup that was cancelled or aborted leaves no records behind, whoever was faster."""

from pathlib import Path
from typing import Any

import pytest

from infra.platform.steps import reached
from query_service import ask as asking
from query_service import watch
from query_service.client import Client
from query_service.segments import Segments, _group
from query_service.vault import Vault
from tests import desk as kit
from tests.desk import AGENCY, OFFICER, RunningDesk
from tests.pipeline import until
from tests.places import Place, ask, cancel, last, reason


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the desk: its watch looks after folders every second."""
    monkeypatch.setattr(watch, "ENDS_SECONDS", 0.0)


def folders(place: Place) -> set[str]:
    return {path.name for path in (place.folder / "query" / "segments").glob("*")}


@pytest.mark.parametrize("step", ["read", "sealed", "segment"])
def test_cancel_behind_the_last_row(
    place: Place, desk: RunningDesk, officer: Client, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Between the last look at the call and the outcome: nothing is disclosed, sealed or kept."""
    one = kit.approved(desk)
    names: list[str] = []

    def cancels(at: str) -> None:
        reached(at)
        if at == f"desk.{step}" and not names:
            (intent,) = [entry.payload for entry in place.ledger.entries if entry.kind == "LOOKUP_INTENT"]
            assert intent is not None
            names.append(intent["lookup"]["name"])
            with desk.client(OFFICER) as other:
                cancel(other, names[0])

    monkeypatch.setattr(asking, "reached", cancels)
    assert reason(lambda: ask(officer, one)) == "LOOKUP_CANCELLED"
    outcome = last(place.ledger)
    assert (outcome["kind"], outcome["outcome"]) == ("LOOKUP_OUTCOME", "ABORTED")
    assert (outcome["status_reason"], outcome["record_count"]) == ("LOOKUP_CANCELLED", 0)
    assert place.kinds().count("LOOKUP_SEGMENT") == (step != "read" and 1)
    assert folders(place) == set()


def test_folders_without_a_lookup_that_has_them_go(
    place: Place, often: None, desk: RunningDesk, officer: Client
) -> None:
    """What is disclosed and in its days stays; what is cancelled, or nobody's, goes, whatever its folder holds."""
    one = kit.approved(desk)
    kept, cancelled = ask(officer, one), ask(officer, one)
    cancel(officer, cancelled.name)
    segments, vault = Segments(place.folder / "query"), Vault(place.folder / "query" / "segments")
    until(lambda: folders(place) == {_group(kept.name)}, 5)
    for name in (cancelled.name, f"{AGENCY}/lookups/nobody"):
        segments.write(name, 0, "00", [])
    Path(place.folder / "query" / "segments" / "gongan-hz.keyless").mkdir()
    assert len(vault.groups()) > 1
    until(lambda: folders(place) == {_group(kept.name)}, 10)
    assert len(list(officer.records(kept.name))) == 25


def test_what_runs_is_left_alone(
    place: Place, often: None, desk: RunningDesk, officer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch comes by while the segment is sealed and the outcome is not there."""
    one = kit.approved(desk)
    seen: list[Any] = []
    end = watch.Watch._end_segments

    def ends(self: watch.Watch) -> None:
        end(self)
        seen.append(None)

    def waits(at: str) -> None:
        if at == "desk.segment":
            count = len(seen)
            until(lambda: len(seen) >= count + 2, 10)

    monkeypatch.setattr(watch.Watch, "_end_segments", ends)
    monkeypatch.setattr(asking, "reached", waits)
    lookup = ask(officer, one)
    assert len(list(officer.records(lookup.name))) == 25

"""Documents of instruments: kept with their entry, and not without it."""

import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from liucun.authorization.v1 import authorization_pb2

from infra.platform.errors import LiucunError
from query_service import watch
from query_service.client import Client
from query_service.vault import Vault
from tests import desk as kit
from tests.desk import AGENCY, OFFICER, RunningDesk
from tests.pipeline import until
from tests.places import Place, reason


def folders(place: Place) -> list[Path]:
    return list((place.folder / "query" / "documents").glob("*"))


def body_of(client: Client, name: str) -> bytes:
    request = authorization_pb2.GetDocumentRequest(name=name)
    found: bytes = client.call(client.authorizations.GetDocument, request).document.body
    return found


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the desk: its watch looks after documents every second."""
    monkeypatch.setattr(watch, "ENDS_SECONDS", 0.0)


def test_without_an_entry_nothing_stays(place: Place, often: None, desk: RunningDesk, officer: Client) -> None:
    kept = kit.enter(officer, kit.instrument())
    place.ledger.full = True
    for _ in range(3):
        assert reason(lambda: kit.enter(officer, kit.instrument())) == "AUDIT_UNAVAILABLE"
    place.ledger.full = False
    until(lambda: len(folders(place)) == 1, 10)
    assert body_of(officer, kept.name) == kit.DOCUMENT


def test_entry_whose_answer_was_lost_keeps_its_document(
    place: Place, often: None, desk: RunningDesk, officer: Client
) -> None:
    """It is settled when the ledger has said that there is an entry, without the caller's coming again."""
    request = authorization_pb2.CreateAuthorizationRequest(
        parent=AGENCY, authorization=kit.instrument(), request_id=str(uuid.uuid4())
    )
    append = place.ledger.append

    def loses(kind: str, actor: str, **members: Any) -> int:
        index = append(kind, actor, **members)
        if kind == "AUTHORIZATION_ENTERED":
            raise LiucunError("The ledger does not answer.")
        return index

    place.ledger.append = loses  # type: ignore[method-assign]
    assert reason(lambda: officer.call(officer.authorizations.CreateAuthorization, request)) == "AUDIT_UNAVAILABLE"
    place.ledger.append = append  # type: ignore[method-assign]
    vault = Vault(place.folder / "query" / "documents")
    until(lambda: vault.pending() == [], 10)
    (group,) = folders(place)
    assert vault.has(group.name)
    again = officer.call(officer.authorizations.CreateAuthorization, request).authorization
    assert body_of(officer, again.name) == kit.DOCUMENT
    assert place.kinds().count("AUTHORIZATION_ENTERED") == 1


def test_what_is_being_entered_is_left_alone(place: Place, often: None, desk: RunningDesk, officer: Client) -> None:
    append, waits = place.ledger.append, threading.Event()

    def slow(kind: str, actor: str, **members: Any) -> int:
        if kind == "AUTHORIZATION_ENTERED":
            waits.wait(3)  # the watch comes by meanwhile
        return append(kind, actor, **members)

    place.ledger.append = slow  # type: ignore[method-assign]
    assert body_of(officer, kit.enter(officer, kit.instrument()).name) == kit.DOCUMENT


def test_what_a_kill_has_left_goes_at_the_next_start(place: Place) -> None:
    """What has its entry stays, killed before it was settled or long ago."""
    with place.running() as desk:
        place.world.enrol(desk, place.world.agency())
        with desk.client(OFFICER) as officer:
            papers = [kit.enter(officer, kit.instrument()) for _ in range(2)]
    (entered, _) = folders(place)
    (entered / "pending").touch()
    vault = Vault(place.folder / "query" / "documents")
    vault.write("orphan", "document", kit.DOCUMENT, b"x", pending=True)
    with place.running() as desk, desk.client(OFFICER) as officer:
        assert [body_of(officer, one.name) for one in papers] == [kit.DOCUMENT] * 2
        assert len(folders(place)) == 2
        assert vault.pending() == []

"""Documents of instruments: kept with their entry, and not without it."""

import uuid
from pathlib import Path
from typing import Any

from liucun.authorization.v1 import authorization_pb2

from infra.platform.errors import LiucunError
from query_service.client import Client
from query_service.vault import Vault
from tests import desk as kit
from tests.desk import AGENCY, OFFICER, RunningDesk
from tests.places import Place, reason


def folders(place: Place) -> list[Path]:
    return list((place.folder / "query" / "documents").glob("*"))


def body_of(client: Client, name: str) -> bytes:
    request = authorization_pb2.GetDocumentRequest(name=name)
    found: bytes = client.call(client.authorizations.GetDocument, request).document.body
    return found


def test_without_an_entry_nothing_stays(place: Place, desk: RunningDesk, officer: Client) -> None:
    kept = kit.enter(officer, kit.instrument())
    place.ledger.full = True
    for _ in range(3):
        assert reason(lambda: kit.enter(officer, kit.instrument())) == "AUDIT_UNAVAILABLE"
    place.ledger.full = False
    assert len(folders(place)) == 1
    assert body_of(officer, kept.name) == kit.DOCUMENT


def test_entry_whose_answer_was_lost_gets_its_document_again(place: Place, desk: RunningDesk, officer: Client) -> None:
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
    again = officer.call(officer.authorizations.CreateAuthorization, request).authorization
    assert body_of(officer, again.name) == kit.DOCUMENT
    assert place.kinds().count("AUTHORIZATION_ENTERED") == 1


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

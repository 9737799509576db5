"""Lists are bounded by their bytes: a page of long things is a shorter page, and all pages together are everything."""

from collections.abc import Callable
from itertools import chain
from typing import Any

from liucun.audit.v1 import audit_pb2
from liucun.authorization.v1 import authorization_pb2
from liucun.lookup.v1 import lookup_pb2
from liucun.registry.v1 import registry_pb2

from tests import desk as kit
from tests.desk import AGENCY, OFFICER
from tests.places import Place, ask

MESSAGE_BYTES_MAX = 64 * 1024


def pages(list_page: Callable[[str], Any], items: str) -> list[list[str]]:
    """Names of what is listed, page by page; each page fits into a message."""
    found, token = list[list[str]](), ""
    while True:
        answer = list_page(token)
        assert answer.ByteSize() <= MESSAGE_BYTES_MAX
        found.append([one.name for one in getattr(answer, items)])
        token = answer.next_page_token
        if not token:
            return found


def test_long_instruments_and_their_entries(place: Place) -> None:
    selectors = [kit.selector("SENDER", f"{'a' * 60}{number}@{'b' * 60}.{'c' * 60}.example") for number in range(100)]
    with place.running(message_bytes_max=MESSAGE_BYTES_MAX) as desk:
        place.world.enrol(desk, place.world.agency())
        with desk.client(OFFICER) as officer:
            names = [kit.enter(officer, kit.instrument(*selectors)).name for _ in range(6)]
            listed = pages(
                lambda token: officer.call(
                    officer.authorizations.ListAuthorizations,
                    authorization_pb2.ListAuthorizationsRequest(parent=AGENCY, page_size=1000, page_token=token),
                ),
                "authorizations",
            )
        assert list(chain(*listed)) == names[::-1]
        assert len(listed) > 1
        with desk.client("persons/zhao") as auditor:
            entries = pages(
                lambda token: auditor.call(
                    auditor.audit.ListAuditEntries,
                    audit_pb2.ListAuditEntriesRequest(page_size=1000, page_token=token),
                ),
                "audit_entries",
            )
        read = [entry.payload for entry in place.ledger.entries if entry.kind == "LEDGER_READ"]
        assert [len(page) for page in entries] == [payload["limit"] for payload in read if payload]
        assert list(chain(*entries)) == [f"auditEntries/{index}" for index in range(sum(len(page) for page in entries))]
        assert len(entries) > 1


def test_long_agencies(place: Place) -> None:
    with place.running(message_bytes_max=MESSAGE_BYTES_MAX) as desk:
        for number in range(4):
            agency = place.world.agency(f"agencies/a{number}", tuple(f"o{at}" for at in range(50)))
            for officer in agency.officers:
                officer.display_name = "张" * 100
            place.world.enrol(desk, agency)
        with desk.client("persons/zhao") as reader:
            listed = pages(
                lambda token: reader.call(
                    reader.registry.ListAgencies, registry_pb2.ListAgenciesRequest(page_size=1000, page_token=token)
                ),
                "agencies",
            )
    assert list(chain(*listed)) == [f"agencies/a{number}" for number in range(4)]
    assert len(listed) > 1


def test_many_lookups(place: Place) -> None:
    place.store.count = 0
    selector = kit.selector("SENDER", f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 40}.example")
    with place.running(message_bytes_max=MESSAGE_BYTES_MAX) as desk:
        place.world.enrol(desk, place.world.agency())
        one = kit.approved(desk, selector)
        with desk.client(OFFICER) as officer:
            names = [ask(officer, one, selector=selector).name for _ in range(130)]
            listed = pages(
                lambda token: officer.call(
                    officer.lookups.ListLookups,
                    lookup_pb2.ListLookupsRequest(parent=AGENCY, page_size=1000, page_token=token),
                ),
                "lookups",
            )
    assert list(chain(*listed)) == names[::-1]
    assert len(listed) > 1

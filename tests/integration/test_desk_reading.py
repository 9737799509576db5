"""Reading needs what asking needs at that moment; only the instrument's timespan may be over."""

import time
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.platform.clock import DAY, HOUR
from query_service.client import Client
from tests import desk as kit
from tests.desk import OFFICER, RunningDesk
from tests.integration.test_desk_answers import a_long_answer
from tests.places import Place, ask, reason, revoke_agency, revoke_person


def test_signer_who_was_revoked_ends_reading(place: Place, desk: RunningDesk, officer: Client) -> None:
    one, lookup = a_long_answer(place, desk, officer)
    with desk.client(OFFICER, slow_reader=True) as reader:
        messages = reader.stream(lookup.name)
        next(messages)
        revoke_person(desk, "persons/wang")
        time.sleep(1.2)
        assert reason(lambda: list(messages)) in ("APPROVAL_INVALID", "CANCELLED")
    for work in (
        lambda: ask(officer, one),
        lambda: list(officer.records(lookup.name)),
        lambda: list(officer.stream(lookup.name)),
    ):
        assert reason(work) == "APPROVAL_INVALID"


def test_agency_that_was_revoked_ends_reading_on_its_behalf(place: Place, desk: RunningDesk) -> None:
    place.store.count = 10_000
    scope = kit.instrument().scope
    scope.max_hits = 50_000
    with desk.client("persons/li") as li:
        one = kit.enter(li, kit.instrument(received_by="RECEIVED_BY_COUNTER", scope=scope))
        for person in ("persons/wang", "persons/zhao"):
            with desk.client(person) as signer:
                signer.approve(kit.fetched(signer, one.name))
        lookup = ask(li, one)
        with desk.client("persons/li", slow_reader=True) as reader:
            messages = reader.stream(lookup.name)
            next(messages)
            revoke_agency(desk)
            time.sleep(1.2)
            assert reason(lambda: list(messages)) in ("AUTHORIZATION_REVOKED", "CANCELLED")
        for work in (
            lambda: ask(li, one),
            lambda: list(li.records(lookup.name)),
            lambda: list(li.stream(lookup.name)),
        ):
            assert reason(work) == "AUTHORIZATION_REVOKED"


def test_what_was_found_in_time_is_read_after_it(place: Place, desk: RunningDesk, officer: Client) -> None:
    """Until the segments expire; asking ends with the instrument."""
    soon = kit.window(kit.now() - timedelta(hours=1), kit.now() + timedelta(hours=2))
    one = kit.approved(desk, timespan=soon)
    lookup = ask(officer, one)
    place.clock.by = 5 * HOUR
    assert reason(lambda: ask(officer, one)) == "AUTHORIZATION_EXPIRED"
    assert len(list(officer.records(lookup.name))) == 25
    messages = officer.stream(lookup.name)
    next(messages)
    time.sleep(2.2)
    assert [message.WhichOneof("item") for message in messages] == ["done"]
    place.clock.by = 31 * DAY
    assert reason(lambda: list(officer.records(lookup.name))) == "LOOKUP_EXPIRED"


def test_officer_whose_key_was_replaced_ends_reading(place: Place, desk: RunningDesk, officer: Client) -> None:
    _, lookup = a_long_answer(place, desk, officer)
    with desk.client(OFFICER, slow_reader=True) as reader:
        messages = reader.stream(lookup.name)
        next(messages)
        place.world.keys[OFFICER] = Ed25519PrivateKey.generate()
        place.world.enrol(desk, place.world.agency())
        time.sleep(1.2)
        assert reason(lambda: list(messages)) in ("NOT_ENROLLED", "CANCELLED")

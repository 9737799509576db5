"""Messages as people write and read them."""

from typing import Any

import pytest
from liucun.authorization.v1 import authorization_pb2
from liucun.registry.v1 import registry_pb2

from infra.platform.errors import SettingsError
from query_service.plain import from_plain, to_plain
from tests import desk as kit


def test_round_trip_of_an_instrument() -> None:
    one = kit.instrument()
    document = to_plain(one)
    assert document["legal_type"] == "EVIDENCE_RETRIEVAL_NOTICE"
    assert document["scope"]["selectors"] == [{"kind": "ADDRESS", "value": "alice@example.org", "host": ""}]
    assert document["served_time"] is None
    again = authorization_pb2.Authorization()
    from_plain(document, again)
    assert again == one


def test_full_enum_names_are_taken_too() -> None:
    person = registry_pb2.Person()
    from_plain({"roles": ["ROLE_LEGAL", "AUDITOR"]}, person)
    assert to_plain(person)["roles"] == ["LEGAL", "AUDITOR"]


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], "the file"),
        ({"nonsense": 1}, "nonsense"),
        ({"legal_type": "WHIM"}, "legal_type"),
        ({"scope": {"selectors": {}}}, "scope.selectors"),
        ({"scope": {"selectors": [{"kind": "SENDER", "value": 5}]}}, "scope.selectors[0].value"),
        ({"scope": {"max_hits": "many"}}, "scope.max_hits"),
        ({"served_time": "yesterday"}, "served_time"),
        ({"document": {"body": "not base64!"}}, "document.body"),
        ({"instrument": {"handlers": ["Zhang"]}}, "instrument.handlers[0]"),
    ],
)
def test_what_does_not_fit_is_named(document: Any, place: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_plain(document, authorization_pb2.Authorization())
    assert caught.value.message.startswith(f"{place} ")

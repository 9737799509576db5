"""Documents of agencies fit into an entry of the ledger, in bytes and not only in characters."""

import pytest
from liucun.registry.v1 import registry_pb2 as pb

from infra.proof import canonical
from query_service.errors import DeskError
from query_service.members import DOCUMENT_BYTES_MAX, OFFICERS_MAX, TEXT_MAX, agency_document


def agency(character: str) -> pb.Agency:
    """As many officers as there may be, with names as long as they may be."""
    name = "agencies/" + "a" * 60
    officers = [
        pb.Officer(
            name=f"{name}/officers/{'o' * 55}{number:03d}",
            display_name=character * TEXT_MAX,
            public_key=f"{number:064x}",
        )
        for number in range(OFFICERS_MAX)
    ]
    return pb.Agency(name=name, display_name="x", agency_class=pb.AGENCY_CLASS_PUBLIC_SECURITY, officers=officers)


def test_as_many_officers_as_fit() -> None:
    assert len(canonical.encode(agency_document(agency("x")))) <= DOCUMENT_BYTES_MAX
    for character in ("\U0001f600", "张"):
        with pytest.raises(DeskError) as caught:
            agency_document(agency(character))
        assert caught.value.details == {"field": "agency"}

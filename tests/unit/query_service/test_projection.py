"""Entries to tables: what a broken-into service could write into the ledger without keys changes nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.platform import tls
from infra.platform.clock import SystemClock
from infra.platform.times import text_of
from infra.proof import requests, statements
from query_service import projection
from query_service.errors import DeskError
from query_service.state import FILE_NAME, State
from tests.desk import MemoryLedger, World


class Book:
    """A ledger, and the projection of it."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.ledger = MemoryLedger(self.world.genesis(), SystemClock())
        self.state = State(folder)
        self.catch_up()

    def catch_up(self) -> None:
        self.state.catch_up(self.ledger, self.ledger.size())

    def append(self, kind: str, actor: str, **members: Any) -> None:
        self.ledger.append(kind, actor, **members)
        self.catch_up()

    def signed(self, person: str, action: str, document: dict[str, Any], key: Any = None) -> dict[str, Any]:
        """Statement and signature."""
        statement = requests.registry_statement(
            action=action,
            subject=document["name"],
            document_hash=requests.registry_hash(document),
            person=person,
            time=text_of(SystemClock().now()),
        )
        return {
            "statement": statement,
            "signature": statements.sign(key or self.world.key(person), statement).hex(),
        }


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path)
    yield made
    made.state.close()


EVE = Ed25519PrivateKey.generate()
DOCUMENT = {
    "name": "persons/eve", "display_name": "Eve", "roles": ["reviewer"], "public_key": tls.public_key_hex(EVE),
}  # fmt: skip


def test_entered_and_approved_by_two(book: Book) -> None:
    book.append("PERSON_ENTERED", "persons/li", document=DOCUMENT, **book.signed("persons/li", "ENTER", DOCUMENT))
    assert book.state.enrolled("persons/eve") is None
    book.append(
        "PERSON_APPROVED", "persons/wang", subject="persons/eve", **book.signed("persons/wang", "APPROVE", DOCUMENT)
    )
    enrolled = book.state.enrolled("persons/eve")
    assert enrolled is not None
    assert enrolled.roles == {"REVIEWER"}
    book.append(
        "PERSON_REVOKED", "persons/zhao", subject="persons/eve", reason="left",
        **book.signed("persons/zhao", "REVOKE", DOCUMENT),
    )  # fmt: skip
    assert book.state.enrolled("persons/eve") is None


def test_forged_entries_enrol_nobody(book: Book) -> None:
    """Whoever can only append has nobody's key."""
    good = book.signed("persons/li", "ENTER", DOCUMENT)
    forgeries = [
        ("persons/li", book.signed("persons/li", "ENTER", DOCUMENT, EVE)),
        ("persons/eve", book.signed("persons/eve", "ENTER", DOCUMENT, EVE)),
        ("persons/wang", good),
        ("persons/li", book.signed("persons/li", "APPROVE", DOCUMENT)),
        ("persons/li", good | {"signature": "00" * 64}),
        ("persons/li", book.signed("persons/li", "ENTER", DOCUMENT | {"roles": ["legal"]})),
    ]
    for actor, members in forgeries:
        book.append("PERSON_ENTERED", actor, document=DOCUMENT, **members)
        assert book.state.member("persons/eve") is None
    book.append("PERSON_ENTERED", "persons/li", document=DOCUMENT, **good)
    for actor, members in (
        ("persons/li", book.signed("persons/li", "APPROVE", DOCUMENT)),  # who entered it
        ("persons/eve", book.signed("persons/eve", "APPROVE", DOCUMENT, EVE)),
        ("persons/wang", book.signed("persons/wang", "APPROVE", DOCUMENT, EVE)),
        ("persons/wang", book.signed("persons/wang", "ENTER", DOCUMENT)),
    ):
        book.append("PERSON_APPROVED", actor, subject="persons/eve", **members)
        assert book.state.enrolled("persons/eve") is None


def test_genesis_with_a_wrong_signature_is_none(tmp_path: Path) -> None:
    world = World()
    genesis = world.genesis()
    genesis["signatures"]["persons/wang"] = "00" * 64
    ledger = MemoryLedger(genesis, SystemClock())
    state = State(tmp_path)
    state.catch_up(ledger, 1)
    assert state.enrolled("persons/li") is None
    state.close()


def test_killed_at_any_entry_it_goes_on(book: Book, tmp_path: Path) -> None:
    book.append("PERSON_ENTERED", "persons/li", document=DOCUMENT, **book.signed("persons/li", "ENTER", DOCUMENT))
    book.append("REFUSED", "persons/li", token_id="t-1", reason="x", method="m")
    other = State(tmp_path / "other")
    for size in (1, 1, 2, 3):
        other.catch_up(book.ledger, size)
        other.close()
        other = State(tmp_path / "other")
    assert other.applied_index == 3
    assert other.dump() == book.state.dump()
    with pytest.raises(DeskError):
        other.use_token("persons/li", "t-1", 0, 0)
    other.close()


def test_erased_and_foreign_entries_change_nothing(book: Book) -> None:
    before = [line for line in book.state.dump() if "meta" not in line]
    for kind in ("DROP_INTENT", "LEDGER_READ", "ERASED"):
        book.append(kind, "services/ops", anything=1)
    projection.apply(book.state._database, 99, "PERSON_ENTERED", None)
    assert [line for line in book.state.dump() if "meta" not in line] == before
    assert book.state.applied_index == 4


def test_tables_of_another_version_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(tmp_path)
    state.close()
    monkeypatch.setattr(projection, "VERSION", projection.VERSION + 1)
    state = State(tmp_path)
    assert state.applied_index == 0
    state.close()
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0

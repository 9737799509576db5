"""Entries to tables: what a broken-into service could write into the ledger without keys changes nothing."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.platform import tls
from infra.platform.clock import DAY, SystemClock
from infra.platform.times import text_of
from infra.proof import requests, statements
from query_service import projection
from query_service.errors import AuditUnavailableError, DeskError
from query_service.state import State
from tests.desk import MemoryLedger, World


class Book:
    """A ledger, and the projection of it."""

    def __init__(self) -> None:
        self.world = World()
        self.ledger = MemoryLedger(self.world.genesis(), SystemClock())
        self.state = State()
        self.catch_up()

    def catch_up(self) -> None:
        self.state.catch_up(self.ledger)

    def append(self, kind: str, actor: str, **members: Any) -> None:
        self.ledger.append(kind, actor, **members)
        self.catch_up()

    def signed(
        self, person: str, action: str, document: dict[str, Any], key: Any = None, later: int = 0
    ) -> dict[str, Any]:
        """Statement and signature, of now or so much later."""
        statement = requests.registry_statement(
            action=action,
            subject=document["name"],
            document_hash=requests.registry_hash(document),
            person=person,
            time=text_of(SystemClock().now() + later),
        )
        return {
            "statement": statement,
            "signature": statements.sign(key or self.world.key(person), statement).hex(),
        }


@pytest.fixture
def book() -> Iterator[Book]:
    made = Book()
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


def enrol(book: Book, document: dict[str, Any]) -> None:
    """Entered by li, approved by wang."""
    book.append("PERSON_ENTERED", "persons/li", document=document, **book.signed("persons/li", "ENTER", document))
    signed = book.signed("persons/wang", "APPROVE", document)
    book.append("PERSON_APPROVED", "persons/wang", subject=document["name"], **signed)


def test_old_entries_written_again_bring_no_old_key_back(book: Book) -> None:
    enrol(book, DOCUMENT)
    new = DOCUMENT | {"public_key": tls.public_key_hex(Ed25519PrivateKey.generate())}
    enrol(book, new)
    for old in book.ledger.entries[1:3]:
        assert old.payload is not None
        members = {name: value for name, value in old.payload.items() if name not in ("kind", "time", "actor")}
        book.append(old.kind, old.payload["actor"], **members)
    member = book.state.member("persons/eve")
    assert member is not None
    assert (member.document, member.pending) == (new, None)


def test_an_approval_kept_back_does_not_count_for_a_later_entry(book: Book) -> None:
    kept = book.signed("persons/wang", "APPROVE", DOCUMENT)
    book.append("PERSON_ENTERED", "persons/li", document=DOCUMENT, **book.signed("persons/li", "ENTER", DOCUMENT))
    book.append("PERSON_APPROVED", "persons/wang", subject="persons/eve", **kept)
    assert book.state.enrolled("persons/eve") is None


@pytest.mark.parametrize("later", [-2 * DAY, DAY])
def test_a_statement_of_another_day_is_none(book: Book, later: int) -> None:
    """One of the year 9999 would also keep everybody from ever changing this person."""
    signed = book.signed("persons/li", "ENTER", DOCUMENT, later=later)
    book.append("PERSON_ENTERED", "persons/li", document=DOCUMENT, **signed)
    assert book.state.member("persons/eve") is None


def test_genesis_with_a_wrong_signature_is_none() -> None:
    world = World()
    genesis = world.genesis()
    genesis["signatures"]["persons/wang"] = "00" * 64
    ledger = MemoryLedger(genesis, SystemClock())
    state = State()
    state.catch_up(ledger)
    assert state.enrolled("persons/li") is None
    state.close()


def test_the_same_entries_give_the_same_tables(book: Book) -> None:
    """One by one, or all at once."""
    book.append("PERSON_ENTERED", "persons/li", document=DOCUMENT, **book.signed("persons/li", "ENTER", DOCUMENT))
    book.append("REFUSED", "persons/li", token_id="t-1", reason="x", method="m")
    other = State()
    other.catch_up(book.ledger)
    assert other.applied_index == book.state.applied_index == 3
    assert other.dump() == book.state.dump()
    with pytest.raises(DeskError):
        other.use_token("persons/li", "t-1", 0, 0)
    other.close()


def test_erased_and_foreign_entries_change_nothing(book: Book) -> None:
    before = book.state.dump()
    for kind in ("DROP_INTENT", "LEDGER_READ", "ERASED"):
        book.append(kind, "services/ops", anything=1)
    projection.apply(book.state._database, 99, "PERSON_ENTERED", None)
    assert book.state.dump() == before
    assert book.state.applied_index == 4


def test_nothing_is_read_before_the_ledgers_end_was_reached(book: Book) -> None:
    """A part of the ledger may lack a revocation."""
    state = State()
    with pytest.raises(AuditUnavailableError):
        state.enrolled("persons/li")
    head = book.ledger.checkpoint()
    book.ledger.entries.pop()
    book.ledger.checkpoint = lambda: head  # type: ignore[method-assign]
    with pytest.raises(AuditUnavailableError):
        state.catch_up(book.ledger)
    with pytest.raises(AuditUnavailableError):
        state.enrolled("persons/li")
    state.close()


@pytest.mark.parametrize("more", [0, 1, 2, 3])
def test_a_ledger_restored_from_a_backup_is_noticed_whatever_was_written_since(book: Book, more: int) -> None:
    """Smaller, of the same size, larger: nothing is answered, and then all is made anew from it."""
    book.append("PERSON_ENTERED", "persons/li", document=DOCUMENT, **book.signed("persons/li", "ENTER", DOCUMENT))
    book.append("REFUSED", "persons/li", token_id="t-1", reason="x", method="m")
    del book.ledger.entries[1:]
    for number in range(more):
        book.ledger.append("REFUSED", "persons/li", token_id=f"u-{number}", reason="x", method="m")
    with pytest.raises(AuditUnavailableError):
        book.catch_up()
    with pytest.raises(AuditUnavailableError):
        book.state.enrolled("persons/li")
    book.catch_up()
    assert book.state.applied_index == 1 + more
    assert book.state.member("persons/eve") is None
    assert book.state.enrolled("persons/li") is not None


def test_an_entry_replaced_in_its_place_is_noticed(book: Book) -> None:
    book.append("PERSON_ENTERED", "persons/li", document=DOCUMENT, **book.signed("persons/li", "ENTER", DOCUMENT))
    other = MemoryLedger(book.world.genesis(), SystemClock())
    other.append("REFUSED", "persons/li", reason="x", method="m")
    other.append("REFUSED", "persons/li", reason="y", method="m")
    with pytest.raises(AuditUnavailableError):
        book.state.catch_up(other)


def test_what_cannot_be_kept_now_is_taken_over_later(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, or none."""
    real, calls = projection.apply, list[int]()

    def apply(database: Any, index: int, kind: str, payload: Any) -> bool:
        calls.append(index)
        if len(calls) == 3:
            raise sqlite3.OperationalError("out of memory")
        return real(database, index, kind, payload)

    for number in range(3):
        book.ledger.append("REFUSED", "persons/li", token_id=f"t-{number}", reason="x", method="m")
    with monkeypatch.context() as broken:
        broken.setattr(projection, "apply", apply)
        with pytest.raises(AuditUnavailableError):
            book.catch_up()
        assert book.state.applied_index == 1
        book.catch_up()
    assert calls == [1, 2, 3, 1, 2, 3]
    with pytest.raises(DeskError):
        book.state.use_token("persons/li", "t-2", 0, 0)

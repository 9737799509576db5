"""The vectors of docs/spec/proof-formats.md: the page is read, so that it cannot say anything else than the code."""

import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.proof import canonical, requests, statements
from tests.contract.test_size import REPOSITORY

PAGE = (REPOSITORY / "docs" / "spec" / "proof-formats.md").read_text(encoding="utf-8")
SECTION = PAGE[PAGE.index("## 10. Requests, records and segments") :]
DOCUMENT, STATEMENT = (json.loads(text) for text in re.findall(r"```json\n(.*?)\n```", SECTION, re.DOTALL)[:2])
ROWS = dict(re.findall(r"^\| (.+?) \| `([0-9a-f]{64})` \|$", SECTION, re.MULTILINE))
KEY = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)


def row(start: str) -> tuple[str, str]:
    """A row of the table of vectors: what it says, and its hash."""
    ((text, value),) = [(text, value) for text, value in ROWS.items() if text.startswith(start)]
    return text, value


def test_authorization() -> None:
    assert requests.authorization_hash(DOCUMENT) == row("its request hash")[1]
    assert requests.authorization_hash({**DOCUMENT, "requester": "persons/li"}) != row("its request hash")[1]


def test_person() -> None:
    person = {
        "name": "persons/li", "display_name": "Li", "roles": ["preparer"],
        "public_key": KEY.public_key().public_bytes_raw().hex(),
    }  # fmt: skip
    assert requests.registry_hash(person) == row("person document")[1]


def test_record_segment_outcome() -> None:
    text, value = row("record")
    record = json.loads(text[text.index("{") : text.rindex("}") + 1])
    one = requests.record_hash(record)
    assert one.hex() == value
    root = requests.segment_root([one] * 3)
    assert root == row("segment root")[1]
    assert requests.outcome_root([root]) == row("outcome root")[1]
    assert requests.segment_root([one] * 2) != root


def test_statement_and_signature() -> None:
    made = requests.approval_statement(
        authorization=DOCUMENT["name"],
        request_hash=requests.authorization_hash(DOCUMENT),
        instrument_sha256=DOCUMENT["document"]["sha256"],
        policy_version=DOCUMENT["policy_version"],
        approver="persons/li",
        time="2026-11-25T09:00:00.000000Z",
    )
    assert made == STATEMENT
    (signature,) = re.findall(r"^Signature: `([0-9a-f]{128})`$", SECTION, re.MULTILINE)
    assert statements.sign(KEY, STATEMENT).hex() == signature
    public = KEY.public_key().public_bytes_raw()
    assert f"Public key: `{public.hex()}`" in SECTION
    assert statements.verify(public, STATEMENT, bytes.fromhex(signature))
    assert not statements.verify(public, STATEMENT | {"approver": "persons/wang"}, bytes.fromhex(signature))


def test_kinds_of_hashes_are_kept_apart() -> None:
    one: dict[str, Any] = {"a": 1}
    hashes = {
        requests.authorization_hash(one),
        requests.registry_hash(one),
        requests.request_fingerprint(one),
        requests.record_hash(one).hex(),
    }
    assert len(hashes) == 4


def test_what_has_no_canonical_form_has_no_hash() -> None:
    with pytest.raises(canonical.CanonicalError):
        requests.authorization_hash({"hits": 1.5})

"""Counted refusals: all of them reach the ledger, in entries that it takes."""

from typing import Any, cast

import pytest

from infra.proof import canonical
from query_service.audit import Audit
from query_service.errors import AuditUnavailableError
from query_service.interceptors.refusals import Refusals

ENTRY_BYTES_MAX = 60_000


class Ledger:
    """Takes entries of its size, and as many as `left`."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.found: list[dict[str, Any]] = []

    def append(self, kind: str, actor: str, **members: Any) -> int:
        payload = {"kind": kind, "time": "2026-11-25T00:00:00.000000Z", "actor": actor, **members}
        if not self.left or len(canonical.encode(payload)) > ENTRY_BYTES_MAX:
            raise AuditUnavailableError
        self.left -= 1
        self.found += members["counts"]
        return 0


@pytest.mark.parametrize("character", ["a", "\x01", "é"])
def test_a_thousand_long_ones(character: str) -> None:
    """And where the ledger goes away in between, the rest is told later, and nothing twice."""
    ledger = Ledger(1)
    refusals = Refusals(cast(Audit, ledger), 10)
    for number in range(1000):
        for _ in range(2):
            refusals._count("CreateAuthorization", "TOKEN_REPLAYED", f"{number}/{character * 120}")
    refusals.summary(at_end=True)
    assert 0 < len(ledger.found) < 1000
    ledger.left = 1000
    refusals.summary(at_end=True)
    assert len({one["caller"] for one in ledger.found}) == len(ledger.found) == 1000
    assert {one["count"] for one in ledger.found} == {2}

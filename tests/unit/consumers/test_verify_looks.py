"""A finding is what two looks see: a loader at work must not be accused, and a real gap must not be forgiven."""

from collections import defaultdict
from typing import Any

import pytest

from consumers import verify
from consumers.verify import Report
from infra.platform.clock import SystemClock
from infra.platform.settings import Settings

GAP = {"kind": "MISSING", "topic": "liucun.envelope", "partition": 1, "first": 7, "count": 1}
ON_ITS_WAY = {"kind": "EXTRA", "topic": "liucun.coverage", "partition": 1, "first": 0, "count": 1}


def _looks(monkeypatch: pytest.MonkeyPatch, *looks: list[dict[str, Any]]) -> dict[str, Any]:
    left = list(looks)

    def look(*_: object) -> Report:
        found = left.pop(0)
        return Report(list(found), defaultdict(int, findings=len(found)))

    monkeypatch.setattr(verify, "_look", look)
    monkeypatch.setattr(verify, "LOOKS_SECONDS", 0)
    report = verify.verify(Settings(), SystemClock())
    assert left == []
    return report


def test_nothing_found_needs_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _looks(monkeypatch, [])["ok"]


def test_what_is_on_its_way_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ON_ITS_WAY | {"partition": 2}
    report = _looks(monkeypatch, [ON_ITS_WAY], [other])
    assert (report["ok"], report["findings"], report["counts"]["findings"]) == (True, [], 0)


def test_what_both_looks_see_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    report = _looks(monkeypatch, [ON_ITS_WAY, GAP], [GAP])
    assert (report["ok"], report["findings"], report["counts"]["findings"]) == (False, [GAP], 1)

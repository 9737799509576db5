"""Segments that somebody altered who has the key that lies beside them: none is given, and no page goes round in a ring."""

from collections.abc import Callable
from pathlib import Path

import pytest
from liucun.lookup.v1 import lookup_pb2

from query_service.segments import Segments, _group, _what
from query_service.vault import MAGIC, Vault
from tests import desk as kit
from tests.desk import OFFICER
from tests.places import Place, ask, reason

Records = list[lookup_pb2.Record]


def other_sender(records: Records) -> Records:
    """Somebody else's mail."""
    for one in records:
        one.envelope.sender = "framed@example.org"
    return records


def other_number(records: Records) -> Records:
    """The number is not under the root, but the leaf says it."""
    records[3].record_number = 99
    return records


def other_order(records: Records) -> Records:
    """The same records."""
    return [records[1], records[0], *records[2:]]


ALTERED: list[Callable[[Records], Records]] = [
    other_sender, other_number, other_order, lambda found: found[:-1], lambda found: found + found[:1],
    lambda _found: [],
]  # fmt: skip


@pytest.mark.parametrize("restarted", [False, True])
def test_a_segment_sealed_again_is_not_given(tmp_path: Path, restarted: bool) -> None:
    place = Place(tmp_path)
    with place.running() as desk:
        place.world.enrol(desk, place.world.agency())
        one = kit.approved(desk)
        with desk.client(OFFICER) as officer:
            lookup = ask(officer, one)
            good = list(officer.records(lookup.name))
            if not restarted:
                attempts(place, lookup, good, lambda: list(officer.records(lookup.name)))
                attempts(place, lookup, good, lambda: list(officer.stream(lookup.name)))
    if restarted:
        with place.running() as desk, desk.client(OFFICER) as officer:
            attempts(place, lookup, good, lambda: list(officer.records(lookup.name)))
            Segments(tmp_path / "query").write(lookup.name, 0, lookup.segments[0].root, good)
            assert list(officer.records(lookup.name)) == good


def attempts(place: Place, lookup: lookup_pb2.Lookup, good: Records, read: Callable[[], object]) -> None:
    """Each alteration in turn."""
    root, state = lookup.segments[0].root, place.folder / "query"
    path = state / "segments" / _group(lookup.name) / "0"
    as_it_was = path.read_bytes()
    for alter in ALTERED:
        records = [lookup_pb2.Record.FromString(one.SerializeToString()) for one in good]
        Segments(state).write(lookup.name, 0, root, alter(records))
        assert reason(read) == "FAULT"
    for plain in (b"\0\0\0", b"\0\0\0\2x", b"\0\0\0\1\xff" * len(good), b"\0\0\0\0" * len(good)):
        Vault(state / "segments").write(_group(lookup.name), "0", plain, _what(lookup.name, 0, root))
        assert reason(read) == "FAULT"
    for sealed in (b"X" + as_it_was[1:], as_it_was[: len(MAGIC)], as_it_was[:40], b""):
        path.write_bytes(sealed)
        assert reason(read) == "FAULT"
    path.write_bytes(as_it_was)
    read()


def test_a_page_without_records_where_there_are_more_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the same token without end."""
    place = Place(tmp_path)
    with place.running() as desk:
        place.world.enrol(desk, place.world.agency())
        one = kit.approved(desk)
        with desk.client(OFFICER) as officer:
            lookup = ask(officer, one)
            monkeypatch.setattr(Segments, "read", lambda _self, _lookup, _behind: iter(()))
            assert reason(lambda: list(officer.records(lookup.name))) == "FAULT"

"""Which new version of a schema may follow an old one."""

from copy import deepcopy
from typing import Any

import pytest

from infra.ops import check, migrate
from schemas import avro
from schemas.avro import RegisteredSchema

MICROS = {"type": "long", "logicalType": "timestamp-micros"}
OLD: dict[str, Any] = {
    "type": "record",
    "name": "Thing",
    "fields": [
        {"name": "key", "type": {"type": "fixed", "name": "Key", "size": 16}},
        {"name": "at", "type": MICROS},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
        {"name": "maybe", "type": ["null", MICROS]},
        {"name": "parent", "type": ["null", "Key"], "default": None},
        {"name": "count", "type": "int"},
        {"name": "list", "type": {"type": "array", "items": "string"}},
    ],
}


def changed(**types: Any) -> dict[str, Any]:
    """The old schema with other types for some fields."""
    new = deepcopy(OLD)
    for field in new["fields"]:
        if field["name"] in types:
            field["type"] = types[field["name"]]
    return new


def with_fields(*fields: dict[str, Any], at: int = 7) -> dict[str, Any]:
    """The old schema with more fields."""
    new = deepcopy(OLD)
    new["fields"][at:at] = fields
    return new


def without(name: str) -> dict[str, Any]:
    """The old schema with one field less."""
    new = deepcopy(OLD)
    new["fields"] = [field for field in new["fields"] if field["name"] != name]
    return new


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        with_fields({"name": "more", "type": ["null", "string"], "default": None}),
        with_fields({"name": "more", "type": "int", "default": 0}, at=2),
        without("parent"),
        changed(kind={"type": "enum", "name": "Kind", "symbols": ["A", "B", "C"]}),
        changed(at=MICROS | {"doc": "explained"}),
    ],
    ids=["same", "new with default", "new in the middle", "gone with default", "symbol added", "explained"],
)
def test_allowed(new: dict[str, Any]) -> None:
    assert check.unreadable(OLD, new) == []


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (with_fields({"name": "more", "type": ["null", "string"]}), "more is new and has no default"),
        (without("count"), "count is gone and had no default"),
        (changed(at={"type": "long", "logicalType": "timestamp-millis"}), "at was"),
        (changed(at="long"), "at was"),
        (changed(maybe=["null", {"type": "long", "logicalType": "timestamp-millis"}]), "maybe was"),
        (changed(count="long"), "count was int and is long"),
        (changed(count=["null", "int"]), "count was"),
        (changed(maybe=[MICROS, "null"]), "maybe was"),
        (changed(key={"type": "fixed", "name": "Key", "size": 32}), "key was"),
        (changed(key={"type": "fixed", "name": "IpAddress", "size": 16}), "key was"),
        (changed(kind={"type": "enum", "name": "Kind", "symbols": ["A"]}), "kind lost"),
        (changed(kind={"type": "enum", "name": "Kind", "symbols": ["B", "A"]}), "kind lost"),
        (changed(kind={"type": "enum", "name": "Kind", "symbols": ["A", "X", "B"]}), "kind lost"),
        (changed(kind="string"), "kind was"),
        (changed(list={"type": "array", "items": "bytes"}), "list was"),
    ],
)
def test_refused(new: dict[str, Any], told: str) -> None:
    assert any(text.startswith(told) for text in check.unreadable(OLD, new)), check.unreadable(OLD, new)


def test_named_types_are_compared_by_what_they_are() -> None:
    """Where a named type is written out first does not matter; that the reference means another one does."""
    moved = deepcopy(OLD)
    moved["fields"].insert(0, {"name": "first", "type": {"type": "fixed", "name": "Key", "size": 16}, "default": "0"})
    moved["fields"][1]["type"] = "Key"
    assert check.unreadable(OLD, moved) == []
    other = changed(key={"type": "fixed", "name": "Key", "size": 8})
    assert {text.partition(" ")[0] for text in check.unreadable(OLD, other)} == {"key", "parent"}


def _second(monkeypatch: pytest.MonkeyPatch, document: dict[str, Any]) -> list[str]:
    real = dict(avro.registry())
    second = RegisteredSchema(99, real[1].subject, 2, document, {})
    monkeypatch.setattr(avro, "registry", lambda: real | {99: second})
    return check.problems()


def test_second_version_of_the_envelope(monkeypatch: pytest.MonkeyPatch) -> None:
    document = deepcopy(avro.registry()[1].document)
    document["fields"].append({"name": "more", "type": ["null", "string"], "default": None})
    assert _second(monkeypatch, document) == []


def test_second_version_with_another_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    document = deepcopy(avro.registry()[1].document)
    document["fields"][1]["type"]["logicalType"] = "timestamp-millis"
    (found,) = _second(monkeypatch, document)
    assert found.startswith("liucun.envelope-value version 2 against 1: event_time was")


def test_second_version_that_hides_its_first_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    document = deepcopy(avro.registry()[1].document)
    document["fields"].insert(0, {"name": "more", "type": "int", "default": 0})
    assert _second(monkeypatch, document) == [
        "liucun.envelope-value version 2 does not begin with record_id and event_time."
    ]


def test_registry_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ValueError("no JSON")

    monkeypatch.setattr(avro, "registry", broken)
    assert check.problems() == ["The registry cannot be read: ValueError: no JSON."]


def test_table_that_differs_from_its_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    text = migrate.files.read_text

    def millis(folder: str, name: str) -> str:
        return text(folder, name).replace("event_time DateTime64(6, 'UTC')", "event_time DateTime64(3, 'UTC')")

    monkeypatch.setattr(migrate.files, "read_text", millis)
    (found,) = check.problems()
    assert found.startswith(
        "Table envelope and its Avro schema differ: at place 7, ('event_time', \"DateTime64(3, 'UTC')\")"
    )

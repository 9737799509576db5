"""One record in four forms: the TypedDict, the Avro schema, the ClickHouse table, the JSON form."""

import re
from typing import Any, get_args, get_type_hints

import pytest

from infra.ops import check
from schemas import avro, columns, envelope
from schemas.envelope import Envelope

FIELDS: list[dict[str, Any]] = avro.schema(avro.ENVELOPE_V1).document["fields"]
HINTS = get_type_hints(Envelope)
TABLE = check.tables()["envelope"]
COLUMNS = dict(TABLE.columns)
PYTHON = {"string": str, "int": int, "long": int, "boolean": bool, "bytes": bytes}
# What a record could hold if it held content (Order 38, Articles 3 and 26), as parts of a name.
CONTENT = {"subject", "body", "content", "attachment", "text", "reply", "snippet", "preview", "header", "headers", "raw",
           "payload", "response", "message", "comment", "filename", "mime", "password", "greeting"}  # fmt: skip
NOT_CONTENT = {"message_key", "parent_message_key", "message_id"}


def _branches(kind: Any) -> list[Any]:
    return kind if isinstance(kind, list) else [kind]


def _base(kind: Any) -> Any:
    """An Avro type without null."""
    (base,) = [branch for branch in _branches(kind) if branch != "null"]
    return base


def _named() -> dict[str, Any]:
    found = {}
    for field in FIELDS:
        base = _base(field["type"])
        if isinstance(base, dict) and "name" in base:
            found[base["name"]] = base
    return found


def _enums() -> dict[str, list[str]]:
    found = {field["name"]: _base(field["type"]) for field in FIELDS}
    return {
        name: base["symbols"] for name, base in found.items() if isinstance(base, dict) and base.get("type") == "enum"
    }


def test_names_and_order_are_the_same() -> None:
    assert [field["name"] for field in FIELDS] == list(envelope.FIELDS)
    prefix = [name for name, _, _ in columns.PREFIX]
    assert list(COLUMNS) == [*prefix, *envelope.FIELDS, columns.FENCE, "fence_ok"]
    assert TABLE.ephemeral == {columns.FENCE}


def test_record_id_and_event_time_come_first_for_ever() -> None:
    """A loader peeks at both: bytes 0 to 15, then one varint."""
    assert [(field["name"], field["type"]) for field in FIELDS[:2]] == [
        ("record_id", {"type": "fixed", "name": "RecordId", "size": 16}),
        ("event_time", {"type": "long", "logicalType": "timestamp-micros"}),
    ]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field["name"])
def test_nullable_everywhere_or_nowhere(field: dict[str, Any]) -> None:
    nullable = "null" in _branches(field["type"])
    assert nullable == (type(None) in get_args(HINTS[field["name"]]))
    assert nullable == COLUMNS[field["name"]].startswith("Nullable(")
    if nullable:
        assert field["type"][0] == "null"
        assert len(field["type"]) == 2


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field["name"])
def test_types_mean_the_same(field: dict[str, Any]) -> None:
    name, base = field["name"], _base(field["type"])
    base = _named().get(base, base) if isinstance(base, str) else base
    column = COLUMNS[name].removeprefix("Nullable(")
    parts = get_args(HINTS[name])
    hint = next(part for part in parts if part is not type(None)) if type(None) in parts else HINTS[name]
    if isinstance(base, str):
        assert hint is PYTHON[base]
        assert column.rstrip(")") == {"string": "String", "int": "Int32", "long": "Int64", "boolean": "Bool"}[base]
    elif base.get("logicalType") == "timestamp-micros":
        assert hint is int
        assert column.startswith("DateTime64(6, 'UTC')")  # another scale would read wrong times without an error
    elif base["type"] == "fixed":
        assert hint is bytes
        assert base["size"] == 16
        assert column.rstrip(")") == ("IPv6" if name in envelope.IP_FIELDS else "FixedString(16")
    elif base["type"] == "array":
        assert (HINTS[name], column) == (list[str], "Array(String)")
    else:
        assert base["type"] == "enum"


def test_ips_times_and_keys_are_listed_where_json_needs_them() -> None:
    """What json_object renders is what the schema types so."""
    kinds = {field["name"]: _base(field["type"]) for field in FIELDS}
    kinds = {
        name: _named()[kind] if isinstance(kind, str) and kind in _named() else kind for name, kind in kinds.items()
    }
    typed = {name: kind for name, kind in kinds.items() if isinstance(kind, dict)}
    ips = {name for name, kind in typed.items() if kind.get("name") == "IpAddress"}
    assert {name for name, kind in typed.items() if kind.get("logicalType")} == set(envelope.TIME_FIELDS)
    assert ips == set(envelope.IP_FIELDS) == {name for name, kind in COLUMNS.items() if "IPv6" in kind}
    assert {name for name, kind in typed.items() if kind["type"] == "fixed"} - ips == set(envelope.KEY_FIELDS)


@pytest.mark.parametrize(("name", "symbols"), _enums().items(), ids=list(_enums()))
def test_enums_have_the_same_symbols_in_the_same_order(name: str, symbols: list[str]) -> None:
    assert list(get_args(HINTS[name])) == symbols
    numbered = re.findall(r"'(\w+)' = (-?\d+)", COLUMNS[name])
    assert [symbol for symbol, _ in numbered] == symbols
    assert [int(number) for _, number in numbered] == list(range(len(symbols)))
    assert COLUMNS[name].startswith("Enum8(")


def test_there_are_enums_to_compare() -> None:
    assert set(_enums()) == {
        "time_quality", "mta", "event", "kind", "direction", "sender_ip_origin", "recipient_ip_origin", "outcome",
    }  # fmt: skip


def _content_like(names: list[str]) -> list[str]:
    return [name for name in names if name not in NOT_CONTENT and CONTENT & set(name.lower().split("_"))]


def test_no_field_can_hold_content() -> None:
    assert _content_like(["reply_text", "mail_subject", "smtp_response"]) == [
        "reply_text",
        "mail_subject",
        "smtp_response",
    ]
    assert _content_like(list(envelope.FIELDS)) == []
    assert _content_like(list(COLUMNS)) == []


def test_tables_without_addresses_have_none() -> None:
    """Coverage, batch and retention outlive the sixty days: nothing in them may name a person or a host of one."""
    personal = {"sender", "recipient", "mailbox", "address", "addresses", "ip", "user", "email", "domain", "helo"}
    for name, table in check.tables().items():
        if name != "envelope":
            words = {
                word for column, kind in table.columns for word in re.findall(r"[a-z]+", f"{column} {kind}".lower())
            }
            assert not words & personal, name


def test_every_field_of_every_schema_is_explained() -> None:
    for entry in avro.registry().values():
        for field in entry.document["fields"]:
            assert field.get("doc", "").strip().endswith("."), f"{entry.subject}: {field['name']}"


def test_the_companion_table_follows_its_schema() -> None:
    stored = columns.stored_fields(avro.schema(avro.COVERAGE_V1).document)
    prefix = [(name, kind) for name, _, kind in columns.PREFIX]
    assert check.tables()["coverage"].columns == [*prefix, *stored, (columns.FENCE, "Int64"), ("fence_ok", "Bool")]


def test_the_fence_is_checked_by_the_store() -> None:
    """A payload one byte short, or holding two records, shifts the offset behind it."""
    from schemas import files

    for name in ("0001_envelope.sql", "0002_coverage_batch.sql"):
        text = files.read_text("clickhouse", name)
        assert text.count("kafka_offset_fence Int64 EPHEMERAL") == 1
        assert text.count("fence_ok Bool DEFAULT kafka_offset = kafka_offset_fence") == 1
        assert text.count("CONSTRAINT fence CHECK fence_ok") == 1

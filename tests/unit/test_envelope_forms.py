"""The two written-down forms of a record against the general ones: fastavro's walk, and json.dumps."""

import json
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import avro, envelope_avro, envelope_json
from schemas.envelope import FIELDS, FLAGS, Envelope, json_object

INT = st.integers(-(2**31), 2**31 - 1)
LONG = st.integers(-(2**63), 2**63 - 1)
TIME = st.integers(0, 7_258_118_400_000_000)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text('ab"\\\x00\u2028é', max_size=1200)
FIXED = st.binary(min_size=16, max_size=16)
LONGS = ("size_bytes", "agent_sequence", "source_offset")


def _values_of(field: str, hint: Any) -> st.SearchStrategy[Any]:
    """Values of one field by its type in the record."""
    optional = type(None) in get_args(hint)
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] if optional else [hint]
    kind = kinds[0]
    if isinstance(kinds[0], str):
        found: st.SearchStrategy[Any] = st.sampled_from(kinds)
    elif kind is bytes:
        found = FIXED
    elif kind is int:
        found = TIME if field.endswith("_time") else LONG if field in LONGS else INT
    elif kind is bool:
        found = st.booleans()
    elif kind is str:
        found = TEXT
    elif field == "flags":
        found = st.lists(st.sampled_from(FLAGS), unique=True)
    else:
        found = st.sampled_from(get_args(kind))
    return st.none() | found if optional else found


RECORDS = st.fixed_dictionaries(
    {field: _values_of(field, hint) for field, hint in get_type_hints(Envelope).items()}
).map(lambda record: {field: record[field] for field in FIELDS})  # in their order: hypothesis has its own


@settings(max_examples=300, deadline=None)
@given(RECORDS)
def test_the_same_bytes_as_fastavro(record: Envelope) -> None:
    assert envelope_avro.encode(record) == avro.encode(avro.ENVELOPE_V1, record)


@settings(max_examples=300, deadline=None)
@given(RECORDS)
def test_the_same_text_as_json_dumps(record: Envelope) -> None:
    assert envelope_json.line(record) == json.dumps(json_object(record), ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("record_id", b"short"),
        ("sender_ip", b"\x7f\x00\x00\x01"),
        ("outcome", "LOST"),
        ("sender", 5),
        ("recipient", b"bytes"),
        ("event_time", None),
        ("size_bytes", 2**63),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(field: str, value: Any) -> None:
    record: Any = _plain() | {field: value}
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        envelope_avro.encode(record)
    with pytest.raises((ValueError, TypeError, OverflowError)):
        avro.encode(avro.ENVELOPE_V1, record)


def _plain() -> dict[str, Any]:
    """A record with nothing that may be absent."""
    enums = {field: get_args(hint) for field, hint in get_type_hints(Envelope).items()}
    record: dict[str, Any] = dict.fromkeys(FIELDS)
    for field, hint in get_type_hints(Envelope).items():
        if type(None) in enums[field]:
            continue
        record[field] = {bytes: bytes(16), int: 0, bool: True, str: ""}.get(hint, enums[field][:1] and enums[field][0])
    record["flags"] = []
    return record

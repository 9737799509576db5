"""How an Avro field stands in ClickHouse: one rule, held by tests against the .sql files, and by the loader.

ClickHouse's Avro reader converts some pairs silently wrong (timestamp-micros into DateTime64(3) gives the year 9999),
so nothing but these pairs is allowed.
"""

from typing import Any, Final

# What the loader puts before and behind each payload (docs/architecture.md: the fenced splice).
PREFIX: Final[tuple[tuple[str, Any, str], ...]] = (
    ("topic_epoch", {"type": "fixed", "name": "SplicedTopicEpoch", "size": 16}, "FixedString(16)"),
    ("schema_id", "int", "Int32"),
    ("kafka_partition", "int", "Int32"),
    ("stored_time", {"type": "long", "logicalType": "timestamp-micros"}, "DateTime64(6, 'UTC')"),
    ("kafka_offset", "long", "Int64"),
)
FENCE: Final = "kafka_offset_fence"

# Avro fields without a column: they prove a coverage record and are loaded, with the day they belong to, elsewhere.
NOT_STORED: Final = frozenset({"previous_hash", "leaf_hashes", "records_root", "key_id", "signature"})

_PLAIN: Final = {"string": "String", "int": "Int32", "long": "Int64", "boolean": "Bool", "bytes": "String"}
_LOGICAL: Final = {"timestamp-micros": "DateTime64(6, 'UTC')", "date": "Date32"}


def stored_fields(schema: dict[str, Any]) -> list[tuple[str, str]]:
    """(field, column type) of every field of an Avro record schema that has a column, in order."""
    named: dict[str, Any] = {}
    return [
        (field["name"], column_type(field["type"], named))
        for field in schema["fields"]
        if field["name"] not in NOT_STORED
    ]


def column_type(avro: Any, named: dict[str, Any]) -> str:
    """The column type of an Avro type; `named` collects named types on the way. ValueError when no pair is allowed."""
    if isinstance(avro, list):
        branches = [branch for branch in avro if branch != "null"]
        if len(branches) != 1 or len(avro) != 2:
            raise ValueError(f"a union of {avro} has no column type")
        return f"Nullable({column_type(branches[0], named)})"
    if isinstance(avro, str):
        return _PLAIN[avro] if avro in _PLAIN else column_type(named[avro], named)
    if avro.get("logicalType"):
        return _LOGICAL[avro["logicalType"]]
    if "name" in avro:
        named[avro["name"]] = avro
    return _complex(avro, named)


def _complex(avro: dict[str, Any], named: dict[str, Any]) -> str:
    kind = avro["type"]
    if kind == "fixed":
        return "IPv6" if avro["name"] == "IpAddress" else f"FixedString({avro['size']})"
    if kind == "enum":
        return "Enum8(" + ", ".join(f"'{symbol}' = {at}" for at, symbol in enumerate(avro["symbols"])) + ")"
    if kind == "array":
        return f"Array({column_type(avro['items'], named)})"
    if kind == "map":
        return f"Map(String, {column_type(avro['values'], named)})"
    if kind == "record":
        parts = (f"{field['name']} {column_type(field['type'], named)}" for field in avro["fields"])
        return f"Tuple({', '.join(parts)})"
    return _PLAIN[kind]

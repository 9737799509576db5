"""Avro schemas by id, and Confluent wire framing: a zero byte, the schema id (4 bytes, big-endian), the payload.

The registry is a directory of committed files: ids are fixed in `avro/registry.json`, so every reader
and writer of one version of this repository agrees without a server.
"""

import json
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any, Final

import fastavro
from fastavro.types import Schema

from schemas import files

FRAME_BYTES: Final = 5
_MAGIC: Final = b"\x00"

ENVELOPE_V1: Final = 1
COVERAGE_V1: Final = 2
DEAD_LETTER_V1: Final = 3
AGENT_POSITION_V1: Final = 4
OUTBOX_FRAME_V1: Final = 5


class NotFramedError(ValueError):
    """The bytes do not start with a Confluent frame."""


class UnknownSchemaError(LookupError):
    """No file of the registry has this schema id."""


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """One entry of the registry: id, subject (`<topic>-value` for a topic), the schema as JSON and as parsed."""

    schema_id: int
    subject: str
    version: int
    document: dict[str, Any]
    parsed: Schema


@cache
def registry() -> dict[int, RegisteredSchema]:
    """All registered schemas by id."""
    entries: dict[str, dict[str, Any]] = json.loads(files.read_text("avro", "registry.json"))
    out = {}
    for text_id, entry in entries.items():
        document = json.loads(files.read_text("avro", entry["file"]))
        out[int(text_id)] = RegisteredSchema(
            schema_id=int(text_id),
            subject=entry["subject"],
            version=entry["version"],
            document=document,
            parsed=fastavro.parse_schema(json.loads(json.dumps(document))),
        )
    return out


def schema(schema_id: int) -> RegisteredSchema:
    """The registered schema of this id; UnknownSchemaError when there is none."""
    try:
        return registry()[schema_id]
    except KeyError:
        raise UnknownSchemaError(f"schema id {schema_id} is not in schemas/avro/registry.json") from None


def encode(schema_id: int, record: Any) -> bytes:
    """One record as framed Avro. ValueError or TypeError when it does not fit the schema."""
    out = BytesIO()
    out.write(_MAGIC + schema_id.to_bytes(4, "big"))
    fastavro.schemaless_writer(out, schema(schema_id).parsed, record, strict=True)
    return out.getvalue()


def schema_id_of(message: bytes) -> int:
    """The schema id of a framed message; NotFramedError when it has no frame."""
    if len(message) < FRAME_BYTES or message[:1] != _MAGIC:
        raise NotFramedError("the message does not start with a Confluent frame (00 and four bytes of schema id)")
    return int.from_bytes(message[1:FRAME_BYTES], "big")


def decode(message: bytes) -> tuple[int, dict[str, Any]]:
    """Schema id and record of one framed message.

    Times come back as integers (the logical type is left out), exactly as they were written.
    ValueError when bytes are left over; fastavro's own errors (EOFError, ValueError ...) when they do not suffice.
    """
    schema_id = schema_id_of(message)
    body = BytesIO(message)
    body.seek(FRAME_BYTES)
    record = fastavro.schemaless_reader(body, _plain(schema_id), None)
    left = len(message) - body.tell()
    if left:
        raise ValueError(f"{left} bytes are left after the record")
    assert isinstance(record, dict)
    return schema_id, record


@cache
def _plain(schema_id: int) -> Schema:
    """The schema without logical types: what was written is what is read."""
    return fastavro.parse_schema(_without_logical_types(schema(schema_id).document))


def _without_logical_types(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_logical_types(value) for key, value in node.items() if key != "logicalType"}
    if isinstance(node, list):
        return [_without_logical_types(item) for item in node]
    return node

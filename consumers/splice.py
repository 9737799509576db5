"""Kafka payloads to one Avro block, without decoding: the records of a batch as they were written, each between fences.

    before each payload   topic_epoch, schema_id, kafka_partition, stored_time (constant bytes a batch), kafka_offset
    behind each payload   kafka_offset again

Avro encodes a record's fields one after another without tags, so a longer schema reads the longer bytes. A payload
that is a byte short, or holds two records, shifts what is behind it: the second offset then does not agree with the
first, and the table's constraint refuses the block (schemas/clickhouse/0001_envelope.sql). One file holds one block:
ClickHouse takes a file cut between blocks for a shorter one.
"""

import json
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from typing import Any, Final

from consumers.batch import Message
from schemas import avro, columns
from schemas.varint import varint

_SYNC: Final = sha256(b"liucun splice").digest()[:16]
_BODY: Final = avro.FRAME_BYTES


def file(messages: Sequence[Message], *, topic_epoch: bytes, schema_id: int, partition: int, stored_time: int) -> bytes:
    """An Avro object container file with one block that holds every message, in order. All have this schema id."""
    constant = topic_epoch + varint(schema_id) + varint(partition) + varint(stored_time)
    parts: list[bytes] = []
    for offset, value in messages:
        fence = varint(offset)
        parts += (constant, fence, value[_BODY:], fence)
    block = b"".join(parts)
    return b"".join((_header(schema_id), varint(len(messages)), varint(len(block)), block, _SYNC))


def column_names(schema_id: int) -> list[str]:
    """Columns that the file fills, the fence last."""
    names = [name for name, _, _ in columns.PREFIX]
    return [*names, *(name for name, _ in columns.stored_fields(avro.schema(schema_id).document)), columns.FENCE]


def structure(schema_id: int) -> str:
    """Columns of the file with their types, for a table that is read and not kept."""
    kinds = [(name, kind) for name, _, kind in columns.PREFIX]
    kinds += columns.stored_fields(avro.schema(schema_id).document)
    return ", ".join(f"`{name}` {kind}" for name, kind in [*kinds, (columns.FENCE, "Int64")])


def spliced_schema(schema_id: int) -> dict[str, Any]:
    """The writer's schema of the file: prefix, the record's own fields, fence."""
    document = avro.schema(schema_id).document
    fields: list[dict[str, Any]] = [{"name": name, "type": kind} for name, kind, _ in columns.PREFIX]
    fields += [{"name": field["name"], "type": field["type"]} for field in document["fields"]]
    fields.append({"name": columns.FENCE, "type": "long"})
    return {"type": "record", "name": "Spliced", "namespace": "liucun", "fields": fields}


@cache
def _header(schema_id: int) -> bytes:
    """Magic, metadata map (schema, no compression), sync marker."""
    schema = json.dumps(spliced_schema(schema_id), separators=(",", ":")).encode()
    entries = ((b"avro.schema", schema), (b"avro.codec", b"null"))
    metadata = b"".join(varint(len(part)) + part for entry in entries for part in entry)
    return b"Obj\x01" + varint(len(entries)) + metadata + varint(0) + _SYNC

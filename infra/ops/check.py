"""`schema check`: do the contracts hold together, and may the newest schema of each subject replace the ones before?

Beyond Avro's own rule (every version reads every other): no time unit may change under one name, because ClickHouse
would read wrong times without an error, and a new field needs a default.
"""

from collections import defaultdict
from itertools import permutations
from typing import Any

from infra.ops.migrate import migrations
from schemas import avro, columns
from schemas.avro import RegisteredSchema


def problems() -> list[str]:
    """What is wrong, in sentences; empty when all is well."""
    by_subject: dict[str, list[RegisteredSchema]] = defaultdict(list)
    for registered in avro.registry().values():
        by_subject[registered.subject].append(registered)
    found = []
    for subject, versions in by_subject.items():
        for reader, writer in permutations(versions, 2):
            found += [f"{subject}: {text}" for text in unreadable(reader.document, writer.document)]
    for stored in (avro.ENVELOPE_V1, avro.COVERAGE_V1):
        try:
            columns.stored_fields(avro.schema(stored).document)
        except (ValueError, KeyError) as error:
            found.append(f"schema {stored} has a field without a column type: {error}")
    migrations()
    return found


def unreadable(reader: dict[str, Any], writer: dict[str, Any]) -> list[str]:
    """Why records of `writer` cannot be read with `reader`: two record schemas of one name."""
    written = {field["name"]: field["type"] for field in writer["fields"]}
    found = []
    for field in reader["fields"]:
        name = field["name"]
        if name not in written:
            if "default" not in field:
                found.append(f"{name} is new and has no default")
        elif _shape(field["type"]) != _shape(written[name]):
            found.append(f"{name} was {_shape(written[name])} and is {_shape(field['type'])}")
    return found


def _shape(kind: Any) -> Any:
    """A type without its documentation; enum symbols may be added at the end, which readers take care of."""
    if isinstance(kind, list):
        return [_shape(branch) for branch in kind]
    if isinstance(kind, dict):
        if kind.get("type") == "enum":
            return ("enum", kind["name"])
        return {key: _shape(value) for key, value in kind.items() if key not in ("doc", "name", "namespace")}
    return kind

"""`schema check`: do the contracts hold together, and may the newest schema of each subject replace the ones before?

1. Every registered schema parses; each topic has a subject.
2. Every version of a subject reads every other one, both ways. Stricter than Avro's own rule, because payloads are
   spliced into the store undecoded: a type never changes, not even to a wider one; a time unit never changes under one
   name (the store would read wrong times without an error); fields come and go only with a default; enum symbols are
   only ever added behind the others.
3. `record_id` and `event_time` stay the first two fields of an envelope, where loaders peek.
4. The record type in envelope.py, the Avro schema and the columns of the .sql files are one list, in one order.
5. The .sql files keep the rules of migrate.py, and only create what may be there already (IF NOT EXISTS).
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from infra.ops import migrate, sql
from infra.ops.errors import MigrationError
from infra.ops.sql import Table
from schemas import avro, columns, envelope, topics
from schemas.avro import RegisteredSchema

PEEKED = ["record_id", "event_time"]
STORED = {"envelope": avro.ENVELOPE_V1, "coverage": avro.COVERAGE_V1}


def problems() -> list[str]:
    """What is wrong, in sentences; empty when all is well."""
    try:
        registered = list(avro.registry().values())
    except Exception as error:  # fastavro, json and the file system each have their own; one cannot be shown as another
        return [f"The registry cannot be read: {type(error).__name__}: {error}."]
    return [*_versions(registered), *_record(), *_tables()]


def tables() -> dict[str, Table]:
    """The tables that the .sql files make, by name. MigrationError when a file cannot be read or does anything else."""
    found = {}
    for migration in migrate.migrations():
        for statement in sql.statements(migration.text, migration.name):
            table = sql.table(statement)
            if table is None:
                raise MigrationError(
                    f"{migration.name} has a statement that is not CREATE TABLE IF NOT EXISTS.",
                    "Teach infra/ops/check.py what it does to the columns.",
                )
            found[table.name] = table
    return found


def unreadable(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Why `new` may not follow `old`, or be rolled back to it: two record schemas of one subject."""
    before, after = _fields(old), _fields(new)
    found = [f"{name} is new and has no default" for name in after.keys() - before.keys() if not after[name][1]]
    found += [f"{name} is gone and had no default" for name in before.keys() - after.keys() if not before[name][1]]
    for name in (name for name in before if name in after):
        found += _changed(name, before[name][0], after[name][0])
    return sorted(found)


def _versions(registered: list[RegisteredSchema]) -> Iterator[str]:
    """1 to 3."""
    by_subject: dict[str, list[RegisteredSchema]] = defaultdict(list)
    for entry in registered:
        by_subject[entry.subject].append(entry)
    for topic in topics.all_topics():
        if f"{topic.name}-value" not in by_subject:
            yield f"Topic {topic.name} has no subject {topic.name}-value."
    for subject, versions in by_subject.items():
        versions.sort(key=lambda entry: entry.version)
        if [entry.version for entry in versions] != list(range(1, len(versions) + 1)):
            yield f"{subject}: its versions are not 1, 2, 3 ..."
        for old, new in combinations(versions, 2):
            for text in unreadable(old.document, new.document):
                yield f"{subject} version {new.version} against {old.version}: {text}."
    for entry in by_subject[f"{topics.ENVELOPE.name}-value"]:
        if [field["name"] for field in entry.document["fields"][:2]] != PEEKED:
            yield f"{entry.subject} version {entry.version} does not begin with {' and '.join(PEEKED)}."


def _record() -> Iterator[str]:
    """4, first half."""
    names = tuple(field["name"] for field in avro.schema(avro.ENVELOPE_V1).document["fields"])
    if names != envelope.FIELDS:
        yield f"schemas/envelope.py and envelope.v1.avsc differ: {_difference(envelope.FIELDS, names)}."


def _tables() -> Iterator[str]:
    """4, second half, and 5."""
    try:
        made = tables()
    except MigrationError as error:
        yield str(error)
        return
    prefix = [(name, kind) for name, _, kind in columns.PREFIX]
    for name, schema_id in STORED.items():
        try:
            stored = columns.stored_fields(avro.schema(schema_id).document)
        except (ValueError, KeyError) as error:
            yield f"A field of the schema of {name} has no column type: {error}."
            continue
        wanted = [*prefix, *stored, (columns.FENCE, "Int64"), ("fence_ok", "Bool")]
        if name not in made:
            yield f"No .sql file makes table {name}."
        elif made[name].columns != wanted:
            yield f"Table {name} and its Avro schema differ: {_difference(made[name].columns, wanted)}."


def _difference(ours: Any, theirs: Any) -> str:
    """The first place where two lists part."""
    for at, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            return f"at place {at + 1}, {one} and {other}"
    return f"{len(ours)} and {len(theirs)} entries"


def _changed(name: str, old: Any, new: Any) -> Iterator[str]:
    """How a type changed in a way that is not allowed."""
    if isinstance(old, tuple) and isinstance(new, tuple) and old[:2] == new[:2] and old[0] == "enum":
        if new[2][: len(old[2])] != old[2]:
            yield f"{name} lost, renamed or moved symbols"
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for one, other in zip(old, new, strict=True):
            yield from _changed(name, one, other)
    elif old != new:
        yield f"{name} was {old} and is {new}"


def _fields(record: dict[str, Any]) -> dict[str, tuple[Any, bool]]:
    """Field -> (type without documentation, has a default), named types written out wherever they are used."""
    named: dict[str, Any] = {}
    return {field["name"]: (_shape(field["type"], named), "default" in field) for field in record["fields"]}


def _shape(kind: Any, named: dict[str, Any]) -> Any:
    if isinstance(kind, list):
        return [_shape(branch, named) for branch in kind]
    if isinstance(kind, str):
        return named.get(kind, kind)
    shape: Any
    match kind["type"]:
        case "enum":
            shape = ("enum", kind["name"], list(kind["symbols"]))
        case "fixed":
            shape = ("fixed", kind["name"], kind["size"])
        case "record":
            shape = ("record", kind["name"], [(f["name"], _shape(f["type"], named)) for f in kind["fields"]])
        case "array":
            shape = ("array", _shape(kind["items"], named))
        case "map":
            shape = ("map", _shape(kind["values"], named))
        case plain:
            shape = (plain, kind["logicalType"]) if "logicalType" in kind else plain
    if "name" in kind:
        named[kind["name"]] = shape
    return shape

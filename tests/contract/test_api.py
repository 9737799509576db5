"""The API: one record in protobuf and everywhere else, stubs that are current, methods that somebody may call."""

import filecmp
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from grpc_tools import protoc
from liucun.authorization.v1 import authorization_pb2, scope_pb2
from liucun.lookup.v1 import envelope_pb2, lookup_pb2
from liucun.registry.v1 import registry_pb2

from infra.proof.genesis import ROLES
from query_service import policy, reasons, store
from query_service.interceptors.authenticate import ACTS
from query_service.interceptors.authorise import ALLOWED
from query_service.interface import SERVICES
from query_service.records import document_of, document_of_row, message_of
from schemas import envelope, field_groups
from schemas.envelope import Envelope
from tests.contract.test_size import REPOSITORY
from tests.pipeline import envelope_values

PROTO = REPOSITORY / "schemas" / "proto"
GEN = REPOSITORY / "schemas" / "gen"
FIELDS = {field.name: field for field in envelope_pb2.Envelope.DESCRIPTOR.fields}
HINTS = get_type_hints(Envelope)


def test_names_order_and_numbers_are_those_of_the_record() -> None:
    assert list(FIELDS) == list(envelope.FIELDS)
    assert [field.number for field in FIELDS.values()] == list(range(1, len(FIELDS) + 1))


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_can_be_absent_where_it_is_nullable_or_can_be_withheld(name: str) -> None:
    field = FIELDS[name]
    nullable = type(None) in get_args(HINTS[name])
    withheld = name not in field_groups.CORE
    if nullable or withheld or name in envelope.TIME_FIELDS:
        assert field.has_presence
    else:
        assert not field.has_presence


@pytest.mark.parametrize("name", FIELDS)
def test_types_mean_the_same(name: str) -> None:
    field = FIELDS[name]
    parts = [part for part in get_args(HINTS[name]) if part is not type(None)]
    hint = parts[0] if type(None) in get_args(HINTS[name]) else HINTS[name]
    if name in envelope.TIME_FIELDS:
        assert field.message_type.full_name == "google.protobuf.Timestamp"
    elif name in (*envelope.IP_FIELDS, *envelope.KEY_FIELDS):
        assert field.type == field.TYPE_STRING, "as in JSON: what an officer sees is what is hashed"
    elif field.enum_type is not None:
        prefix = f"{name.upper()}_"
        values = [value.name for value in field.enum_type.values]
        assert values == [f"{prefix}UNSPECIFIED", *(prefix + symbol for symbol in get_args(HINTS[name]))]
    else:
        kinds = {str: field.TYPE_STRING, bool: field.TYPE_BOOL, list[str]: field.TYPE_STRING}
        wanted = kinds.get(hint)
        assert field.type == wanted if wanted else field.type in (field.TYPE_INT32, field.TYPE_INT64)
        assert field.is_repeated == (hint == list[str])


def test_groups_share_out_all_fields_once() -> None:
    names = [name for group in field_groups.GROUPS.values() for name in group]
    assert sorted(names) == sorted(envelope.FIELDS)
    groups = [value.name.removeprefix("FIELD_GROUP_") for value in scope_pb2.FieldGroup.DESCRIPTOR.values]
    assert groups[1:] == list(field_groups.GROUPS)


@pytest.mark.parametrize("groups", [["CORE"], ["CORE", "SENDER_SIDE"], list(field_groups.GROUPS)])
def test_a_record_says_the_same_in_json_and_protobuf(groups: list[str]) -> None:
    """Whoever has the message can make the JSON form that is hashed."""
    from ipaddress import IPv6Address

    values: dict[str, Any] = envelope_values()
    fields = field_groups.fields_of(groups)
    row = [
        IPv6Address(values[name]) if name in envelope.IP_FIELDS and values[name] else values[name] for name in fields
    ]
    document = document_of_row(fields, row)
    whole = envelope.json_object(values)  # type: ignore[arg-type]
    assert document == {name: whole[name] for name in fields}
    again = lookup_pb2.Record.FromString(message_of(7, document).SerializeToString())
    assert document_of(again, groups) == document


def test_stubs_are_current(tmp_path: Path) -> None:
    """`make gen` writes them anew."""
    shutil.copytree(PROTO / "liucun", tmp_path / "proto" / "liucun")
    (tmp_path / "gen").mkdir()
    names = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    include = str(Path(protoc.__file__).parent / "_proto")
    outputs = [f"--{kind}_out={tmp_path / 'gen'}" for kind in ("python", "pyi", "grpc_python")]
    assert protoc.main(["protoc", f"-I{PROTO}", f"-I{include}", *outputs, *names]) == 0
    made = {path.relative_to(tmp_path / "gen") for path in (tmp_path / "gen").rglob("*.py*")}
    there = {path.relative_to(GEN) for path in GEN.rglob("*.py*") if "__pycache__" not in path.parts}
    assert made == there
    different = [name for name in made if not filecmp.cmp(tmp_path / "gen" / name, GEN / name, shallow=False)]
    assert different == []


@pytest.mark.parametrize(
    "words", [["lint"], ["format", "-d", "--exit-code"], ["breaking", "--against", "released.binpb"]]
)
def test_buf_is_content(words: list[str]) -> None:
    tool = Path(sys.executable).with_name("buf")
    done = subprocess.run([str(tool), *words], cwd=PROTO, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_every_method_has_its_callers_and_every_act_a_token_of_its_own() -> None:
    methods = {method.name for service in SERVICES for method in service.methods}
    assert methods == set(ALLOWED) - {"ServerReflectionInfo"}
    acting = {name for name in methods if not name.startswith(("Get", "List", "Stream"))}
    assert acting == ACTS


def test_words_are_the_same_in_all_tables() -> None:
    def words(enum: Any, prefix: str) -> set[str]:
        return {value.name.removeprefix(prefix) for value in enum.DESCRIPTOR.values if value.number}

    kinds = words(scope_pb2.Selector.Kind, "KIND_")
    assert kinds == set(store._MATCH)
    assert words(registry_pb2.Role, "ROLE_") == {role.upper() for role in ROLES}
    classes, types = words(registry_pb2.AgencyClass, "AGENCY_CLASS_"), words(authorization_pb2.LegalType, "LEGAL_TYPE_")
    for row in policy.matrix().rows:
        assert row.agency_class in classes | {"*"}
        assert row.legal_type in types
        assert row.selectors <= kinds
        assert row.field_groups <= set(field_groups.GROUPS)
    assert {row.agency_class for row in policy.matrix().rows} == classes | {"*"}, "every class has a default"


def test_reasons_are_wellformed_and_used() -> None:
    """AIP-193; each reason is raised somewhere, and nothing else is."""
    sources = "".join(path.read_text() for path in (REPOSITORY / "query_service").rglob("*.py"))
    used = set(re.findall(r'(?:DeskError\(|__init__\(|return |reason = )"([A-Z_]{4,})"', sources))
    for name, entry in reasons.REASONS.items():
        assert re.fullmatch(r"[A-Z][A-Z_]{1,62}", name)
        assert entry.meaning.endswith(".")
        assert entry.advice.endswith(".")
        assert name in used, f"{name} is never raised"

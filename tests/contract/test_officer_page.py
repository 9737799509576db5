"""docs/officer.md is what the commands take: its paper can be entered, its commands exist, its call is well-formed."""

import json
import re
import shlex

import click
from google.protobuf.json_format import ParseDict
from liucun.authorization.v1 import authorization_pb2
from liucun.lookup.v1 import lookup_pb2

from infra.cli import liucun
from query_service import documents, policy
from query_service.interceptors.authorise import ALLOWED
from query_service.plain import from_plain
from tests.contract.test_size import REPOSITORY

PAGE = (REPOSITORY / "docs" / "officer.md").read_text(encoding="utf-8")
FAR = 2_000_000_000_000_000  # the example's times have passed by then


def test_the_paper_can_be_entered() -> None:
    (text,) = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    message = authorization_pb2.Authorization()
    from_plain(json.loads(text), message)
    message.document.sha256 = "ab" * 32
    document = documents.document_of(
        message, name="agencies/gongan/authorizations/x", requester="persons/li", policy_version="1"
    )
    assert policy.judge_authorization(document, "PUBLIC_SECURITY", FAR).decision == "allow"


def test_the_commands_exist_with_their_options() -> None:
    joined = PAGE.replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines() if line.startswith("    liucun ")]
    assert len(lines) > 12
    for line in lines:
        words = shlex.split(line.partition("#")[0].rstrip(" &"))[1:]
        command: click.Command = liucun
        context = click.Context(liucun)
        while isinstance(command, click.Group):
            inner = command.get_command(context, words.pop(0))
            assert inner is not None, line
            command = inner
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_the_call_of_another_client_is_wellformed() -> None:
    (text,) = re.findall(r"-d '(\{.*?\}\}\})'", PAGE, re.DOTALL)
    request = ParseDict(json.loads(text), lookup_pb2.CreateLookupRequest())
    assert request.parent == "agencies/gongan"
    assert request.lookup.selector.value == "alice@example.org"
    name = "liucun.lookup.v1.LookupService/CreateLookup"
    assert name in PAGE
    service, _, method = name.partition("/")
    assert lookup_pb2.DESCRIPTOR.services_by_name[service.rpartition(".")[2]].methods_by_name[method]


def test_who_may_do_what_is_what_the_service_lets_through() -> None:
    """Each row names the calls of its roles: all of them, and no other."""
    rows = re.findall(r"^\| ([a-z, ]+) \| [^|]+ \| ((?:`[A-Za-z]+` ?)+)\|$", PAGE, re.MULTILINE)
    told = {role.upper(): set(re.findall(r"[A-Za-z]+", calls)) for who, calls in rows for role in who.split(", ")}
    roles = {role for allowed in ALLOWED.values() for role in allowed}
    assert told == {role: {call for call, allowed in ALLOWED.items() if role in allowed} for role in roles}

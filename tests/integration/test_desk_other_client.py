"""A client that is not ours makes a lookup with the example of docs/officer.md: schemas/proto, a token, TLS, no more.

It takes nothing from this repository's Python: interfaces from the .proto files by protoc, JSON by protobuf, the token
from the command, as grpcurl does. Where grpcurl is there, the page's own command is run too.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from infra.local.runtime import REPOSITORY
from infra.platform import tls
from infra.platform.times import text_of
from tests import desk as kit
from tests.desk import AGENCY, OFFICER, RunningDesk
from tests.pipeline import LIUCUN
from tests.places import Place

PAGE = (REPOSITORY / "docs" / "officer.md").read_text(encoding="utf-8")
PROTO = REPOSITORY / "schemas" / "proto"


@pytest.fixture
def question(place: Place, desk: RunningDesk) -> dict[str, Any]:
    """The page's request, under an instrument of this desk."""
    one = kit.approved(desk)
    (text,) = re.findall(r"-d '(\{.*?\}\}\})'", PAGE, re.DOTALL)
    asked: dict[str, Any] = json.loads(text)
    asked["parent"] = AGENCY
    asked["lookup"]["authorization"] = one.name
    window = one.scope.window
    asked["lookup"]["window"] = {
        "start_time": text_of(window.start_time.ToMicroseconds()),
        "end_time": text_of(window.end_time.ToMicroseconds()),
    }
    return asked


@pytest.fixture
def files(tmp_path: Path, desk: RunningDesk) -> dict[str, Path]:
    """What an officer has on disk."""
    identity = desk.world.identity(OFFICER)
    contents = {
        "ca": desk.world.authority.certificate_pem,
        "certificate": identity.certificate_pem,
        "key": identity.key_pem,
        "signing": tls.signing_key_pem(identity.signing_key),
    }
    made = {}
    for name, data in contents.items():
        made[name] = tmp_path / f"{name}.pem"
        made[name].write_bytes(data)
    return made


def token(files: dict[str, Path]) -> str:
    """A fresh one, by the page's command."""
    command = ["person", "token", "--key", files["signing"], "--certificate", files["certificate"], "--name", OFFICER]
    return subprocess.run([LIUCUN, *command], capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def test_a_client_made_from_the_proto_files(
    tmp_path: Path, desk: RunningDesk, files: dict[str, Path], question: dict[str, Any]
) -> None:
    out = tmp_path / "interfaces.binpb"
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{PROTO}",
        "--include_imports",
        f"--descriptor_set_out={out}",
    ]
    subprocess.run([*command, "liucun/lookup/v1/lookup.proto"], check=True, timeout=60)
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
        pool.Add(file)
    service = pool.FindServiceByName("liucun.lookup.v1.LookupService")
    credentials = grpc.ssl_channel_credentials(*(files[name].read_bytes() for name in ("ca", "key", "certificate")))
    target = f"127.0.0.1:{desk.settings.server.port}"
    with grpc.secure_channel(target, credentials, [("grpc.enable_http_proxy", 0)]) as channel:

        def call(method_name: str, document: dict[str, Any]) -> list[dict[str, Any]]:
            method = service.methods_by_name[method_name]
            request = json_format.ParseDict(document, message_factory.GetMessageClass(method.input_type)())
            made = channel.unary_stream(
                f"/{service.full_name}/{method_name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
            )
            answers = made(request, timeout=30, metadata=[("authorization", f"Bearer {token(files)}")])
            return [json_format.MessageToDict(answer, preserving_proto_field_name=True) for answer in answers]

        (created,) = call("CreateLookup", question)
        assert created["lookup"]["state"] == "STATE_DISCLOSED"
        stream = call("StreamRecords", {"parent": created["lookup"]["name"]})
    records = [record for message in stream for record in message.get("records", {}).get("records", ())]
    assert len(records) == int(created["lookup"]["record_count"]) == 25
    assert stream[-1]["done"] == {"record_count": "25"}


def test_grpcurl_with_the_pages_own_command(
    desk: RunningDesk, files: dict[str, Path], question: dict[str, Any]
) -> None:
    if shutil.which("grpcurl") is None:
        pytest.skip("grpcurl is not installed: the client made from the proto files does the same")
    (text,) = re.findall(r"^    (grpcurl -cacert .*?CreateLookup)$", PAGE, re.DOTALL | re.MULTILINE)
    words = shlex.split(text.replace("\\\n", " "))
    replaced = {
        "certs/ca.pem": str(files["ca"]),
        "certs/gongan.pem": str(files["certificate"]),
        "certs/gongan.key": str(files["key"]),
        "authorization: Bearer $TOKEN": f"authorization: Bearer {token(files)}",
        "127.0.0.1:8443": f"127.0.0.1:{desk.settings.server.port}",
        words[words.index("-d") + 1]: json.dumps(question),
    }
    done = subprocess.run(
        [replaced.get(word, word) for word in words],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["lookup"]["recordCount"] == "25"

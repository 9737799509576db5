"""Who gets in: certificates, tokens, other agencies; what is refused is counted or has its entry."""

import time
import uuid
from datetime import timedelta
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from liucun.authorization.v1 import authorization_pb2
from liucun.lookup.v1 import lookup_pb2

from infra.platform import tls
from infra.platform.clock import SystemClock
from query_service import tokens
from query_service.client import Client, Identity, RefusedError, refused
from query_service.interceptors import refusals
from tests import desk as kit
from tests.desk import AGENCY, OFFICER, TRUST_DOMAIN, RunningDesk, World
from tests.integration.conftest import OTHER
from tests.integration.test_desk_answers import a_long_answer
from tests.pipeline import until
from tests.places import ALICE, Place, ask, last, reason

UNVERIFIED: Any = {"verify_signature": False}


def test_no_certificate_never_gets_in(shared: RunningDesk, world: World) -> None:
    credentials = grpc.ssl_channel_credentials(world.authority.certificate_pem)
    with (
        grpc.secure_channel(f"127.0.0.1:{shared.settings.server.port}", credentials) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        channel.unary_unary("/liucun.lookup.v1.LookupService/GetLookup")(b"", timeout=5)
    assert refused(caught.value).reason == "UNAVAILABLE"


def test_certificate_of_a_strange_authority_never_gets_in(shared: RunningDesk, world: World) -> None:
    strange = tls.client(tls.authority("strange", kit.now()), [f"spiffe://{TRUST_DOMAIN}/agency/gongan-hz"], kit.now())
    identity = Identity(OFFICER, world.key(OFFICER), strange.certificate_pem, strange.key_pem)
    with Client(target(shared), world.authority.certificate_pem, identity, seconds=5) as client:
        assert reason(lambda: kit.fetched(client, f"{AGENCY}/authorizations/x")) == "UNAVAILABLE"


def target(shared: RunningDesk) -> str:
    return f"127.0.0.1:{shared.settings.server.port}"


def with_uris(shared: RunningDesk, world: World, *uris: str, name: str = OFFICER) -> Client:
    """A client with a certificate of our authority for these URIs."""
    issued = tls.client(world.authority, list(uris), kit.now())
    return Client(
        target(shared), world.authority.certificate_pem,
        Identity(name, world.key(name), issued.certificate_pem, issued.key_pem), seconds=5,
    )  # fmt: skip


@pytest.mark.parametrize(
    "uris",
    [
        (f"spiffe://{TRUST_DOMAIN}/agency/gongan-hz", f"spiffe://{TRUST_DOMAIN}/agency/gongan-nb"),
        ("spiffe://elsewhere.test/agency/gongan-hz",),
        (f"spiffe://{TRUST_DOMAIN}/server/gongan-hz",),
        (f"spiffe://{TRUST_DOMAIN}/agency/gongan-hz/x",),
        ("https://liucun.test/agency/gongan-hz",),
    ],
)
def test_certificate_without_exactly_one_name_of_ours(shared: RunningDesk, world: World, uris: tuple[str, ...]) -> None:
    with with_uris(shared, world, *uris) as client:
        assert reason(lambda: kit.fetched(client, f"{AGENCY}/authorizations/x")) == "CERTIFICATE_INVALID"


def test_expired_certificate_on_an_open_connection(world: World, shared: RunningDesk) -> None:
    """TLS looks at the handshake only; we look at every call."""
    short = tls.client(
        world.authority,
        [f"spiffe://{TRUST_DOMAIN}/agency/gongan-hz"],
        kit.now() - timedelta(days=90) + timedelta(seconds=3),
    )
    identity = Identity(OFFICER, world.key(OFFICER), short.certificate_pem, short.key_pem)
    with Client(target(shared), world.authority.certificate_pem, identity, seconds=5) as client:
        assert reason(lambda: kit.fetched(client, f"{AGENCY}/authorizations/x")) == "NOT_FOUND"
        time.sleep(max(0.0, (short.certificate.not_valid_after_utc - kit.now()).total_seconds()) + 0.1)
        assert reason(lambda: kit.fetched(client, f"{AGENCY}/authorizations/x")) == "CERTIFICATE_INVALID"


def test_replaced_authority_ends_open_connections(place: Place, desk: RunningDesk, officer: Client) -> None:
    """Calls on a connection of before, and its streams; with both in the file, all go on."""
    _, lookup = a_long_answer(place, desk, officer)
    authorities, old = place.folder / "ca.pem", place.world.authority.certificate_pem
    new = tls.authority("Liucun tests, next year", kit.now())
    with desk.client(OFFICER, slow_reader=True) as reader:
        messages = reader.stream(lookup.name)
        next(messages)
        authorities.write_bytes(new.certificate_pem + old)
        time.sleep(1.2)
        next(messages)
        assert reason(lambda: kit.fetched(officer, f"{AGENCY}/authorizations/x")) == "NOT_FOUND"
        authorities.write_bytes(new.certificate_pem)
        assert reason(lambda: kit.fetched(officer, f"{AGENCY}/authorizations/x")) == "CERTIFICATE_INVALID"
        time.sleep(1.2)
        assert reason(lambda: list(messages)) in ("CERTIFICATE_INVALID", "CANCELLED")
    authorities.write_bytes(b"half a fi")
    assert reason(lambda: kit.fetched(officer, f"{AGENCY}/authorizations/x")) == "CERTIFICATE_INVALID"


def claims(world: World, **changes: Any) -> dict[str, Any]:
    """A good token's claims, changed."""
    second = int(time.time())
    good = {
        "iss": OFFICER, "aud": "liucun", "iat": second, "exp": second + 240, "jti": str(uuid.uuid4()),
        "cnf": {"x5t#S256": tokens.thumbprint(world.identity(OFFICER).certificate_der)},
    }  # fmt: skip
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(world: World, key: Ed25519PrivateKey | None = None, **changes: Any) -> str:
    return jwt.encode(claims(world, **changes), key or world.key(OFFICER), algorithm="EdDSA")


def token_reason(clerk: Client, token: str) -> str:
    request = authorization_pb2.GetAuthorizationRequest(name=f"{AGENCY}/authorizations/x")
    return reason(lambda: clerk.call(clerk.authorizations.GetAuthorization, request, token=token))


def test_tokens(world: World, clerk: Client) -> None:
    second = int(time.time())
    cases = {
        signed(world): "NOT_FOUND",  # a good one gets as far as the missing authorization
        signed(world, Ed25519PrivateKey.generate()): "TOKEN_INVALID",
        signed(world, aud="another"): "TOKEN_INVALID",
        signed(world, jti=None): "TOKEN_INVALID",
        signed(world, jti="\ud800"): "TOKEN_INVALID",
        signed(world, jti="é"): "TOKEN_INVALID",
        signed(world, iss=f"{OFFICER}\udfff"): "TOKEN_INVALID",
        signed(world, cnf=None): "TOKEN_INVALID",
        signed(world, exp=second + 301): "TOKEN_INVALID",
        signed(world, iat=second - 500, exp=second - 260): "TOKEN_EXPIRED",
        signed(world, iat=second + 100, exp=second + 200): "TOKEN_EXPIRED",
        signed(world, iss=f"{AGENCY}/officers/nobody"): "NOT_ENROLLED",
        signed(world, iss=f"{OTHER}/officers/zhang"): "TOKEN_NOT_BOUND",
        signed(world, iss="persons/li"): "TOKEN_NOT_BOUND",
        signed(world, cnf={"x5t#S256": "A" * 43}): "TOKEN_NOT_BOUND",
        jwt.encode(claims(world), "", algorithm="none"): "TOKEN_INVALID",
        jwt.encode(claims(world), "k" * 64, algorithm="HS256"): "TOKEN_INVALID",
        signed(world)[:-4] + "AAAA": "TOKEN_INVALID",
        "x" * 5000: "TOKEN_INVALID",
        "a.b.c": "TOKEN_INVALID",
    }
    assert {token: token_reason(clerk, token) for token in cases} == cases


def test_public_key_as_secret_of_an_hmac(world: World, clerk: Client) -> None:
    """Key confusion: the algorithm is pinned, so the public key is never taken for a secret."""
    public = bytes.fromhex(tls.public_key_hex(world.key(OFFICER)))
    assert token_reason(clerk, jwt.encode(claims(world), public, algorithm="HS256")) == "TOKEN_INVALID"


def test_another_agencys_token(world: World, clerk: Client) -> None:
    """A token that is good for its own agency is worth nothing on this agency's connection."""
    other = f"{OTHER}/officers/zhang"
    stolen = tokens.mint(world.key(other), other, world.identity(other).certificate_der, SystemClock().now())
    assert token_reason(clerk, stolen) == "TOKEN_NOT_BOUND"


def test_no_token(shared: RunningDesk, clerk: Client) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        clerk.lookups.GetLookup(lookup_pb2.GetLookupRequest(name="x"), timeout=5)
    assert refused(caught.value).reason == "TOKEN_MISSING"


def test_token_used_twice_for_a_create(
    clerk: Client, memory: kit.MemoryLedger, paper: authorization_pb2.Authorization
) -> None:
    token = clerk.token()

    def create() -> None:
        request = lookup_pb2.CreateLookupRequest(
            parent=AGENCY, lookup=kit.question(paper, ALICE), request_id=str(uuid.uuid4())
        )
        clerk.call(clerk.lookups.CreateLookup, request, token=token)

    create()
    assert reason(create) == "TOKEN_REPLAYED"
    entry = last(memory)
    assert (entry["kind"], entry["actor"], entry["reason"]) == ("REFUSED", OFFICER, "TOKEN_REPLAYED")
    assert (entry["method"], entry["token_id"]) == ("CreateLookup", jwt.decode(token, options=UNVERIFIED)["jti"])


def test_unauthenticated_calls_are_counted_into_one_entry(
    clerk: Client, memory: kit.MemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(memory.entries)
    for _ in range(3):
        assert token_reason(clerk, "a.b.c") == "TOKEN_INVALID"
    assert len(memory.entries) == before, "not one each: a flood must not fill the ledger"
    monkeypatch.setattr(refusals, "SUMMARY_SECONDS", 0.0)
    until(lambda: last(memory)["kind"] == "REFUSALS_SUMMARY", 10)
    counts = {(one["method"], one["reason"]): one["count"] for one in last(memory)["counts"]}
    assert counts["GetAuthorization", "TOKEN_INVALID"] >= 3


def test_refusal_of_a_known_caller_is_one_entry(
    clerk: Client, memory: kit.MemoryLedger, paper: authorization_pb2.Authorization
) -> None:
    assert reason(lambda: ask(clerk, paper, selector=kit.selector("SENDER", "eve@example.org"))) == "OUT_OF_SCOPE"
    entry = last(memory)
    assert (entry["kind"], entry["actor"], entry["reason"]) == ("REFUSED", OFFICER, "OUT_OF_SCOPE")
    assert (entry["method"], entry["authorization"]) == ("CreateLookup", paper.name)
    assert "eve@example.org" in entry["request"], "an auditor sees who was looked for in vain"


def test_refusal_whose_request_has_no_text_that_fits(
    clerk: Client, memory: kit.MemoryLedger, paper: authorization_pb2.Authorization
) -> None:
    """Few bytes that are a long text, and times that are none: there is an entry whatever was asked."""
    long = kit.question(paper, kit.selector("SENDER", "eve@example.org"), field_groups=[3] * 4000)
    escaped = kit.question(paper, kit.selector("SENDER", "\x01" * 8000))
    timeless = kit.question(paper, kit.selector("SENDER", "eve@example.org"))
    timeless.window.start_time.seconds = 10**15
    for question, expected in ((long, "OUT_OF_SCOPE"), (escaped, "REQUEST_INVALID"), (timeless, "REQUEST_INVALID")):
        size = len(memory.entries)
        assert reason(lambda question=question: clerk.create_lookup(question)) == expected
        assert len(memory.entries) == size + 1
        assert (last(memory)["reason"], last(memory)["authorization"]) == (expected, paper.name)
        assert last(memory)["request"].endswith(" bytes)")


def test_another_agency_looks_like_nothing(shared: RunningDesk, paper: authorization_pb2.Authorization) -> None:
    """The same answer for what is another's and for what does not exist: reason, code, text and details."""
    with shared.client(OFFICER) as clerk:
        lookup = ask(clerk, paper)
    answers = []
    missing_paper, missing_lookup = f"{AGENCY}/authorizations/none", f"{AGENCY}/lookups/none"
    with shared.client(f"{OTHER}/officers/zhang") as other:
        for one, found in ((paper.name, lookup.name), (missing_paper, missing_lookup)):
            calls = (
                lambda one=one: kit.fetched(other, one),
                lambda one=one: ask(other, authorization_pb2.Authorization(name=one, scope=paper.scope)),
                lambda found=found: list(other.records(found)),
                lambda found=found: list(other.stream(found)),
                lambda found=found: other.call(other.lookups.GetLookup, lookup_pb2.GetLookupRequest(name=found)),
                lambda found=found: other.call(other.lookups.CancelLookup, lookup_pb2.CancelLookupRequest(name=found)),
            )
            texts = []
            for work in calls:
                with pytest.raises(RefusedError) as caught:
                    work()
                texts.append((caught.value.reason, str(caught.value), caught.value.details))
            answers.append(texts)
        assert reason(lambda: other.call(
            other.lookups.ListLookups, lookup_pb2.ListLookupsRequest(parent=AGENCY))) == "NOT_FOUND"  # fmt: skip
    assert answers[0] == answers[1]
    assert {text[0] for text in answers[0]} == {"NOT_FOUND"}

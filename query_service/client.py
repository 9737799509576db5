"""A small typed client: what the command line uses, tests use, and other Python programs may.

Every call gets a fresh token, signed here with the caller's own key and bound to the client certificate; a refusal
comes back as RefusedError with the catalogue's reason. Keys never leave this process.
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from liucun.audit.v1 import audit_pb2_grpc
from liucun.authorization.v1 import authorization_pb2, authorization_pb2_grpc
from liucun.lookup.v1 import lookup_pb2, lookup_pb2_grpc
from liucun.registry.v1 import registry_pb2_grpc, statement_pb2

from infra.platform.clock import Clock, SystemClock
from infra.platform.errors import LiucunError
from infra.platform.times import text_of
from infra.proof import canonical, requests, statements
from query_service import documents, tokens

_MESSAGE_BYTES_MAX: Final = 64 * 1024**2


class RefusedError(LiucunError):
    """The service's answer is no; `reason` is one of docs/reference/errors.md."""

    reason = "REFUSED"

    def __init__(self, reason: str, message: str, details: Mapping[str, str]) -> None:
        known = ", ".join(f"{name} {value}" for name, value in details.items())
        super().__init__(f"{reason}: {message}" + (f" ({known})" if known else ""))
        self.reason = reason  # type: ignore[misc]  # the server's, one of many
        self.details = dict(details)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls: an officer with the agency's certificate, or a provider person with their own."""

    name: str
    signing_key: Ed25519PrivateKey
    certificate_pem: bytes
    key_pem: bytes

    @property
    def certificate_der(self) -> bytes:
        """What tokens are bound to."""
        return x509.load_pem_x509_certificate(self.certificate_pem).public_bytes(Encoding.DER)


class Client:
    """One connection. Thread-safe. RefusedError from every call."""

    def __init__(
        self, target: str, ca_pem: bytes, identity: Identity, *, seconds: float = 60, clock: Clock | None = None
    ) -> None:
        """Connects at the first call."""
        self.identity = identity
        self._clock = clock or SystemClock()
        self._seconds = seconds
        credentials = grpc.ssl_channel_credentials(ca_pem, identity.key_pem, identity.certificate_pem)
        options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX)]
        self._channel = grpc.secure_channel(target, credentials, options)
        self.lookups: Any = lookup_pb2_grpc.LookupServiceStub(self._channel)
        self.authorizations: Any = authorization_pb2_grpc.AuthorizationServiceStub(self._channel)
        self.registry: Any = registry_pb2_grpc.RegistryServiceStub(self._channel)
        self.audit: Any = audit_pb2_grpc.AuditServiceStub(self._channel)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def token(self) -> str:
        """A fresh token."""
        return tokens.mint(
            self.identity.signing_key, self.identity.name, self.identity.certificate_der, self._clock.now()
        )

    def call(self, method: Any, request: Any, *, token: str | None = None) -> Any:
        """One unary call of a stub's method."""
        try:
            return method(request, timeout=self._seconds, metadata=self._metadata(token))
        except grpc.RpcError as error:
            raise refused(error) from None

    def create_lookup(
        self, lookup: lookup_pb2.Lookup, *, request_id: str = "", validate_only: bool = False
    ) -> lookup_pb2.Lookup:
        """Ask under `lookup.authorization`."""
        request = lookup_pb2.CreateLookupRequest(
            parent=lookup.authorization.partition("/authorizations/")[0],
            lookup=lookup,
            request_id=request_id or str(uuid.uuid4()),
            validate_only=validate_only,
        )
        answer: lookup_pb2.CreateLookupResponse = self.call(self.lookups.CreateLookup, request)
        return answer.lookup

    def records(self, lookup: str, *, page_size: int = 0) -> Iterator[lookup_pb2.Record]:
        """All records of a lookup, by pages."""
        token = ""
        while True:
            request = lookup_pb2.ListRecordsRequest(parent=lookup, page_size=page_size, page_token=token)
            answer: lookup_pb2.ListRecordsResponse = self.call(self.lookups.ListRecords, request)
            yield from answer.records
            token = answer.next_page_token
            if not token:
                return

    def stream(self, lookup: str, *, cursor: str = "") -> Iterator[lookup_pb2.StreamRecordsResponse]:
        """The stream's messages; the last one is `done`, else it was cut off."""
        request = lookup_pb2.StreamRecordsRequest(parent=lookup, cursor=cursor)
        try:
            yield from self.lookups.StreamRecords(request, metadata=self._metadata(None))
        except grpc.RpcError as error:
            raise refused(error) from None

    def approve(self, one: authorization_pb2.Authorization) -> authorization_pb2.Authorization:
        """Sign what was shown: the document is made anew from the message, and its hash is what is signed."""
        document = documents.document_of(one, name=one.name, requester=one.requester, policy_version=one.policy_version)
        statement = requests.approval_statement(
            authorization=one.name,
            request_hash=requests.authorization_hash(document),
            instrument_sha256=one.document.sha256,
            policy_version=one.policy_version,
            approver=self.identity.name,
            time=text_of(self._clock.now()),
        )
        request = authorization_pb2.ApproveAuthorizationRequest(name=one.name, signed_statement=self.signed(statement))
        answer: authorization_pb2.ApproveAuthorizationResponse = self.call(
            self.authorizations.ApproveAuthorization, request
        )
        return answer.authorization

    def registration(self, action: str, subject: str, document_hash: str) -> statement_pb2.SignedStatement:
        """A registry statement, signed."""
        return self.signed(
            requests.registry_statement(
                action=action,
                subject=subject,
                document_hash=document_hash,
                person=self.identity.name,
                time=text_of(self._clock.now()),
            )
        )

    def signed(self, statement: dict[str, str]) -> statement_pb2.SignedStatement:
        """Any statement, signed with the caller's key."""
        return statement_pb2.SignedStatement(
            statement=canonical.encode(statement), signature=statements.sign(self.identity.signing_key, statement)
        )

    def _metadata(self, token: str | None) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {token or self.token()}"),)


def refused(error: Any) -> RefusedError:
    """A gRPC error in the catalogue's words; one that is not the service's keeps its gRPC code as its reason."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        status = None
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return RefusedError(info.reason, status.message, info.metadata)
    code = error.code().name
    return RefusedError(
        code, "The service did not answer in its own words; is it there, and is the certificate its?", {}
    )

"""Who is calling (identity.py), and that a token for an act is used once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from infra.platform.clock import Clock
from query_service import identity
from query_service.audit import Audit
from query_service.authorities import Authorities
from query_service.errors import DeskError
from query_service.interceptors._wrap import Call
from query_service.state import State

# Calls that act: their token is used once, for ever (each leaves an entry that names it).
ACTS: Final = frozenset(
    {
        "CreateLookup", "CancelLookup", "CreateAuthorization", "ApproveAuthorization", "RejectAuthorization",
        "RevokeAuthorization", "CreateAgency", "ApproveAgency", "RevokeAgency", "CreatePerson", "ApprovePerson",
        "RevokePerson",
    }
)  # fmt: skip


class Authenticate:
    """Behind it, `call.caller` is somebody."""

    def __init__(self, audit: Audit, state: State, clock: Clock, authorities: Authorities, trust_domain: str) -> None:
        self._audit = audit
        self._state = state
        self._clock = clock
        self._authorities = authorities
        self._trust_domain = trust_domain

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """CERTIFICATE_INVALID, TOKEN_*, NOT_ENROLLED; AUDIT_UNAVAILABLE when it cannot be known who was revoked."""
        self._audit.catch_up()
        now = self._clock.now()
        context: Any = call.context.auth_context()  # its stub says bytes; it is a list of them
        peer = identity.peer_of(context, self._trust_domain, now)
        if not self._authorities.issued(peer):
            raise DeskError("CERTIFICATE_INVALID")
        token = dict(call.context.invocation_metadata()).get("authorization")
        caller = identity.caller_of(peer, token if isinstance(token, str) else None, self._state, now)
        call.caller_or_none = caller  # known from here on: a token used twice is refused by name
        if call.method in ACTS:
            self._state.use_token(caller.actor, caller.token_id, caller.token_end, now)
        yield

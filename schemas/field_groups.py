"""Which fields of a record belong together: what an authorization grants, it grants by group.

CORE is always granted. A field outside the granted groups is left out of an answer, in JSON and in protobuf: that is
not the same as null, which says that the value is not known.
"""

from typing import Final

from schemas.envelope import FIELDS

SENDER_SIDE: Final = frozenset(
    {
        "sender_logged", "authenticated_user", "local_uid", "sender_ip", "sender_port", "sender_ip_origin",
        "sender_host", "helo",
    }
)  # fmt: skip
RECIPIENT_SIDE: Final = frozenset(
    {"recipient_logged", "recipient_ip", "recipient_port", "recipient_ip_origin", "recipient_host", "server_ip"}
)
DIAGNOSTICS: Final = frozenset(
    {
        "observed_time", "attempts", "dsn", "smtp_code", "size_bytes", "recipient_count", "tls", "access_protocol",
        "session_id", "agent_id", "agent_epoch", "agent_sequence", "source_name", "source_offset",
    }
)  # fmt: skip
CORE: Final = frozenset(FIELDS) - SENDER_SIDE - RECIPIENT_SIDE - DIAGNOSTICS
GROUPS: Final[dict[str, frozenset[str]]] = {
    "CORE": CORE,
    "SENDER_SIDE": SENDER_SIDE,
    "RECIPIENT_SIDE": RECIPIENT_SIDE,
    "DIAGNOSTICS": DIAGNOSTICS,
}


def fields_of(groups: list[str]) -> tuple[str, ...]:
    """The fields of these groups and of CORE, in the record's order."""
    granted = CORE.union(*(GROUPS[name] for name in groups))
    return tuple(field for field in FIELDS if field in granted)

"""An entry before it is committed: a kind of the table, a named actor, a canonical payload of bounded size."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from infra.ledger.errors import EntryRefusedError
from infra.ledger.payloads import PAYLOAD_BYTES_MAX
from infra.platform.clock import DAY, from_datetime, to_datetime
from infra.proof import canonical
from infra.proof.errors import CanonicalError
from infra.proof.kinds import KINDS, OWN_KINDS

RESERVED: Final = frozenset({"kind", "time", "actor"})
_ACTOR: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry that can be committed."""

    request_id: bytes
    type_byte: int
    payload: bytes


def prepare(
    now: int, request_id: bytes, kind: str, actor: str, members: dict[str, Any], *, own: bool = False
) -> Prepared:
    """Check an entry and stamp it with the time. `own`: the ledger's own kinds. EntryRefusedError."""
    if kind not in KINDS or (kind in OWN_KINDS) != own:
        raise EntryRefusedError(f"{kind!r} is not a kind that may be appended.", "See infra/proof/kinds.py.")
    if not _ACTOR.fullmatch(actor):
        raise EntryRefusedError("The actor is not a resource name.", "Write one such as persons/li or services/ops.")
    if taken := sorted(RESERVED & members.keys()):
        raise EntryRefusedError(f"The member {taken[0]} is the ledger's own.", "Name it otherwise.")
    payload = {"kind": kind, "time": time_text(now), "actor": actor, **members}
    try:
        data = canonical.encode(payload)
    except CanonicalError as error:
        raise EntryRefusedError(
            f"The entry has no canonical form: {error}.", "See docs/spec/proof-formats.md."
        ) from None
    if len(data) > PAYLOAD_BYTES_MAX:
        raise EntryRefusedError(f"The entry has {len(data)} bytes, more than {PAYLOAD_BYTES_MAX}.", "Name less in it.")
    return Prepared(request_id, KINDS[kind], data)


def time_text(moment: int) -> str:
    """RFC 3339, UTC, six decimals: one form for one moment."""
    return to_datetime(moment).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def time_of(text: str) -> int:
    """Microseconds of `time_text`. ValueError."""
    return from_datetime(datetime.strptime(text, _TIME).replace(tzinfo=UTC))


def term_ends(time: str, days: int) -> int:
    """When an entry of that time may be erased."""
    return time_of(time) + days * DAY

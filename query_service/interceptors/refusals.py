"""What is refused is in the ledger: one entry each for callers we know, counted for those whom we do not.

An entry that cannot be committed turns the refusal into AUDIT_UNAVAILABLE. Beyond refusals_per_minute_max of one
caller, and for all that is not authenticated, refusals are counted; once a minute REFUSALS_SUMMARY tells the counts, in
as many entries as they need.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from infra.proof import canonical
from query_service.audit import Audit
from query_service.errors import AuditUnavailableError, DeskError
from query_service.interceptors._wrap import Call

SUMMARY_SECONDS: Final = 60.0
REQUEST_BYTES_MAX: Final = 8192
TEXT_BYTES_MAX: Final = 32 * 1024  # the same as text in the entry, which has 60,000 bytes at most
_COUNTS_MAX: Final = 1000  # different (method, reason, caller) in one summary; the rest is one count
COUNTS_BYTES_MAX: Final = 48 * 1024  # of counts in one entry
ACTOR: Final = "services/query"


class Refusals:
    """Step around authentication, so that it also sees who is not let in."""

    def __init__(self, audit: Audit, per_minute_max: int) -> None:
        self._audit = audit
        self._per_minute_max = per_minute_max
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._minute = 0
        self._entries: Counter[str] = Counter()
        self._summed = time.monotonic()

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """Every way out that is not an answer is recorded, unless an entry of the lookup's own says it already."""
        try:
            yield
        except DeskError as error:
            self._refused(call, error.reason, error.details)
            raise
        except Exception:
            self._refused(call, "FAULT", {})
            raise

    def _refused(self, call: Call, reason: str, details: dict[str, str]) -> None:
        if call.recorded or reason == "AUDIT_UNAVAILABLE":
            return
        caller = call.caller_or_none
        if caller is None or not self._entry_allowed(caller.actor):
            self._count(call.method, reason, caller.actor if caller else "")
            return
        call.recorded = True
        self._audit.append(
            "REFUSED",
            caller.actor,
            method=call.method,
            reason=reason,
            details=dict(details),
            token_id=caller.token_id,
            certificate=caller.peer.thumbprint,
            request=_request(call.request),
            **call.facts,
        )

    def count_unknown(self) -> None:
        """A call of a method that there is not; grpc refuses it before any step."""
        reason = "METHOD_UNKNOWN"
        self._count("", reason, "")

    def summary(self, *, at_end: bool = False) -> None:
        """Called every second: what was counted, once a minute. What cannot be committed is counted on."""
        with self._lock:
            if not self._counts or (time.monotonic() - self._summed < SUMMARY_SECONDS and not at_end):
                return
            counts, self._counts = self._counts, Counter()
            self._summed = time.monotonic()
        for part in _parts(counts):
            try:
                self._audit.append("REFUSALS_SUMMARY", ACTOR, counts=part)
            except AuditUnavailableError:
                with self._lock:
                    self._counts.update(counts)
                return
            for one in part:
                del counts[one["method"], one["reason"], one["caller"]]

    def _count(self, method: str, reason: str, caller: str) -> None:
        with self._lock:
            key = (method, reason, caller)
            known = key in self._counts or len(self._counts) < _COUNTS_MAX
            self._counts[key if known else ("", reason, "")] += 1

    def _entry_allowed(self, actor: str) -> bool:
        minute = int(time.monotonic() // 60)
        with self._lock:
            if minute != self._minute:
                self._minute, self._entries = minute, Counter()
            self._entries[actor] += 1
            return self._entries[actor] <= self._per_minute_max


def _parts(counts: Counter[tuple[str, str, str]]) -> list[list[dict[str, Any]]]:
    """As an entry lists them; each part fits into one."""
    parts, size = list[list[dict[str, Any]]](), 0
    for (method, reason, caller), count in sorted(counts.items()):
        one = {"method": method, "reason": reason, "caller": caller, "count": count}
        length = len(canonical.encode(one)) + 1  # and its comma
        if not parts or size + length > COUNTS_BYTES_MAX:
            parts.append([])
            size = 0
        parts[-1].append(one)
        size += length
    return parts


def _request(request: object) -> str:
    """What was asked, as JSON text, for the auditor. The payload is encrypted there.

    By its size only where the text would be too long for an entry (few bytes can be a long text), or where there is
    none (times that are no times): a refusal has its entry whatever was asked.
    """
    if not isinstance(request, Message):
        return ""
    size = request.ByteSize()
    if size > REQUEST_BYTES_MAX:
        return f"({size} bytes)"
    try:
        text = canonical.encode(_plain(MessageToDict(request, preserving_proto_field_name=True))).decode()
        fits = len(canonical.encode(text)) <= TEXT_BYTES_MAX
    except Exception:
        fits = False
    return text if fits else f"({size} bytes)"


def _plain(value: object) -> object:
    """Without fractions, which canonical JSON does not have."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, float) else value

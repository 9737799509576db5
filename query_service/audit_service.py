"""AuditService: the ledger's entries for auditors. That they were read is an entry, committed before they are shown."""

from typing import Any

from liucun.audit.v1 import audit_pb2 as pb
from liucun.audit.v1 import audit_pb2_grpc

from infra.proof import canonical
from query_service import bounded, names, wire
from query_service.desk import Desk
from query_service.errors import DeskError
from query_service.interceptors._wrap import Call


class AuditService(audit_pb2_grpc.AuditServiceServicer):
    """A handler gets a `Call` where grpc would give a context."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def GetAuditEntry(self, request: pb.GetAuditEntryRequest, call: Call) -> pb.GetAuditEntryResponse:  # noqa: N802
        """One."""
        index = names.audit_index(request.name)
        found = self._desk.audit.read(index, 1) if index < self._desk.audit.size() else []
        if not found:
            raise DeskError("NOT_FOUND")
        self._say(call, "show", index, 1)
        return pb.GetAuditEntryResponse(audit_entry=_message(found[0]))

    def ListAuditEntries(self, request: pb.ListAuditEntriesRequest, call: Call) -> pb.ListAuditEntriesResponse:  # noqa: N802
        """In leaf order."""
        size = self._desk.page_size(request.page_size)
        start = self._desk.pages.position(request.page_token, "audit", size)
        total = self._desk.audit.size()
        found = self._desk.audit.read(start, size) if start < total else []
        shown = bounded.messages((_message(one) for one in found), self._desk.settings.server)
        self._say(call, "list", start, len(shown))
        end = start + len(shown)
        return pb.ListAuditEntriesResponse(
            audit_entries=shown,
            next_page_token=self._desk.pages.token(end, "audit", size) if end < total else "",
        )

    def GetCheckpoint(self, request: pb.GetCheckpointRequest, call: Call) -> pb.GetCheckpointResponse:  # noqa: ARG002, N802
        """The newest signed note; public by its nature."""
        return pb.GetCheckpointResponse(checkpoint=self._desk.audit.checkpoint())

    def _say(self, call: Call, purpose: str, start: int, count: int) -> None:
        """The same members as `liucun audit` writes."""
        members = {"only_kind": None} if purpose == "list" else {}
        self._desk.audit.append("LEDGER_READ", call.caller.actor, purpose=purpose, start=start, limit=count, **members)
        call.recorded = True


def _message(entry: Any) -> pb.AuditEntry:
    payload = entry.payload
    message = pb.AuditEntry(name=f"auditEntries/{entry.index}", ledger_index=entry.index)
    if payload is not None:
        message.kind = entry.kind
        message.actor = payload["actor"]
        message.payload = canonical.encode(payload).decode()
        stamp = wire.timestamp(payload["time"])
        assert stamp is not None
        message.entry_time.CopyFrom(stamp)
    return message

import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from liucun.authorization.v1 import scope_pb2 as _scope_pb2
from liucun.lookup.v1 import envelope_pb2 as _envelope_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Disclosure(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISCLOSURE_UNSPECIFIED: _ClassVar[Disclosure]
    DISCLOSURE_RECORDS: _ClassVar[Disclosure]
    DISCLOSURE_COUNT: _ClassVar[Disclosure]
    DISCLOSURE_EXISTENCE: _ClassVar[Disclosure]
DISCLOSURE_UNSPECIFIED: Disclosure
DISCLOSURE_RECORDS: Disclosure
DISCLOSURE_COUNT: Disclosure
DISCLOSURE_EXISTENCE: Disclosure

class Segment(_message.Message):
    __slots__ = ("segment_number", "first_record_number", "record_count", "root", "ledger_index")
    SEGMENT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    FIRST_RECORD_NUMBER_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    LEDGER_INDEX_FIELD_NUMBER: _ClassVar[int]
    segment_number: int
    first_record_number: int
    record_count: int
    root: str
    ledger_index: int
    def __init__(self, segment_number: _Optional[int] = ..., first_record_number: _Optional[int] = ..., record_count: _Optional[int] = ..., root: _Optional[str] = ..., ledger_index: _Optional[int] = ...) -> None: ...

class Lookup(_message.Message):
    __slots__ = ("name", "authorization", "selector", "window", "max_records", "disclosure", "include_non_final", "state", "status_reason", "record_count", "truncated", "answered_window", "field_groups", "segments", "requester", "create_time", "end_time", "expire_time", "intent_ledger_index", "outcome_ledger_index")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Lookup.State]
        STATE_AWAITING_APPROVAL: _ClassVar[Lookup.State]
        STATE_AWAITING_DISCLOSURE: _ClassVar[Lookup.State]
        STATE_DISCLOSED: _ClassVar[Lookup.State]
        STATE_DISCLOSURE_NOT_AVAILABLE: _ClassVar[Lookup.State]
        STATE_REJECTED: _ClassVar[Lookup.State]
        STATE_CANCELLED: _ClassVar[Lookup.State]
        STATE_EXPIRED: _ClassVar[Lookup.State]
        STATE_ERROR: _ClassVar[Lookup.State]
    STATE_UNSPECIFIED: Lookup.State
    STATE_AWAITING_APPROVAL: Lookup.State
    STATE_AWAITING_DISCLOSURE: Lookup.State
    STATE_DISCLOSED: Lookup.State
    STATE_DISCLOSURE_NOT_AVAILABLE: Lookup.State
    STATE_REJECTED: Lookup.State
    STATE_CANCELLED: Lookup.State
    STATE_EXPIRED: Lookup.State
    STATE_ERROR: Lookup.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    MAX_RECORDS_FIELD_NUMBER: _ClassVar[int]
    DISCLOSURE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_NON_FINAL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATUS_REASON_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_WINDOW_FIELD_NUMBER: _ClassVar[int]
    FIELD_GROUPS_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    REQUESTER_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    INTENT_LEDGER_INDEX_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_LEDGER_INDEX_FIELD_NUMBER: _ClassVar[int]
    name: str
    authorization: str
    selector: _scope_pb2.Selector
    window: _scope_pb2.TimeWindow
    max_records: int
    disclosure: Disclosure
    include_non_final: bool
    state: Lookup.State
    status_reason: str
    record_count: int
    truncated: bool
    answered_window: _scope_pb2.TimeWindow
    field_groups: _containers.RepeatedScalarFieldContainer[_scope_pb2.FieldGroup]
    segments: _containers.RepeatedCompositeFieldContainer[Segment]
    requester: str
    create_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    intent_ledger_index: int
    outcome_ledger_index: int
    def __init__(self, name: _Optional[str] = ..., authorization: _Optional[str] = ..., selector: _Optional[_Union[_scope_pb2.Selector, _Mapping]] = ..., window: _Optional[_Union[_scope_pb2.TimeWindow, _Mapping]] = ..., max_records: _Optional[int] = ..., disclosure: _Optional[_Union[Disclosure, str]] = ..., include_non_final: _Optional[bool] = ..., state: _Optional[_Union[Lookup.State, str]] = ..., status_reason: _Optional[str] = ..., record_count: _Optional[int] = ..., truncated: _Optional[bool] = ..., answered_window: _Optional[_Union[_scope_pb2.TimeWindow, _Mapping]] = ..., field_groups: _Optional[_Iterable[_Union[_scope_pb2.FieldGroup, str]]] = ..., segments: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ..., requester: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., intent_ledger_index: _Optional[int] = ..., outcome_ledger_index: _Optional[int] = ...) -> None: ...

class Record(_message.Message):
    __slots__ = ("record_number", "envelope", "hop")
    RECORD_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    HOP_FIELD_NUMBER: _ClassVar[int]
    record_number: int
    envelope: _envelope_pb2.Envelope
    hop: int
    def __init__(self, record_number: _Optional[int] = ..., envelope: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., hop: _Optional[int] = ...) -> None: ...

class CreateLookupRequest(_message.Message):
    __slots__ = ("parent", "lookup", "request_id", "validate_only")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    LOOKUP_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    lookup: Lookup
    request_id: str
    validate_only: bool
    def __init__(self, parent: _Optional[str] = ..., lookup: _Optional[_Union[Lookup, _Mapping]] = ..., request_id: _Optional[str] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class CreateLookupResponse(_message.Message):
    __slots__ = ("lookup",)
    LOOKUP_FIELD_NUMBER: _ClassVar[int]
    lookup: Lookup
    def __init__(self, lookup: _Optional[_Union[Lookup, _Mapping]] = ...) -> None: ...

class GetLookupRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetLookupResponse(_message.Message):
    __slots__ = ("lookup",)
    LOOKUP_FIELD_NUMBER: _ClassVar[int]
    lookup: Lookup
    def __init__(self, lookup: _Optional[_Union[Lookup, _Mapping]] = ...) -> None: ...

class ListLookupsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLookupsResponse(_message.Message):
    __slots__ = ("lookups", "next_page_token")
    LOOKUPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    lookups: _containers.RepeatedCompositeFieldContainer[Lookup]
    next_page_token: str
    def __init__(self, lookups: _Optional[_Iterable[_Union[Lookup, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelLookupRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class CancelLookupResponse(_message.Message):
    __slots__ = ("lookup",)
    LOOKUP_FIELD_NUMBER: _ClassVar[int]
    lookup: Lookup
    def __init__(self, lookup: _Optional[_Union[Lookup, _Mapping]] = ...) -> None: ...

class ListRecordsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRecordsResponse(_message.Message):
    __slots__ = ("records", "next_page_token")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[Record]
    next_page_token: str
    def __init__(self, records: _Optional[_Iterable[_Union[Record, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class StreamRecordsRequest(_message.Message):
    __slots__ = ("parent", "cursor")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    parent: str
    cursor: str
    def __init__(self, parent: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class RecordBatch(_message.Message):
    __slots__ = ("records", "cursor")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[Record]
    cursor: str
    def __init__(self, records: _Optional[_Iterable[_Union[Record, _Mapping]]] = ..., cursor: _Optional[str] = ...) -> None: ...

class StreamProgress(_message.Message):
    __slots__ = ("last_record_number", "record_count")
    LAST_RECORD_NUMBER_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    last_record_number: int
    record_count: int
    def __init__(self, last_record_number: _Optional[int] = ..., record_count: _Optional[int] = ...) -> None: ...

class StreamDone(_message.Message):
    __slots__ = ("record_count",)
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    record_count: int
    def __init__(self, record_count: _Optional[int] = ...) -> None: ...

class StreamRecordsResponse(_message.Message):
    __slots__ = ("records", "progress", "done")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    records: RecordBatch
    progress: StreamProgress
    done: StreamDone
    def __init__(self, records: _Optional[_Union[RecordBatch, _Mapping]] = ..., progress: _Optional[_Union[StreamProgress, _Mapping]] = ..., done: _Optional[_Union[StreamDone, _Mapping]] = ...) -> None: ...

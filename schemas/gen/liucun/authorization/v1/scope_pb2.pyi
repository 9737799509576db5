import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FieldGroup(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FIELD_GROUP_UNSPECIFIED: _ClassVar[FieldGroup]
    FIELD_GROUP_CORE: _ClassVar[FieldGroup]
    FIELD_GROUP_SENDER_SIDE: _ClassVar[FieldGroup]
    FIELD_GROUP_RECIPIENT_SIDE: _ClassVar[FieldGroup]
    FIELD_GROUP_DIAGNOSTICS: _ClassVar[FieldGroup]
FIELD_GROUP_UNSPECIFIED: FieldGroup
FIELD_GROUP_CORE: FieldGroup
FIELD_GROUP_SENDER_SIDE: FieldGroup
FIELD_GROUP_RECIPIENT_SIDE: FieldGroup
FIELD_GROUP_DIAGNOSTICS: FieldGroup

class TimeWindow(_message.Message):
    __slots__ = ("start_time", "end_time")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Selector(_message.Message):
    __slots__ = ("kind", "value", "host")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Selector.Kind]
        KIND_SENDER: _ClassVar[Selector.Kind]
        KIND_RECIPIENT: _ClassVar[Selector.Kind]
        KIND_ADDRESS: _ClassVar[Selector.Kind]
        KIND_DOMAIN: _ClassVar[Selector.Kind]
        KIND_IP: _ClassVar[Selector.Kind]
        KIND_SENDER_IP: _ClassVar[Selector.Kind]
        KIND_RECIPIENT_IP: _ClassVar[Selector.Kind]
        KIND_MESSAGE_ID: _ClassVar[Selector.Kind]
        KIND_QUEUE_ID: _ClassVar[Selector.Kind]
        KIND_USER: _ClassVar[Selector.Kind]
    KIND_UNSPECIFIED: Selector.Kind
    KIND_SENDER: Selector.Kind
    KIND_RECIPIENT: Selector.Kind
    KIND_ADDRESS: Selector.Kind
    KIND_DOMAIN: Selector.Kind
    KIND_IP: Selector.Kind
    KIND_SENDER_IP: Selector.Kind
    KIND_RECIPIENT_IP: Selector.Kind
    KIND_MESSAGE_ID: Selector.Kind
    KIND_QUEUE_ID: Selector.Kind
    KIND_USER: Selector.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    kind: Selector.Kind
    value: str
    host: str
    def __init__(self, kind: _Optional[_Union[Selector.Kind, str]] = ..., value: _Optional[str] = ..., host: _Optional[str] = ...) -> None: ...

class Scope(_message.Message):
    __slots__ = ("selectors", "window", "field_groups", "max_hits")
    SELECTORS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    FIELD_GROUPS_FIELD_NUMBER: _ClassVar[int]
    MAX_HITS_FIELD_NUMBER: _ClassVar[int]
    selectors: _containers.RepeatedCompositeFieldContainer[Selector]
    window: TimeWindow
    field_groups: _containers.RepeatedScalarFieldContainer[FieldGroup]
    max_hits: int
    def __init__(self, selectors: _Optional[_Iterable[_Union[Selector, _Mapping]]] = ..., window: _Optional[_Union[TimeWindow, _Mapping]] = ..., field_groups: _Optional[_Iterable[_Union[FieldGroup, str]]] = ..., max_hits: _Optional[int] = ...) -> None: ...

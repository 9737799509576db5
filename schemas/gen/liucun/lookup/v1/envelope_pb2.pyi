import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Envelope(_message.Message):
    __slots__ = ("record_id", "event_time", "accept_time", "observed_time", "time_quality", "alternative_event_time", "mta", "host", "instance", "queue_id", "message_key", "parent_message_key", "parent_queue_id", "next_queue_id", "message_id", "event", "kind", "direction", "sender", "recipient", "original_recipient", "sender_logged", "recipient_logged", "authenticated_user", "local_uid", "sender_ip", "sender_port", "sender_ip_origin", "sender_host", "helo", "recipient_ip", "recipient_port", "recipient_ip_origin", "recipient_host", "server_ip", "outcome", "is_final", "attempts", "dsn", "smtp_code", "size_bytes", "recipient_count", "tls", "access_protocol", "session_id", "flags", "agent_id", "agent_epoch", "agent_sequence", "source_name", "source_offset")
    class TimeQuality(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TIME_QUALITY_UNSPECIFIED: _ClassVar[Envelope.TimeQuality]
        TIME_QUALITY_EXACT: _ClassVar[Envelope.TimeQuality]
        TIME_QUALITY_YEAR_INFERRED: _ClassVar[Envelope.TimeQuality]
        TIME_QUALITY_ZONE_ASSUMED: _ClassVar[Envelope.TimeQuality]
        TIME_QUALITY_AMBIGUOUS_HOUR: _ClassVar[Envelope.TimeQuality]
    TIME_QUALITY_UNSPECIFIED: Envelope.TimeQuality
    TIME_QUALITY_EXACT: Envelope.TimeQuality
    TIME_QUALITY_YEAR_INFERRED: Envelope.TimeQuality
    TIME_QUALITY_ZONE_ASSUMED: Envelope.TimeQuality
    TIME_QUALITY_AMBIGUOUS_HOUR: Envelope.TimeQuality
    class Mta(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MTA_UNSPECIFIED: _ClassVar[Envelope.Mta]
        MTA_POSTFIX: _ClassVar[Envelope.Mta]
        MTA_EXIM: _ClassVar[Envelope.Mta]
        MTA_SENDMAIL: _ClassVar[Envelope.Mta]
        MTA_OPENSMTPD: _ClassVar[Envelope.Mta]
        MTA_EXCHANGE: _ClassVar[Envelope.Mta]
        MTA_DOVECOT: _ClassVar[Envelope.Mta]
    MTA_UNSPECIFIED: Envelope.Mta
    MTA_POSTFIX: Envelope.Mta
    MTA_EXIM: Envelope.Mta
    MTA_SENDMAIL: Envelope.Mta
    MTA_OPENSMTPD: Envelope.Mta
    MTA_EXCHANGE: Envelope.Mta
    MTA_DOVECOT: Envelope.Mta
    class Event(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        EVENT_UNSPECIFIED: _ClassVar[Envelope.Event]
        EVENT_DELIVERY: _ClassVar[Envelope.Event]
        EVENT_REFUSAL: _ClassVar[Envelope.Event]
        EVENT_MAILBOX_ACCESS: _ClassVar[Envelope.Event]
    EVENT_UNSPECIFIED: Envelope.Event
    EVENT_DELIVERY: Envelope.Event
    EVENT_REFUSAL: Envelope.Event
    EVENT_MAILBOX_ACCESS: Envelope.Event
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Envelope.Kind]
        KIND_MESSAGE: _ClassVar[Envelope.Kind]
        KIND_BOUNCE: _ClassVar[Envelope.Kind]
        KIND_DELAY_NOTICE: _ClassVar[Envelope.Kind]
        KIND_DELIVERY_NOTICE: _ClassVar[Envelope.Kind]
    KIND_UNSPECIFIED: Envelope.Kind
    KIND_MESSAGE: Envelope.Kind
    KIND_BOUNCE: Envelope.Kind
    KIND_DELAY_NOTICE: Envelope.Kind
    KIND_DELIVERY_NOTICE: Envelope.Kind
    class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DIRECTION_UNSPECIFIED: _ClassVar[Envelope.Direction]
        DIRECTION_INBOUND: _ClassVar[Envelope.Direction]
        DIRECTION_OUTBOUND: _ClassVar[Envelope.Direction]
        DIRECTION_INTERNAL: _ClassVar[Envelope.Direction]
        DIRECTION_TRANSIT: _ClassVar[Envelope.Direction]
        DIRECTION_UNKNOWN: _ClassVar[Envelope.Direction]
    DIRECTION_UNSPECIFIED: Envelope.Direction
    DIRECTION_INBOUND: Envelope.Direction
    DIRECTION_OUTBOUND: Envelope.Direction
    DIRECTION_INTERNAL: Envelope.Direction
    DIRECTION_TRANSIT: Envelope.Direction
    DIRECTION_UNKNOWN: Envelope.Direction
    class SenderIpOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SENDER_IP_ORIGIN_UNSPECIFIED: _ClassVar[Envelope.SenderIpOrigin]
        SENDER_IP_ORIGIN_CONNECTION: _ClassVar[Envelope.SenderIpOrigin]
        SENDER_IP_ORIGIN_FORWARDED: _ClassVar[Envelope.SenderIpOrigin]
        SENDER_IP_ORIGIN_PARENT: _ClassVar[Envelope.SenderIpOrigin]
        SENDER_IP_ORIGIN_LOCAL_PROCESS: _ClassVar[Envelope.SenderIpOrigin]
        SENDER_IP_ORIGIN_NOT_LOGGED: _ClassVar[Envelope.SenderIpOrigin]
        SENDER_IP_ORIGIN_UNKNOWN_TO_MTA: _ClassVar[Envelope.SenderIpOrigin]
    SENDER_IP_ORIGIN_UNSPECIFIED: Envelope.SenderIpOrigin
    SENDER_IP_ORIGIN_CONNECTION: Envelope.SenderIpOrigin
    SENDER_IP_ORIGIN_FORWARDED: Envelope.SenderIpOrigin
    SENDER_IP_ORIGIN_PARENT: Envelope.SenderIpOrigin
    SENDER_IP_ORIGIN_LOCAL_PROCESS: Envelope.SenderIpOrigin
    SENDER_IP_ORIGIN_NOT_LOGGED: Envelope.SenderIpOrigin
    SENDER_IP_ORIGIN_UNKNOWN_TO_MTA: Envelope.SenderIpOrigin
    class RecipientIpOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        RECIPIENT_IP_ORIGIN_UNSPECIFIED: _ClassVar[Envelope.RecipientIpOrigin]
        RECIPIENT_IP_ORIGIN_NEXT_HOP: _ClassVar[Envelope.RecipientIpOrigin]
        RECIPIENT_IP_ORIGIN_LOCAL_DELIVERY: _ClassVar[Envelope.RecipientIpOrigin]
        RECIPIENT_IP_ORIGIN_MAILBOX_CLIENT: _ClassVar[Envelope.RecipientIpOrigin]
        RECIPIENT_IP_ORIGIN_NOT_CONNECTED: _ClassVar[Envelope.RecipientIpOrigin]
        RECIPIENT_IP_ORIGIN_NOT_LOGGED: _ClassVar[Envelope.RecipientIpOrigin]
    RECIPIENT_IP_ORIGIN_UNSPECIFIED: Envelope.RecipientIpOrigin
    RECIPIENT_IP_ORIGIN_NEXT_HOP: Envelope.RecipientIpOrigin
    RECIPIENT_IP_ORIGIN_LOCAL_DELIVERY: Envelope.RecipientIpOrigin
    RECIPIENT_IP_ORIGIN_MAILBOX_CLIENT: Envelope.RecipientIpOrigin
    RECIPIENT_IP_ORIGIN_NOT_CONNECTED: Envelope.RecipientIpOrigin
    RECIPIENT_IP_ORIGIN_NOT_LOGGED: Envelope.RecipientIpOrigin
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[Envelope.Outcome]
        OUTCOME_SENT: _ClassVar[Envelope.Outcome]
        OUTCOME_DELIVERED: _ClassVar[Envelope.Outcome]
        OUTCOME_DEFERRED: _ClassVar[Envelope.Outcome]
        OUTCOME_BOUNCED: _ClassVar[Envelope.Outcome]
        OUTCOME_EXPIRED: _ClassVar[Envelope.Outcome]
        OUTCOME_REFUSED: _ClassVar[Envelope.Outcome]
        OUTCOME_DISCARDED: _ClassVar[Envelope.Outcome]
        OUTCOME_HELD: _ClassVar[Envelope.Outcome]
        OUTCOME_DELETED: _ClassVar[Envelope.Outcome]
        OUTCOME_ACCESSED: _ClassVar[Envelope.Outcome]
        OUTCOME_ACCESS_DENIED: _ClassVar[Envelope.Outcome]
        OUTCOME_UNKNOWN: _ClassVar[Envelope.Outcome]
    OUTCOME_UNSPECIFIED: Envelope.Outcome
    OUTCOME_SENT: Envelope.Outcome
    OUTCOME_DELIVERED: Envelope.Outcome
    OUTCOME_DEFERRED: Envelope.Outcome
    OUTCOME_BOUNCED: Envelope.Outcome
    OUTCOME_EXPIRED: Envelope.Outcome
    OUTCOME_REFUSED: Envelope.Outcome
    OUTCOME_DISCARDED: Envelope.Outcome
    OUTCOME_HELD: Envelope.Outcome
    OUTCOME_DELETED: Envelope.Outcome
    OUTCOME_ACCESSED: Envelope.Outcome
    OUTCOME_ACCESS_DENIED: Envelope.Outcome
    OUTCOME_UNKNOWN: Envelope.Outcome
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_TIME_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_TIME_FIELD_NUMBER: _ClassVar[int]
    TIME_QUALITY_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVE_EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    MTA_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_KEY_FIELD_NUMBER: _ClassVar[int]
    PARENT_MESSAGE_KEY_FIELD_NUMBER: _ClassVar[int]
    PARENT_QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    NEXT_QUEUE_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    SENDER_LOGGED_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_LOGGED_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATED_USER_FIELD_NUMBER: _ClassVar[int]
    LOCAL_UID_FIELD_NUMBER: _ClassVar[int]
    SENDER_IP_FIELD_NUMBER: _ClassVar[int]
    SENDER_PORT_FIELD_NUMBER: _ClassVar[int]
    SENDER_IP_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    SENDER_HOST_FIELD_NUMBER: _ClassVar[int]
    HELO_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_IP_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_PORT_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_IP_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_HOST_FIELD_NUMBER: _ClassVar[int]
    SERVER_IP_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    IS_FINAL_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DSN_FIELD_NUMBER: _ClassVar[int]
    SMTP_CODE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    TLS_FIELD_NUMBER: _ClassVar[int]
    ACCESS_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_EPOCH_FIELD_NUMBER: _ClassVar[int]
    AGENT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_OFFSET_FIELD_NUMBER: _ClassVar[int]
    record_id: str
    event_time: _timestamp_pb2.Timestamp
    accept_time: _timestamp_pb2.Timestamp
    observed_time: _timestamp_pb2.Timestamp
    time_quality: Envelope.TimeQuality
    alternative_event_time: _timestamp_pb2.Timestamp
    mta: Envelope.Mta
    host: str
    instance: str
    queue_id: str
    message_key: str
    parent_message_key: str
    parent_queue_id: str
    next_queue_id: str
    message_id: str
    event: Envelope.Event
    kind: Envelope.Kind
    direction: Envelope.Direction
    sender: str
    recipient: str
    original_recipient: str
    sender_logged: str
    recipient_logged: str
    authenticated_user: str
    local_uid: int
    sender_ip: str
    sender_port: int
    sender_ip_origin: Envelope.SenderIpOrigin
    sender_host: str
    helo: str
    recipient_ip: str
    recipient_port: int
    recipient_ip_origin: Envelope.RecipientIpOrigin
    recipient_host: str
    server_ip: str
    outcome: Envelope.Outcome
    is_final: bool
    attempts: int
    dsn: str
    smtp_code: int
    size_bytes: int
    recipient_count: int
    tls: str
    access_protocol: str
    session_id: str
    flags: _containers.RepeatedScalarFieldContainer[str]
    agent_id: str
    agent_epoch: int
    agent_sequence: int
    source_name: str
    source_offset: int
    def __init__(self, record_id: _Optional[str] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., accept_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., observed_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., time_quality: _Optional[_Union[Envelope.TimeQuality, str]] = ..., alternative_event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., mta: _Optional[_Union[Envelope.Mta, str]] = ..., host: _Optional[str] = ..., instance: _Optional[str] = ..., queue_id: _Optional[str] = ..., message_key: _Optional[str] = ..., parent_message_key: _Optional[str] = ..., parent_queue_id: _Optional[str] = ..., next_queue_id: _Optional[str] = ..., message_id: _Optional[str] = ..., event: _Optional[_Union[Envelope.Event, str]] = ..., kind: _Optional[_Union[Envelope.Kind, str]] = ..., direction: _Optional[_Union[Envelope.Direction, str]] = ..., sender: _Optional[str] = ..., recipient: _Optional[str] = ..., original_recipient: _Optional[str] = ..., sender_logged: _Optional[str] = ..., recipient_logged: _Optional[str] = ..., authenticated_user: _Optional[str] = ..., local_uid: _Optional[int] = ..., sender_ip: _Optional[str] = ..., sender_port: _Optional[int] = ..., sender_ip_origin: _Optional[_Union[Envelope.SenderIpOrigin, str]] = ..., sender_host: _Optional[str] = ..., helo: _Optional[str] = ..., recipient_ip: _Optional[str] = ..., recipient_port: _Optional[int] = ..., recipient_ip_origin: _Optional[_Union[Envelope.RecipientIpOrigin, str]] = ..., recipient_host: _Optional[str] = ..., server_ip: _Optional[str] = ..., outcome: _Optional[_Union[Envelope.Outcome, str]] = ..., is_final: _Optional[bool] = ..., attempts: _Optional[int] = ..., dsn: _Optional[str] = ..., smtp_code: _Optional[int] = ..., size_bytes: _Optional[int] = ..., recipient_count: _Optional[int] = ..., tls: _Optional[str] = ..., access_protocol: _Optional[str] = ..., session_id: _Optional[str] = ..., flags: _Optional[_Iterable[str]] = ..., agent_id: _Optional[str] = ..., agent_epoch: _Optional[int] = ..., agent_sequence: _Optional[int] = ..., source_name: _Optional[str] = ..., source_offset: _Optional[int] = ...) -> None: ...

import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from liucun.authorization.v1 import scope_pb2 as _scope_pb2
from liucun.registry.v1 import statement_pb2 as _statement_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LegalType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEGAL_TYPE_UNSPECIFIED: _ClassVar[LegalType]
    LEGAL_TYPE_EVIDENCE_RETRIEVAL_NOTICE: _ClassVar[LegalType]
    LEGAL_TYPE_STATE_SECURITY_NOTICE: _ClassVar[LegalType]
    LEGAL_TYPE_SUPERVISION_NOTICE: _ClassVar[LegalType]
    LEGAL_TYPE_COURT_ORDER: _ClassVar[LegalType]
    LEGAL_TYPE_COMPLAINT_LETTER: _ClassVar[LegalType]
    LEGAL_TYPE_FOREIGN_REQUEST: _ClassVar[LegalType]

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_ROUTINE: _ClassVar[Priority]
    PRIORITY_HIGH: _ClassVar[Priority]

class AuthorizationStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUTHORIZATION_STATUS_UNSPECIFIED: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_AWAITING_APPROVAL: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_EMERGENCY_APPROVAL: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_APPROVED: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_REJECTED: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_SUSPENDED: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_CANCELLED: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_EXPIRED: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_INVALID: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_CREATING_FOR_CSP: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_SUBMITTED_TO_CSP: _ClassVar[AuthorizationStatus]
    AUTHORIZATION_STATUS_AWAITING_UPDATE_APPROVAL: _ClassVar[AuthorizationStatus]

class ReceivedBy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECEIVED_BY_UNSPECIFIED: _ClassVar[ReceivedBy]
    RECEIVED_BY_ELECTRONIC: _ClassVar[ReceivedBy]
    RECEIVED_BY_COUNTER: _ClassVar[ReceivedBy]
    RECEIVED_BY_FAX: _ClassVar[ReceivedBy]
    RECEIVED_BY_LETTER: _ClassVar[ReceivedBy]
    RECEIVED_BY_PORTAL: _ClassVar[ReceivedBy]
LEGAL_TYPE_UNSPECIFIED: LegalType
LEGAL_TYPE_EVIDENCE_RETRIEVAL_NOTICE: LegalType
LEGAL_TYPE_STATE_SECURITY_NOTICE: LegalType
LEGAL_TYPE_SUPERVISION_NOTICE: LegalType
LEGAL_TYPE_COURT_ORDER: LegalType
LEGAL_TYPE_COMPLAINT_LETTER: LegalType
LEGAL_TYPE_FOREIGN_REQUEST: LegalType
PRIORITY_UNSPECIFIED: Priority
PRIORITY_ROUTINE: Priority
PRIORITY_HIGH: Priority
AUTHORIZATION_STATUS_UNSPECIFIED: AuthorizationStatus
AUTHORIZATION_STATUS_AWAITING_APPROVAL: AuthorizationStatus
AUTHORIZATION_STATUS_EMERGENCY_APPROVAL: AuthorizationStatus
AUTHORIZATION_STATUS_APPROVED: AuthorizationStatus
AUTHORIZATION_STATUS_REJECTED: AuthorizationStatus
AUTHORIZATION_STATUS_SUSPENDED: AuthorizationStatus
AUTHORIZATION_STATUS_CANCELLED: AuthorizationStatus
AUTHORIZATION_STATUS_EXPIRED: AuthorizationStatus
AUTHORIZATION_STATUS_INVALID: AuthorizationStatus
AUTHORIZATION_STATUS_CREATING_FOR_CSP: AuthorizationStatus
AUTHORIZATION_STATUS_SUBMITTED_TO_CSP: AuthorizationStatus
AUTHORIZATION_STATUS_AWAITING_UPDATE_APPROVAL: AuthorizationStatus
RECEIVED_BY_UNSPECIFIED: ReceivedBy
RECEIVED_BY_ELECTRONIC: ReceivedBy
RECEIVED_BY_COUNTER: ReceivedBy
RECEIVED_BY_FAX: ReceivedBy
RECEIVED_BY_LETTER: ReceivedBy
RECEIVED_BY_PORTAL: ReceivedBy

class NamedPerson(_message.Message):
    __slots__ = ("display_name", "role", "identity")
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    display_name: str
    role: str
    identity: str
    def __init__(self, display_name: _Optional[str] = ..., role: _Optional[str] = ..., identity: _Optional[str] = ...) -> None: ...

class Instrument(_message.Message):
    __slots__ = ("document_number", "case_name", "case_number", "unit", "approver", "handlers", "issuer", "issue_time", "due_time", "evidence_sought")
    DOCUMENT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    CASE_NAME_FIELD_NUMBER: _ClassVar[int]
    CASE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    APPROVER_FIELD_NUMBER: _ClassVar[int]
    HANDLERS_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    ISSUE_TIME_FIELD_NUMBER: _ClassVar[int]
    DUE_TIME_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_SOUGHT_FIELD_NUMBER: _ClassVar[int]
    document_number: str
    case_name: str
    case_number: str
    unit: str
    approver: NamedPerson
    handlers: _containers.RepeatedCompositeFieldContainer[NamedPerson]
    issuer: NamedPerson
    issue_time: _timestamp_pb2.Timestamp
    due_time: _timestamp_pb2.Timestamp
    evidence_sought: str
    def __init__(self, document_number: _Optional[str] = ..., case_name: _Optional[str] = ..., case_number: _Optional[str] = ..., unit: _Optional[str] = ..., approver: _Optional[_Union[NamedPerson, _Mapping]] = ..., handlers: _Optional[_Iterable[_Union[NamedPerson, _Mapping]]] = ..., issuer: _Optional[_Union[NamedPerson, _Mapping]] = ..., issue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., due_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., evidence_sought: _Optional[str] = ...) -> None: ...

class Document(_message.Message):
    __slots__ = ("sha256", "media_type", "body")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    media_type: str
    body: bytes
    def __init__(self, sha256: _Optional[str] = ..., media_type: _Optional[str] = ..., body: _Optional[bytes] = ...) -> None: ...

class ApprovalDetails(_message.Message):
    __slots__ = ("approver", "approval_time", "approval_is_emergency", "approval_digital_signature", "ledger_index")
    APPROVER_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_TIME_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_IS_EMERGENCY_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_DIGITAL_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    LEDGER_INDEX_FIELD_NUMBER: _ClassVar[int]
    approver: str
    approval_time: _timestamp_pb2.Timestamp
    approval_is_emergency: bool
    approval_digital_signature: _statement_pb2.SignedStatement
    ledger_index: int
    def __init__(self, approver: _Optional[str] = ..., approval_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., approval_is_emergency: _Optional[bool] = ..., approval_digital_signature: _Optional[_Union[_statement_pb2.SignedStatement, _Mapping]] = ..., ledger_index: _Optional[int] = ...) -> None: ...

class Authorization(_message.Message):
    __slots__ = ("name", "authorization_reference", "legal_type", "priority", "status", "timespan", "served_time", "instrument", "document", "scope", "received_by", "requester", "policy_version", "request_hash", "approval_details", "invalid_reason", "generation", "create_time", "termination_time", "hits_used")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    LEGAL_TYPE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TIMESPAN_FIELD_NUMBER: _ClassVar[int]
    SERVED_TIME_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_BY_FIELD_NUMBER: _ClassVar[int]
    REQUESTER_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_HASH_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_DETAILS_FIELD_NUMBER: _ClassVar[int]
    INVALID_REASON_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    TERMINATION_TIME_FIELD_NUMBER: _ClassVar[int]
    HITS_USED_FIELD_NUMBER: _ClassVar[int]
    name: str
    authorization_reference: str
    legal_type: LegalType
    priority: Priority
    status: AuthorizationStatus
    timespan: _scope_pb2.TimeWindow
    served_time: _timestamp_pb2.Timestamp
    instrument: Instrument
    document: Document
    scope: _scope_pb2.Scope
    received_by: ReceivedBy
    requester: str
    policy_version: str
    request_hash: str
    approval_details: _containers.RepeatedCompositeFieldContainer[ApprovalDetails]
    invalid_reason: str
    generation: int
    create_time: _timestamp_pb2.Timestamp
    termination_time: _timestamp_pb2.Timestamp
    hits_used: int
    def __init__(self, name: _Optional[str] = ..., authorization_reference: _Optional[str] = ..., legal_type: _Optional[_Union[LegalType, str]] = ..., priority: _Optional[_Union[Priority, str]] = ..., status: _Optional[_Union[AuthorizationStatus, str]] = ..., timespan: _Optional[_Union[_scope_pb2.TimeWindow, _Mapping]] = ..., served_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., instrument: _Optional[_Union[Instrument, _Mapping]] = ..., document: _Optional[_Union[Document, _Mapping]] = ..., scope: _Optional[_Union[_scope_pb2.Scope, _Mapping]] = ..., received_by: _Optional[_Union[ReceivedBy, str]] = ..., requester: _Optional[str] = ..., policy_version: _Optional[str] = ..., request_hash: _Optional[str] = ..., approval_details: _Optional[_Iterable[_Union[ApprovalDetails, _Mapping]]] = ..., invalid_reason: _Optional[str] = ..., generation: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., termination_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., hits_used: _Optional[int] = ...) -> None: ...

class CreateAuthorizationRequest(_message.Message):
    __slots__ = ("parent", "authorization", "request_id")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    authorization: Authorization
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., authorization: _Optional[_Union[Authorization, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateAuthorizationResponse(_message.Message):
    __slots__ = ("authorization",)
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    authorization: Authorization
    def __init__(self, authorization: _Optional[_Union[Authorization, _Mapping]] = ...) -> None: ...

class GetAuthorizationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetAuthorizationResponse(_message.Message):
    __slots__ = ("authorization",)
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    authorization: Authorization
    def __init__(self, authorization: _Optional[_Union[Authorization, _Mapping]] = ...) -> None: ...

class GetDocumentRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetDocumentResponse(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: Document
    def __init__(self, document: _Optional[_Union[Document, _Mapping]] = ...) -> None: ...

class ListAuthorizationsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAuthorizationsResponse(_message.Message):
    __slots__ = ("authorizations", "next_page_token")
    AUTHORIZATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    authorizations: _containers.RepeatedCompositeFieldContainer[Authorization]
    next_page_token: str
    def __init__(self, authorizations: _Optional[_Iterable[_Union[Authorization, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ApproveAuthorizationRequest(_message.Message):
    __slots__ = ("name", "signed_statement")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIGNED_STATEMENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    signed_statement: _statement_pb2.SignedStatement
    def __init__(self, name: _Optional[str] = ..., signed_statement: _Optional[_Union[_statement_pb2.SignedStatement, _Mapping]] = ...) -> None: ...

class ApproveAuthorizationResponse(_message.Message):
    __slots__ = ("authorization",)
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    authorization: Authorization
    def __init__(self, authorization: _Optional[_Union[Authorization, _Mapping]] = ...) -> None: ...

class RejectAuthorizationRequest(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RejectAuthorizationResponse(_message.Message):
    __slots__ = ("authorization",)
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    authorization: Authorization
    def __init__(self, authorization: _Optional[_Union[Authorization, _Mapping]] = ...) -> None: ...

class RevokeAuthorizationRequest(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RevokeAuthorizationResponse(_message.Message):
    __slots__ = ("authorization",)
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    authorization: Authorization
    def __init__(self, authorization: _Optional[_Union[Authorization, _Mapping]] = ...) -> None: ...

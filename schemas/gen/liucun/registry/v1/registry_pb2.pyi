import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from liucun.registry.v1 import statement_pb2 as _statement_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EnrolmentState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENROLMENT_STATE_UNSPECIFIED: _ClassVar[EnrolmentState]
    ENROLMENT_STATE_ENTERED: _ClassVar[EnrolmentState]
    ENROLMENT_STATE_ACTIVE: _ClassVar[EnrolmentState]
    ENROLMENT_STATE_REVOKED: _ClassVar[EnrolmentState]

class AgencyClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AGENCY_CLASS_UNSPECIFIED: _ClassVar[AgencyClass]
    AGENCY_CLASS_PUBLIC_SECURITY: _ClassVar[AgencyClass]
    AGENCY_CLASS_STATE_SECURITY: _ClassVar[AgencyClass]
    AGENCY_CLASS_PROCURATORATE: _ClassVar[AgencyClass]
    AGENCY_CLASS_SUPERVISION: _ClassVar[AgencyClass]
    AGENCY_CLASS_MILITARY: _ClassVar[AgencyClass]
    AGENCY_CLASS_COAST_GUARD: _ClassVar[AgencyClass]
    AGENCY_CLASS_COURT: _ClassVar[AgencyClass]
    AGENCY_CLASS_REGULATOR: _ClassVar[AgencyClass]

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_PREPARER: _ClassVar[Role]
    ROLE_REVIEWER: _ClassVar[Role]
    ROLE_LEGAL: _ClassVar[Role]
    ROLE_OPERATOR: _ClassVar[Role]
    ROLE_AUDITOR: _ClassVar[Role]
ENROLMENT_STATE_UNSPECIFIED: EnrolmentState
ENROLMENT_STATE_ENTERED: EnrolmentState
ENROLMENT_STATE_ACTIVE: EnrolmentState
ENROLMENT_STATE_REVOKED: EnrolmentState
AGENCY_CLASS_UNSPECIFIED: AgencyClass
AGENCY_CLASS_PUBLIC_SECURITY: AgencyClass
AGENCY_CLASS_STATE_SECURITY: AgencyClass
AGENCY_CLASS_PROCURATORATE: AgencyClass
AGENCY_CLASS_SUPERVISION: AgencyClass
AGENCY_CLASS_MILITARY: AgencyClass
AGENCY_CLASS_COAST_GUARD: AgencyClass
AGENCY_CLASS_COURT: AgencyClass
AGENCY_CLASS_REGULATOR: AgencyClass
ROLE_UNSPECIFIED: Role
ROLE_PREPARER: Role
ROLE_REVIEWER: Role
ROLE_LEGAL: Role
ROLE_OPERATOR: Role
ROLE_AUDITOR: Role

class Officer(_message.Message):
    __slots__ = ("name", "display_name", "public_key")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    public_key: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., public_key: _Optional[str] = ...) -> None: ...

class Agency(_message.Message):
    __slots__ = ("name", "display_name", "agency_class", "officers", "state", "document_hash", "pending_document_hash", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    AGENCY_CLASS_FIELD_NUMBER: _ClassVar[int]
    OFFICERS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    PENDING_DOCUMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    agency_class: AgencyClass
    officers: _containers.RepeatedCompositeFieldContainer[Officer]
    state: EnrolmentState
    document_hash: str
    pending_document_hash: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., agency_class: _Optional[_Union[AgencyClass, str]] = ..., officers: _Optional[_Iterable[_Union[Officer, _Mapping]]] = ..., state: _Optional[_Union[EnrolmentState, str]] = ..., document_hash: _Optional[str] = ..., pending_document_hash: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Person(_message.Message):
    __slots__ = ("name", "display_name", "roles", "public_key", "state", "document_hash", "pending_document_hash", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    PENDING_DOCUMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    roles: _containers.RepeatedScalarFieldContainer[Role]
    public_key: str
    state: EnrolmentState
    document_hash: str
    pending_document_hash: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., roles: _Optional[_Iterable[_Union[Role, str]]] = ..., public_key: _Optional[str] = ..., state: _Optional[_Union[EnrolmentState, str]] = ..., document_hash: _Optional[str] = ..., pending_document_hash: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateAgencyRequest(_message.Message):
    __slots__ = ("agency", "signed_statement")
    AGENCY_FIELD_NUMBER: _ClassVar[int]
    SIGNED_STATEMENT_FIELD_NUMBER: _ClassVar[int]
    agency: Agency
    signed_statement: _statement_pb2.SignedStatement
    def __init__(self, agency: _Optional[_Union[Agency, _Mapping]] = ..., signed_statement: _Optional[_Union[_statement_pb2.SignedStatement, _Mapping]] = ...) -> None: ...

class CreateAgencyResponse(_message.Message):
    __slots__ = ("agency",)
    AGENCY_FIELD_NUMBER: _ClassVar[int]
    agency: Agency
    def __init__(self, agency: _Optional[_Union[Agency, _Mapping]] = ...) -> None: ...

class ApproveAgencyRequest(_message.Message):
    __slots__ = ("name", "signed_statement")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIGNED_STATEMENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    signed_statement: _statement_pb2.SignedStatement
    def __init__(self, name: _Optional[str] = ..., signed_statement: _Optional[_Union[_statement_pb2.SignedStatement, _Mapping]] = ...) -> None: ...

class ApproveAgencyResponse(_message.Message):
    __slots__ = ("agency",)
    AGENCY_FIELD_NUMBER: _ClassVar[int]
    agency: Agency
    def __init__(self, agency: _Optional[_Union[Agency, _Mapping]] = ...) -> None: ...

class RevokeAgencyRequest(_message.Message):
    __slots__ = ("name", "signed_statement", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIGNED_STATEMENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    signed_statement: _statement_pb2.SignedStatement
    reason: str
    def __init__(self, name: _Optional[str] = ..., signed_statement: _Optional[_Union[_statement_pb2.SignedStatement, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class RevokeAgencyResponse(_message.Message):
    __slots__ = ("agency",)
    AGENCY_FIELD_NUMBER: _ClassVar[int]
    agency: Agency
    def __init__(self, agency: _Optional[_Union[Agency, _Mapping]] = ...) -> None: ...

class ListAgenciesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAgenciesResponse(_message.Message):
    __slots__ = ("agencies", "next_page_token")
    AGENCIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    agencies: _containers.RepeatedCompositeFieldContainer[Agency]
    next_page_token: str
    def __init__(self, agencies: _Optional[_Iterable[_Union[Agency, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreatePersonRequest(_message.Message):
    __slots__ = ("person", "signed_statement")
    PERSON_FIELD_NUMBER: _ClassVar[int]
    SIGNED_STATEMENT_FIELD_NUMBER: _ClassVar[int]
    person: Person
    signed_statement: _statement_pb2.SignedStatement
    def __init__(self, person: _Optional[_Union[Person, _Mapping]] = ..., signed_statement: _Optional[_Union[_statement_pb2.SignedStatement, _Mapping]] = ...) -> None: ...

class CreatePersonResponse(_message.Message):
    __slots__ = ("person",)
    PERSON_FIELD_NUMBER: _ClassVar[int]
    person: Person
    def __init__(self, person: _Optional[_Union[Person, _Mapping]] = ...) -> None: ...

class ApprovePersonRequest(_message.Message):
    __slots__ = ("name", "signed_statement")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIGNED_STATEMENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    signed_statement: _statement_pb2.SignedStatement
    def __init__(self, name: _Optional[str] = ..., signed_statement: _Optional[_Union[_statement_pb2.SignedStatement, _Mapping]] = ...) -> None: ...

class ApprovePersonResponse(_message.Message):
    __slots__ = ("person",)
    PERSON_FIELD_NUMBER: _ClassVar[int]
    person: Person
    def __init__(self, person: _Optional[_Union[Person, _Mapping]] = ...) -> None: ...

class RevokePersonRequest(_message.Message):
    __slots__ = ("name", "signed_statement", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIGNED_STATEMENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    signed_statement: _statement_pb2.SignedStatement
    reason: str
    def __init__(self, name: _Optional[str] = ..., signed_statement: _Optional[_Union[_statement_pb2.SignedStatement, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class RevokePersonResponse(_message.Message):
    __slots__ = ("person",)
    PERSON_FIELD_NUMBER: _ClassVar[int]
    person: Person
    def __init__(self, person: _Optional[_Union[Person, _Mapping]] = ...) -> None: ...

class ListPersonsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPersonsResponse(_message.Message):
    __slots__ = ("persons", "next_page_token")
    PERSONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    persons: _containers.RepeatedCompositeFieldContainer[Person]
    next_page_token: str
    def __init__(self, persons: _Optional[_Iterable[_Union[Person, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

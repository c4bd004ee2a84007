import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubjectKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUBJECT_KIND_UNSPECIFIED: _ClassVar[SubjectKind]
    SUBJECT_KIND_USER: _ClassVar[SubjectKind]
    SUBJECT_KIND_SERVICE: _ClassVar[SubjectKind]

class InvalidReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INVALID_REASON_UNSPECIFIED: _ClassVar[InvalidReason]
    INVALID_REASON_EXPIRED: _ClassVar[InvalidReason]
    INVALID_REASON_NOT_YET_VALID: _ClassVar[InvalidReason]
    INVALID_REASON_MALFORMED: _ClassVar[InvalidReason]
    INVALID_REASON_BAD_SIGNATURE: _ClassVar[InvalidReason]
    INVALID_REASON_UNKNOWN_KEY: _ClassVar[InvalidReason]
    INVALID_REASON_WRONG_AUDIENCE: _ClassVar[InvalidReason]
    INVALID_REASON_WRONG_ISSUER: _ClassVar[InvalidReason]
    INVALID_REASON_WRONG_TYPE: _ClassVar[InvalidReason]
    INVALID_REASON_REVOKED: _ClassVar[InvalidReason]
SUBJECT_KIND_UNSPECIFIED: SubjectKind
SUBJECT_KIND_USER: SubjectKind
SUBJECT_KIND_SERVICE: SubjectKind
INVALID_REASON_UNSPECIFIED: InvalidReason
INVALID_REASON_EXPIRED: InvalidReason
INVALID_REASON_NOT_YET_VALID: InvalidReason
INVALID_REASON_MALFORMED: InvalidReason
INVALID_REASON_BAD_SIGNATURE: InvalidReason
INVALID_REASON_UNKNOWN_KEY: InvalidReason
INVALID_REASON_WRONG_AUDIENCE: InvalidReason
INVALID_REASON_WRONG_ISSUER: InvalidReason
INVALID_REASON_WRONG_TYPE: InvalidReason
INVALID_REASON_REVOKED: InvalidReason

class VerifiedToken(_message.Message):
    __slots__ = ("subject", "username", "session_id", "roles", "audiences", "token_id", "issued_at", "expires_at", "auth_time", "amr", "custom_claims", "external_id", "subject_kind")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    AUTH_TIME_FIELD_NUMBER: _ClassVar[int]
    AMR_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_CLAIMS_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_KIND_FIELD_NUMBER: _ClassVar[int]
    subject: str
    username: str
    session_id: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    audiences: _containers.RepeatedScalarFieldContainer[str]
    token_id: str
    issued_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    auth_time: _timestamp_pb2.Timestamp
    amr: _containers.RepeatedScalarFieldContainer[str]
    custom_claims: _struct_pb2.Struct
    external_id: str
    subject_kind: SubjectKind
    def __init__(self, subject: _Optional[str] = ..., username: _Optional[str] = ..., session_id: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., audiences: _Optional[_Iterable[str]] = ..., token_id: _Optional[str] = ..., issued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., auth_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., amr: _Optional[_Iterable[str]] = ..., custom_claims: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., external_id: _Optional[str] = ..., subject_kind: _Optional[_Union[SubjectKind, str]] = ...) -> None: ...

class InvalidToken(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: InvalidReason
    def __init__(self, reason: _Optional[_Union[InvalidReason, str]] = ...) -> None: ...

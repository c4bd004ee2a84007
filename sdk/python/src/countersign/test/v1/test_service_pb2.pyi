import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TokenKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOKEN_KIND_UNSPECIFIED: _ClassVar[TokenKind]
    TOKEN_KIND_ACCESS: _ClassVar[TokenKind]
    TOKEN_KIND_REFRESH: _ClassVar[TokenKind]

class TokenState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOKEN_STATE_UNSPECIFIED: _ClassVar[TokenState]
    TOKEN_STATE_GOOD: _ClassVar[TokenState]
    TOKEN_STATE_EXPIRED: _ClassVar[TokenState]
    TOKEN_STATE_NOT_YET_VALID: _ClassVar[TokenState]
    TOKEN_STATE_WRONG_AUDIENCE: _ClassVar[TokenState]
    TOKEN_STATE_WRONG_ISSUER: _ClassVar[TokenState]
    TOKEN_STATE_REVOKED: _ClassVar[TokenState]
    TOKEN_STATE_UNKNOWN_KEY: _ClassVar[TokenState]
    TOKEN_STATE_WITHDRAWN_KEY: _ClassVar[TokenState]
    TOKEN_STATE_BAD_SIGNATURE: _ClassVar[TokenState]
    TOKEN_STATE_MALFORMED: _ClassVar[TokenState]
    TOKEN_STATE_REUSED: _ClassVar[TokenState]
TOKEN_KIND_UNSPECIFIED: TokenKind
TOKEN_KIND_ACCESS: TokenKind
TOKEN_KIND_REFRESH: TokenKind
TOKEN_STATE_UNSPECIFIED: TokenState
TOKEN_STATE_GOOD: TokenState
TOKEN_STATE_EXPIRED: TokenState
TOKEN_STATE_NOT_YET_VALID: TokenState
TOKEN_STATE_WRONG_AUDIENCE: TokenState
TOKEN_STATE_WRONG_ISSUER: TokenState
TOKEN_STATE_REVOKED: TokenState
TOKEN_STATE_UNKNOWN_KEY: TokenState
TOKEN_STATE_WITHDRAWN_KEY: TokenState
TOKEN_STATE_BAD_SIGNATURE: TokenState
TOKEN_STATE_MALFORMED: TokenState
TOKEN_STATE_REUSED: TokenState

class MintTokenRequest(_message.Message):
    __slots__ = ("kind", "state", "user_id", "username", "roles", "custom_claims", "external_id", "audiences", "lifetime")
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_CLAIMS_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_ID_FIELD_NUMBER: _ClassVar[int]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_FIELD_NUMBER: _ClassVar[int]
    kind: TokenKind
    state: TokenState
    user_id: str
    username: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    custom_claims: _struct_pb2.Struct
    external_id: str
    audiences: _containers.RepeatedScalarFieldContainer[str]
    lifetime: _duration_pb2.Duration
    def __init__(self, kind: _Optional[_Union[TokenKind, str]] = ..., state: _Optional[_Union[TokenState, str]] = ..., user_id: _Optional[str] = ..., username: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., custom_claims: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., external_id: _Optional[str] = ..., audiences: _Optional[_Iterable[str]] = ..., lifetime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class MintTokenResponse(_message.Message):
    __slots__ = ("token", "user_id", "username", "session_id", "expires_at", "position")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    token: str
    user_id: str
    username: str
    session_id: str
    expires_at: _timestamp_pb2.Timestamp
    position: str
    def __init__(self, token: _Optional[str] = ..., user_id: _Optional[str] = ..., username: _Optional[str] = ..., session_id: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., position: _Optional[str] = ...) -> None: ...

class AdvanceClockRequest(_message.Message):
    __slots__ = ("by",)
    BY_FIELD_NUMBER: _ClassVar[int]
    by: _duration_pb2.Duration
    def __init__(self, by: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class AdvanceClockResponse(_message.Message):
    __slots__ = ("now", "ahead")
    NOW_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    now: _timestamp_pb2.Timestamp
    ahead: _duration_pb2.Duration
    def __init__(self, now: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ahead: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GetWorldRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetWorldResponse(_message.Message):
    __slots__ = ("name", "now", "ahead", "issuer", "audiences", "streams", "stalled", "failures")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    STALLED_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    name: str
    now: _timestamp_pb2.Timestamp
    ahead: _duration_pb2.Duration
    issuer: str
    audiences: _containers.RepeatedScalarFieldContainer[str]
    streams: int
    stalled: bool
    failures: int
    def __init__(self, name: _Optional[str] = ..., now: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ahead: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., issuer: _Optional[str] = ..., audiences: _Optional[_Iterable[str]] = ..., streams: _Optional[int] = ..., stalled: bool = ..., failures: _Optional[int] = ...) -> None: ...

class FailMethodRequest(_message.Message):
    __slots__ = ("method", "reason", "code", "times", "delay")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    method: str
    reason: str
    code: int
    times: int
    delay: _duration_pb2.Duration
    def __init__(self, method: _Optional[str] = ..., reason: _Optional[str] = ..., code: _Optional[int] = ..., times: _Optional[int] = ..., delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class FailMethodResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClearFailuresRequest(_message.Message):
    __slots__ = ("method",)
    METHOD_FIELD_NUMBER: _ClassVar[int]
    method: str
    def __init__(self, method: _Optional[str] = ...) -> None: ...

class ClearFailuresResponse(_message.Message):
    __slots__ = ("cleared",)
    CLEARED_FIELD_NUMBER: _ClassVar[int]
    cleared: int
    def __init__(self, cleared: _Optional[int] = ...) -> None: ...

class StallStreamsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StallStreamsResponse(_message.Message):
    __slots__ = ("streams",)
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    streams: int
    def __init__(self, streams: _Optional[int] = ...) -> None: ...

class ResumeStreamsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResumeStreamsResponse(_message.Message):
    __slots__ = ("streams",)
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    streams: int
    def __init__(self, streams: _Optional[int] = ...) -> None: ...

class EndStreamsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EndStreamsResponse(_message.Message):
    __slots__ = ("streams",)
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    streams: int
    def __init__(self, streams: _Optional[int] = ...) -> None: ...

class ResetWorldRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResetWorldResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CreateWorldRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class CreateWorldResponse(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteWorldRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteWorldResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: bool
    def __init__(self, deleted: bool = ...) -> None: ...

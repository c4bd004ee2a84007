import datetime

from countersign.v1 import session_pb2 as _session_pb2
from countersign.v1 import user_service_pb2 as _user_service_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SessionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_STATE_UNSPECIFIED: _ClassVar[SessionState]
    SESSION_STATE_ALIVE: _ClassVar[SessionState]
    SESSION_STATE_REVOKED: _ClassVar[SessionState]
    SESSION_STATE_UNKNOWN: _ClassVar[SessionState]

class SessionEndCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_END_CAUSE_UNSPECIFIED: _ClassVar[SessionEndCause]
    SESSION_END_CAUSE_LOGGED_OUT: _ClassVar[SessionEndCause]
    SESSION_END_CAUSE_LOGGED_OUT_EVERYWHERE: _ClassVar[SessionEndCause]
    SESSION_END_CAUSE_PASSWORD_CHANGED: _ClassVar[SessionEndCause]
    SESSION_END_CAUSE_SIGNED_IN_ELSEWHERE: _ClassVar[SessionEndCause]
    SESSION_END_CAUSE_REVOKED_BY_ADMINISTRATOR: _ClassVar[SessionEndCause]
    SESSION_END_CAUSE_USER_DISABLED: _ClassVar[SessionEndCause]
    SESSION_END_CAUSE_USER_DELETED: _ClassVar[SessionEndCause]
    SESSION_END_CAUSE_TOKEN_REUSED: _ClassVar[SessionEndCause]
SESSION_STATE_UNSPECIFIED: SessionState
SESSION_STATE_ALIVE: SessionState
SESSION_STATE_REVOKED: SessionState
SESSION_STATE_UNKNOWN: SessionState
SESSION_END_CAUSE_UNSPECIFIED: SessionEndCause
SESSION_END_CAUSE_LOGGED_OUT: SessionEndCause
SESSION_END_CAUSE_LOGGED_OUT_EVERYWHERE: SessionEndCause
SESSION_END_CAUSE_PASSWORD_CHANGED: SessionEndCause
SESSION_END_CAUSE_SIGNED_IN_ELSEWHERE: SessionEndCause
SESSION_END_CAUSE_REVOKED_BY_ADMINISTRATOR: SessionEndCause
SESSION_END_CAUSE_USER_DISABLED: SessionEndCause
SESSION_END_CAUSE_USER_DELETED: SessionEndCause
SESSION_END_CAUSE_TOKEN_REUSED: SessionEndCause

class ListSessionsRequest(_message.Message):
    __slots__ = ("user", "page_size", "page_token")
    USER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    user: _user_service_pb2.UserRef
    page_size: int
    page_token: str
    def __init__(self, user: _Optional[_Union[_user_service_pb2.UserRef, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSessionsResponse(_message.Message):
    __slots__ = ("user_id", "sessions", "next_page_token")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    sessions: _containers.RepeatedCompositeFieldContainer[_session_pb2.Session]
    next_page_token: str
    def __init__(self, user_id: _Optional[str] = ..., sessions: _Optional[_Iterable[_Union[_session_pb2.Session, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RevokeSessionsRequest(_message.Message):
    __slots__ = ("user", "session_ids", "all")
    USER_FIELD_NUMBER: _ClassVar[int]
    SESSION_IDS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    user: _user_service_pb2.UserRef
    session_ids: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    def __init__(self, user: _Optional[_Union[_user_service_pb2.UserRef, _Mapping]] = ..., session_ids: _Optional[_Iterable[str]] = ..., all: bool = ...) -> None: ...

class RevokeSessionsResponse(_message.Message):
    __slots__ = ("revoked", "position")
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    revoked: int
    position: str
    def __init__(self, revoked: _Optional[int] = ..., position: _Optional[str] = ...) -> None: ...

class ExplainSessionRequest(_message.Message):
    __slots__ = ("user", "session_id")
    USER_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    user: _user_service_pb2.UserRef
    session_id: str
    def __init__(self, user: _Optional[_Union[_user_service_pb2.UserRef, _Mapping]] = ..., session_id: _Optional[str] = ...) -> None: ...

class ExplainSessionResponse(_message.Message):
    __slots__ = ("state", "cause", "actor", "ended_at")
    STATE_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    state: SessionState
    cause: SessionEndCause
    actor: str
    ended_at: _timestamp_pb2.Timestamp
    def __init__(self, state: _Optional[_Union[SessionState, str]] = ..., cause: _Optional[_Union[SessionEndCause, str]] = ..., actor: _Optional[str] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

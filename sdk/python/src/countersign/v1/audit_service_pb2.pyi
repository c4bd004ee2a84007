import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_TYPE_UNSPECIFIED: _ClassVar[EventType]
    EVENT_TYPE_LOGIN_SUCCEEDED: _ClassVar[EventType]
    EVENT_TYPE_LOGIN_FAILED: _ClassVar[EventType]
    EVENT_TYPE_REFRESH_REUSED: _ClassVar[EventType]
    EVENT_TYPE_LOGOUT: _ClassVar[EventType]
    EVENT_TYPE_SESSION_REVOKED: _ClassVar[EventType]
    EVENT_TYPE_PASSWORD_CHANGED: _ClassVar[EventType]
    EVENT_TYPE_PASSWORD_RESET: _ClassVar[EventType]
    EVENT_TYPE_PASSWORD_RESET_CREATED: _ClassVar[EventType]
    EVENT_TYPE_USER_CREATED: _ClassVar[EventType]
    EVENT_TYPE_USER_IMPORTED: _ClassVar[EventType]
    EVENT_TYPE_USER_UPDATED: _ClassVar[EventType]
    EVENT_TYPE_USER_DISABLED: _ClassVar[EventType]
    EVENT_TYPE_USER_ENABLED: _ClassVar[EventType]
    EVENT_TYPE_USER_DELETED: _ClassVar[EventType]
    EVENT_TYPE_KEY_CREATED: _ClassVar[EventType]
    EVENT_TYPE_KEY_ACTIVATED: _ClassVar[EventType]
    EVENT_TYPE_KEY_RETIRED: _ClassVar[EventType]
    EVENT_TYPE_KEY_WITHDRAWN: _ClassVar[EventType]
    EVENT_TYPE_KEY_REENCRYPTED: _ClassVar[EventType]
    EVENT_TYPE_SERVICE_ACCOUNT_CREATED: _ClassVar[EventType]
    EVENT_TYPE_SERVICE_ACCOUNT_UPDATED: _ClassVar[EventType]
    EVENT_TYPE_SERVICE_ACCOUNT_DISABLED: _ClassVar[EventType]
    EVENT_TYPE_SERVICE_ACCOUNT_ENABLED: _ClassVar[EventType]
    EVENT_TYPE_SERVICE_ACCOUNT_DELETED: _ClassVar[EventType]
    EVENT_TYPE_SERVICE_KEY_CREATED: _ClassVar[EventType]
    EVENT_TYPE_SERVICE_KEY_REPLACED: _ClassVar[EventType]
    EVENT_TYPE_SERVICE_KEY_REVOKED: _ClassVar[EventType]
    EVENT_TYPE_CALLER_REFUSED: _ClassVar[EventType]
    EVENT_TYPE_EVENTS_LOST: _ClassVar[EventType]
EVENT_TYPE_UNSPECIFIED: EventType
EVENT_TYPE_LOGIN_SUCCEEDED: EventType
EVENT_TYPE_LOGIN_FAILED: EventType
EVENT_TYPE_REFRESH_REUSED: EventType
EVENT_TYPE_LOGOUT: EventType
EVENT_TYPE_SESSION_REVOKED: EventType
EVENT_TYPE_PASSWORD_CHANGED: EventType
EVENT_TYPE_PASSWORD_RESET: EventType
EVENT_TYPE_PASSWORD_RESET_CREATED: EventType
EVENT_TYPE_USER_CREATED: EventType
EVENT_TYPE_USER_IMPORTED: EventType
EVENT_TYPE_USER_UPDATED: EventType
EVENT_TYPE_USER_DISABLED: EventType
EVENT_TYPE_USER_ENABLED: EventType
EVENT_TYPE_USER_DELETED: EventType
EVENT_TYPE_KEY_CREATED: EventType
EVENT_TYPE_KEY_ACTIVATED: EventType
EVENT_TYPE_KEY_RETIRED: EventType
EVENT_TYPE_KEY_WITHDRAWN: EventType
EVENT_TYPE_KEY_REENCRYPTED: EventType
EVENT_TYPE_SERVICE_ACCOUNT_CREATED: EventType
EVENT_TYPE_SERVICE_ACCOUNT_UPDATED: EventType
EVENT_TYPE_SERVICE_ACCOUNT_DISABLED: EventType
EVENT_TYPE_SERVICE_ACCOUNT_ENABLED: EventType
EVENT_TYPE_SERVICE_ACCOUNT_DELETED: EventType
EVENT_TYPE_SERVICE_KEY_CREATED: EventType
EVENT_TYPE_SERVICE_KEY_REPLACED: EventType
EVENT_TYPE_SERVICE_KEY_REVOKED: EventType
EVENT_TYPE_CALLER_REFUSED: EventType
EVENT_TYPE_EVENTS_LOST: EventType

class Event(_message.Message):
    __slots__ = ("position", "type", "time", "actor", "user_id", "session_id", "peer", "client_name", "client_user_agent", "client_class", "cause", "request_id", "name", "service_account_id", "key_id", "method", "count", "first_at", "last_at")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_NAME_FIELD_NUMBER: _ClassVar[int]
    CLIENT_USER_AGENT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_CLASS_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_FIELD_NUMBER: _ClassVar[int]
    position: str
    type: EventType
    time: _timestamp_pb2.Timestamp
    actor: str
    user_id: str
    session_id: str
    peer: str
    client_name: str
    client_user_agent: str
    client_class: str
    cause: str
    request_id: str
    name: str
    service_account_id: str
    key_id: str
    method: str
    count: int
    first_at: _timestamp_pb2.Timestamp
    last_at: _timestamp_pb2.Timestamp
    def __init__(self, position: _Optional[str] = ..., type: _Optional[_Union[EventType, str]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., user_id: _Optional[str] = ..., session_id: _Optional[str] = ..., peer: _Optional[str] = ..., client_name: _Optional[str] = ..., client_user_agent: _Optional[str] = ..., client_class: _Optional[str] = ..., cause: _Optional[str] = ..., request_id: _Optional[str] = ..., name: _Optional[str] = ..., service_account_id: _Optional[str] = ..., key_id: _Optional[str] = ..., method: _Optional[str] = ..., count: _Optional[int] = ..., first_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class EventFilter(_message.Message):
    __slots__ = ("types", "actor", "user_id", "session_id", "since", "until")
    TYPES_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    types: _containers.RepeatedScalarFieldContainer[EventType]
    actor: str
    user_id: str
    session_id: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    def __init__(self, types: _Optional[_Iterable[_Union[EventType, str]]] = ..., actor: _Optional[str] = ..., user_id: _Optional[str] = ..., session_id: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    filter: EventFilter
    page_size: int
    page_token: str
    def __init__(self, filter: _Optional[_Union[EventFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchEventsRequest(_message.Message):
    __slots__ = ("position", "from_oldest", "filter")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    FROM_OLDEST_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    position: str
    from_oldest: bool
    filter: EventFilter
    def __init__(self, position: _Optional[str] = ..., from_oldest: bool = ..., filter: _Optional[_Union[EventFilter, _Mapping]] = ...) -> None: ...

class WatchEventsResponse(_message.Message):
    __slots__ = ("events", "position")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    position: str
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., position: _Optional[str] = ...) -> None: ...

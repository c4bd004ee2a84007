import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchRevocationsRequest(_message.Message):
    __slots__ = ("start", "ping")
    START_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    start: WatchStart
    ping: WatchPing
    def __init__(self, start: _Optional[_Union[WatchStart, _Mapping]] = ..., ping: _Optional[_Union[WatchPing, _Mapping]] = ...) -> None: ...

class WatchStart(_message.Message):
    __slots__ = ("resume",)
    RESUME_FIELD_NUMBER: _ClassVar[int]
    resume: WatchPosition
    def __init__(self, resume: _Optional[_Union[WatchPosition, _Mapping]] = ...) -> None: ...

class WatchPosition(_message.Message):
    __slots__ = ("incarnation", "sequence")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    incarnation: int
    sequence: int
    def __init__(self, incarnation: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class WatchPing(_message.Message):
    __slots__ = ("nonce", "at_least")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    at_least: str
    def __init__(self, nonce: _Optional[int] = ..., at_least: _Optional[str] = ...) -> None: ...

class WatchRevocationsResponse(_message.Message):
    __slots__ = ("begin", "key_set", "revoked", "heartbeat", "resynchronise")
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    KEY_SET_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    RESYNCHRONISE_FIELD_NUMBER: _ClassVar[int]
    begin: WatchBegin
    key_set: WatchKeySet
    revoked: WatchRevoked
    heartbeat: WatchHeartbeat
    resynchronise: WatchResynchronise
    def __init__(self, begin: _Optional[_Union[WatchBegin, _Mapping]] = ..., key_set: _Optional[_Union[WatchKeySet, _Mapping]] = ..., revoked: _Optional[_Union[WatchRevoked, _Mapping]] = ..., heartbeat: _Optional[_Union[WatchHeartbeat, _Mapping]] = ..., resynchronise: _Optional[_Union[WatchResynchronise, _Mapping]] = ...) -> None: ...

class WatchBegin(_message.Message):
    __slots__ = ("incarnation", "resumed")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    incarnation: int
    resumed: bool
    def __init__(self, incarnation: _Optional[int] = ..., resumed: bool = ...) -> None: ...

class WatchKeySet(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[WatchKey]
    def __init__(self, keys: _Optional[_Iterable[_Union[WatchKey, _Mapping]]] = ...) -> None: ...

class WatchKey(_message.Message):
    __slots__ = ("id", "algorithm", "spki")
    ID_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    SPKI_FIELD_NUMBER: _ClassVar[int]
    id: str
    algorithm: str
    spki: bytes
    def __init__(self, id: _Optional[str] = ..., algorithm: _Optional[str] = ..., spki: _Optional[bytes] = ...) -> None: ...

class WatchRevoked(_message.Message):
    __slots__ = ("sessions", "users", "sequence")
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[RevokedSession]
    users: _containers.RepeatedCompositeFieldContainer[RevokedUser]
    sequence: int
    def __init__(self, sessions: _Optional[_Iterable[_Union[RevokedSession, _Mapping]]] = ..., users: _Optional[_Iterable[_Union[RevokedUser, _Mapping]]] = ..., sequence: _Optional[int] = ...) -> None: ...

class RevokedSession(_message.Message):
    __slots__ = ("session_id", "forget_at")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    FORGET_AT_FIELD_NUMBER: _ClassVar[int]
    session_id: bytes
    forget_at: _timestamp_pb2.Timestamp
    def __init__(self, session_id: _Optional[bytes] = ..., forget_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RevokedUser(_message.Message):
    __slots__ = ("subject", "epoch", "forget_at")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FORGET_AT_FIELD_NUMBER: _ClassVar[int]
    subject: bytes
    epoch: int
    forget_at: _timestamp_pb2.Timestamp
    def __init__(self, subject: _Optional[bytes] = ..., epoch: _Optional[int] = ..., forget_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class WatchHeartbeat(_message.Message):
    __slots__ = ("nonce", "sequence", "staleness", "reached")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STALENESS_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    sequence: int
    staleness: _duration_pb2.Duration
    reached: bool
    def __init__(self, nonce: _Optional[int] = ..., sequence: _Optional[int] = ..., staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reached: bool = ...) -> None: ...

class WatchResynchronise(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

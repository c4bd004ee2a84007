import datetime

from countersign.v1 import session_pb2 as _session_pb2
from countersign.v1 import tokens_pb2 as _tokens_pb2
from countersign.v1 import verification_pb2 as _verification_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChangePasswordRequest(_message.Message):
    __slots__ = ("refresh_token", "current_password", "new_password")
    REFRESH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CURRENT_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    NEW_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    refresh_token: str
    current_password: str
    new_password: str
    def __init__(self, refresh_token: _Optional[str] = ..., current_password: _Optional[str] = ..., new_password: _Optional[str] = ...) -> None: ...

class ChangePasswordResponse(_message.Message):
    __slots__ = ("tokens", "session", "position")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    tokens: _tokens_pb2.Tokens
    session: _session_pb2.SessionInfo
    position: str
    def __init__(self, tokens: _Optional[_Union[_tokens_pb2.Tokens, _Mapping]] = ..., session: _Optional[_Union[_session_pb2.SessionInfo, _Mapping]] = ..., position: _Optional[str] = ...) -> None: ...

class ResetPasswordRequest(_message.Message):
    __slots__ = ("reset_token", "new_password")
    RESET_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NEW_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    reset_token: str
    new_password: str
    def __init__(self, reset_token: _Optional[str] = ..., new_password: _Optional[str] = ...) -> None: ...

class ResetPasswordResponse(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: str
    def __init__(self, position: _Optional[str] = ...) -> None: ...

class IssueServiceTokenRequest(_message.Message):
    __slots__ = ("service_key", "audiences")
    SERVICE_KEY_FIELD_NUMBER: _ClassVar[int]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    service_key: str
    audiences: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, service_key: _Optional[str] = ..., audiences: _Optional[_Iterable[str]] = ...) -> None: ...

class IssueServiceTokenResponse(_message.Message):
    __slots__ = ("access_token", "token_type", "expires_at", "expires_in", "service_account_id")
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_TYPE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    access_token: str
    token_type: str
    expires_at: _timestamp_pb2.Timestamp
    expires_in: int
    service_account_id: str
    def __init__(self, access_token: _Optional[str] = ..., token_type: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_in: _Optional[int] = ..., service_account_id: _Optional[str] = ...) -> None: ...

class ListOwnSessionsRequest(_message.Message):
    __slots__ = ("refresh_token",)
    REFRESH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    refresh_token: str
    def __init__(self, refresh_token: _Optional[str] = ...) -> None: ...

class ListOwnSessionsResponse(_message.Message):
    __slots__ = ("current_session_id", "sessions")
    CURRENT_SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    current_session_id: str
    sessions: _containers.RepeatedCompositeFieldContainer[_session_pb2.Session]
    def __init__(self, current_session_id: _Optional[str] = ..., sessions: _Optional[_Iterable[_Union[_session_pb2.Session, _Mapping]]] = ...) -> None: ...

class RevokeOwnSessionsRequest(_message.Message):
    __slots__ = ("refresh_token", "session_ids", "others")
    REFRESH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SESSION_IDS_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    refresh_token: str
    session_ids: _containers.RepeatedScalarFieldContainer[str]
    others: bool
    def __init__(self, refresh_token: _Optional[str] = ..., session_ids: _Optional[_Iterable[str]] = ..., others: bool = ...) -> None: ...

class RevokeOwnSessionsResponse(_message.Message):
    __slots__ = ("revoked", "position")
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    revoked: int
    position: str
    def __init__(self, revoked: _Optional[int] = ..., position: _Optional[str] = ...) -> None: ...

class LoginRequest(_message.Message):
    __slots__ = ("username", "password", "audiences", "client")
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    username: str
    password: str
    audiences: _containers.RepeatedScalarFieldContainer[str]
    client: _session_pb2.Client
    def __init__(self, username: _Optional[str] = ..., password: _Optional[str] = ..., audiences: _Optional[_Iterable[str]] = ..., client: _Optional[_Union[_session_pb2.Client, _Mapping]] = ...) -> None: ...

class LoginResponse(_message.Message):
    __slots__ = ("tokens", "session")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    tokens: _tokens_pb2.Tokens
    session: _session_pb2.SessionInfo
    def __init__(self, tokens: _Optional[_Union[_tokens_pb2.Tokens, _Mapping]] = ..., session: _Optional[_Union[_session_pb2.SessionInfo, _Mapping]] = ...) -> None: ...

class RefreshRequest(_message.Message):
    __slots__ = ("refresh_token",)
    REFRESH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    refresh_token: str
    def __init__(self, refresh_token: _Optional[str] = ...) -> None: ...

class RefreshResponse(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _tokens_pb2.Tokens
    def __init__(self, tokens: _Optional[_Union[_tokens_pb2.Tokens, _Mapping]] = ...) -> None: ...

class LogoutRequest(_message.Message):
    __slots__ = ("refresh_token", "access_token", "everywhere")
    REFRESH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EVERYWHERE_FIELD_NUMBER: _ClassVar[int]
    refresh_token: str
    access_token: str
    everywhere: bool
    def __init__(self, refresh_token: _Optional[str] = ..., access_token: _Optional[str] = ..., everywhere: bool = ...) -> None: ...

class LogoutResponse(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: str
    def __init__(self, position: _Optional[str] = ...) -> None: ...

class VerifyAccessTokenRequest(_message.Message):
    __slots__ = ("access_token", "audiences", "max_staleness", "at_least")
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    access_token: str
    audiences: _containers.RepeatedScalarFieldContainer[str]
    max_staleness: _duration_pb2.Duration
    at_least: str
    def __init__(self, access_token: _Optional[str] = ..., audiences: _Optional[_Iterable[str]] = ..., max_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., at_least: _Optional[str] = ...) -> None: ...

class VerifyAccessTokenResponse(_message.Message):
    __slots__ = ("verified", "invalid", "revocation_staleness")
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    INVALID_FIELD_NUMBER: _ClassVar[int]
    REVOCATION_STALENESS_FIELD_NUMBER: _ClassVar[int]
    verified: _verification_pb2.VerifiedToken
    invalid: _verification_pb2.InvalidToken
    revocation_staleness: _duration_pb2.Duration
    def __init__(self, verified: _Optional[_Union[_verification_pb2.VerifiedToken, _Mapping]] = ..., invalid: _Optional[_Union[_verification_pb2.InvalidToken, _Mapping]] = ..., revocation_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class BatchVerifyAccessTokensRequest(_message.Message):
    __slots__ = ("access_tokens", "audiences", "max_staleness", "at_least")
    ACCESS_TOKENS_FIELD_NUMBER: _ClassVar[int]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    access_tokens: _containers.RepeatedScalarFieldContainer[str]
    audiences: _containers.RepeatedScalarFieldContainer[str]
    max_staleness: _duration_pb2.Duration
    at_least: str
    def __init__(self, access_tokens: _Optional[_Iterable[str]] = ..., audiences: _Optional[_Iterable[str]] = ..., max_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., at_least: _Optional[str] = ...) -> None: ...

class BatchVerifyAccessTokensResponse(_message.Message):
    __slots__ = ("verifications", "revocation_staleness")
    VERIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    REVOCATION_STALENESS_FIELD_NUMBER: _ClassVar[int]
    verifications: _containers.RepeatedCompositeFieldContainer[AccessTokenVerification]
    revocation_staleness: _duration_pb2.Duration
    def __init__(self, verifications: _Optional[_Iterable[_Union[AccessTokenVerification, _Mapping]]] = ..., revocation_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class AccessTokenVerification(_message.Message):
    __slots__ = ("verified", "invalid")
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    INVALID_FIELD_NUMBER: _ClassVar[int]
    verified: _verification_pb2.VerifiedToken
    invalid: _verification_pb2.InvalidToken
    def __init__(self, verified: _Optional[_Union[_verification_pb2.VerifiedToken, _Mapping]] = ..., invalid: _Optional[_Union[_verification_pb2.InvalidToken, _Mapping]] = ...) -> None: ...

class VerifyStreamRequest(_message.Message):
    __slots__ = ("access_token", "audiences", "max_staleness", "at_least")
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    access_token: str
    audiences: _containers.RepeatedScalarFieldContainer[str]
    max_staleness: _duration_pb2.Duration
    at_least: str
    def __init__(self, access_token: _Optional[str] = ..., audiences: _Optional[_Iterable[str]] = ..., max_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., at_least: _Optional[str] = ...) -> None: ...

class VerifyStreamResponse(_message.Message):
    __slots__ = ("verified", "invalid", "revocation_staleness")
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    INVALID_FIELD_NUMBER: _ClassVar[int]
    REVOCATION_STALENESS_FIELD_NUMBER: _ClassVar[int]
    verified: _verification_pb2.VerifiedToken
    invalid: _verification_pb2.InvalidToken
    revocation_staleness: _duration_pb2.Duration
    def __init__(self, verified: _Optional[_Union[_verification_pb2.VerifiedToken, _Mapping]] = ..., invalid: _Optional[_Union[_verification_pb2.InvalidToken, _Mapping]] = ..., revocation_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ImportOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IMPORT_OUTCOME_UNSPECIFIED: _ClassVar[ImportOutcome]
    IMPORT_OUTCOME_CREATED: _ClassVar[ImportOutcome]
    IMPORT_OUTCOME_UNCHANGED: _ClassVar[ImportOutcome]
    IMPORT_OUTCOME_REFUSED: _ClassVar[ImportOutcome]

class ImportRefusalReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IMPORT_REFUSAL_REASON_UNSPECIFIED: _ClassVar[ImportRefusalReason]
    IMPORT_REFUSAL_REASON_INVALID_FIELD: _ClassVar[ImportRefusalReason]
    IMPORT_REFUSAL_REASON_PASSWORD_HASH_REFUSED: _ClassVar[ImportRefusalReason]
    IMPORT_REFUSAL_REASON_USERNAME_TAKEN: _ClassVar[ImportRefusalReason]
    IMPORT_REFUSAL_REASON_USER_ID_TAKEN: _ClassVar[ImportRefusalReason]
    IMPORT_REFUSAL_REASON_EXTERNAL_ID_TAKEN: _ClassVar[ImportRefusalReason]
    IMPORT_REFUSAL_REASON_USER_DIFFERS: _ClassVar[ImportRefusalReason]
    IMPORT_REFUSAL_REASON_ROLE_NOT_ALLOWED: _ClassVar[ImportRefusalReason]
IMPORT_OUTCOME_UNSPECIFIED: ImportOutcome
IMPORT_OUTCOME_CREATED: ImportOutcome
IMPORT_OUTCOME_UNCHANGED: ImportOutcome
IMPORT_OUTCOME_REFUSED: ImportOutcome
IMPORT_REFUSAL_REASON_UNSPECIFIED: ImportRefusalReason
IMPORT_REFUSAL_REASON_INVALID_FIELD: ImportRefusalReason
IMPORT_REFUSAL_REASON_PASSWORD_HASH_REFUSED: ImportRefusalReason
IMPORT_REFUSAL_REASON_USERNAME_TAKEN: ImportRefusalReason
IMPORT_REFUSAL_REASON_USER_ID_TAKEN: ImportRefusalReason
IMPORT_REFUSAL_REASON_EXTERNAL_ID_TAKEN: ImportRefusalReason
IMPORT_REFUSAL_REASON_USER_DIFFERS: ImportRefusalReason
IMPORT_REFUSAL_REASON_ROLE_NOT_ALLOWED: ImportRefusalReason

class User(_message.Message):
    __slots__ = ("id", "username", "roles", "custom_claims", "disabled", "created_at", "updated_at", "etag", "external_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_CLAIMS_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    username: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    custom_claims: _struct_pb2.Struct
    disabled: bool
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    etag: str
    external_id: str
    def __init__(self, id: _Optional[str] = ..., username: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., custom_claims: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., disabled: bool = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., external_id: _Optional[str] = ...) -> None: ...

class UserRef(_message.Message):
    __slots__ = ("user_id", "username", "external_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    username: str
    external_id: str
    def __init__(self, user_id: _Optional[str] = ..., username: _Optional[str] = ..., external_id: _Optional[str] = ...) -> None: ...

class CreateUserRequest(_message.Message):
    __slots__ = ("username", "password", "password_hash", "roles", "custom_claims", "user_id", "request_id", "external_id")
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_HASH_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_CLAIMS_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_ID_FIELD_NUMBER: _ClassVar[int]
    username: str
    password: str
    password_hash: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    custom_claims: _struct_pb2.Struct
    user_id: str
    request_id: str
    external_id: str
    def __init__(self, username: _Optional[str] = ..., password: _Optional[str] = ..., password_hash: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., custom_claims: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., user_id: _Optional[str] = ..., request_id: _Optional[str] = ..., external_id: _Optional[str] = ...) -> None: ...

class CreateUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: User
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ...) -> None: ...

class ImportUsersRequest(_message.Message):
    __slots__ = ("start", "rows")
    START_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    start: ImportStart
    rows: ImportRows
    def __init__(self, start: _Optional[_Union[ImportStart, _Mapping]] = ..., rows: _Optional[_Union[ImportRows, _Mapping]] = ...) -> None: ...

class ImportStart(_message.Message):
    __slots__ = ("dry_run",)
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    dry_run: bool
    def __init__(self, dry_run: bool = ...) -> None: ...

class ImportRows(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[ImportRow]
    def __init__(self, rows: _Optional[_Iterable[_Union[ImportRow, _Mapping]]] = ...) -> None: ...

class ImportRow(_message.Message):
    __slots__ = ("number", "username", "password_hash", "password", "no_password", "roles", "custom_claims", "user_id", "external_id", "disabled", "created_at")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_HASH_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    NO_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_CLAIMS_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_ID_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    number: int
    username: str
    password_hash: str
    password: str
    no_password: NoPassword
    roles: _containers.RepeatedScalarFieldContainer[str]
    custom_claims: _struct_pb2.Struct
    user_id: str
    external_id: str
    disabled: bool
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, number: _Optional[int] = ..., username: _Optional[str] = ..., password_hash: _Optional[str] = ..., password: _Optional[str] = ..., no_password: _Optional[_Union[NoPassword, _Mapping]] = ..., roles: _Optional[_Iterable[str]] = ..., custom_claims: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., user_id: _Optional[str] = ..., external_id: _Optional[str] = ..., disabled: bool = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class NoPassword(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ImportUsersResponse(_message.Message):
    __slots__ = ("number", "outcome", "user_id", "refusal")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    number: int
    outcome: ImportOutcome
    user_id: str
    refusal: ImportRefusal
    def __init__(self, number: _Optional[int] = ..., outcome: _Optional[_Union[ImportOutcome, str]] = ..., user_id: _Optional[str] = ..., refusal: _Optional[_Union[ImportRefusal, _Mapping]] = ...) -> None: ...

class ImportRefusal(_message.Message):
    __slots__ = ("reason", "fields", "description", "hash_problem")
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    HASH_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    reason: ImportRefusalReason
    fields: _containers.RepeatedScalarFieldContainer[str]
    description: str
    hash_problem: str
    def __init__(self, reason: _Optional[_Union[ImportRefusalReason, str]] = ..., fields: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ..., hash_problem: _Optional[str] = ...) -> None: ...

class CheckPasswordHashRequest(_message.Message):
    __slots__ = ("password_hash", "password")
    PASSWORD_HASH_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    password_hash: str
    password: str
    def __init__(self, password_hash: _Optional[str] = ..., password: _Optional[str] = ...) -> None: ...

class CheckPasswordHashResponse(_message.Message):
    __slots__ = ("accepted", "refused")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    accepted: AcceptedPasswordHash
    refused: ImportRefusal
    def __init__(self, accepted: _Optional[_Union[AcceptedPasswordHash, _Mapping]] = ..., refused: _Optional[_Union[ImportRefusal, _Mapping]] = ...) -> None: ...

class AcceptedPasswordHash(_message.Message):
    __slots__ = ("format", "wrapped", "matches")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    WRAPPED_FIELD_NUMBER: _ClassVar[int]
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    format: str
    wrapped: bool
    matches: bool
    def __init__(self, format: _Optional[str] = ..., wrapped: bool = ..., matches: bool = ...) -> None: ...

class GetUserRequest(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: UserRef
    def __init__(self, user: _Optional[_Union[UserRef, _Mapping]] = ...) -> None: ...

class GetUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: User
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ...) -> None: ...

class ListUsersRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: UserFilter
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[_Union[UserFilter, _Mapping]] = ...) -> None: ...

class UserFilter(_message.Message):
    __slots__ = ("username_prefix", "role", "disabled")
    USERNAME_PREFIX_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    username_prefix: str
    role: str
    disabled: bool
    def __init__(self, username_prefix: _Optional[str] = ..., role: _Optional[str] = ..., disabled: bool = ...) -> None: ...

class ListUsersResponse(_message.Message):
    __slots__ = ("users", "next_page_token")
    USERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[User]
    next_page_token: str
    def __init__(self, users: _Optional[_Iterable[_Union[User, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateUserRequest(_message.Message):
    __slots__ = ("user", "change", "update_mask", "etag")
    USER_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    user: UserRef
    change: UserChange
    update_mask: _field_mask_pb2.FieldMask
    etag: str
    def __init__(self, user: _Optional[_Union[UserRef, _Mapping]] = ..., change: _Optional[_Union[UserChange, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class UserChange(_message.Message):
    __slots__ = ("roles", "custom_claims", "external_id")
    ROLES_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_CLAIMS_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_ID_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedScalarFieldContainer[str]
    custom_claims: _struct_pb2.Struct
    external_id: str
    def __init__(self, roles: _Optional[_Iterable[str]] = ..., custom_claims: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., external_id: _Optional[str] = ...) -> None: ...

class UpdateUserResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: User
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ...) -> None: ...

class SetPasswordRequest(_message.Message):
    __slots__ = ("user", "password")
    USER_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    user: UserRef
    password: str
    def __init__(self, user: _Optional[_Union[UserRef, _Mapping]] = ..., password: _Optional[str] = ...) -> None: ...

class SetPasswordResponse(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: str
    def __init__(self, position: _Optional[str] = ...) -> None: ...

class CreatePasswordResetRequest(_message.Message):
    __slots__ = ("user", "ttl")
    USER_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    user: UserRef
    ttl: _duration_pb2.Duration
    def __init__(self, user: _Optional[_Union[UserRef, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CreatePasswordResetResponse(_message.Message):
    __slots__ = ("reset_token", "expires_at")
    RESET_TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    reset_token: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, reset_token: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DisableUserRequest(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: UserRef
    def __init__(self, user: _Optional[_Union[UserRef, _Mapping]] = ...) -> None: ...

class DisableUserResponse(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: str
    def __init__(self, position: _Optional[str] = ...) -> None: ...

class EnableUserRequest(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: UserRef
    def __init__(self, user: _Optional[_Union[UserRef, _Mapping]] = ...) -> None: ...

class EnableUserResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteUserRequest(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: UserRef
    def __init__(self, user: _Optional[_Union[UserRef, _Mapping]] = ...) -> None: ...

class DeleteUserResponse(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: str
    def __init__(self, position: _Optional[str] = ...) -> None: ...

"""What can be wrong with a token, and what a server answers."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from ._token import InvalidReason

# That of every reason, in google.rpc.ErrorInfo.
DOMAIN = "countersign"

# When to try again where nothing can be known about a token, in seconds.
RETRY_AFTER = 1


class CountersignError(Exception):
    """The base of this package's errors."""

    reason: str = ""
    """The error's name in the catalogue of reasons (docs/errors.md); empty where it has none."""


class TokenError(CountersignError):
    """A token is not accepted: missing, invalid or not known to be good."""


class MissingTokenError(TokenError):
    """A request brings no access token."""

    reason = "TOKEN_MISSING"

    def __init__(self) -> None:
        """Takes nothing."""
        super().__init__("no access token")


class InvalidTokenError(TokenError):
    """An access token must be refused."""

    def __init__(self, invalid: InvalidReason) -> None:
        """Takes why."""
        super().__init__(f"the access token is refused: {invalid.value}")
        self.invalid = invalid
        """Why it must be."""

    @property
    def reason(self) -> str:  # type: ignore[override]
        """ACCESS_TOKEN_EXPIRED, SESSION_REVOKED or ACCESS_TOKEN_INVALID."""
        return {
            InvalidReason.EXPIRED: "ACCESS_TOKEN_EXPIRED",
            InvalidReason.REVOKED: "SESSION_REVOKED",
        }.get(self.invalid, "ACCESS_TOKEN_INVALID")


class UnknownTokenError(TokenError):
    """It cannot be known at the moment whether an access token is still good.

    It says nothing about the token: do not log the user out because of it. Where the server was asked and did not answer,
    ``__cause__`` says why.
    """

    reason = "REVOCATIONS_STALE"

    def __init__(self, staleness: float | None, message: str = "") -> None:
        """Takes how old the view of revocations is, in seconds."""
        if not message and staleness is None:
            message = "the revocations are not loaded"
        super().__init__(message or f"the view of revocations is {staleness:.1f} s old")
        self.staleness = staleness
        """How old the view of revocations is, in seconds; None while nothing is loaded, and after the wall clock was set."""


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """What a server says of an error, beside its code."""

    message: str = ""
    reason: str = ""
    cause: str = ""
    retry_after: float | None = None


def parse_details(message: str, details: bytes | None) -> ErrorDetails:
    """Reads the trailer grpc-status-details-bin, decoded. What is in it and cannot be read is left out."""
    reason, cause, retry_after = "", "", None
    try:
        status = status_pb2.Status.FromString(details or b"")
        for detail in status.details:
            info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
            if detail.Unpack(info) and info.domain == DOMAIN:
                reason, cause = info.reason, info.metadata.get("cause", "")
            elif detail.Unpack(retry):
                delay = retry.retry_delay
                retry_after = max(delay.seconds + delay.nanos / 1e9, 0.0)
    except DecodeError:
        pass
    return ErrorDetails(message, reason, cause, retry_after)


def make_details(code: int, message: str, reason: str, retry_after: int | None) -> bytes:
    """Writes the trailer grpc-status-details-bin."""
    status = status_pb2.Status(code=code, message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN))
    if retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.seconds = retry_after
        status.details.add().Pack(retry)
    serialized: bytes = status.SerializeToString()
    return serialized


def decode_binary(value: str) -> bytes | None:
    """Decodes the value of a header whose name ends with -bin."""
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None

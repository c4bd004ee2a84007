package countersign

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// errorDomain is that of every reason, in google.rpc.ErrorInfo.
const errorDomain = "countersign"

// retryAfter is when to try again where nothing can be known about a token.
const retryAfter = time.Second

// ErrNoToken means that a request brings no access token.
var ErrNoToken error = noTokenError{}

type noTokenError struct{}

func (noTokenError) Error() string { return "countersign: no access token" }

// GRPCStatus is UNAUTHENTICATED with the reason TOKEN_MISSING.
func (noTokenError) GRPCStatus() *status.Status {
	return statusWith(codes.Unauthenticated, "No access token.", "TOKEN_MISSING")
}

// InvalidError means that an access token must be refused.
type InvalidError struct {
	// Reason says why.
	Reason InvalidReason
}

func (e *InvalidError) Error() string {
	return "countersign: the access token is refused: " + string(e.Reason)
}

// GRPCStatus is UNAUTHENTICATED with the reason ACCESS_TOKEN_EXPIRED, SESSION_REVOKED or ACCESS_TOKEN_INVALID, so that a
// gRPC handler can return the error as it is.
func (e *InvalidError) GRPCStatus() *status.Status {
	return statusWith(codes.Unauthenticated, "The access token is not accepted.", Reason(e))
}

// UnknownError means that it cannot be known at the moment whether an access token is still good. It says nothing about the
// token: do not log the user out because of it.
type UnknownError struct {
	// Staleness is how old the view of revocations is, where Loaded says that there is one.
	Staleness time.Duration
	// Loaded is false while nothing was loaded, and after the wall clock was set.
	Loaded bool
	// Err is why the server did not answer, where it was asked.
	Err error
}

func (e *UnknownError) Error() string {
	switch {
	case e.Err != nil:
		return "countersign: the server did not say whether the access token is good: " + e.Err.Error()
	case e.Loaded:
		return fmt.Sprintf("countersign: the view of revocations is %s old", e.Staleness)
	default:
		return "countersign: the revocations are not loaded"
	}
}

// Unwrap returns why the server did not answer.
func (e *UnknownError) Unwrap() error { return e.Err }

// GRPCStatus is UNAVAILABLE with the reason REVOCATIONS_STALE, and when to try again.
func (e *UnknownError) GRPCStatus() *status.Status {
	return statusWith(codes.Unavailable, "It cannot be told whether the access token is still good.", Reason(e),
		&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
}

func statusWith(code codes.Code, message, reason string, more ...*errdetails.RetryInfo) *status.Status {
	st := status.New(code, message)
	with, err := st.WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: errorDomain})
	for _, retry := range more {
		if err == nil {
			with, err = with.WithDetails(retry)
		}
	}
	if err != nil {
		return st
	}
	return with
}

// Reason returns an error's name in the catalogue of reasons (docs/errors.md): for the errors of this package and for
// what the server answers to a call. It is empty for other errors.
func Reason(err error) string {
	var invalid *InvalidError
	var unknown *UnknownError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrNoToken):
		return "TOKEN_MISSING"
	case errors.As(err, &invalid):
		switch invalid.Reason {
		case Expired:
			return "ACCESS_TOKEN_EXPIRED"
		case Revoked:
			return "SESSION_REVOKED"
		default:
			return "ACCESS_TOKEN_INVALID"
		}
	case errors.As(err, &unknown):
		return "REVOCATIONS_STALE"
	}
	if info := errorInfo(err); info != nil {
		return info.GetReason()
	}
	return ""
}

// Cause returns what ended a session, from the answer to a Refresh that is refused with SESSION_REVOKED: LOGGED_OUT,
// PASSWORD_CHANGED and so on (docs/errors.md). It is empty for other errors.
func Cause(err error) string {
	if info := errorInfo(err); info != nil {
		return info.GetMetadata()["cause"]
	}
	return ""
}

func errorInfo(err error) *errdetails.ErrorInfo {
	st, ok := status.FromError(err)
	if !ok {
		return nil
	}
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == errorDomain {
			return info
		}
	}
	return nil
}

// retryDelay returns how long the server asks to wait; zero where it does not say.
func retryDelay(err error) time.Duration {
	st, ok := status.FromError(err)
	if !ok {
		return 0
	}
	for _, detail := range st.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			return max(retry.GetRetryDelay().AsDuration(), 0)
		}
	}
	return 0
}

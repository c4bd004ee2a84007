// Package httpauth lets only requests with a good access token through to an http.Handler.
package httpauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	countersign "countersign.dev/go"
)

// Verifier is what decides: a *countersign.Verifier, or in tests something else.
type Verifier interface {
	Verify(ctx context.Context, token string, audiences ...string) (*countersign.Token, error)
}

// Option changes what [Middleware] does.
type Option func(*options)

type options struct {
	audiences []string
	refuse    func(http.ResponseWriter, *http.Request, error)
}

// Audiences expects one of these instead of the verifier's own.
func Audiences(audiences ...string) Option {
	return func(o *options) { o.audiences = audiences }
}

// Refuse answers requests that are not let in, instead of [WriteError].
func Refuse(refuse func(http.ResponseWriter, *http.Request, error)) Option {
	return func(o *options) { o.refuse = refuse }
}

// Middleware lets requests with a good token in "Authorization: Bearer" through, with a *countersign.Token in their context
// (see [countersign.TokenFromContext]). Others are answered 401, or 503 where nothing can be known about their token.
func Middleware(verifier Verifier, opts ...Option) func(http.Handler) http.Handler {
	o := options{refuse: func(w http.ResponseWriter, _ *http.Request, err error) { WriteError(w, err) }}
	for _, opt := range opts {
		opt(&o)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, ok := countersign.BearerToken(r.Header.Values("Authorization"))
			if !ok {
				o.refuse(w, r, countersign.ErrNoToken)
				return
			}
			verified, err := verifier.Verify(r.Context(), token, o.audiences...)
			if err != nil {
				o.refuse(w, r, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(countersign.ContextWithToken(r.Context(), verified)))
		})
	}
}

// RequireRole lets only callers with the role through to a handler behind [Middleware]. Others are answered 403.
func RequireRole(role string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := countersign.TokenFromContext(r.Context())
		switch {
		case !ok:
			WriteError(w, countersign.ErrNoToken)
		case !token.HasRole(role):
			writeProblem(w, http.StatusForbidden, "ROLE_REQUIRED")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// WriteError answers a request that is not let in, as the server's own HTTP edge does: a problem (RFC 9457) with the reason,
// WWW-Authenticate (RFC 6750) with 401 and Retry-After with 503.
func WriteError(w http.ResponseWriter, err error) {
	var invalid *countersign.InvalidError
	switch {
	case errors.Is(err, countersign.ErrNoToken):
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeProblem(w, http.StatusUnauthorized, countersign.Reason(err))
	case errors.As(err, &invalid):
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeProblem(w, http.StatusUnauthorized, countersign.Reason(err))
	default:
		w.Header().Set("Retry-After", "1")
		writeProblem(w, http.StatusServiceUnavailable, "REVOCATIONS_STALE")
	}
}

func writeProblem(w http.ResponseWriter, status int, reason string) {
	body, err := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Reason string `json:"reason"`
	}{"about:blank", http.StatusText(status), status, reason})
	if err != nil {
		http.Error(w, reason, status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

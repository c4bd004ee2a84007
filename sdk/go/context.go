package countersign

import (
	"context"
	"strings"
)

type tokenKey struct{}

// ContextWithToken returns a copy of ctx that carries who is calling. The middleware of this module does it; tests of
// handlers can too.
func ContextWithToken(ctx context.Context, token *Token) context.Context {
	return context.WithValue(ctx, tokenKey{}, token)
}

// TokenFromContext returns who is calling, in a handler behind the middleware of this module.
func TokenFromContext(ctx context.Context) (*Token, bool) {
	token, ok := ctx.Value(tokenKey{}).(*Token)
	return token, ok && token != nil
}

// BearerToken returns the token of an Authorization header (RFC 6750 section 2.1), given every value of it: none when the
// header is missing, is there twice, or says something else.
func BearerToken(authorization []string) (token string, ok bool) {
	if len(authorization) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(authorization[0], " ")
	token = strings.Trim(token, " ")
	return token, found && equalASCIIFold(scheme, "Bearer") && token != ""
}

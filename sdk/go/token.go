package countersign

import (
	"slices"
	"time"
)

// Token is who is calling: an access token that passed every check. It is shared between requests and must not be
// changed.
type Token struct {
	// Subject is the id of the user or the service account, a UUID (claim sub).
	Subject string
	// SubjectKind says which of the two it is. A handler that expects a person must look here.
	SubjectKind SubjectKind
	// Username is the subject's name when the token was made.
	Username string
	// ExternalID is what the user is called in another system (claim ext); empty where that is not known.
	ExternalID string
	// SessionID names the session that the token belongs to (claim sid).
	SessionID string
	// Roles say what the user may do.
	Roles []string
	// Audiences are the services that the token is meant for. One of those that were expected is among them.
	Audiences []string
	// TokenID is the token's own name (claim jti).
	TokenID string
	// IssuedAt is when the token was made.
	IssuedAt time.Time
	// ExpiresAt is the first moment at which the token is not accepted any more.
	ExpiresAt time.Time
	// AuthTime is when the user last proved who they are.
	AuthTime time.Time
	// AMR says how they proved it (RFC 8176).
	AMR []string
	// Epoch is the user's epoch that the session began in. Every revocation of all sessions of a user raises it.
	Epoch uint64
	// SessionExpiresAt is when the session ends whatever happens.
	SessionExpiresAt time.Time
	// CustomClaims are the operator's own. Their values are string, json.Number, bool, nil, []any and
	// map[string]any.
	CustomClaims map[string]any
}

// SubjectKind is what the subject of a token is.
type SubjectKind string

const (
	// SubjectUser is a user, who has logged in.
	SubjectUser SubjectKind = "user"
	// SubjectService is a service account: a program that speaks for itself (RFC 6749 section 4.4).
	SubjectService SubjectKind = "service"
)

// HasRole reports whether role is one of the token's roles.
func (t *Token) HasRole(role string) bool { return slices.Contains(t.Roles, role) }

// InvalidReason says why an access token is not accepted. The names are those that VerifyAccessToken publishes. A
// token with several defects has the reason of the first check that fails.
type InvalidReason string

const (
	// Expired means that exp has come. Refresh.
	Expired InvalidReason = "EXPIRED"
	// NotYetValid means that iat or nbf lies further ahead than two machines' clocks may differ.
	NotYetValid InvalidReason = "NOT_YET_VALID"
	// Malformed means that it is not a token that Countersign could have made. A refresh token is this.
	Malformed InvalidReason = "MALFORMED"
	// BadSignature means that the key that kid names did not sign it, or that alg is not that key's algorithm.
	BadSignature InvalidReason = "BAD_SIGNATURE"
	// UnknownKey means that it names no key that is trusted.
	UnknownKey InvalidReason = "UNKNOWN_KEY"
	// WrongAudience means that it is meant for other services.
	WrongAudience InvalidReason = "WRONG_AUDIENCE"
	// WrongIssuer means that another issuer made it.
	WrongIssuer InvalidReason = "WRONG_ISSUER"
	// WrongType means that its typ does not say that it is an access token (RFC 9068).
	WrongType InvalidReason = "WRONG_TYPE"
	// Revoked means that its session, or every session of its user, was revoked.
	Revoked InvalidReason = "REVOKED"
)

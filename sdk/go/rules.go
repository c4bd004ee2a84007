package countersign

import (
	"slices"
	"sync/atomic"
	"time"
)

// rules is what an access token is held to.
type rules struct {
	issuer        string
	audiences     []string
	leeway        time.Duration
	maxTokenBytes int
}

// engine verifies tokens against keys and revocations as they are now, and remembers those whose signature it has
// checked. It does no I/O.
type engine struct {
	rules       rules
	keys        atomic.Pointer[keySet]
	revocations *revocations
	freshness   *freshness
	cache       *tokenCache
}

func newEngine(rules rules, cachedTokens int) *engine {
	e := &engine{
		rules:       rules,
		revocations: newRevocations(),
		freshness:   newFreshness(),
		cache:       newTokenCache(cachedTokens),
	}
	e.keys.Store(&keySet{})
	return e
}

// verify decides whether an access token may be used at now (milliseconds since the Unix epoch) with a service that
// goes by one of audiences, or by one of the rules' own where it names none. The checks, in this order; the first
// that fails is the answer:
//
//  1. size and shape: Malformed
//  2. typ: WrongType
//  3. kid names a key that is trusted, or UnknownKey; and alg is the algorithm of exactly that key, or BadSignature
//  4. no header parameter that no token of Countersign has: Malformed
//  5. the signature: BadSignature
//  6. the claims are complete, each of its type: Malformed. Nothing of them is read before the signature was verified
//  7. iss: WrongIssuer
//  8. aud: WrongAudience
//  9. exp: Expired
//  10. iat, nbf: NotYetValid
//  11. the session and the user's epoch: Revoked
//
// A token that is remembered passed 1 to 7, whose outcome does not change for as long as no key is withdrawn.
func (e *engine) verify(token string, audiences []string, now int64) (*Token, InvalidReason) {
	if len(token) > e.rules.maxTokenBytes {
		return nil, Malformed
	}
	keys := e.keys.Load()
	place := e.cache.place(token)
	if known := e.cache.get(token, place, keys.withdrawals); known != nil {
		if reason := e.check(known, audiences, now); reason != "" {
			return nil, reason
		}
		return known.token, ""
	}
	claims, reason := authenticate(token, &e.rules, keys)
	if reason != "" {
		return nil, reason
	}
	reason = e.check(claims, audiences, now)
	// An expired token never becomes good again; one that is revoked or meant for another may come again.
	if reason != Expired {
		e.cache.put(token, place, keys.withdrawals, claims, now)
	}
	if reason != "" {
		return nil, reason
	}
	return claims.token, ""
}

// authenticate makes the checks 1 to 7 of verify.
func authenticate(token string, rules *rules, keys *keySet) (*claims, InvalidReason) {
	jws, ok := parseJWS(token, rules.maxTokenBytes)
	if !ok {
		return nil, Malformed
	}
	if !jws.header.isAccessToken() {
		return nil, WrongType
	}
	if !jws.header.hasKid {
		return nil, UnknownKey
	}
	key := keys.keys[jws.header.kid]
	if key == nil {
		return nil, UnknownKey
	}
	if jws.header.alg != key.algorithm {
		return nil, BadSignature
	}
	if jws.header.hasForbidden {
		return nil, Malformed
	}
	if !key.verify(jws.signingInput, jws.signature) {
		return nil, BadSignature
	}
	claims, ok := parseClaims(jws.payload)
	if !ok {
		return nil, Malformed
	}
	if claims.issuer != rules.issuer {
		return nil, WrongIssuer
	}
	return claims, ""
}

// check makes the checks 8 to 11 of verify, whose outcome changes with time and with who asks.
func (e *engine) check(c *claims, audiences []string, now int64) InvalidReason {
	if len(audiences) == 0 {
		audiences = e.rules.audiences
	}
	if !slices.ContainsFunc(c.token.Audiences, func(audience string) bool { return slices.Contains(audiences, audience) }) {
		return WrongAudience
	}
	// exp is the first moment at which the token is not accepted any more (RFC 7519 section 4.1.4). No clock has
	// leeway here. Seconds are at most 2^53, so nothing overflows.
	if now >= c.expiresAt*1000 {
		return Expired
	}
	latest := now + e.rules.leeway.Milliseconds()
	if c.issuedAt*1000 > latest || c.notBefore*1000 > latest {
		return NotYetValid
	}
	if e.revocations.isRevoked(c.subject, c.session, c.token.Epoch) {
		return Revoked
	}
	return ""
}

package countersign

import (
	"encoding/base64"
	"strings"
)

// forbiddenParameters are header parameters that bring a key of their own or change what the bytes mean: crit
// (RFC 7515 section 4.1.11), b64 (RFC 7797), zip and enc (RFC 7516), cty (a nested JWT, RFC 7519 section 5.2), and
// the ways to say "verify me with this" (RFC 7515 sections 4.1.2 to 4.1.8). No token of Countersign has one. What is
// in them is never looked at.
var forbiddenParameters = [...]string{
	"crit", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "b64", "zip", "enc", "cty",
}

// jws is a token in compact serialization (RFC 7515 section 7.1), taken apart and not yet trusted.
type jws struct {
	header jwsHeader
	// payload must not be read before the signature was verified.
	payload []byte
	// signingInput is the first two parts as they were sent: what the signature covers.
	signingInput string
	signature    []byte
}

// jwsHeader is what a token says of itself. alg is good for one comparison with the algorithm of the key, and for
// nothing else.
type jwsHeader struct {
	typ          string
	alg          string
	kid          string
	hasKid       bool
	hasForbidden bool
}

// parseJWS takes a token apart: at most maxBytes, exactly three parts, none of them empty, each in the one spelling
// that base64url gives its bytes.
func parseJWS(token string, maxBytes int) (jws, bool) {
	if len(token) > maxBytes {
		return jws{}, false
	}
	first := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	if first < 0 || first == last || strings.IndexByte(token[first+1:last], '.') >= 0 {
		return jws{}, false
	}
	header, ok := decodePart(token[:first])
	if !ok {
		return jws{}, false
	}
	members, ok := parseObject(header)
	if !ok {
		return jws{}, false
	}
	var parsed jws
	if parsed.header, ok = readHeader(members); !ok {
		return jws{}, false
	}
	if parsed.payload, ok = decodePart(token[first+1 : last]); !ok {
		return jws{}, false
	}
	if parsed.signature, ok = decodePart(token[last+1:]); !ok {
		return jws{}, false
	}
	parsed.signingInput = token[:last]
	return parsed, true
}

var strictBase64URL = base64.RawURLEncoding.Strict()

// decodePart decodes base64url without padding, white space or stray trailing bits. encoding/base64 skips line
// breaks even in its strict mode, so they are refused before.
func decodePart(part string) ([]byte, bool) {
	if part == "" || strings.ContainsAny(part, "\r\n") {
		return nil, false
	}
	decoded, err := strictBase64URL.DecodeString(part)
	return decoded, err == nil
}

func readHeader(members map[string]any) (jwsHeader, bool) {
	var header jwsHeader
	var hasAlg, ok bool
	if header.typ, _, ok = optionalText(members, "typ"); !ok {
		return jwsHeader{}, false
	}
	if header.alg, hasAlg, ok = optionalText(members, "alg"); !ok || !hasAlg {
		return jwsHeader{}, false
	}
	if header.kid, header.hasKid, ok = optionalText(members, "kid"); !ok {
		return jwsHeader{}, false
	}
	for _, name := range forbiddenParameters {
		if _, has := members[name]; has {
			header.hasForbidden = true
		}
	}
	return header, true
}

// optionalText reads a member that is a string where it is there at all.
func optionalText(members map[string]any, name string) (text string, has, ok bool) {
	value, has := members[name]
	if !has {
		return "", false, true
	}
	text, ok = value.(string)
	return text, true, ok
}

// isAccessToken reports whether typ says that it is an access token: a media type, hence without regard to case and
// with application/ understood where it is left out (RFC 7515 section 4.1.9, RFC 9068 section 4).
func (h jwsHeader) isAccessToken() bool {
	return equalASCIIFold(h.typ, "at+jwt") || equalASCIIFold(h.typ, "application/at+jwt")
}

// equalASCIIFold compares without regard to the case of ASCII letters. strings.EqualFold would also take the Kelvin
// sign for a k.
func equalASCIIFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lowerASCII(a[i]) != lowerASCII(b[i]) {
			return false
		}
	}
	return true
}

func lowerASCII(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

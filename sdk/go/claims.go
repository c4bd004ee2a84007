package countersign

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// id is a user's or a session's: 16 bytes.
type id [16]byte

// claims is an authentic token: what it says, and the same as numbers for the checks that are made each time.
type claims struct {
	issuer string
	token  *Token
	// The times are seconds since the Unix epoch.
	issuedAt, expiresAt int64
	notBefore           int64 // 0 where there is none
	subject, session    id
}

// parseClaims reads the payload of a token strictly: every claim but nbf and ext must be there and of its one type (RFC 9068
// section 2.2).
func parseClaims(payload []byte) (*claims, bool) {
	members, ok := parseObject(payload)
	if !ok {
		return nil, false
	}
	r := claimReader{members: members, ok: true}
	c := &claims{token: &Token{}}
	t := c.token
	c.issuer = r.text("iss")
	t.Subject = r.text("sub")
	t.SubjectKind = SubjectUser
	if _, has := members["client_id"]; has {
		// A service account is its own client, and nobody else has one (RFC 9068 section 2.2).
		if r.text("client_id") != t.Subject {
			return nil, false
		}
		t.SubjectKind = SubjectService
	}
	t.Audiences = r.audiences()
	c.expiresAt = r.date("exp")
	c.issuedAt = r.date("iat")
	if _, has := members["nbf"]; has {
		c.notBefore = r.date("nbf")
	}
	t.TokenID = r.text("jti")
	t.SessionID = r.text("sid")
	t.Username = r.text("username")
	if _, has := members["ext"]; has {
		t.ExternalID = r.text("ext")
	}
	t.Roles = r.texts("roles")
	authTime := r.date("auth_time")
	t.AMR = r.texts("amr")
	t.Epoch = r.counter("epoch")
	sessionEnd := r.date("sxp")
	if !r.ok {
		return nil, false
	}
	if c.subject, ok = parseUserID(t.Subject); !ok {
		return nil, false
	}
	if c.session, ok = parseSessionID(t.SessionID); !ok {
		return nil, false
	}
	t.IssuedAt, t.ExpiresAt = fromUnix(c.issuedAt), fromUnix(c.expiresAt)
	t.AuthTime, t.SessionExpiresAt = fromUnix(authTime), fromUnix(sessionEnd)
	t.CustomClaims = members
	return c, true
}

func fromUnix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// claimReader takes claims out of members, and remembers whether one was not what it must be.
type claimReader struct {
	members map[string]any
	ok      bool
}

func (r *claimReader) take(name string) any {
	value, has := r.members[name]
	r.ok = r.ok && has
	delete(r.members, name)
	return value
}

func (r *claimReader) text(name string) string {
	text, ok := plainText(r.take(name))
	r.ok = r.ok && ok
	return text
}

func (r *claimReader) texts(name string) []string {
	texts, ok := plainTexts(r.take(name))
	r.ok = r.ok && ok
	return texts
}

// audiences reads aud: one string or an array of them (RFC 7519 section 4.1.3), and never none.
func (r *claimReader) audiences() []string {
	value := r.take("aud")
	if text, ok := plainText(value); ok {
		return []string{text}
	}
	texts, ok := plainTexts(value)
	r.ok = r.ok && ok && len(texts) > 0
	return texts
}

// date reads a NumericDate (RFC 7519 section 2): an integer, not before 1970, and exact in a float64, so that every
// reader sees the same one.
func (r *claimReader) date(name string) int64 {
	const largestExact = 1 << 53
	seconds, ok := wholeNumber(r.take(name))
	r.ok = r.ok && ok && seconds <= largestExact
	return int64(seconds & (1<<63 - 1))
}

func (r *claimReader) counter(name string) uint64 {
	count, ok := wholeNumber(r.take(name))
	r.ok = r.ok && ok
	return count
}

// plainText is a string that says something and has no control characters: a NUL would cut it short in whatever is
// written in C behind us.
func plainText(value any) (string, bool) {
	text, ok := value.(string)
	return text, ok && text != "" && !strings.ContainsFunc(text, unicode.IsControl)
}

func plainTexts(value any) ([]string, bool) {
	values, ok := value.([]any)
	texts := make([]string, 0, len(values))
	for _, value := range values {
		text, isText := plainText(value)
		ok = ok && isText
		texts = append(texts, text)
	}
	return texts, ok
}

// wholeNumber takes a number that is spelled as digits and nothing else.
func wholeNumber(value any) (uint64, bool) {
	number, ok := value.(json.Number)
	if !ok || strings.ContainsAny(string(number), "-.eE") {
		return 0, false
	}
	count, err := strconv.ParseUint(string(number), 10, 64)
	return count, err == nil
}

// parseUserID reads a UUID in its canonical form alone, so that one user has one spelling.
func parseUserID(text string) (id, bool) {
	var user id
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return id{}, false
	}
	digits := text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:]
	if _, err := hex.Decode(user[:], []byte(digits)); err != nil {
		return id{}, false
	}
	return user, formatUserID(user) == text
}

func formatUserID(user id) string {
	digits := hex.EncodeToString(user[:])
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
}

// parseSessionID reads 22 characters of base64url.
func parseSessionID(text string) (id, bool) {
	decoded, ok := decodePart(text)
	if !ok || len(decoded) != len(id{}) {
		return id{}, false
	}
	return id(decoded), true
}

func formatSessionID(session id) string { return strictBase64URL.EncodeToString(session[:]) }

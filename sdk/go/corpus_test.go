package countersign

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// corpus is sdk/conformance: what the server's own verifier answers.
const corpus = "../conformance"

// needCorpus skips a test where the module is alone: the corpus is beside it in the repository.
func needCorpus(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(corpus, "..", "go", "go.mod")); err != nil {
		t.Skip("SKIPPED: the corpus is in Countersign's repository")
	}
}

func readLines[T any](t testing.TB, name string) []T {
	t.Helper()
	needCorpus(t)
	file, err := os.Open(filepath.Join(corpus, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []T
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var line T
		decoder := json.NewDecoder(bytes.NewReader(scanner.Bytes()))
		decoder.DisallowUnknownFields()
		decoder.UseNumber()
		if err := decoder.Decode(&line); err != nil {
			t.Fatalf("%s: line %d: %v", name, len(all)+1, err)
		}
		all = append(all, line)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

type keyCase struct {
	Name      string          `json:"name"`
	ID        string          `json:"id"`
	Algorithm string          `json:"algorithm"`
	SPKI      []byte          `json:"spki"`
	Trusted   bool            `json:"trusted"`
	JWK       json.RawMessage `json:"jwk"`
}

func TestCorpusKeys(t *testing.T) {
	cases := readLines[keyCase](t, "keys.jsonl")
	if len(cases) < 50 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, c := range cases {
		_, err := parseKey(c.ID, c.Algorithm, c.SPKI)
		if trusted := err == nil; trusted != c.Trusted {
			t.Errorf("%s: trusted: %t (%v), expected %t", c.Name, trusted, err, c.Trusted)
		}
	}
}

type tokenCase struct {
	Name             string   `json:"name"`
	Token            string   `json:"token"`
	Keys             []string `json:"keys"`
	Now              int64    `json:"now_ms"`
	Issuer           string   `json:"issuer"`
	DefaultAudiences []string `json:"default_audiences"`
	Leeway           int64    `json:"leeway_ms"`
	Audiences        []string `json:"audiences"`
	Revoked          struct {
		Sessions []string `json:"sessions"`
		Users    []struct {
			Subject string `json:"subject"`
			Epoch   uint64 `json:"epoch"`
		} `json:"users"`
	} `json:"revoked"`
	Expect struct {
		Invalid  InvalidReason   `json:"invalid"`
		Verified json.RawMessage `json:"verified"`
	} `json:"expect"`
}

// corpusKeys are the keys of the corpus' tokens, by their id.
func corpusKeys(t testing.TB) map[string]*publicKey {
	t.Helper()
	keys := map[string]*publicKey{}
	for _, c := range readLines[keyCase](t, "keys.jsonl") {
		if c.Trusted && keys[c.ID] == nil {
			key, err := parseKey(c.ID, c.Algorithm, c.SPKI)
			if err != nil {
				t.Fatal(err)
			}
			keys[c.ID] = key
		}
	}
	return keys
}

// engineFor makes what the case is asked of.
func engineFor(t testing.TB, c *tokenCase, all map[string]*publicKey) *engine {
	t.Helper()
	e := newEngine(rules{
		issuer:        c.Issuer,
		audiences:     c.DefaultAudiences,
		leeway:        time.Duration(c.Leeway) * time.Millisecond,
		maxTokenBytes: maxTokenBytes,
	}, 64)
	keys := map[string]*publicKey{}
	for _, id := range c.Keys {
		keys[id] = all[id]
	}
	e.keys.Store(&keySet{keys: keys})
	for _, text := range c.Revoked.Sessions {
		session, ok := parseSessionID(text)
		if !ok {
			t.Fatalf("%s: %q is no session", c.Name, text)
		}
		e.revocations.revokeSession(session, 1<<62)
	}
	for _, user := range c.Revoked.Users {
		subject, ok := parseUserID(user.Subject)
		if !ok {
			t.Fatalf("%s: %q is no user", c.Name, user.Subject)
		}
		e.revocations.raiseEpoch(subject, user.Epoch, 1<<62)
	}
	return e
}

// written is a token as the corpus writes it.
func written(t testing.TB, token *Token) any {
	t.Helper()
	identity := map[string]any{
		"subject":            token.Subject,
		"username":           token.Username,
		"session_id":         token.SessionID,
		"roles":              token.Roles,
		"audiences":          token.Audiences,
		"token_id":           token.TokenID,
		"issued_at":          token.IssuedAt.Unix(),
		"expires_at":         token.ExpiresAt.Unix(),
		"auth_time":          token.AuthTime.Unix(),
		"amr":                token.AMR,
		"epoch":              token.Epoch,
		"session_expires_at": token.SessionExpiresAt.Unix(),
		"custom_claims":      token.CustomClaims,
	}
	if token.ExternalID != "" {
		identity["external_id"] = token.ExternalID
	}
	if token.SubjectKind != SubjectUser {
		identity["subject_kind"] = token.SubjectKind
	}
	return throughJSON(t, identity)
}

func throughJSON(t testing.TB, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var read any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&read); err != nil {
		t.Fatal(err)
	}
	return read
}

func TestCorpusTokens(t *testing.T) {
	cases := readLines[tokenCase](t, "tokens.jsonl")
	if len(cases) < 900 {
		t.Fatalf("only %d cases", len(cases))
	}
	keys := corpusKeys(t)
	for _, c := range cases {
		e := engineFor(t, &c, keys)
		// The second time a good token is in the cache.
		for _, time := range []string{"first", "second"} {
			token, reason := e.verify(c.Token, c.Audiences, c.Now)
			switch {
			case reason != c.Expect.Invalid:
				t.Errorf("%s, the %s time: %q, expected %q", c.Name, time, reason, c.Expect.Invalid)
			case reason == "":
				if got, want := written(t, token), throughJSON(t, c.Expect.Verified); !reflect.DeepEqual(got, want) {
					t.Errorf("%s, the %s time:\n%v, expected\n%v", c.Name, time, got, want)
				}
			}
		}
	}
}

// TestCorpusJWKS holds jwks.json to keys.jsonl.
func TestCorpusJWKS(t *testing.T) {
	needCorpus(t)
	text, err := os.ReadFile(filepath.Join(corpus, "jwks.json"))
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	keys := corpusKeys(t)
	for _, jwk := range set.Keys {
		key := keys[jwk["kid"]]
		if key == nil || key.algorithm != jwk["alg"] {
			t.Errorf("%v is not in keys.jsonl", jwk)
			continue
		}
		if x := jwk["x"]; x != "" {
			point, err := base64.RawURLEncoding.DecodeString(x)
			if err != nil || !bytes.Contains(key.spki, point) {
				t.Errorf("%v is another key than in keys.jsonl", jwk)
			}
		}
	}
	if len(set.Keys) != 3 {
		t.Errorf("%d keys", len(set.Keys))
	}
}

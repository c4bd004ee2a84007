package countersign

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"testing"
	"time"
)

const (
	testIssuer   = "https://auth.example"
	testAudience = "orders"
)

// signer makes tokens of its own.
type signer struct {
	private ed25519.PrivateKey
	key     *publicKey
}

func newSigner(t testing.TB, kid string) *signer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	key, err := parseKey(kid, "EdDSA", spki)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{private: private, key: key}
}

// token is one that is good at now for a quarter of an hour, but for these claims.
func (s *signer) token(t testing.TB, session id, now time.Time, changed map[string]any) string {
	t.Helper()
	header, err := json.Marshal(map[string]string{"typ": "at+jwt", "alg": "EdDSA", "kid": s.key.id})
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{
		"iss": testIssuer, "sub": formatUserID(id{0x42}), "aud": []string{testAudience},
		"exp": now.Unix() + 900, "iat": now.Unix(), "jti": "AAAAAAAAAAAAAAAAAAAAAA",
		"sid": formatSessionID(session), "username": "ada", "roles": []string{"admin"}, "auth_time": now.Unix(),
		"amr": []string{"pwd"}, "epoch": 3, "sxp": now.Unix() + 86_400,
	}
	maps.Copy(claims, changed)
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(s.private, []byte(input)))
}

package countersigntest_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	countersign "countersign.dev/go"
	"countersign.dev/go/countersigntest"
)

const password = "correct horse battery staple"

// world is one of the server that the tests share. Without a binary the test is skipped, and fails under CI=true.
func world(t *testing.T) *countersigntest.World {
	t.Helper()
	if os.Getenv("COUNTERSIGN_BIN") == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("COUNTERSIGN_BIN (the path of the server's binary) is missing")
		}
		t.Skip("SKIPPED: COUNTERSIGN_BIN (the path of the server's binary) is missing")
	}
	t.Parallel()
	return countersigntest.NewWorld(t)
}

func said(err error) string {
	var invalid *countersign.InvalidError
	var unknown *countersign.UnknownError
	switch {
	case err == nil:
		return "verified"
	case errors.As(err, &invalid):
		return string(invalid.Reason)
	case errors.As(err, &unknown):
		return "unknown"
	}
	return err.Error()
}

func TestTokenInEachStateIsWhatAVerifierSaysItIs(t *testing.T) {
	w := world(t)
	verifier := w.Verifier()
	for state, expected := range map[countersigntest.State]string{
		countersigntest.Good:          "verified",
		countersigntest.Expired:       "EXPIRED",
		countersigntest.NotYetValid:   "NOT_YET_VALID",
		countersigntest.WrongAudience: "WRONG_AUDIENCE",
		countersigntest.WrongIssuer:   "WRONG_ISSUER",
		countersigntest.Revoked:       "REVOKED",
		countersigntest.UnknownKey:    "UNKNOWN_KEY",
		countersigntest.WithdrawnKey:  "UNKNOWN_KEY",
		countersigntest.BadSignature:  "BAD_SIGNATURE",
		countersigntest.Malformed:     "MALFORMED",
	} {
		minted := w.AccessToken(countersigntest.Mint{State: state})
		_, err := verifier.Verify(t.Context(), minted.Token)
		if minted.Position != "" {
			_, err = verifier.VerifyAtLeast(t.Context(), minted.Position, minted.Token)
		}
		if got := said(err); got != expected {
			t.Errorf("%s: %s, want %s", state, got, expected)
		}
	}
	minted := w.AccessToken(countersigntest.Mint{
		Username: "ada", Roles: []string{"admin"}, Claims: map[string]any{"tenant": "acme"}, ExternalID: "42",
	})
	token, err := verifier.Verify(t.Context(), minted.Token)
	if err != nil {
		t.Fatal(err)
	}
	if token.Username != "ada" || token.Roles[0] != "admin" || token.ExternalID != "42" || token.Subject != minted.UserID {
		t.Errorf("%+v", token)
	}
}

func TestSessionLivesThroughItsLifeByTheWorldsClock(t *testing.T) {
	w := world(t)
	verifier, client := w.Verifier(), w.Client()
	w.CreateUser("ada", password, "ops")
	first, err := client.Login(t.Context(), "ada", password)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(t.Context(), first.AccessToken); err != nil {
		t.Error(err)
	}
	w.Advance(6 * time.Minute)
	if _, err := verifier.Verify(t.Context(), first.AccessToken); said(err) != "EXPIRED" {
		t.Error(said(err))
	}
	second, err := client.Refresh(t.Context(), first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(t.Context(), second.AccessToken); err != nil {
		t.Error(err)
	}
	position, err := client.Logout(t.Context(), second.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.VerifyAtLeast(t.Context(), position, second.AccessToken); said(err) != "REVOKED" {
		t.Error(said(err))
	}
}

func TestVerifierGrowsStaleWhenItsStreamIsStalledAndRecovers(t *testing.T) {
	w := world(t)
	verifier := w.Verifier()
	minted := w.AccessToken(countersigntest.Mint{Lifetime: time.Hour})
	verify := func() string {
		_, err := verifier.Verify(t.Context(), minted.Token)
		return said(err)
	}
	w.StallStreams()
	w.Advance(30 * time.Second)
	if got := verify(); got != "unknown" {
		t.Error(got)
	}
	w.ResumeStreams()
	w.Advance(30 * time.Second)
	if got := verify(); got != "verified" {
		t.Error(got)
	}
	w.EndStreams()
	if got := verify(); got != "verified" {
		t.Error(got)
	}
}

func TestClientTriesAgainWhatFailsForAMomentAndNoMore(t *testing.T) {
	w := world(t)
	client := w.Client()
	minted := w.RefreshToken(countersigntest.Mint{})
	const refresh = "countersign.v1.AuthService/Refresh"
	w.Fail(refresh, countersigntest.Failure{Code: codes.Unavailable, Times: 1})
	if _, err := client.Refresh(t.Context(), minted.Token); err != nil {
		t.Error(err)
	}
	w.Fail(refresh, countersigntest.Failure{Reason: "SESSION_REVOKED"})
	if _, err := client.Refresh(t.Context(), minted.Token); countersign.Reason(err) != "SESSION_REVOKED" {
		t.Error(err)
	}
	w.ClearFailures()
	if _, err := client.Refresh(t.Context(), minted.Token); err != nil {
		t.Error(err)
	}
}

func keyID(t *testing.T, w *countersigntest.World) string {
	t.Helper()
	answer, err := http.Get(w.JWKSURL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&set); err != nil || len(set.Keys) != 1 {
		t.Fatal(err, set)
	}
	return set.Keys[0].ID
}

func TestWorldsDoNotSeeEachOtherAndOneCanBeMadeAnew(t *testing.T) {
	one := world(t)
	two := countersigntest.NewWorld(t)
	one.CreateUser("ada", password)
	if _, err := two.Client().Login(t.Context(), "ada", password); countersign.Reason(err) != "INVALID_CREDENTIALS" {
		t.Error(err)
	}
	client := one.Client()
	if _, err := client.Login(t.Context(), "ada", password); err != nil {
		t.Error(err)
	}
	if keyID(t, one) == keyID(t, two) {
		t.Error("two worlds have the same key")
	}
	one.Reset()
	if _, err := client.Login(t.Context(), "ada", password); err == nil {
		t.Error("a user outlived the world")
	}
}

func TestServerThatDoesNotStartSaysWhyAndOneThatIsStoppedIsGone(t *testing.T) {
	if _, err := countersigntest.Start(countersigntest.Options{Binary: "/nowhere/countersign"}); err == nil ||
		!strings.Contains(err.Error(), "/nowhere/countersign") {
		t.Error(err)
	}
	world(t)
	if _, err := countersigntest.Start(countersigntest.Options{Arguments: []string{"--listen", "0.0.0.0:0"}}); err == nil ||
		!strings.Contains(err.Error(), "grpc.listen") {
		t.Error(err)
	}
	server, err := countersigntest.Start(countersigntest.Options{Arguments: []string{"--issuer", "https://auth.test"}})
	if err != nil {
		t.Fatal(err)
	}
	if server.Issuer() != "https://auth.test" {
		t.Error(server.Issuer())
	}
	server.Stop()
	if answer, err := http.Get(server.HTTP() + "/.well-known/jwks.json"); err == nil {
		answer.Body.Close()
		t.Error("it still serves")
	}
}

func TestExampleOfThePagePasses(t *testing.T) {
	world(t)
	page, err := os.ReadFile("../../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```go\n(.*?)```").FindSubmatch(page)
	if example == nil {
		t.Fatal("docs/testing.md has no example")
	}
	// Within the module, for its imports; a folder that begins with _ is none of the package's own.
	folder, err := os.MkdirTemp(".", "_page")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.WriteFile(filepath.Join(folder, "page_test.go"), example[1], 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.Command("go", "test", "-count=1", "-v", ".")
	run.Dir = folder
	said, err := run.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "--- PASS: TestTokenExpires") {
		t.Errorf("%v: %s", err, said)
	}
}

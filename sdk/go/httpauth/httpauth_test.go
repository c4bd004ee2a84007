package httpauth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	countersign "countersign.dev/go"
	"countersign.dev/go/httpauth"
)

// answers is a verifier that answers by the token's text.
type answers struct{}

func (answers) Verify(_ context.Context, token string, audiences ...string) (*countersign.Token, error) {
	switch token {
	case "good":
		return &countersign.Token{Username: "ada", Roles: []string{"admin"}, Audiences: audiences}, nil
	case "expired":
		return nil, &countersign.InvalidError{Reason: countersign.Expired}
	default:
		return nil, &countersign.UnknownError{}
	}
}

func get(handler http.Handler, authorization ...string) *http.Response {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, value := range authorization {
		request.Header.Add("Authorization", value)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder.Result()
}

func TestMiddleware(t *testing.T) {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := countersign.TokenFromContext(r.Context())
		fmt.Fprint(w, token.Username, token.Audiences)
	})
	handler := httpauth.Middleware(answers{}, httpauth.Audiences("orders"))(hello)
	for _, c := range []struct {
		authorization []string
		status        int
		reason        string
		challenge     string
	}{
		{[]string{"Bearer good"}, 200, "", ""},
		{nil, 401, "TOKEN_MISSING", "Bearer"},
		{[]string{"Bearer good", "Bearer good"}, 401, "TOKEN_MISSING", "Bearer"},
		{[]string{"Bearer expired"}, 401, "ACCESS_TOKEN_EXPIRED", `Bearer error="invalid_token"`},
		{[]string{"Bearer other"}, 503, "REVOCATIONS_STALE", ""},
	} {
		answer := get(handler, c.authorization...)
		var problem struct {
			Status int
			Reason string
		}
		_ = json.NewDecoder(answer.Body).Decode(&problem)
		if answer.StatusCode != c.status || problem.Reason != c.reason || answer.Header.Get("WWW-Authenticate") != c.challenge ||
			(answer.Header.Get("Retry-After") != "") != (c.status == 503) {
			t.Errorf("%q: %v %v %v", c.authorization, answer.Status, problem, answer.Header)
		}
	}
}

func TestRefuseAndRequireRole(t *testing.T) {
	refuse := httpauth.Refuse(func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, countersign.Reason(err), http.StatusTeapot)
	})
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	middleware := httpauth.Middleware(answers{}, refuse)
	if answer := get(middleware(ok)); answer.StatusCode != http.StatusTeapot {
		t.Error(answer.Status)
	}
	if answer := get(middleware(httpauth.RequireRole("admin", ok)), "Bearer good"); answer.StatusCode != 200 {
		t.Error(answer.Status)
	}
	if answer := get(middleware(httpauth.RequireRole("root", ok)), "Bearer good"); answer.StatusCode != 403 {
		t.Error(answer.Status)
	}
	if answer := get(httpauth.RequireRole("admin", ok)); answer.StatusCode != 401 {
		t.Error(answer.Status)
	}
}

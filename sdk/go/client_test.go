package countersign

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	countersignv1 "countersign.dev/go/countersign/v1"
)

// scripted answers each call with what the test says, and counts.
type scripted struct {
	countersignv1.UnimplementedAuthServiceServer
	countersignv1.UnimplementedUserServiceServer
	calls  atomic.Int32
	answer func(ctx context.Context, call int32, request any) error
}

func (s *scripted) next(ctx context.Context, request any) error {
	return s.answer(ctx, s.calls.Add(1), request)
}

func (s *scripted) Login(ctx context.Context, request *countersignv1.LoginRequest) (*countersignv1.LoginResponse, error) {
	return &countersignv1.LoginResponse{Tokens: &countersignv1.Tokens{
		AccessToken: "access", RefreshToken: "refresh", ExpiresIn: 300,
	}}, s.next(ctx, request)
}

func (s *scripted) Refresh(ctx context.Context, request *countersignv1.RefreshRequest) (*countersignv1.RefreshResponse, error) {
	return &countersignv1.RefreshResponse{Tokens: &countersignv1.Tokens{AccessToken: "access 2"}}, s.next(ctx, request)
}

func (s *scripted) Logout(ctx context.Context, request *countersignv1.LogoutRequest) (*countersignv1.LogoutResponse, error) {
	return &countersignv1.LogoutResponse{}, s.next(ctx, request)
}

func (s *scripted) CreateUser(ctx context.Context, request *countersignv1.CreateUserRequest) (*countersignv1.CreateUserResponse, error) {
	return &countersignv1.CreateUserResponse{}, s.next(ctx, request)
}

func (s *scripted) DeleteUser(ctx context.Context, request *countersignv1.DeleteUserRequest) (*countersignv1.DeleteUserResponse, error) {
	return &countersignv1.DeleteUserResponse{}, s.next(ctx, request)
}

func serveScripted(t *testing.T, answer func(ctx context.Context, call int32, request any) error) (*scripted, *Client) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, server := &scripted{answer: answer}, grpc.NewServer()
	countersignv1.RegisterAuthServiceServer(server, s)
	countersignv1.RegisterUserServiceServer(server, s)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return s, newTestClient(t, listener.Addr().String())
}

func newTestClient(t *testing.T, address string) *Client {
	t.Helper()
	client, err := NewClient(ClientOptions{
		Endpoint:       "http://" + address,
		Token:          func(context.Context) (string, error) { return "operator", nil },
		AttemptTimeout: 200 * time.Millisecond,
		MaxBackoff:     10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func refusal(code codes.Code, reason string, wait time.Duration) error {
	st, err := status.New(code, "").WithDetails(
		&errdetails.ErrorInfo{Domain: "countersign", Reason: reason, Metadata: map[string]string{"cause": "LOGGED_OUT"}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)},
	)
	if err != nil {
		panic(err)
	}
	return st.Err()
}

func TestRefreshWaitsAsLongAsTheServerSays(t *testing.T) {
	const wait = 120 * time.Millisecond
	s, client := serveScripted(t, func(_ context.Context, call int32, _ any) error {
		if call == 1 {
			return refusal(codes.Unavailable, "REFRESH_IN_PROGRESS", wait)
		}
		return nil
	})
	begun := time.Now()
	tokens, err := client.Refresh(t.Context(), "refresh")
	if err != nil || tokens.AccessToken != "access 2" || s.calls.Load() != 2 {
		t.Errorf("%v, %v, %d calls", tokens, err, s.calls.Load())
	}
	if took := time.Since(begun); took < wait {
		t.Errorf("again after %v", took)
	}
}

func TestWhatIsTriedAgain(t *testing.T) {
	login := func(c *Client) error { _, err := c.Login(t.Context(), "ada", "password"); return err }
	refresh := func(c *Client) error { _, err := c.Refresh(t.Context(), "refresh"); return err }
	logout := func(c *Client) error { _, err := c.Logout(t.Context(), "refresh"); return err }
	remove := func(c *Client) error {
		_, err := c.Users().DeleteUser(t.Context(), &countersignv1.DeleteUserRequest{})
		return err
	}
	for _, c := range []struct {
		what  string
		call  func(*Client) error
		first error
		calls int32
	}{
		{"refresh, a store is down", refresh, refusal(codes.Unavailable, "STORE_UNAVAILABLE", 0), 2},
		{"refresh, the connection broke", refresh, status.Error(codes.Unavailable, ""), 2},
		{"logout, a store is down", logout, refusal(codes.Unavailable, "STORE_UNAVAILABLE", 0), 2},
		{"login, a store is down", login, refusal(codes.Unavailable, "STORE_UNAVAILABLE", 0), 1},
		{"login, the queue is full", login, refusal(codes.ResourceExhausted, "LOGIN_OVERLOADED", 0), 2},
		{"login, no room", login, refusal(codes.ResourceExhausted, "SERVER_OVERLOADED", 0), 2},
		{"login, too many attempts", login, refusal(codes.ResourceExhausted, "RATE_LIMIT_EXCEEDED", 0), 1},
		{"login, refused", login, refusal(codes.Unauthenticated, "INVALID_CREDENTIALS", 0), 1},
		{"refresh, reused", refresh, refusal(codes.Unauthenticated, "REFRESH_TOKEN_REUSED", 0), 1},
		{"refresh, a defect", refresh, refusal(codes.Internal, "INTERNAL", 0), 1},
		{"refresh, longer than there is time", refresh, refusal(codes.Unavailable, "REFRESH_IN_PROGRESS", time.Minute), 1},
		{"delete, a store is down", remove, refusal(codes.Unavailable, "STORE_UNAVAILABLE", 0), 1},
		{"delete, no room", remove, refusal(codes.ResourceExhausted, "SERVER_OVERLOADED", 0), 2},
	} {
		s, client := serveScripted(t, func(_ context.Context, call int32, _ any) error {
			if call == 1 {
				return c.first
			}
			return nil
		})
		err := c.call(client)
		if s.calls.Load() != c.calls || (err == nil) != (c.calls == 2) {
			t.Errorf("%s: %d calls, %v", c.what, s.calls.Load(), err)
		}
	}
}

func TestAnAttemptThatIsNotAnsweredIsMadeAgain(t *testing.T) {
	s, client := serveScripted(t, func(ctx context.Context, call int32, _ any) error {
		if call == 1 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	if _, err := client.Refresh(t.Context(), "refresh"); err != nil || s.calls.Load() != 2 {
		t.Errorf("%v, %d calls", err, s.calls.Load())
	}
	s.calls.Store(0)
	if _, err := client.Login(t.Context(), "ada", "password"); status.Code(err) != codes.DeadlineExceeded || s.calls.Load() != 1 {
		t.Errorf("a login that may have succeeded: %v, %d calls", err, s.calls.Load())
	}
}

func TestALoginThatWasNeverSentIsMadeAgain(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	client := newTestClient(t, address)
	answered := make(chan error, 1)
	go func() {
		_, err := client.Login(t.Context(), "ada", "password")
		answered <- err
	}()
	time.Sleep(50 * time.Millisecond)
	if listener, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	defer server.Stop()
	countersignv1.RegisterAuthServiceServer(server, &scripted{answer: func(context.Context, int32, any) error { return nil }})
	go func() { _ = server.Serve(listener) }()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestCreateUserHasARequestIdThatStays(t *testing.T) {
	var seen []string
	_, client := serveScripted(t, func(ctx context.Context, call int32, request any) error {
		seen = append(seen, request.(*countersignv1.CreateUserRequest).GetRequestId())
		incoming, _ := metadata.FromIncomingContext(ctx)
		seen = append(seen, incoming.Get("authorization")...)
		if call == 1 {
			return refusal(codes.Unavailable, "STORE_UNAVAILABLE", 0)
		}
		return nil
	})
	request := &countersignv1.CreateUserRequest{Username: "ada"}
	if _, err := client.Users().CreateUser(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 4 || seen[0] == "" || seen[0] != seen[2] || seen[1] != "Bearer operator" || request.GetRequestId() != "" {
		t.Errorf("%q, %v", seen, request)
	}
}

func TestTokensAreNotShown(t *testing.T) {
	tokens := Tokens{AccessToken: "secret-a", RefreshToken: "secret-r"}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("", "tokens", tokens, "pointer", &tokens)
	for _, text := range []string{
		fmt.Sprint(tokens), fmt.Sprintf("%v %+v %#v %s", tokens, &tokens, tokens, tokens), logged.String(),
	} {
		if strings.Contains(text, "secret") {
			t.Error(text)
		}
	}
}

func TestSessionEnded(t *testing.T) {
	ended := refusal(codes.Unauthenticated, "SESSION_REVOKED", 0)
	if !SessionEnded(ended) || Cause(ended) != "LOGGED_OUT" || SessionEnded(refusal(codes.Unavailable, "STORE_UNAVAILABLE", 0)) {
		t.Errorf("%v", ended)
	}
}

func TestClientOptionsAreChecked(t *testing.T) {
	for _, options := range []ClientOptions{{}, {Endpoint: "a:1"}, {Endpoint: "http://a:1", Deadline: -1}} {
		if client, err := NewClient(options); err == nil {
			t.Errorf("%v: no error", options)
			_ = client.Close()
		}
	}
}

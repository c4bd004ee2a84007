package countersigntest

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	countersign "countersign.dev/go"
	countersignv1 "countersign.dev/go/countersign/v1"
	"countersign.dev/go/countersigntest/testv1"
)

const (
	// patience is how long a call to the test server may take.
	patience = 70 * time.Second
	// freshWithin is how long verifiers are waited for when the clock was moved.
	freshWithin = 5 * time.Second
)

// World is a service of its own within the server: users, sessions, keys, revocations, clock, failures and streams that
// no other world has. It is forgotten when its test ends. Whatever goes wrong fails the test.
type World struct {
	t      testing.TB
	server *Server
	conn   *grpc.ClientConn
	test   testv1.TestServiceClient
	users  countersignv1.UserServiceClient
	clock  *worldClock

	mu        sync.Mutex
	verifiers []*countersign.Verifier
	stalled   bool

	// Name is what it is called.
	Name string
	// Endpoint is its gRPC address, for countersign.Options and countersign.ClientOptions:
	// http://go-17-1.localhost:41234.
	Endpoint string
	// HTTPURL is the base of its HTTP paths: http://127.0.0.1:41235/worlds/go-17-1. A browser uses
	// http://go-17-1.localhost:41235, so that cookies of other worlds are not sent.
	HTTPURL string
	// JWKSURL is where its key set is.
	JWKSURL string
}

// worldClock is as far ahead of this machine's clock as the world's is.
type worldClock struct {
	machine countersign.Clock
	ahead   atomic.Int64
}

func (c *worldClock) Now() (time.Time, time.Duration) {
	wall, monotonic := c.machine.Now()
	ahead := time.Duration(c.ahead.Load())
	return wall.Add(ahead), monotonic + ahead
}

// NewWorld makes a world for a test, which no other test has.
func (s *Server) NewWorld(t testing.TB) *World {
	t.Helper()
	return s.World(t, fmt.Sprintf("go-%d-%d", os.Getpid(), s.worlds.Add(1)))
}

// World is the world of this name: 1 to 63 of a-z 0-9 -. It is forgotten when the test ends.
func (s *Server) World(t testing.TB, name string) *World {
	t.Helper()
	_, port, err := net.SplitHostPort(s.said.GRPC)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:///"+s.said.GRPC,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(name+".localhost"))
	if err != nil {
		t.Fatal(err)
	}
	w := &World{
		t: t, server: s, conn: conn,
		test:     testv1.NewTestServiceClient(conn),
		users:    countersignv1.NewUserServiceClient(conn),
		clock:    &worldClock{machine: countersign.SystemClock()},
		Name:     name,
		Endpoint: "http://" + net.JoinHostPort(name+".localhost", port),
		HTTPURL:  s.said.HTTP + "/worlds/" + name,
		JWKSURL:  s.said.HTTP + "/worlds/" + name + "/.well-known/jwks.json",
	}
	t.Cleanup(func() {
		// The test's own context is over.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_, _ = w.test.DeleteWorld(ctx, &testv1.DeleteWorldRequest{Name: name})
		_ = conn.Close()
	})
	return w
}

// Clock is its time, for whatever checks tokens in this process.
func (w *World) Clock() countersign.Clock { return w.clock }

// Conn is a connection on which every call is in this world, for stubs of one's own.
func (w *World) Conn() *grpc.ClientConn { return w.conn }

// Client makes a client of this world, which is closed when the test ends.
func (w *World) Client() *countersign.Client {
	w.t.Helper()
	client, err := countersign.NewClient(countersign.ClientOptions{Endpoint: w.Endpoint})
	w.check(err)
	w.t.Cleanup(func() { _ = client.Close() })
	return client
}

// Options are what a verifier goes by here. It hears quickly of what changes.
func (w *World) Options() countersign.Options {
	return countersign.Options{
		Endpoint:     w.Endpoint,
		Issuer:       w.server.said.Issuer,
		Audiences:    []string{w.server.said.Audience},
		Clock:        w.clock,
		PingInterval: 100 * time.Millisecond,
	}
}

// Verifier makes a verifier that follows this world and has loaded what there is. It is closed when the test ends.
func (w *World) Verifier(change ...func(*countersign.Options)) *countersign.Verifier {
	w.t.Helper()
	options := w.Options()
	for _, change := range change {
		change(&options)
	}
	verifier, err := countersign.Connect(options)
	w.check(err)
	w.t.Cleanup(func() { _ = verifier.Close() })
	ctx, cancel := w.context()
	defer cancel()
	w.check(verifier.Ready(ctx))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verifiers = append(w.verifiers, verifier)
	return verifier
}

// State is what is right or wrong with a token.
type State = testv1.TokenState

// Refresh tokens can be Good, Expired, Revoked, BadSignature, Malformed and Reused, access tokens all but Reused.
const (
	Good          = testv1.TokenState_TOKEN_STATE_GOOD
	Expired       = testv1.TokenState_TOKEN_STATE_EXPIRED
	NotYetValid   = testv1.TokenState_TOKEN_STATE_NOT_YET_VALID
	WrongAudience = testv1.TokenState_TOKEN_STATE_WRONG_AUDIENCE
	WrongIssuer   = testv1.TokenState_TOKEN_STATE_WRONG_ISSUER
	// Revoked was good, and then its session was revoked.
	Revoked    = testv1.TokenState_TOKEN_STATE_REVOKED
	UnknownKey = testv1.TokenState_TOKEN_STATE_UNKNOWN_KEY
	// WithdrawnKey was good, and then its key was withdrawn.
	WithdrawnKey = testv1.TokenState_TOKEN_STATE_WITHDRAWN_KEY
	BadSignature = testv1.TokenState_TOKEN_STATE_BAD_SIGNATURE
	Malformed    = testv1.TokenState_TOKEN_STATE_MALFORMED
	// Reused was exchanged for another long ago.
	Reused = testv1.TokenState_TOKEN_STATE_REUSED
)

// Mint says which token to make. What is missing is made up, or is as the user has it who is named.
type Mint struct {
	// State is Good where it is missing.
	State State
	// UserID is a UUID. An access token's user need not exist; a refresh token's is created.
	UserID   string
	Username string
	Roles    []string
	// Claims come beside the registered ones: what a JSON object may have.
	Claims     map[string]any
	ExternalID string
	Audiences  []string
	// Lifetime is for how long it is good; access tokens only.
	Lifetime time.Duration
}

// Minted is a token that was made.
type Minted struct {
	Token     string
	UserID    string
	Username  string
	SessionID string
	ExpiresAt time.Time
	// Position is where the ledger tells of its revocation, for VerifyAtLeast; empty where it was not revoked.
	Position string
}

// AccessToken makes an access token.
func (w *World) AccessToken(mint Mint) Minted {
	w.t.Helper()
	return w.mint(testv1.TokenKind_TOKEN_KIND_ACCESS, mint)
}

// RefreshToken makes a refresh token; a user is made for it where none is named.
func (w *World) RefreshToken(mint Mint) Minted {
	w.t.Helper()
	return w.mint(testv1.TokenKind_TOKEN_KIND_REFRESH, mint)
}

func (w *World) mint(kind testv1.TokenKind, mint Mint) Minted {
	w.t.Helper()
	request := &testv1.MintTokenRequest{
		Kind: kind, State: mint.State, UserId: mint.UserID, Username: mint.Username, Roles: mint.Roles,
		ExternalId: mint.ExternalID, Audiences: mint.Audiences,
	}
	if mint.Claims != nil {
		claims, err := structpb.NewStruct(mint.Claims)
		w.check(err)
		request.CustomClaims = claims
	}
	if mint.Lifetime != 0 {
		request.Lifetime = durationpb.New(mint.Lifetime)
	}
	minted := call(w, w.test.MintToken, request)
	return Minted{
		Token: minted.GetToken(), UserID: minted.GetUserId(), Username: minted.GetUsername(),
		SessionID: minted.GetSessionId(), ExpiresAt: minted.GetExpiresAt().AsTime(), Position: minted.GetPosition(),
	}
}

// CreateUser creates a user, and returns the id.
func (w *World) CreateUser(username, password string, roles ...string) string {
	w.t.Helper()
	created := call(w, w.users.CreateUser, &countersignv1.CreateUserRequest{
		Username: username, Credential: &countersignv1.CreateUserRequest_Password{Password: password}, Roles: roles,
	})
	return created.GetUser().GetId()
}

// Advance moves the clock of the world forward, and that of Clock. What is due by then has happened when it returns, and
// the verifiers of Verifier are as fresh as before, unless their streams are stalled.
func (w *World) Advance(by time.Duration) {
	w.t.Helper()
	moved := call(w, w.test.AdvanceClock, &testv1.AdvanceClockRequest{By: durationpb.New(by)})
	w.clock.ahead.Store(int64(moved.GetAhead().AsDuration()))
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stalled {
		return
	}
	// What a verifier knows is old by the new time, until it has asked again.
	latest := time.Now().Add(freshWithin)
	for _, verifier := range w.verifiers {
		for {
			age, loaded := verifier.Staleness()
			if loaded && age < time.Second {
				break
			}
			if time.Now().After(latest) {
				w.t.Fatal("countersigntest: a verifier did not hear of the world in time")
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// Failure says how calls of a method fail, or are late.
type Failure struct {
	// Reason is one of the catalogue, as the server itself tells it: STORE_UNAVAILABLE.
	Reason string
	// Code comes without details, as from a proxy or a network. It counts where there is no reason.
	Code codes.Code
	// Times is how many calls fail; every one where it is 0.
	Times int
	// Delay is how long each waits first; at most 1 minute.
	Delay time.Duration
}

// Fail makes calls of a method fail: countersign.v1.AuthService/Login, countersign.v1.AuthService/*, *, or
// GET /.well-known/jwks.json.
func (w *World) Fail(method string, failure Failure) {
	w.t.Helper()
	request := &testv1.FailMethodRequest{
		Method: method, Times: uint32(max(failure.Times, 0)), Delay: durationpb.New(failure.Delay),
	}
	switch {
	case failure.Reason != "":
		request.Failure = &testv1.FailMethodRequest_Reason{Reason: failure.Reason}
	case failure.Code != codes.OK:
		request.Failure = &testv1.FailMethodRequest_Code{Code: int32(failure.Code)}
	}
	call(w, w.test.FailMethod, request)
}

// ClearFailures takes back what Fail has said.
func (w *World) ClearFailures() {
	w.t.Helper()
	call(w, w.test.ClearFailures, &testv1.ClearFailuresRequest{})
}

// StallStreams sends nothing more on streams: a verifier that follows the world grows stale.
func (w *World) StallStreams() {
	w.t.Helper()
	call(w, w.test.StallStreams, &testv1.StallStreamsRequest{})
	w.setStalled(true)
}

// ResumeStreams goes on with them.
func (w *World) ResumeStreams() {
	w.t.Helper()
	call(w, w.test.ResumeStreams, &testv1.ResumeStreamsRequest{})
	w.setStalled(false)
}

func (w *World) setStalled(stalled bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stalled = stalled
}

// EndStreams ends the streams that are open, as a server does that restarts.
func (w *World) EndStreams() {
	w.t.Helper()
	call(w, w.test.EndStreams, &testv1.EndStreamsRequest{})
}

// Reset makes the world anew.
func (w *World) Reset() {
	w.t.Helper()
	call(w, w.test.ResetWorld, &testv1.ResetWorldRequest{})
	w.clock.ahead.Store(0)
	w.setStalled(false)
}

func (w *World) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func (w *World) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("countersigntest: %v", err)
	}
}

func call[I, O any](w *World, method func(context.Context, *I, ...grpc.CallOption) (*O, error), request *I) *O {
	w.t.Helper()
	ctx, cancel := w.context()
	defer cancel()
	answer, err := method(ctx, request)
	w.check(err)
	return answer
}

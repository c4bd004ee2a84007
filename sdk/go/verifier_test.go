package countersign

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	countersignv1 "countersign.dev/go/countersign/v1"
)

// steppedClock is a testClock for several goroutines.
type steppedClock struct {
	mu    sync.Mutex
	clock testClock
}

func (c *steppedClock) Now() (time.Time, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock.Now()
}

func (c *steppedClock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock.advance(by)
}

func newSteppedClock() *steppedClock {
	return &steppedClock{clock: testClock{wall: time.Now(), monotonic: 5 * time.Minute}}
}

// quick are options for tests that do not wait.
func quick(address string, clock Clock) Options {
	return Options{
		Endpoint:     "http://" + address,
		Issuer:       testIssuer,
		Audiences:    []string{testAudience},
		PingInterval: 5 * time.Millisecond,
		MaxBackoff:   10 * time.Millisecond,
		Clock:        clock,
		Logger:       slog.New(slog.DiscardHandler),
	}
}

func connect(t testing.TB, options Options) *Verifier {
	t.Helper()
	v, err := Connect(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// following is a verifier that has loaded what the fake server told: one key, and nothing revoked, up to position 5.
func following(t *testing.T, change func(*Options)) (*Verifier, *steppedClock, *fakeServer, *fakeStream, *signer) {
	t.Helper()
	server, clock, key := serveFake(t), newSteppedClock(), newSigner(t, "k1")
	options := quick(server.address, clock)
	if change != nil {
		change(&options)
	}
	v := connect(t, options)
	stream := server.next(t)
	if resume := stream.started().GetResume(); resume != nil {
		t.Fatalf("resumes at %v", resume)
	}
	stream.begin(1, false)
	stream.keys(key.key)
	stream.revoked(5)
	stream.beat(stream.pinged(), 5)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := v.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return v, clock, server, stream, key
}

func TestARevocationIsToldAndTheStreamResumes(t *testing.T) {
	told := make(chan Revocation, 8)
	v, clock, server, stream, key := following(t, func(o *Options) {
		o.OnRevoked = func(revocation Revocation) { told <- revocation }
	})
	now, _ := clock.Now()
	session := id{1}
	token := key.token(t, session, now, nil)
	verified, err := v.Verify(t.Context(), token)
	if err != nil || verified.Username != "ada" || !verified.HasRole("admin") {
		t.Fatalf("%v, %v", verified, err)
	}
	open, cancel := v.WithRevocation(t.Context(), verified)
	defer cancel()
	stream.revoked(9, session)
	if revocation := <-told; !revocation.Covers(verified) {
		t.Errorf("%v does not cover %v", revocation, verified)
	}
	<-open.Done()
	var invalid *InvalidError
	if !errors.As(context.Cause(open), &invalid) || invalid.Reason != Revoked {
		t.Errorf("the context is over because of %v", context.Cause(open))
	}
	if _, err := v.Verify(t.Context(), token); !errors.As(err, &invalid) || invalid.Reason != Revoked {
		t.Errorf("%v", err)
	}
	late, cancelLate := v.WithRevocation(t.Context(), verified)
	defer cancelLate()
	<-late.Done()

	stream.end()
	second := server.next(t)
	if resume := second.started().GetResume(); resume.GetIncarnation() != 1 || resume.GetSequence() != 9 {
		t.Errorf("resumes at %v", resume)
	}
}

func TestWithRevocationForgetsWhatIsOver(t *testing.T) {
	v, clock, _, _, key := following(t, nil)
	now, _ := clock.Now()
	verified, err := v.Verify(t.Context(), key.token(t, id{1}, now, nil))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		ctx, cancel := v.WithRevocation(t.Context(), verified)
		cancel()
		if !errors.Is(context.Cause(ctx), context.Canceled) {
			t.Errorf("%v", context.Cause(ctx))
		}
	}
	if len(v.watched.sessions) != 0 || len(v.watched.subjects) != 0 {
		t.Errorf("%d sessions and %d users are remembered", len(v.watched.sessions), len(v.watched.subjects))
	}
}

func TestPastTheBoundTheServerIsAsked(t *testing.T) {
	v, clock, server, _, key := following(t, func(o *Options) {
		o.OnStale = AskServer
		o.PingInterval = time.Hour
	})
	now, _ := clock.Now()
	token := key.token(t, id{1}, now, nil)
	asked := atomic.Int32{}
	server.verify = func(request *countersignv1.VerifyAccessTokenRequest) (*countersignv1.VerifyAccessTokenResponse, error) {
		switch asked.Add(1) {
		case 1:
			return &countersignv1.VerifyAccessTokenResponse{
				Result: &countersignv1.VerifyAccessTokenResponse_Verified{Verified: &countersignv1.VerifiedToken{}},
			}, nil
		case 2:
			return &countersignv1.VerifyAccessTokenResponse{
				Result: &countersignv1.VerifyAccessTokenResponse_Invalid{Invalid: &countersignv1.InvalidToken{
					Reason: countersignv1.InvalidReason_INVALID_REASON_REVOKED,
				}},
			}, nil
		case 3:
			return &countersignv1.VerifyAccessTokenResponse{}, nil
		default:
			return nil, status.Error(codes.Unavailable, "not now")
		}
	}
	if _, err := v.Verify(t.Context(), token); err != nil || asked.Load() != 0 {
		t.Fatalf("%v", err)
	}
	clock.advance(11 * time.Second)
	verified, err := v.Verify(t.Context(), token)
	if err != nil || verified.Username != "ada" {
		t.Errorf("%v, %v", verified, err)
	}
	var invalid *InvalidError
	if _, err := v.Verify(t.Context(), token); !errors.As(err, &invalid) || invalid.Reason != Revoked {
		t.Errorf("%v", err)
	}
	for range 2 {
		var unknown *UnknownError
		if _, err := v.Verify(t.Context(), token); !errors.As(err, &unknown) || unknown.Err == nil {
			t.Errorf("%v", err)
		}
	}
	if _, err := v.Verify(t.Context(), "a.b.c"); !errors.As(err, &invalid) || asked.Load() != 4 {
		t.Errorf("what is bad by itself is not asked for: %v", err)
	}
}

func TestAServerThatIsSilentIsLeft(t *testing.T) {
	_, clock, server, stream, _ := following(t, nil)
	stream.pinged()
	clock.advance(6 * time.Second)
	second := server.next(t)
	if resume := second.started().GetResume(); resume.GetSequence() != 5 {
		t.Errorf("resumes at %v", resume)
	}
}

func TestItFindsAServerThatComesLater(t *testing.T) {
	server := serveFake(t)
	server.server.Stop()
	v := connect(t, quick(server.address, newSteppedClock()))
	var unknown *UnknownError
	if _, err := v.Verify(t.Context(), newSigner(t, "k1").token(t, id{1}, time.Now(), nil)); !errors.As(err, &unknown) || unknown.Loaded {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := v.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	stream := serveFakeAt(t, server.address).next(t)
	stream.started()
	stream.begin(1, false)
	stream.revoked(1)
	stream.beat(stream.pinged(), 1)
	ctx, cancel = context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := v.Ready(ctx); err != nil {
		t.Error(err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := quick("127.0.0.1:1", nil)
	for name, change := range map[string]func(*Options){
		"no endpoint":           func(o *Options) { o.Endpoint = "" },
		"no scheme":             func(o *Options) { o.Endpoint = "127.0.0.1:1" },
		"another scheme":        func(o *Options) { o.Endpoint = "grpc://127.0.0.1:1" },
		"a path":                func(o *Options) { o.Endpoint = "http://127.0.0.1:1/path" },
		"TLS without https":     func(o *Options) { o.TLS = &TLS{} },
		"a file that is not":    func(o *Options) { o.Endpoint = "https://a:1"; o.TLS = &TLS{CAFile: "/nowhere"} },
		"a certificate, no key": func(o *Options) { o.Endpoint = "https://a:1"; o.TLS = &TLS{CertFile: "/nowhere"} },
		"no issuer":             func(o *Options) { o.Issuer = "" },
		"no audience":           func(o *Options) { o.Audiences = nil },
		"an empty audience":     func(o *Options) { o.Audiences = []string{""} },
		"no policy":             func(o *Options) { o.OnStale = 7 },
		"a negative bound":      func(o *Options) { o.MaxStaleness = -1 },
		"too large a cache":     func(o *Options) { o.CachedTokens = 1 << 30 },
	} {
		options := good
		change(&options)
		if v, err := Connect(options); err == nil {
			t.Errorf("%s: no error", name)
			_ = v.Close()
		}
	}
	for _, endpoint := range []string{"http://127.0.0.1:1", "https://countersign:50051", "https://[::1]:1/", "https://a.example"} {
		options := good
		options.Endpoint = endpoint
		connect(t, options)
	}
}

func TestErrorsSayWhatTheyAreToGRPC(t *testing.T) {
	for _, c := range []struct {
		err    error
		code   codes.Code
		reason string
	}{
		{ErrNoToken, codes.Unauthenticated, "TOKEN_MISSING"},
		{&InvalidError{Expired}, codes.Unauthenticated, "ACCESS_TOKEN_EXPIRED"},
		{&InvalidError{Revoked}, codes.Unauthenticated, "SESSION_REVOKED"},
		{&InvalidError{UnknownKey}, codes.Unauthenticated, "ACCESS_TOKEN_INVALID"},
		{&UnknownError{}, codes.Unavailable, "REVOCATIONS_STALE"},
		{&UnknownError{Err: status.Error(codes.Internal, "")}, codes.Unavailable, "REVOCATIONS_STALE"},
	} {
		st := status.Convert(c.err)
		if st.Code() != c.code || Reason(c.err) != c.reason || Reason(st.Err()) != c.reason {
			t.Errorf("%v: %v, %s, %s", c.err, st.Code(), Reason(c.err), Reason(st.Err()))
		}
		if wait := retryDelay(st.Err()); (wait > 0) != (c.code == codes.Unavailable) {
			t.Errorf("%v: RetryInfo %v", c.err, wait)
		}
	}
	if Reason(nil) != "" || Reason(errors.New("x")) != "" || Cause(errors.New("x")) != "" {
		t.Error("a reason of something else")
	}
}

func TestBearerToken(t *testing.T) {
	for _, good := range []string{"Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "} {
		if token, ok := BearerToken([]string{good}); !ok || token != "a.b.c" {
			t.Errorf("%q: %q", good, token)
		}
	}
	for _, bad := range [][]string{nil, {"Bearer"}, {"Bearer "}, {"Basic a.b.c"}, {"a.b.c"}, {"Bearer a", "Bearer a"}} {
		if token, ok := BearerToken(bad); ok {
			t.Errorf("%q: %q", bad, token)
		}
	}
}

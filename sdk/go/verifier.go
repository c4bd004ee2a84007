package countersign

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	countersignv1 "countersign.dev/go/countersign/v1"
)

// Verifier verifies access tokens in this process, with the keys and revocations of a server that it follows until it is
// closed. It knows how old its knowledge is, and past Options.MaxStaleness acts by policy. Its methods may be called by
// any number of goroutines.
type Verifier struct {
	options   Options
	engine    *engine
	conn      *grpc.ClientConn
	auth      countersignv1.AuthServiceClient
	watched   *watchers
	positions *positions
	ready     chan struct{}
	isReady   sync.Once
	stop      context.CancelFunc
	stopped   chan struct{}
}

// Connect begins to follow the server and returns at once: the server need not be there yet. Until everything is loaded no
// token is accepted; [Verifier.Ready] waits for that. The error says what is wrong with the options.
func Connect(options Options) (*Verifier, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	conn, err := dial(options.Endpoint, options.TLS, options.Patience, options.MaxBackoff, options.DialOptions)
	if err != nil {
		return nil, err
	}
	v := newVerifier(options)
	v.conn = conn
	v.auth = countersignv1.NewAuthServiceClient(conn)
	ctx, stop := context.WithCancel(context.Background())
	v.stop = stop
	go func() {
		defer close(v.stopped)
		v.follow(ctx, countersignv1.NewRevocationServiceClient(conn))
	}()
	return v, nil
}

// newVerifier makes one that follows no server yet.
func newVerifier(options Options) *Verifier {
	rules := rules{
		issuer:        options.Issuer,
		audiences:     options.Audiences,
		leeway:        options.Leeway,
		maxTokenBytes: maxTokenBytes,
	}
	return &Verifier{
		options:   options,
		engine:    newEngine(rules, options.CachedTokens),
		watched:   newWatchers(),
		positions: newPositions(),
		ready:     make(chan struct{}),
		stopped:   make(chan struct{}),
	}
}

// Close stops following the server. From then on the view of revocations grows older, as if the server could not be heard.
func (v *Verifier) Close() error {
	v.stop()
	<-v.stopped
	return v.conn.Close()
}

// Ready waits until keys and revocations were loaded for the first time, for a service that is not to start before. It
// returns the error of ctx when that is over before.
func (v *Verifier) Ready(ctx context.Context) error {
	select {
	case <-v.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Staleness says how old the view of revocations is at most; loaded is false when there is none, or the wall clock was
// set. It is for readiness and metrics.
func (v *Verifier) Staleness() (age time.Duration, loaded bool) {
	return v.engine.freshness.staleness(v.options.Clock.Now())
}

// Verify decides whether an access token may be used with a service that goes by one of audiences, or by one of
// Options.Audiences where none is named. It has three outcomes:
//
//   - a *Token: who is calling
//   - an *InvalidError: the token must be refused, and why
//   - an *UnknownError: it cannot be known now. Ask the caller to try again; never log a user out for it
//
// It does no I/O, unless the view is too old and Options.OnStale is AskServer; ctx is for that.
func (v *Verifier) Verify(ctx context.Context, token string, audiences ...string) (*Token, error) {
	verified, err := v.verifyHere(token, audiences)
	var unknown *UnknownError
	if v.options.OnStale == AskServer && errors.As(err, &unknown) {
		return v.ask(ctx, token, "", audiences)
	}
	return verified, err
}

// VerifyAtLeast does as Verify, once everything is known here up to a position: the text that the answer to a Logout, to a
// change of a password or to the end of sessions carries. So whoever made the change, or was handed its position, can be
// sure on the first call. It takes a round trip to the server on the stream that is open already, and nothing the next time
// with the same position; an empty one asks for nothing. It waits for Options.AskTimeout at most.
//
// It returns an *UnknownError where the position is not reached in time or is none of the server's ledger, also with Serve.
// With AskServer the server is asked for the token then.
func (v *Verifier) VerifyAtLeast(ctx context.Context, position, token string, audiences ...string) (*Token, error) {
	if position == "" || v.positions.reach(ctx, position, v.options.AskTimeout) {
		return v.Verify(ctx, token, audiences...)
	}
	if v.options.OnStale == AskServer {
		return v.ask(ctx, token, position, audiences)
	}
	staleness, loaded := v.Staleness()
	return nil, &UnknownError{Staleness: staleness, Loaded: loaded}
}

// verifyHere does not ask the server. That a token is bad by itself is said from a stale view too; but then a key that is
// not known may be a new one, and says nothing.
func (v *Verifier) verifyHere(token string, audiences []string) (*Token, error) {
	wall, monotonic := v.options.Clock.Now()
	staleness, loaded := v.engine.freshness.staleness(wall, monotonic)
	fresh := loaded && staleness <= v.options.MaxStaleness
	verified, reason := v.engine.verify(token, audiences, wall.UnixMilli())
	switch {
	case reason == "" && (fresh || (loaded && v.options.OnStale == Serve)):
		return verified, nil
	case reason == "", reason == UnknownKey && !fresh:
		return nil, &UnknownError{Staleness: staleness, Loaded: loaded}
	default:
		return nil, &InvalidError{Reason: reason}
	}
}

func (v *Verifier) ask(ctx context.Context, token, atLeast string, audiences []string) (*Token, error) {
	if len(audiences) == 0 {
		audiences = v.options.Audiences
	}
	ctx, cancel := context.WithTimeout(ctx, v.options.AskTimeout)
	defer cancel()
	answer, err := v.auth.VerifyAccessToken(ctx, &countersignv1.VerifyAccessTokenRequest{
		AccessToken:  token,
		Audiences:    audiences,
		MaxStaleness: durationpb.New(v.options.MaxStaleness),
		AtLeast:      atLeast,
	})
	if err != nil {
		return nil, &UnknownError{Err: err}
	}
	switch {
	case answer.GetVerified() != nil:
		return vouchedFor(token)
	case answer.GetInvalid() != nil:
		return nil, &InvalidError{Reason: invalidReasonOf(answer.GetInvalid().GetReason())}
	default:
		return nil, &UnknownError{Err: status.Error(codes.Unknown, "an answer of another kind")}
	}
}

// vouchedFor reads a token of which the server has just said that it is good. It checks nothing but its form.
func vouchedFor(token string) (*Token, error) {
	jws, ok := parseJWS(token, maxTokenBytes)
	if !ok {
		return nil, &InvalidError{Reason: Malformed}
	}
	claims, ok := parseClaims(jws.payload)
	if !ok {
		return nil, &InvalidError{Reason: Malformed}
	}
	return claims.token, nil
}

// invalidReasonOf reads the server's reason. One that only a newer server has is Malformed: whatever it is, the token
// must not be accepted.
func invalidReasonOf(reason countersignv1.InvalidReason) InvalidReason {
	switch reason {
	case countersignv1.InvalidReason_INVALID_REASON_EXPIRED:
		return Expired
	case countersignv1.InvalidReason_INVALID_REASON_NOT_YET_VALID:
		return NotYetValid
	case countersignv1.InvalidReason_INVALID_REASON_BAD_SIGNATURE:
		return BadSignature
	case countersignv1.InvalidReason_INVALID_REASON_UNKNOWN_KEY:
		return UnknownKey
	case countersignv1.InvalidReason_INVALID_REASON_WRONG_AUDIENCE:
		return WrongAudience
	case countersignv1.InvalidReason_INVALID_REASON_WRONG_ISSUER:
		return WrongIssuer
	case countersignv1.InvalidReason_INVALID_REASON_WRONG_TYPE:
		return WrongType
	case countersignv1.InvalidReason_INVALID_REASON_REVOKED:
		return Revoked
	default:
		return Malformed
	}
}

// WithRevocation returns a copy of ctx that is over once the session of token, or every session of its user, is revoked;
// [context.Cause] is then an *InvalidError. It is for what stays open longer than a request: streams, WebSockets,
// server-sent events. That the token expires does not end it. Call cancel when it is over by itself.
func (v *Verifier) WithRevocation(ctx context.Context, token *Token) (_ context.Context, cancel context.CancelFunc) {
	ctx, cancelCause := context.WithCancelCause(ctx)
	forget := v.watched.add(token, func() { cancelCause(&InvalidError{Reason: Revoked}) })
	// A revocation that came before it was added has not called it.
	if v.isRevoked(token) {
		cancelCause(&InvalidError{Reason: Revoked})
	}
	return ctx, func() {
		forget()
		cancelCause(context.Canceled)
	}
}

func (v *Verifier) isRevoked(token *Token) bool {
	subject, hasSubject := parseUserID(token.Subject)
	session, hasSession := parseSessionID(token.SessionID)
	return hasSubject && hasSession && v.engine.revocations.isRevoked(subject, session, token.Epoch)
}

// tell passes on a revocation that was not known before.
func (v *Verifier) tell(revocation Revocation) {
	v.watched.tell(revocation)
	if v.options.OnRevoked != nil {
		v.options.OnRevoked(revocation)
	}
}

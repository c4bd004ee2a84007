package countersign

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/grpc"
)

// OnStale says what to answer when the view of revocations is older than it may be.
type OnStale int

const (
	// FailClosed answers nothing: it cannot be known whether a token is still good. Verify returns an *UnknownError.
	FailClosed OnStale = iota
	// AskServer asks the server for each token.
	AskServer
	// Serve goes on with what is known: a revoked token may be accepted until the server can be heard again. A view that
	// was never loaded is not served from.
	Serve
)

// Options say how a [Verifier] behaves. Endpoint, Issuer and Audiences are required; the zero value of every other
// field means its default.
type Options struct {
	// Endpoint is the server's gRPC address: https://host:port, or http://host:port without TLS.
	Endpoint string
	// TLS says which certificates to use with https. The default trusts the system's authorities.
	TLS *TLS
	// Issuer is the one issuer that is accepted, exactly: the server's tokens.issuer.
	Issuer string
	// Audiences are the names that this service goes by. A token must be meant for one of them, unless a call to Verify
	// names others.
	Audiences []string

	// MaxStaleness is the oldest view of revocations that is answered from; 10 s. It should be several times PingInterval
	// and the server's revocation.poll_interval together, so that a busy moment is not taken for an outage.
	MaxStaleness time.Duration
	// OnStale says what happens beyond MaxStaleness; FailClosed.
	OnStale OnStale
	// OnRevoked is called for each revocation that was not known before, so that whatever a session holds open can be
	// ended. It is called by the goroutine that follows the server and must return soon; see also
	// [Verifier.WithRevocation].
	OnRevoked func(Revocation)

	// PingInterval is how often the server is asked to prove that the view is fresh; 1 s.
	PingInterval time.Duration
	// Patience is how long a ping may go unanswered before the connection is given up, and how long connecting may take;
	// 5 s.
	Patience time.Duration
	// MaxBackoff is the longest pause before connecting again; 5 s. Each pause is drawn at random.
	MaxBackoff time.Duration
	// AskTimeout is how long the server may take to answer where OnStale is AskServer, and how long VerifyAtLeast waits for
	// a position; 1 s.
	AskTimeout time.Duration
	// Leeway is how far another machine's clock may be ahead, for iat and nbf; 5 s. A negative one means none. exp has
	// never any.
	Leeway time.Duration
	// CachedTokens is how many verified tokens are remembered; 65,536. A negative number means none. A usual token takes
	// about 2 KiB.
	CachedTokens int
	// Clock is where the time comes from; SystemClock().
	Clock Clock
	// Logger logs that the stream was lost and that keys changed; slog.Default(). No token is ever logged.
	Logger *slog.Logger
	// DialOptions are passed on to gRPC, behind those of this package.
	DialOptions []grpc.DialOption
}

// maxTokenBytes is the longest token that is looked at; no token that Countersign mints is longer.
const maxTokenBytes = 8192

func (o Options) withDefaults() (Options, error) {
	if o.Issuer == "" {
		return o, errors.New("countersign: Options.Issuer is empty")
	}
	if len(o.Audiences) == 0 {
		return o, errors.New("countersign: Options.Audiences is empty: no token could be accepted")
	}
	for _, audience := range o.Audiences {
		if audience == "" {
			return o, errors.New("countersign: Options.Audiences has an empty one")
		}
	}
	o.Audiences = slices.Clone(o.Audiences)
	if o.OnStale < FailClosed || o.OnStale > Serve {
		return o, fmt.Errorf("countersign: Options.OnStale is %d, which is no policy", o.OnStale)
	}
	for _, field := range []struct {
		name     string
		value    *time.Duration
		fallback time.Duration
	}{
		{"MaxStaleness", &o.MaxStaleness, 10 * time.Second},
		{"PingInterval", &o.PingInterval, time.Second},
		{"Patience", &o.Patience, 5 * time.Second},
		{"MaxBackoff", &o.MaxBackoff, 5 * time.Second},
		{"AskTimeout", &o.AskTimeout, time.Second},
	} {
		if *field.value < 0 {
			return o, fmt.Errorf("countersign: Options.%s is negative", field.name)
		}
		if *field.value == 0 {
			*field.value = field.fallback
		}
	}
	switch {
	case o.Leeway == 0:
		o.Leeway = 5 * time.Second
	case o.Leeway < 0:
		o.Leeway = 0
	}
	if o.CachedTokens == 0 {
		o.CachedTokens = 65_536
	}
	const most = 1 << 24
	if o.CachedTokens > most {
		return o, fmt.Errorf("countersign: Options.CachedTokens is more than %d", most)
	}
	if o.Clock == nil {
		o.Clock = SystemClock()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}

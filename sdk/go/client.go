package countersign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	countersignv1 "countersign.dev/go/countersign/v1"
)

// ClientOptions say how a [Client] behaves. Endpoint is required; the zero value of every other field means its default.
type ClientOptions struct {
	// Endpoint is the server's gRPC address: https://host:port, or http://host:port without TLS.
	Endpoint string
	// TLS says which certificates to use with https. The default trusts the system's authorities.
	TLS *TLS
	// Token gives the access token that goes with each call to UserService and SessionService, which are closed without
	// one (or a client certificate that a rule of the operator's names). It is called for each attempt.
	Token func(context.Context) (string, error)
	// Deadline is how long all attempts of a call may take together, pauses included; 10 s. The deadline of a call's
	// context holds too.
	Deadline time.Duration
	// AttemptTimeout is how long one attempt may take; 3 s, which is longer than the server takes over a Refresh.
	AttemptTimeout time.Duration
	// MaxBackoff is the longest pause between two attempts where the server does not say how long to wait; 1 s.
	MaxBackoff time.Duration
	// DialOptions are passed on to gRPC, behind those of this package.
	DialOptions []grpc.DialOption
}

func (o ClientOptions) withDefaults() (ClientOptions, error) {
	if o.Deadline < 0 || o.AttemptTimeout < 0 || o.MaxBackoff < 0 {
		return o, errors.New("countersign: ClientOptions has a negative duration")
	}
	if o.Deadline == 0 {
		o.Deadline = 10 * time.Second
	}
	if o.AttemptTimeout == 0 {
		o.AttemptTimeout = 3 * time.Second
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = time.Second
	}
	return o, nil
}

// Client calls a server: logs in, refreshes, logs out, and manages users and sessions. Each call has a deadline and is
// made again where that is safe and helps:
//
//   - after UNAVAILABLE (REFRESH_IN_PROGRESS and STORE_UNAVAILABLE are among it) and after an attempt that was not
//     answered in time. Whatever became of the first attempt, the second gets the answer that the first would have had.
//   - after LOGIN_OVERLOADED and SERVER_OVERLOADED, where the server says that it has not begun.
//
// Login, ChangePassword, ResetPassword, DeleteUser, and UpdateUser with an etag are made again only where the server was
// not reached at all, or says that it has not begun: the second answer would be another one, and a second Login would
// begin a second session. CreateUser gets a request id where it names neither that nor the user's id, so that it can be
// made again. Streams are not made again.
//
// Pauses double, are drawn at random, and are as long as the server asks for where it does (google.rpc.RetryInfo). No
// other answer is tried again. [Reason] tells what an error means. Its methods may be called by any number of goroutines.
type Client struct {
	conn     *grpc.ClientConn
	auth     countersignv1.AuthServiceClient
	users    countersignv1.UserServiceClient
	sessions countersignv1.SessionServiceClient
}

// NewClient makes a client. It connects when it is used. The error says what is wrong with the options.
func NewClient(options ClientOptions) (*Client, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	more := append([]grpc.DialOption{grpc.WithChainUnaryInterceptor(options.retry)}, options.DialOptions...)
	conn, err := dial(options.Endpoint, options.TLS, options.AttemptTimeout, options.MaxBackoff, more)
	if err != nil {
		return nil, err
	}
	return &Client{
		conn:     conn,
		auth:     countersignv1.NewAuthServiceClient(conn),
		users:    countersignv1.NewUserServiceClient(conn),
		sessions: countersignv1.NewSessionServiceClient(conn),
	}, nil
}

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Auth returns the stub of AuthService, for the calls that have no method of their own here.
func (c *Client) Auth() countersignv1.AuthServiceClient { return c.auth }

// Users returns the stub of UserService.
func (c *Client) Users() countersignv1.UserServiceClient { return c.users }

// Sessions returns the stub of SessionService.
func (c *Client) Sessions() countersignv1.SessionServiceClient { return c.sessions }

// Tokens are what a client holds of a session. They show no token where they are printed or logged.
type Tokens struct {
	// AccessToken goes with each request, as "Authorization: Bearer ...".
	AccessToken string
	// RefreshToken goes to Refresh and Logout, and nowhere else. Keep it until the next one has arrived, whatever else
	// happens.
	RefreshToken string
	// ExpiresIn is how long the access token is accepted from when the answer arrived.
	ExpiresIn time.Duration
	// RefreshExpiresAt is when the refresh token is refused unless it was used before, by the server's clock.
	RefreshExpiresAt time.Time
}

// String shows no token.
func (t Tokens) String() string {
	return fmt.Sprintf("Tokens{ExpiresIn: %s, RefreshExpiresAt: %s}", t.ExpiresIn, t.RefreshExpiresAt.Format(time.RFC3339))
}

// GoString shows no token.
func (t Tokens) GoString() string { return t.String() }

// LogValue shows no token.
func (t Tokens) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Login begins a session. The access token is for audiences, or for the server's default where none is named.
func (c *Client) Login(ctx context.Context, username, password string, audiences ...string) (*Tokens, error) {
	answer, err := c.auth.Login(ctx, &countersignv1.LoginRequest{
		Username: username, Password: password, Audiences: audiences,
	})
	if err != nil {
		return nil, err
	}
	return tokensOf(answer.GetTokens())
}

// Refresh exchanges a refresh token for the next tokens. Where [SessionEnded] is true of the error the session is over;
// on every other error keep the tokens.
func (c *Client) Refresh(ctx context.Context, refreshToken string) (*Tokens, error) {
	answer, err := c.auth.Refresh(ctx, &countersignv1.RefreshRequest{RefreshToken: refreshToken})
	if err != nil {
		return nil, err
	}
	return tokensOf(answer.GetTokens())
}

// Logout ends the session of a refresh token. When it returns without an error, the end is durable. The position is for
// [Verifier.VerifyAtLeast]; it is empty where the server tells none.
func (c *Client) Logout(ctx context.Context, refreshToken string) (position string, err error) {
	return c.logout(ctx, refreshToken, false)
}

// LogoutEverywhere ends every session of the user whose refresh token it is.
func (c *Client) LogoutEverywhere(ctx context.Context, refreshToken string) (position string, err error) {
	return c.logout(ctx, refreshToken, true)
}

func (c *Client) logout(ctx context.Context, refreshToken string, everywhere bool) (position string, err error) {
	answer, err := c.auth.Logout(ctx, &countersignv1.LogoutRequest{
		Token:      &countersignv1.LogoutRequest_RefreshToken{RefreshToken: refreshToken},
		Everywhere: everywhere,
	})
	return answer.GetPosition(), err
}

func tokensOf(message *countersignv1.Tokens) (*Tokens, error) {
	if message == nil {
		return nil, status.Error(codes.Unknown, "an answer without tokens")
	}
	return &Tokens{
		AccessToken:      message.GetAccessToken(),
		RefreshToken:     message.GetRefreshToken(),
		ExpiresIn:        time.Duration(message.GetExpiresIn()) * time.Second,
		RefreshExpiresAt: message.GetRefreshExpiresAt().AsTime(),
	}, nil
}

// SessionEnded reports whether an error of Refresh means that the session is over: forget its tokens and let the user log
// in. On every other error keep them.
func SessionEnded(err error) bool {
	switch Reason(err) {
	case "REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_EXPIRED", "REFRESH_TOKEN_REUSED", "SESSION_REVOKED":
		return true
	default:
		return false
	}
}

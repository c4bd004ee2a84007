// Package compare measures a verifier beside golang-jwt, which verifies the same token. It is a module of its own, so that
// golang-jwt is no dependency of the SDK.
//
//	go test -bench . -run '^$'
package compare

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	countersign "countersign.dev/go"
	countersignv1 "countersign.dev/go/countersign/v1"
)

const (
	issuer   = "https://auth.example"
	audience = "orders"
)

// server tells of one key, and of nothing that is revoked.
type server struct {
	countersignv1.UnimplementedRevocationServiceServer
	spki []byte
}

func (s *server) WatchRevocations(stream countersignv1.RevocationService_WatchRevocationsServer) error {
	sequence := uint64(1)
	for _, message := range []*countersignv1.WatchRevocationsResponse{
		{Message: &countersignv1.WatchRevocationsResponse_Begin{Begin: &countersignv1.WatchBegin{Incarnation: 1}}},
		{Message: &countersignv1.WatchRevocationsResponse_KeySet{KeySet: &countersignv1.WatchKeySet{
			Keys: []*countersignv1.WatchKey{{Id: "k1", Algorithm: "EdDSA", Spki: s.spki}},
		}}},
		{Message: &countersignv1.WatchRevocationsResponse_Revoked{Revoked: &countersignv1.WatchRevoked{Sequence: &sequence}}},
	} {
		if err := stream.Send(message); err != nil {
			return err
		}
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		if ping := message.GetPing(); ping != nil {
			if err := stream.Send(&countersignv1.WatchRevocationsResponse{
				Message: &countersignv1.WatchRevocationsResponse_Heartbeat{Heartbeat: &countersignv1.WatchHeartbeat{
					Nonce: ping.GetNonce(), Sequence: 1, Staleness: durationpb.New(0),
				}},
			}); err != nil {
				return err
			}
		}
	}
}

// prepare makes a verifier that follows a server, the server's key, and a token.
func prepare(b testing.TB) (*countersign.Verifier, ed25519.PublicKey, string) {
	b.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	grpcServer := grpc.NewServer()
	countersignv1.RegisterRevocationServiceServer(grpcServer, &server{spki: spki})
	go func() { _ = grpcServer.Serve(listener) }()
	b.Cleanup(grpcServer.Stop)
	verifier, err := countersign.Connect(countersign.Options{
		Endpoint: "http://" + listener.Addr().String(), Issuer: issuer, Audiences: []string{audience},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = verifier.Close() })
	ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
	defer cancel()
	if err := verifier.Ready(ctx); err != nil {
		b.Fatal(err)
	}
	now := time.Now().Unix()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": issuer, "sub": "018f4e5c-0000-7000-8000-000000000001", "aud": []string{audience}, "exp": now + 900,
		"iat": now, "jti": "AAAAAAAAAAAAAAAAAAAAAA", "sid": "AQEBAQEBAQEBAQEBAQEBAQ", "username": "ada",
		"roles": []string{"admin"}, "auth_time": now, "amr": []string{"pwd"}, "epoch": 3, "sxp": now + 86_400,
	})
	token.Header["kid"] = "k1"
	token.Header["typ"] = "at+jwt"
	text, err := token.SignedString(private)
	if err != nil {
		b.Fatal(err)
	}
	return verifier, public, text
}

// theirs verifies as golang-jwt is usually used: without revocation.
func theirs(public ed25519.PublicKey) func(token string) error {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired())
	return func(token string) error {
		_, err := parser.ParseWithClaims(token, jwt.MapClaims{}, func(*jwt.Token) (any, error) { return public, nil })
		return err
	}
}

func BenchmarkCountersign(b *testing.B) {
	verifier, _, token := prepare(b)
	ctx := b.Context()
	for b.Loop() {
		if _, err := verifier.Verify(ctx, token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGolangJWT(b *testing.B) {
	_, public, token := prepare(b)
	verify := theirs(public)
	for b.Loop() {
		if err := verify(token); err != nil {
			b.Fatal(err)
		}
	}
}

// TestATokenThatWasSeenCostsATenth measures both in turns, and takes the best of each.
func TestATokenThatWasSeenCostsATenth(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures")
	}
	verifier, public, token := prepare(t)
	verify := theirs(public)
	measure := func(calls int, call func() error) time.Duration {
		begun := time.Now()
		for range calls {
			if err := call(); err != nil {
				t.Fatal(err)
			}
		}
		return time.Since(begun) / time.Duration(calls)
	}
	ours, golangJWT := time.Hour, time.Hour
	for range 9 {
		ours = min(ours, measure(20_000, func() error { _, err := verifier.Verify(t.Context(), token); return err }))
		golangJWT = min(golangJWT, measure(400, func() error { return verify(token) }))
	}
	ratio := float64(golangJWT) / float64(ours)
	t.Logf("a token seen before: %v, golang-jwt: %v, %.0f times as fast", ours, golangJWT, ratio)
	if ratio < 10 {
		t.Errorf("only %.1f times as fast", ratio)
	}
}

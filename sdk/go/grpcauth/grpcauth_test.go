package grpcauth_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	countersign "countersign.dev/go"
	"countersign.dev/go/grpcauth"
)

// answers is a verifier that answers by the token's text, and revokes when the test says so.
type answers struct{ revoke chan struct{} }

func (answers) Verify(_ context.Context, token string, _ ...string) (*countersign.Token, error) {
	switch token {
	case "good":
		return &countersign.Token{Username: "ada"}, nil
	case "expired":
		return nil, &countersign.InvalidError{Reason: countersign.Expired}
	default:
		return nil, &countersign.UnknownError{}
	}
}

func (a answers) WithRevocation(ctx context.Context, _ *countersign.Token) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-a.revoke:
			cancel(&countersign.InvalidError{Reason: countersign.Revoked})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// serve serves health checks and an echo of frames behind the interceptors.
func serve(t *testing.T, verifier answers, opts ...grpcauth.Option) *grpc.ClientConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(
		grpc.UnaryInterceptor(grpcauth.UnaryServerInterceptor(verifier, opts...)),
		grpc.StreamInterceptor(grpcauth.StreamServerInterceptor(verifier, opts...)),
	)
	healthv1.RegisterHealthServer(server, health.NewServer())
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "test.Echo", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
		StreamName: "Echo", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			for {
				message := &healthv1.HealthCheckRequest{}
				if err := stream.RecvMsg(message); err != nil {
					return err
				}
				token, _ := countersign.TokenFromContext(stream.Context())
				if err := stream.SendMsg(&healthv1.HealthCheckRequest{Service: token.Username + message.GetService()}); err != nil {
					return err
				}
			}
		},
	}}}, struct{}{})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func with(ctx context.Context, authorization string) context.Context {
	if authorization == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", authorization)
}

func TestUnary(t *testing.T) {
	client := healthv1.NewHealthClient(serve(t, answers{}))
	for _, c := range []struct {
		authorization string
		code          codes.Code
		reason        string
	}{
		{"Bearer good", codes.OK, ""},
		{"", codes.Unauthenticated, "TOKEN_MISSING"},
		{"Bearer expired", codes.Unauthenticated, "ACCESS_TOKEN_EXPIRED"},
		{"Bearer other", codes.Unavailable, "REVOCATIONS_STALE"},
	} {
		_, err := client.Check(with(t.Context(), c.authorization), &healthv1.HealthCheckRequest{})
		if status.Code(err) != c.code || countersign.Reason(err) != c.reason {
			t.Errorf("%q: %v, %s", c.authorization, err, countersign.Reason(err))
		}
	}
}

func TestOpenMethodsAreForEverybody(t *testing.T) {
	conn := serve(t, answers{}, grpcauth.Open(func(method string) bool { return method == healthv1.Health_Check_FullMethodName }))
	client := healthv1.NewHealthClient(conn)
	if _, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	if _, err := client.List(t.Context(), &healthv1.HealthListRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
}

func echo(t *testing.T, conn *grpc.ClientConn, authorization string) grpc.ClientStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(with(t.Context(), authorization), 30*time.Second)
	t.Cleanup(cancel)
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Echo/Echo")
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestStream(t *testing.T) {
	revoke := make(chan struct{})
	conn := serve(t, answers{revoke})
	refused := echo(t, conn, "Bearer expired")
	if err := refused.RecvMsg(&healthv1.HealthCheckRequest{}); countersign.Reason(err) != "ACCESS_TOKEN_EXPIRED" {
		t.Error(err)
	}
	stream, answer := echo(t, conn, "Bearer good"), &healthv1.HealthCheckRequest{}
	if err := stream.SendMsg(&healthv1.HealthCheckRequest{Service: "!"}); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(answer); err != nil || answer.GetService() != "ada!" {
		t.Fatalf("%v, %v", answer, err)
	}
	// The handler waits for a message that never comes.
	close(revoke)
	if err := stream.RecvMsg(answer); countersign.Reason(err) != "SESSION_REVOKED" || status.Code(err) != codes.Unauthenticated {
		t.Errorf("%v", err)
	}
}

func TestAStreamEndsAsItsHandlerDoes(t *testing.T) {
	stream := echo(t, serve(t, answers{}), "Bearer good")
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(&healthv1.HealthCheckRequest{}); status.Code(err) != codes.Unknown {
		t.Errorf("the handler returned io.EOF: %v", err)
	}
}

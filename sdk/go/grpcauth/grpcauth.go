// Package grpcauth lets only calls with a good access token through to a gRPC server.
package grpcauth

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	countersign "countersign.dev/go"
)

// Verifier is what decides: a *countersign.Verifier, or in tests something else.
type Verifier interface {
	Verify(ctx context.Context, token string, audiences ...string) (*countersign.Token, error)
	WithRevocation(ctx context.Context, token *countersign.Token) (context.Context, context.CancelFunc)
}

// Option changes what the interceptors do.
type Option func(*options)

type options struct {
	audiences []string
	open      func(fullMethod string) bool
}

// Audiences expects one of these instead of the verifier's own.
func Audiences(audiences ...string) Option {
	return func(o *options) { o.audiences = audiences }
}

// Open lets everybody call the methods for which open is true: health checks, for example. A full method is
// "/package.Service/Method".
func Open(open func(fullMethod string) bool) Option {
	return func(o *options) { o.open = open }
}

func newOptions(opts []Option) options {
	o := options{open: func(string) bool { return false }}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// UnaryServerInterceptor lets calls with a good token in "authorization: Bearer" through, with a *countersign.Token in their
// context (see [countersign.TokenFromContext]). Others are answered UNAUTHENTICATED, or UNAVAILABLE where nothing can be
// known about their token, with the reason in google.rpc.ErrorInfo.
func UnaryServerInterceptor(verifier Verifier, opts ...Option) grpc.UnaryServerInterceptor {
	o := newOptions(opts)
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		if o.open(info.FullMethod) {
			return handle(ctx, request)
		}
		token, err := o.authenticate(ctx, verifier)
		if err != nil {
			return nil, err
		}
		return handle(countersign.ContextWithToken(ctx, token), request)
	}
}

// StreamServerInterceptor does the same for streams, and ends those whose session is revoked while they are open: their
// context is over, they receive and send nothing any more, and the caller is answered UNAUTHENTICATED SESSION_REVOKED. A
// stream that is longer than its token lives is not ended for that.
func StreamServerInterceptor(verifier Verifier, opts ...Option) grpc.StreamServerInterceptor {
	o := newOptions(opts)
	return func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		if o.open(info.FullMethod) {
			return handle(server, stream)
		}
		token, err := o.authenticate(stream.Context(), verifier)
		if err != nil {
			return err
		}
		ctx, cancel := verifier.WithRevocation(countersign.ContextWithToken(stream.Context(), token), token)
		defer cancel()
		guarded := &guardedStream{ServerStream: stream, ctx: ctx}
		err = handle(server, guarded)
		if revoked := guarded.revoked(); revoked != nil {
			return revoked
		}
		return err
	}
}

func (o *options) authenticate(ctx context.Context, verifier Verifier) (*countersign.Token, error) {
	incoming, _ := metadata.FromIncomingContext(ctx)
	token, ok := countersign.BearerToken(incoming.Get("authorization"))
	if !ok {
		return nil, status.Convert(countersign.ErrNoToken).Err()
	}
	verified, err := verifier.Verify(ctx, token, o.audiences...)
	if err != nil {
		return nil, status.Convert(err).Err()
	}
	return verified, nil
}

// guardedStream is a stream that ends when its token is revoked.
type guardedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *guardedStream) Context() context.Context { return s.ctx }

// revoked says why the stream must end, or nil.
func (s *guardedStream) revoked() error {
	if invalid, ok := context.Cause(s.ctx).(*countersign.InvalidError); ok {
		return invalid.GRPCStatus().Err()
	}
	return nil
}

func (s *guardedStream) SendMsg(message any) error {
	if err := s.revoked(); err != nil {
		return err
	}
	return s.ServerStream.SendMsg(message)
}

// RecvMsg returns as soon as the token is revoked, though the peer says nothing. What is still being received then is over
// when the handler returns; the message must not be used.
func (s *guardedStream) RecvMsg(message any) error {
	received := make(chan error, 1)
	go func() { received <- s.ServerStream.RecvMsg(message) }()
	select {
	case err := <-received:
		if revoked := s.revoked(); revoked != nil {
			return revoked
		}
		return err
	case <-s.ctx.Done():
		if revoked := s.revoked(); revoked != nil {
			return revoked
		}
		// The call itself is over: the stream's own error says how.
		return <-received
	}
}

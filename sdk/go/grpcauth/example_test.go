package grpcauth_test

import (
	"log"
	"strings"

	"google.golang.org/grpc"

	countersign "countersign.dev/go"
	"countersign.dev/go/grpcauth"
)

// A gRPC server whose health checks are for everybody.
func Example() {
	verifier, err := countersign.Connect(countersign.Options{
		Endpoint:  "https://countersign.auth.svc:50051",
		Issuer:    "countersign",
		Audiences: []string{"orders"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	open := grpcauth.Open(func(method string) bool { return strings.HasPrefix(method, "/grpc.health.v1.Health/") })
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(grpcauth.UnaryServerInterceptor(verifier, open)),
		grpc.ChainStreamInterceptor(grpcauth.StreamServerInterceptor(verifier, open)),
	)
	_ = server
}

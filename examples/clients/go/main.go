// Logs in, verifies the access token, refreshes once and logs out. PASSWORD is the user's; ADDRESS and ACCOUNT may be set.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "countersign.dev/go/countersign/v1"
)

// The only reasons to forget tokens. On every other error keep them.
var ended = map[string]bool{
	"REFRESH_TOKEN_INVALID": true,
	"REFRESH_TOKEN_EXPIRED": true,
	"REFRESH_TOKEN_REUSED":  true,
	"SESSION_REVOKED":       true,
}

func main() {
	// Where the service speaks TLS: credentials.NewTLS(nil).
	connection, err := grpc.NewClient(
		setting("ADDRESS", "127.0.0.1:50051"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(bounded),
	)
	if err == nil {
		defer connection.Close()
		err = session(context.Background(), pb.NewAuthServiceClient(connection))
	}
	if err != nil {
		fmt.Println(explain(err))
		os.Exit(1)
	}
}

func session(ctx context.Context, auth pb.AuthServiceClient) error {
	login, err := auth.Login(ctx, &pb.LoginRequest{
		Username: setting("ACCOUNT", "admin"),
		Password: os.Getenv("PASSWORD"),
	})
	if err != nil {
		return err
	}
	tokens := login.GetTokens()
	fmt.Println("logged in:", login.GetSession().GetUsername())

	// A token that is not good is an answer and not an error.
	answer, err := auth.VerifyAccessToken(ctx, &pb.VerifyAccessTokenRequest{AccessToken: tokens.GetAccessToken()})
	if err != nil {
		return err
	}
	if verified := answer.GetVerified(); verified != nil {
		fmt.Println("verified:", verified.GetUsername())
	} else {
		fmt.Println("not verified:", answer.GetInvalid().GetReason())
	}

	next, err := auth.Refresh(ctx, &pb.RefreshRequest{RefreshToken: tokens.GetRefreshToken()})
	if err != nil {
		return err
	}
	tokens = next.GetTokens()
	fmt.Println("refreshed: the access token is good for", tokens.GetExpiresIn(), "s")

	token := &pb.LogoutRequest_RefreshToken{RefreshToken: tokens.GetRefreshToken()}
	if _, err := auth.Logout(ctx, &pb.LogoutRequest{Token: token}); err != nil {
		return err
	}
	fmt.Println("logged out")

	if _, err := auth.Refresh(ctx, &pb.RefreshRequest{RefreshToken: tokens.GetRefreshToken()}); err != nil {
		fmt.Println(explain(err))
	}
	return nil
}

// Every call has a deadline.
func bounded(
	ctx context.Context, method string, request, reply any,
	connection *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return invoke(ctx, method, request, reply, connection, options...)
}

// The reason in google.rpc.ErrorInfo, among the details of the status.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	// The error did not come from the service: the connection failed, for example.
	return status.Code(err).String()
}

func explain(err error) string {
	name, rest := reason(err), "keep any tokens"
	if ended[name] {
		rest = "the session is over: forget the tokens"
	}
	return fmt.Sprintf("refused: %s (%s)", name, rest)
}

func setting(name, otherwise string) string {
	if value, ok := os.LookupEnv(name); ok {
		return value
	}
	return otherwise
}

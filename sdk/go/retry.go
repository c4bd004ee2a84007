package countersign

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	countersignv1 "countersign.dev/go/countersign/v1"
)

// retry is the interceptor of a [Client]: it bounds each call, and makes it again where that is safe and helps.
func (o ClientOptions) retry(
	ctx context.Context, method string, request, answer any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption,
) error {
	ctx, cancel := context.WithTimeout(ctx, o.Deadline)
	defer cancel()
	request = repeatable(request)
	pauses := newPauses(o.MaxBackoff)
	for {
		err, sent := o.attempt(ctx, method, request, answer, conn, invoke, options)
		if err == nil || !mayRepeat(err, sent, request) {
			return err
		}
		// Never earlier than the server asks for, and not all clients at once.
		asked := time.Duration(float64(retryDelay(err)) * (1 + 0.2*mathrand.Float64()))
		pause := max(asked, pauses.draw())
		if deadline, has := ctx.Deadline(); has && time.Until(deadline) <= pause {
			return err
		}
		if !sleep(ctx, pause) {
			return err
		}
	}
}

// attempt makes the call once. sent is false where there was no connection to send it on.
func (o ClientOptions) attempt(
	ctx context.Context, method string, request, answer any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options []grpc.CallOption,
) (err error, sent bool) {
	ctx, cancel := context.WithTimeout(ctx, o.AttemptTimeout)
	defer cancel()
	if o.Token != nil && isAdministrative(method) {
		token, err := o.Token(ctx)
		if err != nil {
			return status.Errorf(codes.Unauthenticated, "countersign: no access token: %v", err), true
		}
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	var server peer.Peer
	// Each attempt has options of its own: what they point to is written when it ends.
	options = append(options[:len(options):len(options)], grpc.Peer(&server))
	err = invoke(ctx, method, request, answer, conn, options...)
	return err, server.Addr != nil
}

func isAdministrative(method string) bool {
	return strings.HasPrefix(method, "/countersign.v1.UserService/") ||
		strings.HasPrefix(method, "/countersign.v1.SessionService/")
}

// mayRepeat says whether a call that failed may be made again, and whether that can help.
func mayRepeat(err error, sent bool, request any) bool {
	switch Reason(err) {
	case "LOGIN_OVERLOADED", "SERVER_OVERLOADED":
		return true // the server has not begun
	}
	switch status.Code(err) {
	case codes.Unavailable:
		return !sent || hasOneAnswer(request)
	case codes.DeadlineExceeded:
		return hasOneAnswer(request)
	default:
		return false
	}
}

// hasOneAnswer says whether the same request is answered alike when it comes a second time.
func hasOneAnswer(request any) bool {
	switch request := request.(type) {
	case *countersignv1.LoginRequest, *countersignv1.ChangePasswordRequest, *countersignv1.ResetPasswordRequest,
		*countersignv1.DeleteUserRequest:
		return false
	case *countersignv1.UpdateUserRequest:
		return request.GetEtag() == ""
	default:
		return true
	}
}

// repeatable gives a CreateUser that names neither a request id nor a user id a request id.
func repeatable(request any) any {
	create, ok := request.(*countersignv1.CreateUserRequest)
	if !ok || create.GetRequestId() != "" || create.GetUserId() != "" {
		return request
	}
	create = proto.CloneOf(create)
	create.RequestId = rand.Text()
	return create
}

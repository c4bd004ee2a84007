package countersign

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	countersignv1 "countersign.dev/go/countersign/v1"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// fakeServer is a server whose every word is the test's.
type fakeServer struct {
	countersignv1.UnimplementedRevocationServiceServer
	countersignv1.UnimplementedAuthServiceServer
	address  string
	server   *grpc.Server
	arrivals chan *fakeStream
	verify   func(*countersignv1.VerifyAccessTokenRequest) (*countersignv1.VerifyAccessTokenResponse, error)
}

// fakeStream is one client's stream.
type fakeStream struct {
	t    testing.TB
	said chan *countersignv1.WatchRevocationsRequest
	tell chan *countersignv1.WatchRevocationsResponse
	over sync.Once
}

func serveFake(t testing.TB) *fakeServer {
	t.Helper()
	return serveFakeAt(t, "127.0.0.1:0")
}

func serveFakeAt(t testing.TB, address string) *fakeServer {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{address: listener.Addr().String(), server: grpc.NewServer(), arrivals: make(chan *fakeStream, 16)}
	countersignv1.RegisterRevocationServiceServer(f.server, f)
	countersignv1.RegisterAuthServiceServer(f.server, f)
	go func() { _ = f.server.Serve(listener) }()
	t.Cleanup(f.server.Stop)
	return f
}

func (f *fakeServer) VerifyAccessToken(_ context.Context, request *countersignv1.VerifyAccessTokenRequest) (*countersignv1.VerifyAccessTokenResponse, error) {
	return f.verify(request)
}

func (f *fakeServer) WatchRevocations(stream countersignv1.RevocationService_WatchRevocationsServer) error {
	s := &fakeStream{
		said: make(chan *countersignv1.WatchRevocationsRequest, 64),
		tell: make(chan *countersignv1.WatchRevocationsResponse, 64),
	}
	f.arrivals <- s
	go func() {
		defer close(s.said)
		for {
			message, err := stream.Recv()
			if err != nil {
				return
			}
			s.said <- message
		}
	}()
	for {
		select {
		case message, more := <-s.tell:
			if !more {
				return nil
			}
			if err := stream.Send(message); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// next is the next client that comes.
func (f *fakeServer) next(t testing.TB) *fakeStream {
	t.Helper()
	select {
	case s := <-f.arrivals:
		s.t = t
		return s
	case <-time.After(patience):
		t.Fatal("no client comes")
		return nil
	}
}

func (s *fakeStream) hear() *countersignv1.WatchRevocationsRequest {
	s.t.Helper()
	select {
	case message, more := <-s.said:
		if !more {
			s.t.Fatal("the client has gone")
		}
		return message
	case <-time.After(patience):
		s.t.Fatal("the client says nothing")
	}
	return nil
}

func (s *fakeStream) started() *countersignv1.WatchStart {
	s.t.Helper()
	start := s.hear().GetStart()
	if start == nil {
		s.t.Fatal("the first message is no start")
	}
	return start
}

func (s *fakeStream) pinged() uint64 {
	s.t.Helper()
	ping := s.hear().GetPing()
	if ping == nil {
		s.t.Fatal("a start again")
	}
	return ping.GetNonce()
}

// end ends the stream with OK.
func (s *fakeStream) end() { s.over.Do(func() { close(s.tell) }) }

func (s *fakeStream) begin(incarnation uint64, resumed bool) {
	s.tell <- &countersignv1.WatchRevocationsResponse{Message: &countersignv1.WatchRevocationsResponse_Begin{
		Begin: &countersignv1.WatchBegin{Incarnation: incarnation, Resumed: resumed},
	}}
}

func (s *fakeStream) keys(keys ...*publicKey) {
	set := &countersignv1.WatchKeySet{}
	for _, key := range keys {
		set.Keys = append(set.Keys, &countersignv1.WatchKey{Id: key.id, Algorithm: key.algorithm, Spki: key.spki})
	}
	s.tell <- &countersignv1.WatchRevocationsResponse{Message: &countersignv1.WatchRevocationsResponse_KeySet{KeySet: set}}
}

func (s *fakeStream) revoked(sequence uint64, sessions ...id) {
	revoked := &countersignv1.WatchRevoked{Sequence: &sequence}
	for _, session := range sessions {
		revoked.Sessions = append(revoked.Sessions, &countersignv1.RevokedSession{
			SessionId: session[:], ForgetAt: timestamppb.New(time.Now().Add(time.Hour)),
		})
	}
	s.tell <- &countersignv1.WatchRevocationsResponse{Message: &countersignv1.WatchRevocationsResponse_Revoked{Revoked: revoked}}
}

func (s *fakeStream) beat(nonce, sequence uint64) {
	s.tell <- &countersignv1.WatchRevocationsResponse{Message: &countersignv1.WatchRevocationsResponse_Heartbeat{
		Heartbeat: &countersignv1.WatchHeartbeat{Nonce: nonce, Sequence: sequence, Staleness: durationpb.New(0)},
	}}
}

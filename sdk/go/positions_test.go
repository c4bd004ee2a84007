package countersign

import (
	"errors"
	"fmt"
	"testing"
	"time"

	countersignv1 "countersign.dev/go/countersign/v1"
)

// askedFor is the next ping that asks for a position; the usual ones are passed over.
func (s *fakeStream) askedFor(position string) (nonce uint64) {
	s.t.Helper()
	for {
		ping := s.hear().GetPing()
		if ping.GetAtLeast() == position {
			return ping.GetNonce()
		}
		if ping.GetAtLeast() != "" {
			s.t.Fatalf("asks for %q", ping.GetAtLeast())
		}
	}
}

func (s *fakeStream) reached(nonce, sequence uint64, reached bool) {
	s.tell <- &countersignv1.WatchRevocationsResponse{Message: &countersignv1.WatchRevocationsResponse_Heartbeat{
		Heartbeat: &countersignv1.WatchHeartbeat{Nonce: nonce, Sequence: sequence, Reached: &reached},
	}}
}

func TestAPositionIsWaitedForAndRemembered(t *testing.T) {
	v, clock, _, stream, key := following(t, func(o *Options) { o.AskTimeout = patience })
	now, _ := clock.Now()
	session := id{1}
	token := key.token(t, session, now, nil)
	answered := make(chan error, 1)
	ask := func(position string) {
		go func() {
			_, err := v.VerifyAtLeast(t.Context(), position, token)
			answered <- err
		}()
	}
	ask("p1")
	nonce := stream.askedFor("p1")
	stream.revoked(6, session)
	stream.reached(nonce, 6, true)
	var invalid *InvalidError
	if err := <-answered; !errors.As(err, &invalid) || invalid.Reason != Revoked {
		t.Errorf("%v", err)
	}
	// Remembered: no question is asked, though the server would not answer it.
	for _, position := range []string{"p1", ""} {
		ask(position)
		if err := <-answered; !errors.As(err, &invalid) {
			t.Errorf("%q: %v", position, err)
		}
	}
	var unknown *UnknownError
	ask("p2")
	stream.reached(stream.askedFor("p2"), 6, false)
	if err := <-answered; !errors.As(err, &unknown) {
		t.Errorf("not reached: %v", err)
	}
	ask(fmt.Sprintf("%065d", 1))
	if err := <-answered; !errors.As(err, &unknown) {
		t.Errorf("too long: %v", err)
	}
	ask("p3")
	stream.askedFor("p3")
	stream.end()
	if err := <-answered; !errors.As(err, &unknown) {
		t.Errorf("the stream was lost: %v", err)
	}
}

func TestAPositionThatIsNotReachedIsAskedOfTheServer(t *testing.T) {
	v, clock, server, _, key := following(t, func(o *Options) { o.OnStale, o.AskTimeout = AskServer, 200*time.Millisecond })
	var asked string
	server.verify = func(request *countersignv1.VerifyAccessTokenRequest) (*countersignv1.VerifyAccessTokenResponse, error) {
		asked = request.GetAtLeast()
		return &countersignv1.VerifyAccessTokenResponse{
			Result: &countersignv1.VerifyAccessTokenResponse_Verified{Verified: &countersignv1.VerifiedToken{}},
		}, nil
	}
	now, _ := clock.Now()
	if _, err := v.VerifyAtLeast(t.Context(), "p1", key.token(t, id{1}, now, nil)); err != nil || asked != "p1" {
		t.Errorf("%v, asked for %q", err, asked)
	}
}

func TestTheOldestOfTooManyPositionsIsGivenUp(t *testing.T) {
	c := &conversation{}
	var all []askedPosition
	for i := range maxWaiting + 1 {
		asked := askedPosition{position: fmt.Sprint(i), answer: make(chan bool, 1)}
		all = append(all, asked)
		_, sent := c.askPosition(asked)
		sent()
	}
	if _, open := <-all[0].answer; open || len(c.positions) != maxWaiting {
		t.Errorf("%d wait", len(c.positions))
	}
	c.giveUp()
	for _, asked := range all {
		if _, open := <-asked.answer; open {
			t.Errorf("%s still waits", asked.position)
		}
	}
	p := newPositions()
	for i := range 2 * maxReached {
		p.remember(fmt.Sprint(i))
	}
	if len(p.reached) != maxReached || p.isKnown("0") || !p.isKnown("127") {
		t.Errorf("%v", p.reached)
	}
}

func TestTheAnswerToAPositionThatWasGivenUpIsNoNonsense(t *testing.T) {
	v := newVerifier(Options{Issuer: "i", Audiences: []string{"orders"}, Clock: newSteppedClock()})
	f := v.newFollower(newPauses(time.Second))
	_, c := f.start()
	sequence := uint64(5)
	f.begin(&countersignv1.WatchBegin{Incarnation: 1}, c)
	if err := f.revoke(&countersignv1.WatchRevoked{Sequence: &sequence}, c); err != nil {
		t.Fatal(err)
	}
	for range maxWaiting + 1 {
		_, sent := c.askPosition(askedPosition{answer: make(chan bool, 1)})
		sent()
	}
	reached := true
	beat := func(nonce uint64, reached *bool) error {
		return f.prove(&countersignv1.WatchHeartbeat{Nonce: nonce, Sequence: sequence, Reached: reached}, c)
	}
	// The server had begun to look for it before it heard of the one too many.
	for _, nonce := range []uint64{1, maxWaiting + 1} {
		if err := beat(nonce, &reached); err != nil {
			t.Errorf("%d: %v", nonce, err)
		}
	}
	for nonce, reached := range map[uint64]*bool{maxWaiting + 2: &reached, 1: nil} {
		if err := beat(nonce, reached); !errors.Is(err, errNonsense) {
			t.Errorf("%d: %v", nonce, err)
		}
	}
}

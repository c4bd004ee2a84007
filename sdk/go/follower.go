package countersign

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	countersignv1 "countersign.dev/go/countersign/v1"
)

// Why a stream came to its end, where the next one must not go on from the position of this one.
var (
	errResynchronise = errors.New("the subscriber fell behind; the snapshot must be reloaded")
	errClockSet      = errors.New("the wall clock was set")
	errNonsense      = errors.New("the server broke the protocol")
)

// errSilent ends a stream on which a ping went unanswered for too long.
var errSilent = errors.New("the server does not answer pings")

// follower knows what a server has sent and what to say next. It does no I/O of its own and is used by one goroutine.
type follower struct {
	engine   *engine
	clock    Clock
	patience time.Duration
	logger   *slog.Logger
	// revoked is called for what was not refused before; proven when a heartbeat has proven something.
	revoked func(Revocation)
	proven  func()
	// position is how far everything was taken in; nil when a stream must begin with a snapshot.
	position *countersignv1.WatchPosition
}

// conversation is what is known of one stream.
type conversation struct {
	hasBegun    bool
	incarnation uint64
	// pings are those that were not answered yet, the earliest first.
	pings []sentPing
	// positions are the pings that ask for a position and were not answered yet, the earliest first.
	positions []sentPosition
	nonce     uint64
	// latestPart is when the last part of a snapshot came.
	latestPart time.Duration
	// wall and monotonic are the time when the stream began.
	wall      time.Time
	monotonic time.Duration
}

type sentPing struct {
	nonce uint64
	sent  time.Duration
}

type sentPosition struct {
	nonce uint64
	asked askedPosition
}

// start says what a new stream begins with.
func (f *follower) start() (*countersignv1.WatchStart, *conversation) {
	wall, monotonic := f.clock.Now()
	return &countersignv1.WatchStart{Resume: f.position}, &conversation{latestPart: monotonic, wall: wall, monotonic: monotonic}
}

// end forgets the position where the next stream must begin with a snapshot.
func (f *follower) end(why error) {
	if errors.Is(why, errResynchronise) || errors.Is(why, errClockSet) || errors.Is(why, errNonsense) {
		f.position = nil
	}
}

// ping makes the question that asks the server to prove that the view is fresh, unless the server owes an answer for too
// long. It counts as asked once sent is called.
func (f *follower) ping(c *conversation) (ping *countersignv1.WatchPing, sent func(), err error) {
	wall, monotonic := f.clock.Now()
	// Before it has begun, the stream is measured by what an earlier one began with.
	if c.hasBegun {
		if err := f.lookAtTheClock(wall, monotonic); err != nil {
			return nil, nil, err
		}
	}
	// For as long as a snapshot comes the server owes no answer: it stands behind it, and a large one takes longer.
	if len(c.pings) > 0 && monotonic-max(c.pings[0].sent, c.latestPart) > f.patience {
		return nil, nil, errSilent
	}
	c.nonce++
	nonce := c.nonce
	sent = func() { c.pings = append(c.pings, sentPing{nonce: nonce, sent: monotonic}) }
	return &countersignv1.WatchPing{Nonce: nonce}, sent, nil
}

// lookAtTheClock ends the stream when the wall clock was set, because what is forgotten is forgotten by it. After a step
// nothing is known until everything was loaded again; after a slow correction what is known holds meanwhile.
func (f *follower) lookAtTheClock(wall time.Time, monotonic time.Duration) error {
	drift := f.engine.freshness.drift(wall, monotonic)
	if drift <= clockStep/2 {
		return nil
	}
	if drift > clockStep {
		f.engine.freshness.invalidate()
	}
	return fmt.Errorf("%w: it differs by %s", errClockSet, drift)
}

// takeIn takes in what the server sends. After an error the stream must be left.
func (f *follower) takeIn(message *countersignv1.WatchRevocationsResponse, c *conversation) error {
	switch told := message.GetMessage().(type) {
	case *countersignv1.WatchRevocationsResponse_Begin:
		f.begin(told.Begin, c)
	case *countersignv1.WatchRevocationsResponse_KeySet:
		return f.trust(told.KeySet)
	case *countersignv1.WatchRevocationsResponse_Revoked:
		return f.revoke(told.Revoked, c)
	case *countersignv1.WatchRevocationsResponse_Heartbeat:
		return f.prove(told.Heartbeat, c)
	case *countersignv1.WatchRevocationsResponse_Resynchronise:
		return errResynchronise
	}
	// A newer server says something that this release does not know.
	return nil
}

func (f *follower) begin(begin *countersignv1.WatchBegin, c *conversation) {
	if !begin.GetResumed() {
		f.position = nil
		f.engine.freshness.anchor(c.wall, c.monotonic)
	}
	c.hasBegun, c.incarnation = true, begin.GetIncarnation()
}

func (f *follower) trust(told *countersignv1.WatchKeySet) error {
	keys, unreadable, err := parseKeySet(told)
	if err != nil {
		return fmt.Errorf("%w: %w", errNonsense, err)
	}
	for _, err := range unreadable {
		f.logger.Warn("countersign: a key of the server cannot be used", "error", err)
	}
	next, withdrawn := f.engine.keys.Load().replacedBy(keys)
	f.engine.keys.Store(next)
	f.logger.Info("countersign: the server's keys", "keys", len(keys), "withdrawn", withdrawn)
	return nil
}

// revoke only ever adds: what was learned from another server stays true, and is forgotten in its time.
func (f *follower) revoke(told *countersignv1.WatchRevoked, c *conversation) error {
	if f.position == nil {
		_, c.latestPart = f.clock.Now()
	}
	for _, session := range told.GetSessions() {
		if len(session.GetSessionId()) != len(id{}) || session.GetForgetAt() == nil {
			return fmt.Errorf("%w: a session without a name or an end", errNonsense)
		}
		ended := id(session.GetSessionId())
		if f.engine.revocations.revokeSession(ended, unixMillis(session.GetForgetAt())) {
			f.revoked(Revocation{SessionID: formatSessionID(ended)})
		}
	}
	for _, user := range told.GetUsers() {
		if len(user.GetSubject()) != len(id{}) || user.GetForgetAt() == nil {
			return fmt.Errorf("%w: a user without a name or an end", errNonsense)
		}
		subject := id(user.GetSubject())
		if f.engine.revocations.raiseEpoch(subject, user.GetEpoch(), unixMillis(user.GetForgetAt())) {
			f.revoked(Revocation{Subject: formatUserID(subject), Epoch: user.GetEpoch()})
		}
	}
	if told.Sequence != nil && c.hasBegun {
		f.position = &countersignv1.WatchPosition{Incarnation: c.incarnation, Sequence: told.GetSequence()}
	}
	return nil
}

// unixMillis rounds up: to forget later than was said does no harm.
func unixMillis(at *timestamppb.Timestamp) int64 {
	const most = int64(1) << 53
	return min(max(at.GetSeconds(), -most), most)*1000 + (int64(at.GetNanos())+999_999)/1_000_000
}

// prove takes a heartbeat. It proves that everything is known that the server knew when the ping came: as of when the
// ping was sent, less what the server's own knowledge lagged behind.
func (f *follower) prove(heartbeat *countersignv1.WatchHeartbeat, c *conversation) error {
	if f.position == nil || f.position.GetSequence() < heartbeat.GetSequence() {
		return fmt.Errorf("%w: a heartbeat for more than it had sent", errNonsense)
	}
	if c.answerPosition(heartbeat) {
		return nil
	}
	sent, asked := c.answered(heartbeat.GetNonce())
	if !asked {
		return fmt.Errorf("%w: an answer to no ping", errNonsense)
	}
	age := heartbeat.GetStaleness()
	if age == nil || age.CheckValid() != nil || age.AsDuration() < 0 {
		return nil
	}
	f.engine.freshness.recordAnswer(sent, age.AsDuration())
	f.proven()
	return nil
}

// askPosition makes the question for a position. It counts as asked once sent is called. One too many takes the place of the
// oldest, as it does at the server.
func (c *conversation) askPosition(asked askedPosition) (ping *countersignv1.WatchPing, sent func()) {
	c.nonce++
	nonce := c.nonce
	sent = func() {
		if len(c.positions) == maxWaiting {
			close(c.positions[0].asked.answer)
			c.positions = c.positions[1:]
		}
		c.positions = append(c.positions, sentPosition{nonce: nonce, asked: asked})
	}
	return &countersignv1.WatchPing{Nonce: nonce, AtLeast: asked.position}, sent
}

// answerPosition passes on whether a position is reached. It reports false for the heartbeat of any other ping. The server
// may answer a question that was given up here: it looks for one and has room for others, so its oldest is not the oldest
// here.
func (c *conversation) answerPosition(heartbeat *countersignv1.WatchHeartbeat) bool {
	for i, sent := range c.positions {
		if sent.nonce == heartbeat.GetNonce() {
			c.positions = slices.Delete(c.positions, i, i+1)
			sent.asked.answer <- heartbeat.GetReached()
			return true
		}
	}
	isPing := func(ping sentPing) bool { return ping.nonce == heartbeat.GetNonce() }
	return heartbeat.Reached != nil && heartbeat.GetNonce() <= c.nonce && !slices.ContainsFunc(c.pings, isPing)
}

// giveUp answers those who wait for a position on a stream that has ended.
func (c *conversation) giveUp() {
	for _, sent := range c.positions {
		close(sent.asked.answer)
	}
	c.positions = nil
}

// answered says when the ping was sent. The earlier ones need no answer any more.
func (c *conversation) answered(nonce uint64) (sent time.Duration, asked bool) {
	for i, ping := range c.pings {
		if ping.nonce == nonce {
			c.pings = c.pings[i+1:]
			return ping.sent, true
		}
	}
	return 0, false
}

package countersign

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	countersignv1 "countersign.dev/go/countersign/v1"
)

type script struct {
	Name             string            `json:"name"`
	About            string            `json:"about"`
	Start            int64             `json:"start_ms"`
	Issuer           string            `json:"issuer"`
	DefaultAudiences []string          `json:"default_audiences"`
	MaxStaleness     int64             `json:"max_staleness_ms"`
	Patience         int64             `json:"patience_ms"`
	Tokens           map[string]string `json:"tokens"`
	Steps            []step            `json:"steps"`
}

type step struct {
	Connect *struct {
		Resume json.RawMessage `json:"resume"`
	} `json:"connect"`
	Tell      json.RawMessage `json:"tell"`
	OnRevoked []struct {
		SessionID string `json:"session_id"`
		Subject   string `json:"subject"`
		Epoch     uint64 `json:"epoch"`
	} `json:"on_revoked"`
	// Ping is the nonce, or null where the stream ends instead; nil where the step is another one.
	Ping        json.RawMessage `json:"ping"`
	Ends        string          `json:"ends"`
	AskPosition string          `json:"ask_position"`
	// Positions are those that are found out by the step: whether they are reached.
	Positions   map[string]bool `json:"positions"`
	Lost        bool            `json:"lost"`
	Advance     *int64          `json:"advance_ms"`
	StepClock   *int64          `json:"step_wall_clock_ms"`
	Purge       bool            `json:"purge"`
	Expectation *struct {
		Ready     bool   `json:"ready"`
		Staleness *int64 `json:"staleness_ms"`
		Answers   map[string]struct {
			FailClosed json.RawMessage `json:"fail_closed"`
			Serve      json.RawMessage `json:"serve"`
		} `json:"answers"`
	} `json:"expect"`
}

// testClock moves only when it is told to.
type testClock struct {
	wall      time.Time
	monotonic time.Duration
}

func (c *testClock) Now() (time.Time, time.Duration) { return c.wall, c.monotonic }

func (c *testClock) advance(by time.Duration) {
	c.wall, c.monotonic = c.wall.Add(by), c.monotonic+by
}

// player plays a script to a verifier that has no connection.
type player struct {
	*testing.T
	clock        *testClock
	verifier     *Verifier
	follower     *follower
	conversation *conversation
	// nonces are those of the pings that were sent on this stream. The script counts them from 1.
	nonces []uint64
	// waiting are the positions that were asked for and not answered.
	waiting []askedPosition
	told    []Revocation
	tokens  map[string]string
}

func newPlayer(t *testing.T, s *script) *player {
	p := &player{T: t, clock: &testClock{wall: time.UnixMilli(s.Start), monotonic: 5 * time.Minute}}
	options, err := Options{
		Issuer:       s.Issuer,
		Audiences:    s.DefaultAudiences,
		MaxStaleness: time.Duration(s.MaxStaleness) * time.Millisecond,
		Patience:     time.Duration(s.Patience) * time.Millisecond,
		Clock:        p.clock,
		Logger:       slog.New(slog.DiscardHandler),
		OnRevoked:    func(revocation Revocation) { p.told = append(p.told, revocation) },
	}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	p.verifier = newVerifier(options)
	p.follower = p.verifier.newFollower(newPauses(time.Second))
	return p
}

// ended holds the step to whether the stream goes on.
func (p *player) ended(number int, step *step, err error) {
	if (err != nil) != (step.Ends != "") {
		p.Fatalf("step %d: ends with %v, expected %q", number, err, step.Ends)
	}
	if err != nil {
		p.follower.end(err)
		p.conversation.giveUp()
		p.conversation = nil
	}
	p.answerPositions(number, step)
}

// answerPositions holds the step to which positions are found out by it.
func (p *player) answerPositions(number int, step *step) {
	found, waiting := map[string]bool{}, p.waiting[:0]
	for _, asked := range p.waiting {
		select {
		case reached := <-asked.answer:
			found[asked.position] = reached
		default:
			waiting = append(waiting, asked)
		}
	}
	p.waiting = waiting
	if !maps.Equal(found, step.Positions) {
		p.Errorf("step %d: positions %v, expected %v", number, found, step.Positions)
	}
}

func (p *player) play(number int, step *step) {
	switch {
	case step.Connect != nil:
		start, conversation := p.follower.start()
		p.conversation, p.nonces = conversation, nil
		var expected *countersignv1.WatchPosition
		if string(step.Connect.Resume) != "null" {
			expected = &countersignv1.WatchPosition{}
			if err := protojson.Unmarshal(step.Connect.Resume, expected); err != nil {
				p.Fatal(err)
			}
		}
		if got := start.GetResume(); (got == nil) != (expected == nil) ||
			got.GetIncarnation() != expected.GetIncarnation() || got.GetSequence() != expected.GetSequence() {
			p.Fatalf("step %d: resumes at %v, expected %v", number, got, expected)
		}
	case step.Tell != nil:
		p.tell(number, step)
	case step.AskPosition != "":
		asked := askedPosition{position: step.AskPosition, answer: make(chan bool, 1)}
		ping, sent := p.conversation.askPosition(asked)
		sent()
		p.waiting = append(p.waiting, asked)
		p.nonces = append(p.nonces, ping.GetNonce())
		if ping.GetAtLeast() != step.AskPosition || string(step.Ping) != strconv.Itoa(len(p.nonces)) {
			p.Fatalf("step %d: %v", number, ping)
		}
	case step.Ping != nil:
		ping, sent, err := p.follower.ping(p.conversation)
		p.ended(number, step, err)
		if err == nil {
			sent()
			p.nonces = append(p.nonces, ping.GetNonce())
			if string(step.Ping) != strconv.Itoa(len(p.nonces)) {
				p.Fatalf("step %d: ping %d, expected %s", number, len(p.nonces), step.Ping)
			}
		}
	case step.Lost:
		p.follower.end(fmt.Errorf("lost"))
		p.conversation.giveUp()
		p.conversation = nil
		p.answerPositions(number, step)
	case step.Advance != nil:
		p.clock.advance(time.Duration(*step.Advance) * time.Millisecond)
	case step.StepClock != nil:
		p.clock.wall = p.clock.wall.Add(time.Duration(*step.StepClock) * time.Millisecond)
	case step.Purge:
		p.verifier.engine.revocations.purge(p.clock.wall.UnixMilli())
	case step.Expectation != nil:
		p.expect(number, step)
	default:
		p.Fatalf("step %d: not known", number)
	}
}

func (p *player) tell(number int, step *step) {
	message := &countersignv1.WatchRevocationsResponse{}
	if err := (protojson.UnmarshalOptions{}).Unmarshal(step.Tell, message); err != nil {
		p.Fatalf("step %d: %v", number, err)
	}
	if heartbeat := message.GetHeartbeat(); heartbeat != nil {
		if n := heartbeat.GetNonce(); n >= 1 && n <= uint64(len(p.nonces)) {
			heartbeat.Nonce = p.nonces[n-1]
		}
	}
	p.told = nil
	p.ended(number, step, p.follower.takeIn(message, p.conversation))
	var expected []Revocation
	for _, it := range step.OnRevoked {
		expected = append(expected, Revocation{SessionID: it.SessionID, Subject: it.Subject, Epoch: it.Epoch})
	}
	if !sameRevocations(p.told, expected) {
		p.Errorf("step %d: tells of %v, expected %v", number, p.told, expected)
	}
}

// sameRevocations compares without regard to order.
func sameRevocations(a, b []Revocation) bool {
	count := map[Revocation]int{}
	for _, it := range a {
		count[it]++
	}
	for _, it := range b {
		count[it]--
	}
	for _, left := range count {
		if left != 0 {
			return false
		}
	}
	return true
}

func (p *player) expect(number int, step *step) {
	want := step.Expectation
	select {
	case <-p.verifier.ready:
		if !want.Ready {
			p.Errorf("step %d: ready", number)
		}
	default:
		if want.Ready {
			p.Errorf("step %d: not ready", number)
		}
	}
	age, loaded := p.verifier.Staleness()
	if loaded != (want.Staleness != nil) || (loaded && age.Milliseconds() != *want.Staleness) {
		p.Errorf("step %d: staleness %v (loaded: %t), expected %v", number, age, loaded, want.Staleness)
	}
	for name, answers := range want.Answers {
		for policy, answer := range map[OnStale]json.RawMessage{FailClosed: answers.FailClosed, Serve: answers.Serve} {
			p.verifier.options.OnStale = policy
			_, err := p.verifier.Verify(p.Context(), p.tokens[name])
			if got := answerOf(err); got != string(answer) {
				p.Errorf("step %d: %s under policy %d: %s, expected %s", number, name, policy, got, answer)
			}
		}
	}
}

func answerOf(err error) string {
	switch err := err.(type) {
	case nil:
		return `"verified"`
	case *InvalidError:
		return `{"invalid":"` + string(err.Reason) + `"}`
	default:
		return `"unknown"`
	}
}

func TestCorpusStreams(t *testing.T) {
	scripts := readLines[script](t, "streams.jsonl")
	if len(scripts) < 20 {
		t.Fatalf("only %d scripts", len(scripts))
	}
	for _, s := range scripts {
		t.Run(s.Name, func(t *testing.T) {
			p := newPlayer(t, &s)
			p.tokens = s.Tokens
			for i, step := range s.Steps {
				p.play(i+1, &step)
			}
		})
	}
}

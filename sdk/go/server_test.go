//go:build linux

package countersign_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	countersign "countersign.dev/go"
)

// reason is why a token is refused; "unknown" where that is the answer, and empty where it is good.
func reason(err error) string {
	var invalid *countersign.InvalidError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &invalid):
		return string(invalid.Reason)
	default:
		return "unknown"
	}
}

// TestARevocationReachesFiftyVerifiers measures how long it takes from the acknowledgement of a logout until each of fifty
// services refuses the session.
func TestARevocationReachesFiftyVerifiers(t *testing.T) {
	const count, rounds = 50, 20
	d := deploy(t)
	client := d.client()
	var verifiers []*countersign.Verifier
	var told []chan time.Time
	for range count {
		heard := make(chan time.Time, 64)
		told = append(told, heard)
		verifiers = append(verifiers, d.verifier(func(o *countersign.Options) {
			o.OnRevoked = func(countersign.Revocation) { heard <- time.Now() }
		}))
	}
	var delays []time.Duration
	for range rounds {
		tokens := d.login(client)
		for _, verifier := range verifiers {
			if _, err := verifier.Verify(t.Context(), tokens.AccessToken); err != nil {
				t.Fatal(err)
			}
		}
		position, err := client.Logout(t.Context(), tokens.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		acknowledged := time.Now()
		for _, verifier := range verifiers[:3] {
			if _, err := verifier.VerifyAtLeast(t.Context(), position, tokens.AccessToken); position == "" || reason(err) != "REVOKED" {
				t.Fatalf("at %q at least: %v", position, err)
			}
		}
		for i, verifier := range verifiers {
			select {
			case at := <-told[i]:
				delays = append(delays, max(at.Sub(acknowledged), 0))
			case <-time.After(patience):
				t.Fatal("a verifier is not told")
			}
			if _, err := verifier.Verify(t.Context(), tokens.AccessToken); reason(err) != "REVOKED" {
				t.Fatalf("after the logout: %v", err)
			}
		}
	}
	slices.Sort(delays)
	at := func(share int) time.Duration { return delays[(len(delays)-1)*share/100] }
	t.Logf("acknowledged to refused, %d verifiers, %d logouts: p50 %v, p99 %v, max %v", count, rounds, at(50), at(99), at(100))
}

// movedClock is the system's clocks, some time later.
type movedClock struct {
	system countersign.Clock
	later  atomic.Int64
}

func (c *movedClock) Now() (time.Time, time.Duration) {
	wall, monotonic := c.system.Now()
	later := time.Duration(c.later.Load())
	return wall.Add(later), monotonic + later
}

func (c *movedClock) advance(by time.Duration) { c.later.Add(int64(by)) }

// observed is a verifier of each policy, over one clock.
type observed struct {
	*deployment
	clock                *movedClock
	closed, asks, serves *countersign.Verifier
	good                 *countersign.Tokens
	revoked              string
}

const bound = 10 * time.Second

func observe(t *testing.T) *observed {
	t.Helper()
	d := deploy(t)
	o := &observed{deployment: d, clock: &movedClock{system: countersign.SystemClock()}}
	of := func(policy countersign.OnStale) *countersign.Verifier {
		return d.verifier(func(options *countersign.Options) {
			options.OnStale, options.Clock = policy, o.clock
			options.PingInterval = 100 * time.Millisecond
		})
	}
	o.closed, o.asks, o.serves = of(countersign.FailClosed), of(countersign.AskServer), of(countersign.Serve)
	client := d.client()
	o.good = d.login(client)
	bad := d.login(client)
	o.revoked = bad.AccessToken
	if _, err := client.Logout(t.Context(), bad.RefreshToken); err != nil {
		t.Fatal(err)
	}
	for _, verifier := range o.all() {
		until(t, "the revocation arrives", func() bool { return o.answer(verifier, o.revoked) == "REVOKED" })
		if got := o.answer(verifier, o.good.AccessToken); got != "" {
			t.Fatalf("a good token: %s", got)
		}
	}
	return o
}

func (o *observed) all() []*countersign.Verifier {
	return []*countersign.Verifier{o.closed, o.asks, o.serves}
}

func (o *observed) answer(verifier *countersign.Verifier, token string) string {
	_, err := verifier.Verify(o.Context(), token)
	return reason(err)
}

// unheard holds the verifiers to what they must do while the server cannot be heard.
func (o *observed) unheard() {
	o.Helper()
	// A heartbeat may have been on its way.
	o.clock.advance(bound / 2)
	for _, verifier := range o.all() {
		if age, loaded := verifier.Staleness(); !loaded || age < bound/2 {
			o.Errorf("staleness %v (loaded: %t)", age, loaded)
		}
		if got := o.answer(verifier, o.good.AccessToken); got != "" {
			o.Errorf("within the bound: %s", got)
		}
	}
	o.clock.advance(bound/2 + time.Second)
	for verifier, want := range map[*countersign.Verifier]string{o.closed: "unknown", o.asks: "unknown", o.serves: ""} {
		if got := o.answer(verifier, o.good.AccessToken); got != want {
			o.Errorf("past the bound: %q, expected %q", got, want)
		}
		if got := o.answer(verifier, o.revoked); got != "REVOKED" && want != "unknown" {
			o.Errorf("what is known is said: %q", got)
		}
	}
}

// heals waits until the verifiers are fresh again, by themselves.
func (o *observed) heals() {
	o.Helper()
	for _, verifier := range o.all() {
		until(o, "it is fresh again", func() bool {
			age, loaded := verifier.Staleness()
			return loaded && age < bound/4
		})
		if got := o.answer(verifier, o.good.AccessToken); got != "" {
			o.Errorf("afterwards: %s", got)
		}
		if got := o.answer(verifier, o.revoked); got != "REVOKED" {
			o.Errorf("afterwards the revoked one: %q", got)
		}
	}
}

func TestTheServerIsKilled(t *testing.T) {
	o := observe(t)
	o.stop(o.server)
	o.unheard()
	o.start()
	o.heals()
	// What is revoked after the restart is heard.
	if _, err := o.client().Logout(t.Context(), o.good.RefreshToken); err != nil {
		t.Fatal(err)
	}
	for _, verifier := range o.all() {
		until(t, "the revocation arrives", func() bool { return o.answer(verifier, o.good.AccessToken) == "REVOKED" })
	}
}

func TestTheStreamStalls(t *testing.T) {
	o := observe(t)
	o.halt()
	o.unheard()
	o.signal(syscall.SIGCONT)
	o.heals()
}

// TestRedisDies: the ledger is in the database, so revocations go on, and verifiers stay fresh.
func TestRedisDies(t *testing.T) {
	o := observe(t)
	o.stop(o.redis)
	client := o.client()
	if _, err := client.Logout(t.Context(), o.good.RefreshToken); err != nil {
		t.Fatalf("a logout needs no Redis: %v", err)
	}
	for _, verifier := range o.all() {
		until(t, "the revocation arrives without Redis", func() bool { return o.answer(verifier, o.good.AccessToken) == "REVOKED" })
	}
	o.clock.advance(bound / 2)
	for _, verifier := range o.all() {
		until(t, "it stays fresh without Redis", func() bool {
			age, loaded := verifier.Staleness()
			return loaded && age < bound/4
		})
	}
	o.startRedis()
	// Logins work again by themselves.
	until(t, "a login after Redis came back", func() bool {
		tokens, err := client.Login(t.Context(), "ada", password)
		if err == nil {
			o.good = tokens
		}
		return err == nil
	})
	o.heals()
}

// TestOneClientAndManyVerifiersAtOnce is for the race detector.
func TestOneClientAndManyVerifiersAtOnce(t *testing.T) {
	d := deploy(t)
	client, verifier := d.client(), d.verifier(nil)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 5 {
				tokens, err := client.Login(t.Context(), "ada", password)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := verifier.Verify(t.Context(), tokens.AccessToken); err != nil {
					t.Error(err)
				}
				next, err := client.Refresh(t.Context(), tokens.RefreshToken)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := client.Logout(t.Context(), next.RefreshToken); err != nil {
					t.Error(err)
				}
				until(t, "the revocation arrives", func() bool {
					_, err := verifier.Verify(t.Context(), next.AccessToken)
					return reason(err) == "REVOKED"
				})
				_, err = client.Refresh(t.Context(), next.RefreshToken)
				if !countersign.SessionEnded(err) || countersign.Cause(err) != "LOGGED_OUT" {
					t.Errorf("%v, cause %q", err, countersign.Cause(err))
				}
			}
		})
	}
	group.Wait()
}

package countersign

import (
	"math"
	"sync/atomic"
	"time"
)

// Clock is where a [Verifier] gets the time from. Tests pass their own, so that no test of an expiry needs to sleep.
type Clock interface {
	// Now returns the wall-clock time, for what is compared with times that other machines wrote; and the time that
	// has passed since an arbitrary origin by a clock that is never set, for how old something is.
	Now() (wall time.Time, monotonic time.Duration)
}

// SystemClock is the operating system's clocks.
func SystemClock() Clock { return systemClock{origin: time.Now()} }

type systemClock struct{ origin time.Time }

func (c systemClock) Now() (time.Time, time.Duration) {
	now := time.Now()
	return now, now.Sub(c.origin)
}

// clockStep is by how much the wall clock may differ from where the monotonic one says that it should be before nothing
// is known any more. Revocations are remembered for longer than they matter by more than this, so a smaller step does
// no harm.
const clockStep = 10 * time.Second

// freshness is how old the view of revocations may be. It is proven by a question that was answered and never by a
// message that arrives: counted from when the last answered question was sent, on the monotonic clock, plus the age that
// the answer itself had.
type freshness struct {
	// knownUpTo is nanoseconds on the monotonic clock since monotonicOrigin before its own origin; 0 before the first.
	knownUpTo atomic.Int64
	// offset is by how many milliseconds the wall clock was ahead of the monotonic one when loading began.
	offset atomic.Int64
}

const (
	// monotonicOrigin lets times before the clock's own origin be told apart: another's knowledge may be older than
	// this process. In nanoseconds, some 73 years.
	monotonicOrigin = int64(1) << 61
	// unanchored means that no load has begun.
	unanchored = int64(math.MinInt64)
)

func newFreshness() *freshness {
	f := &freshness{}
	f.offset.Store(unanchored)
	return f
}

// recordAnswer says that a question that was sent at sent has been answered by a server whose own view was at most age
// old, and that what it knew is known here. An answer that proves less than an earlier one changes nothing.
func (f *freshness) recordAnswer(sent, age time.Duration) {
	upTo := max(monotonicOrigin+int64(sent)-int64(age), 1)
	for {
		known := f.knownUpTo.Load()
		if known >= upTo || f.knownUpTo.CompareAndSwap(known, upTo) {
			return
		}
	}
}

// anchor says that loading begins at this moment of both clocks. What is left out of what is loaded, and what is
// forgotten later, is decided by the wall clock, so both hold for as long as it goes on from here without a step.
func (f *freshness) anchor(wall time.Time, monotonic time.Duration) {
	f.offset.Store(clockOffset(wall, monotonic))
}

// drift is by how much the wall clock differs from where it should be by the monotonic one; zero before loading began.
func (f *freshness) drift(wall time.Time, monotonic time.Duration) time.Duration {
	anchored := f.offset.Load()
	if anchored == unanchored {
		return 0
	}
	const most = int64(math.MaxInt64 / time.Millisecond)
	drift := clockOffset(wall, monotonic) - anchored
	return time.Duration(min(max(drift, -drift, 0), most)) * time.Millisecond
}

func clockOffset(wall time.Time, monotonic time.Duration) int64 {
	return max(wall.UnixMilli()-monotonic.Milliseconds(), unanchored+1)
}

// invalidate says that everything must be loaded again.
func (f *freshness) invalidate() { f.knownUpTo.Store(0) }

// staleness says how old the view is at most. It is not known when nothing was loaded, or when the wall clock has stepped
// by more than clockStep since loading began.
//
// Ask before the revocations are looked at: what comes in between makes the answer better than was said, and never worse.
func (f *freshness) staleness(wall time.Time, monotonic time.Duration) (age time.Duration, known bool) {
	upTo := f.knownUpTo.Load()
	if upTo == 0 || f.drift(wall, monotonic) > clockStep {
		return 0, false
	}
	return time.Duration(max(monotonicOrigin+int64(monotonic)-upTo, 0)), true
}

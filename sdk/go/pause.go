package countersign

import (
	"context"
	"math/rand/v2"
	"time"
)

// firstPause is the longest that the first pause can be.
const firstPause = 100 * time.Millisecond

// pauses double, and each is drawn at random from the upper half of what it may be.
type pauses struct{ next, longest time.Duration }

func newPauses(longest time.Duration) *pauses {
	return &pauses{next: min(firstPause, longest), longest: longest}
}

// reset begins anew, when things go well.
func (p *pauses) reset() { p.next = min(firstPause, p.longest) }

func (p *pauses) draw() time.Duration {
	upper := p.next
	p.next = min(p.next*2, p.longest)
	return upper/2 + time.Duration(rand.Int64N(int64(upper/2)+1))
}

// sleep waits, and reports false when ctx is over before.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

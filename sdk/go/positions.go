package countersign

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// maxWaiting is how many positions are waited for at once, here and at the server.
	maxWaiting = 64
	// maxReached is how many positions that were reached are remembered: revocations are only ever added, so they stay
	// reached.
	maxReached = 64
	// maxPositionBytes is the longest position there is.
	maxPositionBytes = 64
)

// positions are those of the ledger that callers wait for.
type positions struct {
	asked   chan askedPosition
	mu      sync.Mutex
	reached []string
}

// askedPosition is one that a caller waits for.
type askedPosition struct {
	position string
	// answer says whether everything up to there is known here. It is closed where that could not be found out.
	answer chan bool
}

func newPositions() *positions { return &positions{asked: make(chan askedPosition)} }

// reach reports whether everything up to a position is known here, now or within patience.
func (p *positions) reach(ctx context.Context, position string, patience time.Duration) bool {
	if p.isKnown(position) {
		return true
	}
	if len(position) > maxPositionBytes {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	asked := askedPosition{position: position, answer: make(chan bool, 1)}
	select {
	case p.asked <- asked:
	case <-ctx.Done():
		return false
	}
	select {
	case reached := <-asked.answer:
		if reached {
			p.remember(position)
		}
		return reached
	case <-ctx.Done():
		return false
	}
}

func (p *positions) isKnown(position string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.reached, position)
}

func (p *positions) remember(position string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.reached) == maxReached {
		p.reached = slices.Delete(p.reached, 0, 1)
	}
	p.reached = append(p.reached, position)
}

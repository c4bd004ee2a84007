package countersign

import (
	"maps"
	"sync"
)

// Revocation is something that is refused from now on.
type Revocation struct {
	// SessionID is the session that has ended, as in [Token.SessionID]; empty where all sessions of a user have, up
	// to an epoch.
	SessionID string
	// Subject is the user whose sessions have ended, as in [Token.Subject]; empty where one session has.
	Subject string
	// Epoch is the smallest [Token.Epoch] of the subject that is still accepted.
	Epoch uint64
}

// Covers reports whether it refuses the token.
func (r Revocation) Covers(token *Token) bool {
	if r.SessionID != "" {
		return r.SessionID == token.SessionID
	}
	return r.Subject == token.Subject && token.Epoch < r.Epoch
}

// revocationShards keeps those who write out of the way of most who read, and a purge short.
const revocationShards = 64

// revocations is what is revoked. It is only added to, and forgets what cannot matter any more.
type revocations struct {
	shards [revocationShards]revocationShard
}

type revocationShard struct {
	mu sync.RWMutex
	// sessions says until when each is remembered, in milliseconds since the Unix epoch.
	sessions map[id]int64
	users    map[id]raisedEpoch
}

type raisedEpoch struct {
	epoch    uint64
	forgetAt int64
}

func newRevocations() *revocations {
	r := &revocations{}
	for i := range r.shards {
		r.shards[i].sessions = map[id]int64{}
		r.shards[i].users = map[id]raisedEpoch{}
	}
	return r
}

// shard takes bits that are random in both kinds of id and that only the server chooses.
func (r *revocations) shard(id id) *revocationShard {
	return &r.shards[id[len(id)-1]%revocationShards]
}

func (r *revocations) isRevoked(user, session id, epoch uint64) bool {
	shard := r.shard(session)
	shard.mu.RLock()
	_, revoked := shard.sessions[session]
	shard.mu.RUnlock()
	if revoked {
		return true
	}
	shard = r.shard(user)
	shard.mu.RLock()
	raised := shard.users[user]
	shard.mu.RUnlock()
	return epoch < raised.epoch
}

// revokeSession refuses a session, and remembers it at least until forgetAt. It reports whether the session was not
// refused before.
func (r *revocations) revokeSession(session id, forgetAt int64) bool {
	shard := r.shard(session)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	known, revoked := shard.sessions[session]
	if !revoked || known < forgetAt {
		shard.sessions[session] = forgetAt
	}
	return !revoked
}

// raiseEpoch refuses smaller epochs of a user, and remembers that at least until forgetAt. It reports whether a token
// is refused now that was not before.
func (r *revocations) raiseEpoch(user id, epoch uint64, forgetAt int64) bool {
	shard := r.shard(user)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	known := shard.users[user]
	shard.users[user] = raisedEpoch{epoch: max(epoch, known.epoch), forgetAt: max(forgetAt, known.forgetAt)}
	return epoch > known.epoch
}

// purge forgets what need not be remembered at now.
func (r *revocations) purge(now int64) {
	for i := range r.shards {
		shard := &r.shards[i]
		shard.mu.Lock()
		maps.DeleteFunc(shard.sessions, func(_ id, forgetAt int64) bool { return forgetAt <= now })
		maps.DeleteFunc(shard.users, func(_ id, raised raisedEpoch) bool { return raised.forgetAt <= now })
		shard.mu.Unlock()
	}
}

// len says how many sessions and users are remembered.
func (r *revocations) len() int {
	count := 0
	for i := range r.shards {
		shard := &r.shards[i]
		shard.mu.RLock()
		count += len(shard.sessions) + len(shard.users)
		shard.mu.RUnlock()
	}
	return count
}

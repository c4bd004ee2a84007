package countersign

import "sync"

// watchers are those who want to know when a token is revoked, by its session and by its user.
type watchers struct {
	mu       sync.Mutex
	sessions map[string]map[*watcher]struct{}
	subjects map[string]map[*watcher]struct{}
}

type watcher struct {
	token *Token
	call  func()
}

func newWatchers() *watchers {
	return &watchers{
		sessions: map[string]map[*watcher]struct{}{},
		subjects: map[string]map[*watcher]struct{}{},
	}
}

// add calls call once the token is revoked, perhaps more than once, until forget is called.
func (w *watchers) add(token *Token, call func()) (forget func()) {
	added := &watcher{token: token, call: call}
	w.mu.Lock()
	defer w.mu.Unlock()
	put(w.sessions, token.SessionID, added)
	put(w.subjects, token.Subject, added)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		remove(w.sessions, token.SessionID, added)
		remove(w.subjects, token.Subject, added)
	}
}

func put(all map[string]map[*watcher]struct{}, key string, added *watcher) {
	if all[key] == nil {
		all[key] = map[*watcher]struct{}{}
	}
	all[key][added] = struct{}{}
}

func remove(all map[string]map[*watcher]struct{}, key string, added *watcher) {
	delete(all[key], added)
	if len(all[key]) == 0 {
		delete(all, key)
	}
}

// tell calls everybody whose token is refused now.
func (w *watchers) tell(revocation Revocation) {
	w.mu.Lock()
	concerned := w.sessions[revocation.SessionID]
	if revocation.SessionID == "" {
		concerned = w.subjects[revocation.Subject]
	}
	var calls []func()
	for watcher := range concerned {
		if revocation.Covers(watcher.token) {
			calls = append(calls, watcher.call)
		}
	}
	w.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

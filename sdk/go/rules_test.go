package countersign

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// newTestEngine trusts the signer, and remembers so many tokens.
func newTestEngine(cached int, signers ...*signer) *engine {
	e := newEngine(rules{
		issuer: testIssuer, audiences: []string{testAudience}, leeway: 5 * time.Second, maxTokenBytes: maxTokenBytes,
	}, cached)
	e.trust(signers...)
	return e
}

func (e *engine) trust(signers ...*signer) {
	keys := map[string]*publicKey{}
	for _, signer := range signers {
		keys[signer.key.id] = signer.key
	}
	next, _ := e.keys.Load().replacedBy(keys)
	e.keys.Store(next)
}

// TestTheCacheChangesNoAnswer leads an engine that remembers eight tokens and one that remembers none through the same
// story.
func TestTheCacheChangesNoAnswer(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	start := time.Unix(1_700_000_000, 0)
	// The third comes under the name of the first.
	signers := []*signer{newSigner(t, "a"), newSigner(t, "b"), newSigner(t, "a")}
	var tokens []string
	for i := range 24 {
		changed := map[string]any{
			"sub": formatUserID(id{byte(i % 3)}), "jti": fmt.Sprint(i), "epoch": i % 4, "exp": start.Unix() + int64(60*i),
		}
		if i%5 == 0 {
			changed["nbf"] = start.Unix() + int64(30*(i%7))
		}
		tokens = append(tokens, signers[i%3].token(t, id{byte(i % 6)}, start, changed))
	}
	audiences := [][]string{nil, {"billing"}, {"x", testAudience}}
	counts := map[InvalidReason]int{}
	for story := range 15 {
		remembers, forgets := newTestEngine(8, signers[:2]...), newTestEngine(-1, signers[:2]...)
		now := start.UnixMilli()
		for range 300 {
			switch random.IntN(12) {
			case 0:
				now += random.Int64N(200_000)
			case 1:
				now -= random.Int64N(100_000)
			case 2:
				session := id{byte(random.IntN(6))}
				if random.IntN(4) == 0 {
					remembers.revocations.revokeSession(session, 1<<62)
					forgets.revocations.revokeSession(session, 1<<62)
				}
			case 3:
				user, epoch := id{byte(random.IntN(3))}, random.Uint64N(3)
				remembers.revocations.raiseEpoch(user, epoch, 1<<62)
				forgets.revocations.raiseEpoch(user, epoch, 1<<62)
			case 4:
				trusted := [][]*signer{signers[:1], signers[:2], signers[1:], nil}[random.IntN(4)]
				remembers.trust(trusted...)
				forgets.trust(trusted...)
			default:
				token, audience := tokens[random.IntN(len(tokens))], audiences[random.IntN(len(audiences))]
				if random.IntN(6) == 0 {
					place := random.IntN(len(token))
					token = token[:place] + "A" + token[place+1:]
				}
				got, reason := remembers.verify(token, audience, now)
				want, wanted := forgets.verify(token, audience, now)
				if reason != wanted || (got == nil) != (want == nil) || (got != nil && got.TokenID != want.TokenID) {
					t.Fatalf("story %d: %q, expected %q", story, reason, wanted)
				}
				counts[reason]++
			}
		}
		if n := remembers.cache.len(); n > 8 {
			t.Fatalf("%d tokens in a cache of 8", n)
		}
	}
	for _, reason := range []InvalidReason{"", Expired, NotYetValid, BadSignature, UnknownKey, WrongAudience, Revoked} {
		if counts[reason] == 0 {
			t.Errorf("no story had %q: %v", reason, counts)
		}
	}
}

func TestNoChangeOfOneByteIsAccepted(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	signer := newSigner(t, "k1")
	e := newTestEngine(64, signer)
	valid := signer.token(t, id{1}, now, nil)
	if _, reason := e.verify(valid, nil, now.UnixMilli()); reason != "" {
		t.Fatal(reason)
	}
	for place := range len(valid) {
		for _, other := range []byte{valid[place] ^ 1, valid[place] ^ 32, 'A', '_', '.', '=', 0, '\n'} {
			if other == valid[place] {
				continue
			}
			changed := valid[:place] + string(rune(other)) + valid[place+1:]
			if _, reason := e.verify(changed, nil, now.UnixMilli()); reason == "" {
				t.Errorf("byte %d changed to %q", place, other)
			}
		}
		if _, reason := e.verify(valid[:place]+valid[place+1:], nil, now.UnixMilli()); reason == "" {
			t.Errorf("byte %d removed", place)
		}
	}
}

func TestHugeAndDeepTokensAreRefused(t *testing.T) {
	signer := newSigner(t, "k1")
	e := newTestEngine(64, signer)
	now := time.Unix(1_700_000_000, 0).UnixMilli()
	for _, token := range []string{
		strings.Repeat(".", 1<<20),
		strings.Repeat("A", 1<<20),
		strings.Repeat("A", 1<<19) + "." + strings.Repeat("A", 1<<19) + ".A",
	} {
		if _, reason := e.verify(token, nil, now); reason != Malformed {
			t.Errorf("%q", reason)
		}
	}
	// Also where the size does not stop it.
	e.rules.maxTokenBytes = 1 << 22
	for _, deep := range []string{strings.Repeat(`{"a":`, 100_000), strings.Repeat("[", 100_000)} {
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"deep":` + deep))
		if _, reason := e.verify(header+".AA.AA", nil, now); reason != Malformed {
			t.Errorf("%q", reason)
		}
	}
}

func TestStrictJSON(t *testing.T) {
	for _, good := range []string{
		`{}`, ` {"a":[1,-2,0.5,1e3,"x\u0000",null,true,false],"b":{"a":{"a":18446744073709551615}}} `,
		`{"":"\"\\\/\b\f\n\r\t\ud83d\ude42"}`, `{"a":-0}`, `{"a":1e-999}`,
		strings.Repeat(`{"a":`, 127) + "1" + strings.Repeat("}", 127),
	} {
		if _, ok := parseObject([]byte(good)); !ok {
			t.Errorf("%.80s is refused", good)
		}
	}
	for _, bad := range []string{
		`{"a":1,"a":1}`, `{"a":1,"\u0061":2}`, `{"x":{"a":1,"a":2}}`, `{"x":[{"a":1,"a":2}]}`, `{"a":1}{}`, `{"a":1} x`,
		"\ufeff{}", `{"a":1e999}`, `{"a":NaN}`, `{"a":01}`, `{"a":+1}`, `{"a":.5}`, `{"a":1.}`, `{"a":1e}`, `{"a":-}`,
		`{"a":"\ud800"}`, `{"a":"\ud800\u0041"}`, `{"a":"\udc00"}`, `{"a":"\x"}`, `{"a":"\u00g0"}`, "{\"a\":\"\x01\"}",
		`{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{'a':1}`, `{a:1}`, `{/**/}`, `[]`, `null`, `1`, ``, `{`, `{"`, `{"a":"\`,
		`{"a":tru}`, `{"a":[1 2]}`, `{"a":[1,]}`, "{\"a\":\"\xff\"}", "{\"a\":\"\xc0\xaf\"}",
		strings.Repeat(`{"a":`, 128) + "1" + strings.Repeat("}", 128),
	} {
		if value, ok := parseObject([]byte(bad)); ok {
			t.Errorf("%.80q is %v", bad, value)
		}
	}
}

func FuzzParseObject(f *testing.F) {
	f.Add([]byte(`{"a":[1,"\ud83d\ude42",{"b":null}]}`))
	f.Fuzz(func(_ *testing.T, text []byte) { parseObject(text) })
}

func FuzzVerify(f *testing.F) {
	signer := newSigner(f, "k1")
	now := time.Unix(1_700_000_000, 0)
	valid := signer.token(f, id{1}, now, nil)
	e := newTestEngine(64, signer)
	f.Add(valid)
	f.Fuzz(func(t *testing.T, token string) {
		if _, reason := e.verify(token, nil, now.UnixMilli()); reason == "" && token != valid {
			t.Errorf("%q is accepted", token)
		}
	})
}

// TestManyGoroutines is for the race detector.
func TestManyGoroutines(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	first, second := newSigner(t, "a"), newSigner(t, "b")
	e := newTestEngine(16, first, second)
	var tokens []string
	for i := range 40 {
		tokens = append(tokens, []*signer{first, second}[i%2].token(t, id{byte(i)}, now, nil))
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 400 {
				token := tokens[(i+worker)%len(tokens)]
				_, reason := e.verify(token, nil, now.UnixMilli())
				if reason != "" && reason != Revoked && reason != UnknownKey {
					t.Errorf("%q", reason)
				}
			}
		})
	}
	for i := range 100 {
		e.revocations.revokeSession(id{byte(i % 20)}, 1<<62)
		e.trust([][]*signer{{first}, {first, second}}[i%2]...)
		e.revocations.purge(0)
	}
	group.Wait()
	e.trust(second)
	for i, token := range tokens {
		if _, reason := e.verify(token, nil, now.UnixMilli()); i%2 == 0 && reason != UnknownKey {
			t.Errorf("token %d: %q", i, reason)
		}
	}
}

// TestMemoryOfAMillionRevocations prints what a million revocations take.
func TestMemoryOfAMillionRevocations(t *testing.T) {
	if testing.Short() {
		t.Skip("a million")
	}
	random := rand.NewChaCha8([32]byte{})
	used := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := used()
	r := newRevocations()
	for range 1_000_000 {
		var session id
		_, _ = random.Read(session[:])
		r.revokeSession(session, 1<<62)
	}
	mebibytes := (used() - before) >> 20
	t.Logf("a million revocations take %d MiB", mebibytes)
	if n := r.len(); n != 1_000_000 {
		t.Errorf("%d are remembered", n)
	}
	if mebibytes > 100 {
		t.Errorf("%d MiB", mebibytes)
	}
	r.purge(1 << 62)
	if n := r.len(); n != 0 {
		t.Errorf("%d are left", n)
	}
	runtime.KeepAlive(r)
}

// BenchmarkVerifySeen verifies a token that was seen before.
func BenchmarkVerifySeen(b *testing.B) {
	now := time.Unix(1_700_000_000, 0)
	signer := newSigner(b, "k1")
	e := newTestEngine(1024, signer)
	token := signer.token(b, id{1}, now, nil)
	for b.Loop() {
		if _, reason := e.verify(token, nil, now.UnixMilli()); reason != "" {
			b.Fatal(reason)
		}
	}
}

// BenchmarkVerifyAnew verifies a token that is not remembered.
func BenchmarkVerifyAnew(b *testing.B) {
	now := time.Unix(1_700_000_000, 0)
	signer := newSigner(b, "k1")
	e := newTestEngine(-1, signer)
	token := signer.token(b, id{1}, now, nil)
	for b.Loop() {
		if _, reason := e.verify(token, nil, now.UnixMilli()); reason != "" {
			b.Fatal(reason)
		}
	}
}

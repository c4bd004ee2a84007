package countersign

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mutant is a rule that is broken on purpose, and a case of the corpus that must notice.
type mutant struct {
	rule string
	file string
	// changes are pairs: what stands there once, and what is put in its place.
	changes []string
	// caughtBy is in the name of a case that fails.
	caughtBy string
}

// mutants break each rule of the design's sections on Verify and on revocation.
var mutants = []mutant{
	// Size and shape.
	{"size cap", "options.go", []string{"const maxTokenBytes = 8192", "const maxTokenBytes = 9000"}, "8193 bytes"},
	{"three parts", "jws.go", []string{"\tlast := strings.LastIndexByte(token, '.')", "\tif parts := strings.Split(token, \".\"); len(parts) > 3 {\n\t\ttoken = strings.Join(parts[:3], \".\")\n\t}\n\tlast := strings.LastIndexByte(token, '.')"}, "four parts"},
	{"no empty part", "jws.go", []string{`if part == "" || `, "if "}, "an empty signature"},
	{"one spelling: trailing bits", "jws.go", []string{"base64.RawURLEncoding.Strict()", "base64.RawURLEncoding"}, "trailing bits"},
	{"one spelling: line breaks", "jws.go", []string{`|| strings.ContainsAny(part, "\r\n")`, ""}, "a line break after"},
	{"no name twice", "strictjson.go", []string{"if _, twice := object[name]; twice {", "if false {"}, "alg twice"},
	{"UTF-8", "strictjson.go", []string{"if !utf8.Valid(text) {", "if false {"}, "not UTF-8"},
	{"no lone surrogates", "strictjson.go", []string{"ok && pair != utf8.RuneError", "ok"}, "two halves that are no pair"},
	{"nesting is bounded", "strictjson.go", []string{"maxJSONDepth = 127", "maxJSONDepth = 100_000"}, "deep"},
	// The header.
	{"typ", "jws.go", []string{`return equalASCIIFold(h.typ, "at+jwt") ||`, `return h.typ != "" ||`}, `typ "JWT"`},
	{"alg of exactly the key", "rules.go", []string{"if jws.header.alg != key.algorithm {", "if false {"}, "alg none"},
	{"alg from the header alone", "rules.go", []string{"if jws.header.alg != key.algorithm {", "if algorithmIdentifiers[jws.header.alg] == nil {"}, "ES256 by the EdDSA key"},
	{"kid names a key", "rules.go", []string{"if !jws.header.hasKid {\n\t\treturn nil, UnknownKey\n\t}\n\tkey := keys.keys[jws.header.kid]", "key := keys.keys[jws.header.kid]\n\tfor _, any := range keys.keys {\n\t\tif key == nil && any.algorithm == jws.header.alg {\n\t\t\tkey = any\n\t\t}\n\t}"}, "no kid"},
	{"no crit, no key of its own", "jws.go", []string{"header.hasForbidden = true", "_ = has"}, "crit"},
	// The signature.
	{"EdDSA signature", "key.go", []string{"return len(signature) == ed25519.SignatureSize && ed25519.Verify(key, []byte(message), signature)", "return len(signature) == ed25519.SignatureSize"}, "of another token"},
	{"ES256 signature", "key.go", []string{"return ecdsa.Verify(key, digest[:], r, s)", "_ = digest\n\t\treturn r.Sign() > 0 && s.Sign() > 0"}, "its bytes reversed"},
	{"ES256 signature of 64 bytes", "key.go", []string{"if len(signature) != 64 {", "if len(signature) > 64 {\n\t\t\tsignature = signature[:64]\n\t\t}\n\t\tif len(signature) != 64 {"}, "a byte too many"},
	{"RS256 signature", "key.go", []string{"return rsa.VerifyPKCS1v15(", "return len(signature) == key.Size() || rsa.VerifyPKCS1v15("}, "ones"},
	// Claims.
	{"a service is its own client", "claims.go", []string{"if r.text(\"client_id\") != t.Subject {", "if false {"}, "client_id"},
	{"iss", "rules.go", []string{"if claims.issuer != rules.issuer {", "if false {"}, "the issuer is one exact string"},
	{"aud is required", "rules.go", []string{"if !slices.ContainsFunc(", "if len(audiences) > 0 && !slices.ContainsFunc("}, "no audience is never any audience"},
	{"aud is exact", "rules.go", []string{"return slices.Contains(audiences, audience)", "return slices.ContainsFunc(audiences, func(it string) bool { return equalASCIIFold(it, audience) })"}, "aud \"ORDERS\""},
	{"exp without leeway", "rules.go", []string{"if now >= c.expiresAt*1000 {", "if now >= c.expiresAt*1000+5000 {"}, "exp -1 s"},
	{"exp is the first moment", "rules.go", []string{"if now >= c.expiresAt*1000 {", "if now > c.expiresAt*1000 {"}, "at exp"},
	{"iat", "rules.go", []string{"c.issuedAt*1000 > latest || ", ""}, "iat +6 s"},
	{"nbf", "rules.go", []string{" || c.notBefore*1000 > latest", ""}, "nbf +6 s"},
	{"leeway", "rules.go", []string{"latest := now + e.rules.leeway.Milliseconds()", "latest := now"}, "iat +5 s"},
	{"times are integers", "claims.go", []string{`if !ok || strings.ContainsAny(string(number), "-.eE") {`, `if whole, _, cut := strings.Cut(string(number), "."); ok && cut { number = json.Number(whole) } else if !ok {`}, "1700000900.0"},
	{"times are exact", "claims.go", []string{"ok && seconds <= largestExact", "ok"}, "9007199254740993"},
	{"no control characters", "claims.go", []string{` && !strings.ContainsFunc(text, unicode.IsControl)`, ` && (true || unicode.IsControl(0))`}, "with NUL"},
	{"one spelling of a user", "claims.go", []string{"return user, formatUserID(user) == text", "return user, true"}, "42424A"},
	{"every claim is required", "claims.go", []string{"values, ok := value.([]any)", "values, ok := value.([]any)\n\tok = ok || value == nil"}, "roles null"},
	// Revocation.
	{"session", "revocations.go", []string{"if revoked {\n\t\treturn true\n\t}", "_ = revoked"}, "its session is revoked"},
	{"epoch", "revocations.go", []string{"return epoch < raised.epoch", "return false && epoch < raised.epoch"}, "above the token's own"},
	{"its own epoch is good", "revocations.go", []string{"return epoch < raised.epoch", "return raised.epoch > 0 && epoch <= raised.epoch"}, "to the token's own"},
	{"revocation on a hit", "rules.go", []string{"if reason := e.check(known, audiences, now); reason != \"\" {", "if reason := e.check(known, audiences, now); reason != \"\" && reason != Revoked {"}, "TestCorpusStreams/snapshot-and-deltas"},
	{"exp on a hit", "rules.go", []string{"if reason := e.check(known, audiences, now); reason != \"\" {", "if reason := e.check(known, audiences, now); reason != \"\" && reason != Expired {"}, "TestCorpusStreams/expires-while-remembered"},
	{"a withdrawn key empties the cache", "cache.go", []string{"entry == nil || entry.withdrawals != withdrawals ||", "entry == nil ||"}, "TestCorpusStreams/key-withdrawn"},
	{"an epoch never falls", "revocations.go", []string{"epoch: max(epoch, known.epoch)", "epoch: epoch"}, "TestCorpusStreams/epoch-never-falls"},
	{"forgotten at its time", "revocations.go", []string{"func(_ id, forgetAt int64) bool { return forgetAt <= now }", "func(_ id, forgetAt int64) bool { return forgetAt-1 <= now }"}, "TestCorpusStreams/forgotten"},
	// Freshness.
	{"counted from when the ping was sent", "follower.go", []string{"f.engine.freshness.recordAnswer(sent, age.AsDuration())", "_, sent = f.clock.Now()\n\tf.engine.freshness.recordAnswer(sent, age.AsDuration())"}, "TestCorpusStreams/heartbeat-late"},
	{"the server's own staleness", "follower.go", []string{"f.engine.freshness.recordAnswer(sent, age.AsDuration())", "f.engine.freshness.recordAnswer(sent, 0)"}, "TestCorpusStreams/snapshot-and-deltas"},
	{"only an echoed ping proves", "follower.go", []string{"if !asked {", "if false && !asked {"}, "TestCorpusStreams/heartbeat-for-no-ping"},
	{"the watermark", "follower.go", []string{"if f.position == nil || f.position.GetSequence() < heartbeat.GetSequence() {", "if false {"}, "TestCorpusStreams/heartbeat-for-more-than-was-sent"},
	{"silence ends the stream", "follower.go", []string{"c.latestPart) > f.patience", "c.latestPart) > 1000*f.patience"}, "TestCorpusStreams/silence"},
	{"a snapshot may take its time", "follower.go", []string{"max(c.pings[0].sent, c.latestPart)", "c.pings[0].sent"}, "TestCorpusStreams/a-large-snapshot"},
	{"resynchronise begins anew", "follower.go", []string{"errors.Is(why, errResynchronise) || ", ""}, "TestCorpusStreams/resynchronise"},
	{"a position is an incarnation's", "follower.go", []string{"c.hasBegun, c.incarnation = true, begin.GetIncarnation()", "c.hasBegun, c.incarnation = true, 1"}, "TestCorpusStreams/another-incarnation"},
	{"the wall clock steps", "clock.go", []string{"if upTo == 0 || f.drift(wall, monotonic) > clockStep {", "if upTo == 0 {"}, "TestCorpusStreams/clock-step"},
	{"the bound", "verifier.go", []string{"fresh := loaded && staleness <= v.options.MaxStaleness", "fresh := loaded"}, "TestCorpusStreams/heartbeat-late"},
	{"an unknown key in a stale view", "verifier.go", []string{"case reason == \"\", reason == UnknownKey && !fresh:", "case reason == \"\":"}, "TestCorpusStreams/key-unknown-while-stale"},
	// Keys.
	{"RSA keys of 2048 bits and more", "key.go", []string{"minRSABits    = 2048", "minRSABits    = 1024"}, "an RSA key of 1024 bits"},
	{"a key has one algorithm", "key.go", []string{"if !bytes.HasPrefix(derSequenceBody(spki), identifier) {", "if identifier == nil {"}, "key as"},
}

// TestMutantsAreCaught breaks each rule in a copy of this module and runs the corpus there. It takes a few seconds for each:
// MUTANTS=1 go test -run Mutants -v . Instead of 1 a regular expression may choose rules.
func TestMutantsAreCaught(t *testing.T) {
	chosen := os.Getenv("MUTANTS")
	if chosen == "" {
		t.Skip("MUTANTS=1 runs it")
	}
	if chosen == "1" {
		chosen = "."
	}
	rules := regexp.MustCompile(chosen)
	root := t.TempDir()
	module := filepath.Join(root, "go")
	if err := os.CopyFS(module, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	conformance, err := filepath.Abs(corpus)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(conformance, filepath.Join(root, "conformance")); err != nil {
		t.Fatal(err)
	}
	if output, passed := runCorpus(t, module); !passed {
		t.Fatalf("without a change:\n%s", output)
	}
	for _, m := range mutants {
		if !rules.MatchString(m.rule) {
			continue
		}
		path := filepath.Join(module, m.file)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(before), m.changes[0]) != 1 {
			t.Errorf("%s: %s has not once: %s", m.rule, m.file, m.changes[0])
			continue
		}
		after := strings.Replace(string(before), m.changes[0], m.changes[1], 1)
		if err := os.WriteFile(path, []byte(after), 0o600); err != nil {
			t.Fatal(err)
		}
		output, passed := runCorpus(t, module)
		switch {
		case passed:
			t.Errorf("%s: nothing notices", m.rule)
		case strings.Contains(output, "[build failed]"):
			t.Errorf("%s: does not compile:\n%s", m.rule, output)
		case !strings.Contains(output, m.caughtBy):
			t.Errorf("%s: is noticed, but not by %q:\n%.2000s", m.rule, m.caughtBy, output)
		default:
			t.Logf("%s: %d lines of failures, by %q among them", m.rule, strings.Count(output, "\n"), m.caughtBy)
		}
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func runCorpus(t *testing.T, module string) (output string, passed bool) {
	t.Helper()
	command := exec.Command("go", "test", "-vet=off", "-ldflags=-s -w", "-count=1", "-run", "Corpus", ".")
	command.Dir = module
	command.Env = append(os.Environ(), "MUTANTS=")
	text, err := command.CombinedOutput()
	return string(text), err == nil
}

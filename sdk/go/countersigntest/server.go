// Package countersigntest is for tests of a service that has Countersign before it: the real server, in memory, and a
// world of it for each test.
//
//	func TestRevokedTokenIsRefused(t *testing.T) {
//		world := countersigntest.NewWorld(t)
//		verifier := world.Verifier()
//		revoked := world.AccessToken(countersigntest.Mint{State: countersigntest.Revoked})
//		if _, err := verifier.VerifyAtLeast(t.Context(), revoked.Position, revoked.Token); err == nil {
//			t.Error("a revoked token was accepted")
//		}
//	}
//
// The server is the program "countersign test-server": the one that [Options].Binary or the variable COUNTERSIGN_BIN
// names, or countersign on the PATH. It ends with the process that has started it, however that ends.
package countersigntest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Options say how a [Server] is started. The zero value of each field means its default.
type Options struct {
	// Binary is the program; what the variable COUNTERSIGN_BIN names, or else countersign on the PATH.
	Binary string
	// Arguments are more arguments of countersign test-server, such as --issuer and --audience.
	Arguments []string
	// Patience is how long the start may take; 30 s.
	Patience time.Duration
}

// Server is a running countersign test-server.
type Server struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	worlds  atomic.Int64
	said    announcement
}

// announcement is what the server says when it is ready.
type announcement struct {
	GRPC      string   `json:"grpc"`
	HTTP      string   `json:"http"`
	Issuer    string   `json:"issuer"`
	Audience  string   `json:"audience"`
	Audiences []string `json:"audiences"`
}

var shared = sync.OnceValues(func() (*Server, error) { return Start(Options{}) })

// NewWorld makes a world of the server that all tests of this process share; the first to ask starts it.
func NewWorld(t testing.TB) *World {
	t.Helper()
	server, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return server.NewWorld(t)
}

// Start starts a server of one's own. Stop ends it; so does the end of this process.
func Start(options Options) (*Server, error) {
	binary := options.Binary
	if binary == "" {
		binary = os.Getenv("COUNTERSIGN_BIN")
	}
	if binary == "" {
		binary = "countersign"
	}
	if options.Patience == 0 {
		options.Patience = 30 * time.Second
	}
	s := &Server{command: exec.Command(binary, append([]string{"test-server", "--until-stdin-closes"}, options.Arguments...)...)}
	errors := &head{}
	s.command.Stderr = errors
	var err error
	if s.stdin, err = s.command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("countersigntest: %w", err)
	}
	stdout, err := s.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("countersigntest: %w", err)
	}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("countersigntest: %w; install it, or name it in COUNTERSIGN_BIN", err)
	}
	line, err := firstLine(stdout, options.Patience)
	if err == nil {
		err = json.Unmarshal(line, &s.said)
	}
	if err != nil {
		s.Stop()
		return nil, fmt.Errorf("countersigntest: countersign test-server did not start: %w: %s", err, errors)
	}
	return s, nil
}

func firstLine(from io.Reader, patience time.Duration) ([]byte, error) {
	type read struct {
		line []byte
		err  error
	}
	first := make(chan read, 1)
	go func() {
		line, err := bufio.NewReader(from).ReadBytes('\n')
		first <- read{line, err}
	}()
	select {
	case it := <-first:
		return it.line, it.err
	case <-time.After(patience):
		return nil, errors.New("it said nothing in time")
	}
}

// head keeps what is written first, and passes on all of it.
type head struct {
	mu   sync.Mutex
	kept bytes.Buffer
}

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if room := 64*1024 - h.kept.Len(); room > 0 {
		h.kept.Write(p[:min(room, len(p))])
	}
	return os.Stderr.Write(p)
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(bytes.TrimSpace(h.kept.Bytes()))
}

// Stop ends the server.
func (s *Server) Stop() {
	_ = s.stdin.Close()
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

// GRPC is where gRPC is served: 127.0.0.1:41234.
func (s *Server) GRPC() string { return s.said.GRPC }

// HTTP is where HTTP is served: http://127.0.0.1:41235.
func (s *Server) HTTP() string { return s.said.HTTP }

// Issuer is the issuer of its access tokens.
func (s *Server) Issuer() string { return s.said.Issuer }

// Audience is the audience of tokens that name none.
func (s *Server) Audience() string { return s.said.Audience }

// Audiences are all that tokens can have.
func (s *Server) Audiences() []string { return s.said.Audiences }

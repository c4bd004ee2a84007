//go:build linux

package countersign_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	countersign "countersign.dev/go"
)

const (
	patience = time.Minute
	password = "correct horse battery"
)

// until asks again and again whether something holds, and fails when that takes far too long.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// tool returns the path of a program that a test needs. Without it the test is skipped, and fails under CI=true.
func tool(t *testing.T, name, path string) string {
	t.Helper()
	found, err := exec.LookPath(path)
	if path == "" || err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing", name)
		}
		t.Skipf("SKIPPED: %s is missing", name)
	}
	if found, err = filepath.Abs(found); err != nil {
		t.Fatal(err)
	}
	return found
}

// deployment is a real server with its database, its keys and a Redis.
type deployment struct {
	*testing.T
	binary string
	// environment configures the server.
	environment []string
	redis       *exec.Cmd
	redisPort   string
	server      *exec.Cmd
	// grpc is where the server listens, also after it was started again.
	grpc string
}

// freePort is a port that nobody has at the moment.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func deploy(t *testing.T) *deployment {
	t.Helper()
	if testing.Short() {
		t.Skip("a real server")
	}
	d := &deployment{T: t, redisPort: freePort(t), grpc: "127.0.0.1:" + freePort(t)}
	d.binary = tool(t, "COUNTERSIGN_BIN (the path of the server's binary)", os.Getenv("COUNTERSIGN_BIN"))
	tool(t, "redis-server", "redis-server")
	directory := t.TempDir()
	keys := filepath.Join(directory, "keys")
	// Keys are refused where others may read them.
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	d.environment = append(os.Environ(),
		"COUNTERSIGN__DATABASE__URL=sqlite://"+filepath.Join(directory, "countersign.db"),
		"COUNTERSIGN__REDIS__URL=redis://127.0.0.1:"+d.redisPort,
		"COUNTERSIGN__KEYS__DIRECTORY="+keys,
		"COUNTERSIGN__GRPC__LISTEN="+d.grpc,
		"COUNTERSIGN__OPERATIONS__LISTEN=127.0.0.1:0",
		"COUNTERSIGN__EDGE__ENABLED=false",
		"COUNTERSIGN__LOG__FORMAT=json",
		"COUNTERSIGN__SHUTDOWN__DRAIN_DELAY=0s",
		"COUNTERSIGN__PASSWORDS__MEMORY_KIB=64",
		"COUNTERSIGN__PASSWORDS__ITERATIONS=1",
		"COUNTERSIGN__THROTTLE__ENABLED=false",
	)
	d.startRedis()
	t.Cleanup(func() { d.stop(d.redis) })
	d.run("", "migrate")
	d.run("", "key", "generate", "--kind", "signing", "--activate-in", "0s")
	d.run("", "key", "generate", "--kind", "refresh", "--activate-in", "0s")
	d.run(password+"\n", "user", "create", "ada", "--password-stdin")
	d.start()
	t.Cleanup(func() { d.stop(d.server) })
	return d
}

// run runs a subcommand in the server's environment.
func (d *deployment) run(input string, arguments ...string) {
	d.Helper()
	command := exec.Command(d.binary, arguments...)
	command.Env = d.environment
	command.Stdin = strings.NewReader(input)
	if output, err := command.CombinedOutput(); err != nil {
		d.Fatalf("%v: %v\n%s", arguments, err, output)
	}
}

// start starts the server, and returns when it is ready.
func (d *deployment) start() {
	d.Helper()
	d.server = exec.Command(d.binary, "serve")
	d.server.Env = d.environment
	log, err := d.server.StderrPipe()
	if err != nil {
		d.Fatal(err)
	}
	d.spawn(d.server)
	operations := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			var line struct{ Message, Operations string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "listening" {
				operations <- line.Operations
			}
		}
		_, _ = io.Copy(io.Discard, log)
	}()
	select {
	case address := <-operations:
		until(d, "the server is ready", func() bool {
			answer, err := http.Get("http://" + address + "/readyz")
			if err != nil {
				return false
			}
			_ = answer.Body.Close()
			return answer.StatusCode == http.StatusOK
		})
	case <-time.After(patience):
		d.Fatal("the server does not listen")
	}
}

func (d *deployment) startRedis() {
	d.Helper()
	d.redis = exec.Command("redis-server", "--port", d.redisPort, "--bind", "127.0.0.1", "--save", "", "--dir", d.TempDir())
	d.spawn(d.redis)
	until(d, "Redis listens", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+d.redisPort)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

// spawn starts a process that does not outlive the test, however that ends. Linux kills it when the thread ends that started
// it, so that thread must stay.
func (d *deployment) spawn(command *exec.Cmd) {
	d.Helper()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		started <- command.Start()
		select {}
	}()
	if err := <-started; err != nil {
		d.Fatal(err)
	}
}

// stop kills a process, with SIGKILL.
func (d *deployment) stop(command *exec.Cmd) {
	_ = command.Process.Kill()
	_ = command.Wait()
}

// halt stops the server with SIGSTOP, and returns when each of its threads stands still.
func (d *deployment) halt() {
	d.Helper()
	d.signal(syscall.SIGSTOP)
	until(d, "the server stands still", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", d.server.Process.Pid))
		return err == nil && !slices.ContainsFunc(threads, func(thread string) bool {
			text, err := os.ReadFile(thread)
			return err != nil || !strings.Contains(string(text), ") T ")
		})
	})
}

// signal sends the server a signal.
func (d *deployment) signal(signal syscall.Signal) {
	d.Helper()
	if err := d.server.Process.Signal(signal); err != nil {
		d.Fatal(err)
	}
}

func (d *deployment) client() *countersign.Client {
	d.Helper()
	client, err := countersign.NewClient(countersign.ClientOptions{Endpoint: "http://" + d.grpc})
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { _ = client.Close() })
	return client
}

func (d *deployment) login(client *countersign.Client) *countersign.Tokens {
	d.Helper()
	tokens, err := client.Login(d.Context(), "ada", password)
	if err != nil {
		d.Fatal(err)
	}
	return tokens
}

// verifier is one that has loaded everything.
func (d *deployment) verifier(change func(*countersign.Options)) *countersign.Verifier {
	d.Helper()
	options := countersign.Options{
		Endpoint:   "http://" + d.grpc,
		Issuer:     "countersign",
		Audiences:  []string{"countersign"},
		MaxBackoff: 200 * time.Millisecond,
		Logger:     slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&options)
	}
	verifier, err := countersign.Connect(options)
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { _ = verifier.Close() })
	ctx, cancel := context.WithTimeout(d.Context(), patience)
	defer cancel()
	if err := verifier.Ready(ctx); err != nil {
		d.Fatal(fmt.Errorf("a verifier is not ready: %w", err))
	}
	return verifier
}

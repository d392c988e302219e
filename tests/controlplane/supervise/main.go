// Command supervise runs the processes of one test control plane and guarantees that none of them outlives the tests.
//
// It reads one JSON object from the first line of standard input: {"dir": ..., "processes": [{"name", "argv": [...], "after": FILE}]}.
// It first writes DIR/sa.key, a fresh key for service account tokens. Each process writes to DIR/NAME.log. When standard input ends (the test process exited, or was killed), when any
// process exits, or on SIGTERM, all of them are killed and DIR is removed. Each child also carries the parent-death
// signal, so that a SIGKILL of the supervisor itself leaves nothing behind either.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

type process struct {
	Name string   `json:"name"`
	Argv []string `json:"argv"`
	// After is a file that must exist first; empty for none.
	After string `json:"after"`
}

type request struct {
	Dir       string    `json:"dir"`
	Processes []process `json:"processes"`
}

func main() {
	// The parent-death signal follows the thread that forked: keep it alive for the life of the program.
	runtime.LockOSThread()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "supervise:", err)
		os.Exit(1)
	}
}

func run() error {
	input := bufio.NewReader(os.Stdin)
	line, err := input.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	var req request
	if err := json.Unmarshal(line, &req); err != nil {
		return fmt.Errorf("parsing the request: %w", err)
	}
	if err := writeKey(filepath.Join(req.Dir, "sa.key")); err != nil {
		return fmt.Errorf("writing the service account key: %w", err)
	}
	done := make(chan string, len(req.Processes)+2)
	go func() {
		_, _ = io.Copy(io.Discard, input)
		done <- inputClosed
	}()
	var running []*exec.Cmd
	defer os.RemoveAll(req.Dir)
	defer func() {
		for _, cmd := range running {
			_ = cmd.Process.Kill()
		}
	}()
	for _, p := range req.Processes {
		if !await(p.After, done) {
			return fmt.Errorf("ended before %s could start\n%s", p.Name, tails(req))
		}
		cmd, err := start(req.Dir, p)
		if err != nil {
			return fmt.Errorf("starting %s: %w", p.Name, err)
		}
		running = append(running, cmd)
		go func() {
			_ = cmd.Wait()
			done <- p.Name + " exited"
		}()
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	fmt.Println("started")
	select {
	case why := <-done:
		if why != inputClosed {
			return fmt.Errorf("%s\n%s", why, tails(req))
		}
	case <-signals:
	}
	return nil
}

const inputClosed = "input closed"

// await waits until the file exists; false when something ended meanwhile.
func await(file string, done chan string) bool {
	for file != "" {
		if _, err := os.Stat(file); err == nil {
			return true
		}
		select {
		case why := <-done:
			done <- why
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true
}

// tails returns the last lines of every log: a process that ends by itself is a fault of the tests.
func tails(req request) string {
	var text strings.Builder
	for _, p := range req.Processes {
		log, _ := os.ReadFile(filepath.Join(req.Dir, p.Name+".log"))
		fmt.Fprintf(&text, "--- %s\n%s\n", p.Name, log[max(0, len(log)-1500):])
	}
	return text.String()
}

func start(dir string, p process) (*exec.Cmd, error) {
	log, err := os.Create(filepath.Join(dir, p.Name+".log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(p.Argv[0], p.Argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	// Its own process group: a Ctrl-C at the terminal reaches the tests, which then end the control plane.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd, cmd.Start()
}

func writeKey(path string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// measureStart measures the binary and its first answers. It starts it as a CLI does, but without TLS.
func measureStart(ctx context.Context, r *report, o options) error {
	info, err := os.Stat(o.provider)
	if err != nil {
		return err
	}
	r.add("binary of the provider", "MiB", []float64{float64(info.Size()) / (1 << 20)}, withUpperLimit(64))
	s, err := race(
		task{name: "provider", do: func() error { return readFirstAnswers(ctx, o.provider) }},
		task{name: "CLI", do: func() error { return exec.CommandContext(ctx, o.cli, "version").Run() }},
	)
	if err != nil {
		return err
	}
	r.add("start of the provider, handshake and schema", "ms", s.scaleRounds("provider", 1000))
	r.add("start of the provider, handshake and schema", "× the version command of the CLI", s.divideRounds("provider", "CLI"), withUpperLimit(1))
	return nil
}

// readFirstAnswers starts the provider, reads the handshake, requests the schema, and stops the provider.
func readFirstAnswers(ctx context.Context, provider string) (err error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop() // kills the provider
	cmd := exec.CommandContext(ctx, provider)
	cmd.Env = append(os.Environ(), "TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2", "PLUGIN_PROTOCOL_VERSIONS=6")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		stop()
		if waitErr := cmd.Wait(); waitErr != nil && ctx.Err() == nil {
			err = errors.Join(err, waitErr)
		}
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return err
	}
	parts := strings.Split(line, "|") // 1|6|unix|/tmp/plugin…|grpc|
	if len(parts) < 5 {
		return fmt.Errorf("the handshake is %q", line)
	}
	conn, err := grpc.NewClient(parts[2]+":"+parts[3], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	var schema raw
	return conn.Invoke(ctx, "/tfplugin6.Provider/GetProviderSchema", &raw{}, &schema, grpc.ForceCodec(rawCodec{}), grpc.MaxCallRecvMsgSize(64<<20))
}

// raw is an encoded message: the types of the protocol are internal to its library, and an empty request needs none.
type raw []byte

type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	if message, ok := v.(*raw); ok {
		return *message, nil
	}
	return nil, fmt.Errorf("a message is %T", v)
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	if message, ok := v.(*raw); ok {
		*message = append(raw{}, data...)
		return nil
	}
	return fmt.Errorf("a message is %T", v)
}

// watchMemory observes the processes of a program; the returned function stops that and returns the peak memory of one of them.
func watchMemory(program string) (most func() int64) {
	done, result := make(chan struct{}), make(chan int64)
	go func() {
		var peak int64
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				result <- peak
				return
			case <-tick.C:
				peak = max(peak, resident(program))
			}
		}
	}()
	return func() int64 {
		close(done)
		return <-result
	}
}

// resident returns the peak resident memory of the program's processes, in bytes.
func resident(program string) (most int64) {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return 0
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != program {
			continue // another program, or it has ended
		}
		most = max(most, peakMemory(filepath.Dir(link)))
	}
	return most
}

// peakMemory returns the peak resident memory of the process with this directory in /proc, in bytes; 0 if it has ended.
func peakMemory(process string) int64 {
	status, err := os.ReadFile(filepath.Join(process, "status"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kilobytes << 10
}

package disturb

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Redis is a proxy in front of a Redis server. It parses the commands of clients, so that a fault never begins within one.
type Redis struct {
	target    string
	observe   func(RedisCommand)
	listeners []net.Listener

	mu      sync.Mutex
	fault   RedisFault
	met     int           // how many commands and connections have met it
	changed chan struct{} // closed when the fault changes
	open    map[net.Conn]bool
	closed  bool
}

// RedisCommand is a command of a client.
type RedisCommand struct {
	Host int // at which it arrived, as passed to [NewRedis]
	Name string
	Key  string // the first argument, if it is short
}

// RedisFault is a fault of a Redis server. The zero value is none.
type RedisFault struct {
	IsAway bool          // connections are closed, and no new one is accepted
	Hangs  bool          // commands get no response; those of the time before it still do
	Delay  time.Duration // of each command
	Error  string        // the response to each command, such as "LOADING Redis is loading the dataset in memory"
	Writes bool          // Error is only the response to commands that write
}

// writes are the commands that the provider and the agent write with.
var writes = []string{"SET", "HSET", "HDEL", "EXPIREAT", "PERSIST", "UNLINK", "DEL", "COPY", "APPEND"}

// NewRedis starts a proxy that listens at a free port of each host. It calls observe before each command.
func NewRedis(target string, observe func(RedisCommand), hosts ...string) (*Redis, error) {
	p := &Redis{target: target, observe: observe, changed: make(chan struct{}), open: map[net.Conn]bool{}}
	for i, host := range hosts {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			p.Close()
			return nil, err
		}
		p.listeners = append(p.listeners, listener)
		go p.accept(i, listener)
	}
	return p, nil
}

// Addr returns host:port of the n-th host.
func (p *Redis) Addr(n int) string { return p.listeners[n].Addr().String() }

// Close stops accepting connections and closes those that are open.
func (p *Redis) Close() {
	for _, listener := range p.listeners {
		_ = listener.Close() // it is closed only here
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	close(p.changed)
	p.changed = make(chan struct{})
	p.closeAll()
}

// Disturb lets all clients meet a fault until Repair.
func (p *Redis) Disturb(fault RedisFault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.met = fault, 0
	close(p.changed)
	p.changed = make(chan struct{})
	if fault.IsAway {
		p.closeAll()
	}
}

// Repair ends the fault.
func (p *Redis) Repair() { p.Disturb(RedisFault{}) }

// CountMet returns how many commands and new connections have met the current fault.
func (p *Redis) CountMet() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.met
}

// Reset closes all connections.
func (p *Redis) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeAll()
}

// CountConnections returns the number of open connections of clients.
func (p *Redis) CountConnections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// closeAll resets the connections of clients.
func (p *Redis) closeAll() {
	for connection := range p.open {
		if tcp, ok := connection.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // RST and not FIN
		}
		_ = connection.Close()
	}
}

func (p *Redis) accept(host int, listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return // the proxy is closed
		}
		go p.forward(host, client)
	}
}

// forward copies commands and responses until either side ends.
func (p *Redis) forward(host int, client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	if p.closed || p.fault.IsAway {
		p.met++
		p.mu.Unlock()
		return
	}
	p.open[client] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.open, client)
		p.mu.Unlock()
	}()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return // as the server itself would refuse it
	}
	defer server.Close()
	responses := &lockedWriter{w: client}
	go func() {
		_, _ = io.Copy(responses, server) // the client sees how it ended
		_ = client.Close()
	}()
	commands := bufio.NewReaderSize(client, 64<<10)
	for {
		command, raw, err := readCommand(commands)
		if err != nil {
			return
		}
		command.Host = host
		p.observe(command)
		fault := p.meet(command.Name)
		time.Sleep(fault.Delay)
		if fault.Error != "" {
			_, err = fmt.Fprintf(responses, "-%s\r\n", fault.Error)
		} else {
			_, err = server.Write(raw)
		}
		if err != nil {
			return
		}
	}
}

// meet waits while commands get no response, and returns the fault that this one meets.
func (p *Redis) meet(name string) RedisFault {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		fault := p.fault
		if fault.Writes && !slices.Contains(writes, name) {
			return RedisFault{}
		}
		if fault != (RedisFault{}) {
			p.met++
		}
		if !fault.Hangs || p.closed {
			return fault
		}
		changed := p.changed
		p.mu.Unlock()
		<-changed
		p.mu.Lock()
	}
}

// lockedWriter is a writer for two goroutines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(data)
}

// longestKey is the length of the longest argument that [RedisCommand] has.
const longestKey = 1024

// readCommand reads a command, an array of bulk strings, and returns its beginning and all its bytes.
func readCommand(from *bufio.Reader) (command RedisCommand, raw []byte, err error) {
	var read bytes.Buffer
	readLength := func(prefix byte) (int, error) {
		line, err := from.ReadBytes('\n')
		if err != nil {
			return 0, err
		}
		read.Write(line)
		if line[0] != prefix {
			return 0, fmt.Errorf("redis: %q does not begin with %q", line, prefix)
		}
		return strconv.Atoi(strings.TrimSpace(string(line[1:])))
	}
	count, err := readLength('*')
	if err != nil {
		return RedisCommand{}, nil, err
	}
	for i := range count {
		length, err := readLength('$')
		if err != nil {
			return RedisCommand{}, nil, err
		}
		start := read.Len()
		if _, err := io.CopyN(&read, from, int64(length)+2); err != nil {
			return RedisCommand{}, nil, err
		}
		switch argument := read.Bytes()[start : start+length]; {
		case i == 0:
			command.Name = strings.ToUpper(string(argument))
		case i == 1 && length <= longestKey:
			command.Key = string(argument)
		}
	}
	return command, read.Bytes(), nil
}

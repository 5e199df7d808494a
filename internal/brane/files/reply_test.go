package files

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// replayed is a connection whose other side sends the next reply after each command, a piece of some bytes at a time.
type replayed struct {
	net.Conn // nil: only the methods below are called
	replies  []string
	piece    int
	arriving strings.Reader
}

func (c *replayed) Read(p []byte) (int, error) { return c.arriving.Read(p[:min(len(p), c.piece)]) }

func (c *replayed) Write(p []byte) (int, error) {
	if len(c.replies) > 0 {
		c.arriving.Reset(c.replies[0])
		c.replies = c.replies[1:]
	}
	return len(p), nil
}

func (c *replayed) Close() error         { return nil }
func (c *replayed) RemoteAddr() net.Addr { return &net.TCPAddr{} }
func (c *replayed) LocalAddr() net.Addr  { return &net.TCPAddr{} }

func (c *replayed) SetDeadline(time.Time) error      { return nil }
func (c *replayed) SetReadDeadline(time.Time) error  { return nil }
func (c *replayed) SetWriteDeadline(time.Time) error { return nil }

// connectTo returns a client of a server that sends these replies.
func connectTo(t testing.TB, limit, piece int, replies ...string) *redis.Client {
	t.Helper()
	o := baseOptions().Simple()
	o.Dialer = func(context.Context, string, string) (net.Conn, error) {
		const hello = "%1\r\n+proto\r\n:3\r\n"
		return newLimitedConn(&replayed{replies: append([]string{hello}, replies...), piece: piece}, limit), nil
	}
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() }) // nothing was written
	return client
}

// TestHostileReplies checks that no reply exhausts the memory or panics, and that no limit applies to several replies together.
func TestHostileReplies(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	for name, tt := range map[string]struct {
		reply     string
		isInvalid bool
	}{
		"a string":                  {"$5\r\nhello\r\n", false},
		"a long string":             {"$1000000\r\n" + strings.Repeat("x", 1e6) + "\r\n", false},
		"no value":                  {"$-1\r\n", false},
		"an array":                  {"*3\r\n:1\r\n*1\r\n$2\r\nhi\r\n*-1\r\n", false},
		"a map":                     {"%1\r\n+key\r\n,1.5\r\n", false},
		"an attribute":              {"|1\r\n+key\r\n+value\r\n:1\r\n", false},
		"a string of 2 MiB":         {"$2097152\r\n", true},
		"a string of 8 EiB":         {"$9223372036854775807\r\n", true},
		"a string of more":          {"$9223372036854775808\r\n", true},
		"a string of fewer than no": {"$-2\r\n", true},
		"a length that is none":     {"$x\r\n", true},
		"an error of 8 EiB":         {"!9223372036854775807\r\n", true},
		"an array of 8 EiB":         {"*9223372036854775807\r\n", true},
		"a map of 8 EiB":            {"%9223372036854775807\r\n", true},
		"an array of long arrays":   {"*8000\r\n" + strings.Repeat("*8000\r\n", 8000), true},
		"deep nesting":              {strings.Repeat("*1\r\n", 1e6), true},
		"deep attributes":           {strings.Repeat("|1\r\n", 1e6), true},
		"strings without an end":    {"*1000\r\n" + strings.Repeat("$1000000\r\n"+strings.Repeat("x", 1e6)+"\r\n", 2), true},
		"a line without an end":     {"+" + strings.Repeat("x", 2*limit), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, piece := range []int{1, 7, 1 << 20} {
				client := connectTo(t, limit, piece, "$900000\r\n"+strings.Repeat("x", 9e5)+"\r\n", tt.reply)
				if err := client.Do(t.Context(), "GET", "x").Err(); err != nil {
					t.Errorf("in pieces of %d bytes, a reply that is shorter than the limit: %v", piece, err)
				}
				if err := client.Do(t.Context(), "GET", "x").Err(); errors.Is(err, errReply) != tt.isInvalid {
					t.Errorf("in pieces of %d bytes: %v", piece, err)
				}
			}
		})
	}
}

// TestDialLimitsReplies checks that the clients of Dial have the limit.
func TestDialLimitsReplies(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() }) // ends the loop
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = conn.Write([]byte("$9223372036854775807\r\n")) // the client reports an error
				_, _ = io.Copy(io.Discard, conn)                      // until the client closes the connection
				_ = conn.Close()                                      // nothing is left to send
			}()
		}
	}()
	client, err := Dial("redis://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() }) // nothing was written
	if err := client.Get(t.Context(), "x").Err(); !errors.Is(err, errReply) {
		t.Errorf("a reply of 8 EiB: %v", err)
	}
}

// FuzzReplies checks that no reply makes the client library panic, and that the pieces in which it arrives do not matter.
func FuzzReplies(f *testing.F) {
	for _, reply := range []string{"+OK\r\n", "$5\r\nhello\r\n", "*2\r\n:1\r\n$-1\r\n", "%1\r\n+a\r\n_\r\n", "|1\r\n+a\r\n+b\r\n:1\r\n", ">1\r\n+a\r\n", "!9223372036854775807\r\n", "*9000\r\n", "%2\r\n+a\r\n*9000\r\n"} {
		f.Add(reply)
	}
	f.Fuzz(func(t *testing.T, reply string) {
		whole := (&replyParser{limit: 1 << 20}).parse([]byte(reply))
		var inPieces error
		parser := &replyParser{limit: 1 << 20}
		for i := 0; i < len(reply) && inPieces == nil; i++ {
			inPieces = parser.parse([]byte{reply[i]})
		}
		if !errors.Is(inPieces, whole) {
			t.Errorf("as a whole: %v; byte by byte: %v", whole, inPieces)
		}
		_ = connectTo(t, 1<<20, 1<<20, reply).Do(t.Context(), "GET", "x").Err() // most replies are errors; only a panic is a fault
	})
}

package files

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

const (
	// maxReply is the memory in bytes that a reply of Redis may take. The largest are chunks of 1 MiB and the commits of 10,000 indexes.
	maxReply = 256 << 20
	// Memory in bytes that the client library takes for an array or a map, and for each of its entries, at most.
	arrayMemory = 1 << 10
	entryMemory = 128
)

// errReply is the error of a reply that is longer than maxReply or announces that it will be, or that announces an invalid length. It is treated like all
// others that the client library cannot read: the command is repeated, because a proxy may have sent it during an outage.
var errReply = fmt.Errorf("the server has sent a reply of more than %d MiB, or one that does not follow the protocol of Redis", maxReply>>20)

// limitReplies limits the replies of the connections of a connector. The client library allocates the memory for as much as a reply announces,
// so that a line of 20 bytes could end the process.
func limitReplies(connect connector) connector {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := connect(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return newLimitedConn(conn, maxReply), nil
	}
}

// newLimitedConn returns a connection that fails at the first reply that takes more memory than a limit in bytes.
func newLimitedConn(conn net.Conn, limit int) net.Conn {
	limited := &limitedConn{Conn: conn, replies: replyParser{limit: limit}}
	if socket, ok := conn.(syscall.Conn); ok {
		return struct {
			*limitedConn
			syscall.Conn // with it, the client library finds connections that the server has closed
		}{limited, socket}
	}
	return limited
}

// limitedConn is a connection that fails for good at the first reply that takes too much memory.
type limitedConn struct {
	net.Conn
	replies replyParser
	invalid error // of the replies; it remains, because the client library ignores the error of a first read and reads again
}

func (c *limitedConn) Read(p []byte) (int, error) {
	if c.invalid != nil {
		return 0, c.invalid
	}
	n, err := c.Conn.Read(p)
	if c.invalid = c.replies.parse(p[:n]); c.invalid != nil {
		return 0, c.invalid
	}
	return n, err
}

// replyParser adds up the memory that the replies of a connection take, from what they announce.
// https://redis.io/docs/latest/develop/reference/protocol-spec/ describes their form.
type replyParser struct {
	limit    int    // of a reply
	left     int    // what the current reply may still take
	elements int    // of the current reply that have not begun; 0 between two replies
	content  int    // bytes of a string that follow, with its end of line
	line     []byte // the current line as far as it has arrived
}

// parse reads the next bytes of the connection. After an error, the connection cannot be used.
func (r *replyParser) parse(p []byte) error {
	for len(p) > 0 {
		if r.content > 0 {
			n := min(r.content, len(p))
			r.content -= n
			p = p[n:]
			continue
		}
		if r.elements == 0 {
			r.elements, r.left = 1, r.limit
		}
		n := bytes.IndexByte(p, '\n') + 1
		isWhole := n > 0
		if !isWhole {
			n = len(p)
		}
		if err := r.take(n, 1); err != nil {
			return err
		}
		r.line = append(r.line, p[:n]...)
		p = p[n:]
		if isWhole {
			if err := r.beginElement(r.line); err != nil {
				return err
			}
			r.line = r.line[:0]
		}
	}
	return nil
}

// take subtracts the memory of n things of a size.
func (r *replyParser) take(n, size int) error {
	if n > r.left/size {
		return errReply
	}
	r.left -= n * size
	return nil
}

// beginElement reads the first line of an element, which is whole unless it announces a content or elements.
func (r *replyParser) beginElement(line []byte) error {
	r.elements--
	kind := line[0]
	if !bytes.ContainsRune([]byte("$=!*~>%|"), rune(kind)) {
		return nil // of an unknown kind, the client library rejects the line
	}
	n, err := parseLength(line)
	if n < 0 || err != nil {
		return err
	}
	switch kind {
	case '$', '=', '!': // strings
		r.content = n + len("\r\n")
		return r.take(n, 1)
	case '*', '~', '>': // arrays, sets, pushed messages
		return r.announceElements(n, 1)
	case '|': // attributes, and then the element to which they belong
		r.elements++
	}
	return r.announceElements(n, 2) // attributes and maps: a key and a value each
}

// announceElements adds n times some elements, and the memory for them.
func (r *replyParser) announceElements(n, each int) error {
	if err := r.take(1, arrayMemory); err != nil {
		return err
	}
	if err := r.take(n, entryMemory); err != nil {
		return err
	}
	r.elements += n * each
	return nil
}

// parseLength reads the length that a line announces. It is -1 for a value that does not exist.
func parseLength(line []byte) (int, error) {
	n, err := strconv.Atoi(string(bytes.TrimSuffix(line[1:], []byte("\r\n"))))
	if err != nil || n < -1 {
		return 0, errReply
	}
	return n, nil
}

//go:build !amd64

package multibuffer

// Available tells whether two messages at once are faster than one after the other.
const Available = false

func blocks(_, _ *state, _, _ []byte) { panic("not on this processor") }

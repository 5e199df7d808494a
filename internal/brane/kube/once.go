package kube

import (
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// answers keeps what was found out about a cluster through one client.
type answers struct {
	mu    sync.Mutex // held while an answer is found, so that concurrent callers wait for it
	known map[string]answer
}

type answer struct {
	text string
	err  error
}

// Once returns what find returns the first time that it is called for a key. An error is kept only if it is a denial; after others, such as
// that of an unreachable server, the next caller tries again.
func (c *Client) Once(key string, find func() (string, error)) (string, error) {
	c.answers.mu.Lock()
	defer c.answers.mu.Unlock()
	if known, found := c.answers.known[key]; found {
		return known.text, known.err
	}
	text, err := find()
	if err == nil || apierrors.IsForbidden(err) {
		if c.answers.known == nil {
			c.answers.known = map[string]answer{}
		}
		c.answers.known[key] = answer{text, err}
	}
	return text, err
}

package files

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// State is what happened to a step.
type State string

// What an [Event] says.
const (
	Committed State = "committed" // the step's files are stored, its work is done
	Failed    State = "failed"    // one attempt ended without a commit; the pod knows why
	Cancelled State = "cancelled" // the whole run is to stop; no step
	Resync    State = "resync"    // announcements may have been lost: read the commit records; no step
)

// Event is an announcement: a hint that comes early, not the truth.
type Event struct {
	Step  string
	State State
}

// runWide stands for the step in what concerns the whole run.
const runWide = "*"

// Events yields announcements until ctx ends; the channel is then closed. The first event, and one after each time the
// connection was lost, is Resync.
func (s *Store) Events(ctx context.Context) <-chan Event {
	events := make(chan Event)
	go func() {
		defer close(events)
		for ctx.Err() == nil {
			s.follow(ctx, events)
		}
	}()
	return events
}

// follow passes announcements on until the subscription or the context ends.
func (s *Store) follow(ctx context.Context, events chan<- Event) {
	subscription := s.redis.Subscribe(ctx, s.key("ev"))
	defer subscription.Close() // nothing was sent that could be lost
	// The client subscribes again by itself after a broken connection, and says so with another Subscription.
	messages := subscription.ChannelWithSubscriptions(redis.WithChannelHealthCheckInterval(3 * time.Second))
	for {
		var event Event
		select {
		case <-ctx.Done():
			return
		case message, open := <-messages:
			if !open {
				return
			}
			switch message := message.(type) {
			case *redis.Subscription:
				event = Event{State: Resync}
			case *redis.Message:
				event = parseEvent(message.Payload)
			}
		}
		if event.State == "" {
			continue // somebody else's, or of a newer version
		}
		select {
		case events <- event:
		case <-ctx.Done():
			return
		}
	}
}

func parseEvent(text string) Event {
	step, state, found := strings.Cut(text, " ")
	if !found || step != runWide && !ValidStep(step) {
		return Event{}
	}
	if step == runWide {
		step = ""
	}
	return Event{step, State(state)}
}

// Announce tells whoever listens right now.
func (s *Store) Announce(ctx context.Context, e Event) error {
	if e.Step == "" {
		e.Step = runWide
	}
	return s.do(ctx, fmt.Sprintf("announce that %s is %s", e.Step, e.State), func(ctx context.Context) error {
		return s.redis.Publish(ctx, s.key("ev"), e.Step+" "+string(e.State)).Err()
	})
}

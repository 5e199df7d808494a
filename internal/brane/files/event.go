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

// The states of an [Event].
const (
	Committed State = "committed" // the step's files are stored, its work is done
	Failed    State = "failed"    // one attempt ended without a commit; the pod's status has the reason
	Cancelled State = "cancelled" // the whole run should stop; without a step
	Resync    State = "resync"    // announcements may have been lost: read the commit records; without a step
)

// Event is an announcement: an early hint, not a fact.
type Event struct {
	Step  string
	State State
}

// runWide replaces the step in announcements about the whole run.
const runWide = "*"

// Topic selects announcements. Each topic has a separate channel, because each pod listens to the cancellation, and thousands of them do
// not need to hear of every commit. Channels, unlike keys, are shared by the databases of a server, so their names contain the database.
type Topic string

// The topics of announcements.
const (
	Steps        Topic = "ev"     // about steps
	Cancellation Topic = "cancel" // about the whole run
)

func (s *Store) channelOf(topic Topic) string {
	return s.keyOf(fmt.Sprintf("%s.%d", topic, databaseOf(s.redis)))
}

// Events sends the announcements of these topics until ctx ends, then it closes the channel. The first event is Resync, and so is one after
// each lost connection.
func (s *Store) Events(ctx context.Context, topics ...Topic) <-chan Event {
	var channels []string
	for _, topic := range topics {
		channels = append(channels, s.channelOf(topic))
	}
	events := make(chan Event)
	go func() {
		defer close(events)
		for ctx.Err() == nil {
			s.followEvents(ctx, channels, events)
		}
	}()
	return events
}

// followEvents forwards announcements until the subscription or the context ends.
func (s *Store) followEvents(ctx context.Context, channels []string, events chan<- Event) {
	subscription := s.redis.Subscribe(ctx, channels...)
	defer subscription.Close() // nothing was written
	// After a broken connection the client subscribes again and reports it with another Subscription.
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
			continue // another program's, or of a newer version
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

// Announce publishes an event to the current subscribers.
func (s *Store) Announce(ctx context.Context, e Event) error {
	topic := Steps
	if e.Step == "" {
		e.Step, topic = runWide, Cancellation
	}
	return s.runCommand(ctx, fmt.Sprintf("announce that %s is %s", e.Step, e.State), func(ctx context.Context) error {
		return s.redis.Publish(ctx, s.channelOf(topic), e.Step+" "+string(e.State)).Err()
	})
}

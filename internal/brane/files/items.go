package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// The items of a fan-out step are in one hash, so that the pod of an index reads only its own, and no pod has all of them in its specification.

// itemsBytes limits the size of the items that are sent in one command.
const itemsBytes = 1 << 20

var itemsDigest = regexp.MustCompile(`^[0-9a-f]{32}$`)

// DigestItems returns the digest under which the items of a fan-out step are stored; empty if there are none.
func DigestItems(items []string) string {
	if len(items) == 0 {
		return ""
	}
	text, err := json.Marshal(items)
	if err != nil {
		panic(err) // texts can always be encoded
	}
	return ShortDigest(text)
}

// IsItemsDigest reports whether a text has the form of a digest that DigestItems returns.
func IsItemsDigest(text string) bool { return itemsDigest.MatchString(text) }

func (s *Store) itemsKey(digest string) string { return s.keyOf("items:" + digest) }

// SetItems stores the items of a fan-out step, for [Store.Item].
func (s *Store) SetItems(ctx context.Context, items []string) error {
	if len(items) == 0 {
		return nil
	}
	key := s.itemsKey(DigestItems(items))
	for first := 0; first < len(items); {
		var fields []string
		for size := 0; first < len(items) && len(fields) < 2*batch && (size == 0 || size+len(items[first]) <= itemsBytes); first++ {
			fields, size = append(fields, strconv.Itoa(first), items[first]), size+len(items[first])+1
		}
		err := s.runCommand(ctx, "store the items of a step", func(ctx context.Context) error {
			_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
				p.HSet(ctx, key, fields)
				p.ExpireAt(ctx, key, s.deadline)
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Item returns one of the items with this digest. The error wraps [ErrGone] if it does not exist.
func (s *Store) Item(ctx context.Context, digest string, index int) (item string, err error) {
	what := fmt.Sprintf("read item %d", index)
	err = s.runCommand(ctx, what, func(ctx context.Context) (err error) {
		item, err = s.redis.HGet(ctx, s.itemsKey(digest), strconv.Itoa(index)).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("run %s: %s: it %w", s.run, what, ErrGone)
	}
	return item, err
}

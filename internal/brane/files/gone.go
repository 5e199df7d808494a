package files

import (
	"context"
	"fmt"
	"maps"

	"github.com/redis/go-redis/v9"
)

// DeleteCommit deletes the commit of a result whose files are gone, so that the step can run again.
func (s *Store) DeleteCommit(ctx context.Context, key ResultKey) error {
	if err := key.check(); err != nil {
		return fmt.Errorf("run %s: delete a commit: %w", s.run, err)
	}
	return s.runCommand(ctx, "delete the commit of step "+key.Step, func(ctx context.Context) error {
		return s.redis.Unlink(ctx, s.resultKey("step", key)).Err()
	})
}

// FindStored returns the layers of those of the results that have a commit, and a list of the files of its layer. They may differ from those with which the steps
// were committed, because [Store.ReplaceCommit] replaces them. It does not look for the files themselves.
func (s *Store) FindStored(ctx context.Context, fingerprints map[string]Fingerprint) (map[string]Layer, error) {
	texts, err := s.readResults(ctx, "look for results", "step", fingerprints)
	if err != nil {
		return nil, err
	}
	layers := map[string]Layer{}
	for step, text := range texts {
		if record, err := ParseRecord(text); err == nil { // otherwise the next execution reports what is wrong
			layers[step] = record.Layer
		}
	}
	found := map[string]*redis.IntCmd{}
	err = s.runCommand(ctx, "look for the lists of files", func(ctx context.Context) error {
		clear(found)
		_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
			for step, layer := range layers {
				found[step] = p.Exists(ctx, s.keyOf("c:"+string(layer)))
			}
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(layers, func(step string, _ Layer) bool { return found[step].Val() == 0 })
	return layers, nil
}

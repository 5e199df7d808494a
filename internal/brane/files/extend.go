package files

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// Extender extends the deadline of what reused results need. It remembers what it has extended, because the layers of a run have most of their
// chunks in common. It is safe for concurrent use.
type Extender struct {
	store *Store

	mu        sync.Mutex
	extended  map[Digest]bool // chunks that exist
	manifests map[Layer]bool  // of which all of the manifest exists
	trees     map[Layer]bool  // of which the files exist as well
}

// NewExtender returns an Extender for the deadline of the store.
func (s *Store) NewExtender() *Extender {
	return &Extender{store: s, extended: map[Digest]bool{}, manifests: map[Layer]bool{}, trees: map[Layer]bool{}}
}

// Extend extends the deadline of the records, of the manifests of their layers and bases, and of all chunks of the files of their layers, to the
// deadline of the store if it is earlier. What has no deadline keeps none. It reports of which results all of that exists; an error is only
// about the server. A base needs no files: see [Store.Rebase]. What else is stored about the results, as their output, is extended if it exists.
func (x *Extender) Extend(ctx context.Context, results map[ResultKey]Record) (complete map[ResultKey]bool, err error) {
	var keys []string
	needed := map[Layer]bool{} // whether the files are needed as well
	for key, record := range results {
		if err := key.check(); err != nil {
			return nil, fmt.Errorf("run %s: extend the deadline of results: %w", x.store.run, err)
		}
		for _, kind := range []string{"step", "log", "starts", "failed"} {
			keys = append(keys, x.store.resultKey(kind, key))
		}
		needed[record.Layer] = true
		if _, isListed := needed[record.Base]; !isListed && record.Base != "" {
			needed[record.Base] = false // only its manifest, unless it is the layer of another result
		}
	}
	records, err := x.store.extendKeys(ctx, "extend the deadline of commits and logs", keys)
	if err != nil {
		return nil, err
	}
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(x.store.workerCount())
	for layer, withFiles := range needed {
		group.Go(func() error { return x.extendLayer(each, layer, withFiles) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	complete = map[ResultKey]bool{}
	for key, record := range results {
		complete[key] = records[x.store.resultKey("step", key)] && x.trees[record.Layer] && (record.Base == "" || x.manifests[record.Base])
	}
	return complete, nil
}

// extendLayer extends the deadline of a manifest and, if wanted, of the chunks of the files, and remembers what exists.
func (x *Extender) extendLayer(ctx context.Context, layer Layer, withFiles bool) error {
	x.mu.Lock()
	isKnown := x.trees[layer] || !withFiles && x.manifests[layer]
	x.mu.Unlock()
	if isKnown {
		return nil
	}
	found, err := x.extendManifest(ctx, layer)
	if found && err == nil {
		x.remember(x.manifests, layer)
		if withFiles {
			found, err = x.extendFiles(ctx, layer)
		}
	}
	if found && err == nil && withFiles {
		x.remember(x.trees, layer)
	}
	if errors.Is(err, ErrGone) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewer) {
		return nil
	}
	return err
}

func (x *Extender) remember(layers map[Layer]bool, layer Layer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	layers[layer] = true
}

// extendManifest extends the list of a manifest before it reads which chunks it names, so that they cannot expire in between.
func (x *Extender) extendManifest(ctx context.Context, layer Layer) (found bool, err error) {
	id, err := ParseDigest(string(layer))
	if err != nil {
		return false, nil //nolint:nilerr // then nothing is stored for it
	}
	if found, err = x.extendChunks(ctx, []Digest{id}); !found || err != nil {
		return false, err
	}
	parts, err := x.store.manifestParts(ctx, layer)
	if err != nil {
		return false, err
	}
	return x.extendChunks(ctx, parts)
}

// extendFiles extends the chunks of the files of a layer while it reads the manifest.
func (x *Extender) extendFiles(ctx context.Context, layer Layer) (found bool, err error) {
	from, err := x.store.openEntries(ctx, layer)
	if err != nil {
		return false, err
	}
	var some []Digest
	for {
		e, err := from.next()
		isEnd := errors.Is(err, errEnd)
		if err != nil && !isEnd {
			return false, err
		}
		if !isEnd && (len(some) == 0 || len(e.Chunks) != 1 || e.Chunks[0] != some[len(some)-1]) { // neighbours share a pack
			some = append(some, e.Chunks...)
		}
		if !isEnd && len(some) < batch {
			continue
		}
		if found, err := x.extendChunks(ctx, some); !found || err != nil || isEnd {
			return found, err
		}
		some = some[:0]
	}
}

// extendChunks extends the chunks that were not extended before, and reports whether all exist.
func (x *Extender) extendChunks(ctx context.Context, chunks []Digest) (found bool, err error) {
	fresh := map[Digest]bool{}
	x.mu.Lock()
	for _, d := range chunks {
		if !x.extended[d] {
			fresh[d] = true
		}
	}
	x.mu.Unlock()
	missing, err := x.store.extendChunks(ctx, slices.Collect(maps.Keys(fresh)))
	if err != nil {
		return false, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for d := range fresh {
		x.extended[d] = x.extended[d] || !missing[d]
	}
	return len(missing) == 0, nil
}

// extendChunks extends the deadline of chunks and returns those that do not exist.
func (s *Store) extendChunks(ctx context.Context, chunks []Digest) (missing map[Digest]bool, err error) {
	keys := make([]string, len(chunks))
	for i, d := range chunks {
		keys[i] = s.chunkKey(d)
	}
	exist, err := s.extendKeys(ctx, "extend the deadline of chunks", keys)
	if err != nil {
		return nil, err
	}
	missing = map[Digest]bool{}
	for i, d := range chunks {
		if !exist[keys[i]] {
			missing[d] = true
		}
	}
	return missing, nil
}

// extendKeys extends the deadline of keys, many in one round trip, and returns those that exist.
func (s *Store) extendKeys(ctx context.Context, what string, keys []string) (exist map[string]bool, err error) {
	exist = map[string]bool{}
	for some := range slices.Chunk(keys, batch) {
		var answers []*redis.IntCmd
		err := s.runCommand(ctx, what, func(ctx context.Context) error {
			answers = answers[:0]
			_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
				for _, key := range some {
					answers = append(answers, s.extendKey(ctx, p, key))
				}
			})
			return err
		})
		if err != nil {
			return nil, err
		}
		for i, key := range some {
			if answers[i].Val() == 1 {
				exist[key] = true
			}
		}
	}
	return exist, nil
}

// extendKey extends the deadline of a key to that of the store if it is earlier. What has no deadline keeps none. The answer is 1 if the key exists.
func (s *Store) extendKey(ctx context.Context, p redis.Pipeliner, key string) *redis.IntCmd {
	// It returns 0 both for a key that does not exist and for one that expires later. Do would add 16 kB to the agent, for all types of answers.
	_ = p.Process(ctx, redis.NewIntCmd(ctx, "expireat", key, s.deadline.Unix(), "gt")) // it is only queued
	return p.Exists(ctx, key)
}

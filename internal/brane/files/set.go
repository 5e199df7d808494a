package files

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Set is a tree that is independent of runs, and that many runs can start with. Its keys are like those of a run, but have no deadline.
type Set struct {
	redis redis.UniversalClient
	name  string
}

// Reference identifies one content of a set, by a digest that its creator chose. The input of a run names it, so that other content starts
// another run.
type Reference struct{ Set, Content string }

// String returns the set's name, @, and the content's digest.
func (r Reference) String() string { return r.Set + "@" + r.Content }

var setReference = regexp.MustCompile(`^([a-z0-9-]+)@([0-9a-f]{64})$`)

// ParseReference parses the output of String, if the content is a digest.
func ParseReference(text string) (Reference, error) {
	parts := setReference.FindStringSubmatch(text)
	if parts == nil {
		return Reference{}, fmt.Errorf("%.100q is not a reference to a file set; expected a name, @ and 64 hex digits", text)
	}
	return Reference{parts[1], parts[2]}, nil
}

// OpenSet returns the set with this name: a-z, 0-9 and -. It does not connect.
func OpenSet(client redis.UniversalClient, name string) (*Set, error) {
	if !runName.MatchString(name) {
		return nil, fmt.Errorf("the name %q of a file set may contain only a-z, 0-9 and -", name)
	}
	return &Set{redis: client, name: name}, nil
}

// setTime is the lifetime of what an interrupted [Set.Put] leaves, counted from its start.
const setTime = 24 * time.Hour

// Store returns the store of the set's keys. Two dashes distinguish it from runs, whose names have a digest after the last one.
func (s *Set) Store() (*Store, error) {
	return Open(Config{Redis: s.redis, Run: "set--" + s.name, Deadline: time.Now().Add(setTime)})
}

// Put replaces the content of the set with these files, and keeps its owners. The old content stays valid until all new files are
// stored, and is then deleted. Existing files that are damaged are stored again: see [Store.Damage].
func (s *Set) Put(ctx context.Context, content string, sources map[string]Source) (layer Layer, err error) {
	store, err := s.Store()
	if err != nil {
		return "", err
	}
	var needed []Digest
	err = Again(func() error {
		if layer, err = store.PutInputs(ctx, sources); err != nil {
			return err
		}
		if needed, err = store.removeDamagedChunks(ctx, layer); err != nil {
			return err
		}
		return store.checkSentChunks(ctx)
	})
	var old setRecord
	if err == nil {
		old, err = s.readRecord(ctx)
	}
	if err == nil {
		err = s.publishRecord(ctx, store, setRecord{layer, content, old.owners}.String(), needed)
	}
	if err != nil {
		return "", fmt.Errorf("file set %q: %w", s.name, err)
	}
	return layer, store.deleteOtherChunks(ctx, needed)
}

// publishRecord removes the deadline of the chunks that a set needs and writes its record. If it is interrupted, every chunk without a deadline
// belongs to a record without a deadline: the set's last one or, if it had none, already the new one.
func (s *Set) publishRecord(ctx context.Context, store *Store, record string, needed []Digest) error {
	key := store.keyOf("set")
	err := store.runCommand(ctx, "write the record of a new set", func(ctx context.Context) error {
		return s.redis.SetArgs(ctx, key, record, redis.SetArgs{Mode: "NX", ExpireAt: store.deadline}).Err()
	})
	if err != nil && !errors.Is(err, redis.Nil) { // redis.Nil: the set has a record
		return err
	}
	if err := store.runCommand(ctx, "remove the deadline of the set's record", func(ctx context.Context) error { return s.redis.Persist(ctx, key).Err() }); err != nil {
		return err
	}
	if err := store.persistChunks(ctx, needed); err != nil {
		return err
	}
	return store.runCommand(ctx, "write the record of the set", func(ctx context.Context) error { return s.redis.Set(ctx, key, record, 0).Err() })
}

// Layer returns the set's content and its name, both empty if the set does not exist.
func (s *Set) Layer(ctx context.Context) (layer Layer, content string, err error) {
	record, err := s.readRecord(ctx)
	return record.layer, record.content, err
}

// Owners returns who needs the set, as written by [Set.SetOwners].
func (s *Set) Owners(ctx context.Context) ([]string, error) {
	record, err := s.readRecord(ctx)
	return record.owners, err
}

// SetOwners replaces the owners of the set: those who need it, of whom the last one deletes it. Owners are not empty and contain no space.
func (s *Set) SetOwners(ctx context.Context, owners []string) error {
	record, err := s.readRecord(ctx)
	if err != nil {
		return err
	}
	if record.layer == "" {
		return fmt.Errorf("file set %q %w", s.name, ErrGone)
	}
	store, err := s.Store()
	if err != nil {
		return err
	}
	record.owners = owners
	return store.runCommand(ctx, "write the owners of the set", func(ctx context.Context) error {
		return s.redis.Set(ctx, store.keyOf("set"), record.String(), redis.KeepTTL).Err()
	})
}

// setRecord is the record of a set. Its parts are separated by spaces.
type setRecord struct {
	layer   Layer
	content string
	owners  []string
}

func (r setRecord) String() string {
	return strings.Join(append([]string{string(r.layer), r.content}, r.owners...), " ")
}

// readRecord reads the record of the set, which is empty if the set does not exist.
func (s *Set) readRecord(ctx context.Context) (setRecord, error) {
	store, err := s.Store()
	if err != nil {
		return setRecord{}, err
	}
	var text string
	err = store.runCommand(ctx, "read the reference to the files of the set", func(ctx context.Context) (err error) {
		text, err = s.redis.Get(ctx, store.keyOf("set")).Result()
		return err
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return setRecord{}, err
	}
	id, rest, _ := strings.Cut(text, " ")
	content, owners, _ := strings.Cut(rest, " ")
	return setRecord{Layer(id), content, strings.Fields(owners)}, nil
}

// Damage returns the files of the set that Redis has lost or that were changed: see [Store.Damage]. It removes the deadline of the set's
// record again as well.
func (s *Set) Damage(ctx context.Context, layer Layer) (lost, changed []string, err error) {
	store, err := s.Store()
	if err != nil {
		return nil, nil, err
	}
	err = store.runCommand(ctx, "remove the deadline of the set's record again", func(ctx context.Context) error {
		return s.redis.Persist(ctx, store.keyOf("set")).Err()
	})
	if err := ignoreForbidden(err); err != nil {
		return nil, nil, err
	}
	return store.Damage(ctx, layer)
}

// Delete deletes the set.
func (s *Set) Delete(ctx context.Context) error {
	store, err := s.Store()
	if err != nil {
		return err
	}
	return store.Delete(ctx)
}

// listNeededChunks returns all chunks that a layer with the tree t needs: those of its files and of its manifest, and the list.
func (s *Store) listNeededChunks(ctx context.Context, layer Layer, t Tree) ([]Digest, error) {
	parts, err := s.manifestParts(ctx, layer)
	if err != nil {
		return nil, err
	}
	id, err := ParseDigest(string(layer))
	if err != nil {
		return nil, err
	}
	return append(append(listChunks(t), parts...), id), nil
}

// deleteOtherChunks deletes all chunks but these.
func (s *Store) deleteOtherChunks(ctx context.Context, but []Digest) error {
	keep := make(map[string]bool, len(but)+1)
	for _, d := range but {
		keep[s.chunkKey(d)] = true
	}
	err := eachMaster(ctx, s.redis, func(ctx context.Context, master *redis.Client) error {
		_, err := s.deleteMatchingKeys(ctx, master, s.keyOf("c:*"), func(key string) bool { return keep[key] })
		return err
	})
	if err != nil {
		return fmt.Errorf("run %s: remove unused chunks: %w", s.run, err)
	}
	return nil
}

// setFiles is the content of a set.
type setFiles struct {
	store *Store
	tree  Tree
}

// readSet returns the content of a set, which must be the one that is referred to.
func (s *Store) readSet(ctx context.Context, from Reference) (setFiles, error) {
	set, err := OpenSet(s.redis, from.Set)
	if err != nil {
		return setFiles{}, err
	}
	source, err := set.Store()
	if err != nil {
		return setFiles{}, err
	}
	layer, content, err := set.Layer(ctx)
	if err != nil {
		return setFiles{}, fmt.Errorf("file set %q: %w", from.Set, err)
	}
	if content != from.Content {
		return setFiles{}, fmt.Errorf("file set %q: the content %.12s %w", from.Set, from.Content, ErrGone)
	}
	t, err := source.Tree(ctx, layer)
	if err != nil {
		return setFiles{}, fmt.Errorf("file set %q: %w", from.Set, err)
	}
	return setFiles{source, t}, nil
}

// listBelow returns the entries of the set below a directory, and the directory.
func (f setFiles) listBelow(directory string) []Entry {
	entries := []Entry{{Path: directory, Mode: dirMode}}
	for e := range f.tree.All() {
		e.Path = path.Join(directory, e.Path)
		entries = append(entries, e)
	}
	return entries
}

// copyChunks copies a set's chunks into the run, as far as it does not have them: their deadlines are extended like those of other chunks that exist, so that
// kept outputs have none. The server copies the others itself if it has all keys.
func (s *Store) copyChunks(ctx context.Context, from *Store, chunks []Digest) error {
	missing, err := s.extendChunks(ctx, chunks)
	if err != nil {
		return err
	}
	for _, d := range chunks {
		s.sent.addChunk(d)
	}
	absent := slices.Collect(maps.Keys(missing))
	if _, cluster := s.redis.(*redis.ClusterClient); cluster {
		return s.resendChunks(ctx, from, absent) // the two keys of a chunk may be on different masters
	}
	for some := range slices.Chunk(absent, batch) {
		err := s.runCommand(ctx, "copy chunks", func(ctx context.Context) error {
			_, err := sendPipeline(ctx, s.redis, func(p redis.Pipeliner) {
				for _, d := range some {
					// The copy of a chunk without a deadline would have none.
					p.Copy(ctx, from.chunkKey(d), s.chunkKey(d), databaseOf(s.redis), false)
					p.ExpireAt(ctx, s.chunkKey(d), s.deadline)
				}
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	lost, err := s.findMissingChunks(ctx, chunks)
	if err == nil && len(lost) > 0 {
		err = fmt.Errorf("%d of its chunks: %w", len(lost), ErrGone)
	}
	return err
}

func (s *Store) resendChunks(ctx context.Context, from *Store, chunks []Digest) error {
	return from.readChunksInOrder(ctx, chunks, func(i int, content []byte) error {
		return s.putChunk(ctx, chunks[i], content)
	}, func(err error) error { return err })
}

// DatabaseOf returns the number of the client's database.
func DatabaseOf(client redis.UniversalClient) int { return databaseOf(client) }

// databaseOf returns the number of the client's database: COPY would use database 0.
func databaseOf(client redis.UniversalClient) int {
	if one, ok := client.(*redis.Client); ok {
		return one.Options().DB
	}
	return 0
}

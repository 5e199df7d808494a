package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// IndexSet is a set of indexes of a fan-out step: index i is in it if bit i%8 of byte i/8 is set. As JSON it is base64, which needs less than
// 2 KiB for 10,000 indexes, because it is part of each pod.
type IndexSet []byte

// NewIndexSet returns the set of these indexes.
func NewIndexSet(indexes []int) IndexSet {
	var set IndexSet
	for _, index := range indexes {
		for len(set) <= index/8 {
			set = append(set, 0)
		}
		set[index/8] |= 1 << (index % 8)
	}
	return set
}

// List returns the indexes in ascending order: that at position i runs with the completion index i of the Job.
func (s IndexSet) List() (indexes []int) {
	for i, eight := range s {
		for ; eight != 0; eight &= eight - 1 {
			indexes = append(indexes, 8*i+bits.TrailingZeros8(eight))
		}
	}
	return indexes
}

// ForIndex returns the step of one index: with the index in its name and its configuration. If the step has items, the configuration is only
// known when ReadItem has read the item.
func (s Step) ForIndex(completion string) (Step, error) {
	if !s.Indexed {
		return s, nil
	}
	index, err := strconv.Atoi(completion)
	some := s.Indexes.List()
	if err != nil || index < 0 || len(some) > 0 && index >= len(some) {
		return s, fmt.Errorf("the step has indexes, but %s is %q", EnvIndex, completion)
	}
	if len(some) > 0 {
		index = some[index]
	}
	s.Name, s.Indexes = s.Name+"."+strconv.Itoa(index), nil
	if s.Items == "" {
		s.Configuration = IndexConfiguration(s.Configuration, index, nil)
	}
	return s, nil
}

// index returns the index of a step of ForIndex; false if the step has no indexes.
func (s Step) index() (index int, isIndex bool) {
	_, text, isIndex := strings.Cut(s.Name, ".")
	index, _ = strconv.Atoi(text) // ForIndex wrote it
	return index, isIndex
}

// ReadItem reads the item of the index, if the step has items and it was not read before.
func (s *Step) ReadItem(ctx context.Context, store *files.Store) error {
	index, isIndex := s.index()
	if !isIndex || s.Items == "" {
		return nil
	}
	item, err := store.Item(ctx, s.Items, index)
	if err != nil {
		return err
	}
	s.setItem(index, item)
	return nil
}

func (s *Step) setItem(index int, item string) {
	s.Items, s.Item = "", &item
	s.Configuration = IndexConfiguration(s.Configuration, index, &item)
}

// indexConfiguration is what decides the result of one index. As JSON it is the content of the first part of its fingerprint.
type indexConfiguration struct {
	Configuration string  `json:"configuration"`
	Index         int     `json:"index"`
	Item          *string `json:"item,omitempty"`
}

// IndexConfiguration returns the digest of the configuration of one index of a fan-out step, given that of the step. The item is nil if the step
// has none.
func IndexConfiguration(step string, index int, item *string) string {
	text, err := json.Marshal(indexConfiguration{step, index, item})
	if err != nil {
		panic(err) // texts and numbers can always be encoded
	}
	return files.ShortDigest(text)
}

// indexEnvironment returns the variables that the command of one index gets in addition. The index is that of the step, also if the Job runs only
// some of its indexes.
func (s Step) indexEnvironment() []string {
	index, isIndex := s.index()
	if !isIndex {
		return nil
	}
	text := strconv.Itoa(index)
	env := []string{EnvIndex + "=" + text, EnvStepIndex + "=" + text}
	if s.Item != nil {
		env = append(env, EnvItem+"="+*s.Item)
	}
	return env
}

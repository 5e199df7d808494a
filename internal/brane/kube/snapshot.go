package kube

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// few is how many objects of a kind are read one by one before all are listed: for so few that is as cheap as a list, and for hundreds it adds two requests.
	few = 2
	// fresh is how long a list is used: a plan reads everything in one burst.
	fresh = time.Minute
)

// Snapshot answers many reads from a few lists: with the third read of a kind it lists all objects of the kind that have the labels, in all
// namespaces, and uses the list for a minute. Changes by other clients in that time are not seen.
//
// It sends a separate request for kinds that it does not list, for objects that are not in the list (they may have lost their labels), after this process
// has written anything, and if the client has no permission to list.
//
// If the API server is unreachable, Snapshot does not contact it again for a minute: otherwise hundreds of reads would each wait for it.
type Snapshot struct {
	client *Client
	labels string
	kinds  map[schema.GroupVersionKind]*listing

	mu   sync.Mutex
	away error // the error with which the server was unreachable
	at   time.Time
}

// listing is the list of one kind in a snapshot.
type listing struct {
	example List

	sync.Mutex // held while the kind is listed, so that concurrent reads wait for one list
	asked      int
	refused    bool
	taken      time.Time
	writes     int64 // the client's writes before the list was read
	objects    map[string]map[string]Object
}

// NewSnapshot creates a snapshot of objects that have the labels; kinds are empty lists of the kinds. It does not contact the server.
func NewSnapshot(c *Client, labels string, kinds ...List) (*Snapshot, error) {
	s := &Snapshot{client: c, labels: labels, kinds: map[schema.GroupVersionKind]*listing{}}
	for _, kind := range kinds {
		gvk, err := kindOf(kind)
		if err != nil {
			return nil, err
		}
		s.kinds[gvk] = &listing{example: kind}
	}
	return s, nil
}

// Get fills obj with the object of its namespace and name.
func (s *Snapshot) Get(ctx context.Context, obj Object) error {
	return s.unlessAway(func() error { return s.getObject(ctx, obj) })
}

// List fills list with the objects of its kind in a namespace that have the labels.
func (s *Snapshot) List(ctx context.Context, list List, namespace, labels string) error {
	return s.unlessAway(func() error { return s.listObjects(ctx, list, namespace, labels) })
}

func (s *Snapshot) unlessAway(ask func() error) error {
	if err := s.isAway(); err != nil {
		return err
	}
	return s.recordUnreachable(ask())
}

// isAway returns the error with which the server was unreachable, while it is not contacted again.
func (s *Snapshot) isAway() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) > fresh {
		return nil
	}
	return s.away
}

// recordUnreachable stores an error if the server is unreachable.
func (s *Snapshot) recordUnreachable(err error) error {
	if known := new(awayError); IsUnreachable(err) && !errors.As(err, &known) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.away, s.at = &awayError{err}, time.Now()
	}
	return err
}

// awayError is the error of a read for which an unreachable server was not contacted again. It does not name the request that found the server unreachable.
type awayError struct{ err error }

func (e *awayError) Error() string {
	why := e.err
	var request *url.Error
	if errors.As(e.err, &request) {
		why = request.Err
	}
	return fmt.Sprintf("the API server was unreachable less than a minute ago and was not contacted again: %v", why)
}

func (e *awayError) Unwrap() error { return e.err }

func (s *Snapshot) getObject(ctx context.Context, obj Object) error {
	objects, err := s.objectsOfKind(ctx, obj)
	if err != nil {
		return err
	}
	found := objects[obj.GetNamespace()][obj.GetName()]
	if found == nil {
		return s.client.Get(ctx, obj)
	}
	reflect.ValueOf(obj).Elem().Set(reflect.ValueOf(found.DeepCopyObject()).Elem())
	return nil
}

func (s *Snapshot) listObjects(ctx context.Context, list List, namespace, labels string) error {
	if labels != s.labels || namespace == "" {
		return s.client.List(ctx, list, namespace, labels)
	}
	objects, err := s.objectsOfKind(ctx, list)
	if err != nil {
		return err
	}
	if objects == nil {
		return s.client.List(ctx, list, namespace, labels)
	}
	var items []runtime.Object
	for _, object := range objects[namespace] {
		items = append(items, object.DeepCopyObject())
	}
	return meta.SetList(list, items)
}

// objectsOfKind returns all objects of the kind of obj by namespace and name, or nil if the read needs a separate request.
func (s *Snapshot) objectsOfKind(ctx context.Context, obj runtime.Object) (map[string]map[string]Object, error) {
	gvk, err := kindOf(obj)
	if err != nil {
		return nil, err
	}
	l := s.kinds[gvk]
	if l == nil {
		return nil, nil
	}
	l.Lock()
	defer l.Unlock()
	l.asked++
	if l.asked <= few || l.refused || l.objects != nil && l.writes != s.client.writes.Load() {
		return nil, nil
	}
	if time.Since(l.taken) > fresh {
		if err := s.isAway(); err != nil {
			return nil, err // found by the read that held the lock
		}
		if err := s.recordUnreachable(l.listAll(ctx, s.client, s.labels)); err != nil {
			return nil, fmt.Errorf("list every %s labelled %s: %w", gvk.Kind, s.labels, err)
		}
	}
	return l.objects, nil
}

// listAll lists the kind. If that is forbidden, it is not tried again.
func (l *listing) listAll(ctx context.Context, c *Client, labels string) error {
	list, taken, writes := Empty(l.example), time.Now(), c.writes.Load()
	err := c.List(ctx, list, "", labels)
	if apierrors.IsForbidden(err) {
		l.refused = true
		return nil
	}
	if err != nil {
		return err
	}
	objects := map[string]map[string]Object{}
	err = meta.EachListItem(list, func(item runtime.Object) error {
		object, ok := item.(Object)
		if !ok {
			return fmt.Errorf("%T in a list is not an API object", item)
		}
		if objects[object.GetNamespace()] == nil {
			objects[object.GetNamespace()] = map[string]Object{}
		}
		objects[object.GetNamespace()][object.GetName()] = object
		return nil
	})
	l.objects, l.taken, l.writes = objects, taken, writes
	return err
}

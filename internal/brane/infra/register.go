package infra

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	// ErrNoLocation says that infra.yml has no location of the name.
	ErrNoLocation = errors.New("the location is not there")
	// ErrNoFile says that infra.yml itself is not there. Such an error is an [ErrNoLocation] too.
	ErrNoFile = errors.New("infra.yml is not there")
	// ErrExists says that the location that was to be made is there already, whoever made it.
	ErrExists = errors.New("the location exists already")
	// ErrOtherKind says that the location is none on Kubernetes. It is not ours to change.
	ErrOtherKind = errors.New("the location is of another kind than kube")
	// ErrSecretInUse says that another location has its credentials in the secret that was to be written.
	ErrSecretInUse = errors.New("the secret is another location's")
)

// Registration is a location together with the credential that Brane uses there.
type Registration struct {
	Location   Location
	Kubeconfig []byte
}

// Create writes a new location and its kubeconfig; the error is [ErrExists] where infra.yml has the name already, and then nothing is written.
func Create(ctx context.Context, s Store, l Location, kubeconfig []byte) error {
	err := s.Update(ctx, func(f *Files) error {
		if _, ok := f.Infra.Location(l.Name); ok {
			return ErrExists
		}
		return f.setRegistration(l, kubeconfig)
	})
	if err != nil {
		return fmt.Errorf("register location %q in %s: %w", l.Name, s, err)
	}
	return nil
}

// Register writes a location and its kubeconfig. It does not matter whether they are there already: afterwards they are as given. The secret that the
// location named before stays; [RemoveUnusedSecret] removes it where it is known to be nobody else's.
func Register(ctx context.Context, s Store, l Location, kubeconfig []byte) error {
	err := s.Update(ctx, func(f *Files) error {
		if have, ok := f.Infra.Location(l.Name); ok && have.Kind != kindKube {
			return fmt.Errorf("location %q is of kind %s: %w", l.Name, have.Kind, ErrOtherKind)
		}
		return f.setRegistration(l, kubeconfig)
	})
	if err != nil {
		return fmt.Errorf("register location %q in %s: %w", l.Name, s, err)
	}
	return nil
}

// put writes a location and its kubeconfig, if the secret is nobody else's.
func (f *Files) setRegistration(l Location, kubeconfig []byte) error {
	secret := cmp.Or(l.SecretName, l.Name)
	for _, user := range f.Infra.usersOf(secret) {
		if user != l.Name {
			return fmt.Errorf("secret %q belongs to location %q, give location %q another secret_name: %w", secret, user, l.Name, ErrSecretInUse)
		}
	}
	if err := f.Infra.Set(l); err != nil {
		return err
	}
	return f.Secrets.SetKubeconfig(secret, kubeconfig)
}

// Unregister removes a location and a secret, its own; where they are not there nothing changes. A secret that another location uses stays, and so does
// one that only the document calls this location's: somebody may have written that.
func Unregister(ctx context.Context, s Store, name, secret string) error {
	err := s.Update(ctx, func(f *Files) error {
		if l, ok := f.Infra.Location(name); ok && l.Kind != kindKube {
			return fmt.Errorf("location %q is of kind %s: %w", name, l.Kind, ErrOtherKind)
		}
		if err := f.Infra.Remove(name); err != nil {
			return err
		}
		return f.removeUnusedSecret(secret)
	})
	if err != nil {
		return fmt.Errorf("unregister location %q from %s: %w", name, s, err)
	}
	return nil
}

// RemoveUnusedSecret removes a secret that no location uses any more; where it is not there nothing changes.
func RemoveUnusedSecret(ctx context.Context, s Store, name string) error {
	if err := s.Update(ctx, func(f *Files) error { return f.removeUnusedSecret(name) }); err != nil {
		return fmt.Errorf("remove secret %q from %s: %w", name, s, err)
	}
	return nil
}

// removeUnusedSecret removes a secret that no location uses.
func (f *Files) removeUnusedSecret(name string) error {
	if name == "" || len(f.Infra.usersOf(name)) > 0 {
		return nil
	}
	return f.Secrets.Remove(name)
}

// Lookup reads a location with its kubeconfig as Brane would. With [ErrNoSecret] and [EncodingError] the registration still holds the location.
func Lookup(ctx context.Context, s Store, name string) (Registration, error) {
	f, err := s.Read(ctx)
	if err != nil {
		return Registration{}, fmt.Errorf("look for location %q in %s: %w", name, s, err)
	}
	r, err := f.Lookup(name)
	if err != nil {
		return r, fmt.Errorf("look for location %q in %s: %w", name, s, err)
	}
	return r, nil
}

// Lookup is [Lookup] in what was read before.
func (f Files) Lookup(name string) (Registration, error) {
	l, ok := f.Infra.Location(name)
	switch {
	case !ok && !f.HasInfra:
		return Registration{}, errors.Join(ErrNoFile, ErrNoLocation)
	case !ok && len(f.Infra.Names()) == 0:
		return Registration{}, fmt.Errorf("%w, and there are no others", ErrNoLocation)
	case !ok:
		names := f.Infra.Names()
		slices.Sort(names)
		return Registration{}, fmt.Errorf("%w, there are: %s", ErrNoLocation, strings.Join(names, ", "))
	case l.Kind != kindKube:
		return Registration{Location: l}, fmt.Errorf("its kind is %s: %w", l.Kind, ErrOtherKind)
	}
	credential := f.Infra.credential(name)
	if credential == "" {
		return Registration{Location: l}, &EncodingError{"its credentials are not a kubeconfig (mechanism: config), with which alone Brane reaches Kubernetes"}
	}
	var kubeconfig []byte
	var err error
	if l.SecretName != "" {
		if kubeconfig, err = f.Secrets.Kubeconfig(l.SecretName); err != nil {
			return Registration{Location: l}, fmt.Errorf("secret %q of %s: %w", l.SecretName, secretsFile, err)
		}
	} else if kubeconfig, err = DecodeKubeconfig(credential); err != nil {
		return Registration{Location: l}, fmt.Errorf("credentials of the location: %w", err)
	}
	return Registration{Location: l, Kubeconfig: kubeconfig}, nil
}

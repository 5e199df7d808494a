package infra

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	// ErrNoLocation reports that infra.yml has no location of that name.
	ErrNoLocation = errors.New("the location does not exist")
	// ErrNoFile reports that infra.yml does not exist. Such an error is an [ErrNoLocation] too.
	ErrNoFile = errors.New("infra.yml does not exist")
	// ErrExists reports that the location to create already exists, no matter who created it.
	ErrExists = errors.New("the location already exists")
	// ErrOtherKind reports that the location is not on Kubernetes. Such a location is never changed.
	ErrOtherKind = errors.New("the location is not of kind kube")
	// ErrSecretInUse reports that the credentials of another location are in the secret to write.
	ErrSecretInUse = errors.New("the secret is used by another location")
	// ErrChanged reports that the registered kubeconfig, or the cluster or namespace of its location, is not what it was when it was read.
	ErrChanged = errors.New("another process has changed the registration meanwhile; run Terraform again")
)

// Registration is a location with the kubeconfig that Brane uses for it.
type Registration struct {
	Location   Location
	Kubeconfig []byte
}

// Create writes a new location and its kubeconfig. If infra.yml already has the name, the error is [ErrExists] and nothing is written.
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

// Register creates or updates a location and its kubeconfig. The secret that the location named before is kept; [RemoveUnusedSecret] removes it if no
// other location uses it.
func Register(ctx context.Context, s Store, l Location, kubeconfig []byte) error {
	if err := s.Update(ctx, func(f *Files) error { return f.replaceRegistration(l, kubeconfig) }); err != nil {
		return fmt.Errorf("register location %q in %s: %w", l.Name, s, err)
	}
	return nil
}

// RegisterAgain is [Register] with a kubeconfig that a secret already contains, or the location itself if the secret has no name. If it was replaced since it
// was read, the error is [ErrChanged].
func RegisterAgain(ctx context.Context, s Store, l Location, secret string, kubeconfig []byte) error {
	err := s.Update(ctx, func(f *Files) error {
		have, err := f.Kubeconfig(l.Name, secret)
		if err != nil {
			return err
		}
		if !bytes.Equal(have, kubeconfig) {
			return ErrChanged
		}
		return f.replaceRegistration(l, kubeconfig)
	})
	if err != nil {
		return fmt.Errorf("register location %q in %s with the same kubeconfig: %w", l.Name, s, err)
	}
	return nil
}

// ReplaceKubeconfig replaces the kubeconfig of a location, and nothing else of it. The error is [ErrChanged] if the location has another kubeconfig, cluster or
// namespace than when it was read: the new kubeconfig is not for that.
func ReplaceKubeconfig(ctx context.Context, s Store, read Registration, kubeconfig []byte) error {
	err := s.Update(ctx, func(f *Files) error {
		live, err := f.Lookup(read.Location.Name)
		if err != nil {
			return err
		}
		if !bytes.Equal(live.Kubeconfig, read.Kubeconfig) || live.Location.Address != read.Location.Address || live.Location.Namespace != read.Location.Namespace {
			return ErrChanged
		}
		return f.setRegistration(live.Location, kubeconfig)
	})
	if err != nil {
		return fmt.Errorf("replace the kubeconfig of location %q in %s: %w", read.Location.Name, s, err)
	}
	return nil
}

// replaceRegistration is setRegistration, unless the location is of another kind.
func (f *Files) replaceRegistration(l Location, kubeconfig []byte) error {
	if have, ok := f.Infra.Location(l.Name); ok && have.Kind != kindKube {
		return fmt.Errorf("location %q is of kind %s: %w", l.Name, have.Kind, ErrOtherKind)
	}
	return f.setRegistration(l, kubeconfig)
}

// setRegistration sets a location and its kubeconfig, unless another location uses the secret.
func (f *Files) setRegistration(l Location, kubeconfig []byte) error {
	secret := cmp.Or(l.SecretName, l.Name)
	for _, user := range f.Infra.usersOf(secret) {
		if user != l.Name {
			return fmt.Errorf("location %q uses secret %q; set another secret_name for location %q: %w", user, secret, l.Name, ErrSecretInUse)
		}
	}
	if err := f.Infra.Set(l); err != nil {
		return err
	}
	return f.Secrets.SetKubeconfig(secret, kubeconfig)
}

// Unregister removes a location and a secret if they exist. The secret is kept if another location uses it. A secret that only infra.yml names as this
// location's is kept as well: it may have been written by hand.
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

// RemoveUnusedSecret removes a secret if it exists and no location uses it.
func RemoveUnusedSecret(ctx context.Context, s Store, name string) error {
	if err := s.Update(ctx, func(f *Files) error { return f.removeUnusedSecret(name) }); err != nil {
		return fmt.Errorf("remove secret %q from %s: %w", name, s, err)
	}
	return nil
}

// removeUnusedSecret is [RemoveUnusedSecret] on files that have been read.
func (f *Files) removeUnusedSecret(name string) error {
	if name == "" || len(f.Infra.usersOf(name)) > 0 {
		return nil
	}
	return f.Secrets.Remove(name)
}

// Lookup reads a location with its kubeconfig as Brane does. With [ErrNoSecret] and [EncodingError], the registration still has the location.
func Lookup(ctx context.Context, s Store, name string) (Registration, error) {
	f, err := s.Read(ctx)
	if err != nil {
		return Registration{}, fmt.Errorf("look up location %q in %s: %w", name, s, err)
	}
	r, err := f.Lookup(name)
	if err != nil {
		return r, fmt.Errorf("look up location %q in %s: %w", name, s, err)
	}
	return r, nil
}

// LookupKubeconfig reads a kubeconfig as [Files.Kubeconfig] does.
func LookupKubeconfig(ctx context.Context, s Store, name, secret string) ([]byte, error) {
	f, err := s.Read(ctx)
	if err == nil {
		var kubeconfig []byte
		if kubeconfig, err = f.Kubeconfig(name, secret); err == nil {
			return kubeconfig, nil
		}
	}
	return nil, fmt.Errorf("look up the kubeconfig of location %q in %s: %w", name, s, err)
}

// Kubeconfig returns the kubeconfig of a secret, whether or not a location refers to it. If the secret has no name, it is the one of the location. The error is
// [ErrNoSecret] or an [EncodingError] if there is none.
func (f Files) Kubeconfig(name, secret string) ([]byte, error) {
	if secret == "" {
		registration, err := f.Lookup(name)
		return registration.Kubeconfig, err
	}
	kubeconfig, err := f.Secrets.Kubeconfig(secret)
	if err != nil {
		return nil, fmt.Errorf("secret %q of %s: %w", secret, secretsFile, err)
	}
	return kubeconfig, nil
}

// Lookup is [Lookup] on files that have been read.
func (f Files) Lookup(name string) (Registration, error) {
	l, ok := f.Infra.Location(name)
	switch {
	case !ok && !f.HasInfra:
		return Registration{}, errors.Join(ErrNoFile, ErrNoLocation)
	case !ok && len(f.Infra.Names()) == 0:
		return Registration{}, fmt.Errorf("%w; infra.yml has no locations", ErrNoLocation)
	case !ok:
		names := f.Infra.Names()
		slices.Sort(names)
		return Registration{}, fmt.Errorf("%w; infra.yml has: %s", ErrNoLocation, strings.Join(names, ", "))
	case l.Kind != kindKube:
		return Registration{Location: l}, fmt.Errorf("its kind is %s: %w", l.Kind, ErrOtherKind)
	}
	credential := f.Infra.secretReference(name)
	if credential == "" {
		return Registration{Location: l}, &EncodingError{"its credentials do not have mechanism: config, the only one that Brane uses for Kubernetes"}
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

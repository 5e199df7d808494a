package infra

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/objectsize"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// numberedLocation returns one of many locations.
func numberedLocation(n int) Location {
	l := golden
	l.Name, l.SecretName = fmt.Sprintf("site-%d", n), fmt.Sprintf("site-%d", n)
	return l
}

// A Secret has room for as many locations as fit into 1 MiB; the plan of the first one that does not fit is an error, whether the others are
// planned or registered, and so is its registration.
func TestCheckRoom(t *testing.T) {
	client, namespace := clustertest.Client(t), clustertest.Namespace(t)
	store := NewSecretStore(client, namespace, "config")
	large := bytes.Repeat([]byte("x"), 100<<10)
	fitting, err := 0, error(nil)
	for err == nil {
		if err = CheckRoom(t.Context(), store, numberedLocation(fitting), large); err == nil {
			fitting++
		}
	}
	var full *FullError
	if !errors.As(err, &full) || full.Size <= full.Limit || fitting != 7 {
		t.Fatalf("%d fit: %v", fitting, err)
	}
	for i := range fitting {
		if err := Register(t.Context(), store, numberedLocation(i), large); err != nil {
			t.Fatal(err)
		}
	}
	another := NewSecretStore(client, namespace, "config")
	if err := CheckRoom(t.Context(), another, numberedLocation(fitting), large); !errors.As(err, &full) {
		t.Errorf("planned after the others were registered: %v", err)
	}
	if err := CheckRoom(t.Context(), NewSecretStore(client, namespace, "config"), numberedLocation(0), large); err != nil {
		t.Errorf("with another kubeconfig of the same size: %v", err)
	}
	if err := CheckRoom(t.Context(), NewSecretStore(client, namespace, "config"), numberedLocation(0), bytes.Repeat(large, 3)); !errors.As(err, &full) {
		t.Errorf("with a larger kubeconfig: %v", err)
	}
	err = Register(t.Context(), store, numberedLocation(fitting), large)
	if !errors.As(err, &full) || !strings.Contains(err.Error(), "control_plane.directory") {
		t.Errorf("registered: %v", err)
	}
	if err := CheckRoom(t.Context(), NewDirectoryStore(t.TempDir(), V06), numberedLocation(0), bytes.Repeat(large, 20)); err != nil {
		t.Errorf("in a directory: %v", err)
	}
}

// A Secret of exactly the largest size is accepted.
func TestFullSecretIsAccepted(t *testing.T) {
	client := clustertest.Client(t)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: clustertest.Namespace(t), Name: "config"},
		Data:       map[string][]byte{infraFile: []byte("locations: {}\n")},
	}
	secret.Data[secretsFile] = []byte("large: " + strings.Repeat("x", objectsize.MaxData-len(secret.Data[infraFile])-len("large: ")))
	if err := checkSize(secret); err != nil {
		t.Fatal(err)
	}
	if err := client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	secret.Data["other"] = []byte("x")
	if err := checkSize(secret); err == nil {
		t.Error("one byte more is no error")
	}
}

// A plan of many infrastructures reads the same files for each, and parses them once. What a caller does with them changes nothing for others.
func TestFilesAreParsedOnce(t *testing.T) {
	var cache parseCache
	text := []byte("locations: {}\n")
	first, err := cache.parseFiles(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.setRegistration(golden, kubeconfig); err != nil {
		t.Fatal(err)
	}
	second, err := cache.parseFiles(bytes.Clone(text), nil)
	if err != nil || len(second.Infra.Names()) > 0 || second.HasSecrets {
		t.Errorf("got %v, %v", second.Infra.Names(), err)
	}
	if third, err := cache.parseFiles(text, nil); err != nil || third.Infra.document != second.Infra.document {
		t.Errorf("the same text was parsed again, %v", err)
	}
	for _, other := range [][2][]byte{{text, []byte{}}, {nil, nil}, {[]byte("locations: {} # another\n"), nil}} {
		got, err := cache.parseFiles(other[0], other[1])
		if err != nil || got.HasInfra != (other[0] != nil) || got.HasSecrets != (other[1] != nil) || !bytes.Equal(got.Infra.Bytes(), other[0]) {
			t.Errorf("%q: got %q, %v", other, got.Infra.Bytes(), err)
		}
	}
	if _, err := cache.parseFiles([]byte("locations: ["), nil); !errors.Is(err, ErrUnparsable) {
		t.Errorf("a text that cannot be parsed: %v", err)
	}
}

// An apply of many infrastructures reads what it has written for the one before, without parsing it again.
func TestWrittenFilesAreNotParsedAgain(t *testing.T) {
	secret, directory := NewSecretStore(clustertest.Client(t), clustertest.Namespace(t), "config"), NewDirectoryStore(t.TempDir(), V06)
	for name, tt := range map[string]struct {
		store Store
		cache *parseCache
	}{
		"secret":    {secret, &secret.cache},
		"directory": {directory, &directory.cache},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range 2 {
				if err := Register(t.Context(), tt.store, numberedLocation(i), kubeconfig); err != nil {
					t.Fatal(err)
				}
			}
			written := tt.cache.last
			read, err := tt.store.Read(t.Context())
			if err != nil || read.Infra.document != written.Infra.document || read.Secrets.document != written.Secrets.document || len(read.Infra.Names()) != 2 {
				t.Errorf("read %v, %v", read.Infra.Names(), err)
			}
		})
	}
}

// A directory has room for a thousand locations; a Secret does not, which is an error that names the directory.
func TestThousandLocations(t *testing.T) {
	kubeconfig := bytes.Repeat([]byte("x"), 2500) // of a service account
	client, namespace := clustertest.Client(t), clustertest.Namespace(t)
	dir := t.TempDir()
	secret, directory := NewSecretStore(client, namespace, "config"), NewDirectoryStore(dir, V06)
	var err error
	for i := 0; i < 1000 && err == nil; i++ {
		err = CheckRoom(t.Context(), secret, numberedLocation(i), kubeconfig)
	}
	if full := new(FullError); !errors.As(err, &full) || !strings.Contains(err.Error(), "control_plane.directory") {
		t.Errorf("in a Secret: %v", err)
	}
	writeLocations(t, dir, 999, kubeconfig)
	if err := errors.Join(CheckRoom(t.Context(), directory, numberedLocation(999), kubeconfig), Register(t.Context(), directory, numberedLocation(999), kubeconfig)); err != nil {
		t.Fatal(err)
	}
	files, err := directory.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"site-0", "site-998", "site-999"} {
		if found, err := files.Lookup(name); err != nil || !bytes.Equal(found.Kubeconfig, kubeconfig) {
			t.Errorf("%s has a kubeconfig of %d bytes, %v", name, len(found.Kubeconfig), err)
		}
	}
}

// writeLocations writes the files of many registered locations. To register them one after the other would parse the files for each.
func writeLocations(t *testing.T, dir string, count int, kubeconfig []byte) {
	t.Helper()
	if err := Register(t.Context(), NewDirectoryStore(dir, V06), numberedLocation(0), kubeconfig); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{infraFile, secretsFile} {
		path := filepath.Join(dir, file)
		one, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		entry := strings.TrimPrefix(string(one), "locations:\n") // of infra.yml
		var text strings.Builder
		text.WriteString(strings.TrimSuffix(string(one), entry))
		for i := range count {
			text.WriteString(strings.ReplaceAll(entry, numberedLocation(0).Name, numberedLocation(i).Name))
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

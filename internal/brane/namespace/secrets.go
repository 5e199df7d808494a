package namespace

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// Registry is a credential to pull images.
type Registry struct {
	Username string
	Password string // empty means the password in the Secret, as long as Version is the same
	Version  int64  // changes with the password, which is not compared
}

const (
	pullSecretName = ObjectName + "-registries"
	// versionsAnnotation stores the versions of the passwords, so that an import finds them.
	versionsAnnotation = "terraform-provider-brane/password-versions"
)

// TokenSecret returns the name of the Secret with the long-lived token of a service account.
func TokenSecret(account string) string { return account + "-token" }

// MissingPasswordError reports that the password of a registry is needed and not set.
type MissingPasswordError struct{ Registry string }

func (e *MissingPasswordError) Error() string {
	return fmt.Sprintf("the password for registry %q is required", e.Registry)
}

func (s Spec) wantedSecrets() []kube.Object {
	var secrets []kube.Object
	if len(s.RegistryCredentials) > 0 {
		secrets = append(secrets, s.pullSecret())
	}
	if s.LongLivedToken {
		token := &corev1.Secret{ObjectMeta: s.childMeta(TokenSecret(s.ServiceAccount)), Type: corev1.SecretTypeServiceAccountToken}
		token.Annotations[corev1.ServiceAccountNameKey] = s.ServiceAccount // the token controller fills in the rest
		secrets = append(secrets, token)
	}
	return secrets
}

// dockerConfig is the content of a Secret of type kubernetes.io/dockerconfigjson.
type dockerConfig struct {
	Auths map[string]dockerAuth `json:"auths"`
}

type dockerAuth struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Auth     string `json:"auth"` // base64 of username:password, the only thing that older kubelets read
}

func (s Spec) pullSecret() *corev1.Secret {
	config := dockerConfig{map[string]dockerAuth{}}
	versions := map[string]int64{}
	for host, r := range s.RegistryCredentials {
		config.Auths[host] = dockerAuth{r.Username, r.Password, base64.StdEncoding.EncodeToString([]byte(r.Username + ":" + r.Password))}
		versions[host] = r.Version
	}
	secret := &corev1.Secret{ObjectMeta: s.childMeta(pullSecretName), Type: corev1.SecretTypeDockerConfigJson}
	secret.Annotations[versionsAnnotation] = mustMarshal(versions)
	secret.Data = map[string][]byte{corev1.DockerConfigJsonKey: []byte(mustMarshal(config))}
	return secret
}

// mustMarshal returns JSON with sorted keys. It is only for maps and structs of strings and numbers, for which it cannot fail.
func mustMarshal(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// registriesOf returns the registries of a pull Secret, with their passwords.
func registriesOf(secret *corev1.Secret) map[string]Registry {
	var config dockerConfig
	var versions map[string]int64
	if secret == nil || json.Unmarshal(secret.Data[corev1.DockerConfigJsonKey], &config) != nil {
		return nil // it was changed by another client, and is written again
	}
	if json.Unmarshal([]byte(secret.Annotations[versionsAnnotation]), &versions) != nil {
		versions = nil
	}
	registries := map[string]Registry{}
	for host, auth := range config.Auths {
		registries[host] = Registry{auth.Username, auth.Password, versions[host]}
	}
	return registries
}

// withPasswords returns the Spec with missing passwords taken from the Secret, if no other client has changed it.
func (s Spec) withPasswords(live *corev1.Secret) (Spec, error) {
	if len(s.RegistryCredentials) == 0 {
		return s, nil
	}
	var known map[string]Registry
	if live != nil && ownsField(live, "f:data", "f:"+corev1.DockerConfigJsonKey) {
		known = registriesOf(live)
	}
	s.RegistryCredentials = maps.Clone(s.RegistryCredentials)
	for _, host := range slices.Sorted(maps.Keys(s.RegistryCredentials)) {
		r := s.RegistryCredentials[host]
		if r.Password != "" {
			continue
		}
		before := known[host]
		if before.Password == "" || before.Version != r.Version {
			return s, &MissingPasswordError{host}
		}
		r.Password = before.Password
		s.RegistryCredentials[host] = r
	}
	return s, nil
}

// sameRegistries compares all but the passwords; their versions are compared instead.
func sameRegistries(want, live *corev1.Secret) bool {
	return maps.EqualFunc(registriesOf(want), registriesOf(live), func(a, b Registry) bool {
		return a.Username == b.Username && a.Version == b.Version
	})
}

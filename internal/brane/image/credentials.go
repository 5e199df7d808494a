package image

import (
	"bytes"
	"fmt"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/google/go-containerregistry/pkg/authn"
)

// Credentials looks a registry's credential up in pull secrets, the content of their key .dockerconfigjson each, and then where docker and podman keep
// those of the user. The error names no content.
func Credentials(pullSecrets ...[]byte) (authn.Keychain, error) {
	var chain []authn.Keychain
	for i, content := range pullSecrets {
		secret, err := parsePullSecret(content)
		if err != nil {
			return nil, fmt.Errorf("pull secret %d of %d is no docker configuration in JSON", i+1, len(pullSecrets)) // the cause may quote what is in it
		}
		chain = append(chain, secret)
	}
	return authn.NewMultiKeychain(append(chain, authn.DefaultKeychain)...), nil
}

// pullSecret is a Secret of type kubernetes.io/dockerconfigjson.
type pullSecret struct{ *configfile.ConfigFile }

func parsePullSecret(content []byte) (pullSecret, error) {
	file, err := config.LoadFromReader(bytes.NewReader(content))
	return pullSecret{file}, err
}

// Resolve implements [authn.Keychain]: a credential for the repository goes before one for its registry.
func (s pullSecret) Resolve(target authn.Resource) (authn.Authenticator, error) {
	for _, key := range []string{target.String(), target.RegistryStr()} {
		if found, ok := s.AuthConfigs[key]; ok {
			return authn.FromConfig(authn.AuthConfig{Username: found.Username, Password: found.Password, Auth: found.Auth, IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken}), nil
		}
	}
	return authn.Anonymous, nil
}

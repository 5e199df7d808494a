module github.com/braneframework/terraform-provider-brane/test/cluster

go 1.26.0

require (
	github.com/braneframework/terraform-provider-brane/tools/image v0.0.0
	github.com/google/go-containerregistry v0.22.1
	golang.org/x/sync v0.22.0
	golang.org/x/sys v0.49.0
	golang.org/x/term v0.47.0
)

require (
	github.com/docker/cli v29.7.2+incompatible // indirect
	github.com/docker/docker-credential-helpers v0.9.3 // indirect
	github.com/klauspost/compress v1.19.2 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/opencontainers/image-spec v1.1.1 // indirect
	github.com/sirupsen/logrus v1.9.4 // indirect
	golang.org/x/crypto/x509roots/fallback v0.0.0-20261030153154-30a33513ff6d // indirect
)

// The same code makes the agent's image for a release.
replace github.com/braneframework/terraform-provider-brane/tools/image => ../../tools/image

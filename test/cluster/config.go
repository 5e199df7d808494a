package main

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/template"
)

// The configuration files of the programs are templates with the fields of settings.
//
//go:embed config
var configFiles embed.FS

var configTemplates = template.Must(template.New("").
	Funcs(template.FuncMap{"quote": strconv.Quote}).
	Option("missingkey=error").
	ParseFS(configFiles, "config/*"))

// settings are the values in the templates.
type settings struct {
	Dir, Loopback, Gateway, Subnet, Bridge, Cgroup, Registry, PauseImage string
	KubeletPort, HealthPort, RedisPort, RedisPassword                    string
}

func (c cluster) settings(redisPassword string) settings {
	return settings{
		Dir: c.dir, Loopback: c.loopback(), Gateway: c.gateway(), Subnet: c.subnet(), Bridge: c.bridge(), Cgroup: c.cgroup(),
		Registry: c.registry(), PauseImage: c.image(pauseName, pauseTag),
		KubeletPort: kubeletPort, HealthPort: healthPort, RedisPort: redisPort, RedisPassword: redisPassword,
	}
}

// configPaths returns the path below the cluster's directory for each template.
func (c cluster) configPaths() map[string]string {
	return map[string]string{
		"containerd.toml": c.path("conf/containerd.toml"),
		"hosts.toml":      c.path("conf/registries", c.registry(), "hosts.toml"),
		"kubelet.yaml":    c.path("conf/kubelet.yaml"),
		"redis.conf":      c.path("conf/redis.conf"),
		"bridge.conflist": c.path("conf/cni/10-bridge.conflist"),
	}
}

func render(name string, s settings) ([]byte, error) {
	var b bytes.Buffer
	if err := configTemplates.ExecuteTemplate(&b, name, s); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// writeConfig writes every configuration file at each start, because the launcher may have changed.
func writeConfig(c cluster, redisPassword string) error {
	for name, path := range c.configPaths() {
		b, err := render(name, c.settings(redisPassword))
		if err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

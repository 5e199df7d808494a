package detached

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/objectsize"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
)

// engineConfig is the description of a run for its engine. It contains no secret.
type engineConfig struct {
	Run            string                  `json:"run"`
	Namespace      string                  `json:"namespace"`
	Location       string                  `json:"location,omitempty"`
	Registry       string                  `json:"registry,omitempty"`
	AgentImage     string                  `json:"agent_image"`
	Version        string                  `json:"version,omitempty"` // of the provider, which the engine must have
	Users          workflow.RedisUsers     `json:"users,omitempty"`
	PodConnections int                     `json:"pod_connections,omitempty"`
	Timeouts       workflow.PodTimeouts    `json:"timeouts"`
	Parallel       int                     `json:"parallel,omitempty"`
	Prewarm        bool                    `json:"prewarm,omitempty"`
	AgentInjection workflow.AgentInjection `json:"agent_injection,omitempty"`
	// Prepared is what the process that started the engine has found out, because an engine has no permission to list the nodes, and has created.
	Prepared engine.Prepared   `json:"prepared"`
	Steps    []workflow.Step   `json:"steps"`
	Inputs   string            `json:"inputs,omitempty"` // the digest of the inputs, which are stored already
	Metadata workflow.Metadata `json:"metadata,omitzero"`
	Outputs  []string          `json:"outputs,omitempty"` // paths to keep at the end
	// Account is the service account that was created for this engine; empty if it has another one.
	Account string `json:"account,omitempty"`
}

func newEngineConfig(spec *workflow.Spec, prepared engine.Prepared, outputs []string) engineConfig {
	return engineConfig{
		Run: spec.ID, Namespace: spec.Namespace, Location: spec.Location, Registry: spec.Registry, AgentImage: spec.AgentImage, Version: spec.Version, Users: spec.Users, PodConnections: spec.PodConnections,
		Timeouts: spec.Timeouts, Parallel: spec.Parallel, Prewarm: spec.Prewarm, AgentInjection: spec.AgentInjection, Prepared: prepared,
		Steps: spec.Graph.All(), Inputs: spec.InputDigest, Metadata: spec.Metadata, Outputs: outputs,
	}
}

// toSpec returns the run that is described.
func (c engineConfig) toSpec() (*workflow.Spec, error) {
	graph, err := workflow.NewGraph(c.Steps)
	if err != nil {
		return nil, fmt.Errorf("read the engine's configuration: %w", err)
	}
	return &workflow.Spec{
		ID: c.Run, Graph: graph, InputDigest: c.Inputs, Namespace: c.Namespace, Location: c.Location, Registry: c.Registry, AgentImage: c.AgentImage, Version: c.Version, Users: c.Users, PodConnections: c.PodConnections,
		Timeouts: c.Timeouts, Parallel: c.Parallel, Prewarm: c.Prewarm, AgentInjection: c.AgentInjection, Metadata: c.Metadata,
	}, nil
}

func (c engineConfig) encodeConfig() (string, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode run %q for its engine: %w", c.Run, err)
	}
	return string(text), nil
}

// configReserve is the size of what is only known when the engine is started: the policies of the namespace, and commands that are read
// from images.
const configReserve = 128 << 10

// CheckSize returns an [objectsize.Error] if the configuration of an engine for this run would not fit into a ConfigMap.
func CheckSize(spec *workflow.Spec, outputs []string) error {
	text, err := newEngineConfig(spec, engine.Prepared{Injection: workflow.InjectInitContainer}, outputs).encodeConfig()
	if err != nil {
		return err
	}
	if limit := objectsize.MaxData - configReserve; len(text) > limit {
		return &objectsize.Error{Part: objectsize.Data, Size: len(text), Limit: limit}
	}
	return nil
}

func parseEngineConfig(text []byte) (config engineConfig, err error) {
	if err := json.Unmarshal(text, &config); err != nil {
		return config, fmt.Errorf("read the engine's configuration: %w", err)
	}
	return config, nil
}

// newConfigMap returns the ConfigMap with the configuration of an engine. It is separate from the run's record, which is written every few
// seconds.
func newConfigMap(ref workflow.Ref) *corev1.ConfigMap {
	object := &corev1.ConfigMap{ObjectMeta: ref.Meta()}
	object.Name = ref.EngineName()
	return object
}

// hasSameConfig reports whether the engine of a run has the configuration that it would get now.
func hasSameConfig(ctx context.Context, client *kube.Client, spec *workflow.Spec) (bool, error) {
	object := newConfigMap(spec.Ref())
	if err := client.Get(ctx, object); err != nil {
		return false, fmt.Errorf("read the configuration of the engine, %s: %w", kube.Describe(object), err)
	}
	config, err := parseEngineConfig([]byte(object.Data[jobspec.EngineConfigFile]))
	if err != nil {
		return false, err
	}
	wanted := newEngineConfig(spec, config.Prepared, config.Outputs)
	wanted.Account = config.Account
	text, err := wanted.encodeConfig()
	if err != nil {
		return false, err
	}
	if wanted, err = parseEngineConfig([]byte(text)); err != nil { // quantities have several notations
		return false, err
	}
	return equality.Semantic.DeepEqual(config, wanted), nil
}

// readOutputPaths returns the paths to keep, which may have changed since the engine was started.
func readOutputPaths(ctx context.Context, client *kube.Client, ref workflow.Ref) ([]string, error) {
	object := newConfigMap(ref)
	if err := client.Get(ctx, object); err != nil {
		return nil, fmt.Errorf("read which outputs to keep, %s: %w", kube.Describe(object), err)
	}
	config, err := parseEngineConfig([]byte(object.Data[jobspec.EngineConfigFile]))
	return config.Outputs, err
}

// SetOutputs writes which outputs the engine has to keep at the end of the run.
func SetOutputs(ctx context.Context, client *kube.Client, ref workflow.Ref, outputs []string) error {
	object := newConfigMap(ref)
	err := client.Get(ctx, object)
	var config engineConfig
	if err == nil {
		config, err = parseEngineConfig([]byte(object.Data[jobspec.EngineConfigFile]))
	}
	if err == nil {
		config.Outputs = outputs
		object.Data[jobspec.EngineConfigFile], err = config.encodeConfig()
	}
	if err == nil {
		err = client.Update(ctx, object)
	}
	if err != nil {
		return fmt.Errorf("write which outputs the engine of run %q has to keep, %s: %w", ref.ID, kube.Describe(object), err)
	}
	return nil
}

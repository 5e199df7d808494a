package namespace

import "strings"

// PodSecurity contains the levels of Pod Security admission; an empty level leaves the cluster's default.
type PodSecurity struct {
	Enforce, Audit, Warn string // one of PodSecurityLevels
	Version              string // of the levels' definition, for example "v1.35"; empty means "latest"
}

// PodSecurityLevels returns the levels that Kubernetes defines, from privileged to restricted.
func PodSecurityLevels() []string { return []string{"privileged", "baseline", "restricted"} }

// PodSecurityPrefix is the prefix of the labels of Pod Security admission.
const PodSecurityPrefix = "pod-security.kubernetes.io/"

func (p PodSecurity) toLabels() map[string]string {
	labels := map[string]string{}
	for mode, level := range map[string]string{"enforce": p.Enforce, "audit": p.Audit, "warn": p.Warn} {
		if level == "" {
			continue
		}
		labels[PodSecurityPrefix+mode] = level
		if p.Version != "" {
			labels[PodSecurityPrefix+mode+"-version"] = p.Version
		}
	}
	return labels
}

// takePodSecurity removes the levels from labels and returns them.
func takePodSecurity(labels map[string]string) PodSecurity {
	p := PodSecurity{
		Enforce: labels[PodSecurityPrefix+"enforce"], Audit: labels[PodSecurityPrefix+"audit"], Warn: labels[PodSecurityPrefix+"warn"],
	}
	for key, value := range labels {
		if !strings.HasPrefix(key, PodSecurityPrefix) {
			continue
		}
		if strings.HasSuffix(key, "-version") {
			p.Version = value
		}
		delete(labels, key)
	}
	return p
}

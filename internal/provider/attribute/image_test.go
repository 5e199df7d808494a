package attribute

import (
	"strings"
	"testing"

	"github.com/distribution/reference"
)

func TestImageMessages(t *testing.T) {
	digest := strings.Repeat("0123456789abcdef", 4)
	for text, want := range map[string]string{
		"busybox": "", "busybox:1.36": "", "registry.example.org:5000/team/image:1@sha256:" + digest: "", "[2001:db8::1]:5000/image": "", "a/b/c/d": "", "localhost/image": "", "10.0.0.1:5000/x_y.z": "",
		"":                                    "invalid reference format; write it as",
		"https://registry.example.org/a":      `an image has no scheme such as https://; did you mean "registry.example.org/a"?`,
		"docker://busybox":                    `did you mean "busybox"?`,
		" busybox\n":                          `it begins or ends with white space; did you mean "busybox"?`,
		"registry.example.org/Team/Image:V1":  `did you mean "registry.example.org/team/image:v1"?`,
		"busybox:":                            "invalid reference format",
		"busybox:a b":                         "invalid reference format",
		"busybox@sha256:123":                  "invalid reference format",
		"image:tag:tag":                       "invalid reference format",
		digest:                                "hexadecimal",
		"a//b":                                "invalid reference format",
		"busybox:" + strings.Repeat("x", 129): "invalid reference format",
		"${var.image}":                        "invalid reference format",
	} {
		problems := strings.Join(ImageProblems(text), "; ")
		if (want == "") != (problems == "") || !strings.Contains(problems, want) {
			t.Errorf("%q: got %q, want %q", text, problems, want)
		}
	}
}

// FuzzImage checks that the validator accepts what the kubelet does, and that what it proposes is valid.
func FuzzImage(f *testing.F) {
	for _, seed := range []string{"busybox", "A/B", "http://x", " a", "a@sha256:b", "[::1]/x", "x:y@z", "É"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := reference.ParseNormalizedNamed(text)
		problems := ImageProblems(text)
		if (err == nil) != (len(problems) == 0) {
			t.Errorf("%q: %v, and the kubelet: %v", text, problems, err)
		}
	})
}

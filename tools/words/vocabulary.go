package main

import "regexp"

// documents are the files and directories whose text is checked.
var documents = []string{
	"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "SUPPORT.md", ".github",
	"Makefile", ".ci", "tools/quickstart", "docs", "templates", "examples", "test/cluster/README.md",
}

// sources are the directories of Go packages whose string literals and comments are checked. Tests are not.
var sources = []string{"main.go", "cmd", "internal", "tools", "test"}

// rule is a word or phrase that is not used, and its replacements.
type rule struct {
	pattern *regexp.Regexp
	instead string
	allowed *regexp.Regexp // a longer match around the pattern that is correct; nil: none
}

// word returns a rule for a pattern between word boundaries, in lower or upper case.
func word(pattern, instead string) rule {
	return rule{pattern: regexp.MustCompile(`(?i)\b(?:` + pattern + `)\b`), instead: instead}
}

// except adds a pattern of correct uses to a rule.
func (r rule) except(pattern string) rule {
	r.allowed = regexp.MustCompile(`(?i)` + pattern)
	return r
}

// vocabulary contains all rules. Prefer phrases to single words, so that there are few exceptions.
var vocabulary = []rule{
	// Phrases.
	word(`in the place of|(takes?|took|taken|stands?) (in )?(the|its) place`, "instead of, replaces"),
	word(`anew|once more`, "again, from scratch"),
	word(`(an)?other run follows|makes? (an|no )other run`, "starts a new run, runs all steps again"),
	word(`stands? (in|there|here|as|beside)|stood (in|there)`, "is in, is stored in, wins"),
	word(`tells?|told|telling`, "shows, reports, returns, prints"),
	word(`end(s|ed)? well`, "succeeds, exits with code 0"),
	word(`at once`, "immediately, concurrently, atomically"),
	word(`puts? (it|this|them|that) right|put right`, "repairs, reconciles"),
	word(`heal(s|ed)?`, "repairs, reconciles"),
	word(`carr(y|ies|ied|ying) (it |the run |a run |them |run "\$RUN" )?on`, "runs, continues"),
	word(`go(es)? on|went on|going on`, "continues, runs"),
	word(`tak(e|es|en|ing) (it |the run |a run )?up|took (it )?up`, "resumes, adopts"),
	word(`gets? on`, "progresses"),
	word(`h(o|e)lds? (it|a run|the run|what) up|held up`, "blocks, delays, is waiting for"),
	word(`this machine`, "the machine that runs Terraform"),
	word(`of (its|their|your|our|his) own|an own`, "dedicated, separate, custom"),
	word(`a (sentence|line) each|a Job a step`, "one message per item, one Job per step"),
	word(`be it`, "such as, even if"),
	word(`in clear`, "in plaintext"),
	word(`good (for|until)`, "valid for, valid until"),
	word(`(is|are) no (drift|error|file|quantity|URL|digest|duration|secret|test|place)`, "is not a …").except(`there (is|are) no \w+`),
	word(`is not one`, "is invalid"),
	word(`lets (us|nobody|anybody|him|you) \w+`, "needs permission to, accepts, does not allow"),
	word(`left to itself`, "detached"),

	// Words.
	word(`folders?`, "directory"),
	word(`rights|lacks a right|the right to`, "permissions"),
	word(`dial(s|led|ling)?`, "connect").except(`dial tcp|(?-i:Dial)`),
	word(`mint(s|ed|ing)?`, "request, issue"),
	word(`authorit(y|ies)`, "CA, CA certificates").except(`certificate-authority(-data)?`),
	word(`truth values?`, "boolean (true or false)"),
	word(`whoever|somebody|anybody|nobody`, "the name of the actor, no other process").except(`nobody:\S*|nobody\.invalid`),
	word(`grace`, "timeout").except(`grace period|\\nGrace|"Grace"|Ada.*Grace`),
	word(`further`, "additional, other"),
	word(`doubtful`, "a warning that names the problem"),

	// Fan-out steps.
	word(`(a )?steps? that (is|are) many|one of (the )?many|makes? (the|a) step many`, "fan-out step, index"),
	word(`parts of (a|the) step`, "indexes of a fan-out step"),
	word(`standing sets?`, "file set"),
	word(`file layer`, "stored files, Redis data format"),

	// Names that were never released.
	word(`cluster_url|BRANE_REDIS_CLUSTER_URL`, "pod_url, BRANE_REDIS_POD_URL"),
	word(`BRANE_CONFIG_DIR`, "BRANE_CONTROL_PLANE_DIRECTORY"),
	word(`image_grace|scheduling_grace`, "startup_timeout, scheduling_timeout"),
	word(`start_ahead`, "prewarm"),
	word(`agent_volume`, "agent_injection"),
	word(`on_cancel`, "on_interrupt"),
	word(`on_destroy`, "deletion_policy"),
	word(`env_wo`, "secret_env_wo"),
	word(`max_failed`, "max_failed_indexes"),
	word(`outputs_layer`, "outputs_digest"),
	word(`reported_at`, "report_written_at"),
	word("Environment: `", "Can also be set with the `X` environment variable."),
	word(`[0-9]+h0m0s|[0-9]+m0s`, "1h, 10m"),
}

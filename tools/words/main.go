// Words checks the vocabulary of documents, messages and comments: it rejects words and phrases that have a standard replacement in
// Kubernetes, Terraform or plain English. `make docs-check` runs it in the root directory of the repository.
package main

import (
	"fmt"
	"os"
)

func main() {
	findings, err := check(os.DirFS("."), documents, sources)
	if err != nil {
		fmt.Fprintln(os.Stderr, "words:", err)
		os.Exit(2)
	}
	for _, finding := range findings {
		fmt.Println(finding)
	}
	if len(findings) > 0 {
		fmt.Fprintf(os.Stderr, "words: %d words have a standard replacement; see tools/words/vocabulary.go\n", len(findings))
		os.Exit(1)
	}
}

package documents

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is the root directory of the repository.
const root = "../.."

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tableRows returns the cells of all rows of the tables whose first column has this title.
func tableRows(text, title string) (rows [][]string) {
	isTable := false
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			isTable = false
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == title:
			isTable = true
		case isTable && !strings.HasPrefix(cells[0], "---"):
			rows = append(rows, cells)
		}
	}
	return rows
}

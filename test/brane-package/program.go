package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// program runs the function that the first argument names and prints its result as a mapping in JSON, which is also YAML.
func program(args []string) error {
	if len(args) == 0 {
		return errors.New("no function")
	}
	function, ok := functions[args[0]]
	if !ok {
		return fmt.Errorf("no function %q", args[0])
	}
	output, err := function()
	if err != nil {
		return err
	}
	if output == nil {
		fmt.Println("{}")
		return nil
	}
	text, err := json.Marshal(map[string]any{"output": output})
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	return nil
}

var functions = map[string]func() (any, error){
	// Functions of the probes, with each type as parameter and result.
	"echo":      func() (any, error) { return text("text"), nil },
	"successor": successor,
	"half":      func() (any, error) { x, err := strconv.ParseFloat(os.Getenv("X"), 64); return decimal(x / 2), err },
	"not":       func() (any, error) { return os.Getenv("B") != "true", nil },
	"nothing":   func() (any, error) { return nil, nil },
	"sum":       sum,
	"split":     func() (any, error) { return strings.Fields(text("text")), nil },
	"pair":      pair,
	"left":      func() (any, error) { return field("pair", "left"), nil },
	"copy":      copyFile,
	"tree":      tree,
	"noisy":     noisy,
	"large":     large,
	"variables": variables,
	// Functions that fail.
	"fails":  func() (any, error) { fmt.Println(`{"output": 1}`); os.Exit(3); return nil, nil },
	"crash":  func() (any, error) { return nil, errors.New("the abacus is full") },
	"killed": func() (any, error) { return nil, syscall.Kill(os.Getpid(), syscall.SIGKILL) },
	// Functions of the packages in the example.
	"lengths":  lengths,
	"describe": describe,
	"chart":    chart,
}

// isPlain reports whether arguments are plain JSON, as in Brane 1 and newer.
func isPlain() bool { return imitation{version: os.Getenv("BRANELET_VERSION")}.isPlain() }

// text returns a string argument.
func text(name string) string {
	value := os.Getenv(strings.ToUpper(name))
	if isPlain() {
		var decoded string
		_ = json.Unmarshal([]byte(value), &decoded) // the test checks the result
		return decoded
	}
	return value
}

// list returns the entries of an array argument.
func list(name string) []string {
	upper := strings.ToUpper(name)
	if isPlain() {
		var decoded []json.RawMessage
		_ = json.Unmarshal([]byte(os.Getenv(upper)), &decoded) // the test checks the result
		entries := make([]string, len(decoded))
		for i, entry := range decoded {
			entries[i] = string(entry)
		}
		return entries
	}
	count, _ := strconv.Atoi(os.Getenv(upper)) // set by branelet
	entries := make([]string, count)
	for i := range entries {
		entries[i] = os.Getenv(fmt.Sprintf("%s_%d", upper, i))
	}
	return entries
}

// field returns a property of a struct argument.
func field(name, property string) string {
	upper := strings.ToUpper(name)
	if isPlain() {
		var decoded [2]json.RawMessage
		var properties map[string]string
		_ = json.Unmarshal([]byte(os.Getenv(upper)), &decoded) // the test checks the result
		_ = json.Unmarshal(decoded[1], &properties)            // fields of other types are omitted
		return properties[property]
	}
	if (imitation{version: os.Getenv("BRANELET_VERSION")}).isEarly() {
		property = strings.ToUpper(property)
	}
	return os.Getenv(upper + "_" + property)
}

// file returns the path of a file or directory argument.
func file(name string) string {
	if isPlain() {
		return text(name)
	}
	return field(name, "url")
}

// decimal encodes a real with a fraction; without one it would be an integer.
func decimal(x float64) json.RawMessage {
	written := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(written, ".") {
		written += ".0"
	}
	return json.RawMessage(written)
}

func successor() (any, error) {
	n, err := strconv.ParseInt(os.Getenv("N"), 10, 64)
	return n + 1, err
}

func sum() (any, error) {
	total := int64(0)
	for _, entry := range list("numbers") {
		n, err := strconv.ParseInt(entry, 10, 64)
		if err != nil {
			return nil, err
		}
		total += n
	}
	return total, nil
}

func pair() (any, error) {
	n, err := strconv.ParseInt(os.Getenv("RIGHT"), 10, 64)
	properties := map[string]any{"left": text("left"), "right": n}
	if isPlain() {
		return []any{"Pair", properties}, err
	}
	return properties, err
}

func copyFile() (any, error) {
	content, err := os.ReadFile(file("file"))
	if err != nil {
		return nil, err
	}
	at := file("file") + ".copy"
	return at, os.WriteFile(at, content, 0o600)
}

func tree() (any, error) {
	var found []string
	root := file("folder")
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, err = filepath.Rel(root, name)
			found = append(found, name)
		}
		return err
	})
	slices.Sort(found)
	return found, err
}

// noisy prints its result between log lines, one of which looks like a result.
func noisy() (any, error) {
	written, err := json.Marshal(map[string]any{"output": text("text")})
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "a warning: the sky is falling")
	fmt.Printf("step 1 of 2\nMA==\n--> START CAPTURE\n%s\n--> END CAPTURE\nstep 2 of 2\n", written)
	os.Exit(0)
	return nil, nil
}

func large() (any, error) {
	n, err := strconv.Atoi(os.Getenv("N"))
	return strings.Repeat("x", n), err
}

// variables returns Brane's environment variables, the working directory and the path of the program.
func variables() (any, error) {
	folder, err := os.Getwd()
	found := []string{"cwd=" + folder, "program=" + os.Args[0]}
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "BRANE_") || strings.HasPrefix(variable, "DEBUG") || strings.HasPrefix(variable, "ENABLE_") {
			found = append(found, variable)
		}
	}
	slices.Sort(found)
	return found, err
}

package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

//go:embed page.md.tmpl
var pageTemplate string

// pagePart is a part on the page; its report is nil if it was not measured.
type pagePart struct {
	*report
	Title, Description string
}

// IsMeasured reports whether the part was measured.
func (p pagePart) IsMeasured() bool { return p.report != nil }

// Anchor returns the fragment of the heading.
func (p pagePart) Anchor() string { return strings.ReplaceAll(strings.ToLower(p.Title), " ", "-") }

// Table returns the table of a part in Markdown.
func (p pagePart) Table() string {
	var text strings.Builder
	for i, row := range p.listRows() {
		text.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			text.WriteString("|" + strings.Repeat(" --- |", len(row)) + "\n")
		}
	}
	return text.String()
}

// Plots returns the names of the plots of a part.
func (p pagePart) Plots() (names []string) {
	for _, c := range p.Curves {
		if len(names) == 0 || names[len(names)-1] != c.Plot {
			names = append(names, c.Plot)
		}
	}
	return names
}

// Missed returns the number of limits that are not kept.
func (p pagePart) Missed() (n int) {
	for _, m := range p.Measurements {
		if !m.isMet() {
			n++
		}
	}
	return n
}

// Reasons returns the measurements whose limit has a reason.
func (p pagePart) Reasons() (all []measurement) {
	for _, m := range p.Measurements {
		if m.Limit != nil && m.Limit.Reason != "" {
			all = append(all, m)
		}
	}
	return all
}

// writePage writes the page performance.md and the plots of all reports into a directory.
func writePage(reports, directory string) error {
	plots := filepath.Join(directory, "performance")
	if err := errors.Join(os.RemoveAll(plots), os.MkdirAll(plots, 0o755)); err != nil {
		return err
	}
	var parts []pagePart
	for _, p := range listParts() {
		r, err := readReport(reports, p.name)
		if err != nil {
			return err
		}
		one := pagePart{r, p.title, p.description}
		if r != nil {
			for _, name := range one.Plots() {
				if err := writePlot(filepath.Join(plots, toFileName(name)), one.Curves, name); err != nil {
					return err
				}
			}
		}
		parts = append(parts, one)
	}
	text, err := renderPage(parts)
	return errors.Join(err, os.WriteFile(filepath.Join(directory, "performance.md"), []byte(text), 0o644)) //nolint:gosec // a document of the repository
}

// renderPage returns the page.
func renderPage(parts []pagePart) (string, error) {
	page, err := template.New("page").Funcs(template.FuncMap{"join": strings.Join, "file": toFileName}).Parse(pageTemplate)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = page.Execute(&text, parts)
	return text.String(), err
}

// writePlot writes a plot of the curves that belong to it.
func writePlot(file string, curves []curve, plot string) (err error) {
	var belonging []curve
	for _, c := range curves {
		if c.Plot == plot {
			belonging = append(belonging, c)
		}
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := drawPlot(belonging).Render(f); err != nil {
		return fmt.Errorf("draw the plot of %s: %w", plot, err)
	}
	return nil
}

// toFileName returns the file of a plot.
func toFileName(plot string) string {
	return regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(plot), "-") + ".svg"
}

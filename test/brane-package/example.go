package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// lengths returns the lengths of the words of a text.
func lengths() (any, error) {
	content, err := os.ReadFile(file("text"))
	if err != nil {
		return nil, err
	}
	found := []int{}
	for _, word := range strings.Fields(string(content)) {
		found = append(found, len([]rune(word)))
	}
	return found, nil
}

// describe returns statistics of numbers.
func describe() (any, error) {
	numbers, err := integers(list("numbers"))
	if err != nil || len(numbers) == 0 {
		return nil, errors.Join(err, errors.New("describe what?"))
	}
	total := 0
	for _, n := range numbers {
		total += n
	}
	return map[string]any{"count": len(numbers), "largest": slices.Max(numbers), "mean": decimal(float64(total) / float64(len(numbers)))}, nil
}

// chart writes a bar chart of how often each number occurs.
func chart() (any, error) {
	numbers, err := integers(list("numbers"))
	if err != nil {
		return nil, err
	}
	count := map[int]int{}
	for _, n := range numbers {
		count[n]++
	}
	var drawn strings.Builder
	fmt.Fprintln(&drawn, text("title"))
	for n := range slices.Max(append(numbers, 0)) {
		fmt.Fprintf(&drawn, "%2d %s\n", n+1, strings.Repeat("#", count[n+1]))
	}
	const at = "/data/chart.txt"
	return at, os.WriteFile(at, []byte(drawn.String()), 0o644) //nolint:gosec // readable by all users
}

func integers(texts []string) ([]int, error) {
	numbers := make([]int, len(texts))
	for i, text := range texts {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		numbers[i] = n
	}
	return numbers, nil
}

// Command vulnerabilities reads what `govulncheck -format json` prints, from its standard input, and prints a line for each
// vulnerability that the code calls. It fails on those that are in no list of those that were looked at: the file that is its
// argument, an id and a reason a line.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// message is one of govulncheck's: https://pkg.go.dev/golang.org/x/vuln/internal/govulncheck.
type message struct {
	OSV     *struct{ ID, Summary string }
	Finding *struct {
		OSV          string
		FixedVersion string `json:"fixed_version"`
		Trace        []struct{ Module, Version, Function string }
	}
}

// found is a vulnerability of which a function is called.
type found struct{ id, module, version, fixed string }

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "vulnerabilities:", err)
		os.Exit(1)
	}
}

func run(list string) error {
	known, err := reasons(list)
	if err != nil {
		return err
	}
	summaries := map[string]string{}
	var all []found
	for in := json.NewDecoder(os.Stdin); ; {
		var m message
		err := in.Decode(&m)
		switch {
		case errors.Is(err, io.EOF):
			return report(all, summaries, known)
		case err != nil:
			return fmt.Errorf("what govulncheck prints: %w", err)
		case m.OSV != nil:
			summaries[m.OSV.ID] = m.OSV.Summary
		case m.Finding != nil && m.Finding.Trace[0].Function != "":
			at := m.Finding.Trace[0]
			if f := (found{m.Finding.OSV, at.Module, at.Version, m.Finding.FixedVersion}); !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
}

func report(all []found, summaries, known map[string]string) error {
	if len(summaries) == 0 {
		return errors.New("govulncheck knows of no vulnerability at all: it has not run")
	}
	unknown := 0
	for _, f := range all {
		why := known[f.id]
		if f.module == "stdlib" {
			why = "of Go itself: build with " + f.fixed
		}
		if why == "" {
			unknown++
			why = "NOT LOOKED AT: go get " + f.module + "@" + f.fixed
		}
		fmt.Printf("%s %s %s: %s\n  %s\n", f.id, f.module, f.version, summaries[f.id], why)
	}
	if unknown > 0 {
		return fmt.Errorf("%d vulnerabilities that the code calls were not looked at", unknown)
	}
	return nil
}

func reasons(list string) (map[string]string, error) {
	file, err := os.Open(list)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	known := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if id, why, ok := strings.Cut(lines.Text(), " "); ok && !strings.HasPrefix(id, "#") {
			known[id] = why
		}
	}
	return known, lines.Err()
}

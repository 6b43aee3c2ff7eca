// Command licences prints the licence of each module that it reads from its standard input, one "path version folder" a line, as
// a table of Markdown. It fails on a licence that is not of the permissive ones, and on a module without any.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// permissive licences ask for no more than that their text goes along.
var permissive = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "0BSD", "Unlicense", "CC0-1.0"}

// weak copyleft asks for the source of its own files alone, which a build from unchanged modules has.
var weak = []string{"MPL-2.0", "MPL-2.0-no-copyleft-exception"}

// known is how much of a file must be the text of licences for the file to be one, in percent.
const known = 75

var fileName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([.-](txt|md|rst|[a-z0-9-]+))?$`)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run() error {
	fmt.Print("| module | version | licence |\n|---|---|---|\n")
	var errs []error
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		path, rest, _ := strings.Cut(lines.Text(), " ")
		version, folder, _ := strings.Cut(rest, " ")
		found, err := licencesIn(folder)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", path, version, err))
			continue
		}
		fmt.Printf("| %s | %s | %s |\n", path, version, strings.Join(found, ", "))
	}
	return errors.Join(append(errs, lines.Err())...)
}

// licencesIn returns the licences in the files of a module's root that are called so.
func licencesIn(folder string) (all []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() || strings.HasSuffix(e.Name(), ".go") || !fileName.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		coverage := licensecheck.Scan(text)
		if coverage.Percent < known {
			return nil, fmt.Errorf("%s is not a licence that is known (%.0f %% of it is): read it", e.Name(), coverage.Percent)
		}
		for _, m := range coverage.Match {
			if !slices.Contains(permissive, m.ID) && !slices.Contains(weak, m.ID) {
				return nil, fmt.Errorf("%s is %s, which is none of %s", e.Name(), m.ID, strings.Join(slices.Concat(permissive, weak), ", "))
			}
			all = append(all, m.ID)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("it has no licence")
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

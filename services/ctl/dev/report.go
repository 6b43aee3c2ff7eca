package dev

import (
	"errors"
	"fmt"
	"strings"
)

// report collects what was checked.
type report struct {
	lines  []string
	failed []error
}

func (r *report) add(name, said string, err error) {
	mark := "ok  "
	if err != nil {
		mark = "FAIL"
		r.failed = append(r.failed, fmt.Errorf("%s: %w", name, err))
		said = strings.TrimPrefix(said+"; "+err.Error(), "; ")
	}
	r.lines = append(r.lines, fmt.Sprintf("%s  %s: %s", mark, name, said))
}

// String returns the summary, a line a check.
func (r *report) String() string { return strings.Join(r.lines, "\n") }

func (r *report) err() error { return errors.Join(r.failed...) }

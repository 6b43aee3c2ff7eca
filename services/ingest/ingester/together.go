package ingester

import (
	"fmt"
	"slices"
	"strings"

	"github.com/freshet-io/freshet/libs/fault"
)

// maxReasons bounds the text of a letter: a message of Canal's may have thousands of rows.
const maxReasons = 10

// together is why a record is a dead letter of which several rows or pipelines failed: a record has one letter, with the
// reason of the first of them, whose item is the letter's. The text has those of all, each once.
func together(errs []error) error {
	var texts []string
	for _, err := range errs {
		if text := err.Error(); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	if len(texts) < 2 {
		return errs[0]
	}
	reason := fault.ReasonOf(errs[0])
	texts[0] = strings.TrimPrefix(texts[0], string(reason)+": ")
	if more := len(texts) - maxReasons; more > 0 {
		texts = append(texts[:maxReasons], fmt.Sprintf("%d more", more))
	}
	return fault.Reject(reason, "%s", strings.Join(texts, "; and "))
}

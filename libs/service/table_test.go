package service

import (
	"strings"
	"testing"
)

// A terminal of 80 columns breaks no line of what settings are for.
func TestTable_fitsATerminal(t *testing.T) {
	var cfg struct {
		Config `inline:"true"`
		Kafka  cluster
		Other  struct {
			ClusterOfAVeryLongName cluster `inherit:"KAFKA"`
		}
	}
	out := Table(Settings(&cfg))
	if !strings.Contains(out, "\n      ") || !strings.Contains(out, "  FRESHET_LOG_LEVEL  `info`\n") {
		t.Errorf("it is not a name and a default, and below what it is for:\n%s", out)
	}
	for line := range strings.Lines(out) {
		if len([]rune(line)) > terminal+1 {
			t.Errorf("%d cells: %s", len([]rune(line)), line)
		}
	}
}

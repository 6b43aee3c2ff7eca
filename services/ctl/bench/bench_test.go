package bench_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/services/ctl/bench"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryBenchmarkPrintsOneLineOfFiguresAndNothingElse(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers: not under -short")
	}
	if _, err := local.WeaviatePath(); err != nil && os.Getenv("CI") != "true" {
		t.Skipf("SKIPPED, NOT TESTED: %v", err)
	}
	for _, name := range bench.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			o := bench.Options{Names: []string{name}, JSON: true, Tiny: true, Out: &out, Progress: t.Output()}
			if err := bench.Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			var report bench.Report
			decoder := json.NewDecoder(&out)
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&report); err != nil || decoder.More() {
				t.Fatalf("the output is not one report: %v", err)
			}
			if report.Name != name || report.Commit == "" || report.Machine == "" || len(report.Figures) == 0 {
				t.Errorf("the report lacks something: %+v", report)
			}
			for _, f := range report.Figures {
				if f.Floor <= 0 || f.Value == 0 || f.Unit == "" || (f.Goal == nil) != (f.Met == nil) {
					t.Errorf("the figure lacks something: %+v", f)
				}
			}
		})
	}
}

func TestAnUnknownBenchmarkIsRefusedBeforeAnythingIsMeasured(t *testing.T) {
	start := time.Now()
	err := bench.Run(t.Context(), bench.Options{Names: []string{"ingest", "wirte"}, Tiny: true})
	if err == nil || time.Since(start) > time.Second {
		t.Errorf("it answered %v after %s", err, time.Since(start))
	}
}

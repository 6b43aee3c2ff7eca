package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/service"
)

// measure has this binary measure, as `make bench` does, and not test.
var (
	measure = flag.Bool("measure", false, "measure what is named, or all: "+strings.Join(Names(), ", "))
	output  = flag.String("o", "table", "table, or json: a line a benchmark")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *measure {
		os.Exit(measured())
	}
	goleak.VerifyTestMain(m)
}

func measured() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := Run(ctx, Options{Names: flag.Args(), JSON: *output == "json", Out: os.Stdout, Progress: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return service.ExitFailure
	}
	return service.ExitOK
}

func TestEveryBenchmarkPrintsOneLineOfFiguresAndNothingElse(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers: not under -short")
	}
	if _, err := local.WeaviatePath(); err != nil && os.Getenv("CI") != "true" {
		t.Skipf("SKIPPED, NOT TESTED: %v", err)
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			o := Options{Names: []string{name}, JSON: true, Tiny: true, Out: &out, Progress: t.Output()}
			if err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			var report Report
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
	err := Run(t.Context(), Options{Names: []string{"ingest", "wirte"}, Tiny: true})
	if err == nil || time.Since(start) > time.Second {
		t.Errorf("it answered %v after %s", err, time.Since(start))
	}
}

func TestWhatAllComesAtOnceHasAPaceToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		time.Sleep(2 * time.Second)
		p.add(100)
		p.add(300)
		if got := p.rate().perSecond; got != 200 {
			t.Errorf("400 items in one mark after 2s: %v a second", got)
		}
		time.Sleep(time.Second)
		p.add(100)
		if got := p.rate().perSecond; got != 100 {
			t.Errorf("100 more after a second: %v a second", got)
		}
	})
}

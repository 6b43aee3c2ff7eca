package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/services/ctl/inspect"
)

func TestJudge_theExitCodesAreThoseOfMonitoringPlugins(t *testing.T) {
	wrong, unasked := inspect.Cause{Code: inspect.CauseStageDown}, inspect.Cause{Code: inspect.CauseUnknown}
	for _, tt := range []struct {
		status      inspect.Status
		code, check int
	}{
		{inspect.Status{}, 0, 0},
		{inspect.Status{Unknown: []string{"the dead letters: no right to read them"}}, 0, 3},
		{inspect.Status{Trouble: []inspect.Cause{wrong}}, 0, 2},
		{inspect.Status{Trouble: []inspect.Cause{unasked}}, 3, 3},
		{inspect.Status{Trouble: []inspect.Cause{wrong, unasked}}, 3, 2},
	} {
		for check, want := range map[bool]int{false: tt.code, true: tt.check} {
			err := judge(&tt.status, check)
			if code, _ := errors.AsType[exitCode](err); int(code) != want || (err == nil) != (want == 0) {
				t.Errorf("%+v, --check %t: %v, want %d", tt.status, check, err, want)
			}
		}
	}
}

func TestWriteStatus_saysFirstHowItIs(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status inspect.Status
		want   string
	}{
		{"well", inspect.Status{}, "all well      nothing is known to be wrong\n\n"},
		{"no admin ports are named", inspect.Status{Unknown: []string{"the metrics"}}, "no trouble    nothing is known to be wrong, and not all was looked at\nnot known     the metrics\n\n"},
		{
			"embed is down, and a Weaviate that is away", inspect.Status{
				Trouble: []inspect.Cause{{Code: inspect.CauseStageDown, Summary: "no embed"}, {Code: inspect.CauseUnknown, Summary: "no Weaviate", Do: "look"}}, Unknown: []string{"the index"},
			}, "trouble       no embed (stage-down)\nnot known     no Weaviate (unknown)\n              → look\n              the index\n\n",
		},
	} {
		var out strings.Builder
		if err := writeStatus(&out, &tt.status, pipeWidth); err != nil || !strings.HasPrefix(out.String(), tt.want) {
			t.Errorf("%s: %v\n%s", tt.name, err, out.String())
		}
	}
}

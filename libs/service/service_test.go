package service

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/record"
	"github.com/freshet-io/freshet/libs/telemetry"
)

type lamp struct {
	Colour string `required:"true" desc:"colour of the lamp"`
	Watts  int    `default:"5" desc:"power of the lamp"`
}

// runMain runs a service as Main does; its admin port is any free one.
func runMain(args, environ []string, run func(context.Context, *Process, lamp) error) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	code = mainCode("freshet-lamp", args, append([]string{"FRESHET_ADMIN_ADDRESS=127.0.0.1:0"}, environ...), &out, &errs, run)
	return code, out.String(), errs.String()
}

func mustNotRun(t *testing.T) func(context.Context, *Process, lamp) error {
	t.Helper()
	return func(context.Context, *Process, lamp) error {
		t.Error("the service ran")
		return nil
	}
}

func TestMain_anArgumentIsAnsweredWithoutASettingAndNothingRuns(t *testing.T) {
	for _, tt := range []struct {
		argument       string
		code           int
		stdout, stderr string // a part of it; "" for nothing at all
	}{
		{"--help", ExitOK, "FRESHET_COLOUR", ""},
		{"-h", ExitOK, "FRESHET_WATTS", ""},
		{"--version", ExitOK, "freshet-lamp " + Version + "\n", ""},
		{"--config-table", ExitOK, "| `FRESHET_WATTS` | `5` | power of the lamp |\n", ""},
		{"--colour=red", ExitUsage, "", `unknown argument "--colour=red"`},
	} {
		t.Run(tt.argument, func(t *testing.T) {
			code, stdout, stderr := runMain([]string{tt.argument}, nil, mustNotRun(t))
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, stream := range []struct{ name, got, want string }{{"stdout", stdout, tt.stdout}, {"stderr", stderr, tt.stderr}} {
				if !strings.Contains(stream.got, stream.want) || (stream.want == "") != (stream.got == "") {
					t.Errorf("%s is %q, want %q in it", stream.name, stream.got, stream.want)
				}
			}
		})
	}
}

func TestMain_aBadConfigurationIsOneTextThatNamesEveryFault(t *testing.T) {
	for name, tt := range map[string]struct {
		environ []string
		want    []string
	}{
		"values that cannot be read": {
			[]string{"FRESHET_WATTS=many", "FRESHET_LOG_LEVEL=loud"},
			[]string{"FRESHET_COLOUR is not set: colour of the lamp", `FRESHET_WATTS: "many" is no whole number`, `FRESHET_LOG_LEVEL: "loud"`},
		},
		"values that can be read and cannot be": {
			[]string{"FRESHET_COLOUR=red", "FRESHET_LOG_FORMAT=xml", "FRESHET_TRACES_EXPORTER=zipkin", "FRESHET_TRACES_SAMPLE_RATIO=1.5"},
			[]string{`FRESHET_LOG_FORMAT is "xml": it must be json or text`, `FRESHET_TRACES_EXPORTER is "zipkin": it must be none or otlp`, "FRESHET_TRACES_SAMPLE_RATIO is 1.5: it must be 0 to 1"},
		},
		"both, and a name that is almost one": {
			[]string{"FRESHET_COLOR=red", "FRESHET_LOG_LEVEL=loud", "FRESHET_METRICS_EXPORTER=paper", "FRESHET_ADMIN_ADDRESS=99999"},
			[]string{
				"FRESHET_COLOUR is not set: colour of the lamp", `FRESHET_LOG_LEVEL: "loud" is no level: debug, info, warn or error`,
				`FRESHET_METRICS_EXPORTER is "paper": it must be none or otlp`, `FRESHET_ADMIN_ADDRESS is "99999": it must be host:port`,
				"FRESHET_COLOR is no setting: FRESHET_COLOUR is probably meant",
			},
		},
		"a part whose other variable cannot be read is not asked": {
			[]string{"FRESHET_COLOUR=red", "FRESHET_WATTS=many", "FRESHET_TRACES_SAMPLE_RATIO=all"},
			[]string{`FRESHET_WATTS: "many" is no whole number`, `FRESHET_TRACES_SAMPLE_RATIO: "all" is no number`},
		},
		"a ratio below zero": {
			[]string{"FRESHET_COLOUR=red", "FRESHET_TRACES_SAMPLE_RATIO=-0.1"},
			[]string{"FRESHET_TRACES_SAMPLE_RATIO is -0.1: it must be 0 to 1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := runMain(nil, tt.environ, mustNotRun(t))
			if code != ExitUsage || stdout != "" {
				t.Errorf("exit code %d and stdout %q, want %d and nothing", code, stdout, ExitUsage)
			}
			if !strings.HasPrefix(stderr, "freshet-lamp: ") || strings.Contains(stderr, "goroutine") {
				t.Errorf("stderr is no plain text: %s", stderr)
			}
			for _, want := range tt.want {
				if strings.Count(stderr, want) != 1 {
					t.Errorf("stderr does not say once %q:\n%s", want, stderr)
				}
			}
		})
	}
}

func TestMain_theExitCodeSaysHowARunEnded(t *testing.T) {
	broken := errors.New("the bulb is broken")
	// What a signal does is tested with a signal: the process sends it to itself.
	terminated := func(ctx context.Context) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
	for name, tt := range map[string]struct {
		run  func(context.Context) error
		code int
		log  string // a part of the last line
	}{
		"it is done":                     {func(context.Context) error { return nil }, ExitOK, `"msg":"stopped"`},
		"a signal stopped it":            {terminated, ExitOK, `"msg":"stopped"`},
		"a fault stopped it":             {func(context.Context) error { return broken }, ExitFailure, `"error":"the bulb is broken"`},
		"a fault while a signal stops":   {func(ctx context.Context) error { _ = terminated(ctx); return broken }, ExitFailure, "the bulb is broken"},
		"a cancelled call, not a signal": {func(context.Context) error { return context.Canceled }, ExitFailure, "context canceled"},
		"a fatal fault says what to do":  {func(context.Context) error { return fault.Halt("screw in a bulb") }, ExitFailure, "screw in a bulb"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := runMain(nil, []string{"FRESHET_COLOUR=red"}, func(ctx context.Context, _ *Process, l lamp) error {
				if l != (lamp{"red", 5}) {
					t.Errorf("the service got %+v", l)
				}
				return tt.run(ctx)
			})
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			if last := lines[len(lines)-1]; !strings.Contains(last, tt.log) {
				t.Errorf("the last line is %s, want %s in it", last, tt.log)
			}
		})
	}
}

func TestMain_anAdminAddressThatIsNoneIsASettingThatIsWrong(t *testing.T) {
	for _, address := range []string{"99999", ":99999", "127.0.0.1:no", "127.0.0.1", "::1:9090"} {
		code, _, stderr := runMain(nil, []string{"FRESHET_COLOUR=red", "FRESHET_ADMIN_ADDRESS=" + address}, mustNotRun(t))
		if code != ExitUsage || !strings.Contains(stderr, "FRESHET_ADMIN_ADDRESS is ") {
			t.Errorf("%s: exit code %d, want %d; stderr: %s", address, code, ExitUsage, stderr)
		}
	}
}

func TestMain_anAdminAddressInUseStopsTheStart(t *testing.T) {
	other, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	code, _, stderr := runMain(nil, []string{"FRESHET_COLOUR=red", "FRESHET_ADMIN_ADDRESS=" + other.Addr().String()}, mustNotRun(t))
	if code != ExitFailure || !strings.Contains(stderr, "starting the admin port") {
		t.Errorf("exit code %d, want %d; stderr: %s", code, ExitFailure, stderr)
	}
}

func TestMain_warnsOfASettingThatIsAlmostAKnownOne(t *testing.T) {
	_, _, stderr := runMain(nil, []string{"FRESHET_COLOUR=red", "FRESHET_WATT=7"}, func(context.Context, *Process, lamp) error { return nil })
	if !strings.Contains(stderr, `"setting":"FRESHET_WATT","probably_meant":"FRESHET_WATTS"`) {
		t.Errorf("no warning of FRESHET_WATT: %s", stderr)
	}
}

func TestMain_aCollectorThatHangsMakesNoFaultOfAStop(t *testing.T) {
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // it takes connections, and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+silent.Addr().String())
	code, _, stderr := runMain(nil, []string{"FRESHET_COLOUR=red", "FRESHET_TRACES_EXPORTER=otlp"}, func(_ context.Context, p *Process, _ lamp) error {
		item := p.Telemetry.Begin(nil, nil, nil, true)
		p.Telemetry.NewBatch("lamps", record.Written).End([]telemetry.Member{{Identity: telemetry.Identity{Item: &item}, Told: true}}, nil)
		time.Sleep(time.Second) // it is on its way to the collector by then, or goes there at the stop
		return nil
	})
	if code != ExitOK || !strings.Contains(stderr, "traces are not exported") {
		t.Errorf("exit code %d, want %d; stderr: %s", code, ExitOK, stderr)
	}
}

func TestMain_theHelpSaysThatASecretMayBeInAFileAndThatASwitchIsOff(t *testing.T) {
	type locked struct {
		Key    Secret `desc:"key of the lamp"`
		Dimmed bool   `desc:"whether it is dimmed"`
	}
	var out strings.Builder
	mainCode("freshet-lamp", []string{"--help"}, nil, &out, &out, func(context.Context, *Process, locked) error { return nil })
	if !strings.Contains(out.String(), "key of the lamp; or `FRESHET_KEY_FILE`") {
		t.Errorf("no word of FRESHET_KEY_FILE:\n%s", out.String())
	}
	if fields := strings.Fields(out.String()[strings.Index(out.String(), "FRESHET_DIMMED"):]); fields[1] != "`false`" {
		t.Errorf("FRESHET_DIMMED is %s where it is not set", fields[1])
	}
}

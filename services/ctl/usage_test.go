package main

import (
	"io"
	"testing"
)

func TestFreshet_saysWhatIsWrongWithFlagsAndArguments(t *testing.T) {
	for want, args := range map[string][]string{
		`--port: "70000" is no whole number, or one out of range (see freshet console --help)`:                                    {"console", "--port", "70000"},
		`--freshness: "1" is no duration: write it as 30s or 5m (see freshet plan --help)`:                                        {"plan", "--freshness", "1"},
		`--rate: "fast" is no number (see freshet plan --help)`:                                                                   {"plan", "--rate", "fast"},
		`unknown flag: --bogus (see freshet plan --help)`:                                                                         {"plan", "--bogus"},
		`unknown flag: --sampel, did you mean --sample? (see freshet plan --help)`:                                                {"plan", "--sampel", "x"},
		`unknown shorthand flag: 'x' in -x (see freshet plan --help)`:                                                             {"plan", "-x"},
		`call it as "freshet why ID | TOPIC/PARTITION/OFFSET [flags]", not with the arguments [] (see freshet why --help)`:        {"why"},
		`call it as "freshet why ID | TOPIC/PARTITION/OFFSET [flags]", not with the arguments ["a" "b"] (see freshet why --help)`: {"why", "a", "b"},
		`call it as "freshet plan [flags]", not with the arguments ["p.yaml"] (see freshet plan --help)`:                          {"plan", "p.yaml"},
		`unknown command "aply" for "freshet topics", did you mean apply? (see freshet topics --help)`:                            {"topics", "aply"},
		"unknown command \"sarch\" for \"freshet\"\n\nDid you mean this?\n\tsearch\n":                                             {"sarch"},
	} {
		cmd := rootCommand()
		cmd.SetArgs(args)
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		if err := cmd.ExecuteContext(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%q: got\n%v\nwant\n%s", args, err, want)
		}
	}
}

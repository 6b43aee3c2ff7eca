package intake_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTokens_areRotatedInTheirFileAndAnEmptyFileLetsNobodyIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tokens")
		age := time.Now()
		write := func(text string) {
			t.Helper()
			age = age.Add(time.Second)
			if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, age, age)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(6 * time.Second) // of virtual time: until the file is looked at again
		}
		write("first, second\n")
		b := newBed(t, "FRESHET_HTTP_TOKENS_FILE="+path)
		check := func(when string, want map[string]int) {
			t.Helper()
			for token, want := range want {
				status, _, _ := b.ask(t, request(t, "POST", "/v1/items?source=products", cup, "Authorization", "bearer "+token))
				if status != want {
					t.Errorf("%s, %q: %d, want %d", when, token, status, want)
				}
			}
		}
		check("at first", map[string]int{"first": 200, "second": 200, "third": 401, "": 401, "first, second": 401})
		write("second third")
		check("after the rotation", map[string]int{"first": 401, "second": 200, "third": 200})
		write("")
		check("after the file became empty", map[string]int{"first": 401, "second": 401, "": 401})
	})
}

func TestValidate_wantsToKnowWhoMaySend(t *testing.T) {
	for name, test := range map[string]struct {
		environ []string
		want    string
	}{
		"nobody":               {nil, "ALLOW_ANONYMOUS"},
		"an empty list":        {[]string{"FRESHET_HTTP_TOKENS= , "}, "ALLOW_ANONYMOUS"},
		"everybody, and some":  {[]string{"FRESHET_HTTP_TOKENS=a", "FRESHET_HTTP_ALLOW_ANONYMOUS=true"}, "which one is it"},
		"a certificate alone":  {[]string{"FRESHET_HTTP_TOKENS=a", "FRESHET_HTTP_TLS_CERT_FILE=x"}, "go together"},
		"clients without TLS":  {[]string{"FRESHET_HTTP_TLS_CLIENT_CA_FILE=x"}, "needs FRESHET_HTTP_TLS_CERT_FILE"},
		"no room for a body":   {[]string{"FRESHET_HTTP_TOKENS=a", "FRESHET_HTTP_MAX_IN_FLIGHT_BYTES=1000"}, "must hold the largest request"},
		"no time":              {[]string{"FRESHET_HTTP_TOKENS=a", "FRESHET_HTTP_WAIT=0s"}, "must be above 0"},
		"tokens":               {[]string{"FRESHET_HTTP_TOKENS=a"}, ""},
		"everybody":            {[]string{"FRESHET_HTTP_ALLOW_ANONYMOUS=true"}, ""},
		"nothing to be served": {[]string{"FRESHET_HTTP_ADDRESS="}, ""},
	} {
		_, err := settings(test.environ...)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestAnonymous_isTakenWhereItIsAllowed(t *testing.T) {
	b := newBed(t, "FRESHET_HTTP_TOKENS=", "FRESHET_HTTP_ALLOW_ANONYMOUS=true")
	if status, _, _ := b.ask(t, request(t, "POST", "/v1/items?source=products", cup, "Authorization", "")); status != 200 {
		t.Errorf("status %d", status)
	}
}

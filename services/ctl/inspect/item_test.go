package inspect

import "testing"

func TestTraceOf_onlyAnIdBecomesAPartOfALink(t *testing.T) {
	for header, want := range map[string]string{
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": "0af7651916cd43dd8448eb211c80319c",
		"00-../../logout?x=-b7ad6b7169203331-01":                  "",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01": "",
		"": "",
	} {
		if got := traceOf(header); got != want {
			t.Errorf("the trace of %q is %q, want %q", header, got, want)
		}
	}
}

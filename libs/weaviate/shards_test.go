package weaviate

import "testing"

func TestUnwritable_whoMayNotAskDoesNotKnow(t *testing.T) {
	for _, tt := range []struct {
		shards         string
		trouble, known bool
	}{
		{`[{"name":"a","status":"READY"}]`, false, true},
		{`[{"name":"a","status":"READY"},{"name":"b","status":"READONLY"}]`, true, true},
		{"", false, false},
	} {
		s := standIn{shards: tt.shards}
		s.serve(t, nil)
		cause, err := s.open(t, Config{}, traits{}).Unwritable(t.Context(), "Product")
		if (cause != nil) != tt.trouble || (err == nil) != tt.known {
			t.Errorf("of the shards %q: trouble %v, error %v", tt.shards, cause, err)
		}
	}
}

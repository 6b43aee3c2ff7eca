package builtin

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The right answers are read by the real client, in package openai.
func TestHandlerRefusesWhatOpenAIWould(t *testing.T) {
	h := Handler(load(t))
	tests := []struct {
		name, method, path, body string
		status                   int
		code                     string
	}{
		{"one string", "POST", "/v1/embeddings", `{"model":"use-lite","input":"tea"}`, 200, ""},
		{"dimensions that it has", "POST", "/v1/embeddings", `{"model":"use-lite","input":["tea"],"dimensions":512}`, 200, ""},
		{"dimensions that it has not", "POST", "/v1/embeddings", `{"model":"use-lite","input":["tea"],"dimensions":256}`, 400, ""},
		{"another model", "POST", "/v1/embeddings", `{"model":"gpt","input":["tea"]}`, 404, "model_not_found"},
		{"an empty text", "POST", "/v1/embeddings", `{"model":"use-lite","input":["tea",""]}`, 400, ""},
		{"no text", "POST", "/v1/embeddings", `{"model":"use-lite","input":[]}`, 400, ""},
		{"too many texts", "POST", "/v1/embeddings", `{"model":"use-lite","input":["a"` + strings.Repeat(`,"a"`, maxTexts) + `]}`, 400, ""},
		{"tokens instead of text", "POST", "/v1/embeddings", `{"model":"use-lite","input":[[1,2]]}`, 400, ""},
		{"another encoding", "POST", "/v1/embeddings", `{"model":"use-lite","input":["tea"],"encoding_format":"int8"}`, 400, ""},
		{"no JSON", "POST", "/v1/embeddings", `tea`, 400, ""},
		{"a body without end", "POST", "/v1/embeddings", `{"input":"` + strings.Repeat("x", maxRequest) + `"}`, 413, ""},
		{"another method", "GET", "/v1/embeddings", "", 405, ""},
		{"another path", "POST", "/v1/chat", "{}", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
			body, err := io.ReadAll(rec.Result().Body)
			if err != nil || rec.Code != tt.status {
				t.Fatalf("status %d, not %d: %.200s", rec.Code, tt.status, body)
			}
			var answer struct{ Error struct{ Code string } }
			if tt.code != "" && (json.Unmarshal(body, &answer) != nil || answer.Error.Code != tt.code) {
				t.Errorf("body is %s", body)
			}
			if rec.Code == http.StatusOK && !strings.Contains(string(body), `"embedding":[`) {
				t.Errorf("body is %.200s", body)
			}
		})
	}
}

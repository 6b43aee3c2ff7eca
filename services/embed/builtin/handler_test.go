package builtin

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The right answers are read by the real client, in package openai.
func TestHandlerAnswersAndRefusesAsOpenAIWould(t *testing.T) {
	h := Handler(load(t))
	tests := []struct {
		name, method, path, body string
		status                   int
		want                     string // in the body
	}{
		{"one string", "POST", "/v1/embeddings", `{"model":"use-lite","input":"tea"}`, 200, `"embedding":[`},
		{"nulls", "POST", "/v1/embeddings", `{"model":"use-lite","input":["tea"],"encoding_format":null,"dimensions":null,"user":"me"}`, 200, `"embedding":[`},
		{"base64", "POST", "/v1/embeddings", `{"model":"use-lite","input":["tea"],"encoding_format":"base64"}`, 200, `"embedding":"`},
		{"dimensions that it has", "POST", "/v1/embeddings", `{"model":"use-lite","input":["tea"],"dimensions":512}`, 200, `"usage":{"prompt_tokens":`},
		{"as many texts as there may be", "POST", "/v1/embeddings", `{"model":"use-lite","input":["茶"` + strings.Repeat(`,"茶"`, maxTexts-1) + `]}`, 200, `"index":2047`},
		{"dimensions that it has not", "POST", "/v1/embeddings", `{"model":"use-lite","input":["tea"],"dimensions":256}`, 400, `"param":"dimensions"`},
		{"another model", "POST", "/v1/embeddings", `{"model":"gpt","input":["tea"]}`, 404, `"code":"model_not_found"`},
		{"an empty text", "POST", "/v1/embeddings", `{"model":"use-lite","input":["tea",""]}`, 400, "text 2 of 2 is empty"},
		{"a long text", "POST", "/v1/embeddings", `{"model":"use-lite","input":["tea","` + strings.Repeat("x", maxText+1) + `"]}`, 400, "text 2 of 2 has 65537 bytes"},
		{"no text", "POST", "/v1/embeddings", `{"model":"use-lite","input":[]}`, 400, `"param":"input"`},
		{"too many texts", "POST", "/v1/embeddings", `{"model":"use-lite","input":["a"` + strings.Repeat(`,"a"`, maxTexts) + `]}`, 400, "2049 texts"},
		{"tokens instead of text", "POST", "/v1/embeddings", `{"model":"use-lite","input":[[1,2]]}`, 400, "token ids"},
		{"another encoding", "POST", "/v1/embeddings", `{"model":"use-lite","input":["tea"],"encoding_format":"int8"}`, 400, `"param":"encoding_format"`},
		{"no JSON", "POST", "/v1/embeddings", `tea`, 400, `"type":"invalid_request_error"`},
		{"a body without end", "POST", "/v1/embeddings", `{"input":"` + strings.Repeat("x", maxRequest) + `"}`, 413, `"type":"invalid_request_error"`},
		{"another method", "GET", "/v1/embeddings", "", 405, `"code":null`},
		{"another path", "POST", "/v1/chat", "{}", 404, `"code":"unknown_url"`},
		{"the models", "GET", "/v1/models", "", 200, `"data":[{"id":"use-lite","object":"model"`},
		{"the model", "GET", "/v1/models/use-lite", "", 200, `{"id":"use-lite"`},
		{"no such model", "GET", "/v1/models/gpt", "", 404, `"code":"model_not_found"`},
		{"a probe", "GET", "/healthz", "", 200, "ok"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
			body := rec.Body.String()
			if rec.Code != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("status %d, not %d with %s: %.300s", rec.Code, tt.status, tt.want, body)
			}
		})
	}
}

func TestWithKeyAsksAllButProbes(t *testing.T) {
	h := WithKey(Handler(load(t)), func() string { return "right" })
	for _, tt := range []struct {
		path, key string
		status    int
	}{
		{"/v1/models", "Bearer right", 200},
		{"/v1/models", "Bearer wrong", 401},
		{"/v1/models", "right", 401},
		{"/v1/models", "", 401},
		{"/healthz", "", 200},
	} {
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, tt.path, nil)
		req.Header.Set("Authorization", tt.key)
		h.ServeHTTP(rec, req)
		if rec.Code != tt.status || tt.status == 401 && !strings.Contains(rec.Body.String(), `"code":"invalid_api_key"`) {
			t.Errorf("%s with %q: %d %s", tt.path, tt.key, rec.Code, rec.Body)
		}
	}
}

// Who asks for more than is computed in time is told so, and may come back.
func TestRequestsThatAreNotServedInTimeAreToldToComeBack(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec := httptest.NewRecorder()
	body := strings.NewReader(`{"model":"use-lite","input":"tea"}`)
	Handler(load(t)).ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/embeddings", body))
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" || !strings.Contains(rec.Body.String(), `"type":"server_error"`) {
		t.Errorf("%d %v %s", rec.Code, rec.Header(), rec.Body)
	}
}

func TestServeFinishesWhatItHasBegunAndTakesNothingNew(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	begun, finish := make(chan struct{}), make(chan struct{})
	served, answered := make(chan error, 1), make(chan string, 1)
	go func() {
		served <- Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-finish
			_, _ = io.WriteString(w, "finished")
		}))
	}()
	go func() { answered <- get(t, "http://"+l.Addr().String()) }()
	<-begun
	stop()
	for { // until it takes nothing new
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	close(finish)
	if got := <-answered; got != "finished" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestServeTellsOfAPortThatFails(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), l, http.NotFoundHandler()); err == nil {
		t.Error("no error")
	}
}

// get returns the body that a URL answers with, or the error.
func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

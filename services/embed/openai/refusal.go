package openai

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/services/embed/provider"
)

// again says that the request goes again when the line lets it: the provider wants fewer
// requests, or another key. It costs no try.
type again struct{ error }

// badKey says that the provider takes no request with this key.
type badKey struct{ error }

// refusal is what is understood of the body of an error.
type refusal struct {
	status int
	code   string
	kind   string
	param  string
	json   bool // the body is an object
}

// readRefusal takes the codes out of an error's body, and never its text: providers
// put the refused text, or a part of the key, into it. OpenAI, Azure and Ollama have
// an object under error, vLLM has its fields at the top, TEI a string and error_type.
func readRefusal(status int, body []byte) refusal {
	r := refusal{status: status}
	var top map[string]jsontext.Value
	if json.Unmarshal(body, &top) != nil {
		return r
	}
	r.json = true
	fields := top
	var inner map[string]jsontext.Value
	if json.Unmarshal(top["error"], &inner) == nil && inner != nil {
		fields = inner
	}
	r.code = word(fields["code"])
	r.kind = word(fields["type"])
	r.param = word(fields["param"])
	if r.kind == "" {
		r.kind = word(top["error_type"])
	}
	return r
}

var identifier = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// word returns a JSON string or number that looks like a code, or "".
func word(v jsontext.Value) string {
	s := strings.Trim(string(v), `"`)
	if s == "null" || !identifier.MatchString(s) {
		return ""
	}
	return s
}

// String returns the refusal for people: 400 invalid_request_error unsupported_value.
func (r refusal) String() string {
	words := []string{http.StatusText(r.status)}
	for _, w := range []string{r.kind, r.code} {
		if w != "" && w != words[len(words)-1] {
			words = append(words, w)
		}
	}
	return fmt.Sprintf("%d %s", r.status, strings.Join(words, ", "))
}

// is reports whether the refusal has one of the codes, as code or type.
func (r refusal) is(codes ...string) bool {
	return oneOf(r.code, codes...) || oneOf(r.kind, codes...)
}

// disguised returns the status that an answer of status 200 should have, 0 where it is none of
// the errors that some gateways send so: {"error": {"code": 429, …}}.
func disguised(body []byte) int {
	const longest = 1 << 16 // of an error
	var top struct {
		Data  jsontext.Value `json:"data"`
		Error jsontext.Value `json:"error"`
	}
	if len(body) > longest || json.Unmarshal(body, &top) != nil || top.Data.Kind() == '[' || top.Error.Kind() != '{' && top.Error.Kind() != '"' {
		return 0
	}
	if code, err := strconv.Atoi(readRefusal(http.StatusOK, body).code); err == nil && code >= 400 && code < 600 {
		return code
	}
	return http.StatusBadGateway
}

// classify returns the error that a response with a status other than 200 means.
func (c *Client) classify(t *trial, resp *http.Response, body []byte, now time.Time) error {
	r := readRefusal(resp.StatusCode, body)
	err := &fault.Error{Status: r.status, Err: fmt.Errorf("the provider answered %s", r)}
	switch {
	case r.is("insufficient_quota", "billing_hard_limit_reached", "billing_not_active") || r.status == http.StatusPaymentRequired:
		return badKey{c.halt(r, "the account behind the key has no quota left: check its plan and billing")}
	case r.is("model_not_found", "DeploymentNotFound"):
		return c.halt(r, fmt.Sprintf("it does not know the model %q: check space.model of the pipeline file", c.model))
	case r.status == http.StatusTooManyRequests:
		return again{err}
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden:
		return badKey{c.halt(r, "it refuses the key: check the file that holds it")}
	case r.status == http.StatusNotFound, r.status == http.StatusMethodNotAllowed:
		return c.halt(r, fmt.Sprintf("it has no embeddings of the model %q there: check the URL and space.model of the pipeline file", c.model))
	case r.status >= 300 && r.status < 400:
		return c.halt(r, "it redirects elsewhere, and texts are sent to no other host: set the URL that it redirects to")
	case r.status == http.StatusBadRequest && oneOf(r.param, "model", "dimensions", "encoding_format"):
		return c.halt(r, fmt.Sprintf("it does not take the %s that is set", r.param))
	case r.status == http.StatusBadRequest, r.status == http.StatusRequestEntityTooLarge, r.status == http.StatusUnprocessableEntity:
		err.Class, err.Reason = fault.Permanent, fault.ProviderRejected
		refused := provider.Size{Texts: t.texts, Bytes: t.bytes}
		err.Err = provider.NewTooLarge(err.Err, func(fits provider.Size) { c.caps.learn(r.excess(), fits, refused) })
		return err
	default:
		err.After = min(max(retryAfter(resp.Header, now), 0), c.cfg.MaxRetryAfter)
		return err
	}
}

// halt returns the one line that stops the service.
func (c *Client) halt(r refusal, advice string) error {
	return &fault.Error{
		Class: fault.Fatal, Status: r.status,
		Err: fmt.Errorf("the embeddings provider at %s answered %s: %s", c.host, r, advice),
	}
}

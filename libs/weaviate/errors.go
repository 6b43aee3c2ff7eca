package weaviate

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	officialfault "github.com/weaviate/weaviate-go-client/v4/weaviate/fault"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/freshet-io/freshet/libs/fault"
)

// Weaviate's errors are text, and nearly all of its gRPC codes are Unknown. What these lists do
// not know is transient: an item is tried once more rather than lost.
var (
	refused = []string{"unauthorized", "forbidden", "anonymous access not enabled", "invalid api key"}
	missing = []string{"could not find class", "class not found", "not present in schema", "could not find index for class"}

	// invalid matches what the server says of an object that it has looked at and refuses for its
	// content. A message that only mentions a property (while a disk is full, say) must not match.
	invalid = regexp.MustCompile(`^(invalid (text|integer|number|boolean|date|uuid)( array)? property '` +
		`|no such prop with name '` +
		`|invalid UUID (length|format)` +
		`|.*new node has a vector with length \d+\. Existing nodes have vectors with length )`)
)

// classify gives an error of a gRPC call its class. doing is a gerund with its object.
func classify(doing string, err error) error {
	if err == nil {
		return nil
	}
	text := strings.ToLower(err.Error())
	switch code := status.Code(err); {
	case code == codes.Unauthenticated, code == codes.PermissionDenied, containsAny(text, refused):
		return fault.Halt("%s: Weaviate refuses the API key: %w", doing, err)
	case code == codes.Unimplemented:
		return fault.Halt("%s: this is not the gRPC port of a Weaviate that we know: %w", doing, err)
	case containsAny(text, missing):
		return fault.Halt("%s: a collection has vanished, the index may be empty or older than the log: %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// classifyREST gives an error of the official client its class.
func classifyREST(doing string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*officialfault.WeaviateClientError](err); ok && e.IsUnexpectedStatusCode {
		return classifyStatus(doing, e.StatusCode, e.Msg)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// classifyStatus gives an HTTP answer other than success its class.
func classifyStatus(doing string, code int, body string) error {
	err := fmt.Errorf("%s: HTTP %d: %s", doing, code, strings.TrimSpace(body))
	class := fault.Transient
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		class, err = fault.Fatal, fmt.Errorf("%w (Weaviate refuses the API key)", err)
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity:
		// Such calls come from our own schema, never from an item: trying again cannot help.
		class = fault.Fatal
	}
	return &fault.Error{Class: class, Status: code, Err: err}
}

// Answered reports whether an error is what a server has said. Any other one leaves open whether the
// server, or its machine, has died meanwhile, and has lost what it had acknowledged a moment before.
func Answered(err error) bool {
	if _, ok := errors.AsType[objectError](err); ok {
		return true
	}
	switch fault.StatusOf(err) {
	case 0:
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout: // a proxy's
		return false
	default:
		return true
	}
	s, ok := status.FromError(err)
	return ok && s.Code() != codes.Unavailable && s.Code() != codes.DeadlineExceeded && s.Code() != codes.Canceled
}

func containsAny(text string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

package weaviate_test

import (
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/weaviate"
)

func TestConfig_refusesAPasswordInTheAddressAndDoesNotShowIt(t *testing.T) {
	err := weaviate.Config{URL: "https://shop:secret@weaviate.example", GRPC: "weaviate.example:50051"}.Validate()
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error is %v", err)
	}
}

package ingester_test

import (
	"testing"

	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/ingest/ingester"
)

func TestDefaultConfig_isWhatAnEmptyEnvironmentGives(t *testing.T) {
	var loaded ingester.Config
	if err := service.Load(nil, &loaded); err != nil {
		t.Fatal(err)
	}
	if want := ingester.DefaultConfig(); loaded != want {
		t.Errorf("the tags say %+v, DefaultConfig says %+v", loaded, want)
	}
}

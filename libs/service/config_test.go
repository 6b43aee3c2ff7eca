package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type cluster struct {
	Brokers  []string `required:"true" desc:"addresses of the cluster"`
	Password Secret   `desc:"password"`
	TLS      struct {
		CAFile string `desc:"certificate authority"`
	}
}

func (c cluster) Validate() error {
	if len(c.Brokers) > 0 && c.Brokers[0] == "bad" {
		return errors.New("BROKERS: bad is no address")
	}
	return nil
}

type testConfig struct {
	Kafka  cluster
	Source struct {
		Kafka cluster `inherit:"KAFKA"`
	}
	Wait   time.Duration `default:"2s" desc:"how long to wait"`
	Level  slog.Level    `default:"warn" desc:"level"`
	Inline struct {
		Depth int `default:"3" desc:"depth"`
	} `inline:"true"`
}

func TestLoad_readsNestedInheritedAndDefaultedSettings(t *testing.T) {
	var cfg testConfig
	err := Load([]string{"FRESHET_KAFKA_BROKERS=a:1,b:2", "FRESHET_KAFKA_PASSWORD=p", "FRESHET_KAFKA_TLS_CA_FILE=/ca", "FRESHET_DEPTH=7"}, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%v %v %s %s %v %v %d", cfg.Kafka.Brokers, cfg.Source.Kafka.Brokers, cfg.Source.Kafka.Password.Value(), cfg.Source.Kafka.TLS.CAFile, cfg.Wait, cfg.Level, cfg.Inline.Depth)
	if want := "[a:1 b:2] [a:1 b:2] p /ca 2s WARN 7"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLoad_aSourceClusterOfItsOwnGetsNoPasswordOfTheOther(t *testing.T) {
	var cfg testConfig
	err := Load([]string{"FRESHET_KAFKA_BROKERS=a:1", "FRESHET_KAFKA_PASSWORD=p", "FRESHET_SOURCE_KAFKA_BROKERS=c:3"}, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Source.Kafka.Brokers[0] != "c:3" || cfg.Source.Kafka.Password.Set() {
		t.Errorf("got %v with password %t", cfg.Source.Kafka.Brokers, cfg.Source.Kafka.Password.Set())
	}
}

func TestLoad_reportsAllFaultsAtOnce(t *testing.T) {
	var cfg testConfig
	err := Load([]string{"FRESHET_WAIT=soon", "FRESHET_LEVEL=loud", "FRESHET_DEPTH=deep"}, &cfg)
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"FRESHET_KAFKA_BROKERS is not set", `FRESHET_WAIT: "soon"`, `FRESHET_LEVEL: "loud"`, `FRESHET_DEPTH: "deep"`} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not tell of %s:\n%v", name, err)
		}
	}
}

func TestLoad_saysInPlainWordsWhatAValueIsNot(t *testing.T) {
	var cfg struct {
		Wait  time.Duration
		Level slog.Level
		Share float64
		Many  uint16
		On    bool
	}
	err := Load([]string{"FRESHET_WAIT=1", "FRESHET_LEVEL=loud", "FRESHET_SHARE=cheap", "FRESHET_MANY=65536", "FRESHET_ON=yes"}, &cfg)
	const want = `reading the configuration: FRESHET_WAIT: "1" is no duration: write it as 30s or 5m
FRESHET_LEVEL: "loud" is no level: debug, info, warn or error
FRESHET_SHARE: "cheap" is no number
FRESHET_MANY: "65536" is no whole number, or one out of range
FRESHET_ON: "yes" is neither true nor false`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestLoad_reportsWhatAStructFindsWrong(t *testing.T) {
	var cfg testConfig
	err := Load([]string{"FRESHET_KAFKA_BROKERS=bad"}, &cfg)
	if err == nil || !strings.Contains(err.Error(), "FRESHET_KAFKA_BROKERS: bad is no address") {
		t.Errorf("got %v", err)
	}
}

func TestLoad_tellsAFaultOfWhatIsTakenOverOnceByTheVariableThatIsSet(t *testing.T) {
	for variable, environ := range map[string][]string{
		"FRESHET_KAFKA_BROKERS":        {"FRESHET_KAFKA_BROKERS=bad"},
		"FRESHET_SOURCE_KAFKA_BROKERS": {"FRESHET_KAFKA_BROKERS=a:1", "FRESHET_SOURCE_KAFKA_BROKERS=bad"},
	} {
		var cfg testConfig
		if err := Load(environ, &cfg); err == nil || err.Error() != "reading the configuration: "+variable+": bad is no address" {
			t.Errorf("%s: got %v", variable, err)
		}
	}
}

func TestSecret_isReadFromItsFileAgainAndShownNowhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var cfg testConfig
	if err := Load([]string{"FRESHET_KAFKA_BROKERS=a:1", "FRESHET_KAFKA_PASSWORD_FILE=" + path}, &cfg); err != nil {
		t.Fatal(err)
	}
	secret := cfg.Kafka.Password
	asJSON, err := json.Marshal(map[string]any{"s": secret})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret)
	if shown := fmt.Sprintf("%v %+v %#v %s", secret, cfg, secret, asJSON) + log.String(); strings.Contains(shown, "one") {
		t.Errorf("the secret is shown: %s", shown)
	}
	if err := os.WriteFile(path, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	secret.from.checked = time.Time{}
	if got := secret.Value(); got != "two" {
		t.Errorf("after rotation: %q", got)
	}
}

func TestLoad_refusesASecretGivenTwice(t *testing.T) {
	var cfg testConfig
	err := Load([]string{"FRESHET_KAFKA_BROKERS=a:1", "FRESHET_KAFKA_PASSWORD=p", "FRESHET_KAFKA_PASSWORD_FILE=/x"}, &cfg)
	if err == nil || !strings.Contains(err.Error(), "both set") {
		t.Errorf("got %v", err)
	}
}

func TestMistyped_namesWhatWasMeantAndNotOtherServicesSettings(t *testing.T) {
	var cfg testConfig
	got := Mistyped([]string{"FRESHET_KAFKA_BROKER=a", "FRESHET_KAFKA_PASSWORD_FILE=x", "FRESHET_WEAVIATE_URL=u", "FRESHET_INGEST_SERVICE_HOST=1.2.3.4", "PATH=/"}, &cfg)
	if fmt.Sprint(got) != "map[FRESHET_KAFKA_BROKER:FRESHET_KAFKA_BROKERS]" {
		t.Errorf("got %v", got)
	}
}

func TestMistyped_leavesTheCommandsOwnAddressesAlone(t *testing.T) {
	if got := Mistyped([]string{"FRESHET_ADMIN_ADDRESSES=a:9090"}, &Config{}); len(got) > 0 {
		t.Errorf("who tells the commands where the services are is warned: %v", got)
	}
	var command struct{ AdminAddresses []string }
	if got := Mistyped([]string{"FRESHET_ADMIN_ADDRESS=:9090"}, &command); len(got) > 0 {
		t.Errorf("who has a command read a service's settings is warned: %v", got)
	}
}

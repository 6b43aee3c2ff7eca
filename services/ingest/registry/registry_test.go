package registry_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/freshet-io/freshet/libs/fake/certs"
	"github.com/freshet-io/freshet/libs/fake/schemaregistry"
	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/ingest/change"
	"github.com/freshet-io/freshet/services/ingest/registry"
)

const row = `{"type":"record","name":"Row","namespace":"shop","fields":[{"name":"id","type":"long"}]}`

var (
	rowOf7 = []byte{14}
	limits = change.Limits{Bytes: 1 << 20, Depth: 64, Fields: 1 << 16}
)

// start returns a registry that has row as schema 7.
func start(t *testing.T) (*schemaregistry.Server, string) {
	t.Helper()
	server := &schemaregistry.Server{}
	server.Put(7, schemaregistry.Schema{Text: row})
	url, stop, err := server.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return server, url
}

// config reads a configuration from variables, as ingest does. No answer that comes is too late, on any machine.
func config(t *testing.T, variables ...string) registry.Config {
	t.Helper()
	variables = append([]string{"TIMEOUT=5m"}, variables...)
	var cfg struct {
		Registry registry.Config `envconfig:"SCHEMA_REGISTRY"`
	}
	for i := range variables {
		variables[i] = "FRESHET_SCHEMA_REGISTRY_" + variables[i]
	}
	if err := service.Load(variables, &cfg); err != nil {
		t.Fatal(err)
	}
	return cfg.Registry
}

func open(t *testing.T, variables ...string) *registry.Registry {
	t.Helper()
	r, err := registry.Open(config(t, variables...), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// finds fails the test where schema 7 is not the row's.
func finds(t *testing.T, r *registry.Registry) {
	t.Helper()
	schema, err := r.Schema(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	if json, err := schema.JSON(rowOf7, limits); err != nil || string(json) != `{"id":7}` {
		t.Fatalf("%s %v", json, err)
	}
}

func TestSchema_isAskedForOnce(t *testing.T) {
	server, url := start(t)
	r := open(t, "URL="+url)
	for range 3 {
		finds(t, r)
	}
	server.Have(schemaregistry.Away())
	finds(t, r)
	if n := server.Asked("/schemas/ids/7"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// Each answer that says nothing of a schema: no record is given up for it.
func TestSchema_whatTheRegistryCannotAnswer(t *testing.T) {
	text := func(status int, body string) schemaregistry.Trouble {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	for name, test := range map[string]struct {
		trouble schemaregistry.Trouble
		class   fault.Class
		timeout string // 5m if empty
	}{
		"breaks off":         {schemaregistry.Away(), fault.Transient, ""},
		"is slow":            {schemaregistry.Slow(), fault.Transient, "200ms"},
		"500":                {schemaregistry.Status(500), fault.Transient, ""},
		"503":                {schemaregistry.Status(503), fault.Transient, ""},
		"429":                {schemaregistry.Status(429), fault.Transient, ""},
		"400":                {schemaregistry.Status(400), fault.Transient, ""},
		"a proxy's 404":      {text(404, "<html>default backend - 404</html>"), fault.Transient, ""},
		"a page":             {text(200, "<html>log in</html>"), fault.Transient, ""},
		"half an answer":     {text(200, `{"schema":"{\"ty`), fault.Transient, ""},
		"credentials":        {schemaregistry.Status(401), fault.Fatal, ""},
		"rights":             {schemaregistry.Status(403), fault.Fatal, ""},
		"an endless answer":  {text(200, strings.Repeat(" ", 9<<20)), fault.Permanent, ""},
		"a schema of no use": {text(200, `{"schema":"{\"type\":\"record\"}"}`), fault.Permanent, ""},
		"Protobuf":           {text(200, `{"schema":"syntax","schemaType":"PROTOBUF"}`), fault.Permanent, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server, url := start(t)
			server.Have(test.trouble)
			r := open(t, "URL="+url, "TIMEOUT="+cmp.Or(test.timeout, "5m"))
			_, err := r.Schema(t.Context(), 7)
			if err == nil || fault.ClassOf(err) != test.class {
				t.Fatalf("%v", err)
			}
			if test.class == fault.Permanent {
				return
			}
			server.Have(nil)
			if test.timeout == "" {
				finds(t, r)
			}
		})
	}
}

func TestSchema_saysHowLongTheRegistryWantsToBeLeftAlone(t *testing.T) {
	server, url := start(t)
	server.Have(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	_, err := open(t, "URL="+url).Schema(t.Context(), 7)
	if fault.AfterOf(err) != 7*time.Second {
		t.Errorf("%v", err)
	}
}

func TestSchema_ofTheNextURLWhereOneIsAway(t *testing.T) {
	for name, trouble := range map[string]schemaregistry.Trouble{"breaks off": schemaregistry.Away(), "503": schemaregistry.Status(503)} {
		t.Run(name, func(t *testing.T) {
			first, url := start(t)
			first.Have(trouble)
			_, other := start(t)
			finds(t, open(t, "URL="+url+","+other))
		})
	}
}

func TestSchema_credentialsAreReadAgainWhenTheirFileChanges(t *testing.T) {
	for name, set := range map[string]struct{ variable, user, before, after string }{
		"a token":    {"TOKEN_FILE", "", "Bearer old", "Bearer new"},
		"a password": {"PASSWORD_FILE", "USER=shop", "Basic c2hvcDpvbGQ=", "Basic c2hvcDpuZXc="},
	} {
		t.Run(name, func(t *testing.T) {
			server, url := start(t)
			server.Put(8, schemaregistry.Schema{Text: `"string"`})
			server.Have(schemaregistry.Asking(set.before))
			secret := filepath.Join(t.TempDir(), "secret")
			write(t, secret, "old\n")
			variables := []string{"URL=" + url, set.variable + "=" + secret}
			if set.user != "" {
				variables = append(variables, set.user)
			}
			r := open(t, variables...)
			finds(t, r)
			server.Have(schemaregistry.Asking(set.after))
			write(t, secret, "new\n")
			if err := os.Chtimes(secret, time.Now(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			// A secret's file is looked at again after some seconds.
			for {
				_, err := r.Schema(t.Context(), 8)
				if err == nil {
					return
				}
				if fault.ClassOf(err) != fault.Fatal || t.Context().Err() != nil {
					t.Fatal(err)
				}
				select {
				case <-t.Context().Done():
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
}

func TestSchema_credentialsGoNowhereElse(t *testing.T) {
	elsewhere := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { elsewhere <- r.Header.Get("Authorization") }))
	defer other.Close()
	server, url := start(t)
	server.Have(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		return true
	})
	if _, err := open(t, "URL="+url, "TOKEN=secret").Schema(t.Context(), 7); fault.ClassOf(err) != fault.Transient || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	if len(elsewhere) > 0 {
		t.Errorf("somebody else was asked, with %q", <-elsewhere)
	}
}

func TestSchema_byMutualTLSWithAPrivateAuthority(t *testing.T) {
	own := certs.Make(t, t.TempDir(), "own", nil)
	fake := &schemaregistry.Server{}
	fake.Put(7, schemaregistry.Schema{Text: row})
	server := httptest.NewUnstartedServer(fake)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own.Pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: own.Pool()}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	certFile, keyFile := own.CertFile, own.KeyFile

	finds(t, open(t, "URL="+server.URL, "TLS_CA_FILE="+certFile, "TLS_CERT_FILE="+certFile, "TLS_KEY_FILE="+keyFile))
	for name, variables := range map[string][]string{
		"without a certificate":        {"URL=" + server.URL, "TLS_CA_FILE=" + certFile},
		"of an authority not trusted":  {"URL=" + server.URL, "TLS_CERT_FILE=" + certFile, "TLS_KEY_FILE=" + keyFile},
		"of a server of another name":  {"URL=" + server.URL, "TLS_CA_FILE=" + certFile, "TLS_CERT_FILE=" + certFile, "TLS_KEY_FILE=" + keyFile, "TLS_SERVER_NAME=other"},
		"in the clear to one that has": {"URL=" + strings.Replace(server.URL, "https", "http", 1)},
	} {
		if _, err := open(t, variables...).Schema(t.Context(), 7); err == nil || fault.ClassOf(err) != fault.Transient {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchema_withTheTypesThatItRefersTo(t *testing.T) {
	server, url := start(t)
	money := server.Register("money", schemaregistry.Schema{Text: `{"type":"record","name":"Money","namespace":"shop","fields":[{"name":"cents","type":"long"}]}`})
	price := server.Register("price", schemaregistry.Schema{
		Text:       `{"type":"record","name":"Price","namespace":"shop","fields":[{"name":"net","type":"Money"}]}`,
		References: []schemaregistry.Reference{{Name: "shop.Money", Subject: "money", Version: 1}},
	})
	id := server.Register("item", schemaregistry.Schema{
		Text: `{"type":"record","name":"Item","namespace":"shop","fields":[{"name":"price","type":"Price"},{"name":"before","type":["null","shop.Money"]}]}`,
		References: []schemaregistry.Reference{
			{Name: "shop.Price", Subject: "price", Version: 1}, {Name: "shop.Money", Subject: "money", Version: 1},
		},
	})
	r := open(t, "URL="+url)
	schema, err := r.Schema(t.Context(), uint32(id))
	if err != nil {
		t.Fatal(err)
	}
	if json, err := schema.JSON([]byte{10, 2, 8}, limits); err != nil || string(json) != `{"price":{"net":{"cents":5}},"before":{"cents":4}}` {
		t.Errorf("%s %v (schemas %d, %d)", json, err, money, price)
	}
}

func TestSchema_isForgottenWhereTheyBecomeTooMany(t *testing.T) {
	server, url := start(t)
	r := open(t, "URL="+url)
	finds(t, r)
	for id := 1000; id < 3000; id++ {
		server.Put(id, schemaregistry.Schema{Text: `"string"`})
		if _, err := r.Schema(t.Context(), uint32(id)); err != nil {
			t.Fatal(err)
		}
	}
	finds(t, r)
	if n := server.Asked("/schemas/ids/7"); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

func TestConfig_refuses(t *testing.T) {
	for variables, want := range map[string]string{
		"URL=registry:8081":                       "FRESHET_SCHEMA_REGISTRY_URL is no http or https address",
		"URL=http://u:p@registry":                 "URL holds a user or a password",
		"URL=http://registry USER=u TOKEN=t":      "FRESHET_SCHEMA_REGISTRY_USER and FRESHET_SCHEMA_REGISTRY_TOKEN are both set",
		"URL=http://registry PASSWORD=p":          "PASSWORD is set and FRESHET_SCHEMA_REGISTRY_USER is not",
		"URL=http://registry TIMEOUT=0s":          "TIMEOUT is 0s: it must be positive",
		"URL=http://registry TLS_CERT_FILE=a.pem": "CERT_FILE and FRESHET_SCHEMA_REGISTRY_TLS_KEY_FILE go together",
	} {
		var cfg struct {
			Registry registry.Config `envconfig:"SCHEMA_REGISTRY"`
		}
		environ := strings.Fields(variables)
		for i := range environ {
			environ[i] = "FRESHET_SCHEMA_REGISTRY_" + environ[i]
		}
		if err := service.Load(environ, &cfg); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%s: %v", variables, err)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "7.avsc"), row)
	write(t, filepath.Join(dir, "8.json"), `{"schema":"\"string\""}`)
	write(t, filepath.Join(dir, "shop-value.json"), `{"subject":"shop-value","version":1,"id":9,"schema":"{\"type\":\"object\"}","schemaType":"JSON"}`)
	write(t, filepath.Join(dir, "10.json"), `{"$schema":"x","type":"object","properties":{"a":{"type":"string"}}}`)
	folder, err := registry.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	for id, value := range map[uint32]string{7: "\x0e", 8: "\x02a", 9: `{}`, 10: `{}`} {
		schema, err := folder.Schema(context.WithoutCancel(t.Context()), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := schema.JSON([]byte(value), limits); err != nil {
			t.Errorf("%d: %v", id, err)
		}
	}
	if _, err := folder.Schema(t.Context(), 1); fault.ReasonOf(err) != fault.UnknownSchema {
		t.Error(err)
	}
	for name, content := range map[string]string{"value.avsc": row, "7.json": row, "11.avsc": "{"} {
		write(t, filepath.Join(dir, name), content)
		if _, err := registry.OpenFolder(dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := registry.OpenFolder(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there")
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

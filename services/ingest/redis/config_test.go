package redis_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/freshet-io/freshet/libs/service"
	"github.com/freshet-io/freshet/services/ingest/redis"
)

type settings struct{ Redis redis.Config }

func TestParseURL(t *testing.T) {
	for url, want := range map[string]string{
		"redis://a":                            "{[a:6379] false false  0}",
		"rediss://a:1/2":                       "{[a:1] true false  2}",
		"redis://[::1]":                        "{[[::1]:6379] false false  0}",
		"redis-sentinel://a,b:1/mymaster":      "{[a:26379 b:1] false false mymaster 0}",
		"rediss-cluster://a:1,[::1]:2":         "{[a:1 [::1]:2] true true  0}",
		"redis-cluster://a/0":                  "{[a:6379] false true  0}",
		"redis://a,b":                          "several",
		"redis://":                             "empty host",
		"redis://user:not-it@a":                "PASSWORD_FILE",
		"redis-sentinel://a:1":                 "name of their master",
		"redis-cluster://a/1":                  "no database's number",
		"redis://a/x":                          "no database's number",
		"redis://a?db=1":                       "options",
		"redis-cluter://a":                     "must begin with",
		"http://a":                             "must begin with",
		"a:6379":                               "must begin with",
		"rediss-sentinel://a.example:1,b/main": "{[a.example:1 b:26379] true false main 0}",
	} {
		got, err := redis.ParseURL(url)
		if text := fmt.Sprint(got); strings.HasPrefix(want, "{") && (text != want || err != nil) {
			t.Errorf("%s: %s %v, want %s", url, text, err, want)
		}
		if !strings.HasPrefix(want, "{") && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "not-it")) {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
}

func TestConfig_refuses(t *testing.T) {
	for environ, want := range map[string]string{
		"FRESHET_REDIS_URL=http://a":                                "must begin with",
		"FRESHET_REDIS_URL=redis://a FRESHET_REDIS_TLS_CA_FILE=x":   "no scheme with TLS",
		"FRESHET_REDIS_BATCH=0":                                     "BATCH must be",
		"FRESHET_REDIS_LEASE=10ms":                                  "LEASE at least",
		"FRESHET_REDIS_TLS_KEY_FILE=x FRESHET_REDIS_URL=rediss://a": "go together",
	} {
		var cfg settings
		if err := service.Load(strings.Fields(environ), &cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", environ, err)
		}
	}
	var cfg settings
	if err := service.Load(nil, &cfg); err != nil || cfg.Redis.Batch != 500 {
		t.Errorf("the defaults: %+v %v", cfg, err)
	}
}

package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/service"
)

// Config says how Redis is reached, and how its streams are read.
type Config struct {
	URL      string         `desc:"redis://host:6379/0; rediss:// with TLS; redis-sentinel://host:26379,host:26379/master or redis-cluster://host:6379,host:6379 (rediss-sentinel, rediss-cluster); only where the pipeline file names a stream"`
	Username string         `desc:"user of Redis's access lists; the default user if empty"`
	Password service.Secret `desc:"password of the user"`
	Sentinel struct {
		Username string         `desc:"user of the sentinels, where they want one"`
		Password service.Secret `desc:"password of the sentinels' user"`
	}
	TLS   service.TLS
	Group string        `desc:"consumer group of the streams; the topic prefix if empty. A new one reads a stream from its beginning"`
	Batch int           `default:"500" desc:"most entries that are passed on at once; of large ones fewer, about 4 MiB"`
	Lease time.Duration `default:"15s" desc:"how long a reader of a stream may be silent until another process takes over"`
}

// leastLease leaves time for a turn of the reader between two renewals.
const leastLease = time.Second

// Validate reports settings that cannot be.
func (c Config) Validate() error {
	var errs []error
	if c.URL != "" {
		at, err := parseURL(c.URL)
		if errs = append(errs, err); err == nil && !at.secure && c.TLS != (service.TLS{}) {
			errs = append(errs, errors.New("TLS files or a server name are set, but URL has no scheme with TLS: rediss, rediss-sentinel or rediss-cluster"))
		}
	}
	if c.Batch < 1 || c.Lease < leastLease {
		errs = append(errs, fmt.Errorf("BATCH must be at least 1, LEASE at least %s", leastLease))
	}
	return errors.Join(errs...)
}

// address is what a URL says.
type address struct {
	hosts   []string // host:port
	secure  bool
	cluster bool
	master  string // of sentinels
	db      int
}

// parseURL reads a URL by hand: net/url takes one host alone.
func parseURL(url string) (address, error) {
	var a address
	scheme, rest, _ := strings.Cut(url, "://")
	kind, secure := strings.CutPrefix(scheme, "rediss")
	if !secure {
		kind = strings.TrimPrefix(scheme, "redis")
	}
	hosts, path, _ := strings.Cut(rest, "/")
	a.secure, a.cluster = secure, kind == "-cluster"
	port := "6379"
	switch {
	case !strings.HasPrefix(scheme, "redis") || kind != "" && kind != "-cluster" && kind != "-sentinel":
		return a, errors.New("URL must begin with redis://, rediss://, redis-sentinel://, rediss-sentinel://, redis-cluster:// or rediss-cluster://")
	case strings.Contains(rest, "@"):
		return a, errors.New("URL has a user or password, which logs may show: use USERNAME and PASSWORD or PASSWORD_FILE")
	case strings.Contains(rest, "?"):
		return a, errors.New("URL has options, and takes none: what there is to set has settings")
	case kind == "-sentinel" && path == "":
		return a, errors.New("URL of sentinels must end with the name of their master: redis-sentinel://host:26379/mymaster")
	case kind == "-sentinel":
		a.master, port = path, "26379"
	case path != "":
		db, err := strconv.Atoi(path)
		if err != nil || db < 0 || db > 0 && a.cluster {
			return a, fmt.Errorf("URL ends with %q, which is no database's number (a cluster has 0 alone)", path)
		}
		a.db = db
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if host == "" || kind == "" && len(a.hosts) > 0 {
			return a, errors.New("URL has an empty host, or several that are neither sentinels nor a cluster")
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		a.hosts = append(a.hosts, host)
	}
	return a, nil
}

const (
	dialBound = 5 * time.Second
	callBound = 10 * time.Second
)

// open returns a client. It connects with its first command; passwords and certificates are read again for each
// connection. The caller closes it.
func (c Config) open(log *slog.Logger) (goredis.UniversalClient, error) {
	at, err := parseURL(c.URL)
	if err != nil {
		return nil, fault.Halt("FRESHET_REDIS_URL: %w", err)
	}
	dial := (&net.Dialer{Timeout: dialBound}).DialContext
	if at.secure {
		certificates, err := c.TLS.Open(log)
		if err != nil {
			return nil, fault.Halt("reading the TLS settings for Redis: %w", err)
		}
		dial = certificates.Dialer(dial)
	}
	return goredis.NewUniversalClient(&goredis.UniversalOptions{
		Addrs: at.hosts, MasterName: at.master, IsClusterMode: at.cluster, DB: at.db,
		CredentialsProviderContext: func(context.Context) (string, string, error) { return c.Username, c.Password.Value(), nil },
		SentinelUsername:           c.Sentinel.Username, SentinelPassword: c.Sentinel.Password.Value(),
		Dialer: dial, DialTimeout: dialBound, ReadTimeout: callBound, WriteTimeout: callBound, ContextTimeoutEnabled: true,
		// The reader tries again itself, and says so.
		MaxRetries: -1, DialerRetries: 1, PoolSize: 2,
		Protocol: 2, // the newer one adds notifications that nobody here reads
	}), nil
}

// quiet keeps the client's own log from standard error: what it tells is in the errors that it returns.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(ctx context.Context, format string, v ...any) {
	q.log.DebugContext(ctx, "redis client", "text", fmt.Sprintf(format, v...))
}

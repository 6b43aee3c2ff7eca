package redis

import (
	"context"
	"crypto/tls"
	_ "embed" // the script that reads
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/freshet-io/freshet/libs/fault"
	"github.com/freshet-io/freshet/libs/pipeline"
)

// consumer is the name of the group's one consumer: whoever has the lease is it, so that none is left behind.
const consumer = "freshet"

// mostBytes bounds what is read at once, but for the last few entries.
const mostBytes = 4 << 20

var (
	//go:embed take.lua
	takeText   string
	takeScript = goredis.NewScript(takeText)

	// acquireScript takes the lease where nobody else has it, and returns who does.
	acquireScript = goredis.NewScript(`
		local holder = redis.call('GET', KEYS[1])
		if holder and holder ~= ARGV[1] then return holder end
		redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
		return ''`)

	releaseScript = goredis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return ''`)
)

// stream is a stream as its group sees it, for one who wants to be its reader.
type stream struct {
	client goredis.UniversalClient
	name   string
	lease  string // its key
	group  string
	holder string // who we are
	cfg    Config
}

func newStream(client goredis.UniversalClient, cfg Config, feed pipeline.Feed, holder string) *stream {
	return &stream{
		client: client, name: feed.Stream, lease: feed.Neighbour(":freshet-lease:" + cfg.Group),
		group: cfg.Group, holder: holder, cfg: cfg,
	}
}

// prepare makes the group where it is missing, at the stream's beginning. It is no error that the stream is missing.
func (s *stream) prepare(ctx context.Context, log *slog.Logger) error {
	err := s.client.XGroupCreateMkStream(ctx, s.name, s.group, "0").Err()
	switch {
	case err == nil:
		log.WarnContext(ctx, "the group was not there and reads the stream from its beginning: it is new, or the stream was deleted, and what was unread in it then is lost")
	case !goredis.HasErrorPrefix(err, "BUSYGROUP"):
		return s.fault("making the group of", err)
	}
	return nil
}

// acquire takes the lease, or tells who has it.
func (s *stream) acquire(ctx context.Context) (holder string, err error) {
	holder, err = acquireScript.Run(ctx, s.client, []string{s.lease}, s.holder, s.cfg.Lease.Milliseconds()).Text()
	return holder, s.fault("taking the lease of", err)
}

// release lets another process read at once.
func (s *stream) release(ctx context.Context) {
	_ = releaseScript.Run(ctx, s.client, []string{s.lease}, s.holder).Err() // it ends by itself, too
}

// taken is what the script gives.
type taken struct {
	entries []entry
	gone    []string // ids that were pending and are not in the stream any more
	last    string   // id of the last entry that the group had been given before
	missed  int64    // entries that were removed before any reader had them
	lag     int64    // entries that the group had not been given before; -1 where Redis does not know
}

// take reads the next entries: those that are pending first. Called again before they are acknowledged it returns the same
// ones. It renews the lease.
func (s *stream) take(ctx context.Context) (t taken, err error) {
	reply, err := takeScript.Run(ctx, s.client, []string{s.name, s.lease},
		s.holder, s.cfg.Lease.Milliseconds(), s.group, consumer, s.cfg.Batch, mostBytes).Slice()
	if err != nil {
		return t, s.fault("reading", err)
	}
	for _, e := range reply[0].([]any) { //nolint:forcetypeassert // as the script says, here and below
		e := e.([]any)                                                               //nolint:forcetypeassert // an id and its fields
		t.entries = append(t.entries, entry{id: e[0].(string), fields: texts(e[1])}) //nolint:forcetypeassert // a text
	}
	t.gone, t.last = texts(reply[1]), reply[2].(string)  //nolint:forcetypeassert // a text
	t.missed, t.lag = reply[3].(int64), reply[4].(int64) //nolint:forcetypeassert // numbers
	return t, nil
}

func texts(list any) []string {
	items, _ := list.([]any)
	out := make([]string, len(items))
	for i := range items {
		out[i], _ = items[i].(string)
	}
	return out
}

// wait returns when the stream has an entry behind the given one, or the lease is to be renewed.
func (s *stream) wait(ctx context.Context, behind string) error {
	err := s.client.XRead(ctx, &goredis.XReadArgs{
		Streams: []string{s.name, behind}, Count: 1, Block: min(s.cfg.Lease/3, 2*time.Second),
	}).Err()
	if errors.Is(err, goredis.Nil) {
		return nil
	}
	return s.fault("waiting for entries of", err)
}

// acknowledge takes entries off the list of what is pending.
func (s *stream) acknowledge(ctx context.Context, entries []entry) error {
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.id
	}
	return s.fault("acknowledging entries of", s.client.XAck(ctx, s.name, s.group, ids...).Err())
}

// needed are the commands that Redis's access lists must allow.
const needed = "eval, evalsha, get, set, del, xread, xreadgroup, xautoclaim, xack, xinfo, xgroup, on the stream and on the lease"

// fault says what is the matter, and whether waiting cures it.
func (s *stream) fault(doing string, err error) error {
	if err == nil {
		return nil
	}
	starts := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if goredis.HasErrorPrefix(err, p) {
				return true
			}
		}
		return false
	}
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	refusal, ok := errors.AsType[*net.OpError](err)
	alerted := ok && refusal.Op == "remote error" // of TLS
	var advice string
	switch {
	case starts("NOAUTH", "WRONGPASS"):
		advice = "check FRESHET_REDIS_USERNAME and FRESHET_REDIS_PASSWORD_FILE"
	case starts("NOPERM") || strings.Contains(err.Error(), "ACL failure"):
		advice = "allow the user " + needed
	case starts("WRONGTYPE"):
		advice = "source.redis.stream must name a stream"
	case starts("TOOOLD", "ERR unknown command"):
		advice = "update Redis to 7.0 or later"
	case starts("CROSSSLOT"):
		advice = "use a redis-cluster:// URL"
	case unverified || alerted:
		advice = "check FRESHET_REDIS_TLS_* and the URL"
	default:
		return fmt.Errorf("%s stream %s: %w", doing, s.name, err)
	}
	return fault.Halt("%s stream %s: %w: %s", doing, s.name, err, advice)
}

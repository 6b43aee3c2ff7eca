package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/freshet-io/freshet/libs/fake/local"
	"github.com/freshet-io/freshet/libs/kafka"
	"github.com/freshet-io/freshet/services/ctl/catalogue"
	"github.com/freshet-io/freshet/services/ctl/rig"
)

const (
	residentRate   = 1000 // items a second
	residentAtOnce = 100
	residentGoal   = 150 // MB
)

// resident measures the most memory that a service of its own process takes at a steady rate, of which unit is counted:
// begin has it run, send sends a part of the work, and end waits until all is done.
func (b *bed) resident(ctx context.Context, service, unit string, begin func() error, send func(part int) error, end func() error) ([]Figure, error) {
	program, err := b.program(ctx, service)
	if err != nil {
		return nil, err
	}
	if err := begin(); err != nil {
		return nil, err
	}
	process := strconv.Itoa(program.PID())
	idle := residentMB(process, "VmRSS")
	if idle == 0 {
		b.say("no /proc here: the memory of a process cannot be read")
		return nil, nil
	}
	b.say("%d %s a second for %s by the service %s in a process of its own", residentRate, unit, b.paced, service)
	if err := paced(ctx, b.residentParts(), residentRate/residentAtOnce, send); err != nil {
		return nil, err
	}
	if err := end(); err != nil {
		return nil, err
	}
	most := residentMB(process, "VmHWM")
	return []Figure{atMost(fmt.Sprintf("resident memory at %d %s/s, %d dimensions", residentRate, unit, largeDimensions), "MB", most, idle, residentGoal)}, nil
}

// residentParts is how many parts of the work there are.
func (b *bed) residentParts() int { return int(b.paced.Seconds() * residentRate / residentAtOnce) }

// writeResident sends the write service items: new ones at first, then the same with new prices, since new
// vectors of this size at this rate are more than two cores index.
func writeResident(ctx context.Context, r run) (figures []Figure, err error) {
	b, err := openBed(ctx, r, hashSpace(largeDimensions), true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	if err := b.sendsVectors(ctx); err != nil {
		return nil, err
	}
	list := products(b.items)
	return b.resident(ctx, "write", "items", func() error { return b.sendItems(ctx, list) }, func(part int) error {
		some := list[part*residentAtOnce%len(list):]
		some = some[:min(residentAtOnce, len(some))]
		for k := range some {
			some[k].Price++
		}
		return b.sendItems(ctx, some)
	}, func() error { return b.awaitCommitted(ctx, "-write", b.topics.VectorsLive()) })
}

// sendItems sends items to the write service as they are now.
func (b *bed) sendItems(ctx context.Context, list []catalogue.Product) error {
	docs, err := b.documents(ctx, list)
	if err != nil {
		return err
	}
	records, err := b.vectorRecords(b.vectors(docs))
	if err != nil {
		return err
	}
	return b.send(ctx, records...)
}

// awaitCommitted waits until the group of a service has done all that it was sent.
func (b *bed) awaitCommitted(ctx context.Context, group, topic string) error {
	if err := b.client.Flush(ctx); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	sent, err := b.size(ctx, topic)
	if err != nil {
		return err
	}
	done, last := 0, error(nil) // a coordinator may not be there yet
	err = rig.Poll(ctx, bound, watchPoll, func(ctx context.Context) (bool, error) {
		var offsets kadm.OffsetResponses
		if offsets, last = kadm.NewClient(b.client).FetchOffsetsForTopics(ctx, b.topics.Prefix+group, topic); last != nil {
			return false, nil //nolint:nilerr // it is told at the end
		}
		done = 0
		offsets.Each(func(o kadm.OffsetResponse) { done += max(0, int(kafka.Finished(o))) })
		return done >= sent, nil
	})
	if err != nil {
		return fmt.Errorf("%d of %d records are done: %w", done, sent, errors.Join(err, last))
	}
	return nil
}

// program starts a service in a process of its own, which ends with the bed.
func (b *bed) program(ctx context.Context, service string) (*local.Program, error) {
	binary, err := b.binary(ctx, service)
	if err != nil {
		return nil, err
	}
	env := append(os.Environ(), append(b.environ, "FRESHET_ADMIN_ADDRESS=127.0.0.1:0")...)
	program, err := local.StartProgram("freshet-"+service, binary, env, b.progress)
	if err != nil {
		return nil, err
	}
	b.onClose(func(ctx context.Context) error { _, err := program.Stop(ctx); return err })
	return program, nil
}

// binary returns the path of a service's binary: as it was built beside this one, else as
// go builds it, which a test inside the workspace needs.
func (b *bed) binary(ctx context.Context, name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("looking for the services: %w", err)
	}
	built := filepath.Join(filepath.Dir(self), "freshet-"+name)
	if _, err := os.Stat(built); err == nil {
		return built, nil
	}
	dir, err := os.MkdirTemp("", "freshet-bench-")
	if err != nil {
		return "", fmt.Errorf("making a folder: %w", err)
	}
	b.onClose(func(context.Context) error { return os.RemoveAll(dir) })
	built = filepath.Join(dir, name)
	out, err := exec.CommandContext(ctx, "go", "build", "-o", built, "github.com/freshet-io/freshet/services/"+name).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building %s, which is not beside %s: %w\n%s", name, self, err, out)
	}
	return built, nil
}

// Package events reads change events from files, in the forms in which people have them.
// What is in them it does not look at.
package events

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/freshet-io/freshet/libs/stage"
	"github.com/freshet-io/freshet/services/ingest/change"
)

// Event is one sample event.
type Event struct {
	File   string // "" for standard input
	Line   int    // of the file, from 1; 1 for an event that is a whole file
	Record stage.Record
}

// Read hands on the events of a file, of all files below a folder but hidden ones and *.md, or of stdin for "-",
// in their order. An error of emit ends it. passed, if not nil, is told of the *.md.
//
// A file has an event a line: a bare value, a record as kcat -J prints it, or an object of
// key and value. One event may also be a whole file, over several lines; x.key.json is then
// the key of x.json, and alone that of a null value. Files may be packed by gzip.
func Read(path string, stdin io.Reader, passed func(file string), emit func(Event) error) error {
	if path == "-" {
		return readLines("", stdin, nil, emit)
	}
	return filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("reading samples: %w", err)
		case entry.IsDir() && file != path && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir() || file != path && strings.HasPrefix(entry.Name(), "."):
			return nil
		case file != path && strings.EqualFold(filepath.Ext(file), ".md"):
			if passed != nil {
				passed(file)
			}
			return nil
		}
		return readFile(file, emit)
	})
}

const keySuffix = ".key.json"

func readFile(file string, emit func(Event) error) (err error) {
	if of, is := strings.CutSuffix(file, keySuffix); is {
		if _, err := os.Stat(of + ".json"); err == nil {
			return nil // read with its value
		}
		key, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading samples: %w", err)
		}
		return emit(Event{File: file, Line: 1, Record: stage.Record{Key: key, Offset: 1}})
	}
	key, err := os.ReadFile(strings.TrimSuffix(file, ".json") + keySuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading samples: %w", err)
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading samples: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return readLines(file, f, key, emit)
}

// readLines reads an event a line; or one event, where the first line is no JSON but all
// lines together are. key is that of bare values.
func readLines(file string, from io.Reader, key []byte, emit func(Event) error) error {
	in, err := unpacked(bufio.NewReader(from), maxUnpacked)
	if err != nil {
		return fmt.Errorf("reading samples: %w", err)
	}
	for line := 1; ; line++ {
		text, err := in.ReadBytes('\n')
		if line == 1 && err == nil && !gjson.ValidBytes(text) {
			text, in, err = wholeOrLine(text, in)
		}
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return fmt.Errorf("reading samples: %w", err)
		}
		if event := bytes.TrimSpace(text); len(event) > 0 {
			if err := emit(Event{File: file, Line: line, Record: recordOf(event, key, int64(line))}); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
	}
}

// maxUnpacked bounds what becomes of a packed sample: a few bytes can be as many as they like.
const maxUnpacked = 1 << 30

// unpacked reads gzip, which its first bytes tell, whatever the file is called.
func unpacked(in *bufio.Reader, most int64) (*bufio.Reader, error) {
	if magic, err := in.Peek(2); err != nil || string(magic) != "\x1f\x8b" {
		return in, nil //nolint:nilerr // a file of one byte; who reads it meets the error again
	}
	packed, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("unpacking gzip: %w", err)
	}
	return bufio.NewReader(&bounded{packed, most}), nil
}

// bounded fails where there is more to read than it may.
type bounded struct {
	from io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("the sample has more than %d MiB when it is unpacked: take a part of it", maxUnpacked>>20)
	}
	return n, err
}

// wholeOrLine returns all that is to read, with io.EOF, where it is JSON together with the
// first line; else the line, and what is behind it.
func wholeOrLine(line []byte, in *bufio.Reader) ([]byte, *bufio.Reader, error) {
	rest, err := io.ReadAll(in)
	if err != nil {
		return nil, in, err
	}
	if all := append(bytes.Clone(line), rest...); gjson.ValidBytes(all) {
		return all, in, io.EOF
	}
	return line, bufio.NewReader(bytes.NewReader(rest)), nil
}

// recordOf reads a line. key is that of a bare value; what is wrong in another form is one, too, for the decoders to refuse.
func recordOf(text, key []byte, line int64) stage.Record {
	event, err := change.ParseEvent(text)
	if err != nil || bytes.Equal(event.Value, text) {
		return stage.Record{Key: key, Value: text, Offset: line}
	}
	object := event.Record
	return stage.Record{
		Topic: object.Get("topic").Str, Partition: int32(object.Get("partition").Int()), Offset: cmp.Or(object.Get("offset").Int(), line), //nolint:gosec // a number of Kafka's
		Time: timeOf(cmp.Or(object.Get("ts").Int(), object.Get("timestamp").Int())),
		Key:  event.Key, Value: event.Value,
	}
}

func timeOf(milli int64) time.Time {
	if milli <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(milli)
}

package dev

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"
)

const maxLine = 16 << 20

// playChanges sends somebody's own changes and shows what becomes of them.
func (s *stack) playChanges(ctx context.Context) error {
	records, err := readChanges(s.options.Events, s.file.Topics()[0])
	if err != nil {
		return err
	}
	if err := s.send(ctx, records...); err != nil {
		return err
	}
	s.say("%d changes of %s are sent; `freshet dlq list` shows what could not be used", len(records), s.options.Events)
	status := newStatus(s)
	status.sent = len(records)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			status.show()
		}
	}
}

// readChanges reads a file of one change a line: a bare value, or an object with
// value (or kcat's payload), and with key and topic where they matter.
func readChanges(path, topic string) (records []*kgo.Record, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading changes: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.Clone(lines.Bytes())
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if !gjson.ValidBytes(line) {
			return nil, fmt.Errorf("%s line %d is no JSON", path, n)
		}
		records = append(records, changeOf(line, topic))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading changes: %w", err)
	}
	return records, nil
}

func changeOf(line []byte, topic string) *kgo.Record {
	object := gjson.ParseBytes(line)
	value := object.Get("value")
	if !value.Exists() {
		value = object.Get("payload")
	}
	if !object.Get("key").Exists() || !value.Exists() {
		return source(topic, nil, line)
	}
	if named := object.Get("topic"); named.Exists() {
		topic = named.String()
	}
	return source(topic, raw(object.Get("key")), raw(value))
}

// raw returns the bytes of a part: kcat writes them as a string, others as JSON.
func raw(part gjson.Result) []byte {
	if !part.Exists() || part.Type == gjson.Null {
		return nil
	}
	if part.Type == gjson.String {
		return []byte(part.Str)
	}
	return []byte(part.Raw)
}

package values

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

var (
	errCount = errors.New("is no whole count of its unit")
	errRange = errors.New("is a time outside of the years 1 to 9999")
	errDate  = errors.New("is no date: 2006-01-02, with a time such as 15:04:05 and a zone or without; map what else there is as text")
)

const (
	secondsADay = 24 * 60 * 60
	dateLayout  = "2006-01-02"
)

// parseCount reads a count with up to nanosecond digits behind the point, as a
// count of seconds may have: whole units, and nanoseconds on top.
func parseCount(raw string, nanos int64) (whole, rest int64, err error) {
	digits, fraction, _ := strings.Cut(raw, ".")
	whole, err = strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, 0, errCount
	}
	width := len(strconv.FormatInt(nanos, 10)) - 1 // digits behind the point that are whole nanoseconds
	if strings.Trim(fraction, "0") == "" {
		return whole, 0, nil
	}
	if len(fraction) > width {
		fraction = fraction[:width]
	}
	rest, err = strconv.ParseInt("0"+fraction+strings.Repeat("0", width-len(fraction)), 10, 64)
	if err != nil {
		return 0, 0, errCount
	}
	if strings.HasPrefix(digits, "-") {
		rest = -rest
	}
	return whole, rest, nil
}

// instant returns the time of a count since 1970.
func instant(raw string, nanos int64) (time.Time, error) {
	count, rest, err := parseCount(raw, nanos)
	if err != nil {
		return time.Time{}, err
	}
	perSecond := Second / nanos
	t := time.Unix(count/perSecond, count%perSecond*nanos+rest).UTC()
	return t, checkYear(t)
}

func days(raw string) (string, error) {
	count, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		return "", errCount
	}
	if count > 1<<32 || count < -1<<32 {
		return "", errRange
	}
	t := time.Unix(count*secondsADay, 0).UTC()
	return t.Format(dateLayout), checkYear(t)
}

// checkYear refuses what RFC 3339 cannot write: infinity comes as such a count.
func checkYear(t time.Time) error {
	if t.Year() < 1 || t.Year() > 9999 {
		return errRange
	}
	return nil
}

// byMagnitude takes the unit from the size of the count: days reach the year 2243,
// seconds begin a day after 1970, and each finer unit begins where the coarser
// one has left the year 5000.
func byMagnitude(raw string) Type {
	digits, _, _ := strings.Cut(strings.TrimPrefix(raw, "-"), ".")
	switch n := len(digits); {
	case n <= 5:
		return Type{Kind: Days}
	case n <= 11:
		return Type{Kind: Instant, Nanos: Second}
	case n <= 14:
		return Type{Kind: Instant, Nanos: Millisecond}
	case n <= 17:
		return Type{Kind: Instant, Nanos: Microsecond}
	}
	return Type{Kind: Instant, Nanos: Nanosecond}
}

// timeOfDay writes a count since midnight as 13:14:15.5. MySQL's TIME is a length
// of time, so hours go beyond 24 and below zero.
func timeOfDay(raw string, nanos int64) (string, error) {
	count, err := strconv.ParseInt(raw, 10, 64)
	if err != nil || count > 1<<62/nanos || count < -(1<<62)/nanos {
		return "", errCount
	}
	n, sign := count*nanos, ""
	if n < 0 {
		n, sign = -n, "-"
	}
	text := fmt.Sprintf("%s%02d:%02d:%02d", sign, n/(3600*Second), n/(60*Second)%60, n/Second%60)
	if rest := n % Second; rest != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%09d", rest), "0")
	}
	return text, nil
}

// dateLayouts are the ways in which sources write times. One without a zone means
// UTC, as Debezium's counts for columns without a zone do.
var dateLayouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999 Z07:00", "2006-01-02 15:04:05.999999999", dateLayout, "2006-01-02Z07:00",
}

func parseTime(text string) (time.Time, error) {
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), checkYear(t.UTC())
		}
	}
	return time.Time{}, errDate
}

// Time returns a normalised value that is a text of a time. Its error is that it is none.
func Time(v gjson.Result) (time.Time, error) {
	if v.Type != gjson.String {
		return time.Time{}, errDate
	}
	return parseTime(v.Str)
}

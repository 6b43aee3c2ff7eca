#!/usr/bin/env bash
# fuzz.sh [TIME [PATTERN]]: runs each fuzz test whose package or name matches PATTERN (all of them) for TIME (10s) under
# Go's own fuzzer, two at a time. An input that fails is written to the package's testdata/fuzz, which is committed with its cure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
time=${1:-10s}
pattern=${2:-.}

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# Go's fuzzer now and then calls its own deadline a failure (golang/go#75804): it has then no input to show.
ended_in_time() {
	grep -q '^    context deadline exceeded$' "$1" && ! grep -q 'Failing input written to' "$1"
}

# fuzz FILE NAME: minimising is off: it takes up to a minute for each new input, whatever the time.
fuzz() {
	local file=$1 name=$2 failed=0 log
	log=$logs/$(tr / . <<<"$file").$name
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 0s -parallel 1 "./${file%/*}" >"$log" 2>&1 || failed=1
	if [ $failed = 1 ] && ended_in_time "$log"; then
		failed=0
		echo "the fuzzer stopped $name at its deadline and called that a failure; it found no failing input" >>"$log"
	fi
	{
		echo "fuzzed $name of ${file%/*} for $time"
		grep -vE '^(fuzz: elapsed: .*(gathering|execs: 0 )|PASS)' "$log" | tail -40 || true
	} >"$log.said"
	cat "$log.said"
	return $failed
}

ran=0 failed=0
while IFS=: read -r file name; do
	grep -qE -- "$pattern" <<<"$file $name" || continue
	[ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n || failed=1
	fuzz "$file" "$name" &
	ran=$((ran + 1))
done < <(git grep -E -o 'func Fuzz[A-Za-z]+' -- '*_test.go' | sed 's/func //' | sort)
while [ "$(jobs -p | wc -l)" -gt 0 ]; do wait -n || failed=1; done
[ "$ran" -gt 0 ] || {
	echo "no fuzz test matches $pattern" >&2
	exit 1
}
[ "$failed" = 0 ] || exit 1
echo "$ran fuzz tests found nothing"

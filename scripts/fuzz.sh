#!/usr/bin/env bash
# fuzz.sh [TIME [PATTERN]]: runs each fuzz test whose package or name matches PATTERN (all of them) for TIME (10s) under
# Go's own fuzzer. An input that fails is written to the package's testdata/fuzz, which is committed with its cure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
time=${1:-10s}
pattern=${2:-.}

ran=0
while IFS=: read -r file name; do
	grep -qE -- "$pattern" <<<"$file $name" || continue
	echo "fuzzing $name of ${file%/*} for $time"
	# Minimising is off: it takes up to a minute for each new input, whatever the time.
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 0s "./${file%/*}" |
		{ grep -vE '^(fuzz: elapsed: .*(gathering|execs: 0 )|PASS)' || true; } | tail -40
	ran=$((ran + 1))
done < <(git grep -E -o 'func Fuzz[A-Za-z]+' -- '*_test.go' | sed 's/func //' | sort)
[ "$ran" -gt 0 ] || {
	echo "no fuzz test matches $pattern" >&2
	exit 1
}
echo "$ran fuzz tests found nothing"

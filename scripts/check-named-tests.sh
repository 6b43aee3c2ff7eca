#!/usr/bin/env bash
# check-named-tests.sh LOG: holds the README's table of what happens when against the log of `go test -v`: each row names
# a test, and each test that it names has run and passed. One that was only skipped, or is not there any more, shows
# nothing; some are skipped in one pass and run in another.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
log=$1

rows=$(sed -n '/^| when | Freshet/,/^$/p' README.md | tail -n +3)
[ -n "$rows" ] || {
	echo 'README.md has no table of what happens when'
	exit 1
}
wrong=0
while IFS= read -r row; do
	names=$(grep -oE '`Test[^`]+`' <<<"$row" | tr -d '`' | sort -u) || {
		echo "this row names no test: ${row:0:100}…"
		wrong=1
		continue
	}
	for name in $names; do
		grep -qE "^ *--- PASS: $name( |/|\$)" "$log" && ! grep -qE "^ *--- FAIL: $name( |/|\$)" "$log" || {
			echo "$name has not passed, and a row of the README names it: ${row:0:60}…"
			wrong=1
		}
	done
done <<<"$rows"
[ "$wrong" = 0 ] && echo "each of $(wc -l <<<"$rows") rows is shown by a test that passed"
exit "$wrong"

#!/usr/bin/env bash
# Checks that each module of the workspace stands on its own, as an image build sees it, and the charts' tests: it builds
# and vets with the workspace off, its go.mod is tidy, and no third-party module has two versions among the workspace's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

modules=$(go list -m -f '{{.Dir}}')
for module in $modules "$PWD/charts/tests"; do
	echo "checking ${module#"$PWD"/}"
	GOWORK=off go -C "$module" build ./...
	GOWORK=off go -C "$module" vet ./...
	GOWORK=off go -C "$module" mod tidy -diff
done

# A go.mod names every module that its packages import, with the version they get.
twice=$(for module in $modules; do
	GOWORK=off go -C "$module" mod edit -json | sed -n '/"Require"/,/^\t\]/p' |
		awk -F '"' '/"Path"/ { path = $4 } /"Version"/ { print path, $4 }'
done | sort -u | awk '{ versions[$1] = versions[$1] " " $2; n[$1]++ } END { for (p in n) if (n[p] > 1) print p ":" versions[p] }')
if [ -n "$twice" ]; then
	printf 'modules with more than one version:\n%s\n' "$twice" >&2
	exit 1
fi

# The one v4 client compiles only beside this version of the server's module; `go get -u` moves it.
for pin in 'github.com/weaviate/weaviate v1.27.0' 'github.com/weaviate/weaviate-go-client/v4 v4.16.1'; do
	if ! grep -q "$pin" libs/go.mod; then
		echo "libs/go.mod must require $pin: newer ones do not compile together" >&2
		exit 1
	fi
done

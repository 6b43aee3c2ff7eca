#!/usr/bin/env bash
# Builds the pinned Jaeger 2 into the cache, once: the tests ask it for traces. The last line on standard output is the
# path of the binary. The version is the module's; the program calls itself 2.13.
set -euo pipefail

version=1.76.0
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

# Its go.mod replaces a module, which `go install` refuses: it is built from its sources, as go has them and checked their
# sum. The user interface is not among them; the tests use the query API.
build() {
	need go "install Go 1.26 or later"
	mkdir -p "$1/source"
	local sources
	sources=$(cd "$1" && GOWORK=off go mod download -json "github.com/jaegertracing/jaeger@v$version" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
	cp -R "$sources/." "$1/source"
	chmod -R u+w "$1/source"
	(cd "$1/source" && CGO_ENABLED=0 GOWORK=off nice -n 15 go build -trimpath -buildvcs=false -ldflags='-s -w' -o ../jaeger ./cmd/jaeger >&2)
	rm -rf "$1/source"
}

install_once "jaeger-$version" jaeger \
	"Building Jaeger $version into $cache (once; about 5 minutes on 2 cores)." build
printf '%s\n' "$cache/jaeger-$version/jaeger"

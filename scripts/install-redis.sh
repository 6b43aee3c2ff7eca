#!/usr/bin/env bash
# Fetches Debian's Redis server and the libraries that it needs into the cache, once. The last line on standard output is
# the path of the server. It needs no root: lists and packages have folders of their own. The version is pinned as far as
# Debian keeps it: its security updates take the place of what they mend, and apt checks what it fetches by signature.
set -euo pipefail

version=7.0.15
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

build() {
	need apt-get "Redis is installed from Debian 12's packages"
	need dpkg-deb "it comes with dpkg"
	mkdir -p "$1/apt/lists/partial" "$1/apt/archives/partial"
	(
		cd "$1/apt"
		apt=(-qq -o "Dir::State::lists=$PWD/lists" -o "Dir::Cache=$PWD" -o "APT::Sandbox::User=$(id -un)")
		apt-get "${apt[@]}" update && apt-get "${apt[@]}" download \
			"redis-server=5:$version-*" "redis-tools=5:$version-*" libatomic1 libjemalloc2 liblzf1 libssl3
	) >"$1/log" 2>&1 || {
		cat "$1/log" >&2
		die "apt could not fetch Redis $version: it is of Debian 12"
	}
	for package in "$1"/apt/*.deb; do
		dpkg-deb --extract "$package" "$1"
	done
	# Where the loader looks for them by itself lies in a folder named for the machine.
	mkdir -p "$1/lib"
	find "$1" -path "$1/lib/*" -prune -o -name '*.so.*' -exec mv {} "$1/lib/" \;
	rm -rf "$1/apt" "$1/log"
	LD_LIBRARY_PATH=$1/lib "$1/usr/bin/redis-server" --version | grep -q "v=$version" || die "the server that was fetched does not run"
}

install_once "redis-$version" usr/bin/redis-server \
	"Fetching Redis $version into $cache (once; about 20 seconds)." build
printf '%s\n' "$cache/redis-$version/usr/bin/redis-server"

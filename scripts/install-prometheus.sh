#!/usr/bin/env bash
# Fetches Debian's Prometheus and its promtool into the cache, once. The last line on standard output is the folder of both
# programs. It needs no root: lists and packages have folders of their own. The version is pinned as far as Debian keeps it:
# its security updates take the place of what they mend, and apt checks what it fetches by signature.
set -euo pipefail

version=2.42.0
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

build() {
	need apt-get "Prometheus is installed from Debian 12's packages"
	need dpkg-deb "it comes with dpkg"
	mkdir -p "$1/apt/lists/partial" "$1/apt/archives/partial"
	(
		cd "$1/apt"
		apt=(-qq -o "Dir::State::lists=$PWD/lists" -o "Dir::Cache=$PWD" -o "APT::Sandbox::User=$(id -un)")
		apt-get "${apt[@]}" update && apt-get "${apt[@]}" download "prometheus=$version+*"
	) >"$1/log" 2>&1 || {
		cat "$1/log" >&2
		die "apt could not fetch Prometheus $version: it is of Debian 12"
	}
	dpkg-deb --extract "$1"/apt/*.deb "$1"
	# Its web page wants what other packages have: nobody looks at it here.
	rm -rf "$1/apt" "$1/log" "$1/etc" "$1/lib" "$1/usr/share" "$1/var"
	"$1/usr/bin/prometheus" --version 2>&1 | grep -q "version $version" || die "the server that was fetched does not run"
}

install_once "prometheus-$version" usr/bin/prometheus \
	"Fetching Prometheus $version into $cache (once; about 20 seconds)." build
printf '%s\n' "$cache/prometheus-$version/usr/bin"

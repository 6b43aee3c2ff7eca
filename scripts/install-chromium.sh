#!/usr/bin/env bash
# Fetches Debian's headless Chromium, the libraries that it needs and three fonts into the cache, once. The last line on
# standard output is the path of the browser, which sees no other fonts: a page looks the same on each machine. It needs no
# root: lists and packages have folders of their own, and apt checks what it fetches by signature. The version is that of
# Debian 12's main archive, which stays, and not of its security archive, which moves: it opens pages of this machine alone.
set -euo pipefail

version=150.0.7871.100
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

# What any Debian has, or only a browser with windows wants: three times the size of the rest. apt is told that it is there.
there=(libc6 libgcc-s1 libstdc++6 dpkg debconf x11-utils xdg-utils)

build() {
	need apt-get "Chromium is installed from Debian 12's packages"
	need dpkg-deb "it comes with dpkg"
	mkdir -p "$1/apt/lists/partial" "$1/apt/archives/partial"
	printf 'Package: %s\nStatus: install ok installed\nVersion: 9999\nArchitecture: all\nMulti-Arch: foreign\nMaintainer: -\nDescription: -\n\n' \
		"${there[@]}" >"$1/apt/status"
	(
		cd "$1/apt"
		apt=(-qq -o "Dir::State::lists=$PWD/lists" -o "Dir::State::status=$PWD/status" -o "Dir::Cache=$PWD"
			-o "APT::Sandbox::User=$(id -un)" -o Debug::NoLocking=true)
		apt-get "${apt[@]}" update && apt-get "${apt[@]}" --download-only --no-install-recommends install \
			"chromium-headless-shell=$version-*" "chromium-common=$version-*" fonts-inter fonts-dejavu-core fonts-droid-fallback
	) >"$1/log" 2>&1 || {
		cat "$1/log" >&2
		die "apt could not fetch Chromium $version: it is of Debian 12"
	}
	for package in "$1"/apt/archives/*.deb; do
		dpkg-deb --extract "$package" "$1"
	done
	mkdir "$1/chromium" "$1/fonts"
	mv "$1"/usr/lib/chromium/* "$1/chromium/"
	find "$1/usr/lib" "$1/lib" -name '*.so*' -exec mv {} "$1/chromium/" \;
	find "$1/usr/share/fonts" \( -name 'Inter-*.otf' -o -name '*.ttf' \) -exec mv {} "$1/fonts/" \;
	find "$1" -mindepth 1 -maxdepth 1 ! -name chromium ! -name fonts -exec rm -rf {} +
	cat >"$1/fonts/fonts.conf" <<-'END'
		<?xml version="1.0"?>
		<fontconfig>
		<dir prefix="relative">.</dir>
		<cachedir prefix="xdg">fontconfig</cachedir>
		<alias><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
		<alias><family>sans-serif</family><prefer><family>Inter</family></prefer></alias>
		<alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
		</fontconfig>
	END
	cat >"$1/run" <<-'END'
		#!/bin/sh
		here=$(dirname "$0")
		FONTCONFIG_FILE=$here/fonts/fonts.conf LD_LIBRARY_PATH=$here/chromium exec "$here/chromium/chromium-headless-shell" "$@"
	END
	chmod +x "$1/run"
	"$1/run" --no-sandbox --dump-dom 'data:text/html,<p>it runs' 2>"$1/log" | grep -q 'it runs' || {
		cat "$1/log" >&2
		die "Chromium $version was fetched and does not run here"
	}
	rm "$1/log"
}

install_once "chromium-$version" run \
	"Fetching Chromium $version into $cache (once; about 40 seconds)." build
printf '%s\n' "$cache/chromium-$version/run"

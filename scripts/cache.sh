# shellcheck shell=bash
# Sourced by the install-*.sh scripts: installs a thing once into the shared cache, whole or not at all.
# The cache is ${XDG_CACHE_HOME:-$HOME/.cache}/freshet; remove that folder to start again.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/freshet

say() { printf '%s\n' "$*" >&2; }

die() {
	say "${0##*/}: $*"
	exit 1
}

# need COMMAND HINT: stops with one line where COMMAND is missing.
need() {
	command -v "$1" >/dev/null || die "$1 not found: $2"
}

# install_once NAME PROOF WHAT BUILD: makes $cache/NAME, whose file PROOF shows that it is whole, by calling
# `BUILD FOLDER`. The folder is built under another name and renamed, so that an interrupted build leaves nothing that
# looks finished; the lock makes a second installer wait and then find the work done. Rename alone would not do: two
# would spend minutes on the same build.
install_once() {
	local name=$1 proof=$2 what=$3 build=$4 target=$cache/$1
	# Not local: the trap reads it. A name of its own, because what an interrupted installer had started (Maven, the
	# compiler) may still be writing into its folder.
	partial=$cache/.$name.partial.$$
	if [ -e "$target/$proof" ]; then
		return
	fi
	need flock "it comes with util-linux"
	mkdir -p "$cache"
	exec 9>"$cache/.$name.lock"
	if ! flock -n 9; then
		say "Waiting for another process that is installing $name."
		flock 9
	fi
	if [ ! -e "$target/$proof" ]; then
		say "$what"
		# The holder of the lock is the only builder: other partial folders are of builds that were interrupted.
		rm -rf "$target" "$cache/.$name.partial."* || true
		trap 'rm -rf "$partial"' EXIT
		# The lock is not inherited: a build that outlives this script must not block the next one.
		"$build" "$partial" 9>&-
		[ -e "$partial/$proof" ] || die "$name was built without $proof"
		mv "$partial" "$target"
		trap - EXIT
	fi
	exec 9>&-
}

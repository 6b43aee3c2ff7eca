# shellcheck shell=bash
# Sourced by those install-*.sh scripts, after cache.sh, that install packages of Python.

# venv FOLDER WHAT VERSION ARG…: makes an environment with what `pip install ARG…` installs, and the file FOLDER/whole. The
# folder may be renamed afterwards: its Python finds its packages by its own place; only the scripts beside it would not, and
# nothing uses them.
venv() {
	local folder=$1 what=$2 version=$3
	shift 3
	need python3 "install Python $version or later"
	python3 -m venv "$folder" >&2 || die "python3 cannot make an environment: install its venv module (Debian: python3-venv)"
	"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir "$@" >&2 || die "pip could not install $what"
	touch "$folder/whole"
}
